"""Figures of the explorers of embeddings and rows, and their twins."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tabkit.inspection.rows import PredictedRow
from tabkit.plots.colouring import FAINT
from tabkit.plots.labels import literal
from tabkit.plots.linked import INK, LinkedMap, Place
from tabkit.plots.maps import bare, diameters, equal_scales, label_points, quality_line
from tabkit.plots.picture import BLUE, GREEN, GREY, ORANGE, Picture, panels_of

BARS = 5


@dataclass(frozen=True, eq=False)
class CategoryWalk:
    """A walk from one category of a column to another.

    Attributes
    ----------
    path : DataFrame
        As `inspection.walk` returns it.
    labels : sequence of str
        Of the column's categories.
    first, second : str
        The two ends.
    """

    path: pd.DataFrame
    labels: Sequence[str]
    first: str
    second: str

    def at(self, share: float) -> pd.Series:
        """The point of the walk that is nearest to a share of the second category."""
        return self.path.iloc[int(np.abs(self.path.index.to_numpy() - share).argmin())]

    def nearest(self, share: float) -> str:
        """The category that net1 puts nearest to the mixture."""
        return self.labels[int(self.at(share)["nearest"])]

    def words(self, share: float) -> str:
        """Where net1 puts the mixture, in words."""
        here = self.at(share)
        return (
            f"Mixture of {self.first} and {self.second}, share {here.name:.2f} of {self.second}: "
            f"behind net1 it lies {here.to_first:.2f} from {self.first}, {here.to_second:.2f} from "
            f"{self.second}, and {here.to_nearest:.2f} from the nearest category, "
            f"{self.nearest(share)}."
        )


def walk_at(walk: CategoryWalk, share: float) -> Picture:
    """net1's distances along a walk, and the mixture at one share of the second category."""
    figure = Figure(figsize=(4.1, 2.55), dpi=80, facecolor="white")
    ax = figure.add_axes((0.13, 0.18, 0.84, 0.6))
    _draw_walk(ax, walk, share)
    figure.legend(loc="upper left", ncols=3, frameon=False, fontsize=8, columnspacing=1.0)
    return Picture(figure, walk.words(share))


def _draw_walk(ax: Axes, walk: CategoryWalk, share: float) -> None:
    path, first, second = walk.path, _plain(walk.first), _plain(walk.second)
    ax.plot(path["to_nearest"], color=GREEN, linewidth=5, alpha=0.4, label="to the nearest")
    ax.plot(path["to_first"], color=BLUE, label=f"to {first}")
    ax.plot(path["to_second"], color=ORANGE, linestyle="--", label=f"to {second}")
    top = float(path[["to_first", "to_second"]].to_numpy().max())
    ax.set(xlim=(0, 1), ylim=(0, 1.08 * top or 1.0))
    here = walk.at(share)
    ax.axvline(here.name, color=INK, linewidth=1.0)
    for name, colour in {"to_first": BLUE, "to_second": ORANGE, "to_nearest": GREEN}.items():
        ax.plot(here.name, here[name], "o", color=colour, mec="white", clip_on=False)
    nearest = f"nearest: {_plain(walk.nearest(share))}, {here.to_nearest:.2f} away"
    ax.set_title(nearest, fontsize=9, loc="left", pad=4)
    ax.set_xlabel(f"share of {second} in the mixture", fontsize=9)
    ax.set_ylabel("distance behind net1", fontsize=9)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)


def _plain(name: str, width: int = 16) -> str:
    """A name for matplotlib: not too long, and no formula."""
    cut = name if len(name) <= width else f"{name[: width - 1]}…"
    return literal(cut)


def embedding_twin(
    maps: Mapping[LinkedMap, Place | None], walk: CategoryWalk, share: float
) -> Picture:
    """A panel for each map, with the mixture at its place if it has one, and one for the walk."""
    figure, axes = panels_of(len(maps) + 1, width=4.3, height=3.7, columns=2)
    for ax, (linked, place) in zip(axes, maps.items(), strict=False):
        _draw_linked(ax, linked, place)
    _draw_walk(axes[-1], walk, share)
    axes[-1].legend(frameon=False, fontsize=8)
    for ax, linked in zip(axes, maps, strict=False):
        marked = [linked.category, linked.other, *linked.near["neighbour"]]
        label_points(ax, linked.projection, first=marked)
    return Picture(figure, " ".join([*(linked.words for linked in maps), walk.words(share)]))


def _draw_linked(ax: Axes, linked: LinkedMap, place: Place | None) -> None:
    projection, vectors = linked.projection, linked.projection.vectors
    at = projection.coordinates[:, :2]
    places = dict(zip(vectors.names, at, strict=True))
    here, there = places[linked.category], places[linked.other]
    ax.scatter(*at.T, s=diameters(vectors) ** 2, color=FAINT)
    for name in linked.near["neighbour"]:
        ax.plot(*np.stack([here, places[name]]).T, color=BLUE, linewidth=1.0)
        ax.plot(*places[name], "o", ms=8, mfc="none", mec=BLUE, mew=1.5)
    ax.plot(*there, "s", ms=9, color=ORANGE)
    ax.plot(*here, "D", ms=9, color=BLUE)
    if place is not None:
        ax.plot(*np.stack([here, there]).T, color=INK, linestyle="--", linewidth=1.0)
        ax.plot(*place, "o", ms=8, color="black", mec="white")
    title = f"{vectors.title}\n{quality_line(projection)}"
    bare(ax, title.replace("; ", "\n"), equal=equal_scales(projection))


def row_twin(row: PredictedRow) -> Picture:
    """The largest shares of every column, the decoded category and the true one marked."""
    figure, axes = panels_of(len(row.shares), width=2.7, height=1.5, columns=3)
    for ax, (name, shares) in zip(axes, row.shares.items(), strict=True):
        _draw_shares(ax, shares.nlargest(BARS), row.columns.loc[name])
    words = [
        f"{name}: decoded {c.decoded} with share {c.decoded_share:.2f}, "
        + ("as in truth" if c.hit else f"true {c.true} with share {c.true_share:.2f}")
        for name, c in row.columns.iterrows()
    ]
    return Picture(figure, f"{distance_words(row)} {'; '.join(words)}.")


def _draw_shares(ax: Axes, shares: pd.Series, column: pd.Series) -> None:
    places = -np.arange(len(shares))
    colours = [ORANGE if label == column["true"] else BLUE for label in shares.index]
    ax.hlines(places, 0, shares, colors=colours, linewidth=7)
    marks = ["✓ true" if label == column["true"] else "" for label in shares.index]
    names = [f"{_plain(label)} {mark}" for label, mark in zip(shares.index, marks, strict=True)]
    ax.set_yticks(places, names, fontsize=7.5)
    ax.set(xlim=(0, 1), ylim=(0.8 - BARS, 0.8))
    verdict = "hit" if column["hit"] else f"missed: {_plain(column['true'])}"
    ax.set_title(f"{_plain(column.name)}: {verdict}", fontsize=8.5, loc="left")
    ax.tick_params(axis="x", labelsize=7.5)


def distance_words(row: PredictedRow, overruled: Sequence[str] = ()) -> str:
    """How far the mixture and the decoded row lie from the true one, and a row overruled by hand.

    Parameters
    ----------
    overruled
        Column and category that overrule what was decoded.
    """
    hits = int(row.columns["hit"].sum())
    words = (
        f"{hits} of {len(row.columns)} categories hit. Squared distance behind net1 to the true "
        f"row: of the mixture {row.mixture:.3f}, of the decoded row {row.decoded:.3f}"
    )
    if not overruled:
        return f"{words}."
    found = row.overrulings.loc[tuple(overruled)]
    column, category = overruled
    return f"{words}, with {column} {category} {found.distance:.3f} ({found.change:+.3f})."


def distance_bars(row: PredictedRow, overruled: Sequence[str] = ()) -> str:
    """The squared distances of the mixture, the decoded row and the overruled one, as SVG."""
    bars = {"mixture": row.mixture, "decoded row": row.decoded}
    if overruled:
        bars["overruled"] = float(row.overrulings["distance"][tuple(overruled)])
    longest = max(*bars.values(), 1e-12)
    lines = [
        f'<text x="0" y="{y}" font-size="12" fill="{INK}">{name}</text>'
        f'<rect x="90" y="{y - 10}" width="{300 * value / longest:.1f}" height="11" '
        f'fill="{colour}"/>'
        f'<text x="{96 + 300 * value / longest:.1f}" y="{y}" font-size="12" fill="{INK}">'
        f"{value:.3f}</text>"
        for (name, value), colour, y in zip(
            bars.items(), (GREY, BLUE, ORANGE), (32, 50, 68), strict=False
        )
    ]
    title = "Squared distance behind net1 to the true row"
    return (
        f'<svg role="img" aria-label="{html.escape(distance_words(row, overruled))}" width="470" '
        f'height="76" viewBox="0 0 470 76" font-family="sans-serif" '
        f'style="background:#fff;max-width:100%">'
        f'<text x="0" y="14" font-size="12" font-weight="bold" fill="{INK}">{title}</text>'
        f"{''.join(lines)}</svg>"
    )
