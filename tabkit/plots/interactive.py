"""Maps to turn, zoom and choose on, drawn by plotly; each with a static twin.

Loading this module loads plotly; `tabkit.plots` does so when one of these is first asked for.
"""

import base64
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.io import to_html

from tabkit.inspection import Projection, Vectors
from tabkit.plots.colouring import FAINT, Colouring, check_columns, colouring
from tabkit.plots.maps import equal_scales, quality_line, row_maps
from tabkit.plots.picture import GREY, Picture

PLOTLY = "application/vnd.plotly.v1+json"
CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "typesetMath": False,
    "showSendToCloud": False,  # on by default: a button that would send the data away
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["select2d", "lasso2d"],
}
HEIGHT, TOP = 600, 130  # pixels
HOVERED = 8  # so many columns are shown beside a row that is pointed at


@dataclass(frozen=True, eq=False)
class Interactive:
    """An interactive figure, and a picture of the same numbers for where nothing can move.

    JupyterLab shows the interactive figure, and below it the description; exported pages show the
    picture. Nothing is fetched from the network.
    """

    figure: go.Figure
    twin: Picture

    @property
    def alt(self) -> str:
        """The alternative text."""
        return self.twin.alt

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """What a notebook displays, each by MIME type: the figure, then its description."""
        words = f"<details><summary>Figure in words</summary>{html.escape(self.alt)}</details>"
        return [
            self._repr_mimebundle_(),
            {"text/html": words, "text/plain": self.alt},
        ]

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        still, _metadata = self.twin._repr_mimebundle_()
        # Not as image/png: beside one, JupyterLab would draw the figure only under a mouse.
        still.pop("image/png")
        return {PLOTLY: json.loads(self.figure.to_json()) | {"config": CONFIG}, **still}

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415 - only a notebook has it

        for output in self.outputs:
            display(output, raw=True)

    def save(self, path: Path) -> None:
        """Writes one HTML file that needs nothing else, with the description in it."""
        words = html.escape(self.alt)
        drawing = to_html(
            self.figure,
            config=CONFIG,
            include_plotlyjs=True,
            include_mathjax=False,
            full_html=False,
        )
        path.write_text(
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f"<title>{html.escape(self.figure.layout.title.text)}</title></head><body>"
            f'<figure aria-label="{words}">{drawing}<figcaption><details>'
            f"<summary>Figure in words</summary>{words}</details></figcaption></figure>"
            "</body></html>",
            encoding="utf-8",
        )


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


def by_axis(at: Float[np.ndarray, "n d"]) -> dict[str, dict[str, str]]:
    """Coordinates by the axis' name."""
    return dict(zip("xyz", map(packed, at.astype(np.float32).T), strict=False))


def packed(numbers: Float[np.ndarray, " n"]) -> dict[str, str]:
    """Numbers as plotly's typed array, a fraction of their text's length."""
    small = bool((np.abs(numbers) < 128).all() and (numbers == numbers.round()).all())
    kept = np.ascontiguousarray(numbers, dtype=np.int8 if small else np.float32)
    return {"dtype": "i1" if small else "f4", "bdata": base64.b64encode(kept).decode()}


def titles(projection: Projection) -> dict[str, str | None]:
    """What is shown, below it how far to trust it, and on what scales."""
    return {
        "yaxis.scaleanchor": "x" if equal_scales(projection) else None,
        "title.text": plain(projection.vectors.title),
        "title.subtitle.text": quality_line(projection),
    }


def blank_layout(*, right: int) -> dict[str, Any]:
    """White, without ticks (a map's axes mean nothing by themselves), both axes on one scale."""
    axis = {"showticklabels": False, "zeroline": False, "showgrid": False}
    axis |= {"mirror": True, "showline": True, "linecolor": FAINT}
    bare = {"showticklabels": False, "title": {"text": ""}}
    return {
        "template": "plotly_white",
        "paper_bgcolor": "white",
        "height": HEIGHT,
        "margin": {"l": 10, "r": right, "t": TOP, "b": 10},
        "title": {"x": 0.01, "y": 0.98, "yanchor": "top", "font": {"size": 15}},
        "xaxis": axis,
        "yaxis": axis,
        "scene": {"xaxis": bare, "yaxis": bare, "zaxis": bare},
    }


def dropdown(x: float, buttons: list[dict[str, Any]], *, active: int = 0) -> dict[str, Any]:
    """A menu above the figure."""
    place = {"x": x, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "pad": {"b": 6}}
    return place | {"buttons": buttons, "active": active, "bgcolor": "white", "bordercolor": GREY}


def choice(label: str, method: str, *args: Any) -> dict[str, Any]:
    """One entry of a menu, and what choosing it changes."""
    return {"label": plain(label), "method": method, "args": list(args)}


def caption(x: float, text: str) -> dict[str, Any]:
    """A menu's name, above it."""
    place = {"xref": "paper", "yref": "paper", "x": x, "y": 1.0, "yshift": 40}
    anchors = {"xanchor": "left", "yanchor": "bottom", "showarrow": False}
    return place | anchors | {"text": text, "font": {"size": 11, "color": GREY}}


def plain(value: str) -> str:
    """A name as text, none of its characters taken for markup."""
    return html.escape(value, quote=False).replace("\n", "<br>")
