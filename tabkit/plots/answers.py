"""Figures of what is best: decoders, ranks, and rows that are right for net1 and plausible."""

from collections.abc import Mapping
from textwrap import fill, shorten

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tabkit.compare import Ranks
from tabkit.compare.comparison.ranks import ALPHA
from tabkit.extras import imports_for
from tabkit.plots.palette import AMBER, BLUE, FAINT, GREEN, GREY, INK, ORANGE, PINK, SKY
from tabkit.plots.panels import ROUND, legend_above, number_logs, panels_of, share_limits
from tabkit.plots.picture import Picture, check_columns, literal
from tabkit.plots.results import CLOSE, DECODED, WIDE

ALONG = {
    "accuracy": "accuracy, mean over columns",
    "told_apart": "told from true rows: share right",
}
COLOURS = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY)


def decoded(losses: pd.Series, means: Mapping[str, float], rows: int) -> Picture:
    """What a row costs by each decoder, and beside it the means of so many rows.

    Always of one size, so that a page may show one row after the other.

    `losses`: of one row, by ``mixture``, decoder, and ``limit`` if it is known. `means`: the same
    of many rows; empty while they are not known.
    """
    figure = Figure(figsize=(7.6, 2.6), dpi=80, facecolor="white")
    places = {0.14: losses, 0.6: pd.Series(dict(means), index=losses.index, dtype=float)}
    for (left, own), title in zip(
        places.items(), ("this row", f"mean of {rows} rows"), strict=True
    ):
        if own.isna().all():
            figure.text(left, 0.5, "the means and the limit\nare being measured", fontsize=11)
            continue
        ax, at = figure.add_axes((left, 0.2, 0.38, 0.68)), -np.arange(len(own))
        colours = [{"mixture": GREY, "limit": GREEN}.get(name, BLUE) for name in own.index]
        ax.hlines(at, 0, own, colors=colours, linewidth=13)
        names = [literal(name.replace("_", " ")) for name in own.index]
        ax.set_yticks(at, names if own is losses else [""] * len(at), fontsize=11)
        if "limit" in own:
            ax.axvline(own["limit"], color=GREEN, linestyle="--")
        ax.set(xlim=(0, 1.06 * max(own.max(), 1e-9)), ylim=(0.6 - len(at), 0.6))
        ax.set_title(title, fontsize=11, loc="left")
        ax.spines[["top", "right"]].set_visible(False)
    figure.text(0.14, 0.02, "squared distance behind net1 to the true row", fontsize=10)
    told = (
        f"{name} {loss:.3f}" + (f" (mean {means[name]:.3f})" if name in means else "")
        for name, loss in losses.items()
    )
    return Picture(figure, f"Loss of one row behind net1: {', '.join(told)}.")


def frontier(summary: pd.DataFrame) -> Picture:
    """Decoded loss against accuracy, and against how well rows are told from true ones.

    A line for each estimator (colour) and decoder (mark), by weight; bars are 2 standard errors.

    `summary`: as benchmarks/frontier.py writes it; rows without a decoder are not drawn.

    Raises ValueError if a column is missing, or there is no row.
    """
    measures = ["decoded", *ALONG]
    check_columns(summary, ["estimator", "label_weight", *measures, *(f"{m}_se" for m in measures)])
    figure, axes = panels_of(2, width=4.4, height=3.6, columns=2)
    drawn, told = summary.dropna(subset="decoder"), []
    names = list(drawn["estimator"].unique())
    for (name, decoder), part in drawn.groupby(["estimator", "decoder"], sort=False):
        colour = COLOURS[names.index(name) % len(COLOURS)]
        form = f"{DECODED.get(decoder, (None, 'P'))[1]}-"
        label, errors = f"{name} by {decoder}", 2 * part.filter(like="_se").fillna(0.0)
        for ax, across in zip(axes, ALONG, strict=True):
            bars = {"xerr": errors[f"{across}_se"], "yerr": errors["decoded_se"], "elinewidth": 1}
            look = {"color": colour, "label": literal(label), "ms": 5, "linewidth": 1.2}
            ax.errorbar(part[across], part["decoded"], fmt=form, **bars, **look)
        points = (
            f"{r.label_weight:g}: {r.decoded:.2f}, {r.accuracy:.2f}, {r.told_apart:.2f}"
            for r in part.itertuples()
        )
        told.append(f"{label} at {'; '.join(points)}")
    for ax, label in zip(axes, ALONG.values(), strict=True):
        ax.set(yscale="log", xlabel=label)
        number_logs(ax.yaxis, ROUND if np.divide(*ax.get_ylim()[::-1]) > WIDE else CLOSE)
    axes[0].set_ylabel("decoded loss (log scale)")
    axes[0].set_title("along a line, label_weight rises", fontsize=9)
    axes[1].axvline(0.5, color=GREY, linestyle=":", label="cannot be told apart")
    legend_above(figure)
    return Picture(
        figure, f"Decoded loss, accuracy, share told, by label_weight: {'. '.join(told)}."
    )


def ranks(found: Ranks) -> Picture:
    """A critical-difference diagram: mean ranks on a line, bars over what cannot be parted.

    As in Demsar, JMLR 7 (2006), by scikit-posthocs. A bar ends at two ways that cannot be parted;
    where it passes over one that can, `Ranks.table` says so.
    """
    with imports_for("ranks"):
        from scikit_posthocs import critical_difference_diagram  # noqa: PLC0415
    figure, (axes,) = panels_of(1, width=8.8, height=0.6 + 0.2 * len(found.mean), columns=1)
    names = {way: literal(way) for way in found.mean.index}
    pairs = found.pairs.rename(index=names, columns=names)
    pairs = pairs if found.friedman <= ALPHA else pairs.clip(lower=1.0)
    labels = {"fontsize": 8}
    look = {"label_props": labels, "color_palette": [INK] * len(names)}
    critical_difference_diagram(found.mean.rename(names), pairs, ax=axes, **look)
    axes.set_title(f"mean rank over {len(found.shares)} blocks: 1 is the best", fontsize=9)
    order = "; ".join(f"{way} {mean:.1f}" for way, mean in found.mean.items())
    tied = ", ".join(found.best[1:]) or "none"
    return Picture(figure, f"Mean ranks, best first: {order}. Not parted from the first: {tied}.")


def class_answers(found: pd.DataFrame) -> Picture:
    """Who in a class said what: a panel for each question, a bar for each answer; blue is right.

    `found`: as `tabkit.lesson.collected` returns it.

    Raises ValueError if a column is missing, or there is no row.
    """
    check_columns(found, ["reader", "name", "question", "said", "truth"])
    questions = list(found.groupby("name", sort=True))
    figure, axes = panels_of(len(questions), width=4.6, height=1.7, columns=2)
    told = [who_said_what(ax, *question) for ax, question in zip(axes, questions, strict=True)]
    share_limits(axes, "x")
    return Picture(figure, f"What readers said. {' '.join(told)}")


def who_said_what(ax: Axes, name: str, found: pd.DataFrame) -> str:
    """Draws the answers to one question, right ones first; returns them in words."""
    said = {truth: [] for truth in found["truth"].unique()}
    right = len(said)
    said |= found.groupby("said")["reader"].apply(list).to_dict()
    counts = [len(readers) for readers in said.values()]
    colours = [SKY if place < right else FAINT for place in range(len(said))]
    ax.barh(range(len(said)), counts, color=colours)
    for place, readers in enumerate(said.values()):
        ax.text(0.05, place, literal(shorten(", ".join(readers), 60)), fontsize=7, va="center")
    counted = [f"{shorten(answer, 28)} ({n})" for answer, n in zip(said, counts, strict=True)]
    ax.set_yticks(range(len(said)), map(literal, counted), fontsize=8)
    ax.set_xticks([])
    ax.invert_yaxis()
    asked = found["question"].iloc[0]
    ax.set_title(literal(fill(f"{name}: {asked}", 60)), fontsize=8.5, loc="left")
    named = (f"{answer!r}: {', '.join(readers) or 'nobody'}" for answer, readers in said.items())
    return f"{name}: {asked} {'; '.join(named)}. Right: {', '.join(list(said)[:right])}."
