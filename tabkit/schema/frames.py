"""A frame as a whole: its columns are those that were named, each once, and it has rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from numbers import Integral
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from torch import Tensor

from tabkit.extras import imports_for
from tabkit.schema.errors import DataError
from tabkit.schema.values import check_text, plain


def as_frame(table: Any) -> pd.DataFrame:
    """A table as a pandas DataFrame: what narwhals reads (polars, pyarrow, ...), a dict, records.

    Integers with gaps become pandas' nullable ones. Raises DataError if it is no table.
    """
    if isinstance(table, pd.DataFrame):
        return table
    if isinstance(table, Mapping) or getattr(getattr(table, "dtype", None), "names", None):
        with refused_by_pandas(table):
            return pd.DataFrame(table if isinstance(table, np.ndarray) else dict(table))
    try:
        found = nw.from_native(table)
    except TypeError as error:
        raise no_table(table) from error
    except nw.exceptions.DuplicateError as error:
        raise DataError("two columns of the table have one name", "rename one") from error
    found = found.collect() if isinstance(found, nw.LazyFrame) else found
    with imports_for("other frames"):
        frame = found.to_pandas()
    for name, dtype in found.schema.items():
        if dtype.is_integer() and found[name].null_count():
            whole = "UInt64" if dtype.is_unsigned_integer() else "Int64"
            frame[name] = pd.array(found[name].to_list(), dtype=whole)
    return frame


def no_table(table: Any) -> DataError:
    """What `as_frame` says of what it cannot read."""
    kind = type(table)
    return DataError(
        f"expected a table (pandas, polars, pyarrow, a dict of columns, a record array), not "
        f"{kind.__module__}.{kind.__qualname__}",
        "convert it: table.to_pandas() where it has that, or pandas.DataFrame(table)",
    )


@contextmanager
def refused_by_pandas(table: Any) -> Iterator[None]:
    """Columns that pandas cannot put side by side are no table."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise DataError(
            f"no table can be made of it: {error}", "make its columns equal in length"
        ) from error


def missing_column(name: str, present: Iterable[Any], where: str = "the frame") -> DataError:
    """The error for a name that no column has."""
    close = get_close_matches(name, map(str, present), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return DataError(f"is not in {where}", f"add or rename it{hint}", column=name)


def check_frame(frame: pd.DataFrame, expected: Sequence[Any], *, exactly: bool = True) -> None:
    """A frame with rows and with the expected columns; exactly those, or more."""
    check_names(expected, "is named twice in categorical= and continuous=", "name it once")
    wanted, present = set(expected), set(frame.columns)
    check_names(
        [name for name in frame.columns if exactly or name in wanted],
        "is the name of two columns of the frame",
        "keep one: frame.loc[:, ~frame.columns.duplicated()]",
    )
    for name in expected:
        if name not in present:
            raise missing_column(name, frame.columns)
    extra = [name for name in frame.columns if name not in wanted]
    if exactly and extra:
        raise DataError(
            "is in the frame but not in the schema",
            f"name it as categorical or continuous, or drop it: frame.drop(columns={extra})",
            column=extra[0],
        )
    if frame.empty:
        raise DataError("the frame has no rows", "check the filter or the file that it came from")


def list_names(names: Iterable[Any], role: str) -> list[Any]:
    """Names given as a list, a tuple or an Index; one string is not a list of names."""
    if isinstance(names, str):
        raise DataError(f"{role}= takes a list of names, not {names!r}", f"write [{names!r}]")
    return list(names)


def check_names(names: Iterable[Any], problem: str, remedy: str) -> None:
    """Names are strings, each given once."""
    met, names = set(), list(names)
    check_text(names)
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
