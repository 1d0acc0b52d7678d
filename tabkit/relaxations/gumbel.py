"""Relaxations by Gumbel noise: soft, straight-through, decoupled, Rao-Blackwellised."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.relaxations.noise import (
    conditional_gumbels,
    gumbel_noise,
    perturb,
    sample_one_hot,
    straight_through,
)
from tabkit.relaxations.ragged import argmax_blocks, softmax_blocks
from tabkit.relaxations.registry import (
    Knob,
    Tempered,
    WholeRow,
    check_count,
    check_temperature,
    register,
)


@register("gumbel_softmax")
@dataclass(kw_only=True)
class GumbelSoftmax(Tempered, WholeRow):
    """A random point of the simplex: softmax of logits plus Gumbel noise, at temperature tau.

    As tau falls to 0 the points become samples of the categories; as it grows they become the
    uniform mixture.

    Gradient
    --------
    Unbiased for the expected loss of the relaxed points, biased for that of the categories.

    Source
    ------
    Jang, Gu and Poole 2017, arXiv:1611.01144; Maddison, Mnih and Teh 2017, arXiv:1611.00712.
    """

    gradient: ClassVar[str] = "unbiased for the relaxed points, biased for the categories"
    source: ClassVar[str] = "Jang et al. 2017, arXiv:1611.01144"

    def relax(
        self,
        logits: Float[Tensor, "B F"],
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, "B F"]:
        perturbed = perturb(logits, generator)
        return self.soft_blocks(perturbed, cardinalities)


@register("straight_through_gumbel")
@dataclass(kw_only=True)
class StraightThroughGumbel(Tempered, WholeRow):
    """Forward a sampled category, backward the Gumbel-softmax of the same noise.

    The forward sample does not depend on tau: it is an exact draw from softmax(logits), so tau is
    a surrogate temperature.

    Gradient
    --------
    Biased: the Gumbel-softmax's Jacobian at the sampled vertex's loss gradient.

    Source
    ------
    Jang, Gu and Poole 2017, arXiv:1611.01144, section 2.2.
    """

    gradient: ClassVar[str] = "biased: the Gumbel-softmax's Jacobian at the vertex's loss gradient"
    source: ClassVar[str] = "Jang et al. 2017, arXiv:1611.01144"

    def relax(
        self,
        logits: Float[Tensor, "B F"],
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, "B F"]:
        perturbed = perturb(logits, generator)
        hard = argmax_blocks(perturbed, cardinalities)
        return straight_through(hard, self.soft_blocks(perturbed, cardinalities))


@register("decoupled_straight_through_gumbel")
@dataclass(kw_only=True)
class DecoupledStraightThroughGumbel(WholeRow):
    """Straight-through Gumbel with one temperature for the sample and one for the gradient.

    Forward a draw from softmax(logits / sampling_tau), so that the temperature, unlike in
    `StraightThroughGumbel`, changes what is drawn; backward softmax(logits / surrogate_tau + noise)
    of the same noise, which is not divided. Both at 1, it is `StraightThroughGumbel` at 1. With a
    sampling temperature below 1 it trains nearer to what decoding does. The paper names no default.

    Gradient
    --------
    Biased: the Gumbel-softmax's Jacobian at the sampled vertex's loss gradient.
    """

    sampling_tau: Knob = 0.5
    surrogate_tau: Knob = 1.0

    gradient: ClassVar[str] = "biased: the Gumbel-softmax's Jacobian at the vertex's loss gradient"
    source: ClassVar[str] = "Shah et al. 2024, arXiv:2410.13331"

    def __post_init__(self) -> None:
        check_temperature(self.sampling_tau, "sampling_tau")
        check_temperature(self.surrogate_tau, "surrogate_tau")

    def relax(
        self,
        logits: Float[Tensor, "B F"],
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, "B F"]:
        self.__post_init__()
        noise = gumbel_noise(logits, generator)
        hard = argmax_blocks(logits / self.sampling_tau + noise, cardinalities)
        soft = softmax_blocks(logits / self.surrogate_tau + noise, cardinalities)
        return straight_through(hard, soft)


@register("gumbel_rao")
@dataclass(kw_only=True)
class GumbelRao(Tempered):
    """Straight-through Gumbel whose Jacobian is averaged over noise that gives the same sample.

    Forward a sampled category; backward the mean of the Gumbel-softmax's Jacobians over `samples`
    draws of the noise, given that category. The more draws, the less variance; net1 is still
    evaluated once. tau is a surrogate temperature.

    Gradient
    --------
    Biased, as that of `StraightThroughGumbel` at the same tau, which it equals in expectation.
    """

    samples: Knob = 10

    gradient: ClassVar[str] = "biased: the mean Gumbel-softmax Jacobian, given the sampled vertex"
    source: ClassVar[str] = "Paulus et al. 2021, arXiv:2010.04838"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.samples = check_count(self.samples, "samples")

    def block(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        hard = sample_one_hot(logits, generator)
        shape = (self.samples, *logits.shape)
        fixed = logits.detach().expand(shape)
        noise = conditional_gumbels(fixed, hard.expand(shape), generator) - fixed
        return straight_through(hard, self.soft(logits + noise).mean(dim=0))
