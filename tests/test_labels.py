"""label_weight: cross-entropy of the true codes with any estimator; rows told from true ones."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tabkit import (
    Objective,
    RowEncoder,
    RowPredictor,
    Rows,
    SquaredDistance,
    compare,
    decode,
    estimators,
    fit_jointly,
    fit_predictor,
    freeze,
)
from tabkit.compare import parse_spec
from tabkit.train import Cosine

K = (3, 1, 4)
CODES = torch.tensor([[0, 0, 3], [2, 0, 1], [1, 0, 0], [2, 0, 2]])
WEIGHT = 0.3
LOGITS = [n for n in estimators.names() if estimators.make(n).head == "logits"]
GUMBEL = "straight_through_gumbel"


def objective(codes=CODES):
    made = Objective(lambda simplex: (simplex @ torch.arange(8.0).to(simplex)).square())
    made.codes = codes
    return made


def drawn(seed=0):
    made = torch.Generator().manual_seed(seed)
    return torch.randn(len(CODES), sum(K), generator=made, dtype=torch.float64).requires_grad_()


def estimate(estimator, logits, given, cardinalities=K):
    """Value and gradient."""
    noise = torch.Generator().manual_seed(0)
    loss = estimator(logits, given, cardinalities=cardinalities, generator=noise)
    return loss.detach(), torch.autograd.grad(loss, logits)[0]


def nats(logits, codes=CODES, cardinalities=K):
    """By hand: minus the log-chance of each true category, summed over columns, mean over rows."""
    total = 0.0
    for block, truth in zip(logits.split(cardinalities, 1), codes.T, strict=True):
        for row, code in zip(block, truth, strict=True):
            total = total - (row[code].exp() / row.exp().sum()).log()
    return total / len(codes)


@pytest.mark.parametrize("name", LOGITS)
def test_it_adds_exactly_the_gradient_of_the_nats_and_leaves_the_value(name):
    logits = drawn()
    plain, weighted = estimators.make(name), estimators.make(name, label_weight=WEIGHT)
    expected, found = (estimate(e, logits, objective()) for e in (plain, weighted))
    (added,) = torch.autograd.grad(WEIGHT * nats(logits), logits)
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=0)
    torch.testing.assert_close(found[1], expected[1] + added)
    assert weighted.bias == "other"
    assert "cross-entropy" in weighted.gradient


@pytest.mark.parametrize("name", sorted({*estimators.names()} - {*LOGITS}))
def test_on_an_embedding_the_logits_are_minus_the_squared_distances(name, net1, dataset):
    rows = dataset.rows[:9]
    given = SquaredDistance(net1, rows.continuous, torch.zeros(9, 3), rows.codes)
    draw = torch.Generator().manual_seed(0)
    embedded = torch.randn(9, sum(given.widths), generator=draw).requires_grad_()
    cardinalities = tuple(dataset.schema.cardinalities)
    plain, weighted = estimators.make(name), estimators.make(name, label_weight=WEIGHT)
    expected, found = (estimate(e, embedded, given, cardinalities) for e in (plain, weighted))
    by_hand = nats(given.distances(embedded), rows.codes, cardinalities)
    (added,) = torch.autograd.grad(WEIGHT * by_hand, embedded)
    torch.testing.assert_close(found[1], expected[1] + added)


def test_a_weight_of_0_is_bitwise_as_without_and_asks_for_no_codes():
    logits, unlabelled = drawn(), objective(None)
    expected = estimate(estimators.make(GUMBEL), logits, unlabelled)
    zero = estimators.make(GUMBEL, label_weight=0)
    found = estimate(zero, logits, unlabelled)
    assert all(map(torch.equal, found, expected))
    assert zero.bias == "biased"
    with pytest.raises(TypeError, match="label_weight need an objective with the true codes"):
        estimate(estimators.make(GUMBEL, label_weight=0.1), logits, unlabelled)


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
def test_a_weight_below_0_or_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="label_weight must be a finite number of at least 0"):
        estimators.make("softmax", label_weight=bad)


@pytest.mark.parametrize("name", ["softmax", GUMBEL, "cross_entropy"])
def test_a_label_that_is_masked_is_left_out_and_the_others_are_as_before(name):
    """The first row's last column: nothing there pulls, neither to the label nor from it."""
    masked = drawn().detach()
    masked[0, 4 + CODES[0, 2]] = -math.inf
    masked = masked.requires_grad_()
    plain = estimators.make("hard_argmax" if name == "cross_entropy" else name)
    weighted = estimators.make(name, **({} if name == "cross_entropy" else {"label_weight": 1.0}))
    loss, gradient = estimate(weighted, masked, objective())
    added = gradient - estimate(plain, masked, objective())[1]
    assert loss.isfinite()
    assert (added[0, 4:] == 0).all()
    (expected,) = torch.autograd.grad(nats(masked), masked)
    torch.testing.assert_close(added[1:], expected[1:])
    torch.testing.assert_close(
        added[0, :4], torch.tensor([*softmax_less(masked[0, :3]), 0.0]).double()
    )


def softmax_less(block):
    """The cross-entropy's gradient in a block whose truth is the first, of a mean over 4 rows."""
    p = block.detach().softmax(0)
    return ((p - torch.tensor([1.0, 0.0, 0.0])) / len(CODES)).tolist()


def predictor(data, net1, **options):
    return RowPredictor(data.signal.shape[1], net1, width=16, **options)


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def trained(data, net1, estimator, **options):
    net0 = predictor(data, net1)
    options = {"steps": 5, "batch": 20, "lr": 0.01} | options
    steps = fit_predictor(net0, net1, data, estimator, **options).run()
    return weights(net0), [step.loss for step in steps]


LABELLED = {"label_weight": 0.5}


def test_labels_of_a_fixed_column_do_not_matter(own):
    """Whatever the true port is, a net0 that may say only JFK learns the same."""
    net1 = freeze(RowEncoder(own.schema, Z=3, width=8, depth=1, D=4, embedding_std=None))
    price = torch.arange(7.0)

    def cost(net1, batch):
        return lambda simplex: simplex @ price

    def found(port):
        codes = own.rows.codes.clone()
        codes[:, 0] = port
        data = replace(own, rows=Rows(codes, own.rows.continuous))
        softmax, fixed = estimators.make("softmax", **LABELLED), {"port": "JFK"}
        return trained(data, net1, softmax, objective=cost, fixed=fixed, unseen=True)[0]

    assert torch.equal(found(0), found(1))
    assert torch.equal(found(2), found(1))


def test_the_loop_gives_a_function_of_ones_own_the_true_codes(dataset, net1):
    """So that rows come out right where the function says nothing."""

    def nothing(net1, batch):
        return lambda simplex: 0 * simplex.sum(dim=1)

    net0 = predictor(dataset, net1)
    estimator = estimators.make("softmax", label_weight=1.0)
    sizes = {"steps": 150, "batch": 64, "lr": 0.01}
    fit_predictor(net0, net1, dataset, estimator, objective=nothing, **sizes).run()
    rows, index = decode(net0, dataset.signal[dataset.train], net1), dataset.train
    right = (rows.codes == dataset.rows.codes[index]).double().mean()
    likeliest = sum(compare.scores.majority_accuracy(dataset, index).values()) / 4
    assert right > likeliest + 0.2


def test_an_objectives_own_codes_are_kept_and_it_is_not_changed(dataset, net1):
    made = []

    def cost(net1, batch):
        made.append(Objective(lambda simplex: simplex.sum(dim=1)))
        if len(made) > 1:
            made[-1].codes = batch.rows.codes.flip(0)
        return made[-1]

    seen = []

    class Spy(estimators.Estimator):
        def __call__(self, logits, objective, **options):
            seen.append(objective.codes)
            return super().__call__(logits, objective, **options)

    spy = Spy(estimators.make("softmax").rule, dict(LABELLED))
    trained(dataset, net1, spy, objective=cost, steps=2)
    assert made[0].codes is None
    assert seen[0].shape == (20, 4)
    assert seen[1] is made[1].codes


def test_micro_batches_train_as_the_whole_batch(dataset, net1):
    softmax = estimators.make("softmax", **LABELLED)
    whole, parts = (trained(dataset, net1, softmax, micro_batch=m)[0] for m in (None, 8))
    torch.testing.assert_close(parts, whole, rtol=1e-3, atol=1e-4)


def test_a_run_picks_up_bitwise_and_a_checkpoint_of_another_weight_is_refused(
    dataset, net1, tmp_path
):
    def fit(file, **knobs):
        estimator, net0 = estimators.make(GUMBEL, **knobs), predictor(dataset, net1)
        options = {"steps": 6, "batch": 16, "checkpoint": file}
        return fit_predictor(net0, net1, dataset, estimator, **options), net0

    whole, net0 = fit(None, **LABELLED)
    expected = [step.loss for step in whole], weights(net0)
    file = tmp_path / "loop.pt"
    first, _ = fit(file, **LABELLED)
    next(first), next(first)
    first.close()
    with pytest.raises(ValueError, match=r"another run.*label_weight=0.5"):
        next(fit(file)[0])
    second, net0 = fit(file, **LABELLED)
    assert [step.loss for step in second] == expected[0]
    assert torch.equal(weights(net0), expected[1])


def test_a_run_without_labels_has_the_name_that_older_checkpoints_know():
    assert repr(estimators.make("softmax")) == "softmax(tau=1.0)"


def test_it_works_in_joint_training_by_schedule_and_as_a_spec(dataset):
    net1 = RowEncoder(dataset.schema, Z=3, width=16, depth=1, D=4, embedding_std=None)
    estimator, schedules = parse_spec(f"{GUMBEL}:label_weight=cosine/0.1/0")
    assert schedules == {"label_weight": Cosine(0.1, 0.0)}
    options = {"steps": 3, "batch": 32, "schedules": schedules}
    steps = fit_jointly(predictor(dataset, net1), net1, dataset, estimator, **options).run()
    assert len(steps) == 3
    assert estimator.knobs["label_weight"] == 0.0


def sampled(rows, seed, shift=False):
    """Two columns of 4 and 3 categories that go together, and a number; shifted, they do not."""
    draw = torch.Generator().manual_seed(seed)
    first = torch.randint(4, (rows,), generator=draw)
    second = first.remainder(3)
    if shift:
        second = second[torch.randperm(rows, generator=draw)]
    return Rows(torch.stack([first, second], dim=1), torch.randn(rows, 1, generator=draw))


def test_equal_distributions_are_told_apart_by_chance_alone():
    """The mean of 10 within 4 standard errors of a half, each within 4 of its own."""
    found = [compare.two_sample(sampled(800, s), sampled(800, 99 + s), seed=s) for s in range(10)]
    assert abs(sum(f.accuracy for f in found) / 10 - 0.5) < 4 * 0.5 / math.sqrt(10 * 800)
    assert all(abs(f.accuracy - 0.5) < 4 * f.error for f in found)


def test_rows_whose_columns_go_together_wrongly_are_told():
    """Each column alone is as it should be; the best classifier tells rows that break the rule."""
    true, wrong = sampled(2_000, 0), sampled(2_000, 1, shift=True)
    seen = (wrong.codes[:, 1] != wrong.codes[:, 0].remainder(3)).double().mean().item()
    found = compare.two_sample(true, wrong)
    assert found.accuracy == pytest.approx((1 + seen) / 2, abs=4 * found.error)
    assert found.error == pytest.approx(0.5 * math.sqrt(seen * (1 - seen) / 1000), rel=0.2)


def test_a_copy_of_the_true_rows_is_never_told_and_numbers_only_where_asked():
    rows = sampled(400, 0)
    assert compare.two_sample(rows, rows) == (0.5, 0.0)
    moved = Rows(rows.codes, rows.continuous + 50)
    assert compare.two_sample(rows, moved) == (0.5, 0.0)
    assert compare.two_sample(rows, moved, numbers=True).accuracy > 0.99


def test_the_same_seed_gives_the_same_answer_and_the_global_streams_are_left_alone():
    pair, before = (sampled(300, 0), sampled(300, 1)), np.random.get_state()[1].tolist()
    position, torchs = np.random.get_state()[2], torch.get_rng_state()
    found = [compare.two_sample(*pair, seed=seed) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert np.random.get_state()[1].tolist() == before
    assert np.random.get_state()[2] == position
    assert torch.equal(torch.get_rng_state(), torchs)


def test_a_column_of_very_many_categories_is_read_too():
    codes = torch.arange(600)[:, None] % 400
    true, other = (Rows(codes + shift, torch.zeros(600, 0)) for shift in (0, 400))
    assert compare.two_sample(true, other).accuracy > 0.95


def test_samples_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="as many true rows as predicted"):
        compare.two_sample(sampled(50, 0), sampled(60, 0))
    with pytest.raises(ValueError, match="39 rows are too few to tell: give 40"):
        compare.two_sample(sampled(39, 0), sampled(39, 0))
