"""The formulas are those of torch's own functions, column by column, and torch does all to them."""

import inspect
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plain_torch import CARDINALITIES, FORMULAS, TABLES, F, normal, points
from torch.nn import functional

from tabkit import fast, simplex

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
PUBLIC = [
    name
    for name, f in inspect.getmembers(simplex, inspect.isfunction)
    if f.__module__ == "tabkit.simplex"
]


def columns(*values):
    return zip(*(v.split(CARDINALITIES, -1) for v in values), strict=True)


def by_column(function, *values):
    return torch.cat([function(*column) for column in columns(*values)], -1)


def test_a_student_reads_it_in_ten_minutes():
    assert len(Path(simplex.__file__).read_text().splitlines()) <= 150


@pytest.mark.parametrize("name", [n for n in PUBLIC if n != "slices"])
def test_torch_compiles_maps_differentiates_and_exports_each(name, plain_torch):
    """`slices` has no tensor; what is asked about the others is in the script."""
    assert set(plain_torch["simplex"][name].values()) == {"equal"}, plain_torch["simplex"][name]


@pytest.mark.parametrize("name", FORMULAS)
def test_any_leading_dimensions_will_do(name):
    function, first, *rest = FORMULAS[name]

    def reshaped(tensor):
        return tensor.reshape(5, 1, *tensor.shape[1:]) if len(tensor) == 5 else tensor

    def seeded(*arguments):
        torch.manual_seed(0)
        return function(*arguments)

    with torch.random.fork_rng():
        expected = seeded(first, *rest)
        torch.testing.assert_close(
            seeded(*map(reshaped, (first, *rest))), expected.reshape(5, 1, *expected.shape[1:])
        )
        one = [x[0] if len(x) == 5 else x for x in (first, *rest)]
        assert seeded(*one).shape == expected.shape[1:]


def test_blocks_are_views_that_lie_side_by_side():
    values = normal(5, F)
    parts = simplex.blocks(values, CARDINALITIES)
    assert torch.equal(torch.cat(parts, 1), values)
    for part, place in zip(parts, simplex.slices(CARDINALITIES), strict=True):
        assert torch.equal(part, values[:, place])
        assert part.untyped_storage().data_ptr() == values.untyped_storage().data_ptr()


@pytest.mark.parametrize("function", [simplex.softmax, simplex.argmax, simplex.argmax_codes])
def test_blocks_that_do_not_sum_to_the_row_are_refused(function):
    with pytest.raises(ValueError, match=r"a row is 8 wide, .*\(3, 4\) sum to 7"):
        function(normal(2, F), (3, 4))


@pytest.mark.parametrize("bad", [(3.0, 5), (True, 7), (8, 0), (9, -1), ()])
def test_what_are_no_cardinalities_is_refused(bad):
    with pytest.raises((ValueError, TypeError), match=r"whole numbers from 1 on|cardinalities"):
        simplex.blocks(normal(2, F), bad)


def test_a_single_number_is_no_row():
    with pytest.raises((ValueError, TypeError)):
        simplex.blocks(torch.tensor(1.0), (1,))


@pytest.mark.parametrize("tau", [0.0, -1.0, 1e-31, 1e31, float("nan"), float("inf")])
def test_a_temperature_that_no_float_holds_twice_is_refused(tau):
    with pytest.raises(ValueError, match="tau must be a number from 1e-30 to"):
        simplex.softmax(normal(2, F), CARDINALITIES, tau)
    assert simplex.softmax(normal(2, F), CARDINALITIES, 1e-30).isfinite().all()
    assert simplex.softmax(normal(2, F), CARDINALITIES, 1e30).isfinite().all()


@pytest.mark.parametrize("mode", ["plain", "fast"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tau", [1e-30, 1e-3, 0.5, torch.tensor(0.5), 2.0, 1e8, 1e30])
def test_the_softmax_has_its_limit_at_the_ends_of_every_type(dtype, tau, mode):
    """Against float64, in which nothing here overflows; of equal largest each has as much."""
    most = torch.finfo(torch.float32 if dtype == torch.float64 else dtype).max
    inf = torch.inf
    rows = [[most, -most, 0, 1], [most, most, 0, -inf], [-most, -inf, -inf, -most], [1, 1, 0, -inf]]
    logits = torch.tensor(rows).to(dtype).requires_grad_()
    parts = logits.detach().double() - logits.detach().double().amax(1, keepdim=True)
    with fast.use(mode):
        found = fast.softmax(logits, (4,), tau)
    near = 4 * torch.finfo(dtype).eps
    expected = (parts / tau).softmax(1)
    torch.testing.assert_close(found.double(), expected, rtol=near, atol=near)
    assert (found[logits.isneginf()] == 0).all()
    (gradient,) = torch.autograd.grad(found, logits, torch.zeros_like(found))
    assert torch.equal(gradient, torch.zeros_like(gradient))


@given(scale=st.sampled_from([1e-3, 1.0, 1e3, 1e150]), tau=st.floats(0.05, 20))
def test_softmax_and_its_gradient_are_torchs_own_of_each_column(scale, tau):
    logits, slope = (scale * normal(7, F)).requires_grad_(), normal(7, F, seed=1)
    found = simplex.softmax(logits, CARDINALITIES, tau)
    expected = by_column(lambda b: functional.softmax(b / tau, -1), logits)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, logits, slope), torch.autograd.grad(expected, logits, slope)
    )


def test_log_softmax_is_its_logarithm_and_finite_where_that_is_not():
    logits = normal(7, F)
    expected = simplex.softmax(logits, CARDINALITIES).log()
    torch.testing.assert_close(simplex.log_softmax(logits, CARDINALITIES), expected)
    assert simplex.log_softmax(1e4 * logits, CARDINALITIES).isfinite().all()


def test_the_jacobian_product_is_the_softmaxs_jacobian_times_v():
    """Written out as a matrix, and as autograd has it: the matrix is symmetric."""
    logits, v = normal(5, F).requires_grad_(), normal(5, F, seed=1)
    p = simplex.softmax(logits, CARDINALITIES)

    def product(p, v):
        matrix = torch.diag_embed(p) - p[:, :, None] * p[:, None]
        return (matrix @ v[:, :, None])[:, :, 0]

    found = simplex.jacobian_product(p, v, CARDINALITIES)
    torch.testing.assert_close(found, by_column(product, p, v))
    torch.testing.assert_close(found.detach(), torch.autograd.grad(p, logits, v)[0])


def test_the_argmax_is_the_first_largest_of_each_column_without_a_gradient():
    values = normal(200, F).round().requires_grad_()  # full of ties
    first = [torch.from_numpy(b.detach().numpy().argmax(1)) for (b,) in columns(values)]
    assert torch.equal(simplex.argmax_codes(values, CARDINALITIES), torch.stack(first, 1))
    hot = simplex.argmax(values, CARDINALITIES)
    assert torch.equal(hot, simplex.one_hot(torch.stack(first, 1), CARDINALITIES, hot.dtype))
    assert not hot.requires_grad


def test_one_hots_are_torchs_own_and_have_the_type_asked_for():
    codes = torch.tensor([[0, 0, 3], [2, 0, 0]])
    hots = [functional.one_hot(c, k) for c, k in zip(codes.T, CARDINALITIES, strict=True)]
    for dtype in (torch.bool, torch.float16, torch.float64):
        found = simplex.one_hot(codes, CARDINALITIES, dtype)
        assert torch.equal(found, torch.cat(hots, 1).to(dtype))
    assert simplex.one_hot(codes, CARDINALITIES).dtype == torch.get_default_dtype()


def test_gumbel_noise_has_its_mean_and_variance(generator):
    noise = simplex.gumbel_noise(torch.zeros(200_000, dtype=torch.float64), generator)
    assert abs(noise.mean() - 0.57722) < 4.5 * (1.6449 / 200_000) ** 0.5
    assert abs(noise.var() / 1.6449 - 1) < 4.5 * (4.4 / 200_000) ** 0.5  # kurtosis less 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_gumbel_noise_is_finite_and_keeps_its_tail_in_half_precision(dtype, generator):
    """Drawn in half precision, it would end at 7.6; of 300,000 draws, one is above 10."""
    noise = simplex.gumbel_noise(torch.zeros(300_000, dtype=dtype), generator)
    assert noise.dtype == dtype
    assert noise.isfinite().all()
    assert noise.max() > 10


def test_samples_are_vertices_with_the_frequencies_of_the_softmax(generator):
    """Within 4.5 standard errors."""
    draws, logits = 40_000, normal(1, F).requires_grad_()
    drawn = simplex.sample(logits.expand(draws, F), CARDINALITIES, generator)
    assert not drawn.requires_grad
    p = simplex.softmax(logits.detach(), CARDINALITIES)
    error = (p * (1 - p) / draws).sqrt()
    assert ((drawn.mean(0) - p).abs() <= 4.5 * error + 1e-12).all()
    for (block,) in columns(drawn):
        assert ((block == 0) | (block == 1)).all()
        assert (block.sum(1) == 1).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_straight_through_is_hard_to_the_last_bit_and_has_the_gradient_of_soft(dtype, scale):
    hard = normal(50, F, dtype=dtype).requires_grad_()
    soft = (scale * normal(50, F, seed=1)).to(dtype).requires_grad_()
    found, slope = simplex.straight_through(hard, soft), normal(50, F, seed=2, dtype=dtype)
    assert torch.equal(found, hard)
    gradients = torch.autograd.grad(found, (hard, soft), slope, allow_unused=True)
    assert gradients[0] is None
    assert torch.equal(gradients[1], slope)


def test_the_soft_embedding_is_the_sum_of_shares_times_rows():
    shares = points(5)
    mixed = []
    for block, table in zip(shares.split(CARDINALITIES, 1), TABLES, strict=True):
        mixed.append(sum(s[:, None] * row for s, row in zip(block.T, table, strict=True)))
    torch.testing.assert_close(simplex.embed(shares, TABLES), torch.cat(mixed, 1))
