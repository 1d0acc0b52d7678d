"""Figures of races: how long contestants take beside each other."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from tabkit.plots.picture import (
    BLUE,
    GREY,
    Picture,
    check_columns,
    literal,
    name_rows,
    panels_of,
    share_limits,
)

WIDE = 8.0  # from here on a ratio's axis has marks at 1, 2 and 5 only
MARKS = (1, 1.2, 1.5, 2, 3, 4, 6, 8)


def race(tables: Mapping[str, pd.DataFrame]) -> Picture:
    """Each contestant's time over that of the first, a panel for each race; lines are quartiles.

    Parameters
    ----------
    tables
        By title, races of the same contestants, as `ruler.race` returns them.

    Raises
    ------
    ValueError
        If there is no race, a column is missing, or the races' contestants differ.
    """
    names = list(next(iter(tables.values()), pd.DataFrame()).index)
    for title, table in tables.items():
        check_columns(table, ["ms", "ratio", "ratio_q1", "ratio_q3"])
        if list(table.index) != names:
            raise ValueError(f"the contestants of {title!r} are not those of the first race")
    figure, axes = panels_of(len(tables), width=4.0, height=0.28 * len(names) + 0.9, columns=3)
    order = _slowest_first(tables)
    for ax, (title, table) in zip(axes, tables.items(), strict=True):
        _draw(ax, table.loc[order])
        ax.set_title(literal(title), fontsize=9)
    name_rows(axes, order)
    share_limits(axes, "x")
    for ax in axes:
        _mark(ax)
    figure.supxlabel(f"times as long as {literal(names[0])} (log scale)", fontsize=9)
    parts = [f"{title}: {_said(table.loc[order[::-1]])}" for title, table in tables.items()]
    alt = f"Time over that of {names[0]}, median and quartiles. {'; '.join(parts)}."
    return Picture(figure, alt)


def _slowest_first(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """The contestants by their mean log ratio, the one that all are compared with last."""
    mean = sum(np.log(table["ratio"]) for table in tables.values())
    reference, *others = mean.index
    return [*mean[others].sort_values(ascending=False).index, reference]


def _draw(ax: Axes, table: pd.DataFrame) -> None:
    places = np.arange(len(table))
    ax.axvline(1.0, color=GREY, linewidth=1.0, linestyle=":")
    ax.hlines(places, table["ratio_q1"], table["ratio_q3"], color=BLUE, linewidth=2.0)
    ax.plot(table["ratio"], places, "o", color=BLUE, ms=5)
    ax.set(xscale="log", ylim=(-0.7, len(table) - 0.3))


def _mark(ax: Axes) -> None:
    """Marks that fit the axis: close ones where it is short."""
    low, high = ax.get_xlim()
    wanted = (1, 2, 5) if high / low > WIDE else MARKS
    marks = [m * 10.0**power for power in range(-4, 6) for m in wanted]
    ax.xaxis.set_major_locator(FixedLocator([m for m in marks if low <= m <= high]))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_locator(NullLocator())


def _said(table: pd.DataFrame) -> str:
    return ", ".join(
        f"{name} {row.ratio:.2f} ({row.ratio_q1:.2f} to {row.ratio_q3:.2f})"
        for name, row in table.iterrows()
    )
