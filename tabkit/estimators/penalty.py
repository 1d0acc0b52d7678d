"""An entropy penalty that goes with any estimator."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.estimators.registry import Bias, Estimator, Head, Objective, SnappingObjective
from tabkit.relaxations import Knob
from tabkit.schema import allowed_logits, map_blocks


def entropy(logits: Float[Tensor, "B F"], cardinalities: Sequence[int]) -> Float[Tensor, " B"]:
    """Shannon entropy of softmax(logits), in nats, summed over columns.

    Examples
    --------
    >>> entropy(torch.zeros(1, 2), [2])  # log 2
    tensor([0.6931])
    """
    allowed = allowed_logits(logits, cardinalities)
    log_p = map_blocks(lambda block: block.log_softmax(dim=1), cardinalities, allowed)
    return -(log_p.exp() * log_p).sum(dim=1)


@dataclass
class EntropyPenalty(Estimator):
    """Another estimator, and a gradient that lowers (or, if negative, raises) the entropy.

    ``entropy_penalty * entropy(logits)``, in nats summed over columns, mean over rows, is added
    to the gradient; the value stays the other's relaxed loss, so that runs compare. With an
    embedding head, the logits are minus the squared distances to the categories.

    Gradient
    --------
    The other's, plus the exact one of the penalty.
    """

    estimator: Estimator
    entropy_penalty: Knob

    def __post_init__(self) -> None:
        if not math.isfinite(self.entropy_penalty):
            raise ValueError(f"entropy_penalty must be a finite number, not {self.entropy_penalty}")

    @property
    def knobs(self) -> dict[str, Knob]:
        return self.estimator.knobs | {"entropy_penalty": self.entropy_penalty}

    def change(self, **knobs: Knob) -> None:
        penalty = knobs.pop("entropy_penalty", self.entropy_penalty)
        EntropyPenalty(self.estimator, penalty)  # a bad value is told before anything changes
        self.estimator.change(**knobs)
        self.entropy_penalty = penalty

    @property
    def head(self) -> Head:
        return self.estimator.head

    @property
    def gradient(self) -> str:
        return f"{self.estimator.gradient}; plus the entropy penalty's"

    @property
    def bias(self) -> Bias:
        return "other"

    @property
    def source(self) -> str:
        return self.estimator.source

    def evaluations(self, cardinalities: Sequence[int]) -> int:
        return self.estimator.evaluations(cardinalities)

    def state(self) -> dict[str, float]:
        return self.estimator.state()

    def load(self, state: Mapping[str, float]) -> None:
        self.estimator.load(state)

    def __call__(
        self,
        logits: Float[Tensor, "B _"],
        objective: Objective,
        *,
        cardinalities: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, ""]:
        loss = self.estimator(logits, objective, cardinalities=cardinalities, generator=generator)
        if self.head == "embedding":
            logits = self._distances(logits, objective)
        penalty = self.entropy_penalty * entropy(logits, cardinalities).mean()
        return loss + (penalty - penalty.detach())

    @staticmethod
    def _distances(embedded: Tensor, objective: Objective) -> Float[Tensor, "B F"]:
        if not isinstance(objective, SnappingObjective):
            raise TypeError(
                "an entropy penalty on an embedding needs an objective with a method logits(e); "
                f"{type(objective).__name__} has none"
            )
        return objective.logits(embedded)
