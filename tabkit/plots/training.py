"""Losses of trainings step by step: one, several beside each other, or while they go on."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from tabkit.compare import decoded_curve
from tabkit.plots.palette import AMBER, BLACK, BLUE, GREEN, GREY, ORANGE, PINK, SKY
from tabkit.plots.panels import ROUND, legend_above, number_logs, panels_of, share_limits
from tabkit.plots.picture import Picture, literal
from tabkit.train import Step

RELAXED, DECODED = 25, 5  # measurements that a point of a curve is the mean of
POINTS = 100  # of a curve: more cannot be seen, and all would have to be sent to the page
SHOWN = 8  # runs
COLOURS = (BLUE, ORANGE, GREEN, PINK, BLACK, SKY, AMBER, GREY)
# Markers with the characters that look like them.
# Hollow, so that an end on another run's end is seen.
MARKERS = {"o": "○", "s": "□", "^": "△", "D": "◇", "v": "▽", "+": "+", "x": "✕", "*": "☆"}
HOLLOW = {"ms": 7, "mfc": "none", "mew": 1.3}

Curve = tuple[np.ndarray, np.ndarray]


class Style(NamedTuple):
    """How a run is told from the others: colour, marker, and the marker as a character."""

    colour: str
    marker: str
    character: str


class Curves(NamedTuple):
    """Steps and losses: relaxed, mean of 25 steps; decoded, mean of 5 steps that measured it."""

    relaxed: Curve
    decoded: Curve


class Ends(NamedTuple):
    """The last relaxed and decoded loss, NaN where there is none."""

    relaxed: float
    decoded: float

    @property
    def gap(self) -> float:
        """The decoding gap, decoded minus relaxed."""
        return self.decoded - self.relaxed


def style(number: int) -> Style:
    """Of the run with this number, from 0; those of any eight in a row differ in all."""
    marker, character = list(MARKERS.items())[number % SHOWN]
    return Style(COLOURS[number % SHOWN], marker, character)


def curves(steps: Sequence[Step]) -> Curves:
    """The two curves of a run; empty before its first step."""
    relaxed = [(step.step, step.loss) for step in steps]
    return Curves(_smooth(relaxed, RELAXED), _smooth(list(decoded_curve(steps)), DECODED))


def ends(steps: Sequence[Step]) -> Ends:
    """Where the two curves end."""
    return Ends(*(losses[-1].item() if len(losses) else np.nan for _, losses in curves(steps)))


def loss_curve(steps: Sequence[Step], *, title: str = "Training loss") -> Picture:
    """The loss of each step, faint, and its moving mean."""
    figure, (ax,) = panels_of(1, width=6.4, height=3.0)
    losses = np.array([step.loss for step in steps])
    at, smooth = curves(steps).relaxed
    ax.plot([step.step for step in steps], losses, color=BLUE, alpha=0.25, linewidth=0.8)
    ax.plot(at, smooth, color=BLUE, linewidth=1.8)
    top = 1.1 * np.quantile(losses, 0.99)
    ax.set(xlabel="step", ylabel="loss", title=title, ylim=(0, top))
    alt = (
        f"{title}: line over {len(losses)} steps; the mean of {RELAXED} steps goes from "
        f"{losses[:RELAXED].mean():.2f} to {smooth[-1]:.2f}."
    )
    return Picture(figure, alt)


def gap_opens(named: Mapping[str, Sequence[Step]]) -> Picture:
    """Relaxed and decoded loss during training, one panel per estimator, on one scale.

    Raises ValueError if a loop never measured the decoded loss.
    """
    figure, axes = panels_of(len(named), width=2.9, height=2.7, columns=4)
    last = []
    for ax, (name, steps) in zip(axes, named.items(), strict=True):
        (at, relaxed), decoded = curves(steps).relaxed, list(decoded_curve(steps))
        if not decoded:
            raise ValueError(f"{name} has no decoded loss: train it with decode_every=20, say")
        ax.plot(at, relaxed, color=BLUE, linewidth=1.8, label="relaxed: what is trained")
        look = {"color": ORANGE, "linewidth": 1.8, "linestyle": "--"}
        ax.plot(*zip(*decoded, strict=True), **look, label="decoded: the row")
        ax.set(xlabel="step", yscale="log")
        ax.set_title(literal(name), fontsize=9)
        number_logs(ax.yaxis)
        last.append(f"{name} ends at {relaxed[-1]:.2f} relaxed, {decoded[-1][1]:.2f} decoded")
    share_limits(axes, "y")
    figure.supylabel("squared distance behind net1", fontsize=10)
    legend_above(figure, columns=min(2, len(axes)))
    return Picture(figure, f"Loss against training step, log scale: {'; '.join(last)}.")


class Drawn(NamedTuple):
    """A run in the picture."""

    name: str
    steps: Sequence[Step]
    curves: Curves
    look: Style


def runs(named: Mapping[str, Sequence[Step]]) -> Picture:
    """Relaxed and decoded loss by step: the latest run with its gap, and the last eight together.

    Always of one size, on a log scale whose limits move by rungs, so that a page may show it
    again and again while a run goes on.

    `named`: the steps so far by the run's name, the latest run last; there may be none.
    """
    figure = Figure(figsize=(8.75, 3.5), dpi=80, facecolor="white")
    latest, together = (figure.add_axes((left, 0.15, 0.275, 0.7)) for left in (0.085, 0.405))
    shown = [Drawn(*run, curves(run[1]), style(i)) for i, run in enumerate(named.items())][-SHOWN:]
    for run in shown:
        _draw(together, run, width=1.2)
    for run in shown[-1:]:
        _draw(latest, run, width=2.0)
        at, decoded = run.curves.decoded
        relaxed = np.interp(at, *run.curves.relaxed) if len(at) else at
        latest.fill_between(at, relaxed, decoded, color=run.look.colour, alpha=0.15, linewidth=0)
    _scale((latest, together), shown)
    latest.set_ylabel("squared distance behind net1")
    title = _two_lines(shown[-1].name) if shown else "no run yet"
    latest.set_title(title, fontsize=10, loc="left")
    together.set_title("all runs", fontsize=10, loc="left")
    _legend(figure, shown)
    words = "; ".join(f"{run.name}: {_told(run.steps)}" for run in shown) or "No run yet"
    return Picture(figure, f"Loss against training step, log scale. {words}.")


def _smooth(losses: Sequence[tuple[int, float]], window: int) -> Curve:
    """The mean of the last `window` losses, at most at 100 steps, the last one included."""
    if not losses:
        return np.empty(0), np.empty(0)
    at, values = np.array(losses).T
    total = np.concatenate([[0.0], values.cumsum()])
    last = np.unique(np.linspace(0, len(at) - 1, POINTS).round().astype(int))
    first = np.maximum(last + 1 - window, 0)
    return at[last], (total[last + 1] - total[first]) / (last + 1 - first)


def _draw(ax: Axes, run: Drawn, *, width: float) -> None:
    """Relaxed solid, decoded dashed; the run's marker where each ends."""
    colour, marker, _ = run.look
    for (at, losses), line in zip(run.curves, ("-", "--"), strict=True):
        ax.plot(at, losses, line, color=colour, linewidth=width)
        ax.plot(at[-1:], losses[-1:], marker, color=colour, **HOLLOW, clip_on=False)


def _scale(axes: Sequence[Axes], shown: Sequence[Drawn]) -> None:
    """The same for all, labelled on the left."""
    losses = np.concatenate([[], *(losses for run in shown for _, losses in run.curves)])
    rungs = ladder(losses[losses > 0])
    last = max((run.steps[-1].steps for run in shown if run.steps), default=1)
    for ax in axes:
        ax.set(ylim=(rungs[0], rungs[-1]), yscale="log", xlim=(0, last), xlabel="step")
        ax.yaxis.set_minor_locator(NullLocator())
        ax.set_yticks(rungs, [f"{rung:g}" if ax is axes[0] else "" for rung in rungs])
        ax.tick_params(labelsize=9)
        ax.spines[["top", "right"]].set_visible(False)


def ladder(losses: np.ndarray) -> np.ndarray:
    """The numbers 1, 2 and 5 times powers of ten, from just below all losses to just above.

    Examples
    --------
    >>> ladder(np.array([0.6, 3.0])).tolist()
    [0.5, 1.0, 2.0, 5.0]
    """
    low, high = (losses.min(), losses.max()) if len(losses) else (1.0, 1.0)
    tens = np.arange(np.floor(np.log10(low)), np.floor(np.log10(high)) + 2)
    rungs = np.outer(10.0**tens, ROUND).ravel()
    first, last = np.searchsorted(rungs, low, side="right") - 1, np.searchsorted(rungs, high)
    return rungs[first : max(last, first + 1) + 1]


def _legend(figure: Figure, shown: Sequence[Drawn]) -> None:
    looks = {"relaxed: what is trained": {"ls": "-"}, "decoded: the row": {"ls": "--"}}
    for name, _, _, (colour, marker, _) in shown:
        looks[_two_lines(name)] = {"color": colour, "marker": marker, **HOLLOW}
    lines = [Line2D([], [], **{"color": BLACK} | look, label=n) for n, look in looks.items()]
    room = {"bbox_to_anchor": (0.69, 0.98), "labelspacing": 0.4, "handlelength": 1.6}
    figure.legend(handles=lines, loc="upper left", frameon=False, fontsize=8, **room)


def _two_lines(name: str) -> str:
    return literal(name).replace(", ", "\n", 1)


def _told(steps: Sequence[Step]) -> str:
    if not steps:
        return "no step yet"
    last = ends(steps)
    at = f"step {steps[-1].step} of {steps[-1].steps}, {last.relaxed:.3g} relaxed"
    return at if np.isnan(last.gap) else f"{at}, {last.decoded:.3g} decoded, gap {last.gap:.3g}"
