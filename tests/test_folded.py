"""Folding changes the cost of net1, not its function; the oracle is net1 as it was trained."""

import pytest
import torch
from torch import nn

from tabkit import (
    RowEncoder,
    RowPredictor,
    SoftEmbedding,
    SquaredDistance,
    estimators,
    fit_predictor,
    freeze,
)
from tabkit.embedding import FoldedLinear
from tabkit.estimators.enumeration import try_columns
from tabkit.nets import FoldedEncoder, encode_rows, objective
from tabkit.schema import DataError, one_hot_simplex
from tabkit.train import run

CARDINALITIES = (3, 1, 4)


def layers(N=2, bias=True, dtype=torch.float64):
    embedding = SoftEmbedding.from_embeddings([nn.Embedding(k, 2 + k) for k in CARDINALITIES])
    linear = nn.Linear(embedding.out_features + N, 7, bias=bias)
    return embedding.to(dtype), linear.to(dtype)


def whole(embedding, linear, categorical, continuous):
    return linear(torch.cat([embedding(categorical), continuous], dim=1))


def simplex_of(rows, generator):
    blocks = [torch.rand(rows, k, generator=generator, dtype=torch.float64) for k in CARDINALITIES]
    return torch.cat([b / b.sum(1, keepdim=True) for b in blocks], 1)


def narrow(N, bias):
    """Embeddings so narrow that tables and weight are cheaper apart."""
    tables = [nn.Embedding(k, 1) for k in CARDINALITIES]
    embedding = SoftEmbedding.from_embeddings(tables).double()
    return embedding, nn.Linear(3 + N, 7, bias=bias).double()


@pytest.mark.parametrize("N", [0, 2])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 5])
@pytest.mark.parametrize("make", [layers, narrow])
@pytest.mark.parametrize("feature_major", [True, False])
def test_a_simplex_and_its_gradient_are_those_of_the_two_layers(
    N, bias, rows, make, feature_major, generator
):
    embedding, linear = make(N, bias)
    folded = FoldedLinear(embedding, linear)
    assert (folded.layout is not None) == (make is narrow)
    simplex = simplex_of(rows, generator)
    simplex = (simplex.T.contiguous().T if feature_major else simplex).requires_grad_()
    continuous = torch.rand(rows, N, generator=generator, dtype=torch.float64).requires_grad_()
    found, expected = folded(simplex, continuous), whole(embedding, linear, simplex, continuous)
    torch.testing.assert_close(found, expected)
    slope = torch.rand(expected.shape, generator=generator, dtype=torch.float64)
    for one, other in zip(
        torch.autograd.grad(found, (simplex, continuous), slope),
        torch.autograd.grad(expected, (simplex, continuous), slope),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
    assert not any(True for _ in folded.parameters())


def test_codes_have_the_output_of_their_vertices(generator):
    embedding, linear = layers()
    folded = FoldedLinear(embedding, linear)
    codes = torch.tensor([[0, 0, 3], [2, 0, 0]])
    continuous = torch.rand(2, 2, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(
        folded(codes, continuous), whole(embedding, linear, codes, continuous)
    )


def test_exchanging_a_category_is_encoding_the_other_row(generator):
    embedding, linear = layers()
    folded = FoldedLinear(embedding, linear)
    codes, continuous = torch.tensor([[0, 0, 3], [2, 0, 0]]), torch.zeros(2, 2).double()
    output = folded(codes, continuous)
    for column, width in enumerate(CARDINALITIES):
        every = folded.exchanged(output, codes, column)
        assert every.shape == (2, width, 7)
        for category in range(width):
            other = codes.clone()
            other[:, column] = category
            expected = folded(other, continuous)
            torch.testing.assert_close(every[:, category], expected)
            chosen = folded.exchanged(output, codes, column, torch.full((2, 1), category))
            torch.testing.assert_close(chosen[:, 0], expected)


def test_bad_input_is_refused_unless_nobody_asks():
    embedding, linear = layers()
    off, continuous = torch.zeros(1, 8).double(), torch.zeros(1, 2).double()
    with pytest.raises(DataError, match="sums to this"):
        FoldedLinear(embedding, linear)(off, continuous)
    with pytest.raises(DataError, match="lies in 0 to"):
        FoldedLinear(embedding, linear)(torch.tensor([[3, 0, 0]]), continuous)
    assert FoldedLinear(embedding, linear, validate_args=False)(off, continuous).shape == (1, 7)


def test_a_linear_layer_that_is_too_narrow_is_refused():
    with pytest.raises(ValueError, match=r"14 wide.*13 inputs"):
        FoldedLinear(layers()[0], nn.Linear(13, 2))


@pytest.fixture
def rows(dataset):
    return dataset.rows[dataset.test[:9]]


def test_a_folded_net1_has_net1s_output(net1, dataset, rows):
    folded = net1.folded()
    simplex = one_hot_simplex(rows.codes, dataset.schema.cardinalities)
    expected = net1(rows.codes, rows.continuous)
    torch.testing.assert_close(folded(rows.codes, rows.continuous), expected)
    torch.testing.assert_close(folded(simplex, rows.continuous), expected)
    torch.testing.assert_close(encode_rows(folded, rows), encode_rows(net1, rows))
    assert isinstance(folded, FoldedEncoder)
    assert folded.folded() is folded


def test_folding_takes_net1_as_it_is_now(net1, rows):
    before, folded = net1(rows.codes, rows.continuous), net1.folded()
    with torch.no_grad():
        net1.embedding.tables[0].weight.add_(1.0)
    torch.testing.assert_close(folded(rows.codes, rows.continuous), before)
    assert not torch.allclose(net1(rows.codes, rows.continuous), before)


def test_a_layer_with_one_output_is_folded_at_its_weights_of_now():
    embedding, linear = SoftEmbedding((3, 2), 4), nn.Linear(8 + 2, 1)
    folded, given = FoldedLinear(embedding, linear), (torch.tensor([[2, 0]]), torch.ones(1, 2))
    before = folded(*given)
    nn.init.constant_(linear.weight, 100.0)
    assert torch.equal(folded(*given), before)


@pytest.mark.parametrize("D", [2, 64])
def test_the_fewer_multiplications_are_taken(D):
    folded = FoldedLinear(SoftEmbedding((30, 20), D), nn.Linear(2 * D, 10))
    groups = sum(part.numel() for part in folded.buffers() if part.shape[-1] != 10)
    assert folded.multiplications["folded"] == 50 * 10
    assert (folded.layout is None) == (D == 64)
    if D == 2:  # two tables of one group, block-diagonal, and the offsets
        assert folded.multiplications["apart"] == groups - 2 + 2 * D * 10


@pytest.mark.parametrize("D", [2, 64])
@pytest.mark.parametrize("name", ["softmax", "straight_through_gumbel"])
def test_autocast_trains_nearly_the_same(D, name, dataset):
    net1 = freeze(RowEncoder(dataset.schema, D=D))
    folded, K = net1.folded(validate_args=False), dataset.schema.cardinalities
    net0 = RowPredictor(dataset.signal.shape[1], net1, width=32)
    target, gradients = encode_rows(net1, dataset.rows), []
    for on in (False, True):
        net0.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=on):
            logits, continuous = net0(dataset.signal)
            loss = estimators.make(name)(
                logits,
                SquaredDistance(folded, continuous, target),
                cardinalities=K,
                generator=torch.Generator().manual_seed(0),
            )
        assert logits.dtype == (torch.bfloat16 if on else torch.float32)
        loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in net0.parameters()]))
    assert torch.cosine_similarity(*gradients, dim=0) > 0.98


@pytest.fixture
def distance(dataset, net1, rows):
    other = dataset.rows[dataset.train[:9]]
    return SquaredDistance(net1, rows.continuous, encode_rows(net1, other))


@pytest.mark.parametrize("together", [1, 7, 10_000])
def test_tried_categories_cost_what_whole_rows_cost(distance, dataset, rows, together, monkeypatch):
    monkeypatch.setattr(objective, "EXCHANGES", together)
    cardinalities = dataset.schema.cardinalities
    row = one_hot_simplex(rows.codes, cardinalities)
    by_exchange = try_columns(row, distance(row), distance, cardinalities)
    by_row = try_columns(row, distance(row), distance.__call__, cardinalities)
    torch.testing.assert_close(by_exchange, by_row)
    chosen = distance.exchanges(rows.codes)(0, torch.tensor([[1, 0]]).expand(9, 2))
    torch.testing.assert_close(chosen, by_row[:, [1, 0]])
    assert distance.exchanges(rows.codes)(0, torch.empty(9, 0, dtype=torch.int64)).shape == (9, 0)


@pytest.mark.parametrize("name", ["indecater", "top_k_sample", "leave_one_out"])
def test_estimators_that_exchange_have_the_gradient_of_those_that_do_not(
    name, distance, dataset, generator
):
    cardinalities = dataset.schema.cardinalities
    logits = torch.randn(9, sum(cardinalities), generator=generator, requires_grad=True)
    found = []
    for cost in (distance, distance.__call__):
        loss = estimators.make(name)(
            logits, cost, cardinalities=cardinalities, generator=torch.Generator().manual_seed(1)
        )
        found.append((loss.detach(), torch.autograd.grad(loss, logits)[0]))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


def test_local_search_finds_the_same_rows_by_exchanges(distance, dataset, rows):
    cardinalities = dataset.schema.cardinalities
    found, loss = decoders.local_search(rows.codes, distance, cardinalities)
    same, cost = decoders.local_search(rows.codes, distance.__call__, cardinalities)
    assert torch.equal(found, same)
    torch.testing.assert_close(loss, cost)


@pytest.mark.parametrize("name", ["softmax", "gumbel_softmax", "straight_through_argmax"])
def test_micro_batches_train_the_net_of_the_whole_batch(name, dataset, net1):
    def trained(micro_batch):
        net0 = RowPredictor(dataset.signal.shape[1], net1, width=16)
        steps = fit_predictor(
            net0,
            net1,
            dataset,
            estimators.make(name),
            steps=3,
            batch=50,
            micro_batch=micro_batch,
            decode_every=1,
        )
        return list(steps), torch.nn.utils.parameters_to_vector(net0.parameters())

    (whole_steps, whole_net), (steps, net) = trained(None), trained(7)
    torch.testing.assert_close(net, whole_net, rtol=1e-3, atol=1e-4)
    for one, other in zip(steps, whole_steps, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-4)
        assert one.decoded == pytest.approx(other.decoded, rel=1e-4)


def test_a_micro_batch_below_one_is_refused(dataset, net1):
    net0 = RowPredictor(dataset.signal.shape[1], net1, width=16)
    with pytest.raises(ValueError, match="micro_batch must be at least 1, not -1"):
        run(fit_predictor(net0, net1, dataset, estimators.make("softmax"), micro_batch=-1))


@pytest.mark.parametrize("steps", [1, 100])
def test_targets_are_the_same_encoded_at_once_or_step_by_step(steps, dataset, net1):
    """100 steps of 50 rows see each row about once, and encode all of them first."""
    net0 = RowPredictor(dataset.signal.shape[1], net1, width=16)
    first = next(
        fit_predictor(net0, net1, dataset, estimators.make("softmax"), steps=steps, batch=50)
    )
    net0 = RowPredictor(dataset.signal.shape[1], net1, width=16)
    index = dataset.train[
        torch.randint(len(dataset.train), (50,), generator=torch.Generator().manual_seed(0))
    ]
    rows, prediction = dataset.rows[index], net0(dataset.signal[index])
    cost = SquaredDistance(net1, prediction.continuous, encode_rows(net1, rows))
    simplex = torch.cat(
        [b.softmax(1) for b in prediction.categorical.split(dataset.schema.cardinalities, 1)], 1
    )
    assert first.loss == pytest.approx(cost(simplex).mean().item(), rel=1e-5)


@pytest.mark.parametrize("head", ["logits", "embedding"])
def test_rows_are_decoded_in_batches_as_at_once(head, dataset, net1):
    net0 = RowPredictor(dataset.signal.shape[1], net1, head=head, width=16)
    whole, parts = (net0.decode(dataset.signal, net1, batch=b) for b in (10_000, 70))
    assert torch.equal(parts.codes, whole.codes)
    torch.testing.assert_close(parts.continuous, whole.continuous)
    assert len(net0.decode(dataset.signal[:0], net1)) == 0


@pytest.mark.parametrize("head", ["logits", "embedding"])
def test_net0s_two_outputs_and_their_gradients_are_those_of_its_layers(head, dataset, net1):
    net0 = RowPredictor(dataset.signal.shape[1], net1, head=head, width=16).double()
    signal, slopes = dataset.signal[:7].double().requires_grad_(), []
    expected = net0.mlp(signal).split(net0.sizes, dim=1)
    for part in expected:
        slopes.append(torch.rand_like(part))
    given = tuple(net0(signal))
    torch.testing.assert_close(given, expected)
    inputs = [signal, *net0.parameters()]
    for one, other in zip(
        torch.autograd.grad(given, inputs, slopes),
        torch.autograd.grad(expected, inputs, slopes),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("D", [1, 8, 16, 32])
def test_folding_shares_no_memory_with_what_was_folded(D):
    embedding = SoftEmbedding((70, 2, 90), D)
    linear = nn.Linear(3 * D + 1, 40)
    folded = FoldedLinear(embedding, linear)
    own = {b.untyped_storage().data_ptr() for b in folded.buffers()}
    given = [*embedding.parameters(), *linear.parameters()]
    assert not own & {p.untyped_storage().data_ptr() for p in given}
