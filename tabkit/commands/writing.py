"""A frame as a file; cells that a spreadsheet would run as formulas, as text if one asks for it."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from tabkit import store
from tabkit.extras import imports_for

FORMULA = re.compile(r"[=+\-@\t\r\n]")  # how a cell begins that OWASP calls an injection of CSV


def escape_argument(add: Callable[..., object]) -> None:
    """The argument of commands that write a table of one's own."""
    text = "put ' before text in CSV that a spreadsheet would run as a formula, such as =1+2"
    add("--escape", action="store_true", help=text)


def number(text: str) -> str | float:
    """A text as a number, where it reads as one."""
    try:
        return float(text)
    except ValueError:
        return text


def is_formula(cell: Any) -> bool:
    """Whether a spreadsheet takes text for a formula; what reads as a number is none.

    Examples
    --------
    >>> [is_formula(cell) for cell in ("=A1", "@SUM(A1)", "-1.5", -1.5, "a=b")]
    [True, True, False, False, False]
    """
    text = isinstance(cell, str) and FORMULA.match(cell)
    return bool(text) and isinstance(number(cell), str)


def escaped(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The frame with ``'`` before each cell and name that is a formula, and how many there are."""
    texts = frame.select_dtypes(exclude="number").astype(object)
    found = sum(map(is_formula, frame.columns)) + int(texts.map(is_formula).to_numpy().sum())
    safe = texts.map(lambda cell: f"'{cell}" if is_formula(cell) else cell)
    frame = frame.assign(**safe)
    return frame.rename(columns=lambda name: f"'{name}" if is_formula(name) else name), found


def write_file(frame: pd.DataFrame, path: Path, *, escape: bool = False) -> None:
    """A frame as CSV, or as Parquet if the file is called so.

    In CSV, formulas are text if `escape`; otherwise a line on stderr says how many there are.
    """
    if path.suffix.lower() in (".parquet", ".pq"):
        with imports_for("parquet files"):
            store.write_whole(path, frame.to_parquet)
        return
    safe, found = escaped(frame)
    store.write_table(safe if escape else frame, path, index=False)
    if found and not escape:
        said = f"tabkit: a spreadsheet would run {found:,} cells of {path} as formulas"
        print(f"{said}: write them as text with --escape", file=sys.stderr)
