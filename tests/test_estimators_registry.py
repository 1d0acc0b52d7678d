"""An estimator of one's own: a function, its knobs, one decorator."""

import inspect

import pytest
import torch

from tabkit import RowPredictor, decode, estimators, fit_predictor, ruler, simplex
from tabkit.estimators import Count, Share, Temperature, registry

CARDINALITIES = (3, 1, 4)


def halfway(logits, cardinalities, *, tau: Temperature = 1.0, share: Share = 0.5, generator=None):
    """Part of the way from the softmax to a sample."""
    soft = simplex.softmax(logits, cardinalities, tau)
    hard = simplex.sample(logits, cardinalities, generator)
    return soft + share * (hard - soft).detach()


def antithetic(logits, objective, cardinalities, *, pairs: Count = 1, state, generator=None):
    """Each sampled row with the one that the mirrored noise gives as its baseline."""
    state["calls"] = state.get("calls", 0) + 1
    losses, gradients = [], []
    for _ in range(pairs):
        u = torch.rand(logits.shape, generator=generator, dtype=logits.dtype)
        noises = (-(-v.log()).log() for v in (u, 1 - u))
        rows = [simplex.argmax(logits + noise, cardinalities) for noise in noises]
        one, other = map(objective, rows)
        losses += [one, other]
        gradients.append((one - other)[:, None] / 2 * (rows[0] - rows[1]))
    gradient = torch.stack(gradients).mean(0)
    return estimators.with_gradient(torch.stack(losses).mean(), logits, gradient)


@pytest.fixture
def own(monkeypatch):
    """Both filed, for as long as a test takes."""
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))
    estimators.relaxation(gradient="biased", source="a test")(halfway)
    estimators.estimator(
        gradient="unknown", source="a test", evaluations=lambda cardinalities, pairs: 2 * pairs
    )(antithetic)


@pytest.mark.parametrize("function", [halfway, antithetic])
def test_twenty_lines_are_enough(function):
    assert len(inspect.getsource(function).splitlines()) < 20


@pytest.mark.usefixtures("own")
def test_it_is_listed_made_by_name_and_its_knobs_are_checked():
    assert {"halfway", "antithetic"} < set(estimators.names())
    assert "halfway" in estimators.names(relaxations=True)
    assert "antithetic" not in estimators.names(relaxations=True)
    assert repr(estimators.make("halfway", share=0.9)) == "halfway(tau=1.0, share=0.9)"
    assert repr(estimators.make("antithetic", pairs=2.0)) == "antithetic(pairs=2)"
    assert estimators.make("antithetic", pairs=3).evaluations(CARDINALITIES) == 6
    for name, bad in {"halfway": {"share": 1.0}, "antithetic": {"pairs": 0}}.items():
        with pytest.raises(ValueError, match=f"{next(iter(bad))} must be"):
            estimators.make(name, **bad)
        with pytest.raises(ValueError, match=f"{name} has no knob 'decay'"):
            estimators.make(name).change(decay=0.5)
    with pytest.raises(ValueError, match="halfway"):
        estimators.make("half_way")


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("name", ["halfway", "antithetic"])
def test_it_passes_the_same_door_and_trains_measures_and_decodes_like_the_others(
    name, net1, dataset
):
    estimator = estimators.make(name, entropy_penalty=0.01)
    net0 = RowPredictor(dataset.signal.shape[1], net1, width=8)
    steps = fit_predictor(net0, net1, dataset, estimator, steps=3, batch=16).run()
    assert all(step.loss > 0 for step in steps)
    assert estimator.state == ({"calls": 3} if name == "antithetic" else {})
    decode(net0, dataset.signal[:3], net1, decoder="search", estimator=estimator)
    logits = torch.tensor([[0.0, -torch.inf, 1.0, 0.0, 0.0, 1.0, 2.0, 3.0]], dtype=torch.float16)
    point = estimator.simplex(logits, cardinalities=CARDINALITIES)
    assert point.dtype == torch.float16
    assert point[0, 1] == 0
    cost = torch.arange(8.0)
    found = ruler.measure(
        {"own": estimator}, logits.float(), lambda s: s @ cost, CARDINALITIES, draws=40
    )
    assert found.loc["own", "evaluations"] == estimator.evaluations(CARDINALITIES)


def test_names_are_those_of_the_relaxations_and_then_the_others():
    relaxations = estimators.names(relaxations=True)
    assert estimators.names()[: len(relaxations)] == relaxations
    assert len(set(estimators.names())) == len(estimators.names()) == 26


@pytest.mark.parametrize("name", estimators.names())
def test_every_estimator_declares_its_gradient_bias_source_head_and_cost(name):
    made = estimators.make(name)
    assert made.gradient
    assert made.source
    assert made.bias in ("exact", "unbiased", "biased", "other")
    assert made.evaluations(CARDINALITIES) >= 1
    assert made.head in ("logits", "embedding")
    assert inspect.getdoc(made.rule.function)
    assert estimators.make(name, entropy_penalty=0.1).bias == "other"
