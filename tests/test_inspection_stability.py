"""Several trainings compared: what no turn can change, what chance gives, and what moved."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial import procrustes
from scipy.stats import spearmanr

from tabkit import RowEncoder, fit_encoder, inspection
from tabkit.inspection import (
    Vectors,
    agreement,
    aligned_distances,
    category_vectors,
    movement,
    rank_correlation,
    shared_neighbours,
    stability,
)


def made(values, names=None, *, title="made", **facts):
    values = np.asarray(values, dtype=np.float64)
    names = [f"p{i}" for i in range(len(values))] if names is None else names
    return Vectors(title, values, pd.DataFrame(facts, index=names))


@pytest.fixture
def draw():
    return np.random.default_rng(11)


@pytest.fixture
def run(draw):
    return made(draw.normal(size=(20, 5)) * [3, 2, 1, 1, 1], count=np.arange(20))


def moved(run, draw, *, width=5, mirrored=False):
    """Turned (into `width` dimensions), mirrored if wanted, scaled and shifted."""
    turn, _ = np.linalg.qr(draw.normal(size=(width, width)))
    turn[0] *= np.sign(np.linalg.det(turn)) * (-1 if mirrored else 1)
    assert np.linalg.det(turn) * (-1 if mirrored else 1) > 0
    return made(4.2 * run.values @ turn[:5] + draw.normal(size=width), count=run.facts["count"])


def test_a_run_agrees_with_itself(run):
    table = stability([run, run, run])
    assert (table["overlap"] == 1).all()
    np.testing.assert_allclose(table["aligned"], 0, atol=1e-9)
    assert (table["aligned_chance"] > 0.1).all()
    assert table["count"].tolist() == list(range(20))
    assert table.index.tolist() == list(run.names)
    found = agreement([run, run])
    assert found["distance_correlation"] == pytest.approx(1)


@pytest.mark.parametrize(("width", "mirrored"), [(5, False), (5, True), (9, False)])
def test_turns_mirrors_scales_and_shifts_change_nothing(run, draw, width, mirrored):
    other = moved(run, draw, width=width, mirrored=mirrored)
    for pair in ([run, other], [other, run]):
        found = agreement(pair)
        assert found["runs"] == 2
        assert found["overlap"] == 1
        assert found["aligned"] == pytest.approx(0, abs=1e-7)
        assert found["distance_correlation"] == pytest.approx(1)


def test_aligned_distances_are_procrustes_of_scipy(run, draw):
    """scipy scales both clouds to a sum of squares of 1: their mean is 1/20 of it."""
    for other in (run.values + draw.normal(size=(20, 5)), draw.normal(size=(20, 5))):
        a, b, disparity = procrustes(other, run.values)
        expected = np.linalg.norm(b - a, axis=1) * 20**0.5
        found = aligned_distances(run, made(other))
        np.testing.assert_allclose(found, expected, atol=1e-9)
        assert (found**2).mean() == pytest.approx(disparity)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_shared_neighbours_are_counted_by_sets(run, draw, metric):
    other = made(run.values + draw.normal(size=(20, 5)))
    for k, given_k in ((4, 4), (5, None)):
        tables = [inspection.nearest(v, k=k, metric=metric) for v in (run, other)]
        near = [t.groupby("name", sort=False)["neighbour"].agg(set) for t in tables]
        expected = [len(a & b) / k for a, b in zip(*near, strict=True)]
        assert 0 < np.mean(expected) < 1
        found = shared_neighbours(run, other, k=given_k, metric=metric)
        np.testing.assert_allclose(found, expected)
        table = stability([run, other], k=given_k, metric=metric)
        np.testing.assert_allclose(table["overlap"], expected)


def test_three_runs_are_compared_in_all_pairs(run, draw):
    runs = [run, *(made(run.values + draw.normal(size=(20, 5))) for _ in range(2))]
    table, found, correlations = stability(runs, k=3), agreement(runs, k=3), []
    both = {"overlap": np.zeros(20), "aligned": np.zeros(20)}
    for a, b in ((0, 1), (0, 2), (1, 2)):
        both["overlap"] += shared_neighbours(runs[a], runs[b], k=3) / 3
        both["aligned"] += aligned_distances(runs[a], runs[b]) / 3
        apart = [inspection.distances(runs[i])[np.triu_indices(20, 1)] for i in (a, b)]
        correlations.append(spearmanr(*apart).statistic)
    for name, expected in both.items():
        np.testing.assert_allclose(table[name], expected)
        assert found[name] == pytest.approx(expected.mean())
    assert found["distance_correlation"] == pytest.approx(np.mean(correlations))
    assert found["aligned_chance"] == pytest.approx(table["aligned_chance"].mean())
    assert found["runs"] == 3


def test_the_metric_counts(draw):
    """Same directions, other lengths: one to the cosine alone."""
    first = draw.normal(size=(20, 3))
    runs = [made(first), made(first * draw.uniform(0.1, 9, (20, 1)))]
    cosine, euclidean = (agreement(runs, metric=m) for m in ("cosine", "euclidean"))
    assert cosine["overlap"] == 1 > euclidean["overlap"]
    assert cosine["distance_correlation"] == pytest.approx(1)
    assert euclidean["distance_correlation"] < 0.9


def test_random_runs_agree_as_chance_says():
    """60 pairs of clouds of 21 points: means lie within 4 standard errors of what is expected."""
    found = []
    for seed in range(60):
        draw = np.random.default_rng(seed)
        found.append(agreement([made(draw.normal(size=(21, 3))) for _ in range(2)], seed=seed))
    table = pd.DataFrame(found)
    assert (table["chance"] == 5 / 20).all()
    error = 4 * table.sem()
    assert abs(table["overlap"].mean() - 0.25) < error["overlap"]
    assert abs(table["distance_correlation"].mean()) < error["distance_correlation"]
    apart = table["aligned"] - table["aligned_chance"]
    assert abs(apart.mean()) < 4 * apart.sem()
    assert table["aligned"].mean() > 0.7


@pytest.mark.parametrize(
    ("n", "k", "expected"), [(21, None, 5 / 20), (7, None, 3 / 6), (7, 2, 2 / 6)]
)
def test_chance_is_the_share_of_the_others(draw, n, k, expected):
    runs = [made(draw.normal(size=(n, 2))) for _ in range(2)]
    assert agreement(runs, k=k)["chance"] == pytest.approx(expected)


def test_only_chance_is_drawn_and_by_the_seed(run, draw):
    runs = [run, made(run.values + draw.normal(size=(20, 5)))]
    before = torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist()
    a, b, c = (stability(runs, seed=seed) for seed in (0, 0, 1))
    rank_correlation([1, 3, 2, 4], [2, 1, 3, 4])
    assert (torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist()) == before
    pd.testing.assert_frame_equal(a, b, check_exact=True)
    same = ["count", "overlap", "aligned"]
    pd.testing.assert_frame_equal(a[same], c[same], check_exact=True)
    assert not np.allclose(a["aligned_chance"], c["aligned_chance"])


def test_an_untrained_net_has_not_moved_and_a_trained_one_has(dataset):
    net = RowEncoder(dataset.schema, width=16, D=4, embedding_std=None)
    start = category_vectors(net, dataset, "c01")
    stayed = movement(start, category_vectors(net, dataset, "c01"))
    assert (stayed["moved"] == 0).all()
    assert (stayed["kept"] == 1).all()
    list(fit_encoder(net, dataset, steps=3, batch=64))
    trained = category_vectors(net, dataset, "c01")
    found = movement(start, trained, k=1)
    assert (found["moved"] > 0).all()
    assert found["count"].tolist() == start.facts["count"].tolist()
    again = category_vectors(
        RowEncoder(dataset.schema, width=16, D=4, embedding_std=None), dataset, "c01"
    )
    np.testing.assert_allclose(found["length_at_start"], np.linalg.norm(again.values, axis=1))


def test_movement_is_the_distance_from_the_start(draw):
    """A shift moves all alike and keeps every neighbour; an exchange of names keeps few."""
    start = made(draw.normal(size=(20, 2)))
    shifted = movement(start, made(start.values + np.array([3, 4])))
    np.testing.assert_allclose(shifted["moved"], 5)
    assert (shifted["kept"] == 1).all()
    mixed = made(draw.permutation(start.values))
    found = movement(start, mixed, k=2)
    np.testing.assert_allclose(found["kept"], shared_neighbours(start, mixed, k=2))
    assert found["kept"].mean() < 0.5
    np.testing.assert_allclose(
        found["moved"], [math.dist(*p) for p in zip(start.values, mixed.values, strict=True)]
    )


def test_a_correlation_of_ranks_has_the_exact_p_value_of_a_few():
    """Of 5 points, 120 arrangements: one reaches 1 and one -1; the two-sided p is 2/120."""
    values = [1.0, 10.0, 11.0, 50.0, 51.0]
    for second, sign in ((values, 1), (values[::-1], -1)):
        statistic, p = rank_correlation(values, second)
        assert statistic == pytest.approx(sign)
        assert p == pytest.approx(2 / 120)


@pytest.mark.parametrize("seed", range(4))
def test_rank_correlations_are_scipys_and_their_p_values_near_the_theory(draw, seed):
    """p is near that of Student's t, by 4 standard errors of 999 draws and 0.01 for the theory."""
    first = np.exp(np.random.default_rng(seed).normal(size=15))
    second = pd.Series(first + 3 * draw.normal(size=15))
    expected = spearmanr(first, second)
    statistic, p = rank_correlation(first, second, seed=seed)
    assert statistic == pytest.approx(expected.statistic)
    assert (statistic, p) == rank_correlation(first, second, seed=seed)
    q = expected.pvalue
    assert abs(p - q) < 4 * (q * (1 - q) / 999) ** 0.5 + 0.01


def test_what_cannot_be_compared_is_refused(run):
    other = made(run.values, [f"q{i}" for i in range(20)], title="other")
    swapped = made(run.values, [*run.names[::-1]], title="other")
    for wrong in (other, swapped, made(run.values[:19], title="other")):
        for compared in (shared_neighbours, aligned_distances, movement):
            with pytest.raises(ValueError, match="'made' and 'other' do not name the same points"):
                compared(run, wrong)
        for compared in (stability, agreement):
            with pytest.raises(ValueError, match="'made' and 'other' do not name the same points"):
                compared([run, run, wrong])
    for compared in (stability, agreement):
        with pytest.raises(ValueError, match="two runs or more can be compared, not 1"):
            compared([run])
        with pytest.raises(ValueError, match="k must lie in 1 to 19"):
            compared([run, run], k=20)
    with pytest.raises(ValueError, match=r"widths differ: \(20, 5\), \(20, 3\)"):
        movement(run, made(run.values[:, :3]))
