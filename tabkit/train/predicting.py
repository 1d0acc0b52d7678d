"""What a step of net0's training is made of: its output, its objective, both losses."""

from copy import copy
from dataclasses import KW_ONLY, dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tabkit import nets
from tabkit.data import Dataset
from tabkit.estimators import Estimator
from tabkit.nets import Batch, ObjectiveOf, Prediction, SquaredDistance
from tabkit.objective import Objective
from tabkit.schema import DataError, Fixed
from tabkit.simplex import argmax_codes


class Distances:
    """The default objective: the squared distance behind net1 to the true rows' outputs.

    With `all_at_once`, all rows of the data set are encoded when the first are needed, and kept.
    """

    def __init__(self, net1: Any, dataset: Dataset, *, all_at_once: bool = False) -> None:
        self._of, self._kept = (net1, dataset.rows) if all_at_once else None, None

    @property
    def outputs(self) -> Float[Tensor, "_ Z"] | None:
        """net1's outputs for all rows, if they are kept."""
        if self._kept is None and self._of is not None:
            self._kept = nets.encode_rows(*self._of)
        return self._kept

    def __call__(self, net1: Any, batch: Batch) -> SquaredDistance:
        kept = self.outputs
        if kept is None:
            target = nets.encode_rows(net1, batch.rows)
        else:
            target = kept[batch.index.to(kept.device)]
        return SquaredDistance(net1, batch.continuous, target, batch.rows.codes)


@dataclass(eq=False)
class Predicting:
    """net0, net1, the data and the estimator, as a step needs them; some as `fit_predictor` has."""

    net0: Any
    net1: Any
    dataset: Dataset
    estimator: Estimator
    _: KW_ONLY
    unseen: bool = False
    fixed: Fixed | None = None

    def __post_init__(self) -> None:
        self.cardinalities = nets.cardinalities_of(self.net1)
        where = nets.device_of(self.net1), nets.dtype_of(self.net1)
        self.data = self.dataset.to(*where)  # once
        if not self.unseen and not bool(self.dataset.seen.all()):
            allow(self.net0, self.dataset.seen)
        if self.fixed is not None and self.fixed.values:
            allow(self.net0, self.fixed.allowed)
            fix(self.net0, self.fixed.numbers)

    def predict(self, index: Tensor) -> tuple[Prediction, Batch]:
        """net0's output for the rows at `index`, and the rows."""
        index = index.to(self.data.signal.device)
        rows, signal = self.data.rows[index], self.data.signal[index]
        prediction = nets.predicted(self.net0, signal, self.net1)
        if not hasattr(self.net0, "fix"):
            prediction = prediction._replace(continuous=nets.numbers_of(self.net0, prediction))
        masks = hasattr(self.net0, "allow")
        if nets.head_of(self.net0) == "logits" and not masks:
            logits = nets.logits_of(self.net0, self.net1, prediction)
            prediction = prediction._replace(categorical=logits)
        return prediction, Batch(signal, prediction.continuous, rows, index)

    def asked(self, index: Tensor, make: ObjectiveOf) -> tuple[Prediction, Objective]:
        """net0's output for the rows at `index`, and what it costs."""
        prediction, batch = self.predict(index)
        return prediction, labelled(Objective.of(make(self.net1, batch)), batch)

    def relaxed(
        self, prediction: Prediction, objective: Objective, noise: torch.Generator | None
    ) -> Float[Tensor, ""]:
        """The estimator's loss."""
        K = self.cardinalities
        return self.estimator(prediction[0], objective, cardinalities=K, generator=noise)

    @torch.no_grad()
    def decoded(self, prediction: Prediction, objective: Objective) -> Float[Tensor, ""]:
        """The loss of the argmax rows."""
        K, given = self.cardinalities, objective.typed(prediction[0].dtype)
        codes = argmax_codes(nets.logits_of(self.net0, self.net1, prediction), K)
        return given.hard(codes, K).mean()

    @torch.no_grad()
    def decoded_at(self, index: Tensor, make: ObjectiveOf, part: int) -> Float[Tensor, ""]:
        """The same of the rows at `index`, so many at a time."""
        parts = [(self.decoded(*self.asked(i, make)), len(i)) for i in index.split(part)]
        return sum(loss * (rows / len(index)) for loss, rows in parts)


def labelled(objective: Objective, batch: Batch) -> Objective:
    """The same, knowing the true codes of its rows."""
    if objective.codes is None:
        objective = copy(objective)
        objective.codes = batch.rows.codes
    return objective


def allow(net0: Any, seen: Bool[Tensor, " F"]) -> None:
    """Keeps net0, whatever it is, to some categories: now, and when it decodes."""
    seen = seen.to(nets.device_of(net0))
    keep(net0, "allow", "allowed", seen & getattr(net0, "allowed", seen))


def fix(net0: Any, numbers: Float[Tensor, " N"]) -> None:
    """Gives net0, whatever it is, the numbers that are finite: now, and when it decodes."""
    numbers = numbers.to(nets.device_of(net0))
    before = getattr(net0, "fixed", numbers).to(numbers)
    keep(net0, "fix", "fixed", torch.where(numbers.isfinite(), numbers, before))


def keep(net0: Any, method: str, name: str, value: Tensor) -> None:
    """Sets what net0 keeps to, by its own method if it has one."""
    if hasattr(net0, method):
        getattr(net0, method)(value)
    elif hasattr(net0, name):
        setattr(net0, name, value)
    else:
        net0.register_buffer(name, value, persistent=False)


def check_seen(fixed: Fixed, dataset: Dataset, unseen: bool) -> None:
    """A fixed category has a training row, if `unseen` does not allow others; else DataError."""
    K = dataset.schema.cardinalities
    possible = (fixed.allowed & dataset.seen).split(K)
    for spec, block in zip(dataset.schema.categorical, possible, strict=True):
        if spec.name in fixed.values and not unseen and not bool(block.any()):
            raise DataError(
                "is fixed, and no training row has it: nothing has trained its embedding",
                "fix a category that training rows have, or pass unseen=True",
                column=spec.name,
                value=fixed.values[spec.name],
            )
