"""Deterministic relaxations: softmax, the sparse projections, and the argmax itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from entmax import entmax15, sparsemax
from jaxtyping import Float
from torch import Tensor

from tabkit.relaxations.noise import straight_through
from tabkit.relaxations.ragged import argmax_blocks
from tabkit.relaxations.registry import Tempered, WholeRow, check_temperature, register


@register("softmax")
@dataclass(kw_only=True)
class Softmax(Tempered, WholeRow):
    """Softmax at temperature tau: a mixture of categories, the more mixed the larger tau.

    It maximises ``<x, logits> + tau * H(x)`` over the simplex, H the Shannon entropy.

    Gradient
    --------
    Exact, of the loss of the mixture; the decoded row is another point.

    Examples
    --------
    >>> Softmax(tau=0.5)(torch.tensor([[0.0, 0.0, 5.0]]), cardinalities=[2, 1])
    tensor([[0.5000, 0.5000, 1.0000]])
    """

    gradient: ClassVar[str] = "exact, of the mixture's loss"
    source: ClassVar[str] = "Bridle 1990"

    def relax(
        self,
        logits: Float[Tensor, "B F"],
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, "B F"]:
        return self.soft_blocks(logits, cardinalities)


@register("sparsemax")
@dataclass(kw_only=True)
class Sparsemax(Tempered):
    """The point of the simplex nearest to logits / tau; most shares are exactly 0.

    It minimises ``|x - logits / tau|^2`` over the simplex.

    Gradient
    --------
    Exact, of the mixture's loss; exactly 0 once one category has the whole share, so a net that
    has made up its mind, rightly or wrongly, learns no more.

    Examples
    --------
    >>> Sparsemax()(torch.tensor([[0.5, 0.0, -2.0]]), cardinalities=[3])
    tensor([[0.7500, 0.2500, 0.0000]])
    """

    gradient: ClassVar[str] = "exact, of the sparse mixture's loss; 0 at a vertex"
    source: ClassVar[str] = "Martins and Astudillo 2016, arXiv:1602.02068"

    def block(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        return sparsemax(logits / check_temperature(self.tau), dim=1)


@register("entmax15")
@dataclass(kw_only=True)
class Entmax15(Tempered):
    """Entmax with alpha = 1.5, between softmax (1) and sparsemax (2).

    It maximises ``<x, logits / tau> + H(x)`` over the simplex, H the Tsallis entropy of order 1.5.

    Gradient
    --------
    Exact, of the mixture's loss; exactly 0 at a vertex.

    Examples
    --------
    >>> Entmax15()(torch.tensor([[0.0, 0.0, -4.0]]), cardinalities=[3])
    tensor([[0.5000, 0.5000, 0.0000]])
    """

    gradient: ClassVar[str] = "exact, of the sparse mixture's loss; 0 at a vertex"
    source: ClassVar[str] = "Peters et al. 2019, arXiv:1905.05702"

    def block(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        return entmax15(logits / check_temperature(self.tau), dim=1)


@register("hard_argmax")
@dataclass(kw_only=True)
class HardArgmax(WholeRow):
    """The vertex of the largest logit: what decoding does.

    Gradient
    --------
    None for the logits: the argmax is piecewise constant. The continuous outputs still get
    theirs, so this is the "no gradient for the categories" reference.

    Examples
    --------
    >>> HardArgmax()(torch.tensor([[0.1, 0.2, 0.0]]), cardinalities=[3])
    tensor([[0., 1., 0.]])
    """

    gradient: ClassVar[str] = "none for the logits"
    source: ClassVar[str] = "the decoding rule itself"

    def relax(
        self,
        logits: Float[Tensor, "B F"],
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, "B F"]:
        return argmax_blocks(logits, cardinalities)


@register("straight_through_argmax")
@dataclass(kw_only=True)
class StraightThroughArgmax(Tempered, WholeRow):
    """Forward the vertex of the largest logit, backward the softmax at temperature tau.

    Gradient
    --------
    Biased: that of a loss that is linear in the simplex, at the softmax's Jacobian.

    Source
    ------
    Bengio, Leonard and Courville 2013, arXiv:1308.3432 (there for binary units and samples).
    """

    gradient: ClassVar[str] = "biased: the softmax's Jacobian at the vertex's loss gradient"
    source: ClassVar[str] = "Bengio et al. 2013, arXiv:1308.3432"

    def relax(
        self,
        logits: Float[Tensor, "B F"],
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, "B F"]:
        hard = argmax_blocks(logits, cardinalities)
        return straight_through(hard, self.soft_blocks(logits, cardinalities))
