"""Maps of rows, coloured by what is known of them: one to choose the colour on, and its twin."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable

from tabkit.inspection import Projection, Vectors
from tabkit.plots.maps.categories import bare, equal_scales, map_words, quality_line
from tabkit.plots.maps.colouring import Colouring, colouring
from tabkit.plots.maps.interactive import (
    Interactive,
    blank_layout,
    by_axis,
    caption,
    choice,
    dropdown,
    packed,
    plain,
    titles,
)
from tabkit.plots.picture import FAINT, Picture, check_columns, literal, panels_of

HOVERED = 8  # so many columns are shown beside a row that is pointed at


def row_map(
    projection: Projection,
    *,
    columns: Sequence[str] | None = None,
    hover: Sequence[str] | None = None,
) -> Interactive:
    """Rows as points: choose the column to colour them by.

    Numbers are drawn in cividis from their 1st to their 99th percentile, whole numbers of few
    values from first to last; of other values the 7 most frequent have a colour, the rest is grey.

    Parameters
    ----------
    columns
        Columns of the facts to colour by; all if not given.
    hover
        Columns to show beside a row that is pointed at; the first eight of those if not given.

    Raises
    ------
    ValueError
        If the facts have no such column.
    """
    facts = projection.vectors.facts
    columns = check_columns(facts, list(facts.columns) if columns is None else columns)
    shown = check_columns(facts, columns[:HOVERED] if hover is None else hover)
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
    for key, (value,) in paints[0].items():
        points[key] = value
    buttons = [choice(c, "restyle", paint) for c, paint in zip(columns, paints, strict=True)]
    figure = go.Figure(points, layout=blank_layout(right=170))
    figure.update_layout(
        updatemenus=[dropdown(0.0, buttons)], annotations=[caption(0.0, "colour by")]
    )
    for key, value in titles(projection).items():
        figure.layout[key] = value
    return Interactive(figure, row_maps(projection, columns))


def _paint(column: str, scale: Colouring) -> dict[str, list[Any]]:
    """A colouring for the one trace of a `row_map`."""
    steps: Any = "Cividis"
    if scale.colours is not None:
        ends = np.linspace(0, 1, len(scale.colours) + 1).tolist()
        steps = [[e, c] for i, c in enumerate(scale.colours) for e in ends[i : i + 2]]
    return {
        "marker.color": [packed(scale.numbers)],
        "marker.cmin": [scale.low],
        "marker.cmax": [scale.high],
        "marker.colorscale": [steps],
        "marker.colorbar": [
            {
                "title": {"text": plain(column)},
                "tickvals": list(scale.ticks),
                "ticktext": [plain(label) for label in scale.labels],
                "thickness": 16,
                "outlinewidth": 0,
            }
        ],
    }


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
        dots |= {"c": scale.numbers[known], "cmap": scale.map, "norm": scale.normalize}
        ax.scatter(*at[known].T, **dots)
        _colour_bar(ax, scale)
        bare(ax, column, equal=equal_scales(projection))
    figure.suptitle(f"{literal(projection.vectors.title)}\n{quality_line(projection)}", fontsize=9)
    parts = [f"{column}: {scale.words}" for column, scale in scales.items()]
    words = map_words(projection, "points")
    return Picture(figure, f"{words} Coloured by {'. By '.join(parts)}.")


def _colour_bar(ax: Axes, scale: Colouring) -> None:
    mappable = ScalarMappable(scale.normalize, scale.map)
    bar = ax.figure.colorbar(mappable, ax=ax, pad=0.02, fraction=0.07, aspect=25)
    bar.set_ticks(list(scale.ticks), labels=[literal(label) for label in scale.labels], fontsize=7)
    bar.ax.tick_params(length=0 if scale.colours else 2)
    bar.outline.set_visible(False)
