"""What every estimator is: its contract, what it declares, its name."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tabkit import relaxations
from tabkit.schema import allowed_logits

Objective = Callable[[Float[Tensor, "B F"]], Float[Tensor, " B"]]
Head = Literal["logits", "embedding"]
Bias = Literal["exact", "unbiased", "biased", "other"]

_REGISTRY: dict[str, type["Estimator"]] = {}


@runtime_checkable
class EmbeddingObjective(Protocol):
    """An objective that also takes embeddings, (B, C*D) -> loss per row (B,)."""

    def embedded(self, embedded: Float[Tensor, "B CD"]) -> Float[Tensor, " B"]: ...


@runtime_checkable
class SnappingObjective(EmbeddingObjective, Protocol):
    """An `EmbeddingObjective` that also finds the nearest category of each column's embedding."""

    widths: Sequence[int]

    def snap(self, embedded: Float[Tensor, "B CD"]) -> Float[Tensor, "B CD"]: ...

    def logits(self, embedded: Float[Tensor, "B CD"]) -> Float[Tensor, "B F"]: ...


@runtime_checkable
class LabelledObjective(Protocol):
    """An objective that knows the true codes (B, C) of its rows."""

    codes: Int64[Tensor, "B C"] | None


@runtime_checkable
class ExchangingObjective(Protocol):
    """An objective that knows what it costs to exchange one category of hard rows.

    `exchanges(codes)` returns a function of a column and, if wanted, of the categories (B, M) that
    come in, else every category in turn, to the losses (B, M).
    """

    def exchanges(self, codes: Int64[Tensor, "B C"]) -> Callable[..., Float[Tensor, "B M"]]: ...


class Estimator(relaxations.Tunable, ABC):
    """One way to train net0 through an objective.

    Attributes
    ----------
    head : what it takes from net0, ``"logits"`` (B, F) or an ``"embedding"`` (B, C*D)
    gradient : what the backward pass computes
    bias : how its gradient for the logits stands to that of the expected loss of the rows that
        softmax(logits) draws: ``"exact"``, ``"unbiased"``, ``"biased"``, or ``"other"`` if it is
        the gradient of something else
    source : where it comes from
    """

    head: ClassVar[Head] = "logits"
    gradient: str
    bias: Bias = "biased"
    source: str

    @abstractmethod
    def __call__(
        self,
        logits: Float[Tensor, "B F"],
        objective: Objective,
        *,
        cardinalities: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, ""]:
        """The relaxed loss (mean over rows), whose backward is the gradient estimate."""

    def evaluations(self, cardinalities: Sequence[int]) -> int:
        """Evaluations of the objective a row and call; backward passes are not counted."""
        return 1

    def state(self) -> dict[str, float]:
        """What it has learnt from earlier calls, such as a baseline; nothing for most."""
        return {}

    def load(self, state: Mapping[str, float]) -> None:
        """Sets what `state` returned; an empty one starts afresh."""


def evaluate(objective: Objective, simplex: Float[Tensor, "B _"]) -> Float[Tensor, " B"]:
    """The objective's loss of every row.

    Raises
    ------
    ValueError
        If it does not return one loss per row.
    """
    loss = objective(simplex)
    if loss.shape != (len(simplex),):
        raise ValueError(
            f"an objective returns one loss per row, of shape ({len(simplex)},), not "
            f"{tuple(loss.shape)}: squeeze it, and do not average over rows"
        )
    return loss


@dataclass(frozen=True)
class Typed:
    """An objective that gets its simplexes in one type, and whose losses are checked."""

    objective: Objective
    dtype: torch.dtype

    def __call__(self, simplex: Float[Tensor, "B F"]) -> Float[Tensor, " B"]:
        return evaluate(self.objective, simplex.to(self.dtype))


class TypedExchanging(Typed):
    """The same of an `ExchangingObjective`."""

    def exchanges(self, codes: Int64[Tensor, "B C"]) -> Callable[..., Float[Tensor, "B M"]]:
        return self.objective.exchanges(codes)


class LogitEstimator(Estimator):
    """An estimator that works out the logits' gradient itself.

    Subclasses get logits that are finite, float32 at least (`allowed_logits`), and an objective
    that takes simplexes in that type.
    """

    def __call__(
        self,
        logits: Float[Tensor, "B F"],
        objective: Objective,
        *,
        cardinalities: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, ""]:
        values = allowed_logits(logits, cardinalities)
        kind = TypedExchanging if isinstance(objective, ExchangingObjective) else Typed
        return self.estimate(values, kind(objective, logits.dtype), cardinalities, generator)

    @abstractmethod
    def estimate(
        self,
        logits: Float[Tensor, "B F"],
        objective: Objective,
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, ""]:
        """What `__call__` returns."""


def register(name: str) -> Callable[[type[Estimator]], type[Estimator]]:
    """Class decorator that files an estimator under a name."""

    def file(estimator: type[Estimator]) -> type[Estimator]:
        _REGISTRY[name] = estimator
        return estimator

    return file


def registered() -> dict[str, type[Estimator]]:
    """The estimators that are not relaxations, by name."""
    return dict(_REGISTRY)


def sample_rows(
    logits: Float[Tensor, "B F"], cardinalities: Sequence[int], generator: torch.Generator | None
) -> Float[Tensor, "B F"]:
    """One hard row per row of logits, each column drawn from its softmax."""
    perturbed = relaxations.perturb(logits.detach(), generator)
    return relaxations.argmax_blocks(perturbed, cardinalities)


def probabilities(
    logits: Float[Tensor, "B F"], cardinalities: Sequence[int]
) -> Float[Tensor, "B F"]:
    """The softmax of each block, detached."""
    return relaxations.softmax_blocks(logits.detach(), cardinalities)


def attach_gradient(
    loss: Float[Tensor, ""],
    logits: Float[Tensor, "B F"],
    gradient: Float[Tensor, "B F"],
) -> Float[Tensor, ""]:
    """`loss` as it is, whose backward also gives the logits a gradient: per row, mean over rows."""
    step = logits - logits.detach()  # 0, with a gradient
    return loss + (step * gradient.detach()).sum() / max(len(logits), 1)
