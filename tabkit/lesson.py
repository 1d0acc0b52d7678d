"""What the notebooks use to teach: `predict`, `check` and `claim`.

They print plain text and keep no state but what they return, so that a notebook runs top to
bottom whether or not the reader has filled in anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


class ClaimFailed(AssertionError):
    """A sentence of a notebook that its own numbers do not support."""


@dataclass(frozen=True)
class Guess:
    """A reader's prediction, kept until the answer is known."""

    question: str
    answer: Any

    def compare(self, truth: Any) -> str:
        """The prediction beside what came out.

        Examples
        --------
        >>> print(Guess("How many?", 3).compare(4))
        You predicted 3; it is 4. Not what you predicted: ask why before you read on.
        """
        shown = f"{truth:.3g}" if isinstance(truth, float) else truth
        if self.answer is None:
            return f"You made no prediction; it is {shown}."
        right, wrong = "As you predicted.", "Not what you predicted: ask why before you read on."
        verdict = right if self.answer == truth else wrong
        return f"You predicted {self.answer}; it is {shown}. {verdict}"


def predict(question: str, answer: Any = None, *, options: Sequence[Any] = ()) -> Guess:
    """Records the reader's prediction before the run.

    Parameters
    ----------
    answer
        What the reader expects; ``None`` until they have written something.
    options
        The answers to choose among, if there are any.

    Raises
    ------
    ValueError
        If the answer is none of the options.

    Examples
    --------
    >>> guess = predict("Which one wins?", "b", options=["a", "b"])
    Your prediction is kept: b
    """
    if answer is None:
        choices = f" one of {', '.join(map(repr, options))}" if options else " your answer"
        print(f"{question}\nBefore you run on, replace None by{choices}.")
    elif options and answer not in options:
        raise ValueError(f"{answer!r} is none of the options {list(options)}")
    else:
        print(f"Your prediction is kept: {answer}")
    return Guess(question, answer)


def claim(sentence: str, holds: Any) -> None:
    """States a take-away that the notebook's own numbers support.

    Raises
    ------
    ClaimFailed
        If they do not; the tests run every notebook, so no false sentence is published.
    TypeError
        If `holds` is not a truth value: a number that is merely non-zero proves nothing.

    Examples
    --------
    >>> claim("Two is even.", 2 % 2 == 0)
    Holds: Two is even.
    """
    kind = getattr(holds, "dtype", type(holds).__name__)
    if str(kind).removeprefix("torch.") != "bool":
        raise TypeError(f"a claim is True or False, not {holds!r}")
    if not bool(holds):
        raise ClaimFailed(sentence)
    print(f"Holds: {sentence}")


def check(answer: Any, right: Callable[[Any], Any], *, hint: str = "") -> None:
    """Checks an exercise and says how it stands; an unfinished one (`None`) is no error.

    Parameters
    ----------
    right
        Tells whether the answer is right. Whatever it raises counts as a wrong answer and is
        shown.

    Examples
    --------
    >>> check(None, lambda x: x == 4)
    Not done yet: the answer is still None.
    >>> check(4, lambda x: x == 4)
    Right.
    """
    if answer is None:
        print("Not done yet: the answer is still None.")
        return
    try:
        passed, reason = bool(right(answer)), ""
    except Exception as error:
        passed, reason = False, f" ({type(error).__name__}: {error})"
    print("Right." if passed else f"Not right{reason}. {hint}".rstrip())
