"""Estimators against exact enumeration: in expectation, for every draw, or to the last digit.

Statistical tests fix the generator and state their bound: no coordinate's mean lies further than
4.5 of its standard errors from the exact gradient, and the mean of their squares is below 2 (over
36 coordinates, most of them free: about one seed in a thousand would exceed it).
"""

import itertools

import pytest
import torch

from tabkit import estimators

CARDINALITIES = (3, 1, 4)
F = sum(CARDINALITIES)
KNOBS = [
    ("indecater", {}),
    ("indecater", {"samples": 3}),
    ("top_k_sample", {"k": 1}),
    ("top_k_sample", {"k": 2}),
    ("top_k_sample", {"k": 5}),
    ("reinforce", {"decay": 0.5}),
    ("leave_one_out", {"samples": 2}),
    ("leave_one_out", {"samples": 5}),
    ("rebar", {}),
    ("rebar", {"tau": 0.1, "eta": 0.7, "decay": 1}),
    ("rebar", {"tau": 2.0, "eta": -0.5, "decay": 0.0}),
]


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


INTO, BESIDE, OUT = normal(F, 6, seed=1), normal(2, 6, seed=2), normal(6, 3, seed=3)
ROWS = 4
LOGITS, CONTINUOUS = normal(ROWS, F, seed=4), normal(ROWS, 2, seed=5)
BESIDES = normal(1, 2, seed=6)  # where the continuous outputs do not matter


def behind(continuous):
    """Squared length behind a frozen net: neither linear nor separable in the columns."""
    return lambda simplex: ((simplex @ INTO + continuous @ BESIDE).tanh() @ OUT + 1).square().sum(1)


def blockwise(function, logits, cardinalities):
    return torch.cat([function(block) for block in logits.split(cardinalities, 1)], 1)


def expected_loss(logits, objective, cardinalities=CARDINALITIES):
    """By hand: each row of the joint table, times its columns' chances."""
    p = blockwise(lambda block: block.softmax(1), logits, cardinalities)
    total = 0
    for codes in itertools.product(*map(range, cardinalities)):
        one_hots = [torch.eye(k).double()[i] for k, i in zip(cardinalities, codes, strict=True)]
        row = torch.cat(one_hots)[None]
        chances = [(b * h).sum(1) for b, h in zip(p.split(cardinalities, 1), one_hots, strict=True)]
        total = total + torch.stack(chances).prod(0) * objective(row.expand_as(logits))
    return total


def gradients(estimator, draws, *, objective=None, cardinalities=CARDINALITIES):
    """One gradient a draw, for each row's logits and continuous outputs: all in one batch."""
    logits = LOGITS.repeat(draws, 1).requires_grad_()
    continuous = CONTINUOUS.repeat(draws, 1).requires_grad_()
    loss = estimator(
        logits,
        objective or behind(continuous),
        cardinalities=cardinalities,
        generator=torch.Generator().manual_seed(draws),
    )
    inputs = (logits,) if objective else (logits, continuous)
    per_row = torch.cat(torch.autograd.grad(loss, inputs), 1) * len(logits)
    return per_row.reshape(draws, ROWS, -1)


def exact_gradients():
    logits, continuous = LOGITS.clone().requires_grad_(), CONTINUOUS.clone().requires_grad_()
    loss = expected_loss(logits, behind(continuous)).sum()
    return torch.cat(torch.autograd.grad(loss, (logits, continuous)), 1)


def assert_mean_is(samples, exact):
    error, spread = (samples.mean(0) - exact).flatten(), samples.std(0).flatten()
    z = error / spread.clamp(min=1e-9) * len(samples) ** 0.5
    assert (error[spread < 1e-9].abs() < 1e-9).all()  # a column of one category, an exact estimator
    z = z[spread >= 1e-9]
    assert (z.abs() < 4.5).all()
    assert z.square().mean() < 2


def test_the_list_covers_every_estimator_that_says_it_is_unbiased():
    unbiased = {n for n in estimators.names() if estimators.make(n).bias == "unbiased"}
    assert unbiased == {name for name, _ in KNOBS}


@pytest.mark.parametrize(("name", "knobs"), KNOBS)
def test_an_unbiased_estimator_has_the_exact_gradient_on_average(name, knobs):
    """Over four calls, so that what is learnt from earlier ones is in play."""
    estimator = estimators.make(name, **knobs)
    samples = torch.cat([gradients(estimator, draws) for draws in (100, 3000, 3001, 3002)])
    assert_mean_is(samples, exact_gradients())


@pytest.mark.parametrize("name", ["softmax", "straight_through_sample", "imle"])
def test_the_bound_tells_a_biased_estimator_apart(name):
    with pytest.raises(AssertionError):
        assert_mean_is(gradients(estimators.make(name), 9000), exact_gradients())


def test_exact_is_the_enumeration_by_hand_and_its_gradient():
    logits, continuous = normal(5, F).requires_grad_(), normal(5, 2).requires_grad_()
    by_hand = expected_loss(logits, behind(continuous)).mean()
    found = estimators.make("exact")(logits, behind(continuous), cardinalities=CARDINALITIES)
    torch.testing.assert_close(found, by_hand)
    inputs = (logits, continuous)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs), torch.autograd.grad(by_hand, inputs)
    )


def test_exact_counts_the_joint_table_and_refuses_one_beyond_its_limit():
    assert estimators.make("exact").evaluations((3, 1, 4)) == 12
    at_limit = estimators.make("exact", limit=12)
    assert at_limit(LOGITS, behind(CONTINUOUS), cardinalities=CARDINALITIES).isfinite()
    below = estimators.make("exact", limit=11)
    with pytest.raises(ValueError, match="12 rows, more than limit=11"):
        below(LOGITS, behind(CONTINUOUS), cardinalities=CARDINALITIES)


def separable(simplex):
    """A sum of losses of single columns, each of them not linear in the simplex."""
    columns = (simplex @ (INTO * mask[:, None]) for mask in torch.eye(3).double()[COLUMN_OF].T)
    return sum((1 + c.tanh() @ OUT).square().sum(1) for c in columns)


COLUMN_OF = torch.tensor([0, 0, 0, 1, 2, 2, 2, 2])


@pytest.mark.parametrize(
    ("objective", "cardinalities"), [(behind(BESIDES), (F,)), (separable, CARDINALITIES)]
)
def test_indecater_is_exact_for_one_column_and_for_a_separable_loss(objective, cardinalities):
    logits = LOGITS.clone().requires_grad_()
    (exact,) = torch.autograd.grad(expected_loss(logits, objective, cardinalities).sum(), logits)
    found = gradients(
        estimators.make("indecater"), 50, objective=objective, cardinalities=cardinalities
    )
    torch.testing.assert_close(found, exact.expand_as(found))


def test_indecater_is_not_exact_for_columns_that_interact():
    assert gradients(estimators.make("indecater"), 50)[..., :F].std(0).max() > 0.01


def test_the_top_k_of_all_categories_need_no_sample():
    """As many tries as categories: exact for one column, whatever was drawn."""
    all_tried = estimators.make("top_k_sample", k=F)
    found = gradients(all_tried, 50, objective=behind(BESIDES), cardinalities=(F,))
    exact = exact_gradients_of_one_column()
    torch.testing.assert_close(found, exact.expand_as(found))


def exact_gradients_of_one_column():
    p = LOGITS.softmax(1)
    losses = behind(BESIDES)(torch.eye(F).double())
    return p * (losses - (p @ losses)[:, None])


@pytest.mark.parametrize(
    ("name", "knobs", "than"),
    [
        ("leave_one_out", {"samples": 4}, "reinforce"),
        ("rebar", {}, "reinforce"),
        ("top_k_sample", {}, "reinforce"),
        ("indecater", {}, "top_k_sample"),
    ],
)
def test_a_control_variate_or_more_tries_lower_the_variance(name, knobs, than):
    """At a fresh REINFORCE, whose baseline is 0; the ratio is below 0.8 where 1 would be none."""

    def variance(name, **knobs):
        estimator = estimators.make(name, **knobs)
        for draws in (100, 101, 5000):  # what is learnt settles
            if name == "reinforce":
                estimator.state.clear()
            found = gradients(estimator, draws)[..., :F]
        return found.var(0).sum()

    assert variance(name, **knobs) < 0.8 * variance(than)


def test_rebar_learns_the_weight_of_least_variance():
    """Gradients are ``plain + eta * control``: two fixed weights, same draws, give both parts."""

    def fixed(eta):
        return gradients(estimators.make("rebar", eta=eta, decay=1), 4000)[..., :F]

    plain, control = fixed(0.0), fixed(1.0) - fixed(0.0)
    best = -(plain * control).sum() / control.square().sum()
    learning = estimators.make("rebar", eta=0.3)
    torch.testing.assert_close(gradients(learning, 4000)[..., :F], plain + 0.3 * control)
    torch.testing.assert_close(gradients(learning, 4000)[..., :F], plain + best * control)


@pytest.mark.parametrize(("name", "knobs"), [*KNOBS, ("exact", {}), ("imle", {"samples": 3})])
@pytest.mark.parametrize("cardinalities", [CARDINALITIES, (4, 4), (F,)])
def test_the_declared_evaluations_are_those_made(name, knobs, cardinalities):
    made = []

    def counting(simplex):
        made.append(len(simplex))
        return behind(BESIDES)(simplex)

    estimator = estimators.make(name, **knobs)
    logits = normal(2, F).requires_grad_()
    estimator(logits, counting, cardinalities=cardinalities, generator=torch.Generator())
    assert made == [2] * estimator.evaluations(cardinalities)
