"""Schedules: a knob's value from step to step, such as a temperature that falls."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field

from tabkit.estimators import Estimator, Knob


@dataclass(frozen=True)
class Schedule(ABC):
    """From `start` in the first step to `end` in the last."""

    start: Knob
    end: Knob

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            raise ValueError(f"a schedule runs between finite numbers, not {self}")

    def __call__(self, step: int, steps: int) -> Knob:
        """The value in `step`, from 1 to `steps`."""
        return self.at((step - 1) / max(steps - 1, 1))

    @abstractmethod
    def at(self, share: float) -> Knob:
        """The value when this share of the training, 0 to 1, is over."""


@dataclass(frozen=True)
class Constant(Schedule):
    """One value throughout.

    Examples
    --------
    >>> Constant(0.5)(step=7, steps=10)
    0.5
    """

    end: Knob = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "end", self.start)
        super().__post_init__()

    def at(self, share: float) -> Knob:
        return self.start


@dataclass(frozen=True)
class Exponential(Schedule):
    """By the same factor in every step.

    Raises
    ------
    ValueError
        If an end is not above 0.

    Examples
    --------
    >>> round(Exponential(4.0, 1.0)(step=2, steps=3), 6)  # the geometric middle
    2.0
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.start, self.end) <= 0:
            raise ValueError(f"an exponential schedule runs between numbers above 0, not {self}")

    def at(self, share: float) -> Knob:
        return self.start * (self.end / self.start) ** share


@dataclass(frozen=True)
class Cosine(Schedule):
    """Along half a cosine: slow at both ends.

    Examples
    --------
    >>> round(Cosine(2.0, 0.0)(step=2, steps=3), 6)
    1.0
    """

    def at(self, share: float) -> Knob:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * share)) / 2


KINDS = {"constant": Constant, "exponential": Exponential, "cosine": Cosine}


def parse_schedule(text: str) -> Schedule:
    """``"cosine/2/0.2"`` -> a schedule.

    Raises
    ------
    ValueError
        If the kind is unknown or its numbers are missing or bad.

    Examples
    --------
    >>> parse_schedule("cosine/2/0.2")
    Cosine(start=2.0, end=0.2)
    """
    kind, *numbers = text.split("/")
    wanted = 1 if kind == "constant" else 2
    if kind not in KINDS or len(numbers) != wanted:
        raise ValueError(
            f"a schedule is constant/VALUE, exponential/START/END or cosine/START/END, not {text!r}"
        )
    try:
        return KINDS[kind](*(float(n) for n in numbers))
    except ValueError as error:
        raise ValueError(f"{text}: {error}") from None


def check_schedules(
    estimator: Estimator, schedules: Mapping[str, Schedule] | None, steps: int
) -> None:
    """Raises ValueError before anything trains if a knob is unknown, or some value bad."""
    trial = deepcopy(estimator)
    for step in range(1, steps + 1):
        apply_schedules(trial, schedules, step, steps)


def apply_schedules(
    estimator: Estimator | None, schedules: Mapping[str, Schedule] | None, step: int, steps: int
) -> None:
    """Sets the scheduled knobs to their values in this step; ValueError if one cannot be."""
    if schedules:
        estimator.change(**{knob: plan(step, steps) for knob, plan in schedules.items()})
