"""The cockpit without a browser: its buttons, its runs, its words."""

import re
import threading
import time
from html import unescape

import ipywidgets
import numpy as np
import pytest
import torch

from tabkit import RowEncoder, RowPredictor, estimators, fit_predictor, widgets
from tabkit.plots.training import ends, style
from tabkit.widgets.cockpit.trainings import MOST_ROWS, Training, check_length, trainable
from tabkit.widgets.explorer import log_slider

PATIENCE = 20  # seconds; only a run that never ends meets it
STOP = 5  # seconds
SETTINGS = {"steps": 30, "batch": 32}


@pytest.fixture
def made(net1, dataset):
    """A function that returns a cockpit; all are closed at the end."""
    opened = []

    def maker(**settings):
        opened.append(widgets.training_cockpit(net1, dataset, **SETTINGS | settings))
        return opened[-1]

    yield maker
    for widget in opened:
        widget.close()


def until(condition, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)


def press(widget, name):
    assert not widget.buttons[name].disabled, name
    widget.buttons[name].click()


def train(widget):
    """Runs to the end, and waits until that is shown."""
    press(widget, "start")
    until(lambda: widget.current is None and not widget.buttons["start"].disabled)
    with widget.turn:  # after what is being said
        pass


def words(widget):
    """The picture's description, or the words in its place."""
    found = re.search(r'aria-label="([^"]*)"', widget.picture.value)
    return unescape(found.group(1) if found else widget.picture.value)


def test_a_run_trains_the_net0_that_its_code_says(made, net1, dataset):
    widget = made(estimator="gumbel_softmax", tau=0.5, lr=0.01, seed=3)
    train(widget)
    (training,) = widget.trainings
    net0 = RowPredictor(dataset.signal.shape[1], net1, seed=3)
    estimator = estimators.make("gumbel_softmax", tau=0.5)
    loop = fit_predictor(net0, net1, dataset, estimator, steps=30, batch=32, lr=0.01, seed=3)
    assert [s.loss for s in loop] == [s.loss for s in training.run.steps]
    for ours, theirs in zip(training.net0.parameters(), net0.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_code_reproduces_the_state(made, net1, dataset):
    widget = made(estimator="softmax", schedule="cosine/2/0.25", tau=0.1, seed=7)
    scope = {"widgets": widgets, "net1": net1, "data": dataset}
    again = eval(widget.code, scope)
    assert again.state == widget.state
    assert again.code == widget.code
    again.close()


@pytest.mark.parametrize("name", ["cross_entropy", "direct_embedding", "leave_one_out", "exact"])
def test_estimators_of_every_kind_train(made, name):
    widget = made(estimator=name, batch=4, steps=3)
    train(widget)
    assert widget.message.value == ""
    assert widget.trainings[0].run.state == "finished"


def test_exact_is_offered_where_the_joint_table_is_small(net1):
    assert set(trainable(net1)) == set(estimators.names())
    wide = torch.nn.Module()
    wide.cardinalities = (30,) * 10
    inside = {n for n in estimators.names() if estimators.make(n).head == "embedding"}
    assert set(estimators.names()) - set(trainable(wide)) == {"exact"} | inside


def test_the_buttons_offer_what_can_be_done(made):
    def offered(widget):
        return {name for name, button in widget.buttons.items() if not button.disabled}

    widget = made(steps=5_000)
    assert offered(widget) == {"start"}
    press(widget, "start")
    assert offered(widget) == {"pause", "stop"}
    press(widget, "pause")
    assert offered(widget) == {"pause", "stop"}
    assert widget.buttons["pause"].description == "continue"
    press(widget, "pause")
    assert widget.buttons["pause"].description == "pause"
    press(widget, "stop")
    until(lambda: offered(widget) == {"start"}, STOP)
    assert widget.trainings[0].run.state == "stopped"


def test_a_second_run_cannot_start_while_one_goes_on(made):
    widget = made(steps=5_000)
    press(widget, "start")
    widget.buttons["start"].click()  # though it is disabled
    assert "goes on: stop it first" in widget.message.value
    assert len(widget.trainings) == 1


def test_a_paused_run_takes_no_steps_until_it_is_continued(made):
    widget = made(steps=5_000)
    press(widget, "start")
    run = widget.trainings[0].run
    until(lambda: len(run.steps) > 3)
    press(widget, "pause")
    time.sleep(0.3)  # the step in progress
    count = len(run.steps)
    time.sleep(0.3)
    assert len(run.steps) == count
    press(widget, "pause")
    until(lambda: len(run.steps) > count)


def test_only_tau_can_be_set_while_a_run_goes_on(made):
    widget = made(steps=5_000)
    press(widget, "start")
    free = {name for name, control in widget.controls.items() if not control.disabled}
    assert free == {"tau"}
    press(widget, "stop")
    until(lambda: not any(control.disabled for control in widget.controls.values()), STOP)


def test_tau_moves_while_a_run_goes_on(made):
    widget = made(steps=5_000, tau=1.0)
    press(widget, "start")
    (training,) = widget.trainings
    until(lambda: len(training.run.steps) > 3)
    press(widget, "pause")
    widget.controls["tau"].value = 0.25
    press(widget, "pause")
    until(lambda: training.run.changes)
    ((step, knobs),) = training.run.changes
    assert 1 < step <= len(training.run.steps) + 1
    assert knobs == {"tau": 0.25} == training.estimator.knobs
    until(lambda: "tau 1 → 0.25" in widget.table.value)
    press(widget, "stop")
    until(lambda: not widget.buttons["start"].disabled)
    widget.controls["tau"].value = 4.0
    assert training.estimator.knobs == {"tau": 0.25}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"estimator": "cross_entropy"}, "cross_entropy has no tau (no knobs)."),
        ({"estimator": "reinforce"}, "reinforce has no tau (decay 0.9)."),
        ({"schedule": "cosine/2/0.5"}, "tau follows the schedule."),
    ],
)
def test_where_tau_cannot_move_it_is_disabled_and_said(made, settings, why):
    widget = made()
    assert not widget.controls["tau"].disabled
    for name, value in settings.items():
        widget.controls[name].value = value
    assert widget.controls["tau"].disabled
    assert why in unescape(widget.note.value)
    widget.reset()
    assert not widget.controls["tau"].disabled
    assert why not in unescape(widget.note.value)


def test_a_schedule_drives_tau_from_its_start_to_its_end(made):
    widget = made(schedule="cosine/2/0.5", tau=7.0)
    train(widget)
    assert widget.trainings[0].estimator.knobs == {"tau": 0.5}
    assert "1 straight_through_gumbel, cosine/2/0.5" in widget.table.value
    assert "tau 0.5" in widget.status.value


def test_a_bad_schedule_is_said_at_once_and_starts_nothing(made):
    widget = made()
    widget.controls["schedule"].value = "cosine/2"
    assert "a schedule is constant/VALUE" in widget.message.value
    press(widget, "start")
    assert "a schedule is constant/VALUE" in widget.message.value
    assert widget.trainings == []
    widget.controls["schedule"].value = "cosine/2/-1"  # reads well, but ends below 0
    assert widget.message.value == ""
    press(widget, "start")
    assert "tau must be a number from 1e-30 to 1e+30" in widget.message.value
    widget.controls["schedule"].value = ""
    assert widget.message.value == ""
    train(widget)
    assert widget.message.value == ""


def test_an_error_in_training_is_said_and_the_next_run_works(made, monkeypatch):
    widget = made()
    monkeypatch.setattr(estimators.make("softmax").__class__, "__call__", boom)
    press(widget, "start")
    until(lambda: 'role="alert"' in widget.message.value)
    assert "FloatingPointError: step 1: the loss is &lt;nan&gt;" in widget.message.value
    assert "failed" in widget.table.value
    monkeypatch.undo()
    train(widget)
    assert widget.message.value == ""
    assert [t.run.state for t in widget.trainings] == ["failed", "finished"]


def boom(*_, **__):
    raise FloatingPointError("the loss is <nan>")


def test_the_error_of_a_run_that_was_cleared_is_not_said(made, monkeypatch):
    widget, gate = made(), threading.Event()
    relaxed = type(estimators.make("softmax"))
    monkeypatch.setattr(relaxed, "__call__", lambda *_, **__: gate.wait(PATIENCE) and boom())
    press(widget, "start")
    run = widget.trainings[0].run
    widget.reset()
    gate.set()
    assert run.join(float(PATIENCE))
    run._followers[0].join(PATIENCE)
    assert run.state == "failed"
    assert widget.message.value == ""


def test_an_error_while_drawing_is_said_and_does_not_end_the_training(made, monkeypatch):
    widget = made(steps=5_000)
    press(widget, "start")
    monkeypatch.setattr(type(widget), "draw", boom)
    until(lambda: "FloatingPointError" in widget.message.value)
    count = len(widget.trainings[0].run.steps)
    until(lambda: len(widget.trainings[0].run.steps) > count)


def test_runs_stay_side_by_side_until_reset(made):
    widget = made()
    train(widget)
    widget.controls["estimator"].value = "softmax"
    train(widget)
    names = ["1 straight_through_gumbel, tau 1", "2 softmax, tau 1"]
    for number, (name, training) in enumerate(zip(names, widget.trainings, strict=True)):
        last = ends(training.run.steps)
        assert f"{name}: step 30 of 30, {last.relaxed:.3g} relaxed" in words(widget)
        assert name in widget.table.value
        for loss in (*last, last.gap):
            assert f">{loss:.4g}<" in widget.table.value
        assert style(number).character in widget.table.value
        assert style(number).colour in widget.table.value
    widget.reset()
    assert widget.trainings == []
    assert widget.table.value == ""
    assert "No run yet" in words(widget)
    assert widget.controls["estimator"].value == "straight_through_gumbel"


def test_reset_stops_what_goes_on(made):
    widget = made(steps=5_000)
    press(widget, "start")
    run = widget.trainings[0].run
    until(lambda: run.steps)
    widget.reset()
    assert run.join(float(STOP))
    assert run.state == "stopped"
    assert not widget.buttons["start"].disabled
    train(made())


def test_closing_the_widget_stops_its_run(made):
    widget = made(steps=5_000)
    press(widget, "start")
    run = widget.trainings[0].run
    until(lambda: run.steps)
    widget.close()
    assert run.join(float(STOP))


def test_the_status_tells_steps_a_second_and_time_left(made):
    widget = made(steps=5_000)
    assert "no run yet" in widget.status.value
    press(widget, "start")
    pattern = r"tau 1: running, step \d+ of 5000, \d+ steps a second, \d+ s left"
    until(lambda: re.search(pattern, widget.status.value))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"estimator": "softmaxx"}, "estimator must be one of .* not 'softmaxx'"),
        ({"tau": 20.0}, "tau must lie between 0.01 and 10, not 20"),
        ({"tau": float("nan")}, "tau must lie between 0.01 and 10, not nan"),
        ({"lr": 1e-9}, "lr must lie between 1e-05 and 10, not 1e-09"),
        ({"batch": 0}, "batch must lie between 1 and 4096, not 0"),
        ({"steps": 10**6}, "steps must lie between 1 and 5000, not 1e"),
        ({"seed": -1}, "seed must lie between 0 and"),
        ({"schedule": "linear/1/2"}, "a schedule is constant/VALUE.*'linear/1/2'"),
    ],
)
def test_a_bad_argument_names_itself(made, settings, said):
    with pytest.raises(ValueError, match=said):
        made(**settings)


@pytest.mark.parametrize("value", [0.01, 0.03, 0.3, 1, 7.77, 10])
def test_a_log_slider_has_its_value_among_its_places(value):
    slider = log_slider("tau", value, low=0.01, high=10.0, step=0.05)
    assert slider.value == value
    places = 10 ** np.arange(slider.min, slider.max + 0.01, slider.step)
    assert np.abs(np.log(places / value)).min() < 1e-9
    assert 0.01 <= places[0] * (1 + 1e-9) < 0.01 * 10**0.0501
    assert 10 * 10**-0.0501 < places[-1] <= 10 * (1 + 1e-9)


def test_a_net1_that_still_trains_is_said_under_the_widget(dataset):
    widget = widgets.training_cockpit(
        RowEncoder(dataset.schema, width=8, embedding_std=None), dataset
    )
    press(widget, "start")
    assert "net1 still trains" in widget.message.value
    widget.close()


def test_a_step_that_could_not_be_stopped_in_time_is_refused(net1, dataset):
    check_length(100, MOST_ROWS // 100)
    with pytest.raises(ValueError, match="batch=1500 is the most here"):
        check_length(100, MOST_ROWS // 100 + 1)
    asked = widgets.training_cockpit(net1, dataset).state
    with pytest.raises(ValueError, match="is the most here"):
        Training(net1, dataset, asked | {"estimator": "exact", "batch": 4096})


def test_everything_that_can_be_worked_has_a_label(made):
    widget = made()
    for name, control in widget.controls.items():
        assert control.description == {"lr": "learning rate"}.get(name, name)
    for button in widget.buttons.values():
        assert button.description
    assert isinstance(widget.controls["tau"], ipywidgets.FloatLogSlider)
    assert isinstance(widget.controls["lr"], ipywidgets.FloatLogSlider)


def test_the_twin_has_a_panel_and_a_row_for_each_run(made):
    widget = made()
    train(widget)
    widget.controls["estimator"].value = "softmax"
    train(widget)
    twin = widget.twin()
    names = ["1 straight_through_gumbel, tau 1", "2 softmax, tau 1"]
    assert [ax.get_title() for ax in twin.picture.figure.axes] == names
    assert twin.table.index.tolist() == names
    last = ends(widget.trainings[1].run.steps)
    assert twin.table.loc[names[1], "gap"] == pytest.approx(last.gap, abs=1e-3)


def test_the_twin_of_a_cockpit_without_runs_trains_one(made):
    widget = made()
    twin = widget.twin()
    assert twin.table["steps"].tolist() == [30]
    assert widget.trainings == []


@pytest.fixture
def slow_follower(monkeypatch):
    """Drawing takes another thread until the second event is set; the first says that it began."""
    began, gate, curves = threading.Event(), threading.Event(), widgets.Cockpit.curves
    in_time = []

    def slow(widget):
        drawn = curves(widget)
        if threading.current_thread() is not threading.main_thread():
            began.set()
            in_time.append(gate.wait(STOP))
        return drawn

    monkeypatch.setattr(widgets.Cockpit, "curves", slow)
    yield began, gate
    assert all(in_time)


def test_whoever_moves_tau_does_not_wait_for_the_curves(made, slow_follower):
    began, gate = slow_follower
    widget = made(steps=5_000)
    press(widget, "start")
    assert began.wait(PATIENCE)
    widget.controls["tau"].value = 0.25  # were it to wait, the gate would open too late
    assert "tau=0.25" in widget.recipe.value
    assert "tau 1 → 0.25: running" in widget.status.value
    gate.set()
    until(lambda: "tau 1 → 0.25" in words(widget))
    assert widget.message.value == ""


def test_a_drawing_that_was_overtaken_is_not_shown(made):
    widget = made()
    late = next(widget.tickets)
    train(widget)
    shown = widget.picture.value
    widget.tickets = iter([late])
    widget.trainings = []
    widget.draw()
    assert widget.picture.value == shown
