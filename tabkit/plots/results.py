"""Figures of many estimators' losses and of races: what each is worth, and how long it takes."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor

from tabkit.compare import Recommendation
from tabkit.plots.palette import BLUE, GREEN, GREY, INK, ORANGE, PINK
from tabkit.plots.panels import ROUND, legend_above, name_rows, number_logs, panels_of, share_limits
from tabkit.plots.picture import Picture, check_columns, literal

RELAXED = "relaxed: what is trained"
DECODED = {"restarts": (INK, "x"), "search": (GREEN, "s"), "argmax": (ORANGE, "o")}
DECODED |= {"first_layer": (BLUE, "D"), "table": (PINK, "^")}
WIDE, CLOSE = 8.0, (1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)  # a short axis has close marks


def decoding_gap(summary: pd.DataFrame, *, random_row: float | None = None) -> Picture:
    """Relaxed and decoded test loss of each estimator, joined by a line: the decoding gap.

    `summary`: as `compare.summary` returns it: one row per estimator, best first. `random_row`:
    draw a line at the loss of a random row.
    """
    figure, (ax,) = panels_of(1, width=7.2, height=0.34 * len(summary) + 1.0)
    bars = " (bar: 2 standard errors)" if "test_decoded_se" in summary else ""
    looks = {"test_relaxed": (BLUE, RELAXED), "test_decoded": (ORANGE, f"decoded: the row{bars}")}
    _dumbbells(ax, summary[::-1], looks)
    if random_row is not None:
        ax.axvline(random_row, color=GREY, linestyle=":", label="a random training row")
    name_rows([ax], summary.index[::-1])
    ax.set(xlabel="squared distance behind net1, test rows", xlim=(0, None))
    legend_above(figure)
    rows = [
        f"{name} {row.test_relaxed:.2f} relaxed, {row.test_decoded:.2f} decoded"
        for name, row in summary.iterrows()
    ]
    return Picture(figure, f"Test loss by estimator, best decoded first: {'; '.join(rows)}.")


def by_decoder(table: pd.DataFrame) -> Picture:
    """Decoded loss of each estimator by every decoder, between the limit and a random row.

    `table`: as `compare.summary` or, of one data set, `compare.sweep_summary` returns it, with what
    `compare.by_decoder` found and the ends ``limit`` and ``random_row``. Best first.
    """
    check_columns(table, ["decode_relaxed", "decode_argmax", "limit", "random_row"])
    table = table.set_index("estimator") if "estimator" in table else table
    names = [name for name in DECODED if f"decode_{name}" in table]
    losses = table[[f"decode_{name}" for name in names]]
    table = table.loc[losses.min(axis=1).sort_values(ascending=False).index]
    figure, (ax,) = panels_of(1, width=7.2, height=0.34 * len(table) + 1.2)
    places = np.arange(len(table))
    ax.plot(table["decode_relaxed"], places, "|", ms=11, mew=2, color=GREY, label=RELAXED)
    for name in names[::-1]:
        colour, mark = DECODED[name]
        label = f"decoded by {name.replace('_', ' ')}"
        ax.plot(table[f"decode_{name}"], places, mark, ms=5, color=colour, label=label)
    limit, random_row = table["limit"].mean(), table["random_row"].mean()
    ax.axvline(limit, color=GREY, linestyle="--", label="the limit")
    ax.axvline(random_row, color=GREY, linestyle=":", label="a random training row")
    ax.set(ylim=(-0.7, len(table) - 0.3), xscale="log")
    number_logs(ax.xaxis)
    ax.set_xlabel("squared distance behind net1, test rows (log scale)")
    name_rows([ax], table.index)
    legend_above(figure)
    rows = [
        f"{estimator}: {', '.join(f'{n} {loss:.2f}' for n, loss in zip(names, own, strict=True))}"
        for estimator, own in losses.loc[table.index[::-1]].iterrows()
    ]
    ends = f"the limit is {limit:.2f}, a random row costs {random_row:.2f}"
    return Picture(figure, f"Decoded loss by decoder, best first. {'. '.join(rows)}; {ends}.")


def comparison(summary: pd.DataFrame, data: str, *, net: str = "plain") -> Picture:
    """Relaxed and decoded loss of each estimator, and what other decoders make of the same nets.

    The second panel is of fewer test rows, those that `compare.decoders` decoded.

    `summary`: as `compare.sweep_summary` returns it. `data`, `net`: which part of it to draw, at
    equal steps.

    Raises ValueError if the summary holds nothing of that data set and kind of net1.
    """
    part = _part(summary, data, net).sort_values("test_decoded", ascending=False)
    figure, axes = panels_of(2, width=4.9, height=0.23 * len(part) + 1.2, columns=2)
    argmax, search = "decoded by argmax", "decoded by local search behind net1"
    looks = (
        {"test_relaxed": (BLUE, RELAXED), "test_decoded": (ORANGE, argmax)},
        {"decode_search": (GREEN, search), "decode_argmax": (ORANGE, argmax)},
    )
    for ax, look in zip(axes, looks, strict=True):
        _dumbbells(ax, part, look)
        ax.set_xscale("log")
        number_logs(ax.xaxis)
    name_rows(axes, part["estimator"])
    axes[0].set_title(f"test rows of {literal(data)}", fontsize=9)
    axes[1].set_title("some of them, by argmax and by search", fontsize=9)
    share_limits(axes, "x")
    figure.supxlabel(
        "squared distance behind net1 (log scale; bars: 2 standard errors)", fontsize=9
    )
    legend_above(figure)
    rows = [
        f"{row.estimator} {row.test_relaxed:.2f}, {row.test_decoded:.2f}; {row.decode_argmax:.2f}, "
        f"{row.decode_search:.2f}"
        for row in part[::-1].itertuples()
    ]
    alt = (
        f"Losses on {data} at equal steps, best decoded first: relaxed and decoded on the test "
        f"rows; then, on some of them, decoded by argmax and by local search. {'. '.join(rows)}."
    )
    return Picture(figure, alt)


def _dumbbells(ax: Axes, table: pd.DataFrame, looks: Mapping[str, tuple[str, str]]) -> None:
    """Two measures of each row, joined by a line, with bars where standard errors are known."""
    places = np.arange(len(table))
    ax.hlines(places, *(table[name] for name in looks), color=GREY, linewidth=1.1)
    for (name, (colour, label)), mark in zip(looks.items(), "os", strict=True):
        ax.plot(table[name], places, mark, ms=5, color=colour, label=label)
        if f"{name}_se" in table:
            error = 2 * table[f"{name}_se"].fillna(0.0)
            ax.errorbar(table[name], places, xerr=error, fmt="none", ecolor=colour)
    ax.set_ylim(-0.7, len(table) - 0.3)


def _part(summary: pd.DataFrame, data: str, net: str = "plain") -> pd.DataFrame:
    part = summary[(summary["data"] == data) & (summary["budget"] == "steps")]
    part = part[part["net"] == net] if "net" in part else part
    if part.empty:
        raise ValueError(f"the summary holds no {data!r} at equal steps")
    return part


def recommendation(found: Recommendation) -> Picture:
    """Decoded loss of each estimator by decoder, between the limit and a random row.

    `found`: as `tabkit.recommend` returns it.
    """
    table = found.table
    names = list(dict.fromkeys(table["estimator"]))[::-1]
    figure, (ax,) = panels_of(1, width=7.2, height=0.42 * len(names) + 1.2)
    for decoder, part in table.groupby("decoder", sort=False):
        colour, mark = DECODED[decoder]
        places = [names.index(name) for name in part["estimator"]]
        bars = {"xerr": 2 * part["error"], "ms": 5, "color": colour, "elinewidth": 1}
        ax.errorbar(part["loss"], places, fmt=mark, label=f"decoded by {decoder}", **bars)
    ax.axvline(found.limit, color=GREY, linestyle="--", label="the limit")
    ax.axvline(found.random_row, color=GREY, linestyle=":", label="a random training row")
    ax.set(ylim=(-0.6, len(names) - 0.4))
    ax.set_xlabel(f"decoded loss of {found.ends.shape[1]} test rows (bars: 2 standard errors)")
    name_rows([ax], names)
    legend_above(figure)
    rows = (f"{r.estimator} by {r.decoder} {r.loss:.3g}" for r in table.itertuples())
    ends = f"the limit is {found.limit:.3g}, a random row costs {found.random_row:.3g}"
    return Picture(figure, f"Decoded loss, lowest first: {'; '.join(rows)}; {ends}.")


def temperatures(summary: pd.DataFrame, data: str, names: Sequence[str]) -> Picture:
    """Decoded and relaxed loss against the temperature tau, a panel for each estimator's name.

    Raises ValueError if the summary holds nothing of that data set, or of a name at constant
    temperatures.
    """
    part = _part(summary, data)
    figure, axes = panels_of(len(names), width=2.9, height=2.8, columns=4)
    parts = []
    for ax, name in zip(axes, names, strict=True):
        curve = _temperature_curve(part, name)
        _draw_temperatures(ax, curve, name)
        told = [
            f"tau {tau:g} decoded {row.test_decoded:.2f} relaxed {row.test_relaxed:.2f}"
            for tau, row in curve.iterrows()
        ]
        parts.append(f"{name}: {', '.join(told)}")
    share_limits(axes, "y")
    figure.supylabel("squared distance behind net1", fontsize=9)
    legend_above(figure)
    return Picture(figure, f"Loss on {data} against temperature. {'; '.join(parts)}.")


def _draw_temperatures(ax: Axes, curve: pd.DataFrame, name: str) -> None:
    ax.plot(curve["test_relaxed"], "o-", color=BLUE, label="relaxed")
    decoded, error = curve["test_decoded"], 2 * curve["test_decoded_se"].fillna(0.0)
    label = "decoded (bar: 2 standard errors)"
    ax.errorbar(curve.index, decoded, yerr=error, fmt="s--", color=ORANGE, label=label)
    ax.set(xscale="log", yscale="log", xlabel="tau")
    ax.set_title(literal(name), fontsize=9)
    ax.set_xticks(curve.index, [f"{t:g}" for t in curve.index])
    ax.minorticks_off()
    ax.set_yticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])


def _temperature_curve(part: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of one estimator at constant temperatures, indexed by tau."""
    taus = part["estimator"].str.extract(rf"^{re.escape(name)}:tau=([\d.]+)$")[0].astype(float)
    curve = part[taus.notna()].set_index(taus.dropna().rename("tau")).sort_index()
    if curve.empty:
        raise ValueError(f"the summary holds no {name!r} with a temperature")
    return curve


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


def race(tables: Mapping[str, pd.DataFrame]) -> Picture:
    """Each contestant's time over that of the first, a panel for each race; lines are quartiles.

    `tables`: by title, races of the same contestants, as `ruler.race` returns them.

    Raises
    ------
    ValueError
        If there is no race, a column is missing, or the races' contestants differ.
    """
    names = list(next(iter(tables.values()), pd.DataFrame()).index)
    for title, table in tables.items():
        check_columns(table, ["ms", "ratio", "ratio_q1", "ratio_q3"])
        if list(table.index) != names:
            raise ValueError(f"the contestants of {title!r} are not those of the first race")
    figure, axes = panels_of(len(tables), width=4.0, height=0.28 * len(names) + 0.9, columns=3)
    order = _slowest_first(tables)
    for ax, (title, table) in zip(axes, tables.items(), strict=True):
        _draw_race(ax, table.loc[order])
        ax.set_title(literal(title), fontsize=9)
    name_rows(axes, order)
    share_limits(axes, "x")
    low, high = axes[0].get_xlim()
    for ax in axes:
        number_logs(ax.xaxis, ROUND if high / low > WIDE else CLOSE)
    figure.supxlabel(f"times as long as {literal(names[0])} (log scale)", fontsize=9)
    parts = []
    for title, table in tables.items():
        told = (
            f"{r.Index} {r.ratio:.2f} ({r.ratio_q1:.2f} to {r.ratio_q3:.2f})"
            for r in table.loc[order[::-1]].itertuples()
        )
        parts.append(f"{title}: {', '.join(told)}")
    alt = f"Time over that of {names[0]}, median and quartiles. {'; '.join(parts)}."
    return Picture(figure, alt)


def _slowest_first(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """The contestants by their mean log ratio, the one that all are compared with last."""
    mean = sum(np.log(table["ratio"]) for table in tables.values())
    reference, *others = mean.index
    return [*mean[others].sort_values(ascending=False).index, reference]


def _draw_race(ax: Axes, table: pd.DataFrame) -> None:
    places = np.arange(len(table))
    ax.axvline(1.0, color=GREY, linewidth=1.0, linestyle=":")
    ax.hlines(places, table["ratio_q1"], table["ratio_q3"], color=BLUE, linewidth=2.0)
    ax.plot(table["ratio"], places, "o", color=BLUE, ms=5)
    ax.set(xscale="log", ylim=(-0.7, len(table) - 0.3))
