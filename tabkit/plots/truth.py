"""Figures of embeddings against what is known, from seed to seed, and before training."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from tabkit.plots.palette import BLUE, GREEN, GREY, ORANGE
from tabkit.plots.panels import legend_above, name_rows, panels_of, share_limits
from tabkit.plots.picture import Picture, check_columns, literal


class View(NamedTuple):
    """How a view of the categories is drawn."""

    label: str
    colour: str
    marker: str
    shift: float  # rows


VIEWS = {
    "table": View("the table", GREEN, "^", 0.22),
    "first_layer": View("after the first layer", BLUE, "o", 0.0),
    "output": View("behind net1", ORANGE, "s", -0.22),
}
SIGNIFICANT = 0.05


def scores(table: pd.DataFrame) -> Picture:
    """How well each view of the categories matches each truth; filled where p < .05.

    `table`: as `inspection.truth_scores` returns it.

    Raises ValueError if a column is missing, there is no row, or a view is unknown.
    """
    needed = ["column", "truth", "view", "correlation", "correlation_p"]
    check_columns(table, [*needed, "neighbour_ratio", "neighbour_p"])
    names = [f"{r.column}: {r.truth}" for r in table.itertuples()]
    figure, (left, right) = panels_of(2, width=3.9, height=0.32 * len({*names}) + 1.1, columns=2)
    hollow = {"marker": "o", "mfc": "none", "mec": GREY, "label": "p at least .05"}
    _name([left, right], names, table, hollow)
    _dots(left, names, table, "correlation", table["correlation_p"] < SIGNIFICANT)
    _dots(right, names, table, "neighbour_ratio", table["neighbour_p"] < SIGNIFICANT)
    left.axvline(0, color=GREY, linewidth=1.0, linestyle=":")
    right.axvline(1, color=GREY, linewidth=1.0, linestyle=":")
    left.set_title("rank correlation of distances\n(0: none)", fontsize=8)
    right.set_title("true distance to the nearest,\nover that to all (1: by accident)", fontsize=8)
    parts = [
        f"{r.column}: {r.truth}, {VIEWS[r.view].label} {r.correlation:.2f} "
        f"(p {r.correlation_p:.3f}), neighbour ratio {r.neighbour_ratio:.2f} "
        f"(p {r.neighbour_p:.3f})"
        for r in table.itertuples()
    ]
    return Picture(figure, f"Rank correlation of embedding and truth. {'; '.join(parts)}.")


def agreement(table: pd.DataFrame) -> Picture:
    """The share of each category's neighbours that two seeds have in common, and by chance.

    `table`: with the columns `column`, `view`, `overlap`, `chance` and `distance_correlation`.

    Raises
    ------
    ValueError
        If a column is missing, there is no row, or a view is unknown.
    """
    check_columns(table, ["column", "view", "overlap", "chance", "distance_correlation"])
    names = list(table["column"])
    figure, (left, right) = panels_of(2, width=3.6, height=0.4 * len({*names}) + 1.1, columns=2)
    chance = {"marker": "|", "color": GREY, "ms": 9, "mew": 2}
    _name([left, right], names, table, chance | {"label": "by chance"})
    _dots(left, names, table, "overlap")
    _dots(left, names, table, "chance", **chance)
    _dots(right, names, table, "distance_correlation")
    right.axvline(0, color=GREY, linewidth=1.0, linestyle=":")
    left.set_xlim(-0.03, 1.03)
    left.set_title("share of the nearest that two seeds share", fontsize=8)
    right.set_title("rank correlation of the seeds' distances", fontsize=8)
    parts = [
        f"{r.column}, {VIEWS[r.view].label} {r.overlap:.2f} (by chance {r.chance:.2f}), "
        f"distances correlate {r.distance_correlation:.2f}"
        for r in table.itertuples()
    ]
    alt = f"Share of neighbours that two seeds have in common. {'; '.join(parts)}."
    return Picture(figure, alt)


def movement(tables: Mapping[str, pd.DataFrame]) -> Picture:
    """How far training moved each category from its start, against its count; a panel a column.

    `tables`: for each column, a frame with `count` and `moved`.

    Raises
    ------
    ValueError
        If there is none, or a column is missing.
    """
    figure, axes = panels_of(len(tables), width=2.5, height=2.3, columns=4)
    parts = []
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        counts, moved = (table[column] for column in check_columns(table, ["count", "moved"]))
        ax.plot(counts + 1, moved, "o", ms=4, color=BLUE, alpha=0.6)
        ax.set_xscale("log")
        ax.minorticks_off()
        ax.set_title(literal(name), fontsize=9)
        ax.tick_params(labelsize=8)
        parts.append(
            f"{name}, {len(table)} categories: the rarest ({counts.min():,} rows) "
            f"{moved[counts.idxmin()]:.2f}, the most frequent ({counts.max():,}) "
            f"{moved[counts.idxmax()]:.2f}"
        )
    share_limits(axes, "x")
    share_limits(axes, "y")
    for ax in axes:
        ax.set_ylim(bottom=0)
    figure.supxlabel("training rows with the category, plus 1 (log scale)", fontsize=9)
    figure.supylabel("distance from the start", fontsize=9)
    return Picture(figure, f"Distance that training moved the embeddings. {'; '.join(parts)}.")


def _dots(
    ax: Axes, names: Sequence[str], table: pd.DataFrame, column: str,
    filled: Iterable[bool] | None = None, **look: Any,
) -> None:  # fmt: skip
    """A measure of each view, in the row of its name."""
    rows = list(dict.fromkeys(names))
    filled = [True] * len(table) if filled is None else filled
    for name, view, value, full in zip(names, table["view"], table[column], filled, strict=True):
        if view not in VIEWS:
            raise ValueError(f"view must be one of {', '.join(VIEWS)}, not {view!r}")
        _, colour, marker, shift = VIEWS[view]
        own = {"marker": marker, "ms": 6, "color": colour, "mfc": colour if full else "none"}
        ax.plot(value, rows.index(name) - shift, **own | {"mew": 1.3} | look)


def _name(
    axes: Sequence[Axes], names: Sequence[str], table: pd.DataFrame, other: dict[str, Any]
) -> None:
    """Names the rows, the first on top, the views, and what else is drawn."""
    rows = dict.fromkeys(names)
    name_rows(axes, rows)
    for ax in axes:
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.tick_params(axis="x", labelsize=8)
    looks = [VIEWS[view] for view in VIEWS if view in set(table["view"])]
    marks = [{"marker": v.marker, "color": v.colour, "label": v.label} for v in looks]
    for mark in (*marks, other):
        axes[0].plot([], [], linestyle="", **mark)
    legend_above(axes[0].figure, columns=4)
