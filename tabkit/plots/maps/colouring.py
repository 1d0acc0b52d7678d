"""How a column of facts becomes colours."""

import textwrap
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.ticker import MaxNLocator

from tabkit.plots.picture import BLUE, FAINT, GREEN, ORANGE

# Okabe and Ito's, without the yellow, which white swallows.
SEVEN = (BLUE, ORANGE, GREEN, "#E69F00", "#56B4E9", "#CC79A7", "#000000")
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
    """Numbers in cividis, 1st to 99th percentile; of other values the 7 most frequent by colour."""
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
