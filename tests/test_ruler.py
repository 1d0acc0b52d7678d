"""The ruler measures what it says: against enumeration, and on estimators of known error."""

import itertools

import pandas as pd
import pytest
import torch

from tabkit import estimators, ruler
from tabkit.estimators import Estimator
from tabkit.estimators.registry import Rule
from tabkit.ruler.measures import against, jackknife, measures
from tabkit.ruler.reference import draw_many

CARDINALITIES = (3, 2, 4)
F = sum(CARDINALITIES)
B = 5


def objective(simplex):
    """Neither linear nor separable, and of another size in every row."""
    weights = torch.linspace(-1, 1, F * 3, dtype=simplex.dtype).reshape(F, 3).sin()
    rows = torch.arange(1, len(simplex) + 1, dtype=simplex.dtype)
    return rows * ((simplex @ weights).tanh().pow(2).sum(dim=1) + (simplex @ weights[:, 0]).exp())


@pytest.fixture
def logits(generator):
    return torch.randn(B, F, generator=generator, dtype=torch.float64)


@pytest.fixture
def exact(logits):
    return ruler.exact_gradient(logits, objective, CARDINALITIES)


def noisy(truth, shift, noise):
    """The exact gradient, plus a constant, plus normal noise: its bias and variance are known."""

    def made(logits, objective, cardinalities, *, generator=None):
        drawn = torch.randn(truth.shape, generator=generator, dtype=truth.dtype)
        return (logits * (truth + shift + noise * drawn)).sum() / len(logits)

    return Estimator(Rule(made, gradient="made up", source="made up"), {})


def test_the_exact_gradient_is_that_of_the_expected_loss_summed_by_hand(logits, exact):
    leaf = logits.clone().requires_grad_()
    p = [b.softmax(dim=1) for b in leaf.split(CARDINALITIES, dim=1)]
    expected = 0
    for codes in itertools.product(*(range(k) for k in CARDINALITIES)):
        hot = [torch.eye(k, dtype=leaf.dtype)[i] for k, i in zip(CARDINALITIES, codes, strict=True)]
        row = torch.cat(hot).expand(B, F)
        expected = expected + p[0][:, codes[0]] * p[1][:, codes[1]] * p[2][:, codes[2]] * objective(
            row
        )
    (gradient,) = torch.autograd.grad(expected.sum(), leaf)
    torch.testing.assert_close(exact.gradient, gradient)
    assert (exact.standard_error == 0).all()


def test_the_sampled_reference_keeps_its_own_error_bars(logits, exact):
    """Over 20 seeds, squares of deviation over error average 1, within 30%."""
    z = []
    for seed in range(20):
        found = ruler.sampled_gradient(logits, objective, CARDINALITIES, draws=80, seed=seed)
        z.append((found.gradient - exact.gradient) / found.standard_error)
    assert 0.7 < torch.stack(z).square().mean() < 1.3


def test_known_bias_and_variance_are_found(logits, exact):
    """Shift 0.3 and noise 0.5 in each of B*F places: within 4 of the printed standard errors."""
    scale = exact.gradient.square().sum().item()
    made = {"made": noisy(exact.gradient, 0.3, 0.5), "clean": noisy(exact.gradient, 0.0, 0.5)}
    found = ruler.measure(made, logits, objective, CARDINALITIES, draws=2000)
    made, clean = found.loc["made"], found.loc["clean"]
    assert abs(made.squared_bias - B * F * 0.09 / scale) < 4 * made.squared_bias_se
    assert abs(made.variance - B * F * 0.25 / scale) < 4 * made.variance_se
    assert abs(clean.squared_bias) < 4 * clean.squared_bias_se
    assert clean.mean_cosine > 0.98 > clean.cosine
    signal = (scale / (B * F * 0.25)) ** 0.5
    assert abs(clean.signal_to_noise - signal) < 4 * clean.signal_to_noise_se


def test_the_draws_own_scatter_is_not_counted_as_bias(exact):
    """40 unbiased noisy draws, 100 times: the squared bias averages 0, within 4 standard errors."""
    found = []
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(40, B, F, generator=generator, dtype=torch.float64)
        found.append(measures(exact.gradient + 0.5 * noise, exact)["squared_bias"])
    assert abs(pd.Series(found).mean()) < 4 * pd.Series(found).sem()


def test_the_references_own_error_is_not_counted_as_bias(logits, exact):
    """A reference that is off by known noise: the exact estimator still has no bias, on average."""
    found = []
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(30, B, F, generator=generator, dtype=torch.float64)
        noise = exact.gradient + 0.1 * noise
        found.append(against(exact.gradient.expand(40, B, F), ruler.Reference(noise)))
    table = pd.DataFrame(found)
    assert abs(table["squared_bias"].mean()) < 4 * table["squared_bias"].sem()
    # the printed standard error covers the scatter from reference to reference; the jackknife of a
    # square overrates it where the mean is 0
    scatter = table["squared_bias"].std()
    assert 0.8 < (table["squared_bias_se"] ** 2).mean() ** 0.5 / scatter < 2


def test_the_exact_estimator_has_no_error(logits):
    found = ruler.measure(
        {"exact": estimators.make("exact")}, logits, objective, CARDINALITIES, draws=40
    ).loc["exact"]
    assert found.squared_bias == pytest.approx(0, abs=1e-12)
    assert found.variance == pytest.approx(0, abs=1e-12)
    assert found.cosine == pytest.approx(1)
    assert found.evaluations == 24


@pytest.mark.parametrize("name", ["leave_one_out", "indecater", "top_k_sample", "rebar"])
def test_unbiased_estimators_measure_as_unbiased(name, logits):
    chosen = {name: estimators.make(name)}
    found = ruler.measure(chosen, logits, objective, CARDINALITIES, draws=300).loc[name]
    assert abs(found.squared_bias) < 4 * found.squared_bias_se
    assert found.variance > 0


def test_a_biased_estimator_measures_as_biased(logits):
    chosen = {"biased": estimators.make("straight_through_sample")}
    found = ruler.measure(chosen, logits, objective, CARDINALITIES, draws=600).loc["biased"]
    assert found.squared_bias > 10 * found.squared_bias_se


def test_the_reference_is_drawn_apart_from_what_it_measures(logits):
    """With the same seed on both sides, IndeCateR must not be measured against its own draws."""
    reference = ruler.sampled_gradient(logits, objective, CARDINALITIES, draws=100)
    chosen = {"indecater": estimators.make("indecater")}
    found = ruler.measure(
        chosen, logits, objective, CARDINALITIES, reference=reference, draws=100
    ).loc["indecater"]
    assert abs(found.squared_bias) < 4 * found.squared_bias_se


def test_measuring_leaves_an_estimator_as_it_was_and_repeats(logits):
    chosen = {"learns": estimators.make("reinforce")}
    a, b = (ruler.measure(chosen, logits, objective, CARDINALITIES, draws=40) for _ in range(2))
    columns = ["squared_bias", "variance", "cosine"]
    pd.testing.assert_frame_equal(a[columns], b[columns], check_exact=True)
    assert chosen["learns"].state == {}


def test_an_estimator_without_gradient_measures_as_zero(logits):
    chosen = {"none": estimators.make("hard_argmax")}
    found = ruler.measure(chosen, logits, objective, CARDINALITIES, draws=40).loc["none"]
    assert (found.squared_bias, found.cosine) == (pytest.approx(1), 0)


def test_the_seed_decides_the_draws(logits):
    estimator = estimators.make("straight_through_gumbel")
    a, b, c = (
        draw_many(estimator, logits, objective, CARDINALITIES, draws=3, seed=s) for s in (0, 0, 1)
    )
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_the_jackknife_of_a_mean_is_its_standard_error(generator):
    values = torch.randn(20, generator=generator, dtype=torch.float64)
    left_out = [((values.sum() - v) / 19).item() for v in values]
    assert jackknife(left_out) ** 0.5 == pytest.approx((values.std() / 20**0.5).item())
    assert jackknife([torch.inf] * 3) == jackknife([]) == 0
    assert jackknife([torch.inf, 1.0]) != jackknife([torch.inf, 1.0])  # unknown


def test_what_cannot_be_measured_is_refused(logits):
    chosen = {"softmax": estimators.make("softmax")}
    with pytest.raises(ValueError, match="at least 40, not 39"):
        ruler.measure(chosen, logits, objective, CARDINALITIES, draws=39)
    with pytest.raises(ValueError, match="takes an embedding"):
        ruler.measure(
            {"free": estimators.make("direct_embedding")}, logits, objective, CARDINALITIES
        )
    wide = torch.zeros(1, 40)
    with pytest.raises(ValueError, match="1,048,576 rows"):
        ruler.measure(chosen, wide, lambda s: s.sum(1), [2] * 20)
    noise = ruler.Reference(
        torch.randn(2, B, F, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    )
    with pytest.raises(ValueError, match="little but noise"):
        ruler.measure(chosen, logits, objective, CARDINALITIES, reference=noise, draws=40)
    with pytest.raises(ValueError, match="at least 2, not 1"):
        ruler.sampled_gradient(logits, objective, CARDINALITIES, draws=1)


@pytest.mark.parametrize("constant", [lambda s: s.sum(1), lambda s: torch.ones(len(s)).double()])
def test_a_gradient_of_0_measures_nothing(logits, constant):
    """And no NaN comes of it; nor of no rows."""
    chosen, none = {"softmax": estimators.make("softmax")}, logits[:0]
    with pytest.raises(ValueError, match="the exact gradient is 0: the objective is the same"):
        ruler.measure(chosen, logits, constant, CARDINALITIES, draws=40)
    reference = ruler.exact_gradient(logits, constant, CARDINALITIES)
    with pytest.raises(ValueError, match="the exact gradient is 0"):
        ruler.estimate(
            chosen["softmax"], logits, constant, CARDINALITIES, reference=reference, draws=2
        )
    with pytest.raises(ValueError, match="there are no rows"):
        ruler.measure(chosen, none, objective, CARDINALITIES, draws=40)
