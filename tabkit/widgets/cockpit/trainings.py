"""Runs of net0's training: how each is made from settings, named, and put into words."""

import html
from contextlib import suppress
from typing import Any

from tabkit import estimators
from tabkit.data import Dataset
from tabkit.nets import RowPredictor, cardinalities_of, takes_embeddings
from tabkit.plots.training import ends, style
from tabkit.train import BackgroundRun, Schedule, fit_predictor, parse_schedule
from tabkit.widgets.tables import CARD, Markup, table

DECODE_EVERY = 10  # steps
MOST_ROWS = 150_000  # through net1 in a step, which must end within a second of a stop
BUSY = {"running", "paused", "stopping"}


def trainable(net1: Any) -> list[str]:
    """The estimators that can train behind this net1.

    Not `exact` if its joint table is too big; none that takes embeddings if it shows no tables.
    """
    shows, found = takes_embeddings(net1), []
    for name in estimators.names():
        chosen = estimators.make(name)
        if chosen.head == "logits" or shows:
            with suppress(ValueError):  # of a joint table that is too big
                chosen.evaluations(cardinalities_of(net1))
                found.append(name)
    return found


def schedule_of(text: str) -> dict[str, Schedule]:
    """None, or tau's, by its text; raises ValueError if the text is no schedule."""
    return {"tau": parse_schedule(text.strip())} if text.strip() else {}


class Training:
    """One run, ready to start: what was asked for, the net0 that it trains, and its thread.

    Raises ValueError as `fit_predictor`; or if a step is so long that it could not be stopped
    within a second.
    """

    def __init__(self, net1: Any, dataset: Dataset, asked: dict[str, Any], number: int = 1) -> None:
        self.asked, self.number, self.tau = asked, number, asked["tau"]
        self.schedule = asked["schedule"].strip()
        self.estimator = estimators.make(asked["estimator"])
        if "tau" in self.estimator.knobs:
            self.estimator.change(tau=self.tau)
        check_length(self.estimator.evaluations(cardinalities_of(net1)), asked["batch"])
        head, seed = self.estimator.head, asked["seed"]
        self.net0 = RowPredictor(dataset.signal.shape[1], net1, head=head, seed=seed)
        options = {name: asked[name] for name in ("steps", "batch", "lr", "seed")}
        options |= {"schedules": schedule_of(self.schedule), "decode_every": DECODE_EVERY}
        loop = fit_predictor(self.net0, net1, dataset, self.estimator, **options)
        self.run = BackgroundRun(loop, tunable=self.estimator)

    @property
    def going(self) -> bool:
        """Whether it goes on, paused or not."""
        return self.run.state in BUSY

    @property
    def tunable(self) -> bool:
        """Whether tau may be moved: there is one, and no schedule drives it."""
        return "tau" in self.estimator.knobs and not self.schedule

    @property
    def name(self) -> str:
        """Its number, its estimator, and its temperatures."""
        acted = [knobs["tau"] for _, knobs in self.run.changes]
        moved = acted[-1:]
        if self.going and (acted or self.tau != self.asked["tau"]):
            moved = [self.tau]
        path = " → ".join(f"{tau:.3g}" for tau in (self.asked["tau"], *moved))
        temperature = self.schedule or (f"tau {path}" if self.tunable else "")
        return ", ".join(filter(None, [f"{self.number} {self.asked['estimator']}", temperature]))

    @property
    def record(self) -> dict[str, Any]:
        """A row of the table of runs."""
        steps, last = self.run.steps, ends(self.run.steps)
        about = {"state": self.run.state, "steps": len(steps), **last._asdict(), "gap": last.gap}
        return about | {"seconds": steps[-1].seconds if steps else 0.0}

    def steer(self, tau: float) -> None:
        """Moves tau, from the next step on, if that is possible and it is another."""
        if self.tunable and tau != self.tau:
            self.run.change(tau=tau)
            self.tau = tau


def check_length(evaluations: int, batch: int) -> None:
    """Raises ValueError if a step is too long to be waited for."""
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
    training, run = trainings[-1], trainings[-1].run
    parts = [f"{training.name}: {run.state}", f"step {len(run.steps)} of {training.asked['steps']}"]
    if training.schedule:
        parts.append(f"tau {training.estimator.knobs['tau']:.3g}")
    if run.rate and training.going:
        parts.append(f"{run.rate:.0f} steps a second, {run.seconds_left:.0f} s left")
    return ", ".join(parts)


def runs_table(trainings: list[Training]) -> str:
    """All runs as an HTML table, each with its mark in the picture; nothing without any."""
    if not trainings:
        return ""
    rows = []
    for training in trainings:
        look, record = style(training.number - 1), training.record
        mark = f'<span aria-hidden="true" style="color:{look.colour}">{look.character}</span>'
        values = [v if isinstance(v, str) else f"{v:.4g}" for v in record.values()]
        rows.append([Markup(f"{mark} {html.escape(training.name)}"), *values])
    shown = table("Runs", ["run", *record], rows)
    return f'<div class="tabkit-runs" tabindex="0" style="{CARD}">{shown}</div>'
