"""Generates the notebooks from their only hand-edited form, the scripts in ``_source``.

    python notebooks/build.py            # write notebooks/*.ipynb and notebooks/solutions/*.ipynb
    python notebooks/build.py --check    # say which are out of date, and change nothing

A source is a py:percent script (Jupytext) that holds the solutions. In the reader's notebook
the lines between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` are left for the reader to write;
where they are the body of a function, it returns None. ``[[course]]`` becomes the course's line.
The solutions lie one folder deeper, and so do their links.
"""

import argparse
import re
import sys
from pathlib import Path

import jupytext
import nbformat

FOLDER = Path(__file__).parent
SOLUTION = re.compile(
    r"^( *)### BEGIN SOLUTION\n(.*?)^ *### END SOLUTION$", re.MULTILINE | re.DOTALL
)
PLACEHOLDER = "# your code here"
COURSE = "[[course]]"
NAMES = {
    "00": "the question in five minutes",
    "01": "integer-index baseline",
    "02": "one-hot is Linear",
    "03": "net0 through net1",
    "04": "decoders and the limit",
    "05": "every estimator, one ruler",
    "06": "what net1 learned",
    "07": "where predictions land",
    "08": "as fast as a plain MLP",
    "09": "your own net and table",
}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def sources() -> list[Path]:
    """The source scripts, in the order of the course."""
    return sorted((FOLDER / "_source").glob("*.py"))


def course(own: str) -> str:
    """All notebooks by number and name, linked, but for one's own."""
    files = {source.stem[:2]: source.stem for source in sources()}
    return " → ".join(
        f"*{number} {NAMES[number]}*"
        if stem == own
        else f"[{number} {NAMES[number]}]({stem}.ipynb)"
        for number, stem in files.items()
    )


def unsolved(found: re.Match[str]) -> str:
    """What the reader gets in place of a solution."""
    return f"{found[1]}return None  {PLACEHOLDER}" if found[1] else PLACEHOLDER


def generate(source: Path, *, solved: bool) -> str:
    """The text of one notebook, for the reader or with the solutions."""
    notebook = nbformat.v4.new_notebook(metadata=METADATA)
    for number, cell in enumerate(jupytext.read(source).cells):
        text = SOLUTION.sub(r"\2" if solved else unsolved, cell.source).strip("\n")
        text = re.sub("\n{4,}", "\n\n\n", text.replace(COURSE, course(source.stem)))
        text = text.replace("](../", "](../../") if solved else text
        make = getattr(nbformat.v4, f"new_{cell.cell_type}_cell")
        notebook.cells.append(make(text, id=f"{source.stem[:2]}-{number:02d}"))
    return nbformat.writes(notebook) + "\n"


def notebooks() -> dict[Path, str]:
    """The path and the text of every generated notebook."""
    return {
        folder / source.with_suffix(".ipynb").name: generate(source, solved=solved)
        for source in sources()
        for folder, solved in ((FOLDER, False), (FOLDER / "solutions", True))
    }


def main() -> int:
    """Writes or compares; returns 1 if the comparison finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    stale = [
        path
        for path, text in notebooks().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        print(f"{'out of date' if check else 'wrote'}: {path.relative_to(FOLDER.parent)}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(notebooks()[path], encoding="utf-8", newline="\n")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
