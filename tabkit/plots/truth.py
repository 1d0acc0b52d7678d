"""Figures of embeddings against what is known, from seed to seed, and before training."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from tabkit.plots.picture import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Picture,
    check_columns,
    legend_above,
    literal,
    name_rows,
    panels_of,
    share_limits,
)


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

    Parameters
    ----------
    table
        As `inspection.truth_scores` returns it.

    Raises
    ------
    ValueError
        If a column is missing, there is no row, or a view is unknown.
    """
    needed = ["column", "truth", "view", "correlation", "correlation_p"]
    check_columns(table, [*needed, "neighbour_ratio", "neighbour_p"])
    names = table["column"].astype(str) + ": " + table["truth"].astype(str)
    rows = list(dict.fromkeys(names))
    figure, axes = panels_of(2, width=3.9, height=0.32 * len(rows) + 1.1, columns=2)
    panels = {
        "correlation": "rank correlation of distances\n(0: none)",
        "neighbour_ratio": "true distance to the nearest,\nover that to all (1: by accident)",
    }
    for ax, (name, title), p, none in zip(
        axes, panels.items(), ("correlation_p", "neighbour_p"), (0, 1), strict=True
    ):
        ax.axvline(none, color=GREY, linewidth=1.0, linestyle=":")
        for row, record in zip(names.map(rows.index), table.to_dict("records"), strict=True):
            _dot(ax, record[name], row, record["view"], filled=record[p] < SIGNIFICANT)
        ax.set_title(title, fontsize=8)
    hollow = {"marker": "o", "mfc": "none", "mec": GREY, "label": "p at least .05"}
    _name(axes, rows, table, hollow)
    parts = [
        f"{r.column}: {r.truth}, {VIEWS[r.view].label} {r.correlation:.2f} "
        f"(p {r.correlation_p:.3f}), "
        f"neighbour ratio {r.neighbour_ratio:.2f} (p {r.neighbour_p:.3f})"
        for r in table.itertuples()
    ]
    return Picture(figure, f"Rank correlation of embedding and truth. {'; '.join(parts)}.")


def agreement(table: pd.DataFrame) -> Picture:
    """The share of each category's neighbours that two seeds have in common, and by chance.

    Parameters
    ----------
    table
        With the columns `column`, `view`, `overlap`, `chance` and `distance_correlation`.

    Raises
    ------
    ValueError
        If a column is missing, there is no row, or a view is unknown.
    """
    check_columns(table, ["column", "view", "overlap", "chance", "distance_correlation"])
    rows = list(dict.fromkeys(table["column"]))
    figure, axes = panels_of(2, width=3.6, height=0.4 * len(rows) + 1.1, columns=2)
    chance = {"marker": "|", "color": GREY, "ms": 9, "mew": 2}
    for record in table.to_dict("records"):
        row, view = rows.index(record["column"]), record["view"]
        _dot(axes[0], record["overlap"], row, view)
        _dot(axes[1], record["distance_correlation"], row, view)
        axes[0].plot(record["chance"], row - VIEWS[view].shift, **chance)
    axes[1].axvline(0, color=GREY, linewidth=1.0, linestyle=":")
    axes[0].set_xlim(-0.03, 1.03)
    axes[0].set_title("share of the nearest that two seeds share", fontsize=8)
    axes[1].set_title("rank correlation of the seeds' distances", fontsize=8)
    _name(axes, rows, table, chance | {"label": "by chance"})
    parts = [
        f"{r.column}, {VIEWS[r.view].label} {r.overlap:.2f} (by chance {r.chance:.2f}), "
        f"distances correlate {r.distance_correlation:.2f}"
        for r in table.itertuples()
    ]
    return Picture(
        figure, f"Share of neighbours that two seeds have in common. {'; '.join(parts)}."
    )


def movement(tables: Mapping[str, pd.DataFrame]) -> Picture:
    """How far training moved each category from its start, against its count; a panel a column.

    Parameters
    ----------
    tables
        For each column, a frame with `count` and `moved`.

    Raises
    ------
    ValueError
        If there is none, or a column is missing.
    """
    figure, axes = panels_of(len(tables), width=2.5, height=2.3, columns=4)
    parts = []
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        check_columns(table, ["count", "moved"])
        ax.plot(table["count"] + 1, table["moved"], "o", ms=4, color=BLUE, alpha=0.6)
        ax.set(xscale="log")
        ax.minorticks_off()
        ax.set_title(literal(name), fontsize=9)
        ax.tick_params(labelsize=8)
        rare, common = (
            table.loc[f(), "moved"] for f in (table["count"].idxmin, table["count"].idxmax)
        )
        parts.append(
            f"{name}, {len(table)} categories: the rarest ({table['count'].min():,} rows) "
            f"{rare:.2f}, the most frequent ({table['count'].max():,}) {common:.2f}"
        )
    top = max(float(table["moved"].max()) for table in tables.values())
    for ax in axes:
        ax.set_ylim(0, 1.08 * top)
    share_limits(axes, "x")
    figure.supxlabel("training rows with the category, plus 1 (log scale)", fontsize=9)
    figure.supylabel("distance from the start", fontsize=9)
    return Picture(figure, f"Distance that training moved the embeddings. {'; '.join(parts)}.")


def _dot(ax: Axes, value: float, row: int, view: str, *, filled: bool = True) -> None:
    if view not in VIEWS:
        raise ValueError(f"view must be one of {', '.join(VIEWS)}, not {view!r}")
    look = VIEWS[view]
    inside = look.colour if filled else "none"
    place = row - look.shift
    ax.plot(value, place, look.marker, ms=6, color=look.colour, mfc=inside, mew=1.3)


def _name(axes: list[Axes], rows: list[str], table: pd.DataFrame, extra: dict[str, Any]) -> None:
    """Names rows, views and what else there is."""
    name_rows(axes, rows)
    for ax in axes:
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.tick_params(axis="x", labelsize=8)
    for look in (VIEWS[view] for view in VIEWS if view in set(table["view"])):
        axes[0].plot([], [], look.marker, color=look.colour, label=look.label)
    axes[0].plot([], [], linestyle="", **extra)
    legend_above(axes[0].figure, columns=4)
