"""A raw column: what its values are, and every check that they can be what the schema says."""

from typing import Any

import numpy as np
import pandas as pd

from tabkit.schema.errors import DataError

MAX_CARDINALITY = 1000
MIN_ROWS_PER_CATEGORY = 2
FEW_CATEGORIES = 20
KINDS = ("string", "integer", "boolean")


def value_kind(column: pd.Series) -> str:
    """What the values of a column are, missing ones aside (pandas' own names)."""
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
        _remedy(column, kind),
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


def _remedy(column: pd.Series, kind: str) -> str:
    if kind != "floating":
        return "make every value a string, an integer or a boolean, or drop the column"
    name, present = column.name, pd.to_numeric(column.dropna().astype(object))
    if (present % 1 == 0).all():
        return f"the numbers are whole: frame[{name!r}] = frame[{name!r}].astype('Int64')"
    return (
        f"each distinct float would become a class of its own ({present.nunique():,} here): "
        f"repair the strays, cut the column into bins (pandas.cut), or list {name!r} as continuous"
    )


def check_cardinality(column: pd.Series, cardinality: int, limit: int | None) -> None:
    """Refuses a column that looks like an identifier or a measurement.

    With no `limit`, more than 1,000 categories, or more than 20 with fewer than 2 rows each
    on average, are refused; a `limit` replaces both rules.
    """
    crowded = FEW_CATEGORIES < cardinality > len(column) / MIN_ROWS_PER_CATEGORY
    too_many = cardinality > (MAX_CARDINALITY if limit is None else limit)
    if too_many or (limit is None and crowded):
        raise DataError(
            f"has {cardinality:,} categories in {len(column):,} rows, "
            "like an identifier or a measurement",
            "drop an identifier, list a measurement as continuous or cut it into bins; if it is a "
            f"category all the same, pass max_cardinality={cardinality}, or let rare ones share a "
            f"code with other={{{column.name!r}: 10}}",
            **_first_present(column),
        )


def check_varied(column: pd.Series, kept: int, other_below: int | None) -> None:
    """Refuses a column that falls on one code, or that keeps no category."""
    present = column.dropna()
    if present.empty:
        problem, remedy = "has no value: it is missing in every row", "drop the column"
    elif not kept:
        problem = f"keeps no category: each has fewer than {other_below:,} rows"
        remedy = f"lower other={{{column.name!r}: {other_below}}}, or drop the column"
    elif present.nunique() + column.hasnans < 2:
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
    if not numeric or pd.api.types.is_complex_dtype(column):
        row = _first_not_a_number(column)
        raise DataError(
            f"a continuous column has dtype {column.dtype}",
            "convert it with pandas.to_numeric, or list it as categorical",
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
            "fill it (the median, and a categorical column that says so) or drop the rows",
            column=column.name,
            row=row,
            value=float(values[row]),
        )
    return values


def _first_not_a_number(column: pd.Series) -> int:
    """The first row of text that is not a number; the first row if there is none."""
    numbers = [isinstance(v, str) and np.isnan(pd.to_numeric(v, errors="coerce")) for v in column]
    return int(np.argmax(numbers))


def plain(value: Any) -> Any:
    """A numpy scalar as the Python value that prints and serialises plainly."""
    return value.item() if isinstance(value, np.generic) else value


def category_counts(column: pd.Series) -> pd.Series:
    """Rows of each category that occurs, in the column's own order, or sorted."""
    counts = column.value_counts(sort=False)
    return counts[counts > 0].sort_index()


def dtype_name(column: pd.Series | pd.Index) -> str:
    """The name from which pandas makes the dtype again."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    name = str(dtype)
    if name == "string":  # StringDtype, which hides where its text lies
        name = f"string[{dtype.storage}]"
    elif name == "string[pyarrow]":  # ArrowDtype, whose name pandas reads as StringDtype
        name = "utf8[pyarrow]"
    try:
        restored = pd.api.types.pandas_dtype(name)
    except (TypeError, ValueError):
        restored = None
    if restored != dtype:
        raise DataError(
            f"has dtype {dtype}, which `decode` could not restore from a name",
            "convert the column with astype('category') or astype(object)",
            column=column.name,
        )
    return name
