"""Each relaxation gives a simplex, is the point it says it is, and has its limits in tau."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tabkit import relaxations
from tabkit.schema import argmax_codes, check_simplex, map_blocks, one_hot_simplex

CARDINALITIES = (3, 1, 4)
F = sum(CARDINALITIES)
TEMPERATURES = {  # the knobs that are any number above 0; the others are counts
    name: [k for k in relaxations.make(name).knobs if k != "samples"]
    for name in relaxations.names()
}
TEMPERED = [(name, knob) for name, knobs in TEMPERATURES.items() for knob in knobs]
COUNTED = [n for n in relaxations.names() if "samples" in relaxations.make(n).knobs]
SOFT = ["softmax", "gumbel_softmax", "sparsemax", "entmax15", "perturbed_argmax"]
HARD = [n for n in relaxations.names() if n not in SOFT]
DETERMINISTIC = ["softmax", "sparsemax", "entmax15", "hard_argmax", "straight_through_argmax"]
NOISY = [n for n in relaxations.names() if n not in DETERMINISTIC]
BAD = [0.0, -1.0, float("nan"), float("inf")]


def relax(name, logits, *, seed=0, cardinalities=CARDINALITIES, **knobs):
    return relaxations.make(name, **knobs)(
        logits, cardinalities=cardinalities, generator=torch.Generator().manual_seed(seed)
    )


def random_logits(*, rows=6, scale=1.0, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(rows, F, generator=generator, dtype=dtype)


def blocks(*values, cardinalities=CARDINALITIES):
    return zip(*(v.split(cardinalities, 1) for v in values), strict=True)


def is_vertex(simplex):
    hard = all((b.sum(1) == 1).all() for (b,) in blocks(simplex))
    return hard and bool(((simplex == 0) | (simplex == 1)).all())


@pytest.mark.parametrize("name", relaxations.names())
@given(
    scale=st.sampled_from([1e-3, 1.0, 100.0]),
    tau=st.floats(0.05, 20),
    seed=st.integers(0, 2**31),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_the_output_is_a_simplex_and_its_gradient_is_finite(name, scale, tau, seed, dtype):
    knobs = dict.fromkeys(TEMPERATURES[name], tau)
    logits = random_logits(scale=scale, dtype=dtype, seed=seed).requires_grad_()
    simplex = relax(name, logits, seed=seed, **knobs)
    check_simplex(simplex, CARDINALITIES)
    assert simplex.dtype == dtype
    if simplex.requires_grad:
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


@pytest.mark.parametrize("name", ["softmax", "gumbel_softmax", "sparsemax", "entmax15"])
def test_a_low_temperature_gives_a_vertex_and_a_high_one_the_uniform_mixture(name):
    logits = random_logits()
    cold, hot = relax(name, logits, tau=1e-4), relax(name, logits, tau=1e6)
    vertex = one_hot_simplex(argmax_codes(cold, CARDINALITIES), CARDINALITIES, dtype=cold.dtype)
    torch.testing.assert_close(cold, vertex)
    if name != "gumbel_softmax":
        assert torch.equal(argmax_codes(cold, CARDINALITIES), argmax_codes(logits, CARDINALITIES))
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
    expected = torch.cat([sparse_by_bisection(b / tau, alpha) for (b,) in blocks(logits)], 1)
    torch.testing.assert_close(found, expected)
    assert (found == 0).any()
    assert not is_vertex(found)


@pytest.mark.parametrize("name", ["sparsemax", "entmax15"])
def test_a_saturated_sparse_projection_is_a_vertex_that_learns_no_more(name):
    logits = (100 * one_hot_simplex(torch.tensor([[2, 0, 1]]), CARDINALITIES)).requires_grad_()
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


@pytest.mark.parametrize("name", ["softmax", "gumbel_softmax", "sparsemax", "entmax15"])
def test_soft_relaxations_have_the_numerical_gradient(name):
    logits = random_logits(rows=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: relax(name, x, tau=0.6), (logits,))


def test_the_hard_argmax_passes_no_gradient():
    assert not relax("hard_argmax", random_logits().requires_grad_()).requires_grad


@pytest.mark.parametrize("name", NOISY)
def test_samples_have_the_frequencies_that_they_should(name):
    """Within 4.5 standard errors of softmax(logits) at any tau; two say that theirs are colder."""
    draws, knobs = 40_000, dict.fromkeys(TEMPERATURES[name], 0.3)
    if name in COUNTED:
        knobs["samples"] = 1
    logits = random_logits(rows=1)
    colder = name in ("decoupled_straight_through_gumbel", "perturbed_argmax")
    simplex = relax(name, logits.expand(draws, F), **knobs)
    for found, logit in blocks(simplex, logits / 0.3 if colder else logits):
        frequency = torch.bincount(found.argmax(1), minlength=found.shape[1]) / draws
        p = logit[0].softmax(0)
        error = (p * (1 - p) / draws).sqrt()
        assert ((frequency - p).abs() <= 4.5 * error + 1e-12).all()


def test_gumbel_noise_has_its_mean_and_variance(generator):
    noise = relaxations.gumbel_noise(torch.zeros(200_000, dtype=torch.float64), generator)
    assert abs(noise.mean() - 0.57722) < 4.5 * (1.6449 / 200_000) ** 0.5
    assert abs(noise.var() / 1.6449 - 1) < 4.5 * (4.4 / 200_000) ** 0.5  # kurtosis less 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gumbel_noise_in_half_precision_is_finite_and_keeps_its_tail(dtype, generator):
    """Drawn in half precision, it would end at 7.6; of 300,000 draws, one is above 10."""
    noise = relaxations.gumbel_noise(torch.zeros(300_000, dtype=dtype), generator)
    assert noise.dtype == dtype
    assert noise.isfinite().all()
    assert noise.max() > 10


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


def test_a_map_over_columns_of_one_width_is_the_map_over_each():
    """Such columns go as one long block: rows and columns must come back to their places."""
    values, others = random_logits(rows=5), random_logits(rows=5, seed=1)

    def product(block, other):
        return block.softmax(1) * other

    found = map_blocks(product, (4, 4), values, others)
    by_column = [product(b, o) for b, o in blocks(values, others, cardinalities=(4, 4))]
    assert torch.equal(found, torch.cat(by_column, 1))


@pytest.mark.parametrize("name", relaxations.names())
def test_columns_of_one_width_keep_their_own_categories(name):
    """Saturated logits, another category in each column and row: whatever is drawn is theirs."""
    codes = torch.tensor([[0, 3], [1, 2], [3, 3]])
    vertex = one_hot_simplex(codes, (4, 4))
    assert torch.equal(relax(name, 1e3 * vertex, cardinalities=(4, 4)), vertex)


@pytest.mark.parametrize(("name", "knob"), TEMPERED)
@pytest.mark.parametrize("value", BAD)
def test_a_bad_temperature_is_refused_when_made_and_when_changed(name, knob, value):
    with pytest.raises(ValueError, match=f"{knob} must be .* above 0"):
        relaxations.make(name, **{knob: value})
    relaxation = relaxations.make(name)
    knobs = relaxation.knobs
    with pytest.raises(ValueError, match=f"{knob} must be .* above 0"):
        relaxation.change(**{knob: value})
    assert relaxation.knobs == knobs


@pytest.mark.parametrize(("name", "knob"), [c for c in TEMPERED if c[1] != "gap"])
def test_a_bad_temperature_set_past_the_constructor_is_refused_in_use(name, knob):
    relaxation = relaxations.make(name)
    setattr(relaxation, knob, 0.0)
    with pytest.raises(ValueError, match="above 0"):
        relaxation(random_logits(), cardinalities=CARDINALITIES)


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("value", [*BAD, 1.5])
def test_a_bad_count_is_refused(name, value):
    with pytest.raises(ValueError, match="samples must be a whole number of at least 1"):
        relaxations.make(name, samples=value)
    counts = relaxations.make(name)
    counts.change(samples=3.0)  # as a schedule would
    assert counts.samples == 3
    assert isinstance(counts.samples, int)


def test_a_changed_knob_is_that_of_a_relaxation_made_with_it():
    relaxation = relaxations.make("gumbel_softmax")
    relaxation.change(tau=0.3)
    assert relaxation == relaxations.make("gumbel_softmax", tau=0.3)
    with pytest.raises(ValueError, match="no knob 'temperature'"):
        relaxation.change(tau=0.5, temperature=2.0)
    assert relaxation.knobs == {"tau": 0.3}
    both = relaxations.make("gumbel_rao")
    with pytest.raises(ValueError, match="samples"):
        both.change(tau=0.5, samples=0)
    assert both.knobs == {"tau": 1.0, "samples": 10}


def test_unknown_names_and_knobs_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="gumbel_softmax"):
        relaxations.make("gumbel")
    with pytest.raises(ValueError, match="it has: tau"):
        relaxations.make("softmax", temperature=1.0)
    with pytest.raises(ValueError, match="no knobs"):
        relaxations.make("hard_argmax", tau=1.0)
    with pytest.raises(ValueError, match="sum to 8"):
        relaxations.make("softmax")(torch.zeros(2, 7), cardinalities=CARDINALITIES)
