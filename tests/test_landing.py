"""Where predictions land: distances by loops, gaps by hand, in the tables and behind a layer."""

import numpy as np
import pytest
import torch

from tabkit import (
    RowEncoder,
    RowPredictor,
    SquaredDistance,
    decode,
    decoders,
    estimators,
    freeze,
    inspection,
    planted,
)
from tabkit.nets import embedded, encode_rows, logits_of
from tabkit.simplex import blocks as blocks_of

EVERY = (
    "softmax",
    "straight_through_argmax",
    "gumbel_softmax",
    "direct_embedding",
    "rotation_trick",
)


@pytest.fixture
def land(dataset, net1):
    """The landing of an untrained net0's predictions for 30 test rows."""

    def landed(name="softmax", *, net1=net1, sharp=1.0, **options):
        estimator = estimators.make(name)
        net0 = RowPredictor(dataset.signal.shape[1], net1, head=estimator.head, width=16)
        with torch.no_grad():
            net0.mlp[-1].weight *= sharp
        return net0, inspection.landing(
            net0, net1, dataset, estimator, dataset.test[:30], **options
        )

    return landed


def behind(net1, column, points):
    """Embeddings of one column, all other inputs 0, behind net1's own first layer."""
    D = net1.embedding.widths[column]
    rest = net1.mlp[0].in_features - (column + 1) * D
    return net1.mlp[0](torch.nn.functional.pad(points, (column * D, rest))).detach()


def by_hand(found, first_layer):
    """Distances (B, K) of each column, one row and one category at a time."""
    tables = []
    net1 = found.handed.net1
    for c, table in enumerate(net1.embedding.tables):
        own, other = found.handed.embedding.split(net1.embedding.widths, dim=1)[c], table.weight
        if first_layer:
            own, other = (behind(net1, c, x) for x in (own, other))
        rows = [[(e - w).square().sum().sqrt().item() for w in other] for e in own]
        between = [[(v - w).square().sum().sqrt().item() for w in other] for v in other]
        np.fill_diagonal(between := np.array(between), np.inf)
        tables.append((np.array(rows), between.min(axis=1).mean()))
    return tables


@pytest.mark.parametrize("first_layer", [False, True])
@pytest.mark.parametrize("name", EVERY)
def test_distances_are_those_of_a_plain_loop(land, dataset, name, first_layer):
    net0, found = land(name)
    table = found.distances(first_layer=first_layer)
    assert table.index.tolist() == [c.name for c in dataset.schema.categorical]
    prediction = net0(dataset.signal[dataset.test[:30]])
    logits = logits_of(net0, found.handed.net1, prediction).detach()
    blocks = blocks_of(logits, dataset.schema.cardinalities)
    for (_, row), (every, spacing), block in zip(
        table.iterrows(), by_hand(found, first_layer), blocks, strict=True
    ):
        decoded = block.argmax(dim=1).numpy()
        assert row["spacing"] == pytest.approx(spacing, rel=1e-4)
        assert row["to_nearest"] == pytest.approx(every.min(1).mean() / spacing, rel=1e-4, abs=1e-5)
        to_decoded = every[np.arange(30), decoded].mean() / spacing
        assert row["to_decoded"] == pytest.approx(to_decoded, rel=1e-4, abs=1e-5)
        same = (every.argmin(axis=1) == decoded).mean()
        assert row["nearest_is_decoded"] == pytest.approx(same)
        shares = block.softmax(dim=1).max(dim=1).values
        assert row["largest_share"] == pytest.approx(shares.mean().item(), rel=1e-5)


def test_the_two_ways_to_measure_disagree(land):
    """Else the tests above could not tell them apart."""
    _, found = land()
    table, layer = found.distances(), found.distances(first_layer=True)
    assert not np.allclose(table["to_nearest"], layer["to_nearest"], rtol=0.01)
    assert not torch.equal(
        decoders.decoder_of("table")(found.handed).codes,
        decoders.decoder_of("first_layer")(found.handed).codes,
    )


@pytest.mark.parametrize("name", EVERY)
def test_what_is_handed_over_is_what_net1_gets_in_training(land, dataset, name):
    net0, found = land(name, seed=3)
    net1, signal, seen = found.handed.net1, dataset.signal[dataset.test[:30]], []

    class Watched(SquaredDistance):
        def loss(self, categorical):
            seen.append(net1.embedding(categorical))
            return super().loss(categorical)

        def embedded(self, e):
            seen.append(e)
            return super().embedded(e)

    logits, numbers = net0(signal)
    objective = Watched(net1, numbers, encode_rows(net1, dataset.rows[dataset.test[:30]]))
    draws, K = torch.Generator().manual_seed(3), dataset.schema.cardinalities
    estimators.make(name)(logits, objective, cardinalities=K, generator=draws)
    assert torch.equal(torch.cat(found.points(), dim=1), seen[0])
    assert torch.equal(found.decoded, decode(net0, signal, net1).codes)
    for own, table in zip(found.tables(), net1.embedding.tables, strict=True):
        assert torch.equal(own, table.weight)


@pytest.mark.parametrize("first_layer", [False, True])
def test_points_and_tables_have_the_distances_behind_the_layer(land, first_layer):
    _, found = land()
    seen = zip(
        found.points(first_layer=first_layer), found.tables(first_layer=first_layer), strict=True
    )
    for (points, table), (every, _) in zip(seen, by_hand(found, first_layer), strict=True):
        apart = (points[:, None] - table).norm(dim=2)
        np.testing.assert_allclose(apart.numpy(), every, rtol=1e-4, atol=1e-6)


def test_only_what_samples_depends_on_the_seed(land):
    for name in EVERY:
        a, b, c = (land(name, seed=seed)[1].handed.embedding for seed in (0, 0, 1))
        assert torch.equal(a, b)
        assert torch.equal(a, c) == (name != "gumbel_softmax")


def test_decided_mixtures_lie_at_their_category(land):
    _, found = land(sharp=1e4)
    for first_layer in (False, True):
        table = found.distances(first_layer=first_layer)
        assert (table["to_nearest"] < 0.05).all()
        assert (table["nearest_is_decoded"] > 0.95).all()
        assert (table["largest_share"] > 0.95).all()


@pytest.mark.parametrize("name", ["straight_through_argmax", "rotation_trick", "leave_one_out"])
def test_a_hard_row_lies_at_itself_and_has_no_gap(land, name):
    """Of an estimator that is no relaxation, the decoded row is taken."""
    _, found = land(name)
    rows, falls = found.rows(), found.gap_by_column()
    np.testing.assert_allclose(rows, 0, atol=1e-4)
    np.testing.assert_allclose(falls, 0, atol=1e-6)
    for first_layer in (False, True):
        table = found.distances(first_layer=first_layer)
        np.testing.assert_allclose(table[["to_nearest", "to_decoded"]], 0, atol=1e-5)
        assert (table["nearest_is_decoded"] == 1).all()


@pytest.mark.parametrize("name", ["softmax", "direct_embedding"])
def test_the_gap_of_a_row_is_its_decoded_minus_its_relaxed_loss(land, dataset, name):
    net0, found = land(name)
    rows, index = found.rows(), dataset.test[:30]
    prediction = net0(dataset.signal[index])
    net1 = found.handed.net1
    target = encode_rows(net1, dataset.rows[index])
    decoded = net1(found.decoded, prediction.continuous)
    relaxed = embedded(net1, found.handed.embedding, prediction.continuous)
    gap = (decoded - target).square().sum(dim=1) - (relaxed - target).square().sum(dim=1)
    np.testing.assert_allclose(rows["gap"], gap.detach(), rtol=1e-4, atol=1e-5)
    tables = [every for every, _ in by_hand(found, True)]
    nearest = sum(every.min(axis=1) ** 2 for every in tables) ** 0.5
    own = zip(tables, found.decoded.T.numpy(), strict=True)
    to_decoded = sum(every[np.arange(30), codes] ** 2 for every, codes in own) ** 0.5
    np.testing.assert_allclose(rows["to_nearest"], nearest, rtol=1e-4)
    np.testing.assert_allclose(rows["to_decoded"], to_decoded, rtol=1e-4)
    assert (rows["to_decoded"] - rows["to_nearest"]).max() > 1e-3


def test_the_fall_of_a_column_is_what_snapping_it_alone_saves(land, dataset):
    _, found = land()
    falls = found.gap_by_column()
    assert falls.index.tolist() == [c.name for c in dataset.schema.categorical]
    before = found.objective(found.decoded).mean().item()
    for c, (every, _) in enumerate(by_hand(found, True)):
        codes = found.decoded.clone()
        codes[:, c] = torch.from_numpy(every.argmin(axis=1))
        assert falls.iloc[c] == pytest.approx(
            before - found.objective(codes).mean().item(), abs=1e-5
        )
    assert falls.abs().max() > 1e-3


def test_with_one_column_its_fall_is_that_of_the_whole_row():
    data = planted(300, categorical=1, continuous=1, cardinality=(6, 6))
    net1 = freeze(RowEncoder(data.schema, width=16, D=4, embedding_std=None))
    net0 = RowPredictor(data.signal.shape[1], net1, width=16)
    found = inspection.landing(net0, net1, data, estimators.make("softmax"), data.test)
    snapped = decoders.decoder_of("first_layer")(found.handed).codes
    whole = found.objective(found.decoded).mean() - found.objective(snapped).mean()
    assert found.gap_by_column().item() == pytest.approx(whole.item(), abs=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_nothing_needs_a_gradient_and_no_stream_is_drawn_from(land, dataset, name):
    """Not even if net1 is not frozen."""
    before = torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist()
    _, found = land(name, net1=RowEncoder(dataset.schema, width=16, D=4, embedding_std=None))
    found.distances(), found.rows(), found.gap_by_column()
    handed, objective = found.handed, found.objective
    parts = [handed.embedding, handed.logits, objective.target, objective.continuous]
    for first_layer in (False, True):
        parts += found.points(first_layer=first_layer) + found.tables(first_layer=first_layer)
    assert not any(part.requires_grad for part in parts)
    assert (torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist()) == before


def test_the_objective_is_that_of_the_same_rows(land, dataset):
    net0, found = land()
    index = dataset.test[:30]
    codes = dataset.rows.codes[index]
    truth = SquaredDistance(
        found.handed.net1, dataset.rows.continuous[index], found.objective.target
    )
    torch.testing.assert_close(truth(codes), torch.zeros(30))
    prediction = net0(dataset.signal[index])
    assert torch.equal(found.objective.continuous, prediction.continuous)
