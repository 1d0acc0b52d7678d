"""A code, a one-hot times the table and a Linear are one thing, but for the input's gradient."""

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

from tabkit import DataError, SoftEmbedding
from tabkit.simplex import one_hot as vertices

CARDINALITIES = (5, 2, 7)
D = 3
B = 11


@pytest.fixture
def layer():
    return SoftEmbedding(CARDINALITIES, D, generator=torch.Generator().manual_seed(1)).double()


@pytest.fixture
def codes():
    generator = torch.Generator().manual_seed(2)
    columns = [torch.randint(k, (B,), generator=generator) for k in CARDINALITIES]
    return torch.stack(columns, dim=1)


@pytest.fixture
def simplex(generator):
    logits = torch.randn(B, sum(CARDINALITIES), generator=generator, dtype=torch.float64)
    return torch.cat([b.softmax(1) for b in logits.split(CARDINALITIES, 1)], 1)


def cloned_linears(layer):
    """One bias-free `nn.Linear` per column with a *copy* of its table, transposed."""
    linears = []
    for table, k in zip(layer.tables, CARDINALITIES, strict=True):
        linear = nn.Linear(k, D, bias=False, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(table.weight.T)
        assert linear.weight.data_ptr() != table.weight.data_ptr()
        linears.append(linear)
    return linears


def one_hots(codes):
    """Class counts are given, not inferred: an absent last category must not narrow a block."""
    columns = zip(codes.T, CARDINALITIES, strict=True)
    return [one_hot(c, k).double().requires_grad_() for c, k in columns]


def loss_of(output):
    """Not linear, so that gradients differ between rows and columns."""
    return (output.sin() * torch.arange(1.0, 1 + output.shape[1], dtype=output.dtype)).sum()


def test_lookup_one_hot_product_and_linear_have_one_output(layer, codes):
    linear = torch.cat(
        [f(h) for f, h in zip(cloned_linears(layer), one_hots(codes), strict=True)], 1
    )
    hot = layer(torch.cat(one_hots(codes), 1))
    torch.testing.assert_close(layer(codes), hot, rtol=0, atol=1e-15)
    torch.testing.assert_close(layer(codes), linear, rtol=0, atol=1e-15)


def test_lookup_one_hot_product_and_linear_have_one_weight_gradient(layer, codes):
    linears = cloned_linears(layer)
    loss_of(torch.cat([f(h) for f, h in zip(linears, one_hots(codes), strict=True)], 1)).backward()
    by_code = torch.autograd.grad(loss_of(layer(codes)), list(layer.parameters()))
    by_product = torch.autograd.grad(
        loss_of(layer(torch.cat(one_hots(codes), 1))), list(layer.parameters())
    )
    for code, product, linear in zip(by_code, by_product, linears, strict=True):
        torch.testing.assert_close(code, product, rtol=0, atol=1e-13)
        torch.testing.assert_close(code, linear.weight.grad.T, rtol=0, atol=1e-13)


def test_the_one_hots_own_gradient_is_table_times_g(layer, codes):
    hots = one_hots(codes)
    output = layer(torch.cat(hots, 1))
    output.retain_grad()
    loss_of(output).backward()
    per_column = output.grad.split(D, dim=1)
    for hot, table, g in zip(hots, layer.tables, per_column, strict=True):
        torch.testing.assert_close(hot.grad, g @ table.weight.T, rtol=0, atol=1e-14)
        assert (hot.grad != 0).all()


def test_codes_can_have_no_gradient(layer, codes):
    with pytest.raises(RuntimeError, match="floating point"):
        codes.requires_grad_()
    assert layer(codes).requires_grad  # by the tables alone
    assert not layer.requires_grad_(False)(codes).requires_grad


def test_the_soft_gradient_is_the_numerical_one(layer, simplex):
    layer.validate_args = False  # the numerical check leaves the simplex
    assert torch.autograd.gradcheck(layer, (simplex[:2].requires_grad_(),))


def test_a_simplex_mixes_the_rows_of_its_table(layer, simplex):
    """Against the sum over categories, written out."""
    mixtures = []
    for block, table in zip(simplex.split(CARDINALITIES, 1), layer.tables, strict=True):
        rows = [share[:, None] * row for share, row in zip(block.T, table.weight, strict=True)]
        mixtures.append(sum(rows))
    torch.testing.assert_close(layer(simplex), torch.cat(mixtures, 1))


def test_from_embeddings_shares_the_trained_tables(codes):
    embeddings = [nn.Embedding(k, D) for k in CARDINALITIES]
    layer = SoftEmbedding.from_embeddings(embeddings)
    for embedding, table in zip(embeddings, layer.tables, strict=True):
        assert table.weight is embedding.weight
    expected = torch.cat([e(c) for e, c in zip(embeddings, codes.T, strict=True)], 1)
    assert torch.equal(layer(codes), expected)


def test_from_embeddings_takes_tables_of_different_widths(codes):
    embeddings = [nn.Embedding(k, d) for k, d in zip(CARDINALITIES, (2, 4, 3), strict=True)]
    layer = SoftEmbedding.from_embeddings(embeddings)
    assert layer(codes).shape == (B, 9) == layer(vertices(codes, CARDINALITIES)).shape
    found = layer.negative_distances(layer(codes))
    assert found.shape == (B, sum(CARDINALITIES))


@pytest.mark.parametrize("option", [{"max_norm": 1.0}, {"scale_grad_by_freq": True}])
def test_embeddings_that_are_no_product_are_refused(option):
    with pytest.raises(ValueError, match="max_norm or scale_grad_by_freq"):
        SoftEmbedding.from_embeddings([nn.Embedding(3, 2, **option)])


def test_what_is_no_embedding_is_refused():
    with pytest.raises(TypeError, match="EmbeddingBag"):
        SoftEmbedding.from_embeddings([nn.Embedding(3, 4), nn.EmbeddingBag(3, 4)])


def test_the_nearest_row_of_an_embedded_code_is_the_code(layer, codes):
    scores = layer.negative_distances(layer(codes))
    for c, block in enumerate(scores.split(CARDINALITIES, 1)):
        assert torch.equal(block.argmax(1), codes[:, c])
        assert torch.equal(block.max(1).values, torch.zeros(B, dtype=torch.float64))


def test_negative_distances_are_minus_cdist_squared(layer, simplex):
    embedded = layer(simplex)
    expected = torch.cat(
        [
            -(torch.cdist(e, t.weight) ** 2)
            for e, t in zip(embedded.split(D, 1), layer.tables, strict=True)
        ],
        1,
    )
    torch.testing.assert_close(layer.negative_distances(embedded), expected)


def test_metrics_measure_what_their_matrices_make_of_differences(layer, simplex, generator):
    """``-|M (e - W_k)|^2``, by a loop; the identity changes nothing, a turn almost nothing."""
    embedded = layer(simplex)
    metrics = [torch.randn(D, D, generator=generator, dtype=torch.float64) for _ in CARDINALITIES]
    columns = zip(embedded.split(D, 1), layer.tables, metrics, strict=True)
    rows = [
        torch.stack(
            [-torch.stack([m @ (e - w) for e in points]).square().sum(1) for w in t.weight], 1
        )
        for points, t, m in columns
    ]
    torch.testing.assert_close(layer.negative_distances(embedded, metrics), torch.cat(rows, 1))
    plain = layer.negative_distances(embedded)
    same = [torch.eye(D, dtype=torch.float64)] * 3
    torch.testing.assert_close(layer.negative_distances(embedded, same), plain)
    turns = [torch.linalg.qr(m).Q for m in metrics]
    torch.testing.assert_close(layer.negative_distances(embedded, turns), plain)


def test_wrapping_tables_draws_nothing():
    embeddings = [nn.Embedding(k, D) for k in CARDINALITIES]
    before = torch.random.get_rng_state()
    SoftEmbedding.from_embeddings(embeddings)
    assert torch.equal(before, torch.random.get_rng_state())


def test_rows_of_a_new_table_have_unit_length_on_average(generator):
    (table,) = SoftEmbedding((20_000,), 16, generator=generator).tables
    assert table.weight.pow(2).sum(dim=1).mean().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("std", [0.03, 1.0, 5.0])
def test_the_start_has_the_standard_deviation_asked_for(std):
    """The same draws as at the usual start, on another scale; within 4 standard errors."""
    (table,), (usual,) = (
        SoftEmbedding((5_000,), 16, std=s, generator=torch.Generator().manual_seed(0)).tables
        for s in (std, None)
    )
    assert table.weight.std().item() == pytest.approx(std, rel=4 / (2 * 80_000) ** 0.5)
    torch.testing.assert_close(table.weight, usual.weight * std * 4)


@pytest.mark.parametrize("std", [0.0, -1.0, float("inf"), float("nan")])
def test_a_start_without_scale_is_refused(std):
    with pytest.raises(ValueError, match=f"std must be positive and finite, not {std}"):
        SoftEmbedding((3,), 2, std=std)


def test_checks_can_be_left_out(layer, simplex):
    layer.validate_args = False
    torch.testing.assert_close(layer(2 * simplex), 2 * layer(simplex))


def test_bad_input_is_refused(layer, codes, simplex):
    with pytest.raises(DataError, match="0 to 4"):
        layer(codes.clone().fill_(6))
    with pytest.raises(DataError, match="not to 1"):
        layer(simplex * 2)
    with pytest.raises(DataError, match=r"shape \(B, 14\)"):
        layer(simplex[:, 1:])
    with pytest.raises(TypeError, match=r"the tables torch.float\d\d: simplex.to"):
        layer(simplex.to(torch.float16))
    with pytest.raises(ValueError, match=r"embeddings are \(B, "):
        layer.negative_distances(layer(codes)[:, 1:])
    with pytest.raises(ValueError, match="cardinalities must be"):
        SoftEmbedding((3, True), 2)
    with pytest.raises(ValueError, match="D must be"):
        SoftEmbedding((3,), 0)
    with pytest.raises(ValueError, match="cardinalities"):
        SoftEmbedding((), 2)


def test_the_same_generator_gives_the_same_tables_and_leaves_the_global_stream(layer):
    before = torch.random.get_rng_state()
    again = SoftEmbedding(CARDINALITIES, D, generator=torch.Generator().manual_seed(1)).double()
    assert torch.equal(before, torch.random.get_rng_state())
    for a, b in zip(layer.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
