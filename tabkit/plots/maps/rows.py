"""Maps of rows, coloured by what is known of them: one to choose the colour on, and its twin."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MaxNLocator

from tabkit.inspection import Projection, Vectors
from tabkit.plots.maps.categories import bare, equal_scales, map_words, quality_line
from tabkit.plots.maps.interactive import Interactive, by_axis, menu, packed, page, plain, titles
from tabkit.plots.palette import AMBER, BLACK, BLUE, FAINT, GREEN, ORANGE, PINK, SKY
from tabkit.plots.panels import panels_of
from tabkit.plots.picture import Picture, check_columns, literal

SEVEN = (BLUE, ORANGE, GREEN, AMBER, SKY, PINK, BLACK)
FEW = 31  # so many different whole numbers are shown one by one: days, hours, months
HOVERED = 8  # so many columns are shown beside a row that is pointed at


@dataclass(frozen=True, eq=False)
class Colouring:
    """How a column of facts becomes colours."""

    numbers: Float[np.ndarray, " n"]  # the place of each point on the scale; NaN where unknown
    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]  # of the ticks
    words: str
    colours: tuple[str, ...] = ()  # of categories; numbers are drawn in cividis


def row_map(projection: Projection, *, columns: Sequence[str] | None = None) -> Interactive:
    """Rows as points: choose the column to colour them by.

    Numbers are drawn in cividis from their 1st to their 99th percentile, whole numbers of few
    values from first to last; of other values the 7 most frequent have a colour, the rest is grey.

    `columns`: columns of the facts to colour by; all if not given. The first eight are shown beside
    a row that is pointed at.

    Raises ValueError if the facts have no such column.
    """
    facts = projection.vectors.facts
    columns = check_columns(facts, list(facts.columns) if columns is None else columns)
    shown = columns[:HOVERED]
    paints = [_paint(column, colouring(facts, column)) for column in columns]
    kind = go.Scattergl if projection.coordinates.shape[1] == 2 else go.Scatter3d
    points = kind(
        **by_axis(projection.coordinates),
        mode="markers",
        marker={"size": 3, "line": {"width": 0}},
        customdata=_hover_values(projection.vectors, shown),
        hovertemplate=_hover_template(str(facts.index.name or "point"), shown),
        showlegend=False,
    )
    figure = page([points], {"colour by": 0.0}, right=170)
    choices = {c: ("restyle", paint) for c, paint in zip(columns, paints, strict=True)}
    figure.update_layout(updatemenus=[menu(0.0, choices)])
    figure.plotly_update(paints[0], titles(projection))
    return Interactive(figure, row_maps(projection, columns))


def _paint(column: str, scale: Colouring) -> dict[str, list[Any]]:
    """A colouring for the one trace of a `row_map`."""
    steps: Any = "Cividis"
    if scale.colours:
        ends = np.linspace(0, 1, len(scale.colours) + 1).tolist()
        steps = [[e, c] for i, c in enumerate(scale.colours) for e in ends[i : i + 2]]
    ticks = {"tickvals": list(scale.ticks), "ticktext": [plain(label) for label in scale.labels]}
    bar = {"title": {"text": plain(column)}, "thickness": 16, "outlinewidth": 0} | ticks
    look = {"color": packed(scale.numbers), "cmin": scale.low, "cmax": scale.high}
    look |= {"colorscale": steps, "colorbar": bar}
    return {f"marker.{key}": [value] for key, value in look.items()}


def _hover_values(vectors: Vectors, shown: Sequence[str]) -> list[list[Any]]:
    columns = [vectors.facts[column] for column in shown]
    short = [c.round(3) if pd.api.types.is_float_dtype(c) else c for c in columns]
    texts = [[plain(str(value)) for value in column] for column in short]
    return [list(row) for row in zip(vectors.names, *texts, strict=True)]


def _hover_template(point: str, shown: Sequence[str]) -> str:
    lines = [f"{plain(name)} %{{customdata[{i}]}}" for i, name in enumerate(shown, 1)]
    return "<br>".join([f"<b>{plain(point)} %{{customdata[0]}}</b>", *lines]) + "<extra></extra>"


def row_maps(projection: Projection, columns: Sequence[str]) -> Picture:
    """The same map of rows, coloured by each of several columns of the facts."""
    scales = {column: colouring(projection.vectors.facts, column) for column in columns}
    figure, axes = panels_of(len(scales), width=3.3, height=2.5, columns=3)
    at = projection.coordinates[:, :2]
    for ax, (column, scale) in zip(axes, scales.items(), strict=True):
        known = np.isfinite(scale.numbers)
        dots = {"s": 1.5, "linewidths": 0, "rasterized": True}
        ax.scatter(*at[~known].T, color=FAINT, **dots)
        dots |= {"c": scale.numbers[known], "vmin": scale.low, "vmax": scale.high}
        colours = ListedColormap(scale.colours) if scale.colours else "cividis"
        _colour_bar(ax, ax.scatter(*at[known].T, cmap=colours, **dots), scale)
        bare(ax, column, equal=equal_scales(projection))
    figure.suptitle(f"{literal(projection.vectors.title)}\n{quality_line(projection)}", fontsize=9)
    parts = [f"{column}: {scale.words}" for column, scale in scales.items()]
    words = map_words(projection, "points")
    return Picture(figure, f"{words} Coloured by {'. By '.join(parts)}.")


def _colour_bar(ax: Axes, drawn: PathCollection, scale: Colouring) -> None:
    bar = ax.figure.colorbar(drawn, ax=ax, pad=0.02, fraction=0.07, aspect=25)
    bar.set_ticks(list(scale.ticks), labels=[literal(label) for label in scale.labels], fontsize=7)
    bar.ax.tick_params(length=0 if scale.colours else 2)
    bar.outline.set_visible(False)


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
