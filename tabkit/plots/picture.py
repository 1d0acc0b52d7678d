"""A figure with its description in words, and the panels it is made of."""

import base64
import html
import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#767676"
DRAWING = threading.Lock()  # matplotlib's settings are shared by all threads


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
        buffer = io.StringIO()
        with DRAWING, rc_context({"svg.fonttype": "none"}):
            FigureCanvasSVG(self.figure).print_svg(buffer, metadata={"Date": None})
        element = buffer.getvalue().partition("<svg ")[2]
        return f'<svg role="img" aria-label="{html.escape(self.alt)}" {element}'

    def save(self, path: Path) -> None:
        """Writes the PNG, with the alternative text as its description."""
        path.write_bytes(self.png())

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, object], dict[str, object]]:
        png = self.png()
        # JupyterLab shows the HTML, whose alternative text it keeps; it drops that of a PNG.
        source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        tag = f'<img src="{source}" alt="{html.escape(self.alt)}">'
        data = {"text/html": tag, "image/png": png, "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt}}


def panels_of(
    panels: int, *, width: float, height: float, columns: int = 1
) -> tuple[Figure, list[Axes]]:
    """Panels of `width` by `height` inches, at most `columns` of them side by side."""
    across = min(panels, columns)
    down = -(-panels // across)
    size = (width * across + 0.6, height * down + 0.4)
    figure = Figure(figsize=size, dpi=110, layout="constrained", facecolor="white")
    axes = [figure.add_subplot(down, across, i + 1) for i in range(panels)]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def share_limits(axes: Sequence[Axes], axis: Literal["x", "y"]) -> None:
    """Gives all panels the widest of their limits."""
    limits = [getattr(ax, f"get_{axis}lim")() for ax in axes]
    for ax in axes:
        ax.set(**{f"{axis}lim": (min(low for low, _ in limits), max(high for _, high in limits))})
