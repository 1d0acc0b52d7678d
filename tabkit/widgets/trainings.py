"""Runs of net0's training: how each is made from settings, named, and put into words."""

import html
from dataclasses import dataclass, field
from typing import Any

from tabkit import estimators
from tabkit.data import Dataset
from tabkit.estimators import Estimator
from tabkit.nets import RowPredictor, cardinalities_of, has
from tabkit.plots.training import ends, style
from tabkit.train import BackgroundRun, Schedule, fit_predictor, parse_schedule
from tabkit.widgets.tables import Markup, table

DECODE_EVERY = 10  # steps
MOST_ROWS = 150_000  # through net1 in a step, which must end within a second of a stop
BUSY = {"running", "paused", "stopping"}


def trainable(net1: Any) -> list[str]:
    """The estimators that can train behind this net1.

    Not `exact`, if its joint table is too big; of those that take embeddings none, if it shows no
    tables.
    """

    def fits(name: str) -> bool:
        chosen = estimators.make(name)
        if chosen.head == "embedding" and not has(net1, "embedding", "first_layer", "behind"):
            return False
        try:
            return chosen.evaluations(cardinalities_of(net1)) > 0
        except ValueError:
            return False

    return [name for name in estimators.names() if fits(name)]


def schedule_of(text: str) -> dict[str, Schedule]:
    """The schedules that a text stands for: none, or tau's.

    Raises ValueError if the text is no schedule.
    """
    return {"tau": parse_schedule(text.strip())} if text.strip() else {}


@dataclass(eq=False)
class Training:
    """One run: what was asked for, the net0 that it trains, and its thread."""

    number: int
    asked: dict[str, Any]
    net0: RowPredictor
    estimator: Estimator
    run: BackgroundRun
    tau: float = field(init=False)

    def __post_init__(self) -> None:
        self.tau = self.asked["tau"]

    @property
    def going(self) -> bool:
        """Whether it goes on, paused or not."""
        return self.run.state in BUSY

    @property
    def tunable(self) -> bool:
        """Whether tau may be moved: there is one, and no schedule drives it."""
        return "tau" in self.estimator.knobs and not self.asked["schedule"].strip()

    @property
    def name(self) -> str:
        """Its number, its estimator, and its temperatures."""
        acted = [knobs["tau"] for _, knobs in self.run.changes]
        moved = acted[-1:]
        if self.going and (acted or self.tau != self.asked["tau"]):
            moved = [self.tau]
        path = " → ".join(f"{tau:.3g}" for tau in (self.asked["tau"], *moved))
        temperature = self.asked["schedule"].strip() or (f"tau {path}" if self.tunable else "")
        return ", ".join(filter(None, [f"{self.number} {self.asked['estimator']}", temperature]))

    @property
    def record(self) -> dict[str, Any]:
        """A row of the table of runs."""
        steps = self.run.steps
        last = ends(steps)
        losses = {"relaxed": last.relaxed, "decoded": last.decoded, "gap": last.gap}
        seconds = steps[-1].seconds if steps else 0.0
        return {"state": self.run.state, "steps": len(steps), **losses, "seconds": seconds}

    def steer(self, tau: float) -> None:
        """Moves tau, from the next step on, if that is possible and it is another."""
        if self.tunable and tau != self.tau:
            self.run.change(tau=tau)
            self.tau = tau


def prepare(net1: Any, dataset: Dataset, asked: dict[str, Any], *, number: int = 1) -> Training:
    """A run, ready to start.

    Raises ValueError as `fit_predictor`; or if a step is so long that it could not be stopped
    within a second.
    """
    estimator = estimators.make(asked["estimator"])
    schedules = schedule_of(asked["schedule"])
    if "tau" in estimator.knobs:
        estimator.change(tau=asked["tau"])
    check_length(estimator.evaluations(cardinalities_of(net1)), asked["batch"])
    net0 = RowPredictor(dataset.signal.shape[1], net1, head=estimator.head, seed=asked["seed"])
    chosen = {name: asked[name] for name in ("steps", "batch", "lr", "seed")}
    loop = fit_predictor(
        net0, net1, dataset, estimator, **chosen, schedules=schedules, decode_every=DECODE_EVERY
    )
    return Training(number, asked, net0, estimator, BackgroundRun(loop, tunable=estimator))


def check_length(evaluations: int, batch: int) -> None:
    """A step must be short enough to be waited for.

    Raises ValueError otherwise.
    """
    if evaluations * batch > MOST_ROWS:
        raise ValueError(
            f"a step would send {evaluations * batch:,} rows through net1 ({evaluations} for each "
            f"of the batch) and could not be stopped in time: batch={MOST_ROWS // evaluations} "
            "is the most here"
        )


def why_fixed(settings: dict[str, Any]) -> str:
    """Why tau cannot be moved, in words; empty if it can."""
    knobs = estimators.make(settings["estimator"]).knobs
    if "tau" not in knobs:
        others = ", ".join(f"{name} {value:g}" for name, value in knobs.items()) or "no knobs"
        return f"{settings['estimator']} has no tau ({others})."
    return "tau follows the schedule." if settings["schedule"].strip() else ""


def sentence(trainings: list[Training]) -> str:
    """How the latest run stands."""
    if not trainings:
        return "no run yet"
    training = trainings[-1]
    run, asked = training.run, training.asked
    parts = [f"{training.name}: {run.state}", f"step {len(run.steps)} of {asked['steps']}"]
    if asked["schedule"].strip():
        parts.append(f"tau {training.estimator.knobs['tau']:.3g}")
    if run.rate and training.going:
        parts.append(f"{run.rate:.0f} steps a second, {run.seconds_left:.0f} s left")
    return ", ".join(parts)


def runs_table(trainings: list[Training]) -> str:
    """All runs as an HTML table, each with its mark in the picture; nothing without any."""
    if not trainings:
        return ""
    rows = [table_row(training) for training in trainings]
    return table("Runs", ["run", *trainings[0].record], rows)


def table_row(training: Training) -> list[str]:
    """One run: its mark and name, and how it stands."""
    look = style(training.number - 1)
    mark = f'<span aria-hidden="true" style="color:{look.colour}">{look.character}</span>'
    record = training.record.values()
    values = [value if isinstance(value, str) else f"{value:.4g}" for value in record]
    return [Markup(f"{mark} {html.escape(training.name)}"), *values]
