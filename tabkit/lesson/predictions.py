"""What a reader expects, kept until the answer is known, and after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tabkit.lesson.asking import ask, understood
from tabkit.lesson.records import answers, keep

STAYS = "You said so before you saw what came out; it stays."


@dataclass
class Guess:
    """A reader's prediction, kept until the answer is known."""

    name: str
    question: str
    reread: str
    answer: Any = None
    sealed: bool = False

    def say(self, option: Any) -> str:
        """Keeps an answer, unless what came out has been seen; returns what to say to it."""
        if self.sealed:
            return STAYS
        self.answer = option
        keep(self.name, question=self.question, reread=self.reread, said=str(option))
        return f"Your prediction is kept: {option}"

    def compare(self, truth: Any) -> str:
        """The prediction beside what came out, which is kept with it.

        Examples
        --------
        >>> print(Guess("00.z", "How many?", "Why", answer=3).compare(4))
        You said 3; it is 4. Not what you said: ask why before you read on.
        """
        found = f"{truth:.3g}" if isinstance(truth, float) else str(truth)
        keep(self.name, question=self.question, reread=self.reread, truth=found)
        if self.answer is None:
            return f"You made no prediction; it is {found}."
        self.sealed = True
        right, wrong = "As you said.", "Not what you said: ask why before you read on."
        verdict = right if str(self.answer) == found else wrong
        return f"You said {self.answer}; it is {found}. {verdict}"


def predict(
    name: str, question: str, answer: Any = None, *, options: Sequence[Any], reread: str = "Why"
) -> Guess:
    """Asks what the reader expects, before the run; in a notebook by radio buttons.

    There the answer is kept in ``runs/course``, whole with what came out once that is known, and
    then it stays: see `summary`.

    Parameters
    ----------
    name
        Of the question: notebook and letter, such as ``"03.a"``.
    answer
        What the reader expects, if written down. It is understood in other letters, too:
        ``"Softmax "`` is the option ``"softmax"``.
    options
        The answers to choose among.
    reread
        The section of the notebook that explains what came out.

    Examples
    --------
    >>> guess = predict("00.z", "Which one wins?", "B", options=["a", "b"])
    Your prediction is kept: b
    >>> guess = predict("00.z", "Which one wins?", "neither", options=["a", "b"])
    'neither' is none of the answers: 'a', 'b'. Nothing is kept yet.
    """
    known = answers().get(name, {})
    said = understood(known.get("said", ""), options)
    guess = Guess(name, question, reread, said, sealed=said is not None and "truth" in known)
    if answer is None:
        named = {str(option): option for option in options}
        call = f"predict({name!r}, ..., {options[0]!r}, ...)"
        chosen = None if said is None else str(said)
        ask(
            question,
            [*named],
            lambda word: guess.say(named[word]),
            call=call,
            chosen=chosen,
            closed=guess.sealed,
        )
    elif (meant := understood(answer, options)) is None:
        choices = ", ".join(map(repr, options))
        print(f"{answer!r} is none of the answers: {choices}. Nothing is kept yet.")
    else:
        print(guess.say(meant))
    return guess
