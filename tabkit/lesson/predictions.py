"""What a reader expects, kept until the answer is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


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
        What the reader expects; ``None`` until they have written something. Words are understood
        in other letters, too: ``"Softmax "`` is the option ``"softmax"``.
    options
        The answers to choose among, if there are any.

    Examples
    --------
    >>> guess = predict("Which one wins?", "B", options=["a", "b"])
    Your prediction is kept: b
    >>> guess = predict("Which one wins?", "neither", options=["a", "b"])
    'neither' is none of the answers: 'a', 'b'. Nothing is kept yet.
    """
    choices = ", ".join(map(repr, options))
    if answer is None:
        print(f"{question}\nBefore you run on, replace None by {choices or 'your answer'}.")
        return Guess(question, None)
    found = answer if not options else understood(answer, options)
    if found is None:
        print(f"{answer!r} is none of the answers: {choices}. Nothing is kept yet.")
    else:
        print(f"Your prediction is kept: {found}")
    return Guess(question, found)


def understood(answer: Any, options: Sequence[Any]) -> Any:
    """The option that is meant, whatever its letters, spaces and hyphens; None if there is none."""

    def letters(value: Any) -> str:
        return "".join(sign for sign in str(value).casefold() if sign.isalnum() or sign == ".")

    return next((option for option in options if letters(option) == letters(answer)), None)
