"""Estimators that differentiate the objective as it stands, at what they hand over."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from tabkit import relaxations
from tabkit.estimators.registry import (
    Bias,
    Estimator,
    LabelledObjective,
    Objective,
    evaluate,
    register,
)
from tabkit.schema import allowed_logits, split_blocks


@dataclass
class Relaxed(Estimator):
    """The objective at a relaxation of the logits, differentiated as it stands.

    Examples
    --------
    >>> logits = torch.zeros(1, 2, requires_grad=True)
    >>> loss = Relaxed(relaxations.make("softmax"))(
    ...     logits, lambda simplex: simplex @ torch.tensor([0.0, 4.0]), cardinalities=[2]
    ... )
    >>> loss.backward()
    >>> loss.item(), logits.grad
    (2.0, tensor([[-1.,  1.]]))
    """

    relaxation: relaxations.Relaxation

    @property
    def knobs(self) -> dict[str, relaxations.Knob]:
        return self.relaxation.knobs

    def change(self, **knobs: relaxations.Knob) -> None:
        self.relaxation.change(**knobs)

    @property
    def gradient(self) -> str:
        return self.relaxation.gradient

    @property
    def source(self) -> str:
        return self.relaxation.source

    def __call__(
        self,
        logits: Float[Tensor, "B F"],
        objective: Objective,
        *,
        cardinalities: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, ""]:
        simplex = self.relaxation(logits, cardinalities=cardinalities, generator=generator)
        return evaluate(objective, simplex).mean()


@register("cross_entropy")
@dataclass
class CrossEntropy(Estimator):
    """The reference with labels: cross-entropy on the true codes, nothing through net1.

    The value is the objective at the decoded row, so that it compares with the others; the
    gradient for the logits is that of the cross-entropy (nats, summed over columns, mean over
    rows); the continuous outputs learn through the objective at the decoded row.

    Gradient
    --------
    Exact, of the cross-entropy: of another loss than the objective.

    Raises
    ------
    TypeError
        If the objective does not know the true codes.
    """

    gradient: ClassVar[str] = "exact, of the cross-entropy on the true codes"
    bias: ClassVar[Bias] = "other"
    source: ClassVar[str] = "maximum likelihood"

    def __call__(
        self,
        logits: Float[Tensor, "B F"],
        objective: Objective,
        *,
        cardinalities: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, ""]:
        if not isinstance(objective, LabelledObjective) or objective.codes is None:
            raise TypeError("cross_entropy needs an objective with the true codes (B, C)")
        blocks = split_blocks(allowed_logits(logits, cardinalities), cardinalities)
        nats = sum(cross_entropy(b, objective.codes[:, c]) for c, b in enumerate(blocks))
        decoded = relaxations.HardArgmax()(logits, cardinalities=cardinalities)
        return evaluate(objective, decoded).mean() + (nats - nats.detach())
