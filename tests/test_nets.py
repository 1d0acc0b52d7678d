"""net1 is frozen but not deaf: no parameter moves, and gradients pass through it to net0."""

import copy
import pickle

import pytest
import torch

from tabkit import RowEncoder, RowPredictor, SquaredDistance, decode, freeze
from tabkit.nets import embedded, encode_rows, first_layer_metrics, folded, is_frozen, logits_of
from tabkit.simplex import argmax_codes, one_hot


@pytest.fixture
def rows(dataset):
    return dataset.rows[dataset.test[:9]]


def test_codes_their_simplex_and_their_embedding_have_one_output(net1, dataset, rows):
    simplex = one_hot(rows.codes, dataset.schema.cardinalities)
    by_code = net1(rows.codes, rows.continuous)
    torch.testing.assert_close(by_code, net1(simplex, rows.continuous))
    assert torch.equal(by_code, embedded(net1, net1.embedding(rows.codes), rows.continuous))


def test_gradients_pass_through_a_frozen_net_to_the_simplex(net1, dataset, rows):
    simplex = one_hot(rows.codes, dataset.schema.cardinalities).requires_grad_()
    continuous = rows.continuous.clone().requires_grad_()
    net1(simplex, continuous).pow(2).sum().backward()
    for gradient in (simplex.grad, continuous.grad):
        assert gradient.isfinite().all()
        assert (gradient != 0).any()
    assert all(p.grad is None for p in net1.parameters())


def test_freeze_and_is_frozen_agree(dataset):
    net = RowEncoder(dataset.schema, width=4)
    assert not is_frozen(net)
    assert is_frozen(freeze(net))
    assert is_frozen(folded(net))
    assert not is_frozen(net.train())


def test_width_depth_Z_and_D_are_the_nets(dataset):  # noqa: N802
    net = RowEncoder(dataset.schema, Z=5, width=7, depth=3, D=2)
    assert net.embedding.widths == (2,) * 4
    assert [layer.out_features for layer in net.mlp[::2]] == [7, 7, 7, 5]


@pytest.mark.parametrize("size", ["Z", "width", "depth", "D"])
def test_sizes_below_one_are_refused(dataset, size):
    with pytest.raises(ValueError, match="at least 1"):
        RowEncoder(dataset.schema, **{size: 0})


def test_a_seed_fixes_the_weights_and_leaves_the_global_stream(dataset):
    before = torch.random.get_rng_state()
    a, b, c = (RowEncoder(dataset.schema, seed=s) for s in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    weights = [torch.cat([p.flatten() for p in net.parameters()]) for net in (a, b, c)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_embeddings_standard_deviation_is_all_that_it_changes(dataset):
    usual = RowEncoder(dataset.schema, width=8, D=4, embedding_std=None)
    small = RowEncoder(dataset.schema, width=8, D=4, embedding_std=0.05)
    for a, b in zip(usual.embedding.tables, small.embedding.tables, strict=True):
        torch.testing.assert_close(b.weight, a.weight * 0.1)
    for a, b in zip(usual.mlp.parameters(), small.mlp.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match=r"std must be .*, not -1"):
        RowEncoder(dataset.schema, embedding_std=-1.0)


def behind(net, column, points):
    """Embeddings of one column, all other inputs 0, behind net's own first layer."""
    D = net.embedding.widths[column]
    rest = net.mlp[0].in_features - (column + 1) * D
    return net.mlp[0](torch.nn.functional.pad(points, (column * D, rest)))


def test_the_first_layers_metrics_give_the_distances_behind_it(net1, generator):
    metrics = first_layer_metrics(net1)
    assert len(metrics) == 4
    for column, metric in enumerate(metrics):
        a, b = torch.randn(2, 50, 4, generator=generator)
        expected = (behind(net1, column, a) - behind(net1, column, b)).norm(dim=1)
        torch.testing.assert_close(((a - b) @ metric.T).norm(dim=1), expected)


def test_the_nearest_categories_in_the_table_and_behind_the_first_layer(net1, rows, generator):
    """Behind the layer itself, by distances of what it outputs."""
    objective = SquaredDistance(net1, rows.continuous, encode_rows(net1, rows))
    own = net1.embedding(rows.codes)
    assert torch.equal(objective.nearest(own), rows.codes)
    assert torch.equal(objective.nearest(own, first_layer=True), rows.codes)
    free = torch.randn(9, 16, generator=generator)
    tables = [t.weight for t in net1.embedding.tables]
    found = {}
    for first_layer in (False, True):
        nearest = []
        for c, (points, table) in enumerate(zip(free.split(4, dim=1), tables, strict=True)):
            ends = [behind(net1, c, x) for x in (points, table)] if first_layer else [points, table]
            nearest.append(torch.cdist(*ends).argmin(dim=1))
        found[first_layer] = objective.nearest(free, first_layer=first_layer)
        assert torch.equal(found[first_layer], torch.stack(nearest, dim=1))
    assert not torch.equal(found[False], found[True])
    torch.testing.assert_close(objective.snap(free), net1.embedding(found[False]))


@pytest.mark.parametrize("head", ["logits", "embedding"])
def test_net0_predicts_whole_rows(net1, dataset, head):
    net0 = RowPredictor(dataset.signal.shape[1], net1, head=head, width=8)
    signal = dataset.signal[:5]
    prediction = net0(signal)
    assert logits_of(net0, net1, prediction).shape == (5, dataset.schema.width)
    predicted = decode(net0, signal, net1)
    dataset.schema.check_codes(predicted.codes)
    assert dataset.schema.decode(predicted).shape == (5, 6)
    assert torch.equal(predicted.continuous, prediction.continuous)


def test_an_embedding_head_decodes_to_the_nearest_category(net1, dataset, rows):
    net0 = RowPredictor(dataset.signal.shape[1], net1, head="embedding", width=8)
    near = net1.embedding(rows.codes) + 1e-4
    logits = logits_of(net0, net1, net0(dataset.signal[:9])._replace(categorical=near))
    assert torch.equal(argmax_codes(logits, dataset.schema.cardinalities), rows.codes)


def test_an_unknown_head_is_refused(net1):
    with pytest.raises(ValueError, match="head must be"):
        RowPredictor(3, net1, head="codes")


def test_the_objective_is_the_squared_distance_and_zero_at_the_true_row(net1, rows):
    target = encode_rows(net1, rows)
    exact = SquaredDistance(net1, rows.continuous, target)(rows.codes)
    torch.testing.assert_close(exact, torch.zeros(9))
    away = SquaredDistance(net1, rows.continuous, target + 2)(rows.codes)
    torch.testing.assert_close(away, torch.full((9,), 4.0 * target.shape[1]))


def test_encoding_in_batches_changes_nothing(net1, rows):
    torch.testing.assert_close(encode_rows(net1, rows, batch=2), encode_rows(net1, rows))


def test_decoding_and_encoding_rows_keep_no_graph(dataset, rows):
    net1 = RowEncoder(dataset.schema, width=8)
    net0 = RowPredictor(dataset.signal.shape[1], net1, width=8)
    assert not encode_rows(net1, rows).requires_grad
    assert not decode(net0, dataset.signal[:3], net1).continuous.requires_grad


@pytest.mark.parametrize("head", ["logits", "embedding"])
def test_what_is_not_allowed_has_a_logit_of_minus_infinity(net1, dataset, head):
    """Also after saving, copying and moving; and it can be allowed again."""
    net0 = RowPredictor(dataset.signal.shape[1], net1, head=head, width=8)
    allowed = torch.arange(dataset.schema.width) % 3 != 0
    before = logits_of(net0, net1, net0(dataset.signal[:5]))
    net0.allow(allowed)
    loaded = RowPredictor(dataset.signal.shape[1], net1, head=head, width=8, seed=1)
    loaded.load_state_dict(net0.state_dict())
    for net in (net0, loaded, copy.deepcopy(net0), pickle.loads(pickle.dumps(net0))):
        prediction = net(dataset.signal[:5])
        logits = logits_of(net, net1, prediction)
        assert (logits[:, ~allowed] == -torch.inf).all()
        assert torch.equal(logits[:, allowed], before[:, allowed])
        if head == "logits":
            assert torch.equal(prediction.categorical, logits)
    net0.allow(torch.ones_like(allowed))
    assert torch.equal(logits_of(net0, net1, net0(dataset.signal[:5])), before)


def test_a_net0_without_its_masked_logits_learns_as_if_they_were_not_there(net1, dataset):
    """No gradient is NaN, and the bias of what is not allowed gets none."""
    net0 = RowPredictor(dataset.signal.shape[1], net1, width=8)
    allowed = torch.arange(dataset.schema.width) % 3 != 0
    net0.allow(allowed)
    shares = [b.softmax(1) for b in net0(dataset.signal[:5])[0].split(net1.cardinalities, 1)]
    torch.cat(shares, 1).square().sum().backward()
    gradient = net0.mlp[-1].bias.grad[: dataset.schema.width]
    assert gradient.isfinite().all()
    assert torch.equal(gradient != 0, allowed & (gradient != 0))
    assert (gradient != 0).any()


def test_torch_compiles_exports_and_maps_the_nets(plain_torch):
    """net1 by codes and simplexes, folded or softened, and net0."""
    assert len(plain_torch["nets"]) == 9
    for name, ways in plain_torch["nets"].items():
        assert set(ways.values()) == {"equal"}, (name, ways)
