"""One column of a table: what its values may be, and how they become numbers and come back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tabkit.schema.errors import DataError

MAX_CARDINALITY = 1000
MIN_ROWS_PER_CATEGORY = 2
FEW_CATEGORIES = 20
OTHER_LABEL = "(other)"
MISSING_LABEL = "(missing)"
KINDS = ("string", "integer", "boolean")
Category = str | int | bool


@dataclass(frozen=True)
class Categorical:
    """A categorical column: its categories in code order, then `missing`, then `other`.

    Attributes
    ----------
    name : str
    categories : tuple of str, int or bool
        All of one kind. The position of a category is its code.
    dtype : str
        The pandas dtype that `decode` restores.
    ordered : bool
        Whether a pandas categorical column was ordered.
    missing : bool
        Whether missing values have a code of their own (they do if `infer` saw any).
    other : bool
        Whether rare and unseen values share a code of their own.
    """

    name: str
    categories: tuple[Category, ...]
    dtype: str = "object"
    ordered: bool = False
    missing: bool = False
    other: bool = False

    @property
    def kind(self) -> str:
        """``"string"``, ``"integer"`` or ``"boolean"``."""
        return pd.api.types.infer_dtype(list(self.categories), skipna=False)

    @property
    def cardinality(self) -> int:
        """K, the number of codes, `missing` and `other` included."""
        return len(self.categories) + self.missing + self.other

    @property
    def labels(self) -> tuple[str, ...]:
        """A name for each code, for tables and figures."""
        extra = [MISSING_LABEL] * self.missing + [OTHER_LABEL] * self.other
        return (*map(str, self.categories), *extra)

    @classmethod
    def infer(
        cls, column: pd.Series, *, other_below: int | None = None, max_cardinality: int | None
    ) -> "Categorical":
        """Reads the categories off a column; categories under `other_below` rows become `other`."""
        check_categorical_values(column)
        counts = _counts(column)
        check_cardinality(column, len(counts), max_cardinality)
        missing = bool(column.isna().any())
        rare = counts.index[counts < (other_below or 0)]
        categories = [plain(c) for c in counts.index if c not in set(rare)]
        spec = cls(
            name=str(column.name),
            categories=tuple(categories),
            dtype=_dtype_name(column),
            ordered=bool(getattr(column.dtype, "ordered", False)),
            missing=missing,
            other=other_below is not None,
        )
        spec._check_labels()
        if spec.cardinality < 2 or not categories:
            raise DataError(
                "is constant: it has one category, which says nothing about a row",
                "drop the column",
                column=spec.name,
                value=plain(column.iloc[0]),
            )
        return spec

    def _check_labels(self) -> None:
        reserved = [MISSING_LABEL] * self.missing + [OTHER_LABEL] * self.other
        for label in set(reserved).intersection(self.categories):
            raise DataError(
                "is the name of a category and also tabkit's own label",
                "rename the category",
                column=self.name,
                value=label,
            )

    def encode(self, column: pd.Series) -> np.ndarray:
        """Values -> codes, int64 of shape (B,)."""
        check_categorical_values(column)
        self._check_kind(column)
        codes = pd.Index(self.categories, dtype=object).get_indexer(column.astype(object))
        absent = column.isna().to_numpy()
        codes[absent] = self._missing_code(column, absent)
        unseen = codes < 0
        codes[unseen] = self._other_code(column, unseen)
        return codes.astype(np.int64)

    def _missing_code(self, column: pd.Series, absent: np.ndarray) -> int:
        if self.missing or not absent.any():
            return len(self.categories)
        raise DataError(
            "is missing, and no value was missing when the schema was inferred",
            "fill it in or drop the row; or infer the schema from a frame that has missing values",
            column=self.name,
            row=int(absent.argmax()),
            value=None,
        )

    def _other_code(self, column: pd.Series, unseen: np.ndarray) -> int:
        if self.other or not unseen.any():
            return self.cardinality - 1
        row = int(unseen.argmax())
        raise DataError(
            f"is not among the {len(self.categories)} categories of the schema",
            f"drop the row, or infer the schema with other={{{self.name!r}: 0}} "
            "so that unseen values share one category",
            column=self.name,
            row=row,
            value=plain(column.iloc[row]),
        )

    def _check_kind(self, column: pd.Series) -> None:
        kind = value_kind(column)
        if kind not in (self.kind, "empty"):
            raise DataError(
                f"holds {kind} values where the schema has {self.kind} categories",
                f"convert the column to {self.dtype}",
                column=self.name,
                row=int(column.notna().to_numpy().argmax()),
                value=plain(column[column.notna()].iloc[0]),
            )

    def decode(self, codes: np.ndarray) -> pd.Series:
        """Codes -> values in the column's own dtype; `other` comes back as its label."""
        values = np.empty(self.cardinality, dtype=object)
        values[: len(self.categories)] = self.categories
        values[len(self.categories) :] = [None] * self.missing + [OTHER_LABEL] * self.other
        return pd.Series(values[codes], name=self.name, dtype=self._decoded_dtype())

    def _decoded_dtype(self) -> Any:
        if self.dtype == "category":
            levels = [*self.categories, *[OTHER_LABEL] * self.other]
            return pd.CategoricalDtype(levels, ordered=self.ordered)
        return "object" if self.other and self.kind != "string" else self.dtype


@dataclass(frozen=True)
class Continuous:
    """A continuous column: `mean` and `std` in its own unit; inside the nets it is standardised."""

    name: str
    mean: float
    std: float

    @classmethod
    def infer(cls, column: pd.Series) -> "Continuous":
        """Reads mean and (population) standard deviation off a column."""
        values = continuous_values(column)
        if values.min() == values.max():
            raise DataError(
                "is constant, which says nothing about a row and cannot be standardised",
                "drop the column",
                column=str(column.name),
                value=float(values[0]),
            )
        return cls(str(column.name), float(values.mean()), float(values.std()))

    def encode(self, column: pd.Series) -> np.ndarray:
        """Own unit -> standard deviations, float64 of shape (B,)."""
        return (continuous_values(column) - self.mean) / self.std

    def decode(self, values: np.ndarray) -> pd.Series:
        """Standard deviations -> own unit, float64."""
        return pd.Series(values.astype(np.float64) * self.std + self.mean, name=self.name)


def value_kind(column: pd.Series) -> str:
    """What the values of a column are, missing ones aside (pandas' own names)."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.categories
    kind = pd.api.types.infer_dtype(column, skipna=True)
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
        column=str(column.name),
        row=row,
        value=value,
    )


def _first_misfit(column: pd.Series, kind: str) -> tuple[int, Any]:
    """The first float among integers, or the first value of another type than the first one."""
    present = [(row, v) for row, v in enumerate(column) if not _is_missing(v)]
    if kind == "floating":
        strays = [(r, v) for r, v in present if isinstance(v, float) and not v.is_integer()]
        strays = strays or [(r, v) for r, v in present if isinstance(v, float)]
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
            "drop an identifier, list a measurement as continuous or cut it into bins; "
            f"if it is a category all the same, pass max_cardinality={cardinality}",
            column=str(column.name),
            value=plain(column.dropna().iloc[0]),
        )


def continuous_values(column: pd.Series) -> np.ndarray:
    """A numeric column as finite float64; booleans, text and dates are refused."""
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if not numeric or pd.api.types.is_complex_dtype(column):
        raise DataError(
            f"a continuous column has dtype {column.dtype}",
            "convert it with pandas.to_numeric, or list it as categorical",
            column=str(column.name),
            row=0,
            value=plain(column.iloc[0]),
        )
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"a continuous column is not finite in {int(bad.sum()):,} rows",
            "fill it (the median, and a categorical column that says so) or drop the rows",
            column=str(column.name),
            row=row,
            value=float(values[row]),
        )
    return values


def plain(value: Any) -> Any:
    """A numpy scalar as the Python value that prints and serialises plainly."""
    return value.item() if isinstance(value, np.generic) else value


def _counts(column: pd.Series) -> pd.Series:
    """Rows of each category that occurs, in the column's own order, or sorted."""
    counts = column.value_counts(sort=False)
    return counts[counts > 0].sort_index()


def _dtype_name(column: pd.Series) -> str:
    return "category" if isinstance(column.dtype, pd.CategoricalDtype) else str(column.dtype)
