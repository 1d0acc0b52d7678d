"""Which of two costs less, by how much, and whether that can be told from noise."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.compare.trials import PerRow, Trial
from tabkit.estimators import make, names

REFERENCE = "cross_entropy"  # sees the true categories, and never asks net1
TIE = 2.0  # standard errors


class Difference(NamedTuple):
    """By how much one costs more than another: a paired difference and its standard error."""

    mean: float
    error: float
    seeds: int
    over: str  # which of the two standard errors is the larger: "seeds" or "rows"

    @property
    def is_tie(self) -> bool:
        """Less than 2 standard errors from 0."""
        return abs(self.mean) < TIE * self.error or self.mean == 0

    def __str__(self) -> str:
        return f"{self.mean:+.3g} ± {self.error:.2g}"


def difference(one: dict[int, PerRow], other: dict[int, PerRow]) -> Difference:
    """What the other costs more than the one, over the seeds and rows that both have.

    The standard error is the larger of two: that over rows of the difference's mean over seeds and,
    from two seeds on, that over seeds of its mean over rows.
    """
    both = sorted(one.keys() & other.keys())
    d = torch.stack([other[seed] - one[seed] for seed in both]).double()  # (S, R)
    errors = {"rows": standard_error(d.mean(dim=0)), "seeds": standard_error(d.mean(dim=1))}
    over = max(errors, key=errors.get)
    return Difference(d.mean().item(), errors[over], len(both), over)


def standard_error(values: Tensor) -> float:
    """Of the mean of some values; 0 of a single one."""
    return values.std().item() / math.sqrt(len(values)) if len(values) > 1 else 0.0


def best_of(trials: Sequence[Trial], name: str) -> float:
    """The mean decoded loss by an estimator's best decoder; minus infinity for what has none."""
    own = [trial.decoded for trial in trials if trial.estimator == name and trial.decoded]
    means = [sum(each[d].mean().item() for each in own) / len(own) for d in (own[0] if own else ())]
    return min(means, default=-math.inf)


def no_better(trials: Sequence[Trial], ends: Float[Tensor, "A R"]) -> bool:
    """Whether nothing that was trained by net1's gradient beats the best constant row."""
    constant = ends[ends.mean(dim=1).argmin()]
    by_gradient = [t for t in trials if t.decoded and _by_gradient(t.estimator)]
    gains = (
        difference({t.seed: losses}, {t.seed: constant})
        for t in by_gradient
        for losses in t.decoded.values()
    )
    return bool(by_gradient) and all(gain.is_tie or gain.mean < 0 for gain in gains)


def _by_gradient(name: str) -> bool:
    """Whether an estimator goes by net1's gradient; an unbiased one is right whatever that is."""
    known = name.partition(":")[0]
    return known != REFERENCE and (known not in names() or make(known).bias != "unbiased")
