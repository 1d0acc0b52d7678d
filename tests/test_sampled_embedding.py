"""From a few categories the embedding of all: over all draws exactly so, on average.

A grid of points, one row of the batch each, in place of the random ones holds every draw as often
as it is likely: the mean over rows is the exact expectation.
"""

import itertools
import math

import pytest
import torch
from torch import nn

from tabkit.embedding import SampledSoftEmbedding
from tabkit.embedding.sampled import choose, draw

K, D = 7, 3
PROBABILITIES = torch.tensor([1, 6, 1, 16, 2, 4, 2]).double() / 32
GRID = 160  # points: a multiple of 32, and of the 10 parts that are left without the likeliest two


def layer(k, m, K=K):
    generator = torch.Generator().manual_seed(1)
    return SampledSoftEmbedding(K, D, k=k, m=m, generator=generator).double()


def normal(*shape, generator):
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def every_draw(monkeypatch, m):
    """One row of the batch for every m points of the grid; the number of rows."""
    points = ((torch.arange(GRID).double() + 0.5) / GRID).tolist()
    grid = torch.tensor(list(itertools.product(points, repeat=m)), dtype=torch.float64)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: grid)
    return len(grid)


def value_and_gradients(output, inputs, g):
    """The mean output, and the gradients of the mean over rows of ``output @ g``."""
    return [output.detach().mean(dim=0), *torch.autograd.grad((output @ g).mean(), inputs)]


def assert_all_close(found, expected, atol=1e-12):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=atol)


def product(embedding, logits):
    return logits.softmax(dim=1) @ embedding.table.weight


@pytest.mark.parametrize(("k", "m"), [(0, 1), (2, 1), (2, 2), (0, K), (4, 3), (50, 0)])
def test_over_all_draws_value_and_gradients_are_the_products(k, m, monkeypatch, generator):
    rows, embedding = every_draw(monkeypatch, m if k + m < K else 1), layer(k, m)
    logits = (PROBABILITIES.log() + 3)[None].requires_grad_()
    g, inputs = normal(D, generator=generator), [logits, embedding.table.weight]
    found = value_and_gradients(embedding(logits.expand(rows, K)), inputs, g)
    assert_all_close(found, value_and_gradients(product(embedding, logits), inputs, g))


def test_draws_in_parts_scatter_less_than_independent_ones(monkeypatch, generator):
    p, f, rows = PROBABILITIES, normal(K, generator=generator), every_draw(monkeypatch, 2)
    codes, _ = draw(p.repeat(rows, 1), 2, None)
    assert f[codes].mean(dim=1).var() < (p @ f.square() - (p @ f).square()) / 2


@pytest.mark.parametrize(("k", "m"), [(0, 6), (5, 4), (20, 2)])
def test_the_mean_of_many_draws_is_the_product_with_masks_too(k, m, generator):
    """20,000 rows of 150 categories; within five standard errors."""
    embedding, rows = layer(k, m, K=150), 20_000
    logits = 1.5 * normal(1, 150, generator=generator)
    logits[:, ::3] = -math.inf
    output = embedding(logits.expand(rows, 150), generator)
    error = output.std(dim=0) / rows**0.5
    assert ((output.mean(dim=0) - product(embedding, logits)).abs() < 5 * error).all()


def test_neither_end_of_the_points_draws_what_has_no_mass(monkeypatch):
    ends = torch.tensor([[0.0], [1 - 2**-53]], dtype=torch.float64)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: ends)
    codes, _ = draw(torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]]).double().repeat(2, 1), 1, None)
    assert codes.tolist() == [[3], [1]]


@pytest.mark.parametrize("k", [0, 3, 12])
def test_what_is_not_allowed_is_not_drawn_and_none_is_drawn_from_the_likeliest(k, generator):
    logits = normal(400, 97, generator=generator)
    allowed = torch.rand(400, 97, generator=generator) < 0.2
    allowed[0] = torch.arange(97) == 96  # but one
    codes, weights = choose(logits.masked_fill(~allowed, -math.inf), k, 40, generator)
    weighs, (top, drawn) = weights > 0, codes.split([k, 40], dim=1)
    assert allowed.gather(1, codes)[weighs].all()
    assert weighs.any(dim=1).all()
    assert not ((top[:, :, None] == drawn[:, None, :]).any(dim=1) & weighs[:, k:]).any()


@pytest.mark.parametrize("m", [0, 2])
def test_what_is_not_allowed_gets_no_gradient_and_no_nan(m, generator):
    embedding, logits = layer(3, m, K=60), normal(5, 60, generator=generator)
    logits[:, ::2] = -math.inf
    logits[0, torch.arange(60) != 7] = -math.inf  # but one
    output = embedding(logits.requires_grad_(), generator)
    output.sum().backward()
    assert logits.grad.isfinite().all()
    assert (logits.grad[:, ::2] == 0).all()
    assert_all_close([output[0]], [embedding.table.weight[7]])


def test_without_draws_it_is_as_if_only_the_likeliest_were_allowed(generator):
    embedding, logits = layer(3, 0, K=90), normal(5, 90, generator=generator).requires_grad_()
    g, inputs = normal(D, generator=generator), [logits, embedding.table.weight]
    kept = torch.full_like(logits, -math.inf).scatter(1, logits.topk(3).indices, 0.0)
    expected = value_and_gradients(product(embedding, logits + kept), inputs, g)
    assert_all_close(value_and_gradients(embedding(logits), inputs, g), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_logits_are_worked_out_in_single_precision(dtype, generator):
    embedding = layer(3, 4, K=500).float()
    half = torch.randn(6, 500, generator=generator).to(dtype).requires_grad_()
    single = half.detach().float().requires_grad_()
    outputs = [embedding(x, torch.Generator().manual_seed(1)) for x in (half, single)]
    assert torch.equal(*outputs)
    torch.stack(outputs).sum().backward()
    assert torch.equal(half.grad, single.grad.to(dtype))


def test_the_same_generator_gives_the_same_bits(generator):
    embedding, logits = layer(3, 4, K=500), normal(6, 500, generator=generator)
    first, again, other = (embedding(logits, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_wrapped_table_is_shared_and_a_sparse_one_gets_a_sparse_gradient(generator):
    table, state = nn.Embedding(500, D, sparse=True), torch.get_rng_state()
    embedding = SampledSoftEmbedding.from_embedding(table, k=2, m=2)
    assert embedding.table is table
    assert torch.equal(torch.get_rng_state(), state)
    embedding(torch.randn(3, 500, generator=generator), generator).sum().backward()
    assert table.weight.grad.coalesce().indices().numel() <= 3 * 4
    with pytest.raises(ValueError, match="max_norm"):
        SampledSoftEmbedding.from_embedding(nn.Embedding(5, 2, max_norm=1.0))


@pytest.mark.parametrize(("k", "m"), [(-1, 2), (2, -2), (0, 0)])
def test_a_bad_number_or_shape_is_named(k, m, generator):
    with pytest.raises(ValueError, match=f"k={k}, m={m}"):
        SampledSoftEmbedding(5, 2, k=k, m=m)
    with pytest.raises(ValueError, match=r"\(B, 7\), not \(2, 6\)"):
        layer(2, 2)(normal(2, 6, generator=generator))


@pytest.mark.parametrize(("k", "m"), [(2, 0), (2, 2), (50, 50)])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_logits_that_cannot_be_used_are_told(k, m, bad, generator):
    embedding, logits = layer(k, m, K=50), normal(3, 50, generator=generator)
    logits[1, slice(None) if bad == -math.inf else 20] = bad
    with pytest.raises(ValueError, match=r"row 1 .*NaN or plus infinity, or no allowed category"):
        embedding(logits, generator)
