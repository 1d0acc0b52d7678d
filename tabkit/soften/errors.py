"""`NotFollowed`, and where in somebody's code a thing happens."""

import os
import sys
from pathlib import Path
from types import FrameType

import jaxtyping
import torch

SKIPPED = tuple(
    str(Path(module.__file__).parent) + os.sep
    for module in (sys.modules[__package__], torch, jaxtyping)
)


class NotFollowed(ValueError):
    """A net whose codes cannot be softened: what is in the way, which column, where, what to do."""


def place() -> str:
    """File, line and text of the innermost call that is neither torch's nor ours."""
    frame: FrameType | None = sys._getframe(1)
    while frame and frame.f_code.co_filename.startswith((*SKIPPED, "<")):
        frame = frame.f_back
    if frame is None:
        return "somewhere"
    path = frame.f_code.co_filename.split("site-packages/")[-1]
    return f"{path}:{frame.f_lineno}"
