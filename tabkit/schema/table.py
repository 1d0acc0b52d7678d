"""`Schema` and `Rows`: a DataFrame as codes and standardised numbers, and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tabkit.schema.blocks import argmax_codes, check_codes, check_simplex
from tabkit.schema.columns import Categorical, Continuous
from tabkit.schema.errors import DataError
from tabkit.schema.frames import check_frame, check_names, check_other, check_overflow

FORMAT = 1


@dataclass(frozen=True)
class Rows:
    """Rows of a table as tensors.

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

    def __getitem__(self, index: Tensor | slice | Sequence[int]) -> "Rows":
        return Rows(self.codes[index], self.continuous[index])

    def to(self, device: torch.device | str) -> "Rows":
        """The same rows on another device."""
        return Rows(self.codes.to(device), self.continuous.to(device))


@dataclass(frozen=True)
class Schema:
    """The columns of a table, in order: C categorical and N continuous.

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

    def __post_init__(self) -> None:
        if not self.categorical:
            raise DataError(
                "a schema needs at least one categorical column",
                "name them in categorical=[...]",
            )
        check_names(self.names, "is the name of two columns of the schema", "rename one")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, the categorical ones first."""
        return tuple(c.name for c in (*self.categorical, *self.continuous))

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
        frame: pd.DataFrame,
        *,
        categorical: Sequence[str],
        continuous: Sequence[str] = (),
        other: Mapping[str, int] | None = None,
        max_cardinality: int | None = None,
        scale_on: Sequence[int] | np.ndarray | None = None,
    ) -> "Schema":
        """Reads the schema off a frame that has exactly the named columns.

        Parameters
        ----------
        other
            Columns with an `other` category, each with a number of rows: categories seen in
            fewer rows, and any category that `encode` meets for the first time, share it.
        max_cardinality
            Replaces the rule that refuses a column that looks like an identifier or a
            measurement (over 1,000 categories, or over 20 with fewer than 2 rows each).
        scale_on
            Positions of the rows whose mean and standard deviation standardise the continuous
            columns, such as the training rows; all rows if not given. Categories come from
            all rows.

        Raises
        ------
        DataError
            If a column is missing, extra, duplicated or constant, or holds values of the
            wrong kind; the message names the column, the row, the value and the remedy.
        """
        for names in (categorical, continuous):
            if isinstance(names, str):
                raise DataError(f"expected a list of names, not {names!r}", f"write [{names!r}]")
        other = dict(other or {})
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
        )

    def encode(self, frame: pd.DataFrame, *, dtype: torch.dtype = torch.float32) -> Rows:
        """A frame with exactly the schema's columns (in any order) -> `Rows`.

        Raises
        ------
        DataError
            If the frame does not fit the schema.
        """
        check_frame(frame, self.names)
        codes = [column.encode(frame[column.name]) for column in self.categorical]
        numbers = [column.encode(frame[column.name]) for column in self.continuous]
        stacked = np.stack(numbers, axis=1) if numbers else np.empty((len(frame), 0))
        rows = Rows(torch.tensor(np.stack(codes, axis=1)), torch.tensor(stacked, dtype=dtype))
        check_overflow(rows.continuous, frame, [c.name for c in self.continuous])
        return rows

    def decode(self, rows: Rows) -> pd.DataFrame:
        """`Rows` -> a frame: categories and dtypes exactly, numbers to float precision.

        Missing values come back as the dtype writes them, ``None`` in an object column.

        Raises
        ------
        DataError
            If a code is out of range, or the number of continuous columns is not N.
        """
        self.check_codes(rows.codes)
        if rows.continuous.shape[1] != len(self.continuous):
            raise DataError(
                f"the rows have {rows.continuous.shape[1]} continuous columns, "
                f"the schema {len(self.continuous)}",
                "encode and decode with the same schema",
            )
        codes = rows.codes.cpu().numpy()
        numbers = rows.continuous.detach().cpu().double().numpy()
        columns = [c.decode(codes[:, i]) for i, c in enumerate(self.categorical)]
        columns += [c.decode(numbers[:, i]) for i, c in enumerate(self.continuous)]
        return pd.concat(columns, axis=1)

    def to_codes(self, simplex: Float[Tensor, "B F"]) -> Int64[Tensor, "B C"]:
        """Decodes a simplex: the argmax of each block, after checking that it is a simplex.

        Raises
        ------
        DataError
            If a block is negative, not finite, or does not sum to 1.
        """
        self.check_simplex(simplex)
        return argmax_codes(simplex, self.cardinalities)

    def check_codes(self, codes: Tensor) -> None:
        """As `tabkit.schema.check_codes`, with the columns' names."""
        check_codes(codes, self.cardinalities, [c.name for c in self.categorical])

    def check_simplex(self, simplex: Tensor) -> None:
        """As `tabkit.schema.check_simplex`, with the columns' names."""
        check_simplex(simplex, self.cardinalities, [c.name for c in self.categorical])

    def to_json(self) -> str:
        """The schema as JSON text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Schema":
        """A schema from `to_json`'s text.

        Raises
        ------
        DataError
            If the text is not such a schema.
        """
        try:
            spec = json.loads(text)
            if spec.pop("format") != FORMAT:
                raise ValueError(f"format is not {FORMAT}")
            categorical = [_categorical_from(**entry) for entry in spec.pop("categorical")]
            continuous = [Continuous(**entry) for entry in spec.pop("continuous")]
            if spec:
                raise ValueError(f"unknown entries {sorted(spec)}")
            return cls(tuple(categorical), tuple(continuous))
        except DataError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise DataError(
                f"this is not a schema ({type(error).__name__}: {error})",
                "pass text that Schema.to_json wrote",
            ) from error


def _categorical_from(*, categories: list[Any], **fields: Any) -> Categorical:
    return Categorical(categories=tuple(categories), **fields)
