"""Implicit maximum likelihood: how the argmax would move if the logits took a step downhill."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.estimators.registry import LogitEstimator, Objective, attach_gradient, register
from tabkit.relaxations import (
    Knob,
    argmax_blocks,
    check_count,
    check_share,
    check_temperature,
    gumbel_noise,
)


@dataclass(kw_only=True)
class Implicit(LogitEstimator):
    """A perturbed argmax, its loss's gradient, and the argmax after a step against it."""

    noise_tau: Knob = 1.0
    samples: Knob = 1

    def __post_init__(self) -> None:
        check_temperature(self.noise_tau, "noise_tau")
        self.samples = check_count(self.samples, "samples")

    def evaluations(self, cardinalities: Sequence[int]) -> int:
        return self.samples

    def estimate(
        self,
        logits: Float[Tensor, "B F"],
        objective: Objective,
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, ""]:
        parts = [
            self._sample(logits.detach(), objective, cardinalities, generator)
            for _ in range(self.samples)
        ]
        losses, gradients = zip(*parts, strict=True)
        loss = torch.stack(losses).mean()
        if not torch.is_grad_enabled():
            return loss
        return attach_gradient(loss, logits, torch.stack(gradients).mean(dim=0))

    def _sample(
        self,
        logits: Float[Tensor, "B F"],
        objective: Objective,
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "B F"]]:
        perturbed = logits + self.noise_tau * gumbel_noise(logits, generator)
        row = argmax_blocks(perturbed, cardinalities).requires_grad_(torch.is_grad_enabled())
        losses = objective(row)
        if not torch.is_grad_enabled():
            return losses.mean(), logits
        (slope,) = torch.autograd.grad(losses.sum(), row, retain_graph=True)
        return losses.mean(), self.difference(logits, perturbed, slope, cardinalities)

    def difference(
        self,
        logits: Float[Tensor, "B F"],
        perturbed: Float[Tensor, "B F"],
        slope: Float[Tensor, "B F"],
        cardinalities: Sequence[int],
    ) -> Float[Tensor, "B F"]:
        """The gradient per row, from the loss's gradient `slope` at the perturbed argmax."""
        raise NotImplementedError


@register("imle")
@dataclass(kw_only=True)
class IMLE(Implicit):
    """I-MLE: the perturbed argmax, less that after a step of size `step` against the gradient.

    The noise is Gumbel's, times noise_tau, and the same for both; the difference is divided by the
    step. The step multiplies the gradient of a *row's* loss, so it does not depend on the batch:
    the authors' 10, which multiplies that of the batch's mean, is 0.1 at a batch of 100.

    Gradient
    --------
    Biased: finite differences of the perturbed argmax along the loss's gradient at the vertex. For
    small steps most rows get 0 and a few a large one.

    Deviations
    ----------
    For one of K categories the paper's sum-of-Gamma noise tends to Gumbel's, which is used. The
    authors' codes divide by the step in one experiment and not in another; Adam does not mind.
    """

    step: Knob = 0.1

    gradient: ClassVar[str] = "biased: finite differences of the perturbed argmax"
    source: ClassVar[str] = "Niepert et al. 2021, arXiv:2106.01798"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_temperature(self.step, "step")

    def difference(
        self,
        logits: Float[Tensor, "B F"],
        perturbed: Float[Tensor, "B F"],
        slope: Float[Tensor, "B F"],
        cardinalities: Sequence[int],
    ) -> Float[Tensor, "B F"]:
        here = argmax_blocks(perturbed, cardinalities)
        there = argmax_blocks(perturbed - self.step * slope, cardinalities)
        return (here - there) / self.step


@register("adaptive_imle")
@dataclass(kw_only=True)
class AdaptiveIMLE(Implicit):
    """I-MLE by central differences, with a step that adapts until enough rows get a gradient.

    The step is ``scale * |logits| / |gradient|``, norms over the batch. `scale` starts at 0 and
    moves by `rate` a call, up while fewer than `target` logits a row have a gradient, else down;
    that number is a running mean with a memory of `decay`.

    Gradient
    --------
    Biased: finite differences of the perturbed argmax along the loss's gradient at the vertex.
    The first sample's is 0.
    """

    target: Knob = 1.0
    rate: Knob = 1e-3
    decay: Knob = 0.9
    scale: float = field(default=0.0, init=False, repr=False, compare=False)
    moved: float = field(default=1.0, init=False, repr=False, compare=False)

    gradient: ClassVar[str] = "biased: central differences of the perturbed argmax, adaptive step"
    source: ClassVar[str] = "Minervini et al. 2023, arXiv:2209.04862"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_temperature(self.target, "target")
        check_temperature(self.rate, "rate")
        check_share(self.decay, "decay")

    def difference(
        self,
        logits: Float[Tensor, "B F"],
        perturbed: Float[Tensor, "B F"],
        slope: Float[Tensor, "B F"],
        cardinalities: Sequence[int],
    ) -> Float[Tensor, "B F"]:
        step = self._step(logits, slope)
        uphill = argmax_blocks(perturbed + step * slope, cardinalities)
        downhill = argmax_blocks(perturbed - step * slope, cardinalities)
        change = (uphill - downhill) / 2
        self._adapt(change)
        return change / (step or 1.0)

    def _step(self, logits: Float[Tensor, "B F"], slope: Float[Tensor, "B F"]) -> float:
        allowed = logits[logits.abs() < torch.finfo(logits.dtype).max ** 0.25]
        steepness = slope.norm().item()
        return self.scale * allowed.norm().item() / steepness if steepness > 0 else 0.0

    def _adapt(self, change: Float[Tensor, "B F"]) -> None:
        if len(change) == 0:
            return
        moved = (change != 0).sum().item() / len(change)
        self.moved = self.decay * self.moved + (1 - self.decay) * moved
        rise = self.rate if self.moved < self.target else -self.rate
        self.scale = max(0.0, self.scale + rise)

    def state(self) -> dict[str, float]:
        return {"scale": self.scale, "moved": self.moved}

    def load(self, state: Mapping[str, float]) -> None:
        self.scale, self.moved = state.get("scale", 0.0), state.get("moved", 1.0)
