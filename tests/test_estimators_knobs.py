"""Knobs, what is learnt from call to call, and the estimators by finite differences, by hand."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tabkit import estimators
from tabkit.estimators import implicit
from tabkit.simplex import gumbel_noise

CARDINALITIES = (3, 1, 4)
F = sum(CARDINALITIES)
NO_NUMBERS = [math.nan, math.inf]
POSITIVE = [0.0, -1.0, *NO_NUMBERS]
COUNT = [*POSITIVE, 1.5]
SHARE = [-0.1, 1.0, 1.5, *NO_NUMBERS]
BAD = {  # by knob, in any estimator
    **dict.fromkeys(("tau", "sampling_tau", "surrogate_tau", "noise_tau"), POSITIVE),
    **dict.fromkeys(("gap", "sigma", "step", "target", "rate"), POSITIVE),
    **dict.fromkeys(("limit", "samples", "k"), COUNT),
    "decay": SHARE,
    "eta": NO_NUMBERS,
    "commitment": [-1.0, *NO_NUMBERS],
    "entropy_penalty": NO_NUMBERS,
}
OTHER = {  # where an estimator is more, or less, strict
    ("leave_one_out", "samples"): [*COUNT, 1],
    ("rebar", "decay"): [-0.1, 1.5, *NO_NUMBERS],
}
LEARNERS = ["reinforce", "rebar", "adaptive_imle"]
LOGIT_NAMES = [n for n in estimators.names() if estimators.make(n).head == "logits"]
KNOBS = [(n, k) for n in estimators.names() for k in (*estimators.make(n).knobs, "entropy_penalty")]


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


INTO, OUT = normal(F, 6, seed=1), normal(6, 3, seed=2)


def objective(simplex):
    return ((simplex @ INTO).tanh() @ OUT).square().sum(1)


def gradient(estimator, logits, *, seed=0, loss=objective):
    """Per row: the mean over rows that the contract asks for is taken out again."""
    logits = logits.clone().requires_grad_()
    generator = torch.Generator().manual_seed(seed)
    value = estimator(logits, loss, cardinalities=CARDINALITIES, generator=generator)
    return torch.autograd.grad(value, logits)[0] * len(logits)


@pytest.mark.parametrize(("name", "knob"), KNOBS)
def test_a_bad_knob_names_itself_when_made_and_when_changed_and_changes_nothing(name, knob):
    for value in [*OTHER.get((name, knob), BAD[knob]), True, "1"]:
        with pytest.raises((ValueError, TypeError), match=knob):
            estimators.make(name, **{knob: value})
        estimator = estimators.make(name)
        before = dict(estimator.knobs)
        others = {k: v + 1 for k, v in before.items() if k not in (knob, "decay")}
        with pytest.raises((ValueError, TypeError), match=knob):
            estimator.change(**others, **{knob: value})
        assert estimator.knobs == before


def test_unknown_names_and_knobs_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'softmx'.*gumbel_softmax.*direct_embedding"):
        estimators.make("softmx")
    with pytest.raises(ValueError, match="cross_entropy has no knob 'tau'; it has: no knobs"):
        estimators.make("cross_entropy", tau=1.0)
    with pytest.raises(ValueError, match="it has: decay"):
        estimators.make("reinforce").change(baseline=1.0)
    for name in estimators.names():
        with pytest.raises(ValueError, match=f"{name} has no knob 'temperature'"):
            estimators.make(name, temperature=1.0)


@pytest.mark.parametrize("name", estimators.names())
def test_a_count_is_a_whole_number_also_from_a_schedule_and_the_others_are_floats(name):
    estimator = estimators.make(name)
    counts = {k for k in ("limit", "samples", "k") if k in estimator.knobs}
    for knob in estimator.knobs:
        estimator.change(**{knob: 3.0 if knob in counts else 0.5})
        assert isinstance(estimator.knobs[knob], int if knob in counts else float)


def test_a_changed_knob_is_that_of_an_estimator_made_with_it():
    estimator, logits = estimators.make("softmax"), normal(5, F)
    estimator.change(tau=0.2)
    cold = estimators.make("softmax", tau=0.2)
    assert estimator == cold != estimators.make("softmax")
    assert torch.equal(gradient(estimator, logits), gradient(cold, logits))
    assert estimators.make("softmax", tau=1) == estimators.make("softmax")


@pytest.mark.parametrize("name", estimators.names())
def test_its_name_in_print_is_its_recipe(name):
    """And says nothing of what it has learnt."""
    estimator = estimators.make(name, entropy_penalty=0.5)
    made = eval(f"estimators.make('{name}'{repr(estimator).replace(name + '(', ', ')}")
    assert made == estimator
    estimator.state["learnt"] = 1.0
    assert repr(made) == repr(estimator)
    assert estimators.make(name) != estimator


@pytest.mark.parametrize("name", LOGIT_NAMES)
def test_what_is_learnt_is_no_knob_and_a_fresh_one_has_none_of_it(name):
    estimator = estimators.make(name)
    first = gradient(estimator, normal(5, F)) if name != "cross_entropy" else None
    assert bool(estimator.state) == (name in LEARNERS)
    fresh = estimator.fresh()
    assert fresh.state == {}
    assert fresh == estimator
    fresh.change(entropy_penalty=0.1)
    assert "entropy_penalty" not in estimator.knobs
    assert first is None or torch.equal(gradient(estimator.fresh(), normal(5, F)), first)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_loaded_state_goes_on_as_the_one_it_came_from(name):
    """As a checkpoint hands it on."""
    estimator, other = estimators.make(name), estimators.make(name)
    for seed in range(5):
        gradient(estimator, normal(5, F, seed=seed), seed=seed)
    other.state.update(json.loads(json.dumps(estimator.state)))
    knob = {"reinforce": "decay", "rebar": "tau", "adaptive_imle": "rate"}[name]
    for one in (estimator, other):
        one.change(**{knob: 0.3})  # and a changed knob forgets nothing
        assert one.state
    for seed in range(3):
        logits = normal(5, F, seed=seed)
        assert torch.equal(gradient(estimator, logits), gradient(other, logits))
    assert other.state == estimator.state


def test_reinforce_is_the_score_times_loss_less_the_mean_of_earlier_batches():
    estimator, logits = estimators.make("reinforce", decay=0.8), normal(5, F)
    p = torch.cat([b.softmax(1) for b in logits.split(CARDINALITIES, 1)], 1)
    baseline, rows = 0.0, []

    def shown(simplex):
        rows.append(simplex)
        return objective(simplex)

    for call in range(4):
        found = gradient(estimator, logits, seed=call, loss=shown)
        losses = objective(rows[-1])
        torch.testing.assert_close(found, (losses - baseline)[:, None] * (rows[-1] - p))
        mean = losses.mean().item()
        baseline = mean if call == 0 else 0.8 * baseline + 0.2 * mean
        assert estimator.state == {"baseline": pytest.approx(baseline)}


def vertices(values):
    """The argmax of each column, by hand."""
    rows = torch.zeros_like(values)
    for row in range(len(values)):
        for start, end in ((0, 3), (3, 4), (4, 8)):
            rows[row, max(range(start, end), key=lambda k: values[row, k])] = 1.0
    return rows


def slopes(rows):
    """Each row's own loss gradient."""
    rows = rows.clone().requires_grad_()
    return torch.autograd.grad(objective(rows).sum(), rows)[0]


@pytest.mark.parametrize(
    "knobs", [{}, {"step": 0.3}, {"noise_tau": 0.4, "step": 3.0, "samples": 3}]
)
def test_imle_is_the_finite_difference_by_hand(knobs):
    estimator, logits = estimators.make("imle", **knobs), normal(30, F)
    generator, expected = torch.Generator().manual_seed(0), 0
    kept = estimator.knobs
    for _ in range(kept["samples"]):
        noise = gumbel_noise(logits, generator)
        perturbed = logits + kept["noise_tau"] * noise
        here = vertices(perturbed)
        there = vertices(perturbed - kept["step"] * slopes(here))
        expected += (here - there) / kept["step"] / kept["samples"]
    torch.testing.assert_close(gradient(estimator, logits), expected)
    assert (expected != 0).any()


def test_adaptive_imle_is_the_central_difference_by_hand():
    estimator, logits = estimators.make("adaptive_imle"), normal(30, F)
    estimator.state.update(scale=0.7, moved=1.2)
    perturbed = logits + gumbel_noise(logits, torch.Generator().manual_seed(0))
    slope = slopes(vertices(perturbed))
    step = 0.7 * logits.norm() / slope.norm()
    apart = vertices(perturbed + step * slope) - vertices(perturbed - step * slope)
    torch.testing.assert_close(gradient(estimator, logits), apart / (2 * step))
    moved = 0.9 * 1.2 + 0.1 * (apart != 0).sum().item() / 30
    assert moved > 1  # more than the target: the scale falls
    assert estimator.state == {"scale": pytest.approx(0.699), "moved": pytest.approx(moved)}


def test_adaptive_imle_starts_without_a_gradient_and_steps_up_until_enough_rows_have_one():
    estimator, logits = estimators.make("adaptive_imle", rate=0.05), normal(30, F)
    assert (gradient(estimator, logits) == 0).all()
    assert estimator.state == {"scale": 0.05, "moved": 0.9}
    scales, shares = [], []
    for seed in range(200):
        found = gradient(estimator, logits, seed=seed)
        scales.append(estimator.state["scale"])
        shares.append((found != 0).sum().item() / 30)
    assert scales[:3] == pytest.approx([0.1, 0.15, 0.2])
    assert 0.8 < sum(shares[100:]) / 100 < 1.2  # the target is 1 logit a row
    assert max(scales) < 10


def test_adaptive_imle_does_not_take_masked_logits_for_large_ones():
    """Their stand-in is huge; were it in the norm, every step would overshoot."""
    plain, masked = normal(30, F), normal(30, F)
    plain[:, 1], masked[:, 1] = 0.0, -math.inf
    price = torch.tensor([0.0, 0.0, 1.0, 0.0, 3.0, 0.0, 1.0, 2.0]).double()
    scales = []
    for logits in (plain, masked):
        estimator = estimators.make("adaptive_imle")
        estimator.state.update(scale=0.1, moved=0.5)
        found = gradient(estimator, logits, loss=lambda simplex: simplex @ price)
        scales.append(found[found != 0].abs().min())
    torch.testing.assert_close(*scales)


@pytest.mark.parametrize("knobs", [{}, {"step": 1.0, "noise_tau": 0.3}])
@settings(max_examples=20)
@given(rows=st.integers(1, 12), seed=st.integers(0, 2**31))
def test_imle_gives_a_row_the_same_gradient_in_any_batch(knobs, rows, seed):
    """With the noise a function of the row, so that the batch cannot change that."""
    logits, estimator = normal(rows, F, seed=seed), estimators.make("imle", **knobs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(implicit, "gumbel_noise", lambda logits, generator: (99 * logits).sin())
        together = gradient(estimator, logits)
        apart = torch.cat([gradient(estimator, row[None]) for row in logits])
    torch.testing.assert_close(together, apart)


def test_the_control_variates_weight_is_finite_where_its_square_is_no_float():
    """At a temperature of 1e-30 its slope is near 1e30, the square of which float32 lacks."""
    estimator, logits = estimators.make("rebar", tau=1e-30), torch.zeros(20, F)
    found = [
        gradient(estimator, logits, seed=s, loss=lambda x: objective(x.double())) for s in range(4)
    ]
    assert all(g.isfinite().all() for g in found)
    assert all(math.isfinite(value) for value in estimator.state.values())


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_adaptive_imles_step_is_a_number_whatever_the_sizes_of_logits_and_slope(size):
    for steep in (1e-30 * INTO[:, 0].float(), 1e30 * INTO[:, 0].float()):
        estimator, logits = estimators.make("adaptive_imle"), (size * normal(9, F)).float()
        estimator.state.update(scale=0.5, moved=0.5)
        found = gradient(estimator, logits, loss=lambda x, w=steep: x @ w)
        assert found.isfinite().all()
