"""`Dataset`, how a frame becomes one, splits and pairs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from textwrap import shorten

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from tabkit.schema import (
    Continuous,
    DataError,
    Rows,
    Schema,
    check_frame,
    check_names,
    check_overflow,
    list_names,
)

Index = Int64[Tensor, " _"]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Encoded rows with all that the two nets need. It equals itself only.

    Attributes
    ----------
    name : str
    schema : Schema
    rows : Rows
        codes (B, C) and continuous (B, N), in standard deviations.
    outcomes : Tensor
        (B, O), in standard deviations of the training rows. net1's distances match distances
        between these; they are not among its inputs.
    signal : Tensor
        (B, S), in standard deviations of the training rows: what net0 sees.
    train, validation, test : Tensor
        Positions of the rows of each split.
    truth : Mapping[str, DataFrame]
        For some categorical columns, what is known of their categories (the frame's index).
        No net sees it.
    outcome_names, signal_names : tuple of str
    """

    name: str
    schema: Schema
    rows: Rows
    outcomes: Float[Tensor, "B O"]
    signal: Float[Tensor, "B S"]
    train: Index
    validation: Index
    test: Index
    outcome_names: tuple[str, ...]
    signal_names: tuple[str, ...]
    truth: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        sizes = ", ".join(f"{len(index):,} {name}" for name, index in parts.items())
        columns = {
            "categorical": [f"{c.name} ({c.cardinality})" for c in self.schema.categorical],
            "continuous": [c.name for c in self.schema.continuous],
            "outcomes": self.outcome_names,
            "signal": self.signal_names,
        }
        lines = [
            f"  {len(names)} {role}: {shorten(', '.join(names), 100, placeholder=' ...')}"
            for role, names in columns.items()
        ]
        return "\n".join([f"Dataset {self.name!r}: {len(self):,} rows ({sizes})", *lines])

    @cached_property
    def seen(self) -> Bool[Tensor, " F"]:
        """Which categories at least one training row has; nothing trains the others' vectors."""
        codes = self.rows.codes[self.train]
        starts = torch.tensor([0, *self.schema.cardinalities[:-1]], device=codes.device).cumsum(0)
        seen = torch.zeros(self.schema.width, dtype=torch.bool, device=codes.device)
        seen[codes + starts] = True
        return seen

    def frame(self, index: Index | slice = slice(None)) -> pd.DataFrame:
        """The rows at `index` in their own values and units."""
        return self.schema.decode(self.rows[index])


def from_frame(
    frame: pd.DataFrame,
    *,
    categorical: Iterable[str],
    continuous: Iterable[str] = (),
    outcomes: Iterable[str],
    signal: Iterable[str] | None = None,
    name: str = "frame",
    other: Mapping[str, int] | None = None,
    max_cardinality: int | None = None,
    truth: Mapping[str, pd.DataFrame] | None = None,
    held_out: int | None = None,
    seed: int = 0,
) -> Dataset:
    """A `Dataset` from your own frame.

    Parameters
    ----------
    categorical, continuous
        The columns of a row: what net1 takes and net0 predicts.
    outcomes
        Numeric columns, not among the above, that net1's distances should match.
    signal
        Numeric columns that net0 sees; the outcomes and the continuous columns if not given.
    other, max_cardinality
        As in `Schema.infer`.
    held_out
        Rows in each of validation and test, drawn at random; a tenth if not given.

    Raises
    ------
    DataError
        If a column does not fit (see `Schema.infer`), or an outcome is also an input of net1.

    Examples
    --------
    >>> frame = pd.DataFrame({"port": list("abab") * 5, "delay": range(20)})
    >>> data = from_frame(frame, categorical=["port"], outcomes=["delay"])
    >>> data.outcomes.shape, data.signal_names, len(data.train)
    (torch.Size([20, 1]), ('delay',), 16)
    """
    categorical = list_names(categorical, "categorical")
    continuous = list_names(continuous, "continuous")
    inputs = [*categorical, *continuous]
    outcomes = _numeric_names(outcomes, "outcomes")
    for leaked in set(outcomes).intersection(inputs):
        raise DataError(
            "is an outcome and also an input of net1, which could then read it off",
            "take it out of one of the two",
            column=leaked,
        )
    signal = _numeric_names([*outcomes, *continuous] if signal is None else signal, "signal")
    check_frame(frame, list(dict.fromkeys([*inputs, *outcomes, *signal])), exactly=False)
    splits = split(len(frame), held_out=held_out, seed=seed)
    scale_on = splits[0].numpy()
    table = frame.loc[:, frame.columns.isin(inputs)]  # in the frame's own order
    schema = Schema.infer(
        table,
        categorical=categorical,
        continuous=continuous,
        other=other,
        max_cardinality=max_cardinality,
        scale_on=scale_on,
    )
    return Dataset(
        name,
        schema,
        schema.encode(table),
        standardise(frame, outcomes, scale_on),
        standardise(frame, signal, scale_on),
        *splits,
        outcome_names=tuple(outcomes),
        signal_names=tuple(signal),
        truth=dict(truth or {}),
    )


def _numeric_names(names: Iterable[str], role: str) -> list[str]:
    """One or more names, each given once."""
    found = list_names(names, role)
    if not found:
        raise DataError(f"{role}= is empty", "give a list of one or more numeric columns")
    check_names(found, f"is named twice in {role}=", "name it once")
    return found


def standardise(
    frame: pd.DataFrame, names: Sequence[str], scale_on: np.ndarray
) -> Float[Tensor, "B _"]:
    """Numeric columns in standard deviations of the rows `scale_on`, float32.

    Raises DataError if a column is not numeric, finite and varied, or has a value that float32
    cannot hold.
    """
    specs = [Continuous.infer(frame[name], scale_on=scale_on) for name in names]
    columns = [spec.encode(frame[spec.name]) for spec in specs]
    numbers = torch.tensor(np.stack(columns, axis=1), dtype=torch.float32)
    check_overflow(numbers, frame, names)
    return numbers


def split(rows: int, *, held_out: int | None = None, seed: int = 0) -> tuple[Index, Index, Index]:
    """Random positions of train, validation and test; the last two have `held_out` rows each.

    Raises
    ------
    ValueError
        If a split would be empty.
    """
    held_out = rows // 10 if held_out is None else held_out
    if held_out < 1 or rows - 2 * held_out < 1:
        raise ValueError(
            f"{rows:,} rows cannot hold out {held_out:,} rows twice (at least 1) and keep some to "
            "train: give held_out=, or more rows"
        )
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    return order[2 * held_out :], order[:held_out], order[held_out : 2 * held_out]


def pairs(index: Index, count: int, *, seed: int = 0) -> tuple[Index, Index]:
    """`count` random pairs of different rows among `index`.

    Raises
    ------
    ValueError
        If there are fewer than two rows.
    """
    if len(index) < 2:
        raise ValueError(f"a pair needs two rows; there are {len(index)}")
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(len(index), (count,), generator=generator)
    step = torch.randint(1, len(index), (count,), generator=generator)
    return index[first], index[(first + step) % len(index)]
