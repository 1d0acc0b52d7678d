"""Which rows train, validate and test: drawn at random, or one's own; and pairs of rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int64
from torch import Tensor

from tabkit.schema import DataError, missing_column

Index = Int64[Tensor, " _"]
Splits = tuple[Index, Index, Index]
PARTS = ("train", "validation", "test")


def split(rows: int, *, held_out: int | None = None, seed: int = 0) -> Splits:
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


def split_groups(groups: pd.Series, *, held_out: int, seed: int = 0) -> Splits:
    """As `split`, but rows of one group, such as a day, stay together.

    Groups are drawn at random until a part has at least `held_out` rows. Raises ValueError if none
    is left to train.
    """
    shuffled = torch.cat(split(len(groups), held_out=held_out, seed=seed))
    codes = torch.from_numpy(groups.factorize()[0].astype(np.int64))
    sizes = codes.bincount()
    order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed))
    ends = sizes[order].cumsum(0)  # rows drawn when the group is in
    first = int(ends[ends >= held_out][0])
    second, *left = ends[ends >= first + held_out].tolist() or [len(groups)]
    if not left:
        raise ValueError(f"{len(sizes)} groups leave none to train: give a smaller held_out=")
    end = torch.empty_like(ends).scatter_(0, order, ends)[codes[shuffled]]
    return shuffled[end > second], shuffled[end <= first], shuffled[(first < end) & (end <= second)]


def chosen_split(
    frame: pd.DataFrame,
    given: str | Sequence[Any] | None,
    *,
    held_out: int | None = None,
    seed: int = 0,
) -> Splits:
    """One's own split, or if none is given, a random one; DataError if both are asked for."""
    if given is None:
        return split(len(frame), held_out=held_out, seed=seed)
    if held_out is not None:
        raise DataError("split= and held_out= both say which rows to hold out", "give one of them")
    return own_split(frame, given)


def own_split(frame: pd.DataFrame, given: str | Sequence[Any]) -> Splits:
    """A split of one's own: a column that says train, validation or test, or three position arrays.

    Rows may be left out. Raises DataError if a part is empty, or a row is in two of them.
    """
    parts = _named(frame, given) if isinstance(given, str) else [np.asarray(part) for part in given]
    if len(parts) != len(PARTS):
        raise DataError(
            f"split= has {len(parts)} parts",
            "give the name of a column, or positions of the rows to train, validate and test on",
        )
    met = np.zeros(len(frame), dtype=bool)
    for name, part in zip(PARTS, parts, strict=True):
        _check_part(name, part, met)
        met[part] = True
    return tuple(torch.from_numpy(part.astype(np.int64)) for part in parts)


def _named(frame: pd.DataFrame, column: str) -> list[np.ndarray]:
    """The positions of each part, as a column names them."""
    if column not in frame.columns:
        raise missing_column(column, frame.columns)
    said = frame[column].astype(object).where(frame[column].notna(), None).to_numpy()
    for row in np.flatnonzero(~np.isin(said.astype(str), PARTS))[:1].tolist():
        raise DataError(
            "names no part of the split",
            f"write {', '.join(PARTS)}",
            column=column,
            row=row,
            value=said[row],
        )
    return [np.flatnonzero(said == part) for part in PARTS]


def _check_part(name: str, part: np.ndarray, met: np.ndarray) -> None:
    """Positions of rows, each once, that no part before has."""
    where, rows = f"split= has {{}} in its {name} part", len(met)
    if part.ndim != 1 or not len(part):
        raise DataError(where.format("no row"), "give each part positions of rows")
    if part.dtype.kind not in "iu" or part.min() < 0 or part.max() >= rows:
        raise DataError(
            where.format("what is no position"), f"give whole numbers from 0 to {rows - 1}"
        )
    if met[part].any() or len(np.unique(part)) < len(part):
        raise DataError(where.format("a row for the second time"), "give each row to one part")


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
