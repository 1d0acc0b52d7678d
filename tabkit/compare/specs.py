"""Estimators written as text, for the command line, a sweep's cells and a table's index."""

from typing import NamedTuple

from tabkit import estimators
from tabkit.estimators import Estimator, Knob
from tabkit.train import Schedule, parse_schedule


class Spec(NamedTuple):
    """An estimator, and the schedules of those knobs that change while net0 trains."""

    estimator: Estimator
    schedules: dict[str, Schedule]


def parse_spec(text: str) -> Spec:
    """``"softmax:tau=0.25"`` or ``"gumbel_softmax:tau=cosine/2/0.2"`` -> estimator and schedules.

    Raises
    ------
    ValueError
        If the name, a knob or a schedule is unknown, or a value is bad.

    Examples
    --------
    >>> parse_spec("softmax:tau=0.25").estimator
    softmax(tau=0.25)
    >>> parse_spec("gumbel_softmax:tau=cosine/2/0.2").schedules
    {'tau': Cosine(start=2.0, end=0.2)}
    """
    name, _, listed = text.partition(":")
    knobs: dict[str, Knob] = {}
    schedules: dict[str, Schedule] = {}
    for part in listed.split(",") if listed else ():
        knob, _, value = part.partition("=")
        if knob in knobs:
            raise ValueError(f"{text}: {knob} is given twice")
        if "/" in value:
            schedules[knob] = parse_schedule(value)
            knobs[knob] = schedules[knob].start
        else:
            knobs[knob] = _number(value, f"{text}: {knob}")
    return Spec(estimators.make(name, **knobs), schedules)


def _number(text: str, what: str) -> Knob:
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        raise ValueError(f"{what} must be a number, not {text!r}") from None
