"""A run in a thread is the run in the foreground, and does what it is told between two steps."""

import gc
import subprocess
import sys
import threading
import weakref
from dataclasses import replace

import pytest
import torch

from tabkit import RowPredictor, estimators, fit_predictor
from tabkit.train import BackgroundRun, Step
from tabkit.train.background import rate, stop_all

PATIENCE = 30.0  # seconds; only a run that never ends meets it
STOP = 5.0  # seconds


class Gated:
    """A loop whose steps the test lets through one by one; their losses are the temperature."""

    def __init__(self, steps=100):
        self.steps, self.begun, self.closed = steps, 0, threading.Event()
        self.gate, self.inside = threading.Semaphore(0), threading.Semaphore(0)
        self.estimator = estimators.make("softmax", tau=1.0)

    def __iter__(self):
        try:
            for step in range(1, self.steps + 1):
                self.begun = step
                before = self.estimator.knobs["tau"]
                self.inside.release()
                self.gate.acquire()
                assert self.estimator.knobs["tau"] == before, "tau moved during a step"
                yield Step(step, self.steps, before, 0.1 * step)
        finally:
            self.closed.set()

    def enter(self):
        """Waits until the next step is in progress."""
        assert self.inside.acquire(timeout=PATIENCE)

    def leave(self):
        """Lets the step in progress end."""
        self.gate.release()


@pytest.fixture
def gated():
    loop = Gated()
    yield loop
    loop.gate.release(1000)


@pytest.fixture
def run(gated):
    started = BackgroundRun(iter(gated), tunable=gated.estimator)
    started.start()
    yield started
    started.stop()
    gated.gate.release(1000)
    assert started.join(PATIENCE)


def after(count, run):
    """Waits until the run has so many steps."""
    until = threading.Event()
    for _ in range(3000):
        if len(run.steps) >= count:
            return run.steps
        until.wait(0.01)
    raise AssertionError(f"{len(run.steps)} steps, not {count}")


@pytest.mark.parametrize("name", ["straight_through_gumbel", "reinforce", "direct_embedding"])
def test_the_steps_are_those_of_the_foreground_to_the_bit(dataset, net1, name):
    def made():
        estimator = estimators.make(name)
        net0 = RowPredictor(dataset.signal.shape[1], net1, head=estimator.head, width=16)
        loop = fit_predictor(net0, net1, dataset, estimator, steps=30, batch=32, decode_every=7)
        return net0, loop

    (net0, loop), (other, behind) = made(), made()
    expected = [replace(step, seconds=0.0) for step in loop]
    run = BackgroundRun(behind)
    run.start()
    assert run.join(PATIENCE)
    assert run.state == "finished"
    assert [replace(step, seconds=0.0) for step in run.steps] == expected
    for ours, theirs in zip(net0.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_pause_lets_the_step_in_progress_end_and_begins_no_other(gated, run):
    gated.enter()
    run.pause()
    gated.gate.release(5)
    after(1, run)
    assert not gated.inside.acquire(timeout=0.3)
    assert (len(run.steps), gated.begun, run.state) == (1, 1, "paused")
    run.resume()
    gated.enter()
    assert run.state == "running"


def test_a_run_that_is_paused_before_it_starts_waits(gated):
    run = BackgroundRun(iter(gated))
    assert run.state == "ready"
    run.pause()
    run.start()
    assert not gated.inside.acquire(timeout=0.2)
    run.stop()
    assert run.join(STOP)
    assert (run.steps, run.state) == ((), "stopped")


def test_a_stop_ends_it_after_the_step_in_progress_and_closes_the_loop(gated, run):
    gated.enter()
    run.stop()
    assert run.state == "stopping"
    gated.leave()
    assert run.join(STOP)
    assert (len(run.steps), gated.begun, run.state) == (1, 1, "stopped")
    assert gated.closed.is_set()


def test_a_paused_run_stops_too(gated, run):
    gated.enter()
    run.pause()
    gated.leave()
    after(1, run)
    run.stop()
    assert run.join(STOP)
    assert run.state == "stopped"
    run.resume()
    assert len(run.steps) == 1


def test_a_training_stops_at_once(dataset, net1):
    net0 = RowPredictor(dataset.signal.shape[1], net1, width=16)
    loop = fit_predictor(net0, net1, dataset, estimators.make("softmax"), steps=100_000, batch=32)
    run = BackgroundRun(loop)
    run.start()
    after(3, run)
    run.stop()
    assert run.join(STOP)
    assert 3 <= len(run.steps) < 100_000


def test_a_knob_moves_between_two_steps_and_acts_in_the_next(gated, run):
    gated.enter()
    run.change(tau=0.5)
    run.change(tau=0.25)
    gated.leave()
    gated.enter()
    gated.leave()
    assert [step.loss for step in after(2, run)] == [1.0, 0.25]
    assert run.changes == ((2, {"tau": 0.25}),)


def test_a_knob_that_moves_during_a_pause_acts_when_it_goes_on(gated, run):
    gated.enter()
    run.pause()
    gated.leave()
    after(1, run)
    run.change(tau=0.5)
    assert gated.estimator.knobs == {"tau": 1.0}
    run.resume()
    gated.enter()
    gated.leave()
    assert after(2, run)[1].loss == 0.5


def test_a_bad_knob_is_said_at_once_and_the_run_goes_on(gated, run):
    gated.enter()
    with pytest.raises(ValueError, match="tau must be"):
        run.change(tau=-1.0)
    with pytest.raises(ValueError, match="no knob 'heat'"):
        run.change(heat=1.0)
    gated.leave()
    gated.enter()
    assert (run.state, run.changes, gated.estimator.knobs) == ("running", (), {"tau": 1.0})
    with pytest.raises(ValueError, match="tunable"):
        BackgroundRun(iter(())).change(tau=1.0)


def test_a_change_is_what_a_change_between_two_steps_is_in_the_foreground(dataset, net1):
    def made():
        estimator = estimators.make("gumbel_softmax", tau=2.0)
        net0 = RowPredictor(dataset.signal.shape[1], net1, width=16)
        return estimator, fit_predictor(net0, net1, dataset, estimator, steps=40, batch=32)

    estimator, loop = made()
    run = BackgroundRun(loop, tunable=estimator)
    run.start()
    after(2, run)
    run.change(tau=0.5)
    assert run.join(PATIENCE)
    ((moved, _),) = run.changes or [(None, None)]
    estimator, loop = made()
    expected = []
    for step in loop:
        expected.append(step.loss)
        if step.step + 1 == moved:
            estimator.change(tau=0.5)
    assert [step.loss for step in run.steps] == expected


def test_an_error_in_the_loop_is_kept_with_the_steps_before_it():
    def loop():
        yield Step(1, 3, 1.0, 0.1)
        raise FloatingPointError("the loss is nan")

    run = BackgroundRun(loop())
    run.start()
    assert run.join(PATIENCE)
    assert (run.state, len(run.steps)) == ("failed", 1)
    assert isinstance(run.error, FloatingPointError)


def test_an_error_while_the_loop_is_closed_is_kept_too():
    def loop():
        try:
            while True:
                yield Step(1, 3, 1.0, 0.1)
        finally:
            raise OSError("disk full")

    run = BackgroundRun(loop())
    run.start()
    after(1, run)
    run.stop()
    assert run.join(STOP)
    assert run.state == "failed"
    assert isinstance(run.error, OSError)


def test_a_run_starts_once(gated, run):
    with pytest.raises(RuntimeError, match="started before"):
        run.start()


def test_a_pause_after_the_last_step_does_not_keep_it_from_its_end():
    loop = Gated(steps=1)
    run = BackgroundRun(iter(loop))
    run.start()
    loop.enter()
    run.pause()
    loop.leave()
    assert run.join(PATIENCE)
    assert run.state == "finished"


def test_the_rate_is_that_of_the_last_seconds_of_training():
    slow = [Step(i, 100, 1.0, float(i)) for i in range(1, 11)]
    fast = [Step(10 + i, 100, 1.0, 10 + i / 10) for i in range(1, 51)]
    assert rate([]) is None
    assert rate(slow[:1]) == 1
    assert rate(slow) == pytest.approx(1)
    assert rate([*slow, *fast]) == pytest.approx(10)
    assert rate([Step(1, 2, 1.0, 0.0)]) is None


def test_what_is_left_follows_from_the_rate():
    run = BackgroundRun(Step(i, 100, 1.0, i / 4) for i in range(1, 21))
    assert (run.rate, run.seconds_left) == (None, None)
    run.start()
    assert run.join(PATIENCE)
    assert run.rate == pytest.approx(4)
    assert run.seconds_left == pytest.approx(80 / 4)


def test_a_follower_hears_of_changes_only_and_of_the_end(gated, run):
    heard, news = [], threading.Semaphore(0)

    def hear():
        heard.append((run.state, len(run.steps)))
        news.release()

    run.follow(hear, every=0.02)
    assert news.acquire(timeout=PATIENCE)
    assert not news.acquire(timeout=0.3)  # nothing new
    gated.enter()
    gated.leave()
    assert news.acquire(timeout=PATIENCE)
    gated.enter()
    run.stop()
    gated.leave()
    assert run.join(PATIENCE)
    run._followers[0].join(PATIENCE)
    assert heard[-1] == ("stopped", 2)
    assert len(set(heard)) == len(heard)


def test_a_follower_is_called_no_oftener_than_it_asked_for():
    called = []
    run = BackgroundRun(Step(i, 10**6, 1.0, i * 1e-6) for i in range(1, 10**6))
    run.start()
    run.follow(lambda: called.append(len(run.steps)), every=0.2)
    run.join(1.0)
    run.stop()
    assert run.join(STOP)
    assert 1 <= len(called) <= 7


def test_the_end_of_the_program_stops_all_runs(gated, run):
    gated.enter()
    gated.leave()
    gated.gate.release(1000)
    stop_all()
    assert run.join(STOP)


def test_a_program_ends_while_a_run_goes_on(tmp_path):
    code = """
import torch
from tabkit import RowEncoder, RowPredictor, estimators, fit_predictor, freeze, planted
from tabkit.train import BackgroundRun
data = planted(300, categorical=2, continuous=1)
net1 = freeze(RowEncoder(data.schema, width=4, embedding_std=None))
net0 = RowPredictor(data.signal.shape[1], net1, width=16)
loop = fit_predictor(net0, net1, data, estimators.make("softmax"), steps=10**5, batch=64)
run = BackgroundRun(loop)
run.start()
run.follow(lambda: torch.randn(100, 100) @ torch.randn(100, 100), every=0.01)
while len(run.steps) < 5:
    run.join(0.01)
print("here")
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "here\n", "")


def test_a_run_that_has_ended_is_not_kept():
    run = BackgroundRun(iter([Step(1, 1, 1.0, 0.1)]))
    run.start()
    assert run.join(PATIENCE)
    run._thread.join(PATIENCE)
    gone = weakref.ref(run)
    del run
    gc.collect()
    assert gone() is None
