"""Each relaxation gives a simplex, is the point it says it is, and has its limits in tau."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tabkit import estimators
from tabkit.schema import check_simplex
from tabkit.simplex import argmax_codes, blocks, one_hot

CARDINALITIES = (3, 1, 4)
F = sum(CARDINALITIES)
NAMES = estimators.names(relaxations=True)
SOFT = ["softmax", "gumbel_softmax", "sparsemax", "entmax15", "perturbed_argmax"]
HARD = [n for n in NAMES if n not in SOFT]
DETERMINISTIC = ["softmax", "sparsemax", "entmax15", "hard_argmax", "straight_through_argmax"]
NOISY = [n for n in NAMES if n not in DETERMINISTIC]
TEMPERED = ["softmax", "gumbel_softmax", "sparsemax", "entmax15"]  # whose point tends to limits


def temperatures(name, value):
    """All knobs but counts at one value."""
    return dict.fromkeys((k for k in estimators.make(name).knobs if k != "samples"), value)


def relax(name, logits, *, seed=0, cardinalities=CARDINALITIES, **knobs):
    return estimators.make(name, **knobs).simplex(
        logits, cardinalities=cardinalities, generator=torch.Generator().manual_seed(seed)
    )


def random_logits(*, rows=6, scale=1.0, dtype=torch.float64, seed=0, width=F):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(rows, width, generator=generator, dtype=torch.float64).to(dtype)


def is_vertex(simplex):
    hard = all((b.sum(1) == 1).all() for b in blocks(simplex, CARDINALITIES))
    return hard and bool(((simplex == 0) | (simplex == 1)).all())


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(
    scale=st.sampled_from([1e-3, 1.0, 100.0]),
    tau=st.floats(0.05, 20),
    seed=st.integers(0, 2**31),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_the_output_is_a_simplex_and_its_gradient_is_finite(name, scale, tau, seed, dtype):
    logits = random_logits(scale=scale, dtype=dtype, seed=seed).requires_grad_()
    simplex = relax(name, logits, seed=seed, **temperatures(name, tau))
    check_simplex(simplex, CARDINALITIES)
    assert simplex.dtype == dtype
    simplex.square().sum().backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", HARD)
def test_hard_relaxations_are_vertices_to_the_last_bit(name, dtype):
    for scale in (1e-2, 1.0, 100.0):
        logits = random_logits(rows=200, scale=scale, dtype=dtype).requires_grad_()
        assert is_vertex(relax(name, logits))


def test_one_perturbed_argmax_is_a_vertex_and_more_are_a_mean_of_vertices():
    logits = random_logits(rows=200).requires_grad_()
    assert is_vertex(relax("perturbed_argmax", logits, samples=1))
    quarters = 4 * relax("perturbed_argmax", logits, samples=4)
    assert (quarters == quarters.round()).all()
    assert not is_vertex(quarters / 4)


@pytest.mark.parametrize("name", TEMPERED)
def test_a_low_temperature_gives_a_vertex_and_a_high_one_the_uniform_mixture(name):
    logits = random_logits()
    cold, hot = relax(name, logits, tau=1e-4), relax(name, logits, tau=1e6)
    codes = argmax_codes(cold, CARDINALITIES)
    torch.testing.assert_close(cold, one_hot(codes, CARDINALITIES, cold.dtype))
    if name != "gumbel_softmax":
        assert torch.equal(codes, argmax_codes(logits, CARDINALITIES))
    uniform = torch.cat([torch.full((k,), 1 / k, dtype=torch.float64) for k in CARDINALITIES])
    torch.testing.assert_close(hot, uniform.expand(6, F), atol=1e-4, rtol=0)


def sparse_by_bisection(scaled, alpha):
    """Entmax without sorting: shares ``((alpha - 1) z - t)_+ ^ (1 / (alpha - 1))`` that sum to 1.

    These are the conditions of optimality of the projection (alpha = 2) and of the Tsallis
    entropy's problem (1.5); the multiplier t is found by halving.
    """
    z = (alpha - 1) * scaled
    low, high = z.amax(1, keepdim=True) - 1, z.amax(1, keepdim=True)
    for _ in range(100):
        t = (low + high) / 2
        above = ((z - t).clamp(min=0) ** (1 / (alpha - 1))).sum(1, keepdim=True) > 1
        low, high = torch.where(above, t, low), torch.where(above, high, t)
    return (z - low).clamp(min=0) ** (1 / (alpha - 1))


@pytest.mark.parametrize(("name", "alpha"), [("sparsemax", 2.0), ("entmax15", 1.5)])
@pytest.mark.parametrize("tau", [0.3, 1.0, 4.0])
def test_sparse_projections_solve_their_problem(name, alpha, tau):
    logits = random_logits(rows=200, scale=2.0)
    found = relax(name, logits, tau=tau)
    columns = blocks(logits, CARDINALITIES)
    expected = torch.cat([sparse_by_bisection(b / tau, alpha) for b in columns], 1)
    torch.testing.assert_close(found, expected)
    assert (found == 0).any()
    assert not is_vertex(found)


@pytest.mark.parametrize("name", ["sparsemax", "entmax15"])
def test_a_saturated_sparse_projection_is_a_vertex_that_learns_no_more(name):
    logits = (100 * one_hot(torch.tensor([[2, 0, 1]]), CARDINALITIES)).requires_grad_()
    simplex = relax(name, logits)
    assert torch.equal(simplex, logits.detach() / 100)
    (gradient,) = torch.autograd.grad(simplex @ torch.arange(float(F)), logits)
    assert torch.equal(gradient, torch.zeros_like(logits))


@pytest.mark.parametrize("name", ["sparsemax", "entmax15"])
def test_hopeless_categories_do_not_eat_the_digits_of_the_others(name):
    near = torch.tensor([[0.5, 0.2, 0.0]])
    far = torch.tensor([[0.5, 0.2, 0.0, *[-1e30] * 9]])
    found = relax(name, far, cardinalities=(12,))
    torch.testing.assert_close(found[:, :3], relax(name, near, cardinalities=(3,)))
    assert (found[:, 3:] == 0).all()


@pytest.mark.parametrize("name", TEMPERED)
def test_soft_relaxations_have_the_numerical_gradient(name):
    logits = random_logits(rows=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: relax(name, x, tau=0.6), (logits,))


@pytest.mark.parametrize("name", NOISY)
def test_samples_have_the_frequencies_that_they_should(name):
    """Within 4.5 standard errors of softmax(logits) at any tau; two say that theirs are colder."""
    draws, knobs = 40_000, temperatures(name, 0.3)
    if "samples" in estimators.make(name).knobs:
        knobs["samples"] = 1
    logits = random_logits(rows=1)
    colder = name in ("decoupled_straight_through_gumbel", "perturbed_argmax")
    simplex = relax(name, logits.expand(draws, F), **knobs)
    logits = logits / 0.3 if colder else logits
    pairs = zip(blocks(simplex, CARDINALITIES), blocks(logits, CARDINALITIES), strict=True)
    for found, logit in pairs:
        frequency = torch.bincount(found.argmax(1), minlength=found.shape[1]) / draws
        p = logit[0].softmax(0)
        error = (p * (1 - p) / draws).sqrt()
        assert ((frequency - p).abs() <= 4.5 * error + 1e-12).all()


@pytest.mark.parametrize("name", NOISY)
def test_another_seed_gives_another_point(name):
    logits = random_logits(rows=99)
    assert not torch.equal(relax(name, logits), relax(name, logits, seed=1))


@pytest.mark.parametrize("name", NAMES)
def test_columns_of_one_width_keep_their_own_categories(name):
    """Saturated logits, another category in each column and row: whatever is drawn is theirs."""
    codes = torch.tensor([[0, 3], [1, 2], [3, 3]])
    vertex = one_hot(codes, (4, 4))
    assert torch.equal(relax(name, 1e3 * vertex, cardinalities=(4, 4)), vertex)


@pytest.mark.parametrize("name", [n for n in NAMES if "samples" not in estimators.make(n).knobs])
def test_a_batch_in_parts_gets_the_noise_of_the_whole(name):
    """So that micro-batches train the net of the whole batch."""
    logits, made = random_logits(rows=9), estimators.make(name)
    whole, parts = (torch.Generator().manual_seed(3) for _ in range(2))
    at_once = made.simplex(logits, cardinalities=CARDINALITIES, generator=whole)
    in_parts = [
        made.simplex(part, cardinalities=CARDINALITIES, generator=parts) for part in logits.split(4)
    ]
    torch.testing.assert_close(torch.cat(in_parts), at_once)


@pytest.mark.parametrize("name", [n for n in estimators.names() if n not in NAMES])
def test_an_estimator_that_is_no_relaxation_hands_over_the_argmax(name):
    logits = random_logits()
    expected = one_hot(argmax_codes(logits, CARDINALITIES), CARDINALITIES, logits.dtype)
    assert torch.equal(relax(name, logits), expected)


def test_logits_of_another_width_are_refused():
    with pytest.raises(ValueError, match="sum to 8"):
        relax("softmax", torch.zeros(2, 7))
