"""Estimators whose net0 outputs the embedding itself, snapped by kNN (k = 1) when decoded."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from tabkit.estimators.door import Weight, with_gradient
from tabkit.estimators.registry import estimator
from tabkit.estimators.soft import Scalar
from tabkit.objective import Objective

Embedded = Float[Tensor, "B CD"]


@estimator(
    head="embedding",
    gradient="exact, of the free embedding's loss",
    bias="other",
    source="the forum's suggestion: predict the embedding, decode by kNN",
)
def direct_embedding(embedded: Embedded, objective: Objective) -> Scalar:
    """net0 outputs the embedding itself, free of the tables; decoding snaps it by kNN (k = 1)."""
    return objective.embedded(embedded).mean()


@estimator(
    head="embedding",
    gradient="biased: the snapped embedding's loss gradient, plus commitment",
    bias="other",
    source="van den Oord et al. 2017, arXiv:1711.00937",
    snaps=True,
)
def vq_straight_through(
    embedded: Embedded, objective: Objective, *, commitment: Weight = 0.25
) -> Scalar:
    """The quantiser of VQ-VAE: snap, and pass the gradient at the category to the embedding as is.

    A commitment penalty draws the embedding to the category that it was snapped to, so that it does
    not wander off; its gradient is added to that of the loss, and the value is the loss alone.

    Deviations: the tables are frozen, so there is no codebook loss.
    """
    snapped = objective.snap(embedded).detach()
    moved = snapped + (embedded - embedded.detach())  # to the bit, which e + (q - e) is not
    return committed(objective.embedded(moved).mean(), embedded, snapped, commitment)


@estimator(
    head="embedding",
    gradient="biased: the snapped loss gradient, rotated back, plus commitment",
    bias="other",
    source="Fifty et al. 2024, arXiv:2410.06424",
    snaps=True,
)
def rotation_trick(embedded: Embedded, objective: Objective, *, commitment: Weight = 1.0) -> Scalar:
    """Snap, and pass the gradient back through the rotation and scaling of e to its category q.

    Rotation and scale count as constants, so the angle between gradient and embedding stays what
    it is at the category. A commitment penalty is added, as in `vq_straight_through`.

    Deviations: an embedding opposite to its category has no single shortest rotation: there, and
    where either is 0, the reflection that is left of the formula is used, which is finite.
    """
    snapped = objective.snap(embedded).detach()
    columns = (x.split(objective.widths, dim=1) for x in (embedded, snapped))
    rotated = torch.cat([rotate(e, q) for e, q in zip(*columns, strict=True)], dim=1)
    moved = snapped + (rotated - rotated.detach())
    return committed(objective.embedded(moved).mean(), embedded, snapped, commitment)


def committed(loss: Scalar, embedded: Embedded, snapped: Embedded, weight: Weight) -> Scalar:
    """The loss, with the gradient of ``weight * |e - q|^2`` added, a mean over rows.

    The square itself, which halves lack from 256 on, is not worked out.
    """
    return with_gradient(loss, embedded, 2 * weight * (embedded - snapped))


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
