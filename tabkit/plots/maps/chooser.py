"""Categories to choose from: a map and a table of each one's nearest, drawn by plotly."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Float

from tabkit.inspection import Projection, Vectors, nearest
from tabkit.plots.maps.categories import (
    category_maps_static,
    diameters,
    equal_scales,
    frequent_first,
)
from tabkit.plots.maps.interactive import (
    Interactive,
    blank_layout,
    by_axis,
    caption,
    choice,
    dropdown,
    plain,
    titles,
)
from tabkit.plots.maps.labels import room_for
from tabkit.plots.picture import BLUE, FAINT, ORANGE

MAP_SIZE = np.array([560.0, 430.0])  # about what a category map takes of a notebook's page
MAP, TABLE = (0.0, 0.68), (0.7, 1.0)  # what the two take of the figure's width
LABEL_SIZE = 10.0  # pixels
GAP = 2 * "\N{NO-BREAK SPACE}"  # between a name and its point, for the mark of a chosen one

Corner = Float[np.ndarray, " 2"]


def category_maps(
    projections: Mapping[str, Projection], *, k: int = 5, metric: str = "euclidean"
) -> Interactive:
    """A map and a table: choose a column and one of its categories, and see its k nearest.

    Nearest by the embedding, not by the map. On the map a diamond marks the category, and its
    nearest have the numbers by which the table lists them. Fewer than k others: all.

    Parameters
    ----------
    projections
        By column; to two or three dimensions.
    metric
        As in `inspection.nearest`.

    Raises
    ------
    ValueError
        If there is no projection, k is below 1, or the metric is unknown.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    twin = category_maps_static(projections.values())
    pages = [_Page(*page, k, metric) for page in enumerate(projections.values())]
    traces, layout = pages[0].turned_to(len(pages))
    figure = go.Figure(
        data=[trace for page in pages for trace in page.traces()],
        layout=blank_layout(right=10)
        | {"annotations": [caption(0.0, "column"), caption(0.23, "category")]},
    )
    for trace, visible in zip(figure.data, traces["visible"], strict=True):
        trace.visible = visible
    columns = [
        choice(column, "update", *page.turned_to(len(pages)))
        for column, page in zip(projections, pages, strict=True)
    ]
    figure.update_layout(updatemenus=[dropdown(0.0, columns), *(page.menu() for page in pages)])
    for key, value in layout.items():
        figure.layout[key] = value
    figure.update_layout(xaxis_domain=MAP, scene_domain_x=MAP)
    return Interactive(figure, twin)


@dataclass(frozen=True, eq=False)
class _Page:
    """One column of `category_maps`: four traces and a menu of its own."""

    number: int
    projection: Projection
    k: int
    metric: str

    @cached_property
    def counts(self) -> dict[str, str]:
        return _counts(self.projection.vectors)

    @cached_property
    def groups(self) -> dict[str, pd.DataFrame]:
        """The nearest of each, or all others where there are fewer."""
        vectors = self.projection.vectors
        near = nearest(vectors, k=min(self.k, len(vectors) - 1), metric=self.metric)
        return dict(iter(near.groupby("name", sort=False)))

    @property
    def flat(self) -> bool:
        return self.projection.coordinates.shape[1] == 2

    @property
    def names(self) -> tuple[str, ...]:
        return self.projection.vectors.names

    @property
    def first(self) -> int:
        """The category that is chosen at the start: the most frequent."""
        return frequent_first(self.projection.vectors)[0]

    def turned_to(self, pages: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """What shows this page and hides the others, in traces and layout."""
        visible = [i // 4 == self.number for i in range(4 * pages)]
        layout = {f"updatemenus[{i + 1}].visible": i == self.number for i in range(pages)}
        layout |= titles(self.projection)
        layout |= {"xaxis.visible": self.flat, "yaxis.visible": self.flat}
        if self.flat:
            low, high = _frame(self.projection)
            layout |= {"xaxis.range": [low[0], high[0]], "yaxis.range": [low[1], high[1]]}
        return {"visible": visible}, layout

    def menu(self) -> dict[str, Any]:
        """The categories to choose from."""
        where = [4 * self.number + i for i in (1, 2, 3)]
        buttons = [choice(name, "restyle", self._restyled(name), where) for name in self.names]
        return dropdown(0.23, buttons, active=self.first)

    def traces(self) -> list[Any]:
        """The points, lines to the nearest, marks on them, and the table."""
        line, marks, table = self._chosen(self.names[self.first])
        kind = go.Scatter if self.flat else go.Scatter3d
        common = {"hoverinfo": "skip", "showlegend": False}
        return [
            self._points(kind),
            kind(**line, mode="lines", line={"color": ORANGE, "width": 1.5}, **common),
            kind(**marks, mode="markers+text", **_marks(len(marks["text"])), **common),
            _table(table),
        ]

    def _points(self, kind: type) -> Any:
        vectors = self.projection.vectors
        labels = _label_sides(self.projection) if self.flat else {}
        return kind(
            **by_axis(self.projection.coordinates),
            mode="markers+text",
            text=[GAP + plain(n) + GAP if i in labels else "" for i, n in enumerate(self.names)],
            textposition=[labels.get(i, "middle right") for i in range(len(vectors))],
            textfont={"size": LABEL_SIZE},
            marker={"size": diameters(vectors), "color": BLUE, "opacity": 0.6},
            hovertext=self._hover(),
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=False,
        )

    def _hover(self) -> list[str]:
        lines = []
        for name, group in self.groups.items():
            rows = f"<br>{self.counts[name]} rows" if name in self.counts else ""
            listed = "".join(
                f"<br>{r.rank}. {plain(r.neighbour)} {r.distance:.3g}" for r in group.itertuples()
            )
            lines.append(f"<b>{plain(name)}</b>{rows}<br>nearest:{listed}")
        return lines

    def _chosen(self, name: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """The line, the marks and the table of a category, attributes by name."""
        group = self.groups[name]
        at = [self.projection.vectors.position(n) for n in [*group["neighbour"], name]]
        places = self.projection.coordinates[at]
        zigzag = [place for end in places[:-1] for place in (places[-1], end)]
        cells = {
            "": group["rank"].tolist(),
            f"nearest to {plain(name)}": [plain(n) for n in group["neighbour"]],
            "distance": [f"{d:.3g}" for d in group["distance"]],
        }
        if self.counts:
            cells["rows"] = [self.counts[n] for n in group["neighbour"]]
        marks = by_axis(places) | {"text": [*map(str, group["rank"]), ""]}
        table = {"header.values": list(cells), "cells.values": list(cells.values())}
        return by_axis(np.array(zigzag)), marks, table

    def _restyled(self, name: str) -> dict[str, Any]:
        """The same, as lists with a value for each of the three traces."""
        parts = self._chosen(name)
        keys = dict.fromkeys(key for part in parts for key in part)
        return {key: [part.get(key) for part in parts] for key in keys}


def _frame(projection: Projection) -> tuple[Corner, Corner]:
    """Corners of a map of the shape of `MAP_SIZE` that holds the points and some room."""
    low, high = projection.coordinates.min(axis=0), projection.coordinates.max(axis=0)
    scale = np.maximum((high - low) / MAP_SIZE, 1e-9) * 1.15
    scale = scale.max() if equal_scales(projection) else scale
    middle, half = (low + high) / 2, scale * MAP_SIZE / 2
    return middle - half, middle + half


def _label_sides(projection: Projection) -> dict[int, str]:
    """On which side of its point each name finds room."""
    low, high = _frame(projection)
    vectors = projection.vectors
    at = (projection.coordinates - low) / (high - low) * MAP_SIZE
    radii, frame = diameters(vectors) / 2 + 5.0, np.array([0.0, 0.0, *MAP_SIZE])
    order = frequent_first(vectors)
    found = room_for(at, vectors.names, order, radii, frame, size=LABEL_SIZE)
    across, down = ("center", "right", "left"), ("middle", "top", "bottom")
    sides = {i: np.sign((box[:2] + box[2:]) / 2 - at[i]).astype(int) for i, box in found.items()}
    return {i: f"{down[y]} {across[x]}" for i, (x, y) in sides.items()}


def _counts(vectors: Vectors) -> dict[str, str]:
    """Training rows of each category, where known."""
    if "count" not in vectors.facts:
        return {}
    return dict(zip(vectors.names, map("{:,}".format, vectors.facts["count"]), strict=True))


def _marks(count: int) -> dict[str, Any]:
    """Discs that hold the numbers of the nearest, and a diamond."""
    others = count - 1
    return {
        "marker": {
            "symbol": ["circle"] * others + ["diamond"],
            "size": [16] * others + [13],
            "color": ["white"] * others + [ORANGE],
            "opacity": 1.0,
            "line": {"color": ORANGE, "width": 1.5},
        },
        "textfont": {"size": 11, "color": "black"},
        "textposition": "middle center",
    }


def _table(values: Mapping[str, Any]) -> go.Table:
    columns = len(values["header.values"])
    align = ["right", "left", "right", "right"][:columns]
    look = {"align": align, "height": 26, "font": {"size": 12}, "line": {"color": FAINT}}
    table = go.Table(
        domain={"x": TABLE},
        columnwidth=[1, 5, 3, 3][:columns],
        header=look | {"fill": {"color": "#eeeeee"}},
        cells=look | {"fill": {"color": "white"}},
    )
    for key, value in values.items():
        table[key] = value
    return table
