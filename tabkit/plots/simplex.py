"""Figures of one column's simplex: bars and, for three categories, the triangle."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tabkit.inspection.simplex import Mixture
from tabkit.plots.labels import literal
from tabkit.plots.picture import BLUE, GREY, ORANGE, Picture, panels_of

BARS = 12
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])


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


def _bars(ax: Axes, mixture: Mixture, labels: Sequence[str], truth: int | None) -> None:
    """Always the same number of bars, so that nothing jumps."""
    shares = mixture.simplex.numpy()
    shown = np.argsort(-shares, kind="stable")[:BARS]
    places = -np.arange(len(shown))
    colours = [ORANGE if k == truth else BLUE for k in shown]
    ax.hlines(places, 0, shares[shown], colors=colours, linewidth=9)
    marks = [f"{labels[k]} (true)" if k == truth else labels[k] for k in shown]
    ax.set_yticks(places, [literal(mark) for mark in marks])
    ax.set(xlim=(0, 1), ylim=(0.8 - min(BARS, len(labels)), 0.8))
    ax.spines[["top", "right"]].set_visible(False)
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
    return (
        f"entropy {mixture.entropy:.2f} nats; nearest category {labels[mixture.nearest]}, "
        f"{mixture.distance:.2f} away"
    )


def _words(mixture: Mixture, labels: Sequence[str], truth: int | None) -> str:
    shares = mixture.simplex.numpy()
    top = [f"{labels[k]} {shares[k]:.2f}" for k in np.argsort(-shares, kind="stable")[:3]]
    own = "" if truth is None else f"; the true one, {labels[truth]}, {shares[truth]:.2f}"
    return f"Largest shares: {', '.join(top)}{own}. {_summary(mixture, labels)} neighbour spacings."
