"""What every relaxation is: its knobs, its call, its name."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.relaxations.ragged import softmax_blocks
from tabkit.schema import allowed_logits, map_blocks

Kind = TypeVar("Kind")
Knob = float | int

_REGISTRY: dict[str, type["Relaxation"]] = {}


class Tunable:
    """Something with knobs: the fields of its dataclass, which may change between calls."""

    @property
    def knobs(self) -> dict[str, Knob]:
        """The knobs and their values.

        Examples
        --------
        >>> make("softmax", tau=0.5).knobs
        {'tau': 0.5}
        """
        return {name: getattr(self, name) for name in knobs_of(type(self))}

    def change(self, **knobs: Knob) -> None:
        """Changes knobs, all or, if one is unknown or has a bad value, none.

        Raises
        ------
        ValueError
            If a knob is unknown or has a bad value.
        """
        changed = construct(type(self).__name__, type(self), self.knobs | knobs)
        vars(self).update(changed.knobs)


class Relaxation(Tunable, ABC):
    """A map from logits to a simplex, block by block.

    Class attributes
    ----------------
    gradient : what the backward pass computes
    source : where the relaxation comes from
    """

    gradient: ClassVar[str]
    source: ClassVar[str]

    def __call__(
        self,
        logits: Float[Tensor, "B F"],
        *,
        cardinalities: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B F"]:
        """Relaxes each column's block.

        A logit of minus infinity marks a category that is not allowed: its share is 0. Half
        types are relaxed in float32, and the simplex is returned in the type of the logits.

        Raises
        ------
        ValueError
            If the blocks do not sum to F, a logit is NaN or plus infinity, a block allows no
            category, or a temperature is not a finite number above 0.
        """
        allowed = allowed_logits(logits, cardinalities)
        return self.relax(allowed, cardinalities, generator).to(logits.dtype)

    def relax(
        self,
        logits: Float[Tensor, "B F"],
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, "B F"]:
        """Relaxes all columns, of which the logits are finite: one after the other, by `block`."""
        return map_blocks(lambda block: self.block(block, generator), cardinalities, logits)

    @abstractmethod
    def block(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        """Relaxes one column: logits (B, K) -> simplex (B, K)."""


class WholeRow(Relaxation):
    """A relaxation that takes all columns at once, which is faster; a column is a row of one.

    Its noise is drawn row by row, so a batch in parts gets the noise of the whole.
    """

    @abstractmethod
    def relax(
        self,
        logits: Float[Tensor, "B F"],
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, "B F"]:
        """Relaxes all columns, of which the logits are finite."""

    def block(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        return self.relax(logits, logits.shape[1:], generator)


def register(name: str) -> Callable[[type[Relaxation]], type[Relaxation]]:
    """Class decorator that files a relaxation under a name."""

    def file(relaxation: type[Relaxation]) -> type[Relaxation]:
        _REGISTRY[name] = relaxation
        return relaxation

    return file


def names() -> tuple[str, ...]:
    """The names that `make` knows."""
    return tuple(_REGISTRY)


def make(name: str, **knobs: Knob) -> Relaxation:
    """A relaxation by name.

    Raises
    ------
    ValueError
        If the name or a knob is unknown, or a knob has a bad value.

    Examples
    --------
    >>> make("softmax", tau=0.5)
    Softmax(tau=0.5)
    """
    if name not in _REGISTRY:
        raise ValueError(f"no relaxation is called {name!r}; there are {', '.join(names())}")
    return construct(name, _REGISTRY[name], knobs)


def knobs_of(kind: type) -> list[str]:
    """The names of a class's knobs: what its constructor takes."""
    return [field.name for field in fields(kind) if field.init]


def construct(name: str, kind: type[Kind], knobs: dict[str, Knob]) -> Kind:
    """Builds a registered class, and says which knobs it has if one is unknown."""
    known = knobs_of(kind)
    for knob in knobs:
        if knob not in known:
            has = ", ".join(known) if known else "no knobs"
            raise ValueError(f"{name} has no knob {knob!r}; it has: {has}")
    return kind(**knobs)


def check_temperature(tau: Knob, name: str = "tau") -> Knob:
    """A temperature is dimensionless, finite and above 0.

    Raises
    ------
    ValueError
        Otherwise.
    """
    if not (math.isfinite(tau) and tau > 0):
        raise ValueError(f"{name} must be a finite number above 0, not {tau}")
    return tau


def check_count(count: Knob, name: str, least: int = 1) -> int:
    """A whole number of at least `least`, as an int.

    Raises
    ------
    ValueError
        Otherwise.
    """
    if not (math.isfinite(count) and count == int(count) and count >= least):
        raise ValueError(f"{name} must be a whole number of at least {least}, not {count}")
    return int(count)


def check_share(value: Knob, name: str) -> None:
    """A number from 0 to below 1.

    Raises
    ------
    ValueError
        Otherwise.
    """
    if not 0 <= value < 1:
        raise ValueError(f"{name} must lie in 0 to below 1, not {value}")


@dataclass(kw_only=True)
class Tempered(Relaxation):
    """A relaxation with one temperature `tau`."""

    tau: Knob = 1.0

    def __post_init__(self) -> None:
        check_temperature(self.tau)

    def soft(self, logits: Float[Tensor, "*S K"]) -> Float[Tensor, "*S K"]:
        """Softmax of one column at temperature tau."""
        return self.cooled(logits).softmax(dim=-1)

    def soft_blocks(
        self, logits: Float[Tensor, "B F"], cardinalities: Sequence[int]
    ) -> Float[Tensor, "B F"]:
        """Softmax of each column at temperature tau."""
        return softmax_blocks(self.cooled(logits), cardinalities)

    def cooled(self, logits: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """Logits over tau."""
        return logits if check_temperature(self.tau) == 1 else logits / self.tau
