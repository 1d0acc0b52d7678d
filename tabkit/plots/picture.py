"""A figure with its description in words; names and tables as they come from data."""

import base64
import html
import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from tabkit.store import write_whole

DRAWING = threading.Lock()  # matplotlib's settings are shared by all threads
UNSAID = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # in an SVG


@dataclass(frozen=True)
class Picture:
    """A figure and its alternative text; shows itself in a notebook, and saves as PNG."""

    figure: Figure
    alt: str

    def png(self) -> bytes:
        """The figure as PNG."""
        buffer = io.BytesIO()
        FigureCanvasAgg(self.figure).print_png(buffer, metadata={"Description": self.alt})
        return buffer.getvalue()

    def svg(self) -> str:
        """The figure as an SVG element, described in words; quicker to draw than a PNG."""
        return Backdrop(self.figure).svg(self.alt)

    def save(self, path: Path) -> None:
        """Writes the PNG, with the alternative text as its description."""
        write_whole(path, lambda partial: partial.write_bytes(self.png()))

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, object], dict[str, object]]:
        png = self.png()
        # JupyterLab shows the HTML, whose alternative text it keeps; it drops that of a PNG.
        source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        tag = f'<img class="tabkit-figure" src="{source}" alt="{html.escape(self.alt)}">'
        tag += dark_paper(".tabkit-figure")
        data = {"text/html": tag, "image/png": png, "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt}}


class Backdrop:
    """A figure that is drawn once, as SVG, and let go; marks are put on it again and again."""

    def __init__(self, figure: Figure) -> None:
        buffer = io.StringIO()
        with DRAWING, rc_context({"svg.fonttype": "none"}):
            FigureCanvasSVG(figure).print_svg(buffer, metadata=UNSAID)
        self.element = buffer.getvalue().partition("<svg ")[2].rpartition("</svg>")[0]
        self.pixels = figure.axes[0].transData.frozen()
        self.points, self.height = 72 / figure.dpi, 72 * figure.get_figheight()

    def svg(self, words: str, over: str = "") -> str:
        """The SVG element, described by words, with other elements on top."""
        return f'<svg role="img" aria-label="{html.escape(words)}" {self.element}{over}</svg>'

    def at(self, places: Sequence[Any]) -> list[list[float]]:
        """Where places on the first panel lie in the SVG."""
        x, y = (self.pixels.transform(places) * self.points).T
        return np.stack([x, self.height - y], axis=1).round(2).tolist()


def dark_paper(selector: str) -> str:
    """A style: in JupyterLab's dark theme white paper has its colour, and each ink keeps its hue.

    Examples
    --------
    >>> dark_paper(".map")
    '<style>[data-jp-theme-light=false] .map{filter:invert(.933) hue-rotate(180deg)}</style>'
    """
    look = "filter:invert(.933) hue-rotate(180deg)"
    return f"<style>[data-jp-theme-light=false] {selector}{{{look}}}</style>"


def literal(name: object) -> str:
    r"""A name as matplotlib shows it: between two dollar signs it would read a formula.

    Examples
    --------
    >>> print(literal("$x^$"))
    \$x^\$
    """
    return str(name).replace("$", r"\$")


@lru_cache(256)
def text_widths(names: tuple[str, ...], size: float, weight: str = "normal") -> list[float]:
    """The widths of names set in matplotlib's font, in points."""
    renderer = FigureCanvasAgg(Figure(dpi=72)).get_renderer()
    font = FontProperties(size=size, weight=weight)
    return [renderer.get_text_width_height_descent(name, font, False)[0] for name in names]


def check_columns(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The columns, which are there, of a table that has rows.

    Raises ValueError if one is not, none is named, or there is no row.
    """
    if isinstance(columns, str) or not columns:
        raise ValueError(f"columns is {columns!r}: give a list of one or more names")
    for column in columns:
        if column not in table:
            known = ", ".join(map(str, table.columns)) or "none"
            raise ValueError(f"there is no column {column!r}; there are: {known}")
    if table.empty:
        raise ValueError("the table has no rows")
    return list(columns)
