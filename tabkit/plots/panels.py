"""What figures of several panels are made of."""

from collections.abc import Iterable, Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from tabkit.plots.picture import literal

ROUND = (1.0, 2.0, 5.0)


def panels_of(
    panels: int, *, width: float, height: float, columns: int = 1
) -> tuple[Figure, list[Axes]]:
    """Panels of `width` by `height` inches, at most `columns` of them side by side.

    Raises ValueError if there is none.
    """
    if not panels:
        raise ValueError("there is nothing to draw: give one or more")
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


def legend_above(figure: Figure, *, columns: int = 3) -> None:
    """Whatever has a label in some panel, once."""
    found = [zip(*ax.get_legend_handles_labels(), strict=True) for ax in figure.axes]
    named = {label: handle for pairs in found for handle, label in pairs}
    look = {"loc": "outside upper left", "ncols": columns, "frameon": False, "fontsize": 8.5}
    figure.legend(list(named.values()), list(named), **look)


def name_rows(axes: Sequence[Axes], names: Iterable[str]) -> None:
    """Rows at 0, 1, 2, ... with a faint line each, in all panels; named in the first."""
    shown = [literal(name) for name in names]
    for ax in axes:
        ax.set_yticks(range(len(shown)), shown if ax is axes[0] else [""] * len(shown), fontsize=8)
        ax.grid(axis="y", color="#e6e6e6", linewidth=0.6)
        ax.set_axisbelow(True)


def number_logs(axis: Axis, subs: Sequence[float] = ROUND) -> None:
    """Plain numbers at so many times powers of ten."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
