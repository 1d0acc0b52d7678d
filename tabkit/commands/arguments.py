"""What several commands share: kinds of arguments, estimators by name."""

import argparse
from collections.abc import Sequence

from tabkit import estimators

ESTIMATORS = {
    "nargs": "+",
    "metavar": "NAME[:KNOB=VALUE,...]",
    "help": f"any of {', '.join(estimators.names())}; knobs such as softmax:tau=0.25, schedules "
    "such as gumbel_softmax:tau=cosine/2/0.25; with any, entropy_penalty=0.1, label_weight=0.01",
}


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def processes(text: str) -> int:
    """A whole number of at least 1, or -1 for all cores."""
    return -1 if text == "-1" else positive(text)


def a_seed(text: str) -> int:
    """A whole number from 0 to 2**32 - 1."""
    number = int(text)
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"must lie in 0 to 2**32 - 1, not {number}")
    return number


def check_unique(**options: Sequence[object]) -> None:
    """Raises ValueError if a value is given twice: the second would only repeat the first."""
    for option, values in options.items():
        for value in values:
            if values.count(value) > 1:
                raise ValueError(f"--{option} names {value} twice")
