"""Estimators whose net0 outputs the embedding itself, snapped by kNN (k = 1) when decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from tabkit.estimators.registry import (
    Bias,
    EmbeddingObjective,
    Estimator,
    Head,
    Objective,
    SnappingObjective,
    evaluate,
    register,
)
from tabkit.relaxations import Knob


@register("direct_embedding")
@dataclass
class DirectEmbedding(Estimator):
    """net0 outputs the embedding itself, free of the tables; decoding snaps it by kNN (k = 1).

    Its `logits` argument is therefore an embedding (B, C*D), and its objective must also take
    embeddings (`EmbeddingObjective`).

    Gradient
    --------
    Exact, of the loss of the free embedding; the snapped row is another point.

    Raises
    ------
    TypeError
        If the objective takes no embeddings.
    """

    head: ClassVar[Head] = "embedding"
    gradient: ClassVar[str] = "exact, of the free embedding's loss"
    bias: ClassVar[Bias] = "other"
    source: ClassVar[str] = "the forum's suggestion: predict the embedding, decode by kNN"

    def __call__(
        self,
        logits: Float[Tensor, "B CD"],
        objective: Objective,
        *,
        cardinalities: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, ""]:
        if not isinstance(objective, EmbeddingObjective):
            raise TypeError(
                "direct_embedding needs an objective with a method embedded(e), which takes "
                f"embeddings (B, C*D); {type(objective).__name__} has none"
            )
        return evaluate(objective.embedded, logits).mean()


@dataclass(kw_only=True)
class Snapped(Estimator):
    """Forward the nearest category's embedding in each column, backward a rule of the subclass.

    A commitment penalty draws the embedding to the category that it was snapped to, so that it
    does not wander off; its gradient is added to that of the loss, and the value is the loss alone.
    """

    commitment: Knob = 0.25

    head: ClassVar[Head] = "embedding"
    bias: ClassVar[Bias] = "other"

    def __post_init__(self) -> None:
        if not 0 <= self.commitment < float("inf"):
            raise ValueError(f"commitment must be a number of at least 0, not {self.commitment}")

    def __call__(
        self,
        logits: Float[Tensor, "B CD"],
        objective: Objective,
        *,
        cardinalities: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, ""]:
        if not isinstance(objective, SnappingObjective):
            raise TypeError(
                f"{type(self).__name__} needs an objective with widths and the methods embedded, "
                f"snap and logits, which take embeddings (B, C*D); {type(objective).__name__} "
                "has not all of them"
            )
        snapped = objective.snap(logits).detach()
        moved = snapped + self.move(logits, snapped, objective.widths)
        committed = self.commitment * (logits - snapped).pow(2).sum(dim=1).mean()
        return evaluate(objective.embedded, moved).mean() + (committed - committed.detach())

    def move(
        self,
        embedded: Float[Tensor, "B CD"],
        snapped: Float[Tensor, "B CD"],
        widths: Sequence[int],
    ) -> Float[Tensor, "B CD"]:
        """Exactly 0, with the gradient that the embedding shall get.

        Written ``x - x.detach()`` for that reason: ``e + (q - e).detach()`` is not q to the bit.
        """
        raise NotImplementedError


@register("vq_straight_through")
@dataclass(kw_only=True)
class VQStraightThrough(Snapped):
    """The quantiser of VQ-VAE: snap, and pass the gradient at the category to the embedding as is.

    Gradient
    --------
    Biased: the loss's gradient at the nearest category's embedding, plus the commitment's.

    Deviations
    ----------
    The tables are frozen, so there is no codebook loss.
    """

    gradient: ClassVar[str] = "biased: the snapped embedding's loss gradient, plus commitment"
    source: ClassVar[str] = "van den Oord et al. 2017, arXiv:1711.00937"

    def move(
        self,
        embedded: Float[Tensor, "B CD"],
        snapped: Float[Tensor, "B CD"],
        widths: Sequence[int],
    ) -> Float[Tensor, "B CD"]:
        return embedded - embedded.detach()


@register("rotation_trick")
@dataclass(kw_only=True)
class RotationTrick(Snapped):
    """Snap, and pass the gradient back through the rotation and scaling of e to its category q.

    Rotation and scale count as constants, so the angle between gradient and embedding stays what
    it is at the category.

    Gradient
    --------
    Biased: the loss's gradient at the category's embedding, rotated back and scaled by |q|/|e|,
    plus the commitment's.

    Deviations
    ----------
    An embedding opposite to its category has no single shortest rotation: there, and where either
    is 0, the reflection that is left of the formula is used, which is finite.
    """

    commitment: Knob = 1.0

    gradient: ClassVar[str] = "biased: the snapped loss gradient, rotated back, plus commitment"
    source: ClassVar[str] = "Fifty et al. 2024, arXiv:2410.06424"

    def move(
        self,
        embedded: Float[Tensor, "B CD"],
        snapped: Float[Tensor, "B CD"],
        widths: Sequence[int],
    ) -> Float[Tensor, "B CD"]:
        columns = zip(embedded.split(widths, dim=1), snapped.split(widths, dim=1), strict=True)
        rotated = torch.cat([rotate(e, q) for e, q in columns], dim=1)
        return rotated - rotated.detach()


def rotate(
    e: Float[Tensor, "B D"], q: Float[Tensor, "B D"], *, eps: float = 1e-6
) -> Float[Tensor, "B D"]:
    """The rotation and scaling that takes e to q, applied to e, with both held constant.

    Half types are rotated in float32, where `eps` is not 0.
    """
    wide = e.to(torch.promote_types(e.dtype, torch.float32))
    with torch.no_grad():
        u, v = normalize(wide, dim=1, eps=eps), normalize(q.to(wide.dtype), dim=1, eps=eps)
        between = normalize(u + v, dim=1, eps=eps)
        scale = q.to(wide.dtype).norm(dim=1, keepdim=True)
        scale = scale / wide.norm(dim=1, keepdim=True).clamp(min=eps)
    along, start = ((wide * x).sum(dim=1, keepdim=True) for x in (between, u))
    return (scale * (wide - 2 * along * between + 2 * start * v)).to(e.dtype)
