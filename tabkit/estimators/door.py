"""What every estimator passes: logits are checked and masked here, and knobs, nowhere else."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy

from tabkit import fast
from tabkit.objective import Objective
from tabkit.schema import check_codes
from tabkit.simplex import COLDEST, HOTTEST, Cardinalities, blocks, log_softmax

Logits = Float[Tensor, "B F"]
Simplex = Float[Tensor, "B F"]
Scalar = Float[Tensor, ""]
Noise = Generator | None  # where it comes from
LARGE = 1e4  # a logit beside which noise keeps three digits in float32
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class NotFiniteError(ValueError, FloatingPointError):
    """A logit that is no number: an argument that cannot be, or a training that diverged."""


def allowed_logits(logits: Logits, cardinalities: Cardinalities, *, finite: bool = True) -> Logits:
    """Logits ready for arithmetic: float32 at least, and finite, or at minus infinity as they are.

    A logit of minus infinity marks a category that is not allowed. It becomes a number so far below
    the largest of its block that its probability is 0 and no noise can lift it, but which can be
    added and multiplied without NaN; no gradient flows to it.

    Raises TypeError if the logits are no tensor of floats. Raises ValueError if they are not
    (B, F), a cardinality is no whole number from 1 on, the blocks do not sum to F, a logit is NaN
    or plus infinity, or a block allows nothing (the last two are not told where torch compiles or
    transforms, nor on a GPU, which would have to wait).

    Examples
    --------
    >>> masked = torch.tensor([[0.0, float("-inf"), 0.0]])
    >>> allowed_logits(masked, (3,)).softmax(dim=1)
    tensor([[0.5000, 0.0000, 0.5000]])
    """
    check_rows(logits, "logits", "F")
    blocks(logits, cardinalities)
    values = logits.to(torch.promote_types(logits.dtype, torch.float32))
    far = far_below(values.dtype)
    if not fast.looks(values):
        if not finite:
            return values
        return _Floor.apply(values, -far) if fast.eager() else values.clamp(min=-far)
    if not len(values) or max(map(abs, least_and_most(values))) <= LARGE:
        return values
    parts = blocks(values, cardinalities)
    tops = torch.stack([b.detach().amax(dim=-1) for b in parts], dim=-1)  # (B, C)
    for row, column in (tops.isnan() | tops.isposinf()).nonzero()[:1].tolist():
        raise NotFiniteError(
            f"a logit is NaN or plus infinity, in row {row}, column {column}: if net0 is in "
            "training, lower the learning rate or look for extreme values in the data"
        )
    for row, column in tops.isneginf().nonzero()[:1].tolist():
        raise ValueError(
            f"column {column} has no allowed category in row {row}: all of its logits are minus "
            "infinity"
        )
    if tops.abs().max() > LARGE:  # only differences count: noise would be lost beside such sums
        values = torch.cat([b - t for b, t in zip(parts, tops.split(1, -1), strict=True)], -1)
    return values.clamp(min=-2 * far) if finite else values


def least_and_most(values: Logits) -> tuple[float, float]:
    """The cheapest look at all of them; NaN if one is."""
    least, most = values.detach().aminmax()
    return least.item(), most.item()


def far_below(dtype: torch.dtype) -> float:
    """So far below another logit that the share is 0 at any temperature; its double is finite."""
    return torch.finfo(dtype).max ** 0.9


def check_rows(values: Any, what: str, width: str) -> None:
    """Raises TypeError if values are no tensor of floats, ValueError if they are not (B, _)."""
    if not isinstance(values, Tensor):
        raise TypeError(f"{what} are a tensor (B, {width}), not {type(values).__name__}")
    if values.dtype not in FLOATS:
        raise TypeError(f"{what} are floats, not {values.dtype}: codes have no gradient")
    if values.dim() != 2:
        raise ValueError(f"{what} are (B, {width}), not of the shape {tuple(values.shape)}")


def check_embedding(embedded: Any, widths: Sequence[int] | None) -> None:
    """As `allowed_logits`, of an embedding (B, C*D); the columns' widths, where they are known."""
    check_rows(embedded, "embeddings", "C*D")
    if widths is not None and embedded.shape[1] != sum(widths):
        raise ValueError(
            f"an embedding is {embedded.shape[1]} wide, but the tables' {tuple(widths)} sum to "
            f"{sum(widths)}"
        )
    if fast.looks(embedded) and not embedded.isfinite().all():
        row = int((~embedded.isfinite()).any(dim=1).nonzero()[0])
        raise NotFiniteError(f"the embedding of row {row} is not finite: lower the learning rate")


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
    return -(log_p.exp() * log_p.clamp(min=torch.finfo(log_p.dtype).min)).sum(dim=-1)


def label_nats(logits: Logits, objective: Objective, cardinalities: Cardinalities) -> Scalar:
    """Cross-entropy of the true codes, in nats, summed over columns, mean over rows.

    A label that is masked, a category that is not allowed, is left out: no logits could please it.
    Raises TypeError if the objective has no codes, ValueError if they are none of these rows.

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
    if fast.looks(values):
        check_codes(objective.codes, cardinalities)
    if len(objective.codes) != len(logits):
        raise ValueError(f"{len(logits)} rows of logits, but {len(objective.codes)} of codes")
    far, nats = far_below(values.dtype), values.new_zeros(())
    for block, truth in zip(blocks(values, cardinalities), objective.codes.unbind(1), strict=True):
        below = block.detach().amax(1) - block.detach().gather(1, truth[:, None])[:, 0]
        known = truth.masked_fill(below > far / 2, -100)  # torch leaves these out
        nats = nats + cross_entropy(block, known, reduction="sum")
    return nats / max(len(logits), 1)


def slope_of(losses: Float[Tensor, " B"], leaf: Simplex) -> Simplex:
    """Each row's gradient of its loss; 0 where the loss does not depend on it."""
    if not losses.requires_grad:
        return torch.zeros_like(leaf)
    options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
    return torch.autograd.grad(losses.sum(), leaf, **options)[0]


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


_BETWEEN = f"a number from {COLDEST} to {HOTTEST}"
Temperature = Annotated[Held, Kind(_BETWEEN, lambda t: COLDEST <= t <= HOTTEST)]
Positive = Temperature
Weight = Annotated[Held, Kind("a finite number of at least 0", lambda w: 0 <= w < math.inf)]
Finite = Annotated[Held, Kind("a finite number", math.isfinite)]
Share = Annotated[Held, Kind("a number from 0 to below 1", lambda s: 0 <= s < 1)]
Memory = Annotated[Held, Kind("a number from 0 to 1", lambda s: 0 <= s <= 1)]
Count = Annotated[Knob, at_least(1)]
Several = Annotated[Knob, at_least(2)]
