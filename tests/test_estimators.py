"""The one contract: a scalar whose value is the relaxed loss and whose backward is the estimate."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from tabkit import SquaredDistance, estimators
from tabkit.schema import argmax_codes, one_hot_simplex

LOGIT_NAMES = [n for n in estimators.names() if n != "direct_embedding"]


@pytest.fixture
def rows(dataset):
    return dataset.rows[dataset.test[:20]]


@pytest.fixture
def continuous(rows):
    return rows.continuous.clone().requires_grad_()


@pytest.fixture
def objective(net1, rows, continuous, generator):
    target = torch.randn(len(rows), 3, generator=generator)
    return SquaredDistance(net1, continuous, target, rows.codes)


@pytest.fixture
def logits(dataset, rows, generator):
    return torch.randn(len(rows), dataset.schema.width, generator=generator).requires_grad_()


def estimate(name, logits, objective, dataset, seed=0):
    return estimators.make(name)(
        logits,
        objective,
        cardinalities=dataset.schema.cardinalities,
        generator=torch.Generator().manual_seed(seed),
    )


@pytest.mark.parametrize("name", LOGIT_NAMES)
def test_every_estimator_trains_the_continuous_outputs(
    name, logits, objective, dataset, continuous
):
    loss = estimate(name, logits, objective, dataset)
    loss.backward()
    assert loss.shape == ()
    assert continuous.grad.isfinite().all()
    assert (continuous.grad != 0).any()


@pytest.mark.parametrize("name", LOGIT_NAMES)
def test_all_but_the_hard_argmax_train_the_logits(name, logits, objective, dataset):
    estimate(name, logits, objective, dataset).backward()
    if name == "hard_argmax":
        assert logits.grad is None
    else:
        assert logits.grad.isfinite().all()
        assert (logits.grad != 0).any()


@pytest.mark.parametrize("name", ["hard_argmax", "straight_through_argmax", "cross_entropy"])
def test_estimators_at_the_decoded_row_have_the_decoded_loss(name, logits, objective, dataset):
    cardinalities = dataset.schema.cardinalities
    decoded = objective(one_hot_simplex(argmax_codes(logits, cardinalities), cardinalities)).mean()
    torch.testing.assert_close(estimate(name, logits, objective, dataset), decoded)


def test_softmax_has_the_mixtures_loss_and_its_gradient(logits, objective, dataset):
    blocks = logits.split(dataset.schema.cardinalities, 1)
    expected = objective(torch.cat([b.softmax(1) for b in blocks], 1)).mean()
    loss = estimate("softmax", logits, objective, dataset)
    assert torch.equal(loss, expected)
    assert torch.equal(
        torch.autograd.grad(loss, logits)[0], torch.autograd.grad(expected, logits)[0]
    )


def test_cross_entropy_has_its_own_gradient(logits, objective, dataset, rows):
    loss = estimate("cross_entropy", logits, objective, dataset)
    blocks = logits.split(dataset.schema.cardinalities, 1)
    nats = sum(cross_entropy(b, rows.codes[:, c]) for c, b in enumerate(blocks))
    torch.testing.assert_close(
        torch.autograd.grad(loss, logits)[0], torch.autograd.grad(nats, logits)[0]
    )


def test_direct_embedding_has_the_objective_of_the_embedding(net1, rows, objective, dataset):
    embedded = net1.embedding(rows.codes).requires_grad_()
    loss = estimate("direct_embedding", embedded, objective, dataset)
    torch.testing.assert_close(loss, objective(rows.codes).mean())
    loss.backward()
    assert (embedded.grad != 0).any()


def test_estimators_take_any_callable_objective(logits, dataset):
    weights = torch.arange(float(dataset.schema.width))
    for name in LOGIT_NAMES[:-1]:
        assert estimate(name, logits, lambda s: s @ weights, dataset).isfinite()


def test_an_objective_that_lacks_what_the_estimator_needs_is_refused(logits, dataset):
    with pytest.raises(TypeError, match="embedded"):
        estimate("direct_embedding", logits, lambda s: s.sum(1), dataset)
    with pytest.raises(TypeError, match="true codes"):
        estimate("cross_entropy", logits, lambda s: s.sum(1), dataset)


@pytest.mark.parametrize("name", estimators.names())
def test_every_estimator_declares_its_gradient_source_head_and_cost(name):
    estimator = estimators.make(name)
    assert estimator.gradient
    assert estimator.source
    assert estimator.evaluations == 1
    assert estimator.head == ("embedding" if name == "direct_embedding" else "logits")


def test_unknown_names_and_knobs_are_refused():
    with pytest.raises(ValueError, match="direct_embedding"):
        estimators.make("softmx")
    with pytest.raises(ValueError, match="no knobs"):
        estimators.make("cross_entropy", tau=1.0)


def test_the_knobs_of_an_estimator_are_those_of_its_relaxation(logits, dataset):
    estimator = estimators.make("softmax")
    estimator.change(tau=0.2)
    assert estimator.knobs == {"tau": 0.2}
    weights = torch.arange(float(dataset.schema.width))
    cardinalities = dataset.schema.cardinalities
    found = estimator(logits, lambda s: s @ weights, cardinalities=cardinalities)
    cold = torch.cat([(b / 0.2).softmax(1) for b in logits.split(cardinalities, 1)], 1)
    torch.testing.assert_close(found, (cold @ weights).mean())
    assert estimators.make("cross_entropy").knobs == {}
