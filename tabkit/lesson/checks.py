"""Exercises are checked: what is wrong is said, and no cell is broken."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tabkit.lesson.comparing import Wrong

UNDONE = "Not done yet"


class Exercise(NamedTuple):
    """How an exercise is checked, and what to say where nothing better is known."""

    judge: Callable[..., Any]
    hint: str


EXERCISES: dict[str, Exercise] = {}


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right: a truth value that no notebook shows below what was said."""

    right: bool

    def __bool__(self) -> bool:
        return self.right

    def _ipython_display_(self) -> None:
        """Shows nothing."""


class Undone(Exception):
    """A function of the reader's returns None, as its stub does."""


def exercise(name: str, hint: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Files a function as the judge of an exercise.

    It gets the answer, and what else `check` was given. It raises `Wrong`, with a sentence, or
    returns: how far a right answer lies off, or nothing.
    """

    def filed(judge: Callable[..., Any]) -> Callable[..., Any]:
        EXERCISES[name] = Exercise(judge, hint)
        return judge

    return filed


def check(name: str, answer: Any, *given: Any) -> Verdict:
    """Checks the answer to an exercise and says how it stands; an unfinished one is no error.

    Parameters
    ----------
    name
        Of the exercise: notebook and number, such as ``"03.1"``.
    answer
        The reader's: a function, a number, a tensor, whatever is asked for; None if there is none.
    given
        What the judge needs of the notebook beside it.

    Returns
    -------
    Whether the answer is right, so that a cell may go on with it.

    Raises
    ------
    KeyError
        If there is no such exercise. Whatever the answer does wrong is said, and not raised.

    Examples
    --------
    >>> verdict = check("00.1", None)
    Not done yet: the answer is still None.
    >>> verdict = check("00.1", lambda cardinalities: sum(cardinalities))
    Not right: of [3, 4], the answer is 7; that is off by 5. Choices of different columns multiply.
    >>> import math
    >>> bool(check("00.1", math.prod))
    Right.
    True
    """
    judge, hint = EXERCISES[name]
    if answer is None:
        print(f"{UNDONE}: the answer is still None.")
        return Verdict(False)
    try:
        off = judge(answer, *given)
    except Undone:
        print(f"{UNDONE}: the function still returns None.")
    except Wrong as error:
        print(f"Not right: {error} {hint}")
    except Exception as error:
        print(f"Not right: {raised(error, answer)}. {hint}")
    else:
        print(f"Right, to {off:.0e}." if off else "Right.")
        return Verdict(True)
    return Verdict(False)


def called(function: Any, *arguments: Any, **others: Any) -> Any:
    """What a reader's function returns.

    Raises
    ------
    Wrong
        If it is no function.
    Undone
        If it returns None.
    """
    if not callable(function):
        raise Wrong(f"a function is asked for, not a {type(function).__name__}.")
    found = function(*arguments, **others)
    if found is None:
        raise Undone
    return found


def raised(error: Exception, answer: Any) -> str:
    """An error in words, with the line of the reader's function in which it was raised."""
    words = f"{type(error).__name__}: {error}".rstrip(".\n ")
    code = getattr(answer, "__code__", None)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if code is not None and frame.filename == code.co_filename and frame.line:
            return f"{words}, in your line `{frame.line}`"
    return words
