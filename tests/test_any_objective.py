"""Any objective: a frozen net scores rows, a classifier's loss, sums; in training and decoding."""

import itertools

import pytest
import torch
from torch import nn

from tabkit import RowPredictor, SquaredDistance, decode, estimators, fit_predictor, freeze
from tabkit.nets import encode_rows
from tabkit.simplex import one_hot


class Scorer(nn.Module):
    """Scores a row in a context: categories help or harm each other, and the context decides."""

    def __init__(self, dataset, out_features=1):
        super().__init__()
        self.cardinalities = tuple(dataset.schema.cardinalities)
        self.continuous_features = len(dataset.schema.continuous)
        draw = torch.Generator().manual_seed(0)
        sizes = {"row": sum(self.cardinalities), "context": dataset.signal.shape[1], "numbers": 2}
        for name, size in sizes.items():
            scale = 0.5 if name == "context" else 1.0
            setattr(self, name, nn.Parameter(scale * torch.randn(size, 24, generator=draw)))
        self.out = nn.Parameter(torch.randn(24, out_features, generator=draw))

    def forward(self, categorical, continuous):
        if not categorical.is_floating_point():
            categorical = one_hot(categorical, self.cardinalities)
        return (categorical @ self.row + continuous @ self.numbers).tanh() @ self.out

    def score(self, categorical, context):
        return ((categorical @ self.row + context @ self.context).tanh() @ self.out).squeeze(1)


@pytest.fixture
def scorer(dataset):
    return freeze(Scorer(dataset))


def predictor(dataset, net1):
    return RowPredictor(dataset.signal.shape[1], net1, width=64)


def in_context(net1, batch):
    """The score to be maximised, for what net0 saw."""
    return lambda simplex: -net1.score(simplex, batch.signal)


@pytest.mark.parametrize(
    ("name", "penalty"),
    [("softmax", 0.0), ("straight_through_gumbel", 0.0), ("leave_one_out", -0.5)],
)
def test_a_generator_proposes_rows_of_high_score(dataset, scorer, name, penalty):
    """Of the way from a random row to the best of all: 90% by argmax, 99% by a search after it.

    That is more than the best row for all contexts, which is where an unbiased estimator ends if
    nothing holds its entropy up.
    """
    net0, estimator = predictor(dataset, scorer), estimators.make(name, entropy_penalty=penalty)
    sizes = {"steps": 200, "batch": 64, "lr": 0.01}
    fit_predictor(net0, scorer, dataset, estimator, objective=in_context, **sizes).run()
    context, K = dataset.signal[dataset.test], dataset.schema.cardinalities
    every = torch.tensor(list(itertools.product(*map(range, K))))
    scores = torch.stack(
        [scorer.score(one_hot(row.expand(len(context), -1), K), context) for row in every]
    )
    random, best = scores.mean(), scores.amax(dim=0).mean()

    def share(score):
        return (score.mean() - random) / (best - random)

    def found(**options):
        rows = decode(net0, context, scorer, **options)
        return share(scorer.score(one_hot(rows.codes, K), context))

    assert share(scores.mean(dim=1).max()) < 0.87
    assert found() > 0.9
    assert found(decoder="search", objective=in_context) > 0.99


def test_the_numbers_are_trained_by_it_too(dataset, scorer):
    """As in the docstring of `fit_predictor`."""

    def objective(net1, batch):
        return lambda simplex: -net1(simplex, batch.continuous).squeeze(1)

    net0 = predictor(dataset, scorer)
    steps = fit_predictor(
        net0, scorer, dataset, estimators.make("softmax"), objective=objective, steps=150, batch=64
    ).run()
    assert steps[-1].loss < steps[0].loss - 3
    rows = decode(net0, dataset.signal, scorer)
    others = rows.continuous.roll(7, 0) + torch.tensor([1.0, -1.0])
    assert scorer(rows.codes, rows.continuous).mean() > scorer(rows.codes, others).mean()


def test_a_classifiers_loss_brings_rows_of_the_class_that_the_signal_wants(dataset):
    classifier = freeze(Scorer(dataset, out_features=3))

    def objective(net1, batch):
        wanted = batch.signal[:, :3].argmax(dim=1)
        return lambda simplex: nn.functional.cross_entropy(
            net1(simplex, batch.continuous), wanted, reduction="none"
        )

    net0, estimator = predictor(dataset, classifier), estimators.make("gumbel_softmax")
    sizes = {"steps": 100, "batch": 64, "lr": 0.01}
    fit_predictor(net0, classifier, dataset, estimator, objective=objective, **sizes).run()
    signal = dataset.signal[dataset.test]
    rows = decode(net0, signal, classifier)
    found = classifier(rows.codes, rows.continuous).argmax(dim=1)
    assert (found == signal[:, :3].argmax(dim=1)).double().mean() > 0.9


def test_a_sum_of_two_costs_what_the_two_cost(dataset, net1):
    """In the first step, before they part."""

    def near(net1, batch):
        return SquaredDistance(net1, batch.continuous, encode_rows(net1, batch.rows))

    def first(net1, batch):
        return lambda simplex: simplex[:, 0]

    def both(net1, batch):
        one, other = near(net1, batch), first(net1, batch)
        return lambda simplex: one(simplex) + 3 * other(simplex)

    def loss(objective):
        fit = fit_predictor(
            predictor(dataset, net1),
            net1,
            dataset,
            estimators.make("softmax"),
            objective=objective,
            batch=32,
        )
        return next(fit).loss

    assert loss(near) == pytest.approx(loss(None), rel=1e-5)
    assert loss(both) == pytest.approx(loss(near) + 3 * loss(first), rel=1e-5)


def test_an_objective_gets_the_rows_of_its_batch_and_its_micro_batches(dataset, net1):
    seen = []

    def objective(net, batch):
        seen.append(batch)
        return lambda simplex: simplex.square().sum(dim=1)

    net0 = predictor(dataset, net1)
    fit = fit_predictor(
        net0,
        net1,
        dataset,
        estimators.make("softmax"),
        objective=objective,
        steps=2,
        batch=10,
        micro_batch=4,
    )
    fit.run()
    assert [len(batch.index) for batch in seen] == [4, 4, 2] * 2
    for batch in seen:
        assert torch.equal(batch.signal, dataset.signal[batch.index])
        assert torch.equal(batch.rows.codes, dataset.rows.codes[batch.index])
        assert batch.continuous.shape == (len(batch.index), 2)
    decode(net0, dataset.signal[:3], net1, decoder="search", objective=objective)
    assert (seen[-1].rows, seen[-1].index) == (None, None)


@pytest.mark.parametrize("name", ["softmax", "leave_one_out"])
def test_a_loss_that_is_no_loss_per_row_is_told(dataset, net1, name):
    for wrong in (lambda s: s.mean(), lambda s: s[:, :1]):
        fit = fit_predictor(
            predictor(dataset, net1),
            net1,
            dataset,
            estimators.make(name),
            objective=lambda net1, batch, wrong=wrong: wrong,
        )
        with pytest.raises(ValueError, match="one loss per row"):
            next(fit)


def test_what_an_estimator_needs_more_is_told(dataset, net1):
    """A loss of embeddings for the embedding heads; the true codes come with the batch."""

    def fit(name):
        estimator = estimators.make(name)
        net0 = RowPredictor(dataset.signal.shape[1], net1, head=estimator.head)
        return fit_predictor(
            net0, net1, dataset, estimator, objective=lambda net1, batch: lambda s: s.sum(dim=1)
        )

    assert next(fit("cross_entropy")).loss > 0
    with pytest.raises(TypeError, match="embedded"):
        next(fit("direct_embedding"))


def test_decoding_by_an_objective_keeps_what_is_not_allowed_out(dataset, net1):
    """The best category of each column is forbidden: the next best one comes."""
    K = dataset.schema.cardinalities
    prices = torch.cat([torch.arange(float(k)) for k in K])
    allowed = prices > 0
    rows = decode(
        predictor(dataset, net1),
        dataset.signal[:20],
        net1,
        decoder="search",
        objective=lambda net1, batch: lambda simplex: simplex @ prices,
        allowed=allowed,
    )
    assert (rows.codes == 1).all()
