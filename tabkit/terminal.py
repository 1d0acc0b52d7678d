"""How a command ends: in a sentence on stderr and an exit code, not in a traceback.

And which numbers it takes.

Python imports tabkit, and with it torch, before it comes to ``__main__``. So this module comes
before torch, and for ``python -m tabkit`` it sees to the seconds in which a Ctrl-C, or something
that is not installed, would end in a page of other people's code.
"""

import argparse
import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from textwrap import shorten
from types import TracebackType

FAULT, REFUSED, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141  # the last two are what a shell says
CAUSED = (ValueError, ArithmeticError, OSError, ImportError, MemoryError, RuntimeError, EOFError)
MOST = 10**9  # steps, rows, processes
NO_MEMORY = "there is not enough memory: take fewer rows or smaller nets, or end other programs"


def started() -> str | None:
    """Whose ``python -m`` this is, while Python imports it: ``"tabkit"``, ``"tabkit.widgets"``."""
    found = [re.fullmatch(r"(?:-\w*m)?(tabkit(?:\.\w+)?)", word) for word in sys.orig_argv[1:]]
    return next((one[1] for one in found if one), None) if sys.argv[:1] == ["-m"] else None


MODULE = started()


def hold() -> None:
    """In a command, Ctrl-C ends Python at once: there is nothing yet, or nothing more, to leave."""
    if MODULE and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
        sys.excepthook = _unable


def release() -> None:
    """Ctrl-C raises KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.excepthook = sys.__excepthook__


def imported() -> None:
    """The package is there: ``tabkit`` itself releases by `ended`, and any other module here."""
    if MODULE != "tabkit":
        release()


def _leave(*_: object) -> None:
    os.write(2, b"tabkit: interrupted\n")
    os._exit(INTERRUPTED)


def _unable(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """In place of a traceback, if what tabkit is made of cannot be imported."""
    if not issubclass(kind, ImportError) or "--debug" in sys.argv + sys.orig_argv:
        sys.__excepthook__(kind, error, trace)
        return
    remedy = "install tabkit again, which installs what it needs (make env)"
    print(f"tabkit: cannot start: {error}. Remedy: {remedy}", file=sys.stderr)


def ended(job: Callable[[], int], arguments: argparse.Namespace) -> int:
    """Does a job; returns the exit status, and says on stderr in a sentence why it is not 0.

    Parameters
    ----------
    arguments
        Those of the command, which `job` may still have to read: ``debug``, whether to show a
        traceback as well; ``interrupted``, what there is to say after a Ctrl-C.
    """
    open_streams()
    try:
        release()
        try:
            return job()
        finally:
            flush()
    except BrokenPipeError:  # whoever read has seen enough
        return BROKEN_PIPE
    except (KeyboardInterrupt, Exception) as error:
        if vars(arguments).get("debug"):
            traceback.print_exc()
        status, said = meaning(error)
        after = vars(arguments).get("interrupted", "")
        print(f"tabkit: {said}{after * (status == INTERRUPTED)}", file=sys.stderr)
        return status
    finally:
        hold()


def whole(text: str, low: int, high: int) -> int:
    """A whole number in a range."""
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(
            f"must be a whole number from {low:,} to {high:,}, not {shorten(text, 40)!r}"
        )
    return number


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return whole(text, 1, MOST)


def open_streams() -> None:
    """What is printed has a place to go to, and each letter a form there."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started this
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for good
        if isinstance(getattr(sys, name), io.TextIOWrapper):
            getattr(sys, name).reconfigure(errors="backslashreplace")


def flush() -> None:
    """What was printed is out; where it cannot be, Python does not try again when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def meaning(error: BaseException) -> tuple[int, str]:
    """The exit status and the sentence for what was raised."""
    said = str(error).strip()
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    if isinstance(error, MemoryError) or re.search("allocate memory|out of memory", said, re.I):
        return REFUSED, NO_MEMORY
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        return REFUSED, f"{where}{error.strerror}"
    if isinstance(error, CAUSED):
        lines = said.splitlines() or [type(error).__name__]
        return REFUSED, lines[0] if isinstance(error, RuntimeError) else said or lines[0]
    return FAULT, f"{type(error).__name__}: {said} (a fault of tabkit's: --debug shows where)"


hold()
