"""Questions at the end of a notebook; each answer, right or wrong, gets its reason."""

import html
import tomllib
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path

from tabkit.lesson.asking import ask, understood
from tabkit.lesson.records import answers, keep

FILE = Path(__file__).with_name("quizzes.toml")


@dataclass(frozen=True)
class Asked:
    """A question, its answers each with the reason for or against it, and which one is right."""

    name: str
    text: str
    reasons: dict[str, str]
    right: str
    reread: str

    def judged(self, answer: str) -> str:
        """Whether an answer is right, and why."""
        return f"{'Right' if answer == self.right else 'No'}. {self.reasons[answer]}"

    def reply(self, answer: str) -> str:
        """The same; the first answer is kept, and no later one."""
        if "said" not in answers().get(self.name, {}):
            keep(self.name, question=self.text, said=answer, truth=self.right, reread=self.reread)
        return self.judged(answer)

    def page(self) -> str:
        """The answers as HTML, their reasons folded."""
        return "".join(
            f"<details><summary>{html.escape(answer)}</summary><p>"
            f"{html.escape(self.judged(answer))}</p></details>"
            for answer in self.reasons
        )


@cache
def quizzes() -> dict[str, list[Asked]]:
    """All of them, by notebook."""
    return {
        notebook: [
            Asked(
                f"{notebook}.quiz {number}",
                one["asks"],
                dict(one["answers"]),
                one["answers"][one["right"] - 1][0],
                one["reread"],
            )
            for number, one in enumerate(asked, start=1)
        ]
        for notebook, asked in tomllib.loads(FILE.read_text("utf-8")).items()
    }


def quiz(notebook: str, *given: str) -> None:
    """Asks what a notebook ends with; in a notebook by radio buttons, else by letters in the call.

    The first answer to each question is kept beside the predictions: see `summary`.

    Examples
    --------
    >>> quiz("00", "c")  # doctest: +ELLIPSIS
    Why can a code not be trained by gradients?
    No. ...
    """
    questions = quizzes()[notebook]
    if len(given) > len(questions):
        raise ValueError(f"there are {len(questions)} questions, and {len(given)} answers")
    for asked, answer in zip_longest(questions, given):
        meant = understood(answer, [*asked.reasons])
        if meant is not None:
            print(f"{asked.text}\n{asked.reply(meant)}")
            continue
        letters = ", ".join(["'a'"] * len(questions))
        known = answers().get(asked.name, {}).get("said")
        chosen = known if known in asked.reasons else None
        call = f"quiz({notebook!r}, {letters})"
        ask(asked.text, [*asked.reasons], asked.reply, call=call, page=asked.page(), chosen=chosen)
