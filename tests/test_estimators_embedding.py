"""Heads that output embeddings, against explicit gradients; the entropy penalty on either head."""

import pytest
import torch
from torch.distributions import Categorical

from tabkit import Objective, RowEncoder, SquaredDistance, estimators, freeze
from tabkit.estimators.embedding import rotate
from tabkit.simplex import argmax_codes

SNAPPED = ["vq_straight_through", "rotation_trick"]


@pytest.fixture
def double_net1(dataset):
    return freeze(
        RowEncoder(dataset.schema, Z=3, width=16, depth=1, D=4, embedding_std=None)
    ).double()


@pytest.fixture
def objective(double_net1, dataset, generator):
    rows = dataset.rows[dataset.test[:20]]
    target = torch.randn(20, 3, generator=generator).double()
    continuous = rows.continuous.double().requires_grad_()
    return SquaredDistance(double_net1, continuous, target, rows.codes)


@pytest.fixture
def embedded(double_net1, generator):
    """(20, 16): between the categories and beyond them."""
    shape = (20, double_net1.embedding.out_features)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()


def estimate(estimator, logits, objective, seed=0):
    """Value and gradient of the logits, or of the embedding."""
    loss = estimator(
        logits,
        objective,
        cardinalities=objective.net1.cardinalities,
        generator=torch.Generator().manual_seed(seed),
    )
    inputs = (logits, objective.continuous)
    found = torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)
    assert (found[1] != 0).any()
    return loss.detach(), found[0]


def slope_at(objective, embedded):
    """The gradient of the mean loss at a point that is held fixed."""
    point = embedded.detach().clone().requires_grad_()
    return torch.autograd.grad(objective.embedded(point).mean(), point)[0]


def nearest(objective, embedded):
    """The nearest category's embedding by cdist, and its code."""
    tables = [t.weight for t in objective.net1.embedding.tables]
    columns = zip(embedded.detach().split(objective.widths, 1), tables, strict=True)
    return torch.cat([t[torch.cdist(e, t).argmin(1)] for e, t in columns], 1)


def rotation(e, q):
    """The matrix that turns e to q in their plane and leaves all that is orthogonal to it."""
    u, v = e / e.norm(), q / q.norm()
    w = v - (u @ v) * u
    w = w / w.norm()
    cos, sin = u @ v, v @ w
    plane, turn = torch.outer(u, u) + torch.outer(w, w), torch.outer(w, u) - torch.outer(u, w)
    return torch.eye(len(e)).to(e) + (cos - 1) * plane + sin * turn


def test_direct_embedding_has_the_loss_of_the_embedding_and_its_gradient(objective, embedded):
    loss, gradient = estimate(estimators.make("direct_embedding"), embedded, objective)
    torch.testing.assert_close(loss, objective.embedded(embedded).mean().detach())
    torch.testing.assert_close(gradient, slope_at(objective, embedded))


@pytest.mark.parametrize("name", SNAPPED)
def test_snapping_heads_hand_over_the_nearest_embedding_to_the_last_bit(
    name, objective, embedded, monkeypatch
):
    handed, through = [], objective.embedded
    monkeypatch.setattr(objective, "embedded", lambda e: handed.append(e.detach()) or through(e))
    loss, _ = estimate(estimators.make(name), embedded, objective)
    assert torch.equal(handed[0], nearest(objective, embedded))
    codes = argmax_codes(objective.distances(embedded), objective.net1.cardinalities)
    assert torch.equal(loss, objective(codes).mean().detach())


@pytest.mark.parametrize("commitment", [0, 0.25, 3.0])
def test_vq_passes_the_gradient_at_the_category_and_adds_the_commitment(
    objective, embedded, commitment
):
    estimator = estimators.make("vq_straight_through", commitment=commitment)
    q = nearest(objective, embedded)
    drawn = 2 * commitment * (embedded.detach() - q) / len(q)
    _, gradient = estimate(estimator, embedded, objective)
    torch.testing.assert_close(gradient, slope_at(objective, q) + drawn)


@pytest.mark.parametrize("commitment", [0, 1.0])
def test_rotation_turns_the_gradient_back_scales_it_and_adds_the_commitment(
    objective, embedded, commitment
):
    q = nearest(objective, embedded)
    slope, expected = slope_at(objective, q), torch.zeros_like(q)
    for row in range(len(q)):
        for place in torch.arange(q.shape[1]).split(objective.widths):
            e, to = embedded.detach()[row, place], q[row, place]
            expected[row, place] = to.norm() / e.norm() * rotation(e, to).T @ slope[row, place]
    expected += 2 * commitment * (embedded.detach() - q) / len(q)
    estimator = estimators.make("rotation_trick", commitment=commitment)
    torch.testing.assert_close(estimate(estimator, embedded, objective)[1], expected)


def matrix_of(e, q):
    """The Jacobian of `rotate` at one point."""
    jacobian = torch.autograd.functional.jacobian(lambda x: rotate(x, q[None]), e[None])
    return jacobian[0, :, 0, :]


def test_the_rotation_is_orthogonal_turns_e_to_q_and_is_a_constant(generator):
    for e, q in torch.randn(20, 2, 5, generator=generator, dtype=torch.float64):
        scaled = matrix_of(e, q)
        turn = scaled * e.norm() / q.norm()
        torch.testing.assert_close(turn @ turn.T, torch.eye(5).double())
        torch.testing.assert_close(turn.det(), torch.tensor(1.0).double())
        torch.testing.assert_close(scaled @ e, q)
        torch.testing.assert_close(turn, rotation(e, q))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_rotation_is_finite_where_no_shortest_one_exists(dtype):
    q = torch.tensor([3.0, 0.0, 4.0], dtype=dtype)
    for e in (0 * q, -q, q, -2 * q, 1e-9 * q, 1e4 * q):
        assert matrix_of(e, q).isfinite().all()
        assert matrix_of(q, e).isfinite().all()
    torch.testing.assert_close(matrix_of(q, q), torch.eye(3, dtype=dtype))
    opposite = matrix_of(-q, q)
    torch.testing.assert_close(opposite @ -q, q)
    torch.testing.assert_close(opposite @ opposite.T, torch.eye(3, dtype=dtype))


@pytest.mark.parametrize("name", SNAPPED)
def test_snapping_heads_train_from_zero_and_from_a_category(name, objective):
    """From every category, and from 0, where the direction of the embedding is not known."""
    codes = torch.zeros(20, len(objective.widths), dtype=torch.int64)
    for start in (objective.net1.embedding(codes), torch.zeros(20, sum(objective.widths)).double()):
        loss, gradient = estimate(estimators.make(name), start.requires_grad_(), objective)
        assert loss.isfinite()
        assert gradient.isfinite().all()
        assert (gradient != 0).any()


def test_an_objective_says_what_it_lacks(embedded):
    class Free(Objective):
        def __init__(self):
            pass

        def embedded(self, e):
            return e.sum(1)

    class Measured(Free):
        def distances(self, e):
            return -e.square()

    def loss(name, objective, **knobs):
        return estimators.make(name, **knobs)(embedded, objective, cardinalities=(8, 8))

    assert loss("direct_embedding", Free()).isfinite()
    assert loss("direct_embedding", Measured(), entropy_penalty=0.1).isfinite()
    with pytest.raises(TypeError, match=r"Free knows no embedding tables.*distances\(e\)"):
        loss("direct_embedding", Free(), entropy_penalty=0.1)
    for name in SNAPPED:
        with pytest.raises(TypeError, match="Free knows no embedding tables"):
            loss(name, Free())
        with pytest.raises(TypeError, match=r"Measured has no method snap\(e\)"):
            loss(name, Measured())


def nats(logits, cardinalities):
    """The entropy by torch's own distributions: summed over columns, mean over rows."""
    return sum(Categorical(logits=b).entropy() for b in logits.split(cardinalities, 1)).mean()


def test_entropy_is_that_of_the_distribution(generator):
    logits = 3 * torch.randn(9, 8, generator=generator)
    found = estimators.entropy(logits, (3, 1, 4))
    torch.testing.assert_close(found.mean(), nats(logits, (3, 1, 4)))


@pytest.mark.parametrize("name", estimators.names())
@pytest.mark.parametrize("penalty", [0.7, -0.2])
def test_the_penalty_adds_exactly_its_gradient_and_leaves_the_value(
    name, penalty, objective, embedded, generator
):
    """On an embedding, the entropy is that of softmax(- squared distances)."""
    cardinalities = objective.net1.cardinalities
    plain, penalised = estimators.make(name), estimators.make(name, entropy_penalty=penalty)
    logits, view = embedded, objective.distances
    if plain.head == "logits":
        logits = torch.randn(20, sum(cardinalities), generator=generator).double().requires_grad_()
        view = lambda x: x  # noqa: E731
    (added,) = torch.autograd.grad(penalty * nats(view(logits), cardinalities), logits)
    expected, found = (estimate(e, logits, objective) for e in (plain, penalised))
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=0)
    torch.testing.assert_close(found[1], expected[1] + added)
    assert (penalised.head, penalised.source) == (plain.head, plain.source)
    assert penalised.evaluations(cardinalities) == plain.evaluations(cardinalities)
    assert penalised.bias == "other"


def test_a_masked_category_has_no_share_in_the_entropy():
    logits = torch.tensor([[0.0, float("-inf"), 0.0], [0.0, float("-inf"), float("-inf")]])
    logits = logits.requires_grad_()
    found = estimators.entropy(logits, (3,))
    torch.testing.assert_close(found, torch.tensor([2.0, 1.0]).log())
    assert torch.equal(torch.autograd.grad(found.sum(), logits)[0], torch.zeros(2, 3))


def test_the_penalty_is_a_knob_beside_the_estimators_own():
    penalised = estimators.make("rebar", tau=0.4, entropy_penalty=0.1)
    penalised.change(entropy_penalty=0.3, tau=0.2)
    assert penalised.knobs == {"tau": 0.2, "eta": 1.0, "decay": 0.99, "entropy_penalty": 0.3}
    for bad in ({"entropy_penalty": float("nan"), "tau": 1.0}, {"entropy_penalty": 1.0, "tau": 0}):
        before = penalised.knobs
        with pytest.raises(ValueError, match=r"entropy_penalty must|tau must"):
            penalised.change(**bad)
        assert penalised.knobs == before


def test_snapping_twice_is_snapping_once(objective, embedded):
    snapped = objective.snap(embedded)
    assert torch.equal(objective.snap(snapped), snapped)
