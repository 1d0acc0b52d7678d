"""A frame as a whole: its columns are those that were named, each once, and it has rows."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from numbers import Integral
from typing import Any

import pandas as pd
from torch import Tensor

from tabkit.schema.errors import DataError
from tabkit.schema.values import plain


def check_frame(frame: Any, expected: Sequence[str], *, exactly: bool = True) -> None:
    """A frame with rows and with the expected columns; exactly those, or more."""
    if not isinstance(frame, pd.DataFrame):
        kind = type(frame)
        raise DataError(
            f"expected a pandas DataFrame, not {kind.__module__}.{kind.__qualname__}",
            "convert it: table.to_pandas() where it has that, or pandas.DataFrame(table)",
        )
    check_names(expected, "is named twice in categorical= and continuous=", "name it once")
    wanted, present = set(expected), set(frame.columns)
    check_names(
        [name for name in frame.columns if exactly or name in wanted],
        "is the name of two columns of the frame",
        "keep one: frame.loc[:, ~frame.columns.duplicated()]",
    )
    for name in expected:
        if name not in present:
            close = get_close_matches(name, map(str, frame.columns), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise DataError("is not in the frame", f"add or rename it{hint}", column=name)
    extra = [name for name in frame.columns if name not in wanted]
    if exactly and extra:
        raise DataError(
            "is in the frame but not in the schema",
            f"name it as categorical or continuous, or drop it: frame.drop(columns={extra})",
            column=extra[0],
        )
    if frame.empty:
        raise DataError("the frame has no rows", "check the filter or the file that it came from")


def list_names(names: Iterable[str], role: str) -> list[str]:
    """Names given as a list, a tuple or an Index; one string is not a list of names."""
    if isinstance(names, str):
        raise DataError(f"{role}= takes a list of names, not {names!r}", f"write [{names!r}]")
    return list(names)


def check_names(names: Iterable[Any], problem: str, remedy: str) -> None:
    """Names are strings, each given once."""
    met = set()
    for name in names:
        if not isinstance(name, str):
            raise DataError(
                "the name of a column is not a string",
                "rename: frame.columns = [str(name) for name in frame.columns]",
                column=str(name),
            )
        if name in met:
            raise DataError(problem, remedy, column=name)
        met.add(name)


def check_other(other: Mapping[str, int], categorical: Sequence[str]) -> None:
    """`other` gives categorical columns a number of rows each."""
    for name, rows in other.items():
        if name not in categorical:
            raise DataError(
                "is in other= but not a categorical column", "correct the name", column=name
            )
        if isinstance(rows, bool) or not isinstance(rows, Integral) or rows < 0:
            raise DataError(
                "other= takes a number of rows of at least 0",
                "0 keeps every category that was seen",
                column=name,
                value=rows,
            )


def check_overflow(numbers: Tensor, frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Standardised columns (B, N) of a frame must be finite in their dtype."""
    for row, column in (~numbers.isfinite()).nonzero()[:1].tolist():
        raise DataError(
            f"is too many standard deviations from the mean for {numbers.dtype}",
            "correct or drop the row",
            column=names[column],
            row=row,
            value=plain(frame[names[column]].iloc[row]),
        )
