"""The truth as distances, and permutation tests against it: by hand, and by full enumeration."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, spearmanr

from tabkit import RowEncoder, flights, freeze, inspection, planted
from tabkit.data import PLACES
from tabkit.inspection import Vectors, category_vectors, known_truths, truth_score, truth_scores


def made(values):
    values = np.asarray(values, dtype=np.float64)
    return Vectors("made", values, pd.DataFrame(index=range(len(values))))


def pairs(table):
    return table[np.triu_indices(len(table), 1)]


def apart(values):
    """Euclidean distances, by broadcasting."""
    return np.linalg.norm(values[:, None] - values, axis=2)


@pytest.fixture
def draw():
    return np.random.default_rng(7)


@pytest.fixture
def random(draw):
    """Nine points and a truth that is half of their first coordinate, half chance."""
    values = draw.normal(size=(9, 3))
    return made(values), apart(values[:, :1] + 0.7 * draw.normal(size=(9, 1)))


@pytest.fixture(scope="module")
def grown():
    return planted(400, categorical=4, continuous=1, cardinality=(4, 8))


@pytest.fixture
def net1(grown):
    return freeze(RowEncoder(grown.schema, Z=3, width=16, depth=1, D=4, embedding_std=None))


@pytest.fixture(scope="module")
def flown():
    return flights(rows=5_000, held_out=500)


def statistics(vectors, truth, k):
    """The two scores by their definitions, with loops and scipy."""
    own, n = apart(vectors.values), len(truth)
    near = [[j for j in np.argsort(own[i]) if j != i][:k] for i in range(n)]
    ratio = np.mean([truth[i, j] for i in range(n) for j in near[i]]) / pairs(truth).mean()
    return spearmanr(pairs(own), pairs(truth)).statistic, ratio


def test_the_scores_are_spearmans_and_the_neighbours_share_of_the_mean_distance(random):
    vectors, truth = random
    for k in (1, 3, 8):
        score = truth_score(vectors, truth, k=k, permutations=1)
        correlation, ratio = statistics(vectors, truth, k)
        assert (score["categories"], score["k"]) == (9, k)
        assert score["correlation"] == pytest.approx(correlation)
        assert score["neighbour_ratio"] == pytest.approx(ratio)


def test_perfect_structure_has_correlation_1_and_the_smallest_p():
    """Monotone is enough: the truth is the square of the distances."""
    values = np.random.default_rng(0).normal(size=(12, 4))
    score = truth_score(made(values), apart(values) ** 2, permutations=199)
    assert score["correlation"] == pytest.approx(1)
    assert score["correlation_p"] == score["neighbour_p"] == 1 / 200
    worst = truth_score(made(values), 10 - apart(values), permutations=199)
    assert worst["correlation"] == pytest.approx(-1)
    assert worst["correlation_p"] == worst["neighbour_p"] == 1


def test_the_p_values_are_those_of_all_arrangements(draw):
    """Of 5 categories, all 120; 4,000 random ones come within 4 standard errors."""
    values = draw.normal(size=(5, 2))
    vectors, truth = made(values), apart(values + 0.8 * draw.normal(size=(5, 2)))
    orders = itertools.permutations(range(5))
    every = np.array([statistics(vectors, truth[np.ix_(o, o)], 2) for o in orders])
    correlation, ratio = every[0]
    exact = (every[:, 0] >= correlation - 1e-9).mean(), (every[:, 1] <= ratio + 1e-9).mean()
    score = truth_score(vectors, truth, permutations=4_000)
    for found, p in zip((score["correlation_p"], score["neighbour_p"]), exact, strict=True):
        assert 0.01 < p < 0.6
        assert abs(found - p) < 4 * (p * (1 - p) / 4_000) ** 0.5


def test_under_accident_the_p_values_are_uniform():
    """Of 200 random truths, no share of p-values is off by 1.95/sqrt(200): 1 in 1,000 by chance."""
    found = []
    for seed in range(200):
        draw = np.random.default_rng(seed)
        vectors, truth = made(draw.normal(size=(8, 2))), apart(draw.normal(size=(8, 2)))
        score = truth_score(vectors, truth, permutations=99, seed=seed)
        found.append((score["correlation_p"], score["neighbour_p"]))
    grid = np.linspace(0.01, 1, 100)[:, None, None]
    off = (np.array(found) <= grid + 1e-9).mean(axis=1) - grid[:, 0]
    assert np.abs(off).max() < 1.95 / 200**0.5


def test_the_seed_decides_the_p_values_and_the_categories_order_does_not(random, draw):
    first, again = (truth_score(*random, permutations=2_000) for _ in range(2))
    assert first == again != truth_score(*random, permutations=2_000, seed=1)
    vectors, truth = random
    order = draw.permutation(9)
    other = made(vectors.values[order]), truth[np.ix_(order, order)]
    found = truth_score(*other, permutations=2_000)
    for name in ("categories", "k", "correlation", "neighbour_ratio"):
        assert first[name] == pytest.approx(found[name])
    for name in ("correlation_p", "neighbour_p"):
        p = first[name]
        assert abs(p - found[name]) < 4 * (p * (1 - p) * 2 / 2_000) ** 0.5 < p


def test_given_a_distance_the_correlation_is_the_partial_one(random, draw):
    """By the formula from the three plain correlations."""
    vectors, truth = random
    held = apart(vectors.values[:, :1] + draw.normal(size=(9, 1)))
    ranked = [pairs(table) for table in (apart(vectors.values), truth, held)]
    xy, xz, yz = (spearmanr(*two).statistic for two in itertools.combinations(ranked, 2))
    expected = (xy - xz * yz) / ((1 - xz**2) * (1 - yz**2)) ** 0.5
    found, plain = (truth_score(vectors, truth, given=g, permutations=9) for g in (held, None))
    assert found["correlation"] == pytest.approx(expected)
    assert found["neighbour_ratio"] == plain["neighbour_ratio"]


def test_what_is_known_already_is_not_found_again():
    """Both share only what is given: 50 tests at 5% find something seldom, those without often."""
    found = {"plain": 0, "given": 0}
    for seed in range(50):
        draw = np.random.default_rng(seed)
        known = draw.normal(size=(12, 1))
        noisy = [known + 0.5 * draw.normal(size=(12, 1)) for _ in range(2)]
        for name, held in (("plain", None), ("given", apart(known))):
            score = truth_score(made(noisy[0]), apart(noisy[1]), given=held, permutations=99)
            found[name] += score["correlation_p"] <= 0.05
    assert found["plain"] > 30
    assert found["given"] < 10  # 2.5 expected, 10 or more 1 time in 5,000


def test_unknown_categories_take_no_part(random):
    vectors, truth = random
    unknown, held = truth.copy(), apart(vectors.values[:, 1:])
    unknown[2] = unknown[:, 2] = np.nan
    known = np.arange(9) != 2
    score = truth_score(vectors, unknown, permutations=99)
    assert score == truth_score(vectors.keep(known), truth[np.ix_(known, known)], permutations=99)
    assert (score["categories"], score["k"]) == (8, 3)
    held[5] = held[:, 5] = np.nan
    assert truth_score(vectors, unknown, given=held, permutations=9)["categories"] == 7


def test_the_cosine_is_the_distance_of_unit_vectors(random, draw):
    vectors, truth = random
    long = made(vectors.values * draw.uniform(0.1, 9, (9, 1)))
    unit = made(long.values / np.linalg.norm(long.values, axis=1, keepdims=True))
    cosine = truth_score(long, truth, metric="cosine")
    assert cosine == pytest.approx(truth_score(unit, truth))
    euclidean = truth_score(long, truth)
    assert cosine["neighbour_ratio"] != pytest.approx(euclidean["neighbour_ratio"], abs=0.01)


def test_what_cannot_be_scored_is_refused(random):
    vectors, truth = random
    hole = np.where(truth == truth[0, 1], np.nan, truth)
    few = inspection.line(np.where(np.arange(9) < 4, np.arange(9), np.nan))
    same = np.ones((9, 9)) - np.eye(9)
    refused = {
        r"true distances \(8, 8\) do not fit the 9 points of 'made'": {"truth": truth[:8, :8]},
        "the truth of 4 points of 'made' is known": {"truth": few},
        "'made' are all the same": {"truth": same},
        "made' are all the same": {"truth": truth, "given": same},
        "whose truth is known, the distance is not": {"truth": hole},
        "k must lie in 1 to 8": {"truth": truth, "k": 9},
        "euclidean, cosine, not 'l1'": {"truth": truth, "metric": "l1"},
    }
    for message, options in refused.items():
        with pytest.raises(ValueError, match=message):
            truth_score(vectors, **options)
    for told in (truth, np.sqrt(truth), 3 * truth + 1):
        with pytest.raises(ValueError, match="the given distances tell all of the others"):
            truth_score(vectors, truth, given=told)
    for alike in (np.ones((9, 2)), np.eye(9)):
        with pytest.raises(ValueError, match="'made' are all equally far apart"):
            truth_score(made(alike), truth)


def test_the_table_has_the_score_of_every_column_view_and_truth(net1, grown):
    options = {"k": 2, "metric": "cosine", "permutations": 19, "seed": 5}
    table = truth_scores(net1, grown, views=(v for v in ("table", "output")), **options)
    truths = known_truths(grown)
    # c00 has 4 categories; c02 has 5, but one without rows
    names = {"c01": truths["c01"], "c02": ["planted: clusters"], "c03": truths["c03"]}
    keys = [(c, name, v) for c in names for name in names[c] for v in ("table", "output")]
    assert list(table[["column", "truth", "view"]].itertuples(index=False, name=None)) == keys
    for row in table.to_dict("records"):
        vectors = category_vectors(net1, grown, row["column"], view=row["view"])
        score = truth_score(vectors, truths[row["column"]][row["truth"]], **options)
        assert {name: row[name] for name in score} == score
    adjusted = false_discovery_control(table["correlation_p"], method="bh")
    np.testing.assert_allclose(table["correlation_q"], adjusted)


def test_truths_of_ones_own_and_those_that_no_test_can_tell(net1, grown):
    """Also: all views if none is named; and no stream but that of the seed is used."""
    before = torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist()
    order = np.arange(7.0)
    few = inspection.line(np.where(order < 4, order, np.nan))
    truths = {"c01": {"same": np.zeros((7, 7)), "order": inspection.line(order), "few": few}}
    table = truth_scores(net1, grown, truths, permutations=9)
    assert table["truth"].tolist() == ["order"] * 3
    assert tuple(table["view"]) == inspection.VIEWS
    assert (torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist()) == before
    del truths["c01"]["order"]
    for none in (truths, {}):
        with pytest.raises(ValueError, match="no column has 5 categories"):
            truth_scores(net1, grown, none)


def test_lines_rings_points_and_profiles_are_what_they_say(draw):
    """By loops; what is unknown of one category is unknown of its pairs, and of no other."""
    values = draw.uniform(-30, 50, 6)
    counts, places = draw.integers(0, 9, (6, 4)).astype(float), draw.normal(size=(6, 3))
    values[2], counts[2], places[2, 1] = np.nan, 0, np.nan
    shares = [row / max(row.sum(), 1) for row in counts]
    laps = 24 * np.arange(-9, 10)
    tables = [
        (inspection.line(values), lambda a, b: abs(values[a] - values[b])),
        (inspection.ring(values, period=24), lambda a, b: abs(values[a] - values[b] + laps).min()),
        (inspection.points(places), lambda a, b: math.dist(places[a], places[b])),
        (inspection.profiles(counts), lambda a, b: 1 - np.minimum(shares[a], shares[b]).sum()),
    ]
    for table, oracle in tables:
        assert np.isnan(np.stack([table[2], table[:, 2]])).all()
        for a, b in itertools.product([0, 1, 3, 4, 5], repeat=2):
            assert table[a, b] == pytest.approx(oracle(a, b), abs=1e-9)


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=3, max_size=3))
def test_great_circles_are_angles_between_unit_vectors(places):
    """From -90 to 90 degrees north; symmetric, and no detour is shorter."""
    north, east = np.radians(places).T
    unit = np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], 1)
    sines = np.linalg.norm(np.cross(unit[:, None], unit[None]), axis=2)
    found = inspection.great_circle(*np.array(places).T)
    np.testing.assert_allclose(found, 6371 * np.arctan2(sines, unit @ unit.T), atol=0.5)
    assert np.array_equal(found, found.T)
    assert found[0, 2] <= found[0, 1] + found[1, 2] + 1e-3


def test_the_flights_know_places_clocks_fleets_and_seats(flown):
    truths, frame = known_truths(flown), flown.frame(flown.train)
    labels = {c.name: c.labels for c in flown.schema.categorical}

    def between(column, truth, a, b):
        return truths[column][truth][labels[column].index(a), labels[column].index(b)]

    # JFK is "New York"; San Francisco is 4,152 km away, Los Angeles 3,975
    assert between("dest", "great circle (km)", "LAX", "SFO") == pytest.approx(543, abs=2)
    assert between("dest", "distance from New York (km)", "LAX", "SFO") == pytest.approx(177, abs=4)
    assert between("dest", "time zone (h)", "LAX", "MIA") == 3
    assert between("hour", "ring", "5", "23") == 6 == 24 - between("hour", "order", "5", "23")
    assert between("month", "ring", "1", "12") == between("weekday", "ring", "1", "7") == 1
    assert between("wind_dir", "ring", "10", "360") == 10
    assert np.isnan(truths["wind_dir"]["ring"][labels["wind_dir"].index("0")]).all()
    fleets = pd.crosstab(frame["carrier"], frame["manufacturer"].fillna("-"), normalize="index")
    apart = (fleets.loc["UA"] - fleets.loc["B6"]).abs().sum() / 2
    assert between("carrier", "fleet: manufacturers in common", "UA", "B6") == pytest.approx(apart)
    seats = frame.groupby("carrier")["seats"].mean()
    expected = pytest.approx(abs(seats["UA"] - seats["9E"]), rel=1e-4)
    assert between("carrier", "seats", "UA", "9E") == expected


def test_planted_truths_are_the_planted_places(grown):
    truths = known_truths(grown)
    for column, place in zip(truths, PLACES, strict=True):
        places = grown.truth[column].filter(like="x").to_numpy()
        np.testing.assert_allclose(truths[column][f"planted: {place}"], apart(places), atol=1e-6)


def test_outcomes_and_counts_are_those_of_the_training_rows(flown, grown, own):
    for data in (flown, grown, own):
        codes, outcomes = data.rows.codes[data.train].numpy(), data.outcomes[data.train].numpy()
        found = known_truths(data)
        assert len(found) == len(data.schema.categorical)
        for number, column in enumerate(data.schema.categorical):
            truths, everyone = found[column.name], range(column.cardinality)
            means = pd.DataFrame(outcomes).groupby(codes[:, number]).mean().reindex(everyone)
            np.testing.assert_allclose(truths["outcomes"], apart(means.to_numpy()), atol=1e-5)
            counts = pd.Series(codes[:, number]).value_counts().reindex(everyone)
            logs = np.log(counts.to_numpy())[:, None]
            np.testing.assert_allclose(truths["frequency"], apart(logs), atol=1e-9)
            for table in truths.values():
                assert np.array_equal(table, table.T, equal_nan=True)
                assert set(np.diag(table)) <= {0} or np.isnan(np.diag(table)).any()


def test_a_truth_that_is_not_symmetric_is_refused():
    table = np.arange(36.0).reshape(6, 6)
    with pytest.raises(ValueError, match="not symmetric"):
        truth_score(made(np.arange(6.0)[:, None]), table)
