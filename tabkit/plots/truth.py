"""Figures of embeddings against what is known, from seed to seed, and before training."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tabkit.plots.colouring import check_table, some
from tabkit.plots.labels import literal
from tabkit.plots.picture import BLUE, GREEN, GREY, ORANGE, Picture, panels_of, share_limits


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
    check_table(table, [*needed, "neighbour_ratio", "neighbour_p"])
    rows = list(table.groupby(["column", "truth"], sort=False).groups)
    figure, axes = panels_of(2, width=3.9, height=0.32 * len(rows) + 1.1, columns=2)
    for ax, name, p, none in zip(
        axes,
        ("correlation", "neighbour_ratio"),
        ("correlation_p", "neighbour_p"),
        (0, 1),
        strict=True,
    ):
        ax.axvline(none, color=GREY, linewidth=1.0, linestyle=":")
        for record in table.to_dict("records"):
            row = rows.index((record["column"], record["truth"]))
            _dot(ax, record[name], row, record["view"], filled=record[p] < SIGNIFICANT)
        _rows(ax, [f"{column}: {truth}" for column, truth in rows], named=ax is axes[0])
    axes[0].set_title("rank correlation of distances\n(0: none)", fontsize=8)
    axes[1].set_title(
        "true distance to the nearest,\nover that to all (1: by accident)", fontsize=8
    )
    hollow = Line2D([], [], linestyle="", marker="o", mfc="none", mec=GREY, label="p at least .05")
    figure.legend(handles=[*_legend(table), hollow], **_ABOVE, ncols=4)
    parts = [
        f"{r.column}: {r.truth}, {_view(r.view).label} {r.correlation:.2f} "
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
    check_table(table, ["column", "view", "overlap", "chance", "distance_correlation"])
    rows = list(dict.fromkeys(table["column"]))
    figure, axes = panels_of(2, width=3.6, height=0.4 * len(rows) + 1.1, columns=2)
    for record in table.to_dict("records"):
        row, view = rows.index(record["column"]), record["view"]
        _dot(axes[0], record["overlap"], row, view)
        _dot(axes[1], record["distance_correlation"], row, view)
        place = row - _view(view).shift
        axes[0].plot(record["chance"], place, "|", color=GREY, ms=9, mew=2)
    axes[1].axvline(0, color=GREY, linewidth=1.0, linestyle=":")
    for ax in axes:
        _rows(ax, rows, named=ax is axes[0])
    axes[0].set_xlim(-0.03, 1.03)
    axes[0].set_title("share of the nearest that two seeds share", fontsize=8)
    axes[1].set_title("rank correlation of the seeds' distances", fontsize=8)
    tick = Line2D([], [], linestyle="", marker="|", color=GREY, ms=9, mew=2, label="by chance")
    figure.legend(handles=[*_legend(table), tick], **_ABOVE, ncols=4)
    parts = [
        f"{r.column}, {_view(r.view).label} {r.overlap:.2f} (by chance {r.chance:.2f}), "
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
    for table in some(tables).values():
        check_table(table, ["count", "moved"])
    figure, axes = panels_of(len(tables), width=2.5, height=2.3, columns=4)
    parts = []
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
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


_ABOVE = {"loc": "outside upper left", "frameon": False, "fontsize": 8}


def _dot(ax: Axes, value: float, row: int, view: str, *, filled: bool = True) -> None:
    look = _view(view)
    inside = look.colour if filled else "none"
    place = row - look.shift
    ax.plot(value, place, look.marker, ms=6, color=look.colour, mfc=inside, mew=1.3)


def _rows(ax: Axes, labels: list[str], *, named: bool) -> None:
    ax.set_yticks(
        range(len(labels)),
        [literal(label) for label in labels] if named else [""] * len(labels),
        fontsize=8,
    )
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.tick_params(axis="x", labelsize=8)
    ax.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    ax.set_axisbelow(True)


def _legend(table: pd.DataFrame) -> list[Line2D]:
    looks = [look for view, look in VIEWS.items() if view in set(table["view"])]
    return [
        Line2D([], [], linestyle="", marker=look.marker, color=look.colour, label=look.label)
        for look in looks
    ]


def _view(name: str) -> View:
    if name not in VIEWS:
        raise ValueError(f"view must be one of {', '.join(VIEWS)}, not {name!r}")
    return VIEWS[name]
