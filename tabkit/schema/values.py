"""A raw column: what its values are, and every check that they can be what the schema says."""

import re
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from tabkit.schema.errors import DataError

MAX_CARDINALITY = 1000
MIN_ROWS_PER_CATEGORY = 2
FEW_CATEGORIES = 20
MAX_WHOLE = 2**53  # beyond, float64 holds no longer every whole number
KINDS = ("string", "integer", "boolean")
WHOLE_COLUMN = {"b": "boolean", "i": "integer", "u": "integer"}  # what numpy's own dtypes hold
DATES = ("datetime64", "datetime", "date")
SURROGATE = re.compile("[\ud800-\udfff]")


def value_kind(column: pd.Series) -> str:
    """What the values of a column are, missing ones aside (pandas' own names)."""
    known = WHOLE_COLUMN.get(getattr(column.dtype, "kind", ""))
    if known and isinstance(column.dtype, np.dtype) and len(column):
        return known
    if isinstance(column.dtype, pd.StringDtype) and column.notna().any():
        return "string"
    if column.dtype == np.float64 and column.notna().any():
        return "floating"
    present = column.dropna()
    if isinstance(column.dtype, pd.CategoricalDtype):
        present = present.cat.remove_unused_categories().cat.categories
    kind = pd.api.types.infer_dtype(present.astype(object))
    return "floating" if kind in ("mixed-integer-float", "decimal") else kind


def check_categorical_values(column: pd.Series) -> None:
    """Lets strings, integers and booleans pass, each alone in its column."""
    kind = value_kind(column)
    if kind in (*KINDS, "empty"):
        return
    row, value = _first_misfit(column, kind)
    raise DataError(
        f"a categorical column holds {kind} values",
        _categorical_remedy(column, kind),
        column=column.name,
        row=row,
        value=value,
    )


def _first_misfit(column: pd.Series, kind: str) -> tuple[int, Any]:
    """The first float among integers, or the first value of another type than the first one."""
    present = [(row, v) for row, v in enumerate(column) if not _is_missing(v)]
    if kind == "floating":
        floats = [(r, v) for r, v in present if not isinstance(v, int | np.integer)]
        strays = [(r, v) for r, v in floats if not float(v).is_integer()] or floats
    else:
        strays = [(r, v) for r, v in present if type(v) is not type(present[0][1])]
    row, value = (strays or present)[0]
    return row, plain(value)


def _is_missing(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _categorical_remedy(column: pd.Series, kind: str) -> str:
    found = f"frame[{column.name!r}]"
    if kind in DATES:
        parts = f"pandas.to_datetime({found}).dt"
        return f"take the parts that matter, such as {parts}.month and {parts}.day_of_week"
    if kind != "floating":
        return f"make every value text, {found}.astype(str), or drop the column"
    present = column.dropna().astype(float)
    if np.isinf(present).any():
        return "replace what is infinite, or drop the row"
    if ((present % 1 == 0) & (present.abs() < MAX_WHOLE)).all():
        return f"the numbers are whole: {found} = {found}.astype(float).astype('Int64')"
    return (
        f"each distinct float would become a class of its own ({present.nunique():,} here): "
        f"repair the strays, cut the column into {_bins(found)}, "
        f"or list it as continuous, {found}.astype(float)"
    )


def _bins(found: str) -> str:
    return f"bins, pandas.cut({found}.astype(float), 10).astype(str)"


def looks_like_an_identifier(cardinality: int, rows: int) -> bool:
    """More than 1,000 categories, or more than 20 with fewer than 2 rows each on average."""
    crowded = FEW_CATEGORIES < cardinality > rows / MIN_ROWS_PER_CATEGORY
    return cardinality > MAX_CARDINALITY or crowded


def check_cardinality(column: pd.Series, counts: pd.Series, limit: int | None) -> None:
    """Refuses a column that looks like an identifier or a measurement.

    With no `limit`, more than 1,000 categories, or more than 20 with fewer than 2 rows each
    on average, are refused; a `limit` replaces both rules.
    """
    cardinality, most = len(counts), MAX_CARDINALITY if limit is None else limit
    if (
        not looks_like_an_identifier(cardinality, len(column))
        if limit is None
        else cardinality <= most
    ):
        return
    name = column.name
    remedy = "drop an identifier; list a measurement as continuous, "
    remedy += f"or cut it into {_bins(f'frame[{name!r}]')}; "
    remedy += f"if it is a category all the same, pass max_cardinality={cardinality}"
    rare = max([10, *(counts.nlargest(most + 1).iloc[most:] + 1)])  # so that no more than that stay
    if counts.max() >= rare:
        remedy += f", or let those of fewer rows share a code with other={{{name!r}: {rare}}}"
    raise DataError(
        f"has {cardinality:,} categories in {len(column):,} rows, "
        "like an identifier or a measurement",
        remedy,
        **_first_present(column),
    )


def check_varied(column: pd.Series, counts: pd.Series, other_below: int | None) -> None:
    """Refuses a column that falls on one code, or that keeps no category."""
    if counts.empty:
        problem, remedy = "has no value: it is missing in every row", "drop the column"
    elif counts.max() < (other_below or 0):
        problem = f"keeps no category: each has fewer than {other_below:,} rows"
        remedy = f"lower it to other={{{column.name!r}: {counts.max()}}}, or drop the column"
    elif len(counts) + column.hasnans < 2:
        problem = "is constant: it has one category, which says nothing about a row"
        remedy = "drop the column"
    else:
        return
    raise DataError(problem, remedy, **_first_present(column))


def _first_present(column: pd.Series) -> dict[str, Any]:
    """The place of the first value that is not missing, or of the first if all are."""
    row = int(column.notna().to_numpy().argmax())
    return {"column": column.name, "row": row, "value": plain(column.iloc[row])}


def continuous_values(column: pd.Series) -> np.ndarray:
    """A numeric column as finite float64; booleans, text and dates are refused."""
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    found = f"frame[{column.name!r}]"
    if not numeric or pd.api.types.is_complex_dtype(column):
        row = _first_not_a_number(column)
        raise DataError(
            f"a continuous column has dtype {column.dtype}",
            _continuous_remedy(column, found),
            column=column.name,
            row=row,
            value=plain(column.iloc[row]),
        )
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"a continuous column is not finite in {int(bad.sum()):,} of {len(bad):,} rows",
            f"drop the rows, frame[numpy.isfinite({found}.astype(float))], or fill the gaps (the "
            "median, and a categorical column that says so)",
            column=column.name,
            row=row,
            value=float(values[row]),
        )
    return values


def _continuous_remedy(column: pd.Series, found: str) -> str:
    kind = value_kind(column)
    if kind in DATES:
        dates = f"pandas.to_datetime({found})"
        return f"count the days since the first: ({dates} - {dates}.min()).dt.days"
    if kind == "complex":
        return f"take numpy.real({found}) and numpy.imag({found}) as two columns"
    if kind in ("boolean", "integer", "floating"):
        return f"make them numbers: {found} = {found}.astype(float)"
    return (
        f"read the numbers with pandas.to_numeric({found}, errors='coerce'), which leaves a gap "
        "where there is none; or list a row's own column as categorical, or drop it"
    )


def _first_not_a_number(column: pd.Series) -> int:
    """The first row of text that is not a number; the first row if there is none."""
    numbers = [isinstance(v, str) and np.isnan(pd.to_numeric(v, errors="coerce")) for v in column]
    return int(np.argmax(numbers))


def plain(value: Any) -> Any:
    """A numpy scalar as the Python value that prints and serialises plainly."""
    return value.item() if isinstance(value, np.generic) else value


def category_counts(column: pd.Series) -> pd.Series:
    """Rows of each category that occurs, in the column's own order, or sorted."""
    return value_counts(column, sort=False).sort_index()


def value_counts(column: pd.Series, *, sort: bool = True) -> pd.Series:
    """Rows of each value that occurs; before its version 3 pandas guesses other dtypes for them."""
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        counts = column.value_counts(sort=sort)
    counts = counts[counts > 0]
    return counts.set_axis(counts.index.astype(object)) if column.dtype == object else counts


def has_surrogate(value: Any) -> bool:
    """Whether it is text with half a character, which no encoding can write."""
    return isinstance(value, str) and SURROGATE.search(value) is not None


def check_text(texts: Iterable[Any], column: str | None = None) -> None:
    """Refuses text that no file could hold: categories of `column`, or names of columns."""
    for text in filter(has_surrogate, texts):
        raise DataError(
            "is text with half a character (a surrogate), which no file can hold",
            "read the table again, in its own encoding",
            column=column or text,
            value=text,
        )
