"""What a reader said over the whole course, and what a class did."""

import re
from pathlib import Path

import pandas as pd

from tabkit.lesson.records import answers, read, write

COLUMNS = ["reader", "name", "question", "said", "truth", "right", "reread"]


def table(found: dict[str, dict[str, str]], reader: str) -> pd.DataFrame:
    """One row a question that was answered and whose truth is known, in the course's order."""
    rows = [{"reader": reader, "name": name, **found[name]} for name in sorted(found)]
    whole = pd.DataFrame(rows, columns=COLUMNS).dropna(subset=["said", "truth"])
    return whole.assign(right=whole["said"] == whole["truth"]).reset_index(drop=True)


def summary(reader: str | None = None) -> None:
    """Prints what the reader said of the course's questions, and what to read again.

    Parameters
    ----------
    reader
        A name; with it the answers are written to a file to hand in, too.

    Raises
    ------
    ValueError
        If the name has signs that a file's name should not have.

    Examples
    --------
    >>> summary()
    Nothing is kept yet: answer by the radio buttons of the notebooks.
    """
    if reader is not None and not re.fullmatch(r"[\w' -]+", reader):
        raise ValueError(f"a name has letters, digits, spaces, ' and -; not {reader!r}")
    found = table(answers(), reader or "")
    if found.empty:
        print("Nothing is kept yet: answer by the radio buttons of the notebooks.")
        return
    quizzes = found["name"].str.contains("quiz")
    predicted, answered = found[~quizzes]["right"], found[quizzes]["right"]
    print(f"{predicted.sum()} of {len(predicted)} predictions came out as you said.")
    print(f"{answered.sum()} of {len(answered)} answers to quizzes were right.")
    for row in found[~found["right"]].itertuples():
        print(f"\n{row.name}: {row.question}\n  You said: {row.said}\n  It is: {row.truth}")
        print(f"  Read again: notebook {row.name[:2]}, “{row.reread}”")
    if reader:
        path = Path(f"answers-{reader}.json")
        write(path, answers())
        print(f"\nTo hand in: {path}")


def collected(folder: Path | str) -> pd.DataFrame:
    """What a class said: all files ``answers-NAME.json`` in a folder and below.

    Returns
    -------
    One row for each reader and question: `reader` (from the file's name), `name`, `question`,
    `said`, `truth`, `right` and `reread`; see `tabkit.plots.class_answers`.

    Raises
    ------
    ValueError
        If there is no such file, or one holds something else.
    """
    files = sorted(Path(folder).rglob("answers-*.json"))
    if not files:
        raise ValueError(f"{folder} has no file answers-NAME.json, as lesson.summary writes them")
    parts = [table(read(file), file.stem.removeprefix("answers-")) for file in files]
    return pd.concat(parts, ignore_index=True)
