"""From a few categories the embedding of all: over all draws exactly so, on average.

Most expectations are not sampled. The draws come from points of [0, 1); a grid of points, one row
of the batch each, holds every draw as often as it is likely: the mean over rows is exact.
"""

import itertools
import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tabkit import DataError
from tabkit.embedding import streamed
from tabkit.embedding.sampled import PROPOSALS, SampledSoftEmbedding

K, D, H = 7, 3, 4
PROBABILITIES = torch.tensor([1, 6, 1, 16, 2, 4, 2]).double() / 32
GRID = 40  # points: a multiple of the 10 parts of the four or five others' probabilities and of 5
POINTS = (torch.arange(GRID).double() + 0.5) / GRID
TOP = [3, 1]  # the two likeliest; the others have 1, 1, 2, 4, 2 parts of 10
double = partial(torch.randn, dtype=torch.float64)


def layer(k, m, proposal="probability", K=K, tau=1.0):
    generator = torch.Generator().manual_seed(1)
    return SampledSoftEmbedding(
        K, D, k=k, m=m, proposal=proposal, tau=tau, generator=generator
    ).double()


def linear_to(K, generator):
    linear = nn.Linear(H, K, dtype=torch.float64)
    with torch.no_grad():
        for p in linear.parameters():
            p.copy_(double(p.shape, generator=generator))
    return linear


def every_draw(monkeypatch, m):
    """One row of the batch for every m points of the grid."""
    grid = torch.tensor(list(itertools.product(POINTS.tolist(), repeat=m)), dtype=torch.float64)

    def positions(like, m, stratified, generator):
        return (grid + torch.arange(m)) / m if stratified else grid

    monkeypatch.setattr(streamed, "unit_positions", positions)
    return len(grid)


def value_and_gradients(output, inputs, g):
    """The mean output, and the gradients of the mean over rows of ``output @ g``."""
    gradients = torch.autograd.grad((output @ g).mean(), inputs)
    return [output.detach().mean(dim=0), *gradients]


def assert_all_close(found, expected, atol=1e-12):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=atol)


def product(embedding, logits):
    return (logits / embedding.tau).softmax(dim=-1) @ embedding.table.weight


@pytest.mark.parametrize("tau", [1.0, 0.5])
@pytest.mark.parametrize("proposal", PROPOSALS)
@pytest.mark.parametrize(("k", "m"), [(2, 1), (2, 2)])
def test_over_all_draws_value_and_gradients_are_the_products(
    k, m, proposal, tau, monkeypatch, generator
):
    rows, embedding = every_draw(monkeypatch, m), layer(k, m, proposal, tau=tau)
    logits = (tau * PROBABILITIES.log() + 3).requires_grad_()
    g, inputs = double(D, generator=generator), [logits, embedding.table.weight]
    found = value_and_gradients(embedding(logits.expand(rows, K)), inputs, g)
    expected = value_and_gradients(product(embedding, logits)[None], inputs, g)
    assert_all_close(found, expected)


@pytest.mark.parametrize("proposal", PROPOSALS)
def test_streamed_over_all_draws_value_and_all_four_gradients_are_the_products(
    proposal, monkeypatch, generator
):
    rows, embedding = every_draw(monkeypatch, 2), layer(2, 2, proposal)
    linear = linear_to(K, generator)
    hidden = double(H, generator=generator).requires_grad_()
    with torch.no_grad():
        linear.bias.copy_(PROBABILITIES.log() - linear.weight @ hidden)
    g = double(D, generator=generator)
    inputs = [hidden, linear.weight, linear.bias, embedding.table.weight]
    found = value_and_gradients(embedding.streamed(hidden.expand(rows, H), linear), inputs, g)
    expected = value_and_gradients(product(embedding, linear(hidden))[None], inputs, g)
    assert_all_close(found, expected)


@pytest.mark.parametrize("proposal", PROPOSALS)
@pytest.mark.parametrize(("k", "m"), [(0, 6), (5, 4), (20, 2)])
def test_the_mean_of_many_draws_is_the_product(k, m, proposal, generator):
    """20,000 rows of 150 categories in five blocks; within five standard errors."""
    embedding, rows = layer(k, m, proposal, K=150), 20_000
    logits = 1.5 * double(150, generator=generator)
    output = embedding(logits.expand(rows, 150), generator)
    error = output.std(dim=0) / rows**0.5
    assert ((output.mean(dim=0) - product(embedding, logits)).abs() < 5 * error + 1e-12).all()


def test_a_grid_of_points_meets_every_category_as_often_as_it_is_likely(generator):
    """By the inverse distribution function: no count is off by more than one, blocks or not."""
    count, n = 700, 20_000
    logits = 2 * double(1, count, generator=generator)
    logits[0, 40:90] = -math.inf  # more than a block
    top = logits.topk(3).indices
    rest = logits.scatter(1, top, -math.inf)
    width = 32
    padded = nn.functional.pad(rest, (0, -count % width), value=-math.inf)
    mass = padded.unflatten(1, (-1, width)).logsumexp(dim=2)
    points = ((torch.arange(n).double() + 0.5) / n)[None]
    source = streamed.GivenLogits(logits, 1.0)
    codes, _ = streamed.probable_others(source, top, mass, width, points)
    found = codes.flatten().bincount(minlength=count)
    assert (found - n * rest[0].softmax(dim=0)).abs().max() <= 1


def test_inverting_a_distribution_never_meets_what_has_no_mass():
    steps = torch.tensor([[0.0, 0.0, 0.5, 0.5, 1.0, 1.0]]).double()
    positions = torch.tensor([[0.0, 0.49, 0.5, 1.0]]).double()  # both ends too
    assert streamed.invert(steps, positions).tolist() == [[2, 2, 4, 4]]


def test_uniform_others_are_all_others_in_turn():
    top = torch.tensor([[5, 0, 3], [7, 6, 5]])
    points = ((torch.arange(5).double() + 0.5) / 5).expand(2, 5)
    found = streamed.uniform_others(top, 8, points)
    assert found.tolist() == [[1, 2, 4, 6, 7], [0, 1, 2, 3, 4]]


@pytest.mark.parametrize("count", [33, 100, 5_000])
def test_the_likeliest_and_the_normaliser_are_exact(count, generator):
    logits = double(9, count, generator=generator)
    logits[2, : count - 3] = -math.inf  # allows fewer than k
    choice = streamed.choose(
        streamed.GivenLogits(logits, 1.0),
        8,
        5,
        proposal="probability",
        stratified=True,
        generator=generator,
    )
    top = logits.topk(8)
    assert_all_close([choice.log_normaliser], [logits.logsumexp(dim=1, keepdim=True)])
    assert_all_close([choice.weights[:, :8]], [logits.softmax(1).gather(1, top.indices)])
    likely = [0, 1, *range(3, 9)]
    assert torch.equal(choice.codes[likely, :8], top.indices[likely])


@pytest.mark.parametrize("proposal", PROPOSALS)
@pytest.mark.parametrize("k", [0, 3, 12])
def test_codes_lie_in_range_none_is_drawn_from_the_top_and_what_is_not_allowed_weighs_nothing(
    k, proposal, generator
):
    count = 97  # one more than three blocks
    logits = double(400, count, generator=generator)
    allowed = torch.rand(400, count, generator=generator) < 0.2
    allowed[0] = False
    allowed[:, 96] = True  # row 0 allows but one
    logits[~allowed] = -math.inf
    choice = streamed.choose(
        streamed.GivenLogits(logits, 1.0),
        k,
        40,
        proposal=proposal,
        stratified=True,
        generator=generator,
    )
    assert 0 <= choice.codes.min() <= choice.codes.max() < count
    weighs = choice.weights > 0
    assert allowed.gather(1, choice.codes)[weighs].all()
    top, drawn = choice.codes.split([k, 40], dim=1)
    repeats = (top[:, :, None] == drawn[:, None, :]).any(dim=1)
    assert not (repeats & weighs[:, k:]).any()
    assert (top.sort(dim=1).values.diff(dim=1) > 0).all()
    if proposal == "probability":  # not even in vain, where anything is left to draw
        left = choice.weights[:, k:].sum(dim=1) > 0
        assert allowed.gather(1, drawn)[left].all()


@pytest.mark.parametrize("proposal", PROPOSALS)
@pytest.mark.parametrize("m", [0, 2])
def test_what_is_not_allowed_gets_no_gradient_and_no_nan(m, proposal, generator):
    embedding, linear = layer(3, m, proposal, K=60), linear_to(60, generator)
    logits = double(5, 60, generator=generator)
    logits[:, ::2] = -math.inf
    logits[0, 1:] = -math.inf
    logits[0, 0] = 0.0  # the only one
    logits.requires_grad_()
    output = embedding(logits, generator)
    output.sum().backward()
    assert logits.grad.isfinite().all()
    assert (logits.grad[1:, ::2] == 0).all()
    assert_all_close([output[0].detach()], [embedding.table.weight[0].detach()])
    with torch.no_grad():
        linear.bias[::2] = -math.inf
    hidden = double(5, H, generator=generator).requires_grad_()
    output = embedding.streamed(hidden, linear, generator)
    output.sum().backward()
    assert output.isfinite().all()
    assert hidden.grad.isfinite().all()
    assert linear.weight.grad.isfinite().all()
    assert (linear.weight.grad[::2] == 0).all()


@pytest.mark.parametrize(("k", "m"), [(K, 0), (0, K), (4, 3), (50, 50)])
def test_from_all_categories_on_it_is_the_product(k, m, generator):
    embedding, logits = layer(k, m, tau=0.7), double(5, K, generator=generator)
    linear, hidden = linear_to(K, generator), double(5, H, generator=generator)
    assert_all_close([embedding(logits)], [product(embedding, logits)], atol=1e-15)
    assert_all_close([embedding.streamed(hidden, linear)], [product(embedding, linear(hidden))])


@pytest.mark.parametrize(
    ("k", "m", "proposal"), [(K, 0, "uniform"), (3, 0, "uniform"), (2, 3, "uniform")]
)
def test_at_given_draws_the_gradient_is_the_derivative(k, m, proposal, generator):
    """The draws of ``uniform`` do not depend on the logits, nor do those that there are not."""
    embedding, logits = layer(k, m, proposal, tau=0.7), double(4, K, generator=generator)

    def output(logits, table):
        arguments = (logits, torch.Generator().manual_seed(3))
        return torch.func.functional_call(embedding, {"table.weight": table}, arguments)

    table = embedding.table.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(output, (logits.requires_grad_(), table))


def test_without_draws_it_is_as_if_only_the_likeliest_were_allowed(generator):
    embedding, linear = layer(3, 0, K=90), linear_to(90, generator)
    hidden = double(5, H, generator=generator).requires_grad_()
    inputs = [hidden, linear.weight, linear.bias, embedding.table.weight]
    g, logits = double(D, generator=generator), linear(hidden)
    kept = logits.topk(3).indices
    only = torch.full_like(logits, -math.inf).scatter(1, kept, logits.gather(1, kept))
    expected = value_and_gradients(product(embedding, only), inputs, g)
    assert_all_close(value_and_gradients(embedding(linear(hidden)), inputs, g), expected)
    assert_all_close(value_and_gradients(embedding.streamed(hidden, linear), inputs, g), expected)


def test_the_bias_without_draws_is_the_mass_left_out_times_the_distance_of_the_means(generator):
    embedding, logits = layer(4, 0, K=90), double(1, 90, generator=generator)
    p, table = logits.softmax(dim=1), embedding.table.weight
    kept = torch.zeros_like(p).scatter(1, logits.topk(4).indices, 1.0)
    means = [(p * part) @ table / (p * part).sum() for part in (1 - kept, kept)]
    bias = (p * (1 - kept)).sum() * (means[1] - means[0])
    assert_all_close([embedding(logits) - product(embedding, logits)], [bias])


def spread(embedding, logits, generator):
    return embedding(logits.expand(4000, -1), generator).var(dim=0).sum().item()


def test_what_scatters_less(generator):
    """The top k and draws by probability over equal ones and none; margins of tens of percent."""
    logits = 2 * double(200, generator=generator)
    top, none, uniform = (
        spread(layer(k, 8, proposal, K=200), logits, generator)
        for k, proposal in ((16, "probability"), (0, "probability"), (16, "uniform"))
    )
    assert top < 0.7 * none
    assert top < 0.7 * uniform


class Sizes(TorchDispatchMode):
    """The shapes of all tensors that are made."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        found = result if isinstance(result, (tuple, list)) else [result]
        self.shapes += [tuple(t.shape) for t in found if isinstance(t, torch.Tensor)]
        return result


def saved_by(call):
    """The tensors that the graph of a call keeps."""
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        output = call()
    return output, saved


@pytest.mark.parametrize("proposal", PROPOSALS)
@pytest.mark.parametrize("m", [0, 4])
def test_the_graph_keeps_the_logits_and_small_things(m, proposal, generator):
    embedding, B = layer(4, m, proposal, K=400), 64
    embedding.table.requires_grad_(False)
    logits = double(B, 400, generator=generator).requires_grad_()
    _, saved = saved_by(lambda: embedding(logits, generator))
    own = {logits.data_ptr(), embedding.table.weight.data_ptr()}
    assert max(t.numel() for t in saved if t.data_ptr() not in own) <= B * 8


@pytest.mark.parametrize("stream", [False, True])
def test_no_tensor_is_rows_by_rows(stream, generator):
    embedding, B = layer(4, 4, K=3000), 67
    linear, hidden = linear_to(3000, generator), double(B, H, generator=generator)
    logits = linear(hidden.requires_grad_())
    with Sizes() as sizes:
        call = partial(embedding.streamed, hidden, linear) if stream else partial(embedding, logits)
        call(generator).sum().backward()
    assert not [shape for shape in sizes.shapes if shape.count(B) > 1]


def test_streamed_makes_nothing_of_the_size_of_the_logits(monkeypatch, generator):
    monkeypatch.setattr(streamed, "CHUNK", 2**14)
    embedding, linear = layer(4, 4, K=20_000), linear_to(20_000, generator)
    hidden = double(64, H, generator=generator).requires_grad_()
    with Sizes() as sizes:
        embedding.streamed(hidden, linear, generator).sum().backward()
    assert max(math.prod(shape) for shape in sizes.shapes) < 64 * 20_000 / 4


@pytest.mark.parametrize("chunk", [1, 100, 2**20])
def test_the_chunks_do_not_show(chunk, monkeypatch, generator):
    embedding, linear = layer(5, 5, K=300), linear_to(300, generator)
    hidden = double(6, H, generator=generator).requires_grad_()

    def run():
        draws = torch.Generator().manual_seed(2)
        output = embedding(linear(hidden), draws) + embedding.streamed(hidden, linear, draws)
        return value_and_gradients(output, [hidden, linear.weight], torch.ones(D).double())

    expected = run()
    monkeypatch.setattr(streamed, "CHUNK", chunk)
    monkeypatch.setattr("tabkit.embedding.weights.CHUNK", chunk)
    assert_all_close(run(), expected)


@pytest.mark.parametrize("B", [0, 1])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_small_shapes(B, count, generator):
    for k, m in ((1, 0), (0, 1), (1, 2)):
        embedding, linear = layer(k, m, K=count), linear_to(count, generator)
        hidden = double(B, H, generator=generator).requires_grad_()
        found = embedding(linear(hidden), generator)
        if m != 1:
            found = found + embedding.streamed(hidden, linear, generator)
        found.sum().backward()
        assert found.shape == (B, D)
        assert hidden.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("proposal", PROPOSALS)
def test_half_logits_are_worked_out_in_single_precision(dtype, proposal, generator):
    embedding = layer(3, 4, proposal, K=500).float()
    half = torch.randn(6, 500, generator=generator).to(dtype)
    gradients = []
    for logits in (half, half.float()):
        output = embedding(logits.requires_grad_(), torch.Generator().manual_seed(1))
        gradients.append([output, *torch.autograd.grad(output.sin().sum(), logits)])
    assert torch.equal(gradients[0][0], gradients[1][0])
    assert gradients[0][1].dtype == dtype
    error = (gradients[0][1].float() - gradients[1][1]).abs().max()
    assert error <= 4 * torch.finfo(dtype).eps * gradients[1][1].abs().max()


@pytest.mark.parametrize("shift", [-1e4, 1e4])
def test_logits_far_from_zero_neither_over_nor_underflow(shift, generator):
    embedding, logits = layer(3, 4, K=500), double(6, 500, generator=generator)
    outputs = [embedding(x, torch.Generator().manual_seed(1)) for x in (logits, logits + shift)]
    assert_all_close(outputs[:1], outputs[1:], atol=1e-9)


@pytest.mark.parametrize("proposal", PROPOSALS)
def test_the_same_generator_gives_the_same_bits(proposal, generator):
    embedding, linear = layer(3, 4, proposal, K=500), linear_to(500, generator)
    hidden = double(6, H, generator=generator).requires_grad_()
    for call in (
        lambda g: embedding(linear(hidden), g),
        lambda g: embedding.streamed(hidden, linear, g),
    ):
        runs = []
        for seed in (0, 0, 1):
            output = call(torch.Generator().manual_seed(seed))
            runs.append([output, *torch.autograd.grad(output.sum(), hidden)])
        assert all(torch.equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
        assert not torch.equal(runs[0][0], runs[2][0])


def test_codes_are_looked_up():
    embedding = layer(2, 2)
    codes = torch.tensor([6, 0, 6])
    assert torch.equal(embedding(codes), embedding.table.weight[codes])
    with pytest.raises(DataError, match="0 to 6"):
        embedding(torch.tensor([7]))


def test_a_wrapped_table_is_shared():
    table = nn.Embedding(50, D)
    embedding = SampledSoftEmbedding.from_embedding(table, k=2, m=2)
    assert embedding.table is table
    assert embedding.K == 50
    assert embedding.D == D
    with pytest.raises(ValueError, match="max_norm"):
        SampledSoftEmbedding.from_embedding(nn.Embedding(5, 2, max_norm=1.0))


def test_a_sparse_table_gets_a_sparse_gradient(generator):
    table = nn.Embedding(500, D, sparse=True)
    embedding = SampledSoftEmbedding.from_embedding(table, k=2, m=2)
    embedding(torch.randn(3, 500, generator=generator), generator).sum().backward()
    assert table.weight.grad.is_sparse
    assert table.weight.grad.coalesce().indices().numel() <= 3 * 4


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"k": -1}, "k=-1"),
        ({"m": -2}, "m=-2"),
        ({"k": 0, "m": 0}, "k=0, m=0"),
        ({"proposal": "gumbel"}, "gumbel"),
        ({"tau": 0.0}, "not 0.0"),
        ({"tau": math.nan}, "not nan"),
    ],
)
def test_a_bad_knob_is_named(knobs, message):
    with pytest.raises(ValueError, match=message):
        SampledSoftEmbedding(5, 2, **knobs)


@pytest.mark.parametrize("k", [2, 50])
@pytest.mark.parametrize(
    ("bad", "message"), [(math.nan, "NaN"), (math.inf, "plus infinity"), (-math.inf, "no allowed")]
)
def test_logits_that_cannot_be_used_are_told(k, bad, message, generator):
    embedding, logits = layer(k, 2, K=50), double(3, 50, generator=generator)
    logits[1, :] = bad
    with pytest.raises(ValueError, match=message):
        embedding(logits, generator)
    if bad != -math.inf:
        logits[1, 1:] = 0.0
        with pytest.raises(ValueError, match=message):
            embedding(logits, generator)


def test_shapes_that_do_not_fit_are_told(generator):
    with pytest.raises(ValueError, match=r"\(B, 7\), not \(2, 6\)"):
        layer(2, 2)(double(2, 6))
    with pytest.raises(ValueError, match="7 outputs, not 6"):
        layer(2, 2).streamed(double(2, H), linear_to(6, generator))
    with pytest.raises(ValueError, match="not m=1"):
        layer(2, 1).streamed(double(2, H), linear_to(7, generator))
