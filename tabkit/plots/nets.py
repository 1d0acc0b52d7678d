"""Figures of one training, one net, one column."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

from tabkit.compare import decoded_curve
from tabkit.plots.labels import literal
from tabkit.plots.picture import BLUE, GREY, ORANGE, Picture, panels_of, share_limits
from tabkit.train import Step

SMOOTHING = 25  # steps


def loss_curve(steps: Sequence[Step], *, title: str = "Training loss") -> Picture:
    """The loss of each step, faint, and its moving mean."""
    figure, (ax,) = panels_of(1, width=6.4, height=3.0)
    losses = pd.Series([s.loss for s in steps], index=[s.step for s in steps])
    smooth = losses.rolling(SMOOTHING, min_periods=1).mean()
    ax.plot(losses, color=BLUE, alpha=0.25, linewidth=0.8)
    ax.plot(smooth, color=BLUE, linewidth=1.8)
    ax.set(xlabel="step", ylabel="loss", title=title, ylim=(0, losses.quantile(0.99) * 1.1))
    alt = (
        f"{title}: line over {len(losses)} steps; the mean of {SMOOTHING} steps goes from "
        f"{smooth.iloc[min(SMOOTHING, len(smooth)) - 1]:.2f} to {smooth.iloc[-1]:.2f}."
    )
    return Picture(figure, alt)


def gap_opens(curves: Mapping[str, Sequence[Step]]) -> Picture:
    """Relaxed and decoded loss during training, one panel per estimator, on one scale.

    Raises
    ------
    ValueError
        If a loop never measured the decoded loss.
    """
    for name, steps in curves.items():
        if not list(decoded_curve(steps)):
            raise ValueError(f"{name} has no decoded loss: train it with decode_every=20, say")
    figure, axes = panels_of(len(curves), width=2.9, height=2.7, columns=4)
    ends = []
    for ax, (name, steps) in zip(axes, curves.items(), strict=True):
        relaxed = pd.Series([s.loss for s in steps], index=[s.step for s in steps])
        decoded = pd.Series(dict(decoded_curve(steps)))
        smooth = relaxed.rolling(SMOOTHING, min_periods=1).mean()
        ax.plot(smooth, color=BLUE, linewidth=1.8, label="relaxed: what is trained")
        ax.plot(decoded, color=ORANGE, linewidth=1.8, linestyle="--", label="decoded: the row")
        ax.set(xlabel="step", yscale="log")
        ax.set_title(literal(name), fontsize=9)
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
        ends.append(f"{name} ends at {smooth.iloc[-1]:.2f} relaxed, {decoded.iloc[-1]:.2f} decoded")
    share_limits(axes, "y")
    figure.supylabel("squared distance behind net1", fontsize=10)
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper left",
        ncols=min(2, len(axes)),
        frameon=False,
    )
    return Picture(figure, f"Loss against training step, log scale: {'; '.join(ends)}.")


def decoding_gap(summary: pd.DataFrame, *, random_row: float | None = None) -> Picture:
    """Relaxed and decoded test loss of each estimator, joined by a line: the decoding gap.

    Parameters
    ----------
    summary
        As `compare.summary` returns it: one row per estimator, best first.
    random_row
        Draw a line at the loss of a random row.
    """
    figure, (ax,) = panels_of(1, width=7.2, height=0.34 * len(summary) + 1.0)
    places = np.arange(len(summary))[::-1]
    ax.hlines(places, summary["test_relaxed"], summary["test_decoded"], color=GREY, linewidth=1.2)
    ax.plot(summary["test_relaxed"], places, "o", color=BLUE, label="relaxed: what is trained")
    ax.plot(summary["test_decoded"], places, "s", color=ORANGE, label="decoded: the row")
    if random_row is not None:
        ax.axvline(random_row, color=GREY, linestyle=":", label="a random training row")
    ax.set_yticks(places, [literal(name) for name in summary.index])
    ax.set_ylim(-0.6, len(summary) - 0.4)
    ax.set(xlabel="squared distance behind net1, test rows", xlim=(0, None))
    figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=9)
    rows = [
        f"{name} {row.test_relaxed:.2f} relaxed, {row.test_decoded:.2f} decoded"
        for name, row in summary.iterrows()
    ]
    return Picture(figure, f"Test loss by estimator, best decoded first: {'; '.join(rows)}.")


def distance_scatter(
    ours: Float[Tensor, " P"], truth: Float[Tensor, " P"], *, shown: int = 4000
) -> Picture:
    """Distance behind net1 against distance between outcomes, for P pairs of rows."""
    figure, (ax,) = panels_of(1, width=4.6, height=4.0)
    ax.scatter(truth[:shown], ours[:shown], s=3, alpha=0.25, color=BLUE, linewidths=0)
    limit = truth.quantile(0.995).item()
    ax.plot([0, limit], [0, limit], color=GREY, linestyle="--", linewidth=1, label="equal")
    ax.set(xlabel="distance between outcomes", ylabel="distance behind net1")
    ax.set(xlim=(0, limit), ylim=(0, limit))
    ax.legend(frameon=False, fontsize=8)
    correlation = torch.corrcoef(torch.stack([ours, truth]))[0, 1]
    below = (ours < truth).double().mean()
    alt = (
        f"Scatter of {min(shown, len(ours))} pairs: distance behind net1 against distance between "
        f"outcomes; correlation {correlation:.2f}; {below:.0%} of the pairs lie below the diagonal."
    )
    return Picture(figure, alt)


def category_bars(
    values: Float[Tensor, " K"], labels: Sequence[str], *, marked: int, label: str
) -> Picture:
    """One value per category of a column, such as a gradient; one category is marked.

    Parameters
    ----------
    marked
        The code of the category that the row has.
    label
        What the values are, for the axis.
    """
    figure, (ax,) = panels_of(1, width=0.35 * len(labels) + 2.2, height=2.6)
    colours = [ORANGE if k == marked else BLUE for k in range(len(labels))]
    ax.bar([literal(name) for name in labels], values.tolist(), color=colours)
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set(xlabel=f"category (the row has {literal(labels[marked])})", ylabel=label)
    parts = [f"{name} {value:.2f}" for name, value in zip(labels, values.tolist(), strict=True)]
    alt = f"Bars of {label} by category: {', '.join(parts)}. The row has {labels[marked]}."
    return Picture(figure, alt)
