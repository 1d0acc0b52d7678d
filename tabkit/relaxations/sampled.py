"""Relaxations that hand over a sampled category and differ in the gradient they pretend."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.relaxations.noise import (
    gumbel_noise,
    one_hot_argmax,
    perturb,
    sample_one_hot,
    straight_through,
    through_jacobian,
)
from tabkit.relaxations.ragged import argmax_blocks
from tabkit.relaxations.registry import (
    Knob,
    Relaxation,
    Tempered,
    WholeRow,
    check_count,
    check_temperature,
    register,
)


@register("straight_through_sample")
@dataclass(kw_only=True)
class StraightThroughSample(Tempered, WholeRow):
    """Forward a sampled category, backward the softmax at temperature tau.

    The sample is drawn from softmax(logits) whatever tau is: tau is a surrogate temperature.

    Gradient
    --------
    Biased: the softmax's Jacobian at the sampled vertex's loss gradient. Exact if the loss is
    linear in the simplex and tau = 1.

    Source
    ------
    Bengio, Leonard and Courville 2013, arXiv:1308.3432 (there for binary units).
    """

    gradient: ClassVar[str] = "biased: the softmax's Jacobian at the sampled vertex's loss gradient"
    source: ClassVar[str] = "Bengio et al. 2013, arXiv:1308.3432"

    def relax(
        self,
        logits: Float[Tensor, "B F"],
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, "B F"]:
        hard = argmax_blocks(perturb(logits.detach(), generator), cardinalities)
        return straight_through(hard, self.soft_blocks(logits, cardinalities))


@register("reinmax")
@dataclass(kw_only=True)
class ReinMax(Tempered):
    """Forward a sampled category, backward a second-order (Heun) rule in place of straight-through.

    With p the softmax of the logits, D the sample and q halfway between D and the softmax at
    temperature tau, the gradient is ``2 J(q) g - J(p) g / 2``, where J is the softmax's Jacobian
    and g the loss's gradient at D. tau is a surrogate temperature; the authors use 1 or more.

    Gradient
    --------
    Biased, to third order: exact in expectation if the loss of one column is quadratic in the
    simplex and tau = 1.
    """

    gradient: ClassVar[str] = "biased: second-order (Heun) at the sampled vertex's loss gradient"
    source: ClassVar[str] = "Liu et al. 2023, arXiv:2304.08612"

    def block(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        hard = sample_one_hot(logits, generator)
        halfway = (hard + self.soft(logits)) / 2
        forward_step = through_jacobian(halfway, logits)
        return hard + 2 * forward_step - through_jacobian(logits.softmax(dim=1), logits) / 2


@register("zgr")
@dataclass(kw_only=True)
class ZGR(Relaxation):
    """Zero-temperature limit of Gumbel-Rao: the mean of straight-through and DARN.

    Forward a sampled category D; backward ``(J(p) g + <g, D - p> grad log p(D)) / 2`` with p the
    softmax and g the loss's gradient at D. It has no temperature, and equals `ReinMax` at tau = 1
    for every draw.

    Gradient
    --------
    Biased, to third order: exact in expectation if the loss of one column is quadratic.
    """

    gradient: ClassVar[str] = "biased: the mean of straight-through and DARN, second-order"
    source: ClassVar[str] = "Shekhovtsov 2023, ICML, PMLR 202"

    def block(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        hard, p = sample_one_hot(logits, generator), logits.softmax(dim=1)
        score = (hard * logits.log_softmax(dim=1)).sum(dim=1, keepdim=True)
        darn = (hard - p).detach() * (score - score.detach())
        return straight_through(hard, p / 2) + darn / 2


@register("gapped_straight_through")
@dataclass(kw_only=True)
class GappedStraightThrough(Tempered):
    """Straight-through Gumbel without its noise: logits are moved until the sample leads by a gap.

    Forward a sampled category D. Backward the softmax, at the surrogate temperature tau, of the
    logits after D's was lifted to the largest and all others within `gap` of it were pushed down to
    that distance.

    Gradient
    --------
    Biased: that softmax's Jacobian at the sampled vertex's loss gradient.
    """

    gap: Knob = 1.0

    gradient: ClassVar[str] = "biased: the moved logits' softmax Jacobian at the sampled vertex"
    source: ClassVar[str] = "Fan et al. 2022, arXiv:2206.07235"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_temperature(self.gap, "gap")

    def block(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        hard = sample_one_hot(logits, generator)
        below = logits.detach() - logits.detach().amax(dim=1, keepdim=True)
        moved = torch.where(hard > 0, 0.0, below.clamp(max=-self.gap))
        return straight_through(hard, self.soft(logits + (moved - below)))


@register("perturbed_argmax")
@dataclass(kw_only=True)
class PerturbedArgmax(Relaxation):
    """The mean of the argmaxes of `samples` noisy copies of the logits.

    The noise is Gumbel's, times sigma: as `samples` grows, the point tends to the softmax at
    temperature sigma. With one sample it is a vertex.

    Gradient
    --------
    Unbiased for the softmax's Jacobian (times the loss's gradient at the point), from the argmaxes
    alone: each vertex times ``(1 - exp(-noise)) / sigma``.

    Deviations
    ----------
    The authors' code draws normal noise times 0.05, 1,000 times. From two samples on, the mean
    vertex of the other samples is subtracted as a baseline, which leaves the mean as it is and
    takes out most of the variance.
    """

    sigma: Knob = 1.0
    samples: Knob = 10

    gradient: ClassVar[str] = "unbiased Jacobian of the mean argmax, at that mean's loss gradient"
    source: ClassVar[str] = "Berthet et al. 2020, arXiv:2002.08676"

    def __post_init__(self) -> None:
        check_temperature(self.sigma, "sigma")
        self.samples = check_count(self.samples, "samples")

    def block(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        check_temperature(self.sigma, "sigma")
        noise = gumbel_noise(logits.detach().expand(self.samples, *logits.shape), generator)
        vertices = one_hot_argmax(logits.detach() + self.sigma * noise)
        slope = -torch.expm1(-noise)  # the gradient of Gumbel's -log density
        moves = (slope * (logits - logits.detach())).sum(dim=-1, keepdim=True) / self.sigma
        mean = vertices.mean(dim=0)
        if self.samples > 1:  # the leave-one-out mean is subtracted
            vertices = (vertices - mean) * (self.samples / (self.samples - 1))
        return mean + (vertices * moves).mean(dim=0)
