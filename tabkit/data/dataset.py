"""`Dataset`, and how a frame becomes one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from textwrap import shorten
from typing import Any

import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tabkit.data.preparing import Preparation
from tabkit.data.splits import PARTS, Index, chosen_split, own_split
from tabkit.schema import (
    Continuous,
    DataError,
    Rows,
    Scale,
    Schema,
    as_frame,
    check_frame,
    check_names,
    in_units,
    list_names,
    numbers_of,
    rescaled,
)


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
        between these; they are not among its inputs. O may be 0: then nothing is known to match.
    signal : Tensor
        (B, S), in standard deviations of the training rows: what net0 sees.
    train, validation, test : Tensor
        Positions of the rows of each split.
    truth : Mapping[str, DataFrame]
        For some categorical columns, what is known of their categories (the frame's index).
        No net sees it.
    outcome_names, signal_names : tuple of str
    outcome_scale, signal_scale : tuple of Continuous
        Their means, standard deviations and ranges, one for each name.
    prepare : Preparation
        What a raw frame goes through before its columns are read; nothing, if not by `read_table`.
    scaled_on : Tensor | None
        The rows that set all scales: those of `train`, or None where nobody has to know.

    Raises
    ------
    DataError
        If the training rows are not those that set the scale, as after ``dataclasses.replace``.
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
    outcome_scale: tuple[Continuous, ...] = ()
    signal_scale: tuple[Continuous, ...] = ()
    scaled_on: Index | None = None
    prepare: Preparation = field(default_factory=Preparation)

    def __post_init__(self) -> None:
        if self.scaled_on is not None and not torch.equal(self.scaled_on, self.train):
            raise DataError(
                "the training rows are not those that set the scale",
                "split again by data.with_split((train, validation, test)); or keep the scale, "
                "dataclasses.replace(data, train=train, scaled_on=None)",
            )

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

    def to(self, device: torch.device, dtype: torch.dtype) -> "Dataset":
        """The same with its rows, outcomes and signal there; itself if they are."""
        rows, tensors = self.rows.to(device, dtype), (self.outcomes, self.signal)
        outcomes, signal = (t.to(device, dtype) for t in tensors)
        if rows.codes is self.rows.codes and signal is self.signal:
            return self
        return replace(self, rows=rows, outcomes=outcomes, signal=signal)

    def frame(self, index: Index | slice = slice(None)) -> pd.DataFrame:
        """The rows at `index` in their own values and units."""
        return self.decode(self.rows[index])

    def decode(self, rows: Rows, *, clip: bool = True) -> pd.DataFrame:
        """Rows, such as net0 predicts, in the table's order, dtypes and ranges: `Schema.decode`."""
        return self.schema.decode(rows, clip=clip)

    def signal_of(self, table: Any) -> Float[Tensor, "B S"]:
        """The signal of new rows, on the scale of the training rows: what net0 takes.

        The table has the columns of `signal_names`, in any order; others are ignored. Raises
        DataError if one is missing, or does not hold finite numbers.
        """
        return signal_on(table, known_scale(self, "signal"), self.prepare)

    def signal_in_units(self, signal: Float[Tensor, "B S"]) -> pd.DataFrame:
        """A signal (B, S) in its own units."""
        return in_units(signal, known_scale(self, "signal"))

    def outcomes_in_units(self, outcomes: Float[Tensor, "B O"]) -> pd.DataFrame:
        """Outcomes (B, O), known or predicted, in their own units."""
        return in_units(outcomes, known_scale(self, "outcome"))

    def with_split(self, splits: Sequence[Any]) -> "Dataset":
        """The same rows split otherwise, all on the scale of the new training rows.

        `splits`: positions of the rows to train, validate and test on. Raises DataError if a column
        is constant in the new training rows, or what `splits` gives is no split.
        """
        parts = own_split(pd.DataFrame(index=range(len(self))), splits)
        known_scale(self, "outcome"), known_scale(self, "signal")
        continuous, specs = rescaled(self.rows.continuous, self.schema.continuous, parts[0])
        outcomes, outcome_scale = rescaled(self.outcomes, self.outcome_scale, parts[0])
        signal, signal_scale = rescaled(self.signal, self.signal_scale, parts[0])
        return replace(
            self,
            schema=replace(self.schema, continuous=specs),
            rows=Rows(self.rows.codes, continuous),
            outcomes=outcomes,
            outcome_scale=outcome_scale,
            signal=signal,
            signal_scale=signal_scale,
            **dict(zip(PARTS, parts, strict=True)),
            scaled_on=parts[0],
        )


def signal_on(table: Any, scale: Scale, prepare: Preparation) -> Float[Tensor, "B S"]:
    """The signal of new rows on a scale: `Dataset.signal_of`."""
    frame = prepare(as_frame(table))
    check_frame(frame, [spec.name for spec in scale], exactly=False)
    return numbers_of(frame, scale)


def known_scale(data: Dataset, role: str) -> Scale:
    """The scale of the outcomes or the signal; a data set made by hand may have none."""
    scale, names = getattr(data, f"{role}_scale"), getattr(data, f"{role}_names")
    if len(scale) != len(names):
        raise DataError(
            f"the data set does not know the scale of its {role}",
            f"make it by from_frame, or give Dataset(..., {role}_scale=...), a Continuous each",
        )
    return scale


def from_frame(
    frame: Any,
    *,
    categorical: Iterable[str],
    continuous: Iterable[str] = (),
    outcomes: Iterable[str] | None = None,
    signal: Iterable[str] | None = None,
    name: str = "frame",
    other: Mapping[str, int] | None = None,
    max_cardinality: int | None = None,
    truth: Mapping[str, pd.DataFrame] | None = None,
    held_out: int | None = None,
    split: str | Sequence[Any] | None = None,
    seed: int = 0,
) -> Dataset:
    """A `Dataset` from your own table.

    Parameters
    ----------
    frame
        A pandas DataFrame, or what narwhals reads (polars, pyarrow, ...), or a dict of columns.
    categorical, continuous
        The columns of a row: what net1 takes and net0 predicts.
    outcomes
        Numeric columns, not among the above, that net1's distances should match. If not given,
        `fit_encoder` trains net1 by contrast with corrupted copies of the rows.
    signal
        Numeric columns that net0 sees; the outcomes and the continuous columns if not given.
    other, max_cardinality
        As in `Schema.infer`.
    held_out
        Rows in each of validation and test, drawn at random; a tenth if not given.
    split
        In place of that, a split of your own: a column that says ``train``, ``validation`` or
        ``test``, or positions of the rows of each. The training rows set every scale.

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
    frame, inputs = as_frame(frame), [*categorical, *continuous]
    outcomes = [] if outcomes is None else _numeric_names(outcomes, "outcomes")
    for leaked in set(outcomes).intersection(inputs):
        raise DataError(
            "is an outcome and also an input of net1, which could then read it off",
            "take it out of one of the two",
            column=leaked,
        )
    signal = _numeric_names([*outcomes, *continuous] if signal is None else signal, "signal")
    check_frame(frame, list(dict.fromkeys([*inputs, *outcomes, *signal])), exactly=False)
    splits = chosen_split(frame, split, held_out=held_out, seed=seed)
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
    scales = [
        tuple(Continuous.infer(frame[name], scale_on=scale_on) for name in names)
        for names in (outcomes, signal)
    ]
    return Dataset(
        name,
        schema,
        schema.encode(table),
        *(numbers_of(frame, scale) for scale in scales),
        *splits,
        outcome_names=tuple(outcomes),
        signal_names=tuple(signal),
        truth=dict(truth or {}),
        outcome_scale=scales[0],
        signal_scale=scales[1],
        scaled_on=splits[0],
    )


def _numeric_names(names: Iterable[str], role: str) -> list[str]:
    """One or more names, each given once."""
    found = list_names(names, role)
    if not found:
        raise DataError(f"{role}= is empty", "give a list of one or more numeric columns")
    check_names(found, f"is named twice in {role}=", "name it once")
    return found
