"""Schedules hit both ends, are refused before any work, and end at their last value."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabkit import RowEncoder, RowPredictor, estimators, fit_jointly, fit_predictor, freeze
from tabkit.train import Constant, Cosine, Exponential, parse_schedule

FALLING = {"tau": Cosine(2.0, 0.2)}
MOVING = [Exponential, Cosine]
POSITIVE = st.floats(1e-3, 1e3)


@pytest.fixture
def trainings(dataset):
    """`fit_predictor` and `fit_jointly` of fresh nets, as functions of estimator and settings."""

    def nets():
        net1 = RowEncoder(dataset.schema, Z=3, width=16, depth=1, D=4, embedding_std=None)
        return RowPredictor(dataset.signal.shape[1], net1, width=16), net1

    def behind(estimator, **settings):
        net0, net1 = nets()
        return fit_predictor(net0, freeze(net1), dataset, estimator, batch=32, **settings)

    def joint(estimator, **settings):
        return fit_jointly(*nets(), dataset, estimator, batch=32, **settings)

    return {"behind": behind, "joint": joint}


KINDS = ["behind", "joint"]


@pytest.mark.parametrize("kind", MOVING)
@given(start=POSITIVE, end=POSITIVE, steps=st.integers(2, 50))
def test_a_schedule_starts_and_ends_where_it_says_and_never_turns(kind, start, end, steps):
    values = [kind(start, end)(step, steps) for step in range(1, steps + 1)]
    assert values[0] == pytest.approx(start)
    assert values[-1] == pytest.approx(end)
    rises = [b - a for a, b in itertools.pairwise(values)]
    tolerance = 1e-12 * max(start, end)
    assert all(rise * math.copysign(1, end - start) >= -tolerance for rise in rises)


@pytest.mark.parametrize("kind", MOVING)
def test_a_run_of_one_step_has_the_first_value(kind):
    assert kind(2.0, 0.5)(1, 1) == 2.0


def test_an_exponential_moves_by_one_factor_and_a_cosine_slowly_at_both_ends():
    values = [Exponential(8.0, 0.5)(step, 5) for step in range(1, 6)]
    assert values == pytest.approx([8, 4, 2, 1, 0.5])
    cosine = [Cosine(3.0, -1.0)(step, 7) for step in range(1, 8)]
    assert cosine == pytest.approx([1 + 2 * math.cos(math.pi * s / 6) for s in range(7)])
    assert [Constant(0.3)(step, 9) for step in (1, 5, 9)] == [0.3] * 3
    assert Cosine(3, -1) == Cosine(3.0, -1.0)


def test_a_constant_has_one_value():
    with pytest.raises(TypeError):
        Constant(0.5, 0.7)


def test_a_schedule_is_read_from_text():
    assert parse_schedule("constant/0.5") == Constant(0.5)
    assert parse_schedule("exponential/2/0.1") == Exponential(2.0, 0.1)
    assert parse_schedule("cosine/1e1/-2") == Cosine(10.0, -2.0)


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "linear/1/2", "cosine", "cosine/1", "cosine/1/2/3", "constant/1/2"),
        *("constant/", "cosine/a/1", "cosine/nan/1", "exponential/1/inf", "constant/nan"),
        *("exponential/0/1", "exponential/1/-1"),
    ],
)
def test_text_that_is_no_schedule_is_refused(text):
    with pytest.raises(ValueError, match=r"schedule|could not convert") as refusal:
        parse_schedule(text)
    assert text in str(refusal.value)


@pytest.mark.parametrize(("kind", "start", "end"), [(Cosine, math.nan, 1), (Cosine, 1, math.inf)])
def test_ends_that_are_no_numbers_are_refused(kind, start, end):
    with pytest.raises(ValueError, match="finite"):
        kind(start, end)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "schedules", "told"),
    [
        ("softmax", {"temperature": Constant(1.0)}, "no knob 'temperature'"),
        ("hard_argmax", {"tau": Constant(1.0)}, "no knobs"),
        ("softmax", {"tau": Cosine(1.0, 0.0)}, "from 1e-30"),
        ("softmax", {"tau": Cosine(-1.0, 1.0)}, "from 1e-30"),
        ("softmax", {"tau": Constant(-1.0)}, "from 1e-30"),
        ("gumbel_rao", {"tau": Cosine(1.0, 0.5), "samples": Cosine(1, 9)}, "whole number"),
        ("reinforce", {"decay": Cosine(0.5, 1.0)}, "decay"),
    ],
)
def test_a_bad_schedule_is_refused_before_any_work(trainings, kind, name, schedules, told):
    """When the loop is made, not when it comes to the bad value; the numbers between ends count."""
    estimator = estimators.make(name)
    with pytest.raises(ValueError, match=told):
        trainings[kind](estimator, steps=10, schedules=schedules)
    assert estimator == estimators.make(name)


@pytest.mark.parametrize("kind", KINDS)
def test_each_step_is_taken_at_the_schedules_value(trainings, kind):
    estimator, steps = estimators.make("gumbel_softmax", tau=7.0, entropy_penalty=0.1), 6
    schedules = FALLING | {"entropy_penalty": Exponential(0.1, 0.4)}
    seen = []
    for step in trainings[kind](estimator, steps=steps, schedules=schedules):
        seen.append(dict(estimator.knobs))
        expected = {knob: plan(step.step, steps) for knob, plan in schedules.items()}
        assert seen[-1] == expected
    assert len({values["tau"] for values in seen}) == steps


@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_is_the_knob_changed_by_hand_before_each_step(trainings, kind):
    scheduled = trainings[kind](estimators.make("gumbel_softmax"), steps=6, schedules=FALLING)
    estimator = estimators.make("gumbel_softmax", tau=2.0)
    by_hand = []
    for step in trainings[kind](estimator, steps=6):
        by_hand.append(step.loss)
        estimator.change(tau=FALLING["tau"](step.step + 1, 6))
    losses = [step.loss for step in scheduled]
    assert losses == by_hand
    plain = trainings[kind](estimators.make("gumbel_softmax", tau=2.0), steps=6)
    assert losses != [step.loss for step in plain]


@pytest.mark.parametrize("kind", KINDS)
def test_a_scheduled_run_picks_up_bitwise_and_ends_at_the_last_value(trainings, kind, tmp_path):
    def run(stop, checkpoint=None):
        estimator = estimators.make("gumbel_softmax", tau=5.0)
        loop = trainings[kind](estimator, steps=8, schedules=FALLING, checkpoint=checkpoint)
        steps = [(s.step, s.loss) for s in itertools.islice(loop, stop)]
        loop.close()
        return steps, estimator.knobs["tau"]

    file = tmp_path / "loop.pt"
    whole, last = run(None)
    assert last == pytest.approx(0.2)
    run(3, file)
    assert run(None, file) == (whole, last)
    assert run(None, file) == (whole, last)  # finished: nothing trains, and yet the knob is there


def test_a_schedule_is_part_of_what_a_checkpoint_belongs_to(trainings, tmp_path):
    def run(schedules):
        loop = trainings["behind"](
            estimators.make("softmax"), steps=3, schedules=schedules, checkpoint=tmp_path / "a.pt"
        )
        return list(loop)

    run(FALLING)
    with pytest.raises(ValueError, match=r"now schedules=.*end=0\.3"):
        run({"tau": Cosine(2.0, 0.3)})
    with pytest.raises(ValueError, match="schedules="):
        run(None)


def test_a_schedule_does_not_forget_what_the_estimator_has_learnt_but_a_new_run_does(trainings):
    """A constant schedule at the knob's own value trains as none, to the bit."""
    estimator, states = estimators.make("reinforce"), []
    for schedules in ({"decay": Constant(0.9)}, None):
        loop = trainings["behind"](estimator, steps=4, schedules=schedules)
        states.append([(step.loss, estimator.state["baseline"]) for step in loop])
    assert states[0] == states[1]
