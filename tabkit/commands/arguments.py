"""What several commands share: kinds of arguments, estimators by name."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

import torch

from tabkit import estimators
from tabkit.schema.values import has_surrogate
from tabkit.terminal import positive, whole

ESTIMATORS = {
    "nargs": "+",
    "metavar": "NAME[:KNOB=VALUE,...]",
    "help": f"any of {', '.join(estimators.names())}; knobs such as softmax:tau=0.25, schedules "
    "such as gumbel_softmax:tau=cosine/2/0.25; with any, entropy_penalty=0.1, label_weight=0.01",
}


def a_text(text: str) -> str:
    """A name as a table has it: UTF-8, also where Python took the terminal's letters for ascii."""
    return os.fsencode(text).decode() if has_surrogate(text) else text


def processes(text: str) -> int:
    """A whole number of at least 1, or -1 for all cores."""
    return -1 if text == "-1" else positive(text)


def a_seed(text: str) -> int:
    """A whole number from 0 to 2**32 - 1."""
    return whole(text, 0, 2**32 - 1)


def check_device(text: str) -> None:
    """Raises ValueError unless torch knows the device and this machine has it."""
    try:
        torch.ones(1, device=text).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = shorten(str(error), 150)
        raise ValueError(f"--device: {text!r} is no device here, take cpu: {why}") from error


def open_folder(folder: Path) -> Path:
    """Makes a folder, and raises OSError if nothing can be written there: before hours of work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise NotADirectoryError(f"{folder} lies in a file, or is one: name a folder") from None
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"tabkit")
    return folder


def check_unique(**options: Sequence[object]) -> None:
    """Raises ValueError if a value is given twice: the second would only repeat the first."""
    for option, values in options.items():
        for value in values:
            if values.count(value) > 1:
                raise ValueError(f"--{option} names {value} twice")
