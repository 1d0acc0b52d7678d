"""Figures of many estimators: the ruler, the comparison, temperatures, and where mixtures lie."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from tabkit.plots.labels import literal
from tabkit.plots.picture import BLUE, GREEN, GREY, ORANGE, Picture, panels_of, share_limits


def ruler(measured: pd.DataFrame) -> Picture:
    """Squared bias, variance and cosine of each estimator, with bars of two standard errors.

    Parameters
    ----------
    measured
        As `ruler.measure` returns it.
    """
    ordered = measured.sort_values("cosine")
    figure, axes = panels_of(3, width=3.4, height=0.27 * len(ordered) + 0.8, columns=3)
    titles = {
        "squared_bias": "squared bias / |g*|²",
        "variance": "variance / |g*|²",
        "cosine": "cosine of one draw with g*",
    }
    for ax, (name, title) in zip(axes, titles.items(), strict=True):
        places = np.arange(len(ordered))
        ax.errorbar(
            ordered[name], places, xerr=2 * ordered[f"{name}_se"], fmt="o", color=BLUE, ms=4
        )
        ax.set_yticks(
            places,
            [literal(n) for n in ordered.index] if ax is axes[0] else [""] * len(ordered),
            fontsize=8,
        )
        ax.set_title(title, fontsize=9)
        ax.grid(axis="y", color="#e6e6e6", linewidth=0.6)
        ax.set_axisbelow(True)
        if name != "cosine":
            ax.set_xscale("symlog", linthresh=0.1)
            ax.set_xticks([t for t in (0, 0.1, 0.5, 1, 10, 100) if t < 2 * ordered[name].max()])
            ax.xaxis.set_major_formatter("{x:g}")
            low = (ordered[name] - 2 * ordered[f"{name}_se"]).min()
            ax.set_xlim(min(-0.05, 1.2 * low), 1.4 * ordered[name].max() + 0.1)
    rows = [
        f"{name}: squared bias {row.squared_bias:.2f}, variance {row.variance:.2f}, "
        f"cosine {row.cosine:.2f}"
        for name, row in ordered[::-1].iterrows()
    ]
    return Picture(figure, f"Gradient estimators against the exact gradient. {'; '.join(rows)}.")


def comparison(summary: pd.DataFrame, data: str, *, budget: str = "steps") -> Picture:
    """Relaxed and decoded loss of each estimator, and what other decoders make of the same nets.

    The second panel is of fewer test rows, those that `compare.decoders` decoded.

    Parameters
    ----------
    summary
        As `compare.sweep_summary` returns it.
    data, budget
        Which part of it to draw.

    Raises
    ------
    ValueError
        If the summary holds nothing of that data set at that budget.
    """
    part = summary[(summary["data"] == data) & (summary["budget"] == budget)]
    if part.empty:
        raise ValueError(f"the summary holds no {data!r} at equal {budget!r}")
    part = part.sort_values("test_decoded", ascending=False)
    figure, axes = panels_of(2, width=4.9, height=0.23 * len(part) + 1.2, columns=2)
    pairs = [("test_relaxed", "test_decoded"), ("decode_search", "decode_argmax")]
    labels = [
        ("relaxed: what is trained", "decoded by argmax"),
        ("decoded by local search behind net1", None),
    ]
    for ax, (left, right), (first, second), colour in zip(
        axes, pairs, labels, (BLUE, GREEN), strict=True
    ):
        _dumbbells(ax, part, left, right, colour, (first, second))
    axes[0].set_yticks(np.arange(len(part)), [literal(n) for n in part["estimator"]], fontsize=7)
    axes[1].set_yticks(np.arange(len(part)), [""] * len(part))
    axes[0].set_title(f"test rows of {literal(data)}", fontsize=9)
    axes[1].set_title("some of them, by argmax and by search", fontsize=9)
    share_limits(axes, "x")
    figure.supxlabel(
        "squared distance behind net1 (log scale; bars: 2 standard errors)", fontsize=9
    )
    figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=8)
    rows = [
        f"{row.estimator} {row.test_relaxed:.2f}, {row.test_decoded:.2f}; {row.decode_argmax:.2f}, "
        f"{row.decode_search:.2f}"
        for row in part[::-1].itertuples()
    ]
    alt = (
        f"Losses on {data} at equal {budget}, best decoded first: relaxed and decoded on the test "
        f"rows; then, on some of them, decoded by argmax and by local search. {'. '.join(rows)}."
    )
    return Picture(figure, alt)


def _dumbbells(
    ax: Axes,
    part: pd.DataFrame,
    left: str,
    right: str,
    colour: str,
    labels: tuple[str | None, str | None],
) -> None:
    """Two measures of each row, joined by a line."""
    places = np.arange(len(part))
    ax.hlines(places, part[left], part[right], color=GREY, linewidth=1.0)
    for name, mark, tint, label in (
        (left, "o", colour, labels[0]),
        (right, "s", ORANGE, labels[1]),
    ):
        error = 2 * part[f"{name}_se"].fillna(0.0)
        ax.errorbar(part[name], places, xerr=error, fmt=mark, ms=4, color=tint, label=label)
    ax.set(xscale="log", ylim=(-0.8, len(part) - 0.2))
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    ax.set_axisbelow(True)


def temperatures(
    summary: pd.DataFrame, data: str, names: Sequence[str], *, budget: str = "steps"
) -> Picture:
    """Decoded and relaxed loss against the temperature tau, a panel for each estimator's name."""
    part = summary[(summary["data"] == data) & (summary["budget"] == budget)]
    figure, axes = panels_of(len(names), width=2.9, height=2.8, columns=4)
    parts = []
    for ax, name in zip(axes, names, strict=True):
        curve = temperature_curve(part, name)
        _draw_temperatures(ax, curve, name)
        parts.append(
            f"{name}: "
            + ", ".join(
                f"tau {t:g} decoded {row.test_decoded:.2f} relaxed {row.test_relaxed:.2f}"
                for t, row in curve.iterrows()
            )
        )
    share_limits(axes, "y")
    figure.supylabel("squared distance behind net1", fontsize=9)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False
    )
    return Picture(figure, f"Loss on {data} against temperature. {'; '.join(parts)}.")


def _draw_temperatures(ax: Axes, curve: pd.DataFrame, name: str) -> None:
    ax.plot(curve["test_relaxed"], "o-", color=BLUE, label="relaxed")
    ax.errorbar(
        curve.index,
        curve["test_decoded"],
        yerr=2 * curve["test_decoded_se"].fillna(0.0),
        fmt="s--",
        color=ORANGE,
        label="decoded (bar: 2 standard errors)",
    )
    ax.set(xscale="log", yscale="log", xlabel="tau")
    ax.set_title(literal(name), fontsize=9)
    ax.set_xticks(curve.index, [f"{t:g}" for t in curve.index])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_yticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])


def temperature_curve(part: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of one estimator at constant temperatures, indexed by tau.

    Raises
    ------
    ValueError
        If there is none.
    """
    taus = part["estimator"].str.extract(rf"^{re.escape(name)}:tau=([\d.]+)$")[0].astype(float)
    curve = part[taus.notna()].set_index(taus.dropna().rename("tau")).sort_index()
    if curve.empty:
        raise ValueError(f"the summary holds no {name!r} with a temperature")
    return curve


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
    ax.plot(path["to_first"], color=BLUE, label=f"to {literal(first)}")
    ax.plot(path["to_second"], color=ORANGE, linestyle="--", label=f"to {literal(second)}")
    ax.plot(path["to_nearest"], color=GREEN, linestyle=":", label="to the nearest category")
    ax.set(
        xlabel=f"share of {literal(second)} in the mixture",
        ylabel="distance behind net1",
        ylim=(0, None),
    )
    figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=9)
    middle = path.iloc[len(path) // 2]
    alt = (
        f"Distance behind net1 from mixtures of {first} and {second} to both and to the nearest "
        f"category: halfway {middle.to_first:.2f}, {middle.to_second:.2f}, {middle.to_nearest:.2f}."
    )
    return Picture(figure, alt)
