"""What net0 hands over for some rows, before a hard row is made of it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tabkit import estimators
from tabkit.estimators import Estimator
from tabkit.nets import (
    Batch,
    ObjectiveOf,
    Prediction,
    SquaredDistance,
    ask,
    cardinalities_of,
    device_of,
    dtype_of,
    embedded,
    logits_of,
)
from tabkit.objective import Objective


@dataclass(frozen=True, eq=False)
class Handed:
    """What net0 hands to net1: a mixture, a sample, a hard row, or a free embedding.

    Attributes
    ----------
    net1 : the frozen encoder
    logits : (B, F), minus infinity where a category is not allowed
    continuous : (B, N), net0's numbers
    simplex : (B, F), or None where net0 outputs embeddings
    free : (B, C*D), the embedding that it outputs, or None
    wanted : what the rows cost, if not their distance from net1's output for what was handed over
    """

    net1: Any
    logits: Float[Tensor, "B F"]
    continuous: Float[Tensor, "B N"]
    simplex: Float[Tensor, "B F"] | None
    free: Float[Tensor, "B CD"] | None
    wanted: Objective | None = None

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """K of each column."""
        return cardinalities_of(self.net1)

    @property
    def allowed(self) -> Bool[Tensor, "B F"]:
        """The categories that may be decoded."""
        return ~self.logits.isneginf()

    @cached_property
    def embedding(self) -> Float[Tensor, "B CD"]:
        """What was handed over, as embeddings; asks net1 for its tables."""
        if self.free is not None:
            return self.free
        return ask(self.net1, "embedding", "to see what was handed over")(self.simplex)

    @cached_property
    def output(self) -> Float[Tensor, "B Z"]:
        """net1's output for it."""
        if self.free is None:
            return self.net1(self.simplex, self.continuous)
        return embedded(self.net1, self.free, self.continuous)

    @property
    def objective(self) -> Objective:
        """What a search lowers."""
        if self.wanted is not None:
            return self.wanted
        return SquaredDistance(self.net1, self.continuous, self.output)


@torch.no_grad()
def handed_over(
    net0: Any,
    signal: Float[Tensor, "B S"],
    net1: Any,
    *,
    estimator: Estimator | str | None = None,
    objective: ObjectiveOf | None = None,
    allowed: Bool[Tensor, " F"] | None = None,
    seed: int = 0,
) -> Handed:
    """What net0 hands over for some signals; the parameters are those of `decode`."""
    signal = signal.to(device_of(net1), dtype_of(net1))
    prediction = Prediction(*net0(signal))
    categorical, continuous = prediction
    logits = logits_of(net0, net1, prediction)
    if allowed is not None:
        logits = logits.masked_fill(~allowed.to(logits.device), -torch.inf)
    chosen = estimators.make(estimator) if isinstance(estimator, str) else estimator
    wanted = None
    if objective is not None:
        wanted = Objective.of(objective(net1, Batch(signal, continuous)))
    if getattr(net0, "head", "logits") == "embedding":
        free = categorical
        if chosen is not None and chosen.rule.snaps:
            free = SquaredDistance(net1, continuous, continuous).snap(categorical)
        return Handed(net1, logits, continuous, None, free, wanted)
    noise = torch.Generator(logits.device).manual_seed(seed)
    chosen = chosen or estimators.make("softmax")
    point = chosen.simplex(logits, cardinalities=cardinalities_of(net1), generator=noise)
    return Handed(net1, logits, continuous, point, None, wanted)
