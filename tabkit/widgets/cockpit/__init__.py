"""net0's training at the controls: started, paused, steered and compared while it goes on."""

import html
import itertools
from collections.abc import Callable
from typing import Any

import ipywidgets
import pandas as pd

from tabkit import plots
from tabkit.data import Dataset
from tabkit.estimators import Knob
from tabkit.widgets.cockpit.trainings import (
    Training,
    runs_table,
    schedule_of,
    sentence,
    trainable,
    why_fixed,
)
from tabkit.widgets.explorer import Control, Explorer, Twin, alert, log_slider, number_field, themed

EMPTY = (
    '<div class="tabkit-empty" role="status"><p>No run yet. Press <b>start</b>: net0 trains with '
    "these settings, and the loss that it is trained by (relaxed) and the loss of the hard row "
    "(decoded) are drawn here, step by step.</p></div>"
)
SHORT = 300  # steps, of the run that is trained for a twin if there is none


def training_cockpit(
    net1: Any,
    dataset: Dataset,
    *,
    estimator: str = "straight_through_gumbel",
    tau: Knob = 1.0,
    schedule: str = "",
    lr: Knob = 3e-3,
    batch: int = 256,
    steps: int = 600,
    seed: int = 0,
) -> "Cockpit":
    """A widget: trains net0s behind a frozen net1, and shows how relaxed and decoded loss part.

    Start, pause, continue, stop; tau may move while a run goes on and acts from the next step.
    Runs stay beside each other until reset. Training has a thread of its own.

    `schedule`: of tau, such as ``"cosine/2/0.25"``; it takes the place of `tau`.

    Raises ValueError if the estimator cannot train behind this net1, or a value is out of its
    range.
    """
    offered = trainable(net1)
    if estimator not in offered:
        raise ValueError(f"estimator must be one of {', '.join(offered)}, not {estimator!r}")
    schedule_of(schedule)
    typed = {"placeholder": "of tau: cosine/2/0.25", "continuous_update": False}
    controls = {
        "estimator": ipywidgets.Dropdown(options=offered, value=estimator),
        "tau": log_slider("tau", tau, low=0.01, high=10.0, step=0.05),
        "schedule": ipywidgets.Text(schedule, **typed),
        "lr": log_slider("lr", lr, low=1e-5, high=10.0, step=0.1, description="learning rate"),
        "batch": number_field("batch", batch, low=1, high=4096),
        "steps": number_field("steps", steps, low=1, high=5_000),
        "seed": number_field("seed", seed, low=0, high=2**31 - 1),
    }
    return Cockpit(net1, dataset, controls)


class Cockpit(Explorer):
    """Controls, buttons, the curves of all runs, drawn aside at their own pace, and their table.

    `trainings` are the runs since the last reset, each with its net0. Closing stops what goes on.
    """

    def __init__(self, net1: Any, dataset: Dataset, controls: dict[str, Control]) -> None:
        self.net1, self.dataset = net1, dataset
        self.trainings: list[Training] = []
        self.tickets, self.newest = itertools.count(1), 0  # of drawings, and of the one shown
        self.buttons = {}
        self.add_button("start", "train with these settings", self.launch)
        self.add_button("pause", "pause or continue the run", self.pause_or_continue)
        self.add_button("stop", "end the run and keep it", self.halt)
        self.note, self.status, self.table = (ipywidgets.HTML() for _ in range(3))
        self.note.layout.min_height = self.status.layout.min_height = "1.6em"
        given, options = ("net1", "data"), {"adjust": self.steer, "still": self.stand_still}
        super().__init__("training_cockpit", given, controls, self.checked, height=340, **options)
        self.buttons_row.children = [self.reset_button, *self.buttons.values()]
        lines = (self.note, self.status, self.table)
        self.main.children = [self.picture, *lines, *self.main.children[1:]]

    def add_button(self, name: str, tooltip: str, action: Callable[[], None]) -> None:
        """A button whose errors are shown."""
        self.buttons[name] = ipywidgets.Button(description=name, tooltip=tooltip)
        self.buttons[name].add_class(f"tabkit-{name}").on_click(lambda _: self.press(action))

    @property
    def current(self) -> Training | None:
        """The run that goes on, paused or not."""
        return next((training for training in self.trainings if training.going), None)

    @property
    def trains(self) -> bool:
        """Whether a run takes steps, so that its follower is about to show them."""
        return any(training.run.state == "running" for training in self.trainings)

    def launch(self) -> None:
        """Starts a run with the settings; raises RuntimeError if one goes on."""
        if (going := self.current) is not None:
            raise RuntimeError(f"{going.name} goes on: stop it first")
        number = self.trainings[-1].number + 1 if self.trainings else 1
        training = Training(self.net1, self.dataset, self.state, number)
        self.trainings.append(training)
        training.run.start()
        training.run.follow(lambda: self.follow(training))

    def pause_or_continue(self) -> None:
        """Pauses the run, or goes on with it."""
        for training in self.trainings:
            if training.run.state == "paused":
                training.run.resume()
            elif training.going:
                training.run.pause()

    def halt(self) -> None:
        """Ends the run after the step in progress, and keeps it."""
        for training in getattr(self, "trainings", ()):  # none in a widget that was never made
            training.run.stop()

    def steer(self) -> None:
        """Hands tau to the run that goes on, and says how things stand."""
        if (going := self.current) is not None:
            going.steer(self.state["tau"])
        if self.trains:  # its follower soon says all, in a thread of its own
            self.status.value = line(sentence(self.trainings))
        else:
            self.report()

    def reset(self) -> None:
        """Ends and clears all runs, and brings back the first settings."""
        with self.turn:
            self.halt()
            self.trainings = []
            super().reset()

    def close(self) -> None:
        """Ends the run too."""
        self.halt()
        super().close()

    def press(self, action: Callable[[], None]) -> None:
        """Does something and shows what came of it, or the error in words."""

        def act_and_show() -> None:
            action()
            self.draw()
            self.report()

        with self.turn:
            self.attempt(act_and_show)

    def checked(self, **settings: Any) -> str:
        """The picture, if the settings are sound."""
        schedule_of(settings["schedule"])
        if not self.trains:
            self.draw()
        return self.picture.value

    def curves(self) -> plots.Picture:
        """The picture of all runs."""
        return plots.runs({training.name: training.run.steps for training in self.trainings})

    def draw(self) -> None:
        """Shows the curves as they are now, unless a later drawing was quicker."""
        ticket = next(self.tickets)
        begun = any(training.run.steps for training in self.trainings)
        drawn = themed(self.curves().svg()) if begun else EMPTY
        with self.turn:
            if ticket > self.newest:
                self.newest, self.picture.value = ticket, drawn

    def follow(self, training: Training) -> None:
        """Shows how a run stands, and the error that ended it; called from the run's thread."""
        went_on = training.going
        try:
            self.draw()  # slow, and nobody waits for it
            with self.turn:
                if training.going == went_on:  # else the end is told when it is drawn: next time
                    self.report()
                if training.run.error is not None and training in self.trainings:
                    self.message.value = alert(training.run.error)
        except Exception as error:
            self.message.value = alert(error)

    def report(self) -> None:
        """Says how things stand, and offers what can be done now."""
        going = self.current
        state = going.run.state if going else "ready"
        self.buttons["start"].disabled = going is not None
        for name in ("pause", "stop"):
            self.buttons[name].disabled = state not in {"running", "paused"}
        self.buttons["pause"].description = "continue" if state == "paused" else "pause"
        fixed = why_fixed(self.state)
        for name, control in self.controls.items():
            control.disabled = bool(fixed) if name == "tau" else going is not None
        moves = "tau may be moved: it acts from the next step." if going else ""
        self.note.value = line(fixed or moves)
        self.status.value = line(sentence(self.trainings))
        self.table.value = themed(runs_table(self.trainings))

    def stand_still(self, **settings: Any) -> Twin:
        """All runs that have steps; without any, one with the settings, trained here and now.

        That one takes 300 steps at most.
        """
        done = [training for training in self.trainings if training.run.steps]
        if not done:
            short = settings | {"steps": min(settings["steps"], SHORT)}
            done = [Training(self.net1, self.dataset, short)]
            done[0].run.start()
            done[0].run.join()
            if done[0].run.error is not None:
                raise done[0].run.error
        named = {training.name: training.run.steps for training in done}
        rows = pd.DataFrame([training.record for training in done], index=list(named))
        return Twin(plots.gap_opens(named), rows.round(3))


def line(text: str) -> str:
    """Text that takes one line, whatever it says."""
    return f'<p style="margin:0;line-height:1.6em">{html.escape(text)}</p>'
