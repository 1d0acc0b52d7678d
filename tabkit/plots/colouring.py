"""How a column of facts becomes colours."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.ticker import MaxNLocator

from tabkit.plots.picture import BLUE, GREEN, ORANGE

# Okabe and Ito's, without the yellow, which white swallows.
SEVEN = (BLUE, ORANGE, GREEN, "#E69F00", "#56B4E9", "#CC79A7", "#000000")
FAINT = "#c4c4c4"
FEW = 31  # so many different whole numbers are shown one by one: days, hours, months


@dataclass(frozen=True, eq=False)
class Colouring:
    """How a column of facts becomes colours.

    Attributes
    ----------
    numbers : (n,) float32, the place of each point on the scale; NaN where unknown
    low, high : the scale's ends
    ticks, labels : what its colour bar names
    words : the same for the description
    colours : one for each category; None for numbers, which are drawn in cividis
    """

    numbers: Float[np.ndarray, " n"]
    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    words: str
    colours: tuple[str, ...] | None = None

    @property
    def map(self) -> Colormap | str:
        """The colour map for matplotlib."""
        return "cividis" if self.colours is None else ListedColormap(list(self.colours))

    @property
    def normalize(self) -> Normalize:
        """The scale's ends for matplotlib."""
        return Normalize(self.low, self.high)


def colouring(facts: pd.DataFrame, column: str) -> Colouring:
    """Numbers in cividis from the 1st to the 99th percentile; of other values the 7 most frequent.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    check_columns(facts, [column])
    values = facts[column].astype(object)
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind in ("integer", "floating", "mixed-integer-float"):
        return _by_number(values.astype("Float64").to_numpy(np.float32, na_value=np.nan))
    return _by_category(values.map(str, na_action="ignore"))


def _by_number(numbers: Float[np.ndarray, " n"]) -> Colouring:
    distinct = np.unique(numbers[np.isfinite(numbers)]).astype(float)
    if len(distinct) <= FEW and (distinct == distinct.round()).all():
        low, high = distinct[0], distinct[-1]
        ticks, span = distinct[:: -(-len(distinct) // 8)], "every value shown"
    else:
        low, high = np.nanpercentile(numbers, (1, 99)).tolist()
        if low == high:  # nearly all are the same, as rain is none
            low, high = distinct[0], distinct[-1]
        ticks = MaxNLocator(5).tick_values(low, high)
        span = "1st to 99th percentile"
    inside = [float(t) for t in ticks if low <= t <= high]
    words = f"{low:.4g} to {high:.4g} ({span})"
    high = high if high > low else low + 1.0
    names = tuple(f"{t:g}" for t in inside)
    return Colouring(numbers, float(low), float(high), tuple(inside), names, words)


def _by_category(values: pd.Series) -> Colouring:
    counts = values.value_counts()
    top = list(counts.index[: len(SEVEN)])
    shares = [f"{name} {counts[name] / len(values):.0%}" for name in top]
    numbers = values.map({name: float(i) for i, name in enumerate(top)}).astype(float)
    labels = ["\n".join(textwrap.wrap(name, 16)[:2]) for name in top]
    rest = len(counts) - len(top)
    if numbers.isna().any():
        labels.append(f"{rest} others" if rest else "unknown")
        shares.append(f"{labels[-1]} {numbers.isna().mean():.0%}")
    colours = (*SEVEN[: len(top)], FAINT)[: len(labels)]
    filled = numbers.fillna(len(top)).to_numpy(np.float32)
    ticks = tuple(map(float, range(len(labels))))
    ends = (-0.5, len(labels) - 0.5)
    return Colouring(filled, *ends, ticks, tuple(labels), ", ".join(shares), colours)


def numeric_colouring(facts: pd.DataFrame, column: str) -> Colouring:
    """The colouring of a column of numbers.

    Raises
    ------
    ValueError
        If there is no such column, or it is not of numbers.
    """
    found = colouring(facts, column)
    if found.colours is not None:
        raise ValueError(f"{column!r} is not a column of numbers: {found.words}")
    return found


def check_columns(facts: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The columns, which are there.

    Raises
    ------
    ValueError
        If one is not, or none is named.
    """
    if isinstance(columns, str) or not columns:
        raise ValueError(f"columns is {columns!r}: give a list of one or more names")
    for column in columns:
        if column not in facts:
            known = ", ".join(map(str, facts.columns)) or "none"
            raise ValueError(f"there is no column {column!r} among the facts: {known}")
    return list(columns)


def check_table(table: pd.DataFrame, needed: list[str]) -> None:
    """The table has rows and the columns.

    Raises
    ------
    ValueError
        Otherwise.
    """
    check_columns(table, needed)
    if table.empty:
        raise ValueError("the table has no rows")


def some(tables: Mapping[str, pd.DataFrame]) -> Mapping[str, pd.DataFrame]:
    """The tables, of which there is one or more.

    Raises
    ------
    ValueError
        Otherwise.
    """
    if not tables:
        raise ValueError("there is no table to draw")
    return tables
