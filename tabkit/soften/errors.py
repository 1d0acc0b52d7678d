"""`NotFollowed`, and what happens where in somebody's code."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import jaxtyping
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

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


@torch.no_grad()
def operations(call: Callable[[], object]) -> list[tuple[str, Tensor, str]]:
    """All operations with floats that a call makes: names, results, places."""
    log: list[tuple[str, Tensor, str]] = []

    class Log(TorchDispatchMode):
        def __torch_dispatch__(
            self, operation: object, types: object, args: tuple = (), options: dict | None = None
        ) -> object:
            result = operation(*args, **(options or {}))
            name = operation.__name__.split(".")[0]
            if isinstance(result, Tensor) and result.is_floating_point():
                log.append((name, result.detach().clone(), place()))
            return result

    try:
        with Log():
            call()
    except NotFollowed:
        pass
    return log
