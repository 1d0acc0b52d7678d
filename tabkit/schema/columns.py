"""One column of a table: what its values may be, and how they become numbers and come back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tabkit.schema.errors import DataError
from tabkit.schema.values import (
    KINDS,
    category_counts,
    check_cardinality,
    check_categorical_values,
    check_varied,
    continuous_values,
    dtype_name,
    plain,
    value_kind,
)

OTHER_LABEL = "(other)"
MISSING_LABEL = "(missing)"
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
    level_dtype : str | None
        The dtype of the levels of a pandas categorical column. Levels without rows are dropped.
    ordered : bool
        Whether a pandas categorical column was ordered.
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
    dtype: str = "object"
    level_dtype: str | None = None
    ordered: bool = False
    missing: bool = False
    other: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS or len(set(self.categories)) < len(self.categories):
            raise DataError(
                "the categories are not distinct strings, integers or booleans, of one kind",
                "infer the schema from a frame",
                column=self.name,
            )
        self._check_labels()
        codes = np.arange(self.cardinality)
        if not np.array_equal(self.encode(self.decode(codes)), codes):
            raise DataError(
                f"dtype {self.dtype} does not hold the categories",
                "infer the schema from a frame",
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
        kept = counts.index[counts >= (other_below or 0)]
        check_varied(column, len(kept), other_below)
        check_cardinality(column, len(kept), max_cardinality)
        is_category = isinstance(column.dtype, pd.CategoricalDtype)
        return cls(
            name=column.name,
            categories=tuple(plain(c) for c in kept),
            dtype=dtype_name(column),
            level_dtype=dtype_name(column.cat.categories) if is_category else None,
            ordered=bool(getattr(column.dtype, "ordered", False)),
            missing=bool(column.isna().any()),
            other=other_below is not None,
        )

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
                f"convert the column to {self.level_dtype or self.dtype}",
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
        beside_label = self.other and self.kind != "string"  # which is text
        if self.dtype != "category":
            return "object" if beside_label else self.dtype
        levels = [*self.categories, *[OTHER_LABEL] * self.other]
        index = pd.Index(levels, dtype="object" if beside_label else self.level_dtype)
        return pd.CategoricalDtype(index, ordered=self.ordered)


@dataclass(frozen=True)
class Continuous:
    """A continuous column: `mean` and `std` in its own unit; inside the nets it is standardised.

    Raises
    ------
    DataError
        If the mean is not finite, or the standard deviation not finite and above 0.
    """

    name: str
    mean: float
    std: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mean) and 0 < self.std < np.inf):
            raise DataError(
                f"cannot be standardised by mean {self.mean} and standard deviation {self.std}",
                "give the column another unit, so that float64 holds the squares of its values",
                column=self.name,
            )

    @classmethod
    def infer(
        cls, column: pd.Series, *, scale_on: Sequence[int] | np.ndarray | None = None
    ) -> "Continuous":
        """Reads mean and (population) standard deviation off a column, or off its rows `scale_on`.

        Every row is checked.
        """
        scaled = pd.Series(continuous_values(column))
        scaled = scaled if scale_on is None else scaled.iloc[np.asarray(scale_on)]
        values = scaled.to_numpy()
        if scaled.empty:
            raise DataError("scale_on holds no row", "pass the positions of the training rows")
        if values.min() == values.max():
            raise DataError(
                "is constant, which says nothing about a row and cannot be standardised",
                "drop the column",
                column=column.name,
                row=int(scaled.index[0]),
                value=float(values[0]),
            )
        with np.errstate(over="ignore", under="ignore"):
            return cls(column.name, float(values.mean()), float(values.std()))

    def encode(self, column: pd.Series) -> np.ndarray:
        """Own unit -> standard deviations, float64 of shape (B,)."""
        return (continuous_values(column) - self.mean) / self.std

    def decode(self, values: np.ndarray) -> pd.Series:
        """Standard deviations -> own unit, float64."""
        return pd.Series(values.astype(np.float64) * self.std + self.mean, name=self.name)
