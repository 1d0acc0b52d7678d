"""`Schema` and `Rows`: a DataFrame as codes and standardised numbers, and back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tabkit.schema.checks import check_codes
from tabkit.schema.columns import Categorical, Continuous
from tabkit.schema.errors import DataError
from tabkit.schema.fixed import Fixed
from tabkit.schema.frames import as_frame, check_frame, check_names, check_other, list_names
from tabkit.schema.scale import in_units, numbers_of


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a table as tensors. Two are equal if all of their codes and numbers are.

    Shape
    -----
    codes : (B, C) int64
    continuous : (B, N) floating point, in standard deviations

    Raises
    ------
    ValueError
        If the two do not have these dtypes and the same number of rows.
    """

    codes: Int64[Tensor, "B C"]
    continuous: Float[Tensor, "B N"]

    def __post_init__(self) -> None:
        if self.codes.dtype != torch.int64 or not self.continuous.is_floating_point():
            raise ValueError(
                "codes are int64 and continuous is floating point, "
                f"not {self.codes.dtype} and {self.continuous.dtype}"
            )
        if self.codes.dim() != 2 or self.continuous.dim() != 2:
            raise ValueError("codes have shape (B, C) and continuous (B, N)")
        if len(self.codes) != len(self.continuous):
            raise ValueError(f"{len(self.codes)} rows of codes, {len(self.continuous)} of numbers")

    def __len__(self) -> int:
        return len(self.codes)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Rows)
            and torch.equal(self.codes, other.codes)
            and torch.equal(self.continuous, other.continuous)
        )

    __hash__ = None  # as a list's: equal, but not fixed

    def __getitem__(self, index: Tensor | slice | Sequence[int]) -> "Rows":
        codes = self.codes[index]
        if codes.dim() != 2:
            raise ValueError("rows are taken by a slice or by positions: rows[[3]], not rows[3]")
        return self._valid(codes, self.continuous[index])

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Rows":
        """The same rows on another device, the numbers in another dtype if one is given."""
        make = self._valid if dtype is None else Rows
        return make(self.codes.to(device), self.continuous.to(device, dtype))

    @staticmethod
    def _valid(codes: Tensor, continuous: Tensor) -> "Rows":
        """Parts of valid rows, which need no check: a step of training takes several."""
        rows = object.__new__(Rows)
        rows.__dict__.update(codes=codes, continuous=continuous)
        return rows


@dataclass(frozen=True)
class Schema:
    """The columns of a table: C categorical and N continuous.

    Attributes
    ----------
    categorical, continuous : tuple of Categorical, of Continuous
        In the order in which the nets see them.
    names : tuple of str
        All names, in the order of the frame that the schema was inferred from and that `decode`
        restores; the categorical ones first if not given.

    Examples
    --------
    >>> frame = pd.DataFrame({"origin": ["JFK", "EWR", "JFK"], "temp": [39.0, 41.0, 40.0]})
    >>> schema = Schema.infer(frame, categorical=["origin"], continuous=["temp"])
    >>> schema.cardinalities, schema.width
    ((2,), 2)
    >>> rows = schema.encode(frame)
    >>> rows.codes.T
    tensor([[1, 0, 1]])
    >>> schema.decode(rows)["origin"].tolist()
    ['JFK', 'EWR', 'JFK']
    """

    categorical: tuple[Categorical, ...]
    continuous: tuple[Continuous, ...] = ()
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.categorical:
            raise DataError(
                "a schema needs at least one categorical column", "name them in categorical=[...]"
            )
        own = [c.name for c in (*self.categorical, *self.continuous)]
        check_names(own, "is the name of two columns of the schema", "rename one")
        object.__setattr__(self, "names", tuple(self.names) or tuple(own))
        if sorted(self.names) != sorted(own):
            raise DataError(
                f"names= are {list(self.names)}, and those of the columns {own}",
                "name each column once",
            )

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """K of each categorical column."""
        return tuple(c.cardinality for c in self.categorical)

    @property
    def width(self) -> int:
        """F, the width of a row's concatenated simplexes."""
        return sum(self.cardinalities)

    @classmethod
    def infer(
        cls,
        frame: Any,
        *,
        categorical: Iterable[str],
        continuous: Iterable[str] = (),
        other: Mapping[str, int] | None = None,
        max_cardinality: int | None = None,
        scale_on: Sequence[int] | np.ndarray | None = None,
    ) -> "Schema":
        """Reads the schema off a frame that has exactly the named columns.

        Parameters
        ----------
        frame
            A pandas DataFrame, or what narwhals reads (polars, pyarrow, ...), or a dict of columns.
        other
            Columns with an `other` category, each with a number of rows: categories seen in
            fewer rows, and any category that `encode` meets for the first time, share it.
        max_cardinality
            Replaces the rule that refuses a column that looks like an identifier or a
            measurement (over 1,000 categories, or over 20 with fewer than 2 rows each).
        scale_on
            Positions of the rows whose mean and standard deviation standardise the continuous
            columns, such as the training rows; all rows if not given. Categories and ranges
            come from all rows.

        Raises
        ------
        DataError
            If a column is missing, extra, duplicated or constant, or holds values of the
            wrong kind; the message names the column, the row, the value and the remedy.
        """
        categorical = list_names(categorical, "categorical")
        continuous = list_names(continuous, "continuous")
        frame, other = as_frame(frame), dict(other or {})
        check_frame(frame, [*categorical, *continuous])
        check_other(other, categorical)
        return cls(
            tuple(
                Categorical.infer(
                    frame[name], other_below=other.get(name), max_cardinality=max_cardinality
                )
                for name in categorical
            ),
            tuple(Continuous.infer(frame[name], scale_on=scale_on) for name in continuous),
            tuple(frame.columns),
        )

    def encode(self, frame: Any, *, dtype: torch.dtype = torch.float32) -> Rows:
        """A frame with exactly the schema's columns (in any order) -> `Rows`.

        Raises
        ------
        DataError
            If the frame does not fit the schema.
        """
        frame = as_frame(frame)
        check_frame(frame, self.names)
        codes = [column.encode(frame[column.name]) for column in self.categorical]
        numbers = numbers_of(frame, self.continuous, dtype=dtype)
        return Rows(torch.tensor(np.stack(codes, axis=1)), numbers)

    def decode(self, rows: Rows, *, clip: bool = True) -> pd.DataFrame:
        """`Rows` -> a frame as the schema knows it: its order of columns, its dtypes.

        Categories come back exactly, numbers to float precision, and whole where the column is of
        integers. Missing values come back as the dtype writes them, ``None`` in an object column.

        Parameters
        ----------
        clip
            Hold each number within the range of the rows that the schema was inferred from, as a
            net's output may lie anywhere. The rows of another frame may lie outside, too: without
            `clip` they come back as they were.

        Raises
        ------
        DataError
            If a code is out of range, a number is not finite, or there are not N numbers.
        """
        self.check_codes(rows.codes)
        codes, numbers = (
            rows.codes.cpu().numpy(),
            in_units(rows.continuous, self.continuous, clip=clip),
        )
        columns = {c.name: c.decode(codes[:, i]) for i, c in enumerate(self.categorical)}
        columns |= dict(numbers.items())
        return pd.DataFrame({name: columns[name] for name in self.names})

    def fix(self, values: Mapping[str, Any]) -> Fixed:
        """Values that every predicted row shall have, by column, such as ``{"origin": "JFK"}``.

        Raises
        ------
        DataError
            If there is no such column, or the column has no such value.
        """
        return Fixed.of(values, self.categorical, self.continuous)

    def check_codes(self, codes: Tensor) -> None:
        """As `tabkit.schema.check_codes`, with the columns' names."""
        check_codes(codes, self.cardinalities, [c.name for c in self.categorical])
