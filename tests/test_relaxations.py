"""Each relaxation gives a simplex, has its limits in tau, and its declared gradient."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tabkit import relaxations
from tabkit.schema import argmax_codes, check_simplex, one_hot_simplex

CARDINALITIES = (3, 1, 4)
F = sum(CARDINALITIES)
TEMPERED = [n for n in relaxations.names() if n != "hard_argmax"]
HARD = ["hard_argmax", "straight_through_argmax", "straight_through_gumbel"]
NOISY = ["gumbel_softmax", "straight_through_gumbel"]


def relax(name, logits, *, seed=0, **knobs):
    return relaxations.make(name, **knobs)(
        logits, cardinalities=CARDINALITIES, generator=torch.Generator().manual_seed(seed)
    )


def random_logits(*, rows=6, scale=1.0, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(rows, F, generator=generator, dtype=dtype)


@pytest.mark.parametrize("name", relaxations.names())
@given(
    scale=st.sampled_from([1e-3, 1.0, 100.0]),
    tau=st.floats(0.05, 20),
    seed=st.integers(0, 2**31),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_the_output_is_a_simplex_and_its_gradient_is_finite(name, scale, tau, seed, dtype):
    knobs = {"tau": tau} if name in TEMPERED else {}
    logits = random_logits(scale=scale, dtype=dtype, seed=seed).requires_grad_()
    simplex = relax(name, logits, seed=seed, **knobs)
    check_simplex(simplex, CARDINALITIES)
    assert simplex.dtype == dtype
    if simplex.requires_grad:
        simplex.square().sum().backward()
        assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", HARD)
def test_hard_relaxations_are_vertices_to_the_last_bit(name):
    simplex = relax(name, random_logits(rows=200, dtype=torch.float32).requires_grad_())
    assert ((simplex == 0) | (simplex == 1)).all()


@pytest.mark.parametrize("name", ["softmax", "gumbel_softmax"])
def test_a_low_temperature_gives_a_vertex_and_a_high_one_the_uniform_mixture(name):
    logits = random_logits()
    cold, hot = relax(name, logits, tau=1e-4), relax(name, logits, tau=1e6)
    vertex = one_hot_simplex(argmax_codes(cold, CARDINALITIES), CARDINALITIES, dtype=cold.dtype)
    torch.testing.assert_close(cold, vertex)
    uniform = torch.cat([torch.full((k,), 1 / k, dtype=torch.float64) for k in CARDINALITIES])
    torch.testing.assert_close(hot, uniform.expand(6, F), atol=1e-4, rtol=0)


def test_the_hard_argmax_passes_no_gradient():
    assert not relax("hard_argmax", random_logits().requires_grad_()).requires_grad


@pytest.mark.parametrize(
    ("hard", "soft"),
    [("straight_through_argmax", "softmax"), ("straight_through_gumbel", "gumbel_softmax")],
)
def test_straight_through_has_the_surrogates_gradient_at_the_vertex(hard, soft):
    """Its gradient is the soft Jacobian times the loss's gradient at the hard point."""
    weights = torch.arange(1.0, F + 1, dtype=torch.float64)
    logits = random_logits().requires_grad_()
    vertex = relax(hard, logits, tau=0.7)
    (gradient,) = torch.autograd.grad((vertex * weights).sum(dim=1).pow(2).sum(), logits)
    loss_gradient = 2 * (vertex.detach() * weights).sum(dim=1, keepdim=True) * weights
    soft_point = relax(soft, logits, tau=0.7)
    (expected,) = torch.autograd.grad(soft_point, logits, grad_outputs=loss_gradient)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("name", ["softmax", "gumbel_softmax"])
def test_soft_relaxations_have_the_numerical_gradient(name):
    logits = random_logits(rows=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: relax(name, x, tau=0.6), (logits,))


@pytest.mark.parametrize("name", NOISY)
def test_samples_have_the_softmaxs_frequencies(name):
    """Argmax of logits plus Gumbel noise draws from the softmax: within 4.5 standard errors."""
    draws = 40_000
    logits = random_logits(rows=1)
    simplex = relax(name, logits.expand(draws, F))
    for block, logit in zip(
        simplex.split(CARDINALITIES, 1), logits.split(CARDINALITIES, 1), strict=True
    ):
        found = torch.bincount(block.argmax(1), minlength=block.shape[1]) / draws
        p = logit[0].softmax(0)
        error = (p * (1 - p) / draws).sqrt()
        assert ((found - p).abs() <= 4.5 * error + 1e-12).all()


def test_gumbel_noise_has_its_mean_and_variance(generator):
    noise = relaxations.gumbel_noise(torch.zeros(200_000, dtype=torch.float64), generator)
    assert abs(noise.mean() - 0.57722) < 4.5 * (1.6449 / 200_000) ** 0.5
    assert abs(noise.var() - 1.6449) < 0.05


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gumbel_noise_is_finite_in_half_precision(dtype, generator):
    assert relaxations.gumbel_noise(torch.zeros(300_000, dtype=dtype), generator).isfinite().all()


@pytest.mark.parametrize("name", relaxations.names())
def test_the_same_generator_gives_the_same_point_and_the_global_stream_is_left_alone(name):
    before = torch.random.get_rng_state()
    assert torch.equal(relax(name, random_logits()), relax(name, random_logits()))
    assert torch.equal(before, torch.random.get_rng_state())
    assert name not in NOISY or not torch.equal(
        relax(name, random_logits(rows=99)), relax(name, random_logits(rows=99), seed=1)
    )


@pytest.mark.parametrize("name", relaxations.names())
def test_non_contiguous_logits_give_the_same_point(name):
    logits = random_logits()
    assert torch.equal(relax(name, logits.T.contiguous().T), relax(name, logits))


@pytest.mark.parametrize("name", TEMPERED)
@pytest.mark.parametrize("tau", [0.0, -1.0, float("nan"), float("inf")])
def test_a_bad_temperature_is_refused_when_made_and_when_changed(name, tau):
    with pytest.raises(ValueError, match="above 0"):
        relaxations.make(name, tau=tau)
    relaxation = relaxations.make(name)
    with pytest.raises(ValueError, match="above 0"):
        relaxation.change(tau=tau)
    assert relaxation.knobs == {"tau": 1.0}
    relaxation.tau = tau
    with pytest.raises(ValueError, match="above 0"):
        relaxation(random_logits(), cardinalities=CARDINALITIES)


def test_a_changed_knob_is_that_of_a_relaxation_made_with_it():
    relaxation = relaxations.make("gumbel_softmax")
    relaxation.change(tau=0.3)
    assert relaxation == relaxations.make("gumbel_softmax", tau=0.3)
    with pytest.raises(ValueError, match="no knob 'temperature'"):
        relaxation.change(tau=0.5, temperature=2.0)
    assert relaxation.knobs == {"tau": 0.3}


def test_unknown_names_and_knobs_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="gumbel_softmax"):
        relaxations.make("gumbel")
    with pytest.raises(ValueError, match="it has: tau"):
        relaxations.make("softmax", temperature=1.0)
    with pytest.raises(ValueError, match="no knobs"):
        relaxations.make("hard_argmax", tau=1.0)
    with pytest.raises(ValueError, match="sum to 8"):
        relaxations.make("softmax")(torch.zeros(2, 7), cardinalities=CARDINALITIES)
