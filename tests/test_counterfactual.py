"""A counterfactual turns the verdict, changes as few columns as it says, and tells what it took."""

import itertools

import pytest
import torch
from conftest import Bare

from tabkit import freeze
from tabkit.decoders import counterfactual
from tabkit.schema import DataError
from tabkit.simplex import one_hot, slices

K = (3, 2, 4, 3)
EVERY = torch.tensor(list(itertools.product(*map(range, K))))


def score_of(seed, shift=0.0):
    """A small frozen net's score of a row with these numbers."""
    net = freeze(Bare(K, 2, Z=1))
    drawn = torch.Generator().manual_seed(seed)
    net.into.data = torch.randn(net.into.shape, generator=drawn)
    numbers = torch.randn(1, 2, generator=drawn)
    return lambda s: net(s, numbers.expand(len(s), -1)).squeeze(1) + shift


def by_brute_force(score, codes):
    """The fewest columns whose change turns the verdict; 0 if none does."""
    scores, before = score(one_hot(EVERY, K)), score(one_hot(codes[None], K))
    changed = (codes != EVERY).sum(dim=1)[(scores > 0) != (before > 0)]
    return int(changed.min()) if len(changed) else 0


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("shift", [-4.0, -1.0, 2.0])
def test_the_search_is_as_small_as_brute_force_where_it_says_so(seed, shift):
    score, codes = score_of(seed, shift), EVERY[(seed * 31) % len(EVERY)]
    found, fewest = counterfactual(score, codes, K), by_brute_force(score, codes)
    assert found.turned <= (fewest > 0)
    assert not found.turned or len(found.columns) >= fewest
    assert not found.smallest or len(found.columns) == fewest
    assert found.smallest or fewest not in (1, 2)


@pytest.mark.parametrize("by", ["search", "gradient"])
@pytest.mark.parametrize("seed", range(8))
def test_what_it_says_of_the_row_is_so(by, seed):
    asked = []
    score, codes = score_of(seed, 1.0), EVERY[seed * 7]

    def watched(simplex):
        asked.append(len(simplex))
        return score(simplex)

    found = counterfactual(watched, codes, K, by=by)
    before, after = score(one_hot(torch.stack([codes, found.codes]), K)).tolist()
    assert (found.before, found.after) == pytest.approx((before, after), abs=1e-5)
    assert found.turned == ((before > 0) != (after > 0))
    assert found.columns == tuple((found.codes != codes).nonzero().flatten().tolist())
    assert found.evaluations == sum(asked)
    if found.turned:  # no change of those is needless
        for column in found.columns:
            less = found.codes.clone()
            less[column] = codes[column]
            assert (score(one_hot(less[None], K)).item() > 0) == (before > 0)


def test_the_gradient_is_exact_where_the_score_is_linear():
    """And asks far less."""
    for seed in range(10):
        price = torch.randn(sum(K), generator=torch.Generator().manual_seed(seed))
        codes = EVERY[seed * 7]
        total = price @ one_hot(codes[None], K)[0]

        def score(simplex, price=price, total=total):
            return simplex @ price - total + 1.5

        fewest = by_brute_force(score, codes)
        found = counterfactual(score, codes, K, by="gradient")
        searched = counterfactual(score, codes, K)
        assert len(found.columns) * found.turned == fewest
        assert found.evaluations <= searched.evaluations


def both(simplex):
    """Only the first two columns together turn it: at the row, each alone has no slope."""
    return 4 * simplex[:, 1] * simplex[:, 4] - 1


def test_two_that_only_act_together_are_found_by_the_search_alone():
    codes = torch.tensor([0, 0, 0, 0])
    found = counterfactual(both, codes, K)
    assert (found.columns, found.codes.tolist(), found.smallest) == ((0, 1), [1, 1, 0, 0], True)
    assert not counterfactual(lambda s: both(s) - 9, codes, K).turned
    blind = counterfactual(lambda s: both(s) - 0.1 * s[:, 1], codes, K, by="gradient")
    assert (blind.turned, blind.smallest) == (False, False)


def test_unaffordable_pairs_are_left_to_the_greedy_search():
    """Each of three columns adds one: three changes; that two are not enough is not known then."""
    price = torch.zeros(sum(K))
    price[torch.tensor([1, 4, 6])] = 1.0
    codes = torch.zeros(4, dtype=torch.int64)

    def score(simplex):
        return simplex @ price - 2.5

    whole, cheap = (counterfactual(score, codes, K, affordable=n) for n in (20_000, 0))
    assert whole.columns == cheap.columns == (0, 1, 2)
    assert (whole.smallest, cheap.smallest) == (True, False)
    assert cheap.evaluations < whole.evaluations


@pytest.mark.parametrize("by", ["search", "gradient"])
def test_what_is_not_allowed_does_not_come_in(by):
    codes = torch.zeros(4, dtype=torch.int64)
    price = torch.zeros(sum(K))
    price[1], price[4] = 5.0, 3.0

    def score(simplex):
        return simplex @ price - 2.0

    allowed = torch.ones(sum(K), dtype=torch.bool)
    assert counterfactual(score, codes, K, by=by).columns == (0,)
    allowed[1] = False
    assert counterfactual(score, codes, K, by=by, allowed=allowed).columns == (1,)
    allowed[4] = False
    found = counterfactual(score, codes, K, by=by, allowed=allowed)
    assert not found.turned
    nothing = counterfactual(score, codes, K, by=by, allowed=torch.zeros_like(allowed))
    assert (nothing.columns, nothing.turned, nothing.smallest) == ((), False, False)


def test_the_threshold_is_where_the_verdict_turns():
    codes = torch.tensor([0])
    price = torch.tensor([0.0, 1.0, 2.0, 3.0])
    low = counterfactual(lambda s: s @ price, codes, (4,), threshold=2.5)
    assert (low.codes.item(), low.turned) == (3, True)
    assert not counterfactual(lambda s: s @ price, codes, (4,), threshold=3).turned  # > , not >=
    down = counterfactual(lambda s: s @ price, torch.tensor([3]), (4,), threshold=2.5)
    assert (down.codes.item(), down.after, down.turned) == (0, 0.0, True)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"by": "luck"}, ValueError, "by must be one of search, gradient, not 'luck'"),
        ({"score": lambda s: s.sum()}, ValueError, "one loss per row"),
        ({"score": lambda s: s.sum(dim=1) / 0}, ValueError, "score is inf"),
        ({"score": lambda s: s.detach()[:, 0], "by": "gradient"}, ValueError, "no gradient"),
        ({"codes": torch.tensor([0, 5, 0, 0])}, DataError, "5"),
        ({"threshold": float("nan")}, ValueError, "threshold must be a finite number, not nan"),
        ({"allowed": torch.ones(3, dtype=torch.bool)}, ValueError, "allowed has the shape"),
        ({"score": lambda s: (0.5 - s[:, 1]).sqrt()}, ValueError, r"row \[1, 0, 0, 0\] is NaN"),
    ],
)
def test_what_cannot_be_is_told(options, error, said):
    usual = {
        "score": lambda s: s[:, 0],
        "codes": torch.zeros(4, dtype=torch.int64),
        "cardinalities": K,
    }
    with pytest.raises(error, match=said):
        counterfactual(**usual | options)


def test_the_gradient_tries_each_number_of_columns_once():
    """The row itself, the gradient, one more column each time, and the row that came nearest."""
    price = torch.arange(float(sum(K)))
    found = counterfactual(
        lambda s: s @ price - 1e3, torch.zeros(4, dtype=torch.int64), K, by="gradient"
    )
    assert (found.turned, found.evaluations) == (False, 1 + 1 + len(K) + 1)


@pytest.mark.parametrize("pair", [*itertools.combinations(range(len(K)), 2)])
def test_any_two_columns_that_only_act_together_are_found(pair):
    first, second = (place.start + 1 for place in (slices(K)[column] for column in pair))
    score = lambda s: 4 * s[:, first] * s[:, second] - 1  # noqa: E731
    found = counterfactual(score, torch.zeros(len(K), dtype=torch.int64), K)
    assert (found.columns, found.turned, found.smallest) == (pair, True, True)
