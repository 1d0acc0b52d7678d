"""Figures of one column's simplex, of one row's, and of the way from one category to another."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tabkit.inspection import Mixture, PredictedRow
from tabkit.plots.palette import BLUE, GREEN, GREY, INK, ORANGE
from tabkit.plots.panels import legend_above, panels_of
from tabkit.plots.picture import Backdrop, Picture, literal

BARS, FEW = 12, 5  # of one column; of each of many
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])
WAYS = {"to_nearest": GREEN, "to_first": BLUE, "to_second": ORANGE}


def simplex(mixture: Mixture, labels: Sequence[str], *, truth: int | None = None) -> Picture:
    """The shares of the categories, the largest first; for three, all draws in the triangle.

    `truth`: the code of the row's own category, marked.
    """
    figure = Figure(figsize=(7.0, 5.0), dpi=80, facecolor="white")
    three = len(labels) == 3
    bars = figure.add_axes((0.19, 0.14, 0.34 if three else 0.76, 0.76))
    _bars(bars, mixture, labels, truth, wide=True)
    if three:
        _triangle(figure.add_axes((0.56, 0.02, 0.43, 0.9)), mixture, labels)
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


def share_bars(
    ax: Axes, shares: pd.Series, *, true: int | None, room: int, width: float | int = 9
) -> None:
    """Shares by name, one of them the true one; there is room for as many bars: nothing jumps."""
    places = -np.arange(len(shares))
    colours = [ORANGE if k == true else BLUE for k in range(len(shares))]
    ax.hlines(places, 0, shares, colors=colours, linewidth=width)
    names = [f"{name} (true)" if k == true else name for k, name in enumerate(shares.index)]
    ax.set_yticks(places, [literal(name) for name in names])
    ax.set(xlim=(0, 1), ylim=(0.8 - room, 0.8))
    ax.spines[["top", "right"]].set_visible(False)


def _bars(
    ax: Axes, mixture: Mixture, labels: Sequence[str], truth: int | None, *, wide: bool = False
) -> None:
    codes = np.argsort(-mixture.simplex.numpy(), kind="stable")[:BARS].tolist()
    shares = pd.Series(mixture.simplex.numpy()[codes], [labels[k] for k in codes])
    true = codes.index(truth) if truth in codes else None
    room = min(BARS, len(labels))
    share_bars(ax, shares, true=true, room=room, width=16 if wide and room <= FEW else 9)
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
        f"{mixture.distance:.2f} neighbour spacings away"
    )


def _words(mixture: Mixture, labels: Sequence[str], truth: int | None) -> str:
    shares = mixture.simplex.numpy()
    top = [f"{labels[k]} {shares[k]:.2f}" for k in np.argsort(-shares, kind="stable")[:3]]
    own = "" if truth is None else f"; the true one, {labels[truth]}, {shares[truth]:.2f}"
    return f"Largest shares: {', '.join(top)}{own}. {_summary(mixture, labels)}."


def row_twin(row: PredictedRow) -> Picture:
    """The largest shares of every column, the decoded category and the true one marked."""
    figure, axes = panels_of(len(row.shares), width=2.7, height=1.5, columns=3)
    for ax, (name, shares) in zip(axes, row.shares.items(), strict=True):
        _draw_shares(ax, shares.nlargest(FEW), row.columns.loc[name])
    words = [
        f"{name}: decoded {c.decoded} with share {c.decoded_share:.2f}, "
        + ("as in truth" if c.hit else f"true {c.true} with share {c.true_share:.2f}")
        for name, c in row.columns.iterrows()
    ]
    return Picture(figure, f"{distance_words(row)} {'; '.join(words)}.")


def _draw_shares(ax: Axes, shares: pd.Series, column: pd.Series) -> None:
    true = [k for k, label in enumerate(shares.index) if label == column["true"]]
    share_bars(ax, shares.rename(cut), true=true[0] if true else None, room=FEW)
    verdict = "hit" if column["hit"] else f"missed: {column['true']}"
    title = cut(f"{cut(column.name)}: {verdict}", 34)  # more would leave the sheet
    ax.set_title(literal(title), fontsize=8.5, loc="left", x=-0.5)
    ax.tick_params(labelsize=7.5)


def distance_words(row: PredictedRow, overruled: Sequence[str] = ()) -> str:
    """How far the mixture and the decoded row lie from the true one, and a row overruled by hand.

    `overruled`: column and category that overrule what was decoded.
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
        f'<rect x="90" y="{y - 10}" width="{200 * value / longest:.1f}" height="11" '
        f'fill="{colour}"/>'
        f'<text x="{96 + 200 * value / longest:.1f}" y="{y}" font-size="12" fill="{INK}">'
        f"{value:.3f}</text>"
        for (name, value), colour, y in zip(
            bars.items(), (GREY, BLUE, ORANGE), (32, 50, 68), strict=False
        )
    ]
    title = "Squared distance behind net1 to the true row"
    return (
        f'<svg role="img" aria-label="{html.escape(distance_words(row, overruled))}" width="360" '
        f'height="76" viewBox="0 0 360 76" font-family="sans-serif" style="max-width:360px">'
        f'<text x="0" y="14" font-size="12" font-weight="bold" fill="{INK}">{title}</text>'
        f"{''.join(lines)}</svg>"
    )


@dataclass(frozen=True, eq=False)
class CategoryWalk:
    """A walk from one category of a column to another."""

    path: pd.DataFrame  # as `inspection.walk` returns it
    labels: Sequence[str]  # of the column's categories
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

    def sign(self, share: float) -> str:
        """Where net1 puts the mixture, in short."""
        return f"nearest: {cut(self.nearest(share))}, {self.at(share).to_nearest:.2f} away"

    @cached_property
    def _drawn(self) -> Backdrop:
        figure = Figure(figsize=(4.1, 2.55), dpi=72, facecolor="white")
        self.draw(figure.add_axes((0.16, 0.18, 0.81, 0.6)))
        figure.legend(loc="upper left", ncols=3, frameon=False, fontsize=8, columnspacing=1.0)
        return Backdrop(figure)

    def svg(self, share: float) -> str:
        """The walk as an SVG element, with the mixture on top."""
        here, frame = self.at(share), [(0, self.top), (0, 0)]
        marks = [(here.name, here[name]) for name in WAYS]
        (left, top), (_, bottom), *points = self._drawn.at([*frame, *marks])
        x = points[0][0]
        dots = [
            f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}" stroke="#fff"/>'
            for (_, y), colour in zip(points, WAYS.values(), strict=True)
        ]
        sign = f'<text x="{left}" y="{top - 5}" style="font:9px sans-serif">'
        over = f'<path d="M{x} {bottom}V{top}" stroke="{INK}"/>{"".join(dots)}{sign}'
        return self._drawn.svg(self.words(share), f"{over}{html.escape(self.sign(share))}</text>")

    @property
    def top(self) -> float:
        """Just above all distances to the two ends."""
        return 1.08 * float(self.path[["to_first", "to_second"]].to_numpy().max()) or 1.0

    def draw(self, ax: Axes, share: float | None = None) -> None:
        """The distances along the walk; with a mixture if its share is given."""
        first, second = literal(cut(self.first)), literal(cut(self.second))
        ax.plot(self.path["to_nearest"], color=GREEN, lw=5, alpha=0.4, label="to the nearest")
        ax.plot(self.path["to_first"], color=BLUE, label=f"to {first}")
        ax.plot(self.path["to_second"], color=ORANGE, ls="--", label=f"to {second}")
        ax.set(xlim=(0, 1), ylim=(0, self.top))
        ax.set_xlabel(f"share of {second} in the mixture", fontsize=9)
        ax.set_ylabel("distance behind net1", fontsize=9)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
        title = "" if share is None else literal(self.sign(share))
        ax.set_title(title, fontsize=9, loc="left", pad=4, y=1.0)  # no time to look for its place
        if share is not None:
            here = self.at(share)
            ax.axvline(here.name, color=INK, linewidth=1.0)
            for name, colour in WAYS.items():
                ax.plot(here.name, here[name], "o", color=colour, mec="white", clip_on=False)


def walk(path: pd.DataFrame, first: str, second: str) -> Picture:
    """net1's distance to two categories' outputs, along the mixtures of the two.

    `path`: as `inspection.walk` returns it. `first`, `second`: the two categories.
    """
    figure, (ax,) = panels_of(1, width=6.0, height=3.0)
    CategoryWalk(path, (), first, second).draw(ax)
    legend_above(figure)
    middle = path.iloc[len(path) // 2]
    alt = (
        f"Distance behind net1 from mixtures of {first} and {second} to both and to the nearest "
        f"category: halfway {middle.to_first:.2f}, {middle.to_second:.2f}, {middle.to_nearest:.2f}."
    )
    return Picture(figure, alt)


def cut(name: str, width: int = 16) -> str:
    """A name that is not too long."""
    return name if len(name) <= width else f"{name[: width - 1]}…"
