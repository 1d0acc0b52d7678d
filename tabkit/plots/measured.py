"""Figures of estimated gradients: beside the exact one, many of them by the ruler, one in bars."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tabkit.plots.palette import BLUE, GREY, ORANGE
from tabkit.plots.panels import legend_above, name_rows, panels_of
from tabkit.plots.picture import Picture, literal, text_widths
from tabkit.ruler import Gradients

SHOWN = 12  # categories
DOTS = 40  # single draws
RULER = {
    "squared_bias": "squared bias / |g*|²",
    "variance": "variance / |g*|²",
    "cosine": "cosine of one draw with g*",
}


def category_bars(
    values: Float[Tensor, " K"], labels: Sequence[str], *, marked: int, label: str
) -> Picture:
    """One value per category of a column, such as a gradient; one category is marked.

    `marked`: the code of the category that the row has. `label`: what the values are, for the axis.
    """
    figure, (ax,) = panels_of(1, width=0.35 * len(labels) + 2.2, height=2.6)
    colours = [ORANGE if k == marked else BLUE for k in range(len(labels))]
    ax.bar([literal(name) for name in labels], values.tolist(), color=colours)
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set(xlabel=f"category (the row has {literal(labels[marked])})", ylabel=label)
    parts = [f"{name} {value:.2f}" for name, value in zip(labels, values.tolist(), strict=True)]
    alt = f"Bars of {label} by category: {', '.join(parts)}. The row has {labels[marked]}."
    return Picture(figure, alt)


def ruler(measured: pd.DataFrame) -> Picture:
    """Squared bias, variance and cosine of each estimator, with bars of two standard errors.

    `measured`: as `ruler.measure` returns it.
    """
    ordered = measured.sort_values("cosine")
    figure, axes = panels_of(3, width=3.4, height=0.27 * len(ordered) + 0.8, columns=3)
    for ax, (name, title) in zip(axes, RULER.items(), strict=True):
        found, error = ordered[name], 2 * ordered[f"{name}_se"]
        ax.errorbar(found, range(len(found)), xerr=error, fmt="o", color=BLUE, ms=4)
        ax.set_title(title, fontsize=9)
        if name != "cosine":
            ax.set_xscale("symlog", linthresh=0.1)
            ax.set_xticks([t for t in (0, 0.1, 0.5, 1, 10, 100) if t < 2 * found.max()])
            ax.xaxis.set_major_formatter("{x:g}")
            ax.set_xlim(min(-0.05, 1.2 * (found - error).min()), 1.4 * found.max() + 0.1)
    name_rows(axes, ordered.index)
    rows = [
        f"{name}: squared bias {row.squared_bias:.2f}, variance {row.variance:.2f}, "
        f"cosine {row.cosine:.2f}"
        for name, row in ordered[::-1].iterrows()
    ]
    return Picture(figure, f"Gradient estimators against the exact gradient. {'; '.join(rows)}.")


def gradient(found: Gradients, labels: Sequence[str], *, row: int, first: int) -> Picture:
    """One column of one row: the reference, the mean of the draws, and single draws.

    `labels`: the column's categories; those with the longest gradient are shown. `row`: which row
    of the logits. `first`: where the column's block begins in the logits.
    """
    figure = Figure(figsize=(7.4, 4.8), dpi=80, facecolor="white")
    ax = figure.add_axes((0, 0, 1, 1))
    words, tilt = _draw(ax, found, labels, row, first)
    ax.locator_params(axis="y", nbins=6)
    left, bottom = max(0.1, _tick_room(ax)), 0.2 if tilt else 0.1
    ax.set_position((left, bottom, 0.98 - left, 0.82 - bottom))
    figure.legend(loc="upper left", ncols=3, frameon=False, fontsize=9)
    ax.set_title(summary(found), fontsize=10, loc="left")
    ax.set_ylabel("gradient of the loss")
    return Picture(figure, words)


def _tick_room(ax: Axes) -> float:
    """The share of the width that the numbers on the left and the label before them take."""
    ticks = ax.yaxis.get_major_formatter().format_ticks(ax.get_yticks())
    return (1.1 * max(text_widths(tuple(ticks), 10.0)) + 32) / (72 * ax.figure.get_figwidth())


def gradients(
    found: Mapping[str, Gradients], labels: Sequence[str], *, row: int, first: int
) -> Picture:
    """A panel for each of several estimators or settings, on one scale."""
    figure, axes = panels_of(len(found), width=3.6, height=2.5, columns=3)
    parts = []
    for ax, (name, each) in zip(axes, found.items(), strict=True):
        words, _ = _draw(ax, each, labels, row, first)
        parts.append(f"{name}: {words}")
        ax.set_title(f"{literal(name)}\n{summary(each)}", fontsize=8)
        ax.tick_params(labelsize=7)
    limit = max(np.abs(ax.get_ylim()).max() for ax in axes)
    for ax in axes:
        ax.set_ylim(-limit, limit)
    legend_above(figure)
    return Picture(figure, " ".join(parts))


def summary(found: Gradients) -> str:
    """Bias, variance and cosine, in the ruler's units."""
    m = found.measures
    return (
        f"squared bias {m['squared_bias']:.2f}, variance {m['variance']:.2f}, "
        f"cosine of a draw {m['cosine']:.2f}"
    )


def _draw(
    ax: Axes, found: Gradients, labels: Sequence[str], row: int, first: int
) -> tuple[str, int]:
    """Returns words, and the angle of the names: 0 where all are short."""
    part = (..., row, slice(first, first + len(labels)))
    draws = found.draws[part].detach().cpu().numpy()  # (M, K)
    exact = found.reference.gradient[part].detach().cpu().numpy()  # (K,)
    mean, error = draws.mean(axis=0), 2 * draws.std(axis=0) / len(draws) ** 0.5
    longest = np.argsort(-np.abs(exact), kind="stable")
    shown, samples = np.sort(longest[:SHOWN]), len(found.reference.draws)
    kind = "exact" if samples == 1 else f"reference from {samples} samples"
    places, some = np.arange(len(shown)), draws[:DOTS, shown]
    ax.axhline(0, color=GREY, linewidth=0.8)
    dots = {"color": BLUE, "alpha": 0.25, "ms": 4, "label": "single draws"}
    ax.plot(np.tile(places + 0.2, len(some)), some.ravel(), ".", **dots)
    ax.vlines(places - 0.12, 0, exact[shown], color=ORANGE, linewidth=9, label=kind)
    look = {"fmt": "D", "ms": 5, "label": "mean of the draws (bar: 2 standard errors)"}
    ax.errorbar(places + 0.2, mean[shown], yerr=error[shown], color=BLUE, **look)
    tilt = 0 if max(map(len, labels)) * len(shown) < 70 else 30
    side = "right" if tilt else "center"
    ax.set_xticks(places, [literal(labels[k]) for k in shown], rotation=tilt, ha=side)
    ax.set_xlim(-0.6, len(shown) - 0.3)
    ax.spines[["top", "right"]].set_visible(False)
    told = "; ".join(f"{labels[k]} {exact[k]:.2g}, {mean[k]:.2g}" for k in longest[:4])
    words = f"Gradient of row {row}, {kind} and mean of {len(draws)} draws: {told}."
    return f"{words} {summary(found).capitalize()}.", tilt
