"""What maps to turn, zoom and choose on are made of: plotly's figures, each with a static twin."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from tabkit.inspection import Projection
from tabkit.plots.maps.categories import equal_scales, quality_line
from tabkit.plots.palette import FAINT, GREY
from tabkit.plots.picture import Picture, dark_paper

PLOTLY = "application/vnd.plotly.v1+json"
CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "typesetMath": False,
    "showSendToCloud": False,  # on by default: a button that would send the data away
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["select2d", "lasso2d"],
}
# The figure itself: plotly gives it no class of ours.
ABOVE_WORDS = ".jp-OutputArea-child:has(+ * .tabkit-words) .js-plotly-plot"
# White, without ticks: a map's axes mean nothing by themselves.
AXIS = {
    **{"showticklabels": False, "zeroline": False, "showgrid": False},
    **{"mirror": True, "showline": True, "linecolor": FAINT},
}
LAYOUT = {
    **{"template": "plotly_white", "paper_bgcolor": "white", "height": 600},
    "title": {"x": 0.01, "y": 0.98, "yanchor": "top", "font": {"size": 15}},
    **{"xaxis": AXIS, "yaxis": AXIS},
    "scene": {f"{axis}axis": {"showticklabels": False, "title": {"text": ""}} for axis in "xyz"},
}


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
        words = f"<summary>Figure in words</summary>{html.escape(self.alt)}"
        words = f'<details class="tabkit-words">{words}</details>{dark_paper(ABOVE_WORDS)}'
        return [self._repr_mimebundle_(), {"text/html": words, "text/plain": self.alt}]

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        still, _metadata = self.twin._repr_mimebundle_()
        # Not as image/png: beside one, JupyterLab would draw the figure only under a mouse.
        still.pop("image/png")
        return {PLOTLY: json.loads(self.figure.to_json()) | {"config": CONFIG}, **still}

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415 - only a notebook has it

        for output in self.outputs:
            display(output, raw=True)


def page(traces: Sequence[Any], menus: Mapping[str, float], *, right: int) -> go.Figure:
    """A white page with room for menus above, whose names stand at places from 0 to 1."""
    look = {"xref": "paper", "yref": "paper", "y": 1.0, "yshift": 40, "showarrow": False}
    look |= {"xanchor": "left", "yanchor": "bottom", "font": {"size": 11, "color": GREY}}
    names = [look | {"x": x, "text": name} for name, x in menus.items()]
    margin = {"l": 10, "r": right, "t": 130, "b": 10}
    return go.Figure(traces, LAYOUT | {"margin": margin, "annotations": names})


def menu(x: float, choices: Mapping[str, Sequence[Any]], *, active: int = 0) -> dict[str, Any]:
    """A menu above the figure: what each choice calls, and with what."""
    place = {"x": x, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "pad": {"b": 6}}
    buttons = [
        {"label": plain(label), "method": method, "args": arguments}
        for label, (method, *arguments) in choices.items()
    ]
    return place | {"buttons": buttons, "active": active, "bgcolor": "white", "bordercolor": GREY}


def titles(projection: Projection) -> dict[str, str | None]:
    """What is shown, below it how far to trust it, and on what scales."""
    return {
        "yaxis.scaleanchor": "x" if equal_scales(projection) else None,
        "title.text": plain(projection.vectors.title),
        "title.subtitle.text": quality_line(projection),
    }


def by_axis(at: Float[np.ndarray, "n d"]) -> dict[str, dict[str, str]]:
    """Coordinates by the axis' name."""
    return dict(zip("xyz", map(packed, at.astype(np.float32).T), strict=False))


def packed(numbers: Float[np.ndarray, " n"]) -> dict[str, str]:
    """Numbers as plotly's typed array, a fraction of their text's length."""
    small = bool((np.abs(numbers) < 128).all() and (numbers == numbers.round()).all())
    kept = np.ascontiguousarray(numbers, dtype=np.int8 if small else np.float32)
    return {"dtype": "i1" if small else "f4", "bdata": base64.b64encode(kept).decode()}


def plain(value: str) -> str:
    """A name as text, none of its characters taken for markup."""
    return html.escape(value, quote=False).replace("\n", "<br>")
