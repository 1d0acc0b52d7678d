"""net1 is frozen but not deaf: no parameter moves, and gradients pass through it to net0."""

import pytest
import torch

from tabkit import RowEncoder, RowPredictor, SquaredDistance, freeze
from tabkit.nets import encode_rows, is_frozen
from tabkit.schema import one_hot_simplex


@pytest.fixture
def rows(dataset):
    return dataset.rows[dataset.test[:9]]


def test_codes_their_simplex_and_their_embedding_have_one_output(net1, dataset, rows):
    simplex = one_hot_simplex(rows.codes, dataset.schema.cardinalities)
    by_code = net1(rows.codes, rows.continuous)
    torch.testing.assert_close(by_code, net1(simplex, rows.continuous))
    embedded = net1.embedding(rows.codes)
    assert torch.equal(by_code, net1.embedded(embedded, rows.continuous))


def test_gradients_pass_through_a_frozen_net_to_the_simplex(net1, dataset, rows):
    simplex = one_hot_simplex(rows.codes, dataset.schema.cardinalities).requires_grad_()
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


@pytest.mark.parametrize("head", ["logits", "embedding"])
def test_net0_predicts_whole_rows(net1, dataset, head):
    net0 = RowPredictor(dataset.signal.shape[1], net1, head=head, width=8)
    signal = dataset.signal[:5]
    prediction = net0(signal)
    assert net0.logits(prediction, net1).shape == (5, dataset.schema.width)
    predicted = net0.decode(signal, net1)
    dataset.schema.check_codes(predicted.codes)
    assert dataset.schema.decode(predicted).shape == (5, 6)
    assert torch.equal(predicted.continuous, prediction.continuous)


def test_an_embedding_head_decodes_to_the_nearest_category(net1, dataset, rows):
    net0 = RowPredictor(dataset.signal.shape[1], net1, head="embedding", width=8)
    near = net1.embedding(rows.codes) + 1e-4
    logits = net0.logits(net0(dataset.signal[:9])._replace(categorical=near), net1)
    codes = [b.argmax(1) for b in logits.split(dataset.schema.cardinalities, 1)]
    assert torch.equal(torch.stack(codes, 1), rows.codes)


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
    assert not net0.decode(dataset.signal[:3], net1).continuous.requires_grad
