"""Estimators: rules that turn logits and an objective into a gradient for the logits.

``estimator(logits, objective, *, cardinalities, generator)`` takes logits (B, F) in nats and an
objective that maps a simplex (B, F) to a loss per row (B,). It returns a scalar:

- its *value* is the relaxed loss, the mean over rows of the objective at what it was given;
- its *backward* is the gradient estimate for the logits, and the usual gradient for whatever else
  the objective depends on, such as net0's continuous outputs.

Each is made by name, `make("gumbel_softmax", tau=0.5)`; `names` lists them. Every relaxation is
an estimator by the same name.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy

from tabkit import relaxations
from tabkit.schema import split_blocks

Objective = Callable[[Float[Tensor, "B F"]], Float[Tensor, " B"]]
Head = Literal["logits", "embedding"]

_REGISTRY: dict[str, type["Estimator"]] = {}


@runtime_checkable
class EmbeddingObjective(Protocol):
    """An objective that also takes embeddings, (B, C*D) -> loss per row (B,)."""

    def embedded(self, embedded: Float[Tensor, "B CD"]) -> Float[Tensor, " B"]: ...


@runtime_checkable
class LabelledObjective(Protocol):
    """An objective that knows the true codes (B, C) of its rows."""

    codes: Int64[Tensor, "B C"] | None


class Estimator(relaxations.Tunable, ABC):
    """One way to train net0 through an objective.

    Class attributes
    ----------------
    head : what it takes from net0, ``"logits"`` (B, F) or an ``"embedding"`` (B, C*D)
    gradient : what the backward pass computes
    evaluations : evaluations of the objective a row and call
    source : where it comes from
    """

    head: ClassVar[Head] = "logits"
    evaluations: ClassVar[int] = 1
    gradient: str
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


def register(name: str) -> Callable[[type[Estimator]], type[Estimator]]:
    """Class decorator that files an estimator under a name."""

    def file(estimator: type[Estimator]) -> type[Estimator]:
        _REGISTRY[name] = estimator
        return estimator

    return file


def names() -> tuple[str, ...]:
    """The names that `make` knows: every relaxation, then the other estimators."""
    return (*relaxations.names(), *_REGISTRY)


def make(name: str, **knobs: float) -> Estimator:
    """An estimator by name.

    Raises
    ------
    ValueError
        If the name or a knob is unknown, or a knob has a bad value.

    Examples
    --------
    >>> make("gumbel_softmax", tau=0.5)
    Relaxed(relaxation=GumbelSoftmax(tau=0.5))
    """
    if name in relaxations.names():
        return Relaxed(relaxations.make(name, **knobs))
    if name not in _REGISTRY:
        raise ValueError(f"no estimator is called {name!r}; there are {', '.join(names())}")
    return relaxations.construct(name, _REGISTRY[name], knobs)


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
    def knobs(self) -> dict[str, float]:
        return self.relaxation.knobs

    def change(self, **knobs: float) -> None:
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
        return objective(simplex).mean()


@register("direct_embedding")
@dataclass
class DirectEmbedding(Estimator):
    """net0 outputs the embedding itself, free of the tables; decoding snaps it by kNN (k = 1).

    Its `logits` argument is therefore an embedding (B, C*D), and its objective must also take
    embeddings (`EmbeddingObjective`).

    Gradient
    --------
    Exact, of the loss of the free embedding; the snapped row is another point.

    Raises
    ------
    TypeError
        If the objective takes no embeddings.
    """

    head: ClassVar[Head] = "embedding"
    gradient: ClassVar[str] = "exact, of the free embedding's loss"
    source: ClassVar[str] = "the forum's suggestion: predict the embedding, decode by kNN"

    def __call__(
        self,
        logits: Float[Tensor, "B CD"],
        objective: Objective,
        *,
        cardinalities: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, ""]:
        if not isinstance(objective, EmbeddingObjective):
            raise TypeError(
                "direct_embedding needs an objective with a method embedded(e), which takes "
                f"embeddings (B, C*D); {type(objective).__name__} has none"
            )
        return objective.embedded(logits).mean()


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
        blocks = split_blocks(logits, cardinalities)
        nats = sum(cross_entropy(b, objective.codes[:, c]) for c, b in enumerate(blocks))
        decoded = relaxations.HardArgmax()(logits, cardinalities=cardinalities)
        return objective(decoded).mean() + (nats - nats.detach())
