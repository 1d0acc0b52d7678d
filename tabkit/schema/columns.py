"""One column of a table: what its values may be, and how they become numbers and come back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionDtype

from tabkit.schema.errors import DataError
from tabkit.schema.values import (
    KINDS,
    category_counts,
    check_cardinality,
    check_categorical_values,
    check_text,
    check_varied,
    continuous_values,
    plain,
    value_kind,
)

OTHER_LABEL = "(other)"
MISSING_LABEL = "(missing)"
CONVERSIONS = {
    "string": "astype(str)",
    "integer": "astype('Int64')",
    "boolean": "map({1: True, 0: False, 'True': True, 'False': False})",
}
Category = str | int | bool
Dtype = np.dtype | ExtensionDtype
OBJECT, FLOAT = np.dtype(object), np.dtype(np.float64)


@dataclass(frozen=True)
class Categorical:
    """A categorical column: its categories in code order, then `missing`, then `other`.

    Attributes
    ----------
    name : str
    categories : tuple of str, int or bool
        All of one kind. The position of a category is its code.
    dtype : numpy or pandas dtype
        What `decode` restores. Of a pandas categorical dtype, levels without rows are dropped.
    missing : bool
        Whether missing values have a code of their own (they do if `infer` saw any).
    other : bool
        Whether rare and unseen values share a code of their own.

    Raises
    ------
    DataError
        If the categories are not distinct values of one kind that the dtype can hold.
    """

    name: str
    categories: tuple[Category, ...]
    dtype: Dtype = OBJECT
    missing: bool = False
    other: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS or len(set(self.categories)) < len(self.categories):
            raise DataError(
                "the categories are not distinct strings, integers or booleans, of one kind",
                "infer the schema from a frame",
                column=self.name,
            )
        check_text(self.categories, self.name)
        self._check_labels()
        if not self._holds_its_categories():
            raise DataError(
                f"dtype {self.dtype} does not hold the categories",
                f"convert the column: frame[{self.name!r}].astype(object)",
                column=self.name,
            )

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
        counts = category_counts(column)
        kept = counts[counts >= (other_below or 0)]
        check_varied(column, counts, other_below)
        check_cardinality(column, kept, max_cardinality)
        return cls(
            name=column.name,
            categories=tuple(plain(c) for c in kept.index),
            dtype=column.dtype,
            missing=bool(column.isna().any()),
            other=other_below is not None,
        )

    def _holds_its_categories(self) -> bool:
        codes = np.arange(self.cardinality)
        try:
            return np.array_equal(self.encode(self.decode(codes)), codes)
        except (TypeError, ValueError, OverflowError, NotImplementedError):  # pandas' and Arrow's
            return False

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
        absent = column.isna().to_numpy()
        column = self._without_label(column)
        check_categorical_values(column)
        self._check_kind(column)
        codes = pd.Index(self.categories, dtype=object).get_indexer(column.astype(object))
        codes[absent] = self._missing_code(column, absent)
        unseen = codes < 0
        codes[unseen] = self._other_code(column, unseen)
        return codes.astype(np.int64)

    def _without_label(self, column: pd.Series) -> pd.Series:
        """The label that `decode` writes between integers or booleans, blanked."""
        if not self.other or self.kind == "string":
            return column
        label = np.array([isinstance(v, str) and v == OTHER_LABEL for v in column])
        return column.astype(object).mask(label, None)

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
                f"convert the column: frame[{self.name!r}].{CONVERSIONS[self.kind]}",
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

    def _decoded_dtype(self) -> Dtype:
        beside_label = self.other and self.kind != "string"  # which is text
        if not isinstance(self.dtype, pd.CategoricalDtype):
            return OBJECT if beside_label else self.dtype
        levels = [*self.categories, *[OTHER_LABEL] * self.other]
        level_dtype = OBJECT if beside_label else self.dtype.categories.dtype
        return pd.CategoricalDtype(pd.Index(levels, dtype=level_dtype), ordered=self.dtype.ordered)


@dataclass(frozen=True)
class Continuous:
    """A continuous column: `mean` and `std` in its own unit; inside the nets it is standardised.

    Attributes
    ----------
    name : str
    mean, std : float
        Of the rows that set the scale.
    lowest, highest : float
        What was seen, in any row: the range that `decode` keeps to.
    dtype : numpy or pandas dtype
        What `decode` restores, of integers or floats; other numbers (decimals) become float64.

    Raises
    ------
    DataError
        If the mean is not finite, the standard deviation not finite and above 0, or the range none.
    """

    name: str
    mean: float
    std: float
    lowest: float = -np.inf
    highest: float = np.inf
    dtype: Dtype = FLOAT

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mean) and 0 < self.std < np.inf):
            raise DataError(
                f"cannot be standardised by mean {self.mean} and standard deviation {self.std}",
                "give the column another unit, so that float64 holds the squares of its values",
                column=self.name,
            )
        if not self.lowest <= self.highest or np.inf in (self.lowest, -self.highest):
            raise DataError(
                f"has no values from {self.lowest} to {self.highest}",
                "give lowest and highest of the column, or neither",
                column=self.name,
            )

    @classmethod
    def infer(
        cls, column: pd.Series, *, scale_on: Sequence[int] | np.ndarray | None = None
    ) -> "Continuous":
        """Reads mean and (population) standard deviation off a column, or off its rows `scale_on`.

        Every row is checked, and counts for the range.
        """
        values = continuous_values(column)
        places = np.arange(len(values))
        if scale_on is not None:
            if len(scale_on) == 0:
                raise DataError("scale_on holds no row", "pass the positions of the training rows")
            places = places[np.asarray(scale_on)]
        scaled = values[places]
        lowest, highest = float(values.min()), float(values.max())
        if scaled.min() == scaled.max():
            where = "" if lowest == highest else " in the rows that set the scale (for training)"
            raise DataError(
                f"is constant{where}, which says nothing about a row and cannot be standardised",
                "drop the column",
                column=column.name,
                row=int(places[0]),
                value=float(scaled[0]),
            )
        dtype = column.dtype if numpy_dtype(column.dtype).kind in "iuf" else FLOAT
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            mean, std = float(scaled.mean()), float(scaled.std())
        return cls(column.name, mean, std, lowest, highest, dtype)

    def encode(self, column: pd.Series) -> np.ndarray:
        """Own unit -> standard deviations, float64 of shape (B,)."""
        return (continuous_values(column) - self.mean) / self.std

    def decode(self, values: np.ndarray, *, clip: bool = True) -> pd.Series:
        """Standard deviations -> own unit and dtype; integers are rounded.

        The values are held within `lowest` and `highest`; if not `clip`, only within what the
        dtype can hold.
        """
        kind = numpy_dtype(self.dtype)
        whole = kind.kind in "iu"
        limits = np.iinfo(kind) if whole else np.finfo(kind)
        low, high = (self.lowest, self.highest) if clip else (-np.inf, np.inf)
        # the largest integer of 64 bits is no float64: the next smaller float64 is what fits
        low, high = max(low, limits.min), min(high, np.nextafter(float(limits.max), 0))
        own = np.clip(values.astype(np.float64) * self.std + self.mean, low, high)
        own = np.rint(own).astype(kind) if whole else own
        return pd.Series(own, name=self.name, dtype=self.dtype)


def numpy_dtype(dtype: Dtype) -> np.dtype:
    """The numpy dtype inside a nullable or an Arrow dtype; object for any other extension."""
    found = getattr(dtype, "numpy_dtype", dtype)
    return found if isinstance(found, np.dtype) else OBJECT
