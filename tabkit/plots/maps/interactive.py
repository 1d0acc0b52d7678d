"""What maps to turn, zoom and choose on are made of: plotly's figures, each with a static twin."""

import base64
import html
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from tabkit.inspection import Projection
from tabkit.plots.maps.categories import equal_scales, quality_line
from tabkit.plots.picture import FAINT, GREY, Picture

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
