"""Figures of one column's simplex, and of the way from one category to another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tabkit.inspection import Mixture
from tabkit.plots.picture import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    Picture,
    legend_above,
    literal,
    panels_of,
)

BARS = 12
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])
WAYS = {"to_nearest": GREEN, "to_first": BLUE, "to_second": ORANGE}


def simplex(mixture: Mixture, labels: Sequence[str], *, truth: int | None = None) -> Picture:
    """The shares of the categories, the largest first; for three, all draws in the triangle.

    Parameters
    ----------
    truth
        The code of the row's own category, marked.
    """
    figure = Figure(figsize=(8.2, 3.4), dpi=80, facecolor="white")
    three = len(labels) == 3
    bars = figure.add_axes((0.2, 0.14, 0.36 if three else 0.72, 0.74))
    _bars(bars, mixture, labels, truth)
    if three:
        _triangle(figure.add_axes((0.62, 0.04, 0.36, 0.86)), mixture, labels)
    bars.set_title(literal(_summary(mixture, labels)), fontsize=10, loc="left")
    return Picture(figure, f"Simplex of {len(labels)} categories. {_words(mixture, labels, truth)}")


def simplexes(
    mixtures: Mapping[str, Mixture], labels: Sequence[str], *, truth: int | None = None
) -> Picture:
    """A panel of bars for each of several mixtures of the same column."""
    figure, axes = panels_of(len(mixtures), width=3.4, height=2.6, columns=3)
    for ax, (name, mixture) in zip(axes, mixtures.items(), strict=True):
        _bars(ax, mixture, labels, truth)
        ax.set_title(literal(f"{name}\n{_summary(mixture, labels)}"), fontsize=8)
        ax.tick_params(labelsize=7)
    parts = [f"{name}: {_words(m, labels, truth)}" for name, m in mixtures.items()]
    return Picture(figure, " ".join(parts))


def share_bars(ax: Axes, shares: pd.Series, *, true: int | None, room: int) -> None:
    """Shares by name, one of them the true one; always room for as many bars: nothing jumps."""
    places = -np.arange(len(shares))
    colours = [ORANGE if k == true else BLUE for k in range(len(shares))]
    ax.hlines(places, 0, shares, colors=colours, linewidth=9)
    names = [cut(name, 20) for name in shares.index]
    ax.set_yticks(places, [f"{n} (true)" if k == true else n for k, n in enumerate(names)])
    ax.set(xlim=(0, 1), ylim=(0.8 - room, 0.8))
    ax.spines[["top", "right"]].set_visible(False)


def _bars(ax: Axes, mixture: Mixture, labels: Sequence[str], truth: int | None) -> None:
    codes = np.argsort(-mixture.simplex.numpy(), kind="stable")[:BARS].tolist()
    shares = pd.Series(mixture.simplex.numpy()[codes], [labels[k] for k in codes])
    true = codes.index(truth) if truth in codes else None
    share_bars(ax, shares, true=true, room=min(BARS, len(labels)))
    ax.set_xlabel("share", fontsize=9)


def _triangle(ax: Axes, mixture: Mixture, labels: Sequence[str]) -> None:
    at = mixture.samples.numpy() @ CORNERS
    ax.fill(*CORNERS.T, facecolor="none", edgecolor=GREY)
    ax.plot(*at.T, ".", color=BLUE, alpha=0.35)
    ax.plot(*at[0], "D", color=ORANGE, ms=8)
    for label, corner in zip(labels, CORNERS, strict=True):
        side = 1 if corner[1] else -1
        place = {"xytext": (0, 7 * side), "textcoords": "offset points", "ha": "center"}
        va = "bottom" if side > 0 else "top"
        ax.annotate(literal(label), corner, **place, va=va, fontsize=10)
    ax.set(xlim=(-0.15, 1.15), ylim=(-0.12, 1.0), aspect="equal")
    ax.set_axis_off()


def _summary(mixture: Mixture, labels: Sequence[str]) -> str:
    if mixture.nearest is None:
        return f"entropy {mixture.entropy:.2f} nats; net1 shows no tables, so no distance"
    return (
        f"entropy {mixture.entropy:.2f} nats; nearest category {labels[mixture.nearest]}, "
        f"{mixture.distance:.2f} away"
    )


def _words(mixture: Mixture, labels: Sequence[str], truth: int | None) -> str:
    shares = mixture.simplex.numpy()
    top = [f"{labels[k]} {shares[k]:.2f}" for k in np.argsort(-shares, kind="stable")[:3]]
    own = "" if truth is None else f"; the true one, {labels[truth]}, {shares[truth]:.2f}"
    unit = "" if mixture.nearest is None else " neighbour spacings"
    return f"Largest shares: {', '.join(top)}{own}. {_summary(mixture, labels)}{unit}."


def walk(path: pd.DataFrame, first: str, second: str) -> Picture:
    """net1's distance to two categories' outputs, along the mixtures of the two.

    Parameters
    ----------
    path
        As `inspection.walk` returns it.
    first, second
        The two categories.
    """
    figure, (ax,) = panels_of(1, width=6.0, height=3.0)
    draw_walk(ax, path, first, second)
    legend_above(figure)
    middle = path.iloc[len(path) // 2]
    alt = (
        f"Distance behind net1 from mixtures of {first} and {second} to both and to the nearest "
        f"category: halfway {middle.to_first:.2f}, {middle.to_second:.2f}, {middle.to_nearest:.2f}."
    )
    return Picture(figure, alt)


def draw_walk(ax: Axes, path: pd.DataFrame, first: str, second: str) -> None:
    """The distances along a walk."""
    first, second = cut(first), cut(second)
    ax.plot(path["to_nearest"], color=GREEN, linewidth=5, alpha=0.4, label="to the nearest")
    ax.plot(path["to_first"], color=BLUE, label=f"to {first}")
    ax.plot(path["to_second"], color=ORANGE, linestyle="--", label=f"to {second}")
    top = float(path[["to_first", "to_second"]].to_numpy().max())
    ax.set(xlim=(0, 1), ylim=(0, 1.08 * top or 1.0))
    ax.set_xlabel(f"share of {second} in the mixture", fontsize=9)
    ax.set_ylabel("distance behind net1", fontsize=9)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)


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

    def mark(self, ax: Axes, share: float) -> None:
        """Marks the mixture on the walk."""
        here = self.at(share)
        ax.axvline(here.name, color=INK, linewidth=1.0)
        for name, colour in WAYS.items():
            ax.plot(here.name, here[name], "o", color=colour, mec="white", clip_on=False)
        nearest = f"nearest: {cut(self.nearest(share))}, {here.to_nearest:.2f} away"
        ax.set_title(nearest, fontsize=9, loc="left", pad=4)


def walk_at(walk: CategoryWalk, share: float) -> Picture:
    """net1's distances along a walk, and the mixture at one share of the second category."""
    figure = Figure(figsize=(4.1, 2.55), dpi=80, facecolor="white")
    ax = figure.add_axes((0.13, 0.18, 0.84, 0.6))
    draw_walk(ax, walk.path, walk.first, walk.second)
    walk.mark(ax, share)
    figure.legend(loc="upper left", ncols=3, frameon=False, fontsize=8, columnspacing=1.0)
    return Picture(figure, walk.words(share))


def cut(name: str, width: int = 16) -> str:
    """A name for matplotlib: not too long, and no formula."""
    return literal(name if len(name) <= width else f"{name[: width - 1]}…")
