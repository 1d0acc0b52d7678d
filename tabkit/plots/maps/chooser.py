"""Categories to choose from: a map and a table of each one's nearest, drawn by plotly."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Float

from tabkit.inspection import Projection, nearest
from tabkit.plots.maps import categories as still
from tabkit.plots.maps.interactive import Interactive, by_axis, menu, page, plain, titles
from tabkit.plots.maps.labels import Room
from tabkit.plots.palette import BLUE, FAINT, ORANGE

MAP_SIZE = np.array([560.0, 430.0])  # about what a category map takes of a notebook's page
MAP, TABLE = (0.0, 0.68), (0.7, 1.0)  # what the two take of the figure's width
MENUS = {"column": 0.0, "category": 0.23}
LABEL_SIZE = 10.0  # pixels
GAP = 2 * "\N{NO-BREAK SPACE}"  # between a name and its point, for the mark of a chosen one

Corner = Float[np.ndarray, " 2"]


def category_maps(projections: Mapping[str, Projection], *, k: int = 5) -> Interactive:
    """A map and a table: choose a column and one of its categories, and see its k nearest.

    Nearest by the embedding, not by the map. On the map a diamond marks the category, and its
    nearest have the numbers by which the table lists them. Fewer than k others: all.

    `projections`: by column; to two or three dimensions.

    Raises ValueError if there is no projection, or k is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    twin = still.category_maps_static(projections.values())
    pages = [_Page(*each, k) for each in enumerate(projections.values())]
    turns = [each.turned_to(len(pages)) for each in pages]
    columns = {name: ("update", *turn) for name, turn in zip(projections, turns, strict=True)}
    menus = [menu(MENUS["column"], columns), *(each.menu() for each in pages)]
    figure = page([trace for each in pages for trace in each.traces()], MENUS, right=10)
    figure.update_layout(updatemenus=menus, xaxis_domain=MAP, scene_domain_x=MAP)
    figure.plotly_update(*turns[0])
    return Interactive(figure, twin)


@dataclass(frozen=True, eq=False)
class _Page:
    """One column of `category_maps`: four traces and a menu of its own."""

    number: int
    projection: Projection
    k: int

    @cached_property
    def counts(self) -> dict[str, str]:
        """Training rows of each category, where known."""
        counts = self.projection.vectors.facts.get("count", [])
        return dict(zip(self.names, map("{:,}".format, counts), strict=False))

    @cached_property
    def groups(self) -> dict[str, pd.DataFrame]:
        """The nearest of each, or all others where there are fewer."""
        k = min(self.k, len(self.names) - 1)
        near = nearest(self.projection.vectors, k=k)
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
        return still.frequent_first(self.projection.vectors.facts)[0]

    def turned_to(self, pages: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """What shows this page and hides the others, in traces and layout."""
        visible = [i // 4 == self.number for i in range(4 * pages)]
        layout = {f"updatemenus[{i + 1}].visible": i == self.number for i in range(pages)}
        layout |= titles(self.projection)
        layout |= {"xaxis.visible": self.flat, "yaxis.visible": self.flat}
        if self.flat:
            (x0, y0), (x1, y1) = _frame(self.projection)
            layout |= {"xaxis.range": [x0, x1], "yaxis.range": [y0, y1]}
        return {"visible": visible}, layout

    def menu(self) -> dict[str, Any]:
        """The categories to choose from."""
        where = [4 * self.number + i for i in (1, 2, 3)]
        choices = {name: ("restyle", self._restyled(name), where) for name in self.names}
        return menu(MENUS["category"], choices, active=self.first)

    def traces(self) -> list[Any]:
        """The points, lines to the nearest, marks on them, and the table."""
        kind = go.Scatter if self.flat else go.Scatter3d
        common = {"hoverinfo": "skip", "showlegend": False}
        line, marks, table = self._chosen(self.names[self.first])
        return [
            self._points(kind),
            kind(**line, mode="lines", line={"color": ORANGE, "width": 1.5}, **common),
            kind(**marks, mode="markers+text", **_marks(len(marks["text"]) - 1), **common),
            _table(*table.values()),
        ]

    def _points(self, kind: type) -> Any:
        sides = _label_sides(self.projection) if self.flat else {}
        return kind(
            **by_axis(self.projection.coordinates),
            mode="markers+text",
            text=[GAP + plain(n) + GAP if i in sides else "" for i, n in enumerate(self.names)],
            textposition=[sides.get(i, "middle right") for i in range(len(self.names))],
            textfont={"size": LABEL_SIZE},
            marker={
                "size": still.diameters(self.projection.vectors), "color": BLUE, "opacity": 0.6
            },
            hovertext=[self._hover(name) for name in self.names],
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=False,
        )  # fmt: skip

    def _hover(self, name: str) -> str:
        rows = f"<br>{self.counts[name]} rows" if self.counts else ""
        listed = "".join(
            f"<br>{r.rank}. {plain(r.neighbour)} {r.distance:.3g}"
            for r in self.groups[name].itertuples()
        )
        return f"<b>{plain(name)}</b>{rows}<br>nearest:{listed}"

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
    scale = scale.max() if still.equal_scales(projection) else scale
    middle, half = (low + high) / 2, scale * MAP_SIZE / 2
    return middle - half, middle + half


def _label_sides(projection: Projection) -> dict[int, str]:
    """On which side of its point each name finds room."""
    low, high = _frame(projection)
    vectors = projection.vectors
    at = (projection.coordinates - low) / (high - low) * MAP_SIZE
    radii, frame = still.diameters(vectors) / 2 + 5.0, np.array([0.0, 0.0, *MAP_SIZE])
    room = Room(at, vectors.names, radii, frame, LABEL_SIZE)
    room.find(still.frequent_first(vectors.facts))
    across, down = ("center", "right", "left"), ("middle", "top", "bottom")
    sides = np.sign(room.boxes.reshape(-1, 2, 2).mean(axis=1) - at[[*room.found]]).astype(int)
    return {i: f"{down[y]} {across[x]}" for i, (x, y) in zip(room.found, sides, strict=True)}


def _marks(others: int) -> dict[str, Any]:
    """Discs that hold the numbers of the nearest, and a diamond."""
    look = {
        "symbol": ["circle"] * others + ["diamond"],
        "size": [16] * others + [13],
        "color": ["white"] * others + [ORANGE],
        "line": {"color": ORANGE, "width": 1.5},
    }
    text = {"textfont": {"size": 11, "color": "black"}, "textposition": "middle center"}
    return {"marker": look | {"opacity": 1.0}, **text}


def _table(head: list[str], cells: list[list[Any]]) -> go.Table:
    align = ["right", "left", "right", "right"][: len(head)]
    look = {"align": align, "height": 26, "font": {"size": 12}, "line": {"color": FAINT}}
    return go.Table(
        domain={"x": TABLE},
        columnwidth=[1, 5, 3, 3][: len(head)],
        header=look | {"values": head, "fill": {"color": "#eeeeee"}},
        cells=look | {"values": cells, "fill": {"color": "white"}},
    )
