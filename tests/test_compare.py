"""Scores mean what they say."""

import pytest

from tabkit import (
    RowEncoder,
    RowPredictor,
    SquaredDistance,
    compare,
    decode,
    estimators,
    fit_predictor,
)
from tabkit.nets import encode_rows
from tabkit.train import Step


@pytest.fixture
def net0(dataset, net1):
    return RowPredictor(dataset.signal.shape[1], net1, width=16)


@pytest.fixture
def trained(net0):
    def make(name, seed, relaxed, decoded):
        found = compare.Score(relaxed, decoded, {"a": 0.5}, 0.1)
        return compare.Trained(name, seed, net0, [Step(1, 1, 0.0, 2.5)], found, found)

    return make


@pytest.mark.parametrize("name", ["hard_argmax", "straight_through_argmax", "cross_entropy"])
def test_estimators_at_the_decoded_row_have_no_gap(name, net0, net1, dataset):
    found = compare.score(net0, net1, dataset, estimators.make(name), dataset.test)
    assert found.gap == pytest.approx(0, abs=1e-6)


def test_the_decoded_loss_is_that_of_the_decoded_rows(net0, net1, dataset):
    found = compare.score(net0, net1, dataset, estimators.make("softmax"), dataset.test)
    rows = decode(net0, dataset.signal[dataset.test], net1)
    target = encode_rows(net1, dataset.rows[dataset.test])
    by_hand = SquaredDistance(net1, rows.continuous, target)(rows.codes).mean().item()
    assert found.decoded == pytest.approx(by_hand, rel=1e-5)
    assert found.gap == pytest.approx(found.decoded - found.relaxed)


def test_restarts_of_rows_that_are_handed_over_as_rows_cost_one_search(net0, net1, dataset):
    hard, soft = (
        compare.by_decoder(net0, net1, dataset, estimators.make(name), rows=20)
        for name in ("straight_through_gumbel", "softmax")
    )
    assert hard["evaluations_restarts"] == hard["evaluations_search"] > 0
    assert soft["evaluations_restarts"] > 5 * soft["evaluations_search"]


def test_the_seed_decides_the_noise_of_a_score(net0, net1, dataset):
    gumbel = estimators.make("gumbel_softmax")
    a, b, c = (compare.score(net0, net1, dataset, gumbel, dataset.test, seed=s) for s in (0, 0, 1))
    assert a.relaxed == b.relaxed != c.relaxed
    assert a.decoded == c.decoded


def test_training_again_on_a_finished_checkpoint_gives_the_same_result(net1, dataset, tmp_path):
    def train():
        softmax = estimators.make("softmax")
        file = tmp_path / "net0.pt"
        return compare.train_and_score(
            softmax, net1, dataset, name="softmax", steps=5, checkpoint=file
        )

    first, second = train(), train()
    assert first.test == second.test
    assert list(first.steps) == list(second.steps)
    assert first.seconds == second.seconds > 0


def test_accuracy_is_counted_by_column(net0, net1, dataset):
    found = compare.score(net0, net1, dataset, estimators.make("softmax"), dataset.test)
    codes = decode(net0, dataset.signal[dataset.test], net1).codes
    for c, share in enumerate(found.accuracy.values()):
        true = dataset.rows.codes[dataset.test][:, c].tolist()
        hits = sum(a == b for a, b in zip(codes[:, c].tolist(), true, strict=True))
        assert share == pytest.approx(hits / len(true))
    assert list(found.accuracy) == [c.name for c in dataset.schema.categorical]


def test_labels_teach_columns_better_than_the_majority(net1, dataset):
    net0 = RowPredictor(dataset.signal.shape[1], net1, width=32)
    estimator = estimators.make("cross_entropy")
    fit_predictor(net0, net1, dataset, estimator, steps=200, batch=128).run()
    found = compare.score(net0, net1, dataset, estimator, dataset.test).accuracy
    majority = compare.majority_accuracy(dataset, dataset.test)
    assert all(found[name] > majority[name] for name in found)


def test_a_random_row_costs_twice_the_variance_of_the_outputs(net1, dataset):
    outputs = encode_rows(net1, dataset.rows[dataset.train])
    expected = 2 * outputs.var(0).sum().item()
    found = compare.random_row_loss(net1, dataset, dataset.train)
    assert found == pytest.approx(expected, rel=0.25)


class Oracle(RowEncoder):
    """Finds each row in the data set and returns its outcomes."""

    def forward(self, codes, continuous):
        rows = self.dataset.rows
        same = (rows.codes[None] == codes[:, None]).all(2)
        same &= (rows.continuous[None] == continuous[:, None]).all(2)
        return self.dataset.outcomes[same.float().argmax(1)]


def test_the_correlation_is_one_for_a_net_that_returns_the_outcomes(dataset):
    oracle = Oracle(dataset.schema)
    oracle.dataset = dataset
    found = compare.distance_correlation(oracle, dataset, dataset.test, count=500)
    assert found == pytest.approx(1, abs=1e-5)


def test_the_summary_is_the_mean_over_seeds_best_first(trained):
    results = compare.table(
        [trained("worse", 0, 1.0, 4.0), trained("best", 0, 1.0, 1.0), trained("worse", 1, 3.0, 6.0)]
    )
    summary = compare.summary(results)
    assert summary.index.tolist() == ["best", "worse"]
    worse = summary.loc["worse"]
    assert (worse.test_relaxed, worse.test_decoded, worse.gap) == (2.0, 5.0, 3.0)
    assert worse.test_decoded_se == pytest.approx(1.0)
    assert worse.seconds == 2.5


def test_the_text_names_every_estimator_and_reference(trained):
    summary = compare.summary(compare.table([trained("softmax", 0, 1.0, 4.0)]))
    text = compare.to_text(summary, random_row=4.4, majority={"a": 0.25})
    for part in ("softmax", "4.000", "3.000", "4.40", "0.25", "0.50", "most frequent"):
        assert part in text
