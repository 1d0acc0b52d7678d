"""What every estimator passes: logits are checked and masked here, and knobs, nowhere else."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy

from tabkit import fast
from tabkit.objective import Objective
from tabkit.simplex import Cardinalities, blocks, log_softmax

Logits = Float[Tensor, "B F"]
Simplex = Float[Tensor, "B F"]
Scalar = Float[Tensor, ""]
Noise = Generator | None  # where it comes from


class NotFiniteError(ValueError, FloatingPointError):
    """A logit that is no number: an argument that cannot be, or a training that diverged."""


def allowed_logits(logits: Logits, cardinalities: Cardinalities, *, finite: bool = True) -> Logits:
    """Logits ready for arithmetic: float32 at least, and finite, or at minus infinity as they are.

    A logit of minus infinity marks a category that is not allowed. It becomes a number so far below
    the largest of its block that its probability is 0 and no noise can lift it, but which can be
    added and multiplied without NaN; no gradient flows to it.

    Raises TypeError if the logits are no floats. Raises ValueError if the blocks do not sum to F, a
    logit is NaN or plus infinity, or a block allows nothing (not told where torch compiles or
    transforms, nor on a GPU, which would have to wait).

    Examples
    --------
    >>> masked = torch.tensor([[0.0, float("-inf"), 0.0]])
    >>> allowed_logits(masked, (3,)).softmax(dim=1)
    tensor([[0.5000, 0.0000, 0.5000]])
    """
    if not logits.is_floating_point():
        raise TypeError(f"logits are floats, not {logits.dtype}: codes have no gradient")
    parts = blocks(logits, cardinalities)
    values = logits.to(torch.promote_types(logits.dtype, torch.float32))
    far = torch.finfo(values.dtype).max ** 0.5
    if not fast.looks(values):
        if not finite:
            return values
        return _Floor.apply(values, -far) if fast.eager() else values.clamp(min=-far)
    if math.isfinite(values.detach().sum()):  # the cheapest look at all of them
        return values
    tops = torch.stack([b.detach().amax(dim=-1) for b in parts]).to(values.dtype)
    if tops.isnan().any() or tops.isposinf().any():
        raise NotFiniteError(
            "a logit is NaN or plus infinity: if net0 is in training, lower the learning rate or "
            "look for extreme values in the data"
        )
    if tops.isneginf().any():
        raise ValueError("a block has no allowed category: all of its logits are minus infinity")
    floor = tops.min() - tops.abs().max().clamp(min=far)
    return values.clamp(min=floor.clamp(min=torch.finfo(values.dtype).min).item())


class _Floor(torch.autograd.Function):
    """The clamp from below, which asks nobody on its way back what lay below: its share is 0."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, least: float) -> Tensor:
        return values.clamp(min=least)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def entropy(logits: Logits, cardinalities: Cardinalities) -> Float[Tensor, " B"]:
    """Shannon entropy of softmax(logits), in nats, summed over columns.

    Examples
    --------
    >>> entropy(torch.zeros(1, 2), [2])  # log 2
    tensor([0.6931])
    """
    log_p = log_softmax(allowed_logits(logits, cardinalities), cardinalities)
    return -(log_p.exp() * log_p).sum(dim=-1)


def label_nats(logits: Logits, objective: Objective, cardinalities: Cardinalities) -> Scalar:
    """Cross-entropy of the true codes, in nats, summed over columns, mean over rows.

    A label that is masked, a category that is not allowed, is left out: no logits could please it.
    Raises TypeError if the objective has no codes.

    Examples
    --------
    >>> objective = Objective(torch.sum)
    >>> objective.codes = torch.tensor([[1], [0]])
    >>> logits = torch.tensor([[0.0, 0.0], [-torch.inf, 0.0]])
    >>> label_nats(logits, objective, [2])  # (log 2 + nothing) / 2
    tensor(0.3466)
    """
    if objective.codes is None:
        raise TypeError("cross_entropy and label_weight need an objective with the true codes")
    values = allowed_logits(logits, cardinalities)
    far, nats = torch.finfo(values.dtype).max ** 0.5, values.new_zeros(())
    for block, truth in zip(blocks(values, cardinalities), objective.codes.unbind(1), strict=True):
        below = block.detach().amax(1) - block.detach().gather(1, truth[:, None])[:, 0]
        known = truth.masked_fill(below > far / 2, -100)  # torch leaves these out
        nats = nats + cross_entropy(block, known, reduction="sum")
    return nats / max(len(logits), 1)


def with_gradient(loss: Scalar, logits: Logits, gradient: Logits) -> Scalar:
    """`loss` as it is, whose backward also gives the logits a gradient: per row, mean over rows."""
    step = logits - logits.detach()  # 0, with a gradient
    return loss + (step * gradient.detach()).sum() / max(len(logits), 1)


Knob = float | int
Held = Knob | Scalar  # in a captured step, a number that changes is a tensor


@dataclass(frozen=True)
class Kind:
    """What a knob may be, in words and as a test."""

    words: str
    holds: Callable[[Knob], bool]
    whole: bool = False

    def check(self, name: str, value: Knob) -> Knob:
        """The value, as an int or a float as the kind has it; ValueError if it is not allowed."""
        number = isinstance(value, Knob) and not isinstance(value, bool)
        if not (number and self.holds(value)):
            raise ValueError(f"{name} must be {self.words}, not {value}")
        return int(value) if self.whole else float(value)


def at_least(least: int) -> Kind:
    """Whole numbers from some number on."""
    words = f"a whole number of at least {least}"
    return Kind(words, lambda n: least <= n < math.inf and n == int(n), whole=True)


Temperature = Annotated[Held, Kind("a finite number above 0", lambda t: math.isfinite(t) and t > 0)]
Positive = Temperature
Weight = Annotated[Held, Kind("a finite number of at least 0", lambda w: 0 <= w < math.inf)]
Finite = Annotated[Held, Kind("a finite number", math.isfinite)]
Share = Annotated[Held, Kind("a number from 0 to below 1", lambda s: 0 <= s < 1)]
Memory = Annotated[Held, Kind("a number from 0 to 1", lambda s: 0 <= s <= 1)]
Count = Annotated[Knob, at_least(1)]
Several = Annotated[Knob, at_least(2)]
