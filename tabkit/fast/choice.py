"""Plain or fast: chosen here, and nowhere else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from tabkit.devices import shares_memory

Mode = Literal["auto", "plain", "fast"]


class Pair(NamedTuple):
    """A formula, a faster function that is equal to it, and when that one pays."""

    plain: Callable
    fast: Callable
    pays: Callable[..., bool]


PAIRS: list[Pair] = []
_mode: Mode = "auto"
_look: ContextVar[bool | None] = ContextVar("look", default=None)


@contextmanager
def use(mode: Mode) -> Iterator[None]:
    """Within it, ``"plain"`` formulas only, the ``"fast"`` ones always, or what pays (``"auto"``).

    For all threads. What torch compiles, exports or transforms is plain in any case. Raises
    ValueError if there is no such mode.
    """
    global _mode  # noqa: PLW0603 - a training thread shall see it, too
    if mode not in ("auto", "plain", "fast"):
        raise ValueError(f"mode must be auto, plain or fast, not {mode!r}")
    before, _mode = _mode, mode
    try:
        yield
    finally:
        _mode = before


def chosen(pays: bool) -> bool:
    """Whether the faster one of two equal functions runs now."""
    return eager() and (pays if _mode == "auto" else _mode == "fast")


def eager() -> bool:
    """Whether numbers may be looked at: torch neither compiles, exports nor transforms.

    That `torch.func` or forward-mode differentiation is at work is what torch asks itself so.
    """
    if torch.compiler.is_compiling():
        return False
    return not torch._C._are_functorch_transforms_active() and forward_ad._current_level < 0


@contextmanager
def look(always: bool) -> Iterator[None]:
    """Within it, in this thread, numbers are looked at wherever they are; or nowhere."""
    before = _look.set(always)
    try:
        yield
    finally:
        _look.reset(before)


def looks(values: Tensor | None = None) -> bool:
    """Whether a check may look at numbers: not where torch traces, nor in a captured step.

    Of `values`, only where that costs no waiting, or is asked for.
    """
    if not eager() or _look.get() is False:
        return False
    return values is None or shares_memory(values.device) or _look.get() is True


def paired(plain: Callable, fast: Callable, pays: Callable[..., bool]) -> Callable:
    """The faster function where it is chosen, else the formula, whose signature it has.

    The faster one is for rows (B, _); the formula takes any leading dimensions.
    """
    PAIRS.append(Pair(plain, fast, pays))

    @wraps(plain)
    def either(*args: object, **options: object) -> object:
        rows = eager() and args[0].dim() == 2  # sizes are not asked for where torch traces
        return (fast if rows and chosen(pays(*args)) else plain)(*args, **options)

    return either
