"""What a reader has answered, kept from notebook to notebook."""

from collections.abc import Iterable
from pathlib import Path

from tabkit import store
from tabkit.lesson.asking import in_notebook
from tabkit.lesson.modes import kept

# By the question's name: its words, what was said and what is true (once known), what to reread.
Answers = dict[str, dict[str, str]]
KIND = "answers"
FIELDS = {"question", "said", "truth", "reread"}


def place() -> Path:
    """The reader's file: by seed, since what is true may hang on it; apart in the quick mode."""
    return Path(kept("reader", ".json"))


def read(path: Path) -> Answers:
    """The answers in a file.

    Raises
    ------
    ValueError
        If it holds something else.
    """
    try:
        found, _ = store.read(path, KIND)
        sound = all(one.keys() <= FIELDS and in_words(one.values()) for one in found.values())
    except (ValueError, AttributeError):
        sound = False
    if not sound:
        raise ValueError(f"{path} does not hold a reader's answers")
    return found


def in_words(values: Iterable[object]) -> bool:
    """Whether all are words."""
    return all(isinstance(value, str) for value in values)


def answers() -> Answers:
    """The reader's, so far; a damaged file is laid aside, and that is said."""
    path = place()
    if not (in_notebook() and path.exists()):
        return {}
    try:
        return read(path)
    except ValueError as error:
        aside = path.with_suffix(".damaged")
        path.replace(aside)
        print(f"{error}: it is {aside.name} now, and a new one is begun.")
        return {}


def keep(name: str, **fields: str) -> None:
    """Keeps, in a notebook, something of the answer to the question of that name."""
    if in_notebook():
        found = answers()
        found[name] = found.get(name, {}) | fields
        write(place(), found)


def write(path: Path, found: Answers) -> None:
    """Writes answers, whole or not at all."""
    store.write(path, KIND, found)
