"""What a step of net0's training is made of: its output, its objective, both losses."""

from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tabkit.data import Dataset
from tabkit.estimators import Estimator
from tabkit.nets import (
    Batch,
    ObjectiveOf,
    Prediction,
    SquaredDistance,
    cardinalities_of,
    device_of,
    dtype_of,
    encode_rows,
    head_of,
    logits_of,
)
from tabkit.objective import Objective
from tabkit.simplex import argmax_codes


class Distances:
    """The default objective: the squared distance behind net1 to the true rows' outputs.

    Parameters
    ----------
    all_at_once
        Encode all rows of the data set when the first are needed, and keep their outputs.
    """

    def __init__(self, net1: Any, dataset: Dataset, *, all_at_once: bool = False) -> None:
        self.all_at_once = all_at_once
        self.outputs = cache(lambda: encode_rows(net1, dataset.rows))

    def __call__(self, net1: Any, batch: Batch) -> SquaredDistance:
        if self.all_at_once:
            outputs = self.outputs()
            target = outputs[batch.index.to(outputs.device)]
        else:
            target = encode_rows(net1, batch.rows)
        return SquaredDistance(net1, batch.continuous, target, batch.rows.codes)


class Predicting:
    """net0, net1, the data and the estimator, as a step needs them; some as `fit_predictor` has."""

    def __init__(
        self,
        net0: Any,
        net1: Any,
        dataset: Dataset,
        estimator: Estimator,
        *,
        unseen: bool = False,
        decode_every: int = 0,
    ) -> None:
        self.net0, self.net1, self.dataset, self.estimator = net0, net1, dataset, estimator
        self.decode_every = decode_every
        self.cardinalities = cardinalities_of(net1)
        if not unseen and not bool(dataset.seen.all()):
            allow(net0, dataset.seen)

    def predict(self, index: Tensor) -> tuple[Prediction, Batch]:
        """net0's output for the rows at `index`, and the rows."""
        device, dtype = device_of(self.net1), dtype_of(self.net1)
        rows = self.dataset.rows[index].to(device, dtype)
        signal = self.dataset.signal[index].to(device, dtype)
        prediction = Prediction(*self.net0(signal))
        if head_of(self.net0) == "logits" and not hasattr(self.net0, "allow"):  # which would mask
            logits = logits_of(self.net0, self.net1, prediction)
            prediction = prediction._replace(categorical=logits)
        return prediction, Batch(signal, prediction.continuous, rows, index)

    def losses(
        self, step: int, index: Tensor, make: ObjectiveOf, noise: torch.Generator | None
    ) -> tuple[Float[Tensor, ""], float | None]:
        """The relaxed loss of the rows at `index`; in some steps the decoded one, too."""
        prediction, batch = self.predict(index)
        objective = Objective.of(make(self.net1, batch))
        loss = self.relaxed(prediction, objective, noise)
        due = self.decode_every > 0 and (step == 1 or step % self.decode_every == 0)
        return loss, self.decoded(prediction, objective) if due else None

    def relaxed(
        self, prediction: Prediction, objective: Objective, noise: torch.Generator | None
    ) -> Float[Tensor, ""]:
        """The estimator's loss."""
        K = self.cardinalities
        return self.estimator(prediction[0], objective, cardinalities=K, generator=noise)

    @torch.no_grad()
    def decoded(self, prediction: Prediction, objective: Objective) -> float:
        """The loss of the argmax rows."""
        codes = argmax_codes(logits_of(self.net0, self.net1, prediction), self.cardinalities)
        given = objective.typed(prediction[0].dtype)
        return given.hard(codes, self.cardinalities).mean().item()


def allow(net0: Any, seen: Bool[Tensor, " F"]) -> None:
    """Keeps net0, whatever it is, from what was never seen: now, and when it decodes."""
    seen = seen.to(device_of(net0))
    allowed = seen & getattr(net0, "allowed", seen)
    if hasattr(net0, "allow"):
        net0.allow(allowed)
    elif hasattr(net0, "allowed"):
        net0.allowed = allowed
    else:
        net0.register_buffer("allowed", allowed, persistent=False)
