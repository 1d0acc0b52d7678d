"""Local search, the decoders that use it, and where mixtures lie."""

import pytest
import torch

from tabkit import RowPredictor, SquaredDistance, compare, decode, decoders, estimators, inspection
from tabkit.nets import encode_rows
from tabkit.simplex import one_hot


@pytest.fixture
def net0(dataset, net1):
    return RowPredictor(dataset.signal.shape[1], net1, width=16)


@pytest.fixture
def objective(dataset, net1):
    rows, other = dataset.rows[dataset.test[:20]], dataset.rows[dataset.train[:20]]
    return SquaredDistance(net1, rows.continuous, encode_rows(net1, other))


def neighbours(codes, cardinalities):
    """Every row that differs from one row in one category."""
    for c, width in enumerate(cardinalities):
        for k in range(width):
            other = codes.clone()
            other[c] = k
            yield other


def test_the_search_ends_where_no_neighbour_is_better(dataset, objective):
    cardinalities = dataset.schema.cardinalities
    start = dataset.rows.codes[dataset.test[:20]]
    found, loss = decoders.local_search(start, objective, cardinalities)
    torch.testing.assert_close(loss, objective(found))
    assert (loss <= objective(start) + 1e-6).all()
    assert (loss < objective(start) - 1e-3).any()
    for row in range(20):
        around = torch.stack(list(neighbours(found[row], cardinalities)))
        one = objective.at(torch.full((len(around),), row))
        assert (one(around) >= loss[row] - 1e-5).all()


def test_the_search_finds_the_optimum_of_a_separable_loss(dataset, generator):
    cardinalities = dataset.schema.cardinalities
    weights = torch.randn(sum(cardinalities), generator=generator)
    start = dataset.rows.codes[:50]
    _, loss = decoders.local_search(start, lambda simplex: simplex @ weights, cardinalities)
    best = sum(block.min() for block in weights.split(cardinalities))
    torch.testing.assert_close(loss, best.expand(50))


def test_leaving_out_rows_that_have_arrived_changes_nothing(dataset, objective):
    cardinalities, start = dataset.schema.cardinalities, dataset.rows.codes[:20]
    a = decoders.local_search(start, objective, cardinalities)
    b = decoders.local_search(start, objective.__call__, cardinalities)
    assert torch.equal(a[0], b[0])


def test_the_search_takes_only_what_is_allowed(dataset, objective):
    """With all but the row's own categories and one more forbidden, only that one may come in."""
    cardinalities, start = dataset.schema.cardinalities, dataset.rows.codes[:20]
    allowed = one_hot(start, cardinalities).bool()
    kept, loss = decoders.local_search(start, objective, cardinalities, allowed=allowed)
    assert torch.equal(kept, start)
    allowed[:, 0] = True
    found, better = decoders.local_search(start, objective, cardinalities, allowed=allowed)
    assert torch.equal(found[:, 1:], start[:, 1:])
    assert ((found[:, 0] == start[:, 0]) | (found[:, 0] == 0)).all()
    assert (found[:, 0] != start[:, 0]).any()
    assert (better <= loss).all()


def test_the_objective_gets_simplexes_of_the_wanted_type(dataset, objective):
    seen = []

    def typed(simplex):
        seen.append(simplex.dtype)
        return simplex.sum(dim=1)

    cardinalities, start = dataset.schema.cardinalities, dataset.rows.codes[:5]
    decoders.local_search(start, typed, cardinalities, dtype=torch.float64)
    assert set(seen) == {torch.float64}
    with pytest.raises(ValueError, match=r"of shape \(5,\)"):
        decoders.local_search(start, lambda simplex: simplex.sum(), cardinalities)


def test_no_round_leaves_the_rows_as_they_are(dataset, objective):
    start = dataset.rows.codes[:20]
    found, loss = decoders.local_search(start, objective, dataset.schema.cardinalities, rounds=0)
    assert torch.equal(found, start)
    torch.testing.assert_close(loss, objective(start))


@pytest.mark.parametrize(
    "name", ["softmax", "straight_through_argmax", "direct_embedding", "rotation_trick"]
)
def test_decoders_stand_in_their_order(name, net1, dataset):
    estimator = estimators.make(name)
    net0 = RowPredictor(dataset.signal.shape[1], net1, head=estimator.head, width=16)
    found = compare.by_decoder(net0, net1, dataset, estimator, rows=40)
    assert found["decode_best"] < found["decode_argmax"]
    rows = decode(net0, dataset.signal[dataset.test[:40]], net1)
    target = encode_rows(net1, dataset.rows[dataset.test[:40]])
    by_hand = SquaredDistance(net1, rows.continuous, target)(rows.codes).mean().item()
    assert found["decode_argmax"] == pytest.approx(by_hand, rel=1e-5)
    if name != "softmax":  # a hard row is nearest to itself; an embedding is decoded by snapping
        assert found["decode_table"] == pytest.approx(by_hand, rel=1e-5)
    handed = inspection.landing(net0, net1, dataset, estimator, dataset.test[:40])
    seen = zip(handed.points(first_layer=True), handed.tables(first_layer=True), strict=True)
    codes = torch.stack([torch.cdist(p, t).argmin(dim=1) for p, t in seen], dim=1)
    snapped = SquaredDistance(net1, rows.continuous, target)(codes).mean().item()
    assert found["decode_first_layer"] == pytest.approx(snapped, rel=1e-5)
    assert found["decode_best"] < found["decode_first_layer"]
    if name in ("straight_through_argmax", "rotation_trick"):
        assert found["decode_first_layer"] == pytest.approx(by_hand, rel=1e-5)
        assert found["decode_search"] == pytest.approx(by_hand, rel=1e-5)
    else:
        assert found["decode_first_layer"] != pytest.approx(by_hand, rel=1e-5)


def test_the_search_comes_nearer_to_the_mixture_than_the_argmax(net0, net1, dataset):
    found = inspection.reach(net0, net1, dataset, estimators.make("softmax"), dataset.test[:40])
    assert 0 <= found["search"] < 0.9 * found["argmax"]
    vertex = inspection.reach(
        net0, net1, dataset, estimators.make("hard_argmax"), dataset.test[:40]
    )
    assert vertex["argmax"] == pytest.approx(0, abs=1e-10)


def test_mixtures_that_are_decided_lie_at_their_category(net0, net1, dataset):
    with torch.no_grad():
        net0.mlp[-1].weight *= 1e4
    estimator = estimators.make("softmax")
    found = inspection.landing(net0, net1, dataset, estimator, dataset.test).distances()
    assert found.index.tolist() == [c.name for c in dataset.schema.categorical]
    assert (found["to_nearest"] < 0.05).all()
    assert (found["nearest_is_decoded"] > 0.95).all()
    for table, gap in zip(net1.embedding.tables, found["spacing"], strict=True):
        pairs = (table.weight[:, None] - table.weight[None]).norm(dim=2)
        nearest = pairs[~torch.eye(len(pairs), dtype=torch.bool)].reshape(len(pairs), -1).min(dim=1)
        assert gap == pytest.approx(nearest.values.mean().item(), rel=1e-3)


def test_the_walk_goes_from_one_hard_row_to_the_other(net1, dataset):
    rows = dataset.rows[dataset.test[:1]]
    path = inspection.walk(net1, rows, 1, 0, 2, points=5)
    first, second = path.iloc[0], path.iloc[-1]
    assert [first.to_first, second.to_second] == pytest.approx([0, 0], abs=1e-3)
    assert (first.nearest, second.nearest) == (0, 2)
    assert (path["to_nearest"] <= path[["to_first", "to_second"]].min(axis=1) + 1e-6).all()
    cardinalities = dataset.schema.cardinalities
    ends = rows.codes.repeat(2, 1)
    ends[:, 1] = torch.tensor([0, 2])
    outputs = net1(one_hot(ends, cardinalities), rows.continuous.expand(2, -1))
    apart = (outputs[0] - outputs[1]).norm().item()
    assert first.to_second == pytest.approx(apart, rel=1e-3)
