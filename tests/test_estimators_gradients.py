"""Straight-through relaxations have the gradient that they declare, and stand as they should.

Exact: Jacobians as explicit matrices in float64, and expectations as sums over all vertices.
Statistical: a fixed generator, and at most 4.5 standard errors.
"""

import math

import pytest
import torch

from tabkit import estimators
from tabkit.estimators.gumbel import conditional_gumbels
from tabkit.simplex import gumbel_noise, sample

CARDINALITIES = (3, 1, 4)
F = sum(CARDINALITIES)
K = 4
GUMBEL_MEAN, GUMBEL_VARIANCE = 0.5772156649, math.pi**2 / 6


def normal(*shape, scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def pulled_back(relaxation, logits, slope, cardinalities, seed=0):
    """The point, and the relaxation's vector-Jacobian product with `slope` for each row."""
    logits = logits.clone().requires_grad_()
    point = relaxation.simplex(logits, cardinalities=cardinalities, generator=stream(seed))
    slope = slope(point.detach()) if callable(slope) else slope
    return point.detach(), torch.autograd.grad(point, logits, slope)[0]


def through(p, slope):
    """The softmax's Jacobian at p, as a matrix, times the slope."""
    jacobian = torch.diag_embed(p) - p[..., :, None] * p[..., None, :]
    return (jacobian @ slope[..., None])[..., 0]


def straight_argmax(logits, D, g, noise, generator):
    return through((logits / 0.7).softmax(1), g) / 0.7


def straight_sample(logits, D, g, noise, generator):
    return through((logits / 0.7).softmax(1), g) / 0.7


def straight_gumbel(logits, D, g, noise, generator):
    return through(((logits + noise) / 0.7).softmax(1), g) / 0.7


def decoupled(logits, D, g, noise, generator):
    assert torch.equal((logits / 0.3 + noise).argmax(1), D.argmax(1))
    return through((logits / 0.7 + noise).softmax(1), g) / 0.7


def gumbel_rao(logits, D, g, noise, generator):
    assert torch.equal((logits + noise).argmax(1), D.argmax(1))
    shape = (5, *logits.shape)
    perturbed = conditional_gumbels(logits.expand(shape), D.expand(shape), generator)
    return through((perturbed / 0.7).softmax(2), g.expand(shape)).mean(0) / 0.7


def gapped(logits, D, g, noise, generator):
    moved = logits.clone()
    for row, drawn in enumerate(D.argmax(1).tolist()):
        largest = logits[row].max()
        for k in range(logits.shape[1]):
            moved[row, k] = largest if k == drawn else min(logits[row, k], largest - 0.4)
    return through((moved / 0.7).softmax(1), g) / 0.7


def reinmax(logits, D, g, noise, generator):
    p, q = logits.softmax(1), (D + (logits / 0.7).softmax(1)) / 2
    return 2 * through(q, g) - through(p, g) / 2


def zgr(logits, D, g, noise, generator):
    p = logits.softmax(1)
    return (through(p, g) + (g * (D - p)).sum(1, keepdim=True) * (D - p)) / 2


DECLARED = {
    "straight_through_argmax": (straight_argmax, {"tau": 0.7}),
    "straight_through_sample": (straight_sample, {"tau": 0.7}),
    "straight_through_gumbel": (straight_gumbel, {"tau": 0.7}),
    "decoupled_straight_through_gumbel": (decoupled, {"sampling_tau": 0.3, "surrogate_tau": 0.7}),
    "gumbel_rao": (gumbel_rao, {"tau": 0.7, "samples": 5}),
    "gapped_straight_through": (gapped, {"tau": 0.7, "gap": 0.4}),
    "reinmax": (reinmax, {"tau": 0.7}),
    "zgr": (zgr, {}),
}


@pytest.mark.parametrize("name", DECLARED)
def test_the_gradient_is_the_declared_product_of_jacobian_and_slope(name):
    declared, knobs = DECLARED[name]
    logits, slope = normal(50, F), normal(50, F, seed=1)
    point, found = pulled_back(estimators.make(name, **knobs), logits, slope, CARDINALITIES)
    generator = stream()
    noise = gumbel_noise(logits, generator)  # of whole rows; what is drawn by column comes after
    values = (logits, point, slope, noise)
    columns = zip(*(v.split(CARDINALITIES, 1) for v in values), strict=True)
    expected = torch.cat([declared(*column, generator) for column in columns], 1)
    torch.testing.assert_close(found, expected)


def test_the_list_covers_every_relaxation_that_hands_over_vertices():
    """But the argmax itself, whose gradient is 0."""
    hard, logits = set(), normal(50, F)
    for name in estimators.names(relaxations=True):
        made = estimators.make(name)
        point = made.simplex(logits, cardinalities=CARDINALITIES, generator=stream())
        if ((point == 0) | (point == 1)).all():
            hard.add(name)
    assert hard == {*DECLARED, "hard_argmax"}


def test_decoupled_at_one_and_one_is_straight_through_gumbel():
    both = estimators.make("decoupled_straight_through_gumbel", sampling_tau=1, surrogate_tau=1)
    logits, slope = normal(20, F), normal(20, F, seed=1)
    one = estimators.make("straight_through_gumbel")
    found, expected = (pulled_back(r, logits, slope, CARDINALITIES) for r in (both, one))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


CURVATURE, TILT = normal(K, K, seed=2), normal(K, seed=3)


def losses_and_slope(degree):
    """A loss of one column, at its vertices, and its slope at points: linear or quadratic."""
    curvature = CURVATURE if degree == 2 else 0 * CURVATURE
    losses = TILT + curvature.diagonal()
    return losses, lambda points: TILT + points @ (curvature + curvature.T)


def expected_over_vertices(name, logits, slope):
    """The mean gradient: that of each vertex, from a batch in which all were drawn, times its p."""
    point, found = pulled_back(estimators.make(name), logits.repeat(2000, 1), slope, (K,))
    firsts = torch.stack([(point.argmax(1) == k).nonzero()[0, 0] for k in range(K)])
    return (logits.softmax(1).T * found[firsts]).sum(0)


@pytest.mark.parametrize(
    ("name", "degree"),
    [("straight_through_sample", 1), ("reinmax", 1), ("reinmax", 2), ("zgr", 1), ("zgr", 2)],
)
def test_sampled_rules_are_exact_in_expectation_up_to_their_order(name, degree):
    losses, slope = losses_and_slope(degree)
    logits = normal(1, K)
    exact = through(logits.softmax(1), losses[None])[0]
    torch.testing.assert_close(expected_over_vertices(name, logits, slope), exact)


def test_the_first_order_rule_is_not_exact_for_a_quadratic_loss():
    losses, slope = losses_and_slope(2)
    logits = normal(1, K)
    exact = through(logits.softmax(1), losses[None])[0]
    first = expected_over_vertices("straight_through_sample", logits, slope)
    assert (first - exact).abs().max() > 0.1


def moments(relaxation, logits, slope, draws):
    """Mean, standard error and variance of the gradient over rows that are copies of one."""
    _, found = pulled_back(relaxation, logits.repeat(draws, 1), slope, (K,), seed=draws)
    return found.mean(0), found.std(0) / draws**0.5, found.var(0).sum()


@pytest.mark.parametrize("tau", [0.3, 1.0])
def test_gumbel_rao_is_straight_through_gumbel_in_expectation_with_less_variance(tau):
    """Also with one draw, where only the noise is drawn in another way."""
    _, slope = losses_and_slope(2)
    plain, rao, one = (
        moments(estimators.make(name, tau=tau, **knobs), normal(1, K), slope, draws)
        for name, knobs, draws in (
            ("straight_through_gumbel", {}, 40_000),
            ("gumbel_rao", {"samples": 30}, 10_000),
            ("gumbel_rao", {"samples": 1}, 40_001),
        )
    )
    for mean, error, _ in (rao, one):
        assert ((mean - plain[0]).abs() < 4.5 * (error**2 + plain[1] ** 2).sqrt()).all()
    assert rao[2] < 0.9 * plain[2]
    torch.testing.assert_close(one[2], plain[2], rtol=0.05, atol=0)


def test_cold_gumbel_rao_tends_to_zgr_for_each_vertex():
    """The conditional mean Jacobian; at tau = 0.02 its own distance from the limit is below 2%."""
    logits, slope = normal(1, K), normal(1, K, seed=1)
    repeated, slopes = logits.repeat(4000, 1), slope.expand(4000, K)
    cold = estimators.make("gumbel_rao", tau=0.02, samples=200)
    point, found = pulled_back(cold, repeated, slopes, (K,))
    _, limit = pulled_back(estimators.make("zgr"), repeated, slopes, (K,))
    for k in range(K):
        here = point.argmax(1) == k
        expected = limit[here][0]
        error = found[here].std(0) / here.sum() ** 0.5
        bound = 4.5 * error + 0.02 * expected.abs().max()
        assert ((found[here].mean(0) - expected).abs() < bound).all()


def test_conditional_gumbels_are_those_of_the_formula_without_logarithms(generator):
    """The numbers of Paulus et al. 2021: minus log of (E_j / theta_j + E_i / Z)."""
    logits = normal(50, K)
    vertex = sample(logits, (K,), generator)
    found = conditional_gumbels(logits, vertex, stream())
    exponential = (-gumbel_noise(logits, stream())).exp()
    top = (exponential * vertex).sum(1, keepdim=True) / logits.exp().sum(1, keepdim=True)
    expected = -(exponential / logits.exp() * (1 - vertex) + top).log()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0, 1e4])
def test_conditional_gumbels_are_largest_at_any_vertex_and_finite(scale, dtype, generator):
    """Vertices of all chances, also of nearly none; a tie by rounding is not below."""
    logits = normal(3000, K, scale=scale).to(dtype).requires_grad_()
    vertex = torch.eye(K, dtype=dtype).repeat(750, 1)
    found = conditional_gumbels(logits, vertex, generator)
    assert torch.equal((found * vertex).sum(1), found.amax(1))
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    assert found.isfinite().all()
    assert gradient.isfinite().all()


def test_conditional_gumbels_with_vertices_of_their_chances_are_free_gumbels(generator):
    """Their mean, variance and lack of correlation, and the law of the largest, which is given."""
    draws, logits = 100_000, normal(1, K)
    repeated = logits.expand(draws, K)
    vertex = sample(repeated, (K,), generator)
    noise = conditional_gumbels(repeated, vertex, generator) - logits
    error = (GUMBEL_VARIANCE / draws) ** 0.5
    assert ((noise.mean(0) - GUMBEL_MEAN).abs() < 4.5 * error).all()
    fourth = 4.4**0.5  # of a Gumbel, kurtosis less 1
    assert ((noise.var(0) / GUMBEL_VARIANCE - 1).abs() < 4.5 * fourth / draws**0.5).all()
    between = noise.T.corrcoef() - torch.eye(K)
    assert (between.abs() < 4.5 / draws**0.5).all()
    largest = (noise + logits)[vertex[:, 0] > 0].amax(1) - logits.logsumexp(1)
    assert abs(largest.mean() - GUMBEL_MEAN) < 4.5 * (GUMBEL_VARIANCE / len(largest)) ** 0.5


@pytest.mark.parametrize("sigma", [0.5, 2.0])
@pytest.mark.parametrize("samples", [1, 2, 20])
def test_perturbed_argmax_has_the_softmax_and_its_jacobian_on_average(sigma, samples):
    draws, logits, slope = 40_000 // samples, normal(1, K), normal(1, K, seed=1)
    point, found = pulled_back(
        estimators.make("perturbed_argmax", sigma=sigma, samples=samples),
        logits.repeat(draws, 1),
        slope.expand(draws, K),
        (K,),
    )
    p = (logits / sigma).softmax(1)
    for values, expected in ((point, p[0]), (found, through(p, slope)[0] / sigma)):
        error = values.std(0) / draws**0.5
        assert ((values.mean(0) - expected).abs() < 4.5 * error).all()


def test_perturbed_argmax_of_many_samples_is_near_the_softmax_and_its_baseline_calms_it():
    logits, slope = normal(1, K), normal(1, K, seed=1)
    many = estimators.make("perturbed_argmax", samples=100_000)
    point, _ = pulled_back(many, logits, slope, (K,))
    torch.testing.assert_close(point, logits.softmax(1), atol=4.5 * 0.5 / 100_000**0.5, rtol=0)
    one, two = (
        moments(estimators.make("perturbed_argmax", samples=s), logits, slope.expand(d, K), d)
        for s, d in ((1, 20_000), (2, 20_001))
    )
    assert two[2] < 0.2 * one[2]  # without the baseline it would be half
