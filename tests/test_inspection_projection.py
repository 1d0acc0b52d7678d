"""Maps: a PCA is linear, UMAP repeats and keeps neighbours, and both say how far to trust."""

import numpy as np
import pandas as pd
import pytest
import torch

from tabkit.inspection import Vectors, project
from tabkit.inspection.projection import quality


def made(values):
    values = np.asarray(values, dtype=np.float32)
    return Vectors("made", values, pd.DataFrame(index=range(len(values))))


@pytest.fixture
def draw():
    return np.random.default_rng(5)


@pytest.fixture
def points(draw):
    return made(draw.normal(size=(40, 6)) * [5, 3, 2, 1, 1, 1] + 7)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_pca_is_the_singular_value_decomposition(points, dimensions):
    """Up to the signs of the axes; the share of the variance is that of the squared sizes."""
    found = project(points, method="pca", dimensions=dimensions)
    values = points.values.astype(np.float64)
    left, sizes, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    expected = (left * sizes)[:, :dimensions]
    np.testing.assert_allclose(np.abs(found.coordinates), np.abs(expected), atol=1e-9)
    share = (sizes[:dimensions] ** 2).sum() / (sizes**2).sum()
    assert found.explained == pytest.approx(share)
    assert (found.method, found.vectors) == ("pca", points)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_pca_places_mixtures_at_the_mixture_of_the_places(points, draw, dimensions):
    found = project(points, method="pca", dimensions=dimensions)
    shares = draw.dirichlet(np.ones(40), size=8)
    mixtures = shares @ points.values.astype(np.float64)
    np.testing.assert_allclose(found.place(mixtures), shares @ found.coordinates, atol=1e-9)
    np.testing.assert_allclose(found.place(points.values), found.coordinates, atol=1e-4)


def test_landings_are_places_beside_the_places_of_their_categories(points, draw):
    found = project(points, method="pca")
    own, codes = draw.normal(size=(9, 6)), draw.integers(0, 40, 9)
    landings = found.landings(own, codes)
    np.testing.assert_allclose(landings[["x", "y"]], found.place(own))
    np.testing.assert_array_equal(landings[["to_x", "to_y"]], found.coordinates[codes])


def test_umap_has_no_place_for_further_points(points):
    found = project(points)
    assert found.explained is None
    for ask in (found.place, lambda p: found.landings(p, np.zeros(len(p), dtype=np.int64))):
        with pytest.raises(ValueError, match="Project with method='pca' to place further points"):
            ask(points.values)


def test_a_map_that_changes_nothing_is_fully_trusted(draw):
    flat = draw.normal(size=(50, 2))
    turn, _ = np.linalg.qr(draw.normal(size=(5, 5)))
    found = project(made(flat @ turn[:2]), method="pca")
    assert found.trustworthiness == found.continuity == 1
    assert found.quality_neighbours == 5
    assert found.explained == pytest.approx(1)


def test_trustworthiness_and_continuity_are_those_of_their_paper(points, draw):
    """Venna and Kaski's sums over ranks, written out; the second is the first of the inverse."""
    shown = draw.normal(size=(40, 2))
    trust, continuity, k = quality(points, shown)

    def ranks(x):
        """Of each point's others by distance: 1 is the nearest, 0 the point itself."""
        apart = np.linalg.norm(x[:, None] - x, axis=2)
        return apart.argsort(axis=1).argsort(axis=1)

    true, seen = ranks(points.values.astype(np.float64)), ranks(shown)
    scale = 2 / (40 * k * (2 * 40 - 3 * k - 1))
    intruders = (true - k)[(seen <= k) & (true > k)].sum()
    lost = (seen - k)[(true <= k) & (seen > k)].sum()
    assert k == 5
    assert trust == pytest.approx(1 - scale * intruders)
    assert continuity == pytest.approx(1 - scale * lost)
    assert trust != continuity


def test_the_quality_of_many_points_is_that_of_2000_drawn(draw):
    flat = made(draw.normal(size=(2_500, 2)))
    shown = flat.values.astype(np.float64)
    assert quality(flat, shown) == (1, 1, 5)
    noisy = shown + draw.normal(size=shown.shape)
    assert quality(flat, noisy, seed=0) == quality(flat, noisy, seed=0)
    a, b = quality(flat, noisy, seed=0)[0], quality(flat, noisy, seed=1)[0]
    assert a != b
    assert a == pytest.approx(b, abs=0.02)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("n", [4, 5, 7, 14])
def test_a_few_points_can_be_projected(draw, n, dimensions):
    vectors = made(draw.normal(size=(n, 5)))
    for method in ("umap", "pca"):
        found = project(vectors, method=method, dimensions=dimensions)
        assert found.coordinates.shape == (n, dimensions)
        assert found.coordinates.dtype == np.float64
        assert np.isfinite(found.coordinates).all()
        assert 0 <= found.trustworthiness <= 1
        assert 0 <= found.continuity <= 1
        assert found.quality_neighbours == {4: 1, 5: 2, 7: 3, 14: 5}[n]


def test_points_without_extent_in_some_direction_can_be_projected():
    flat = np.zeros((12, 3))
    flat[:, 0] = np.arange(12)
    for width in (2, 3):
        found = project(made(flat[:, :width]))
        assert np.isfinite(found.coordinates).all()


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_umap_repeats_bit_by_bit_and_another_seed_is_another_map(points, metric):
    a, b, c = (project(points, metric=metric, seed=s) for s in (1, 1, 2))
    assert np.array_equal(a.coordinates, b.coordinates)
    assert (a.trustworthiness, a.continuity) == (b.trustworthiness, b.continuity)
    assert not np.array_equal(a.coordinates, c.coordinates)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_umap_keeps_separated_clusters_apart(draw, dimensions):
    """Three clusters, 10 standard deviations apart: nobody's neighbours are of another one."""
    group = np.repeat([0, 1, 2], 20)
    vectors = made(draw.normal(size=(60, 8)) + 10 * np.eye(8)[group])
    shown = project(vectors, dimensions=dimensions, neighbours=8).coordinates
    apart = np.linalg.norm(shown[:, None] - shown, axis=2)
    assert (group[apart.argsort(axis=1)[:, :10]] == group[:, None]).all()


def test_umap_may_be_trusted_on_a_plane_and_follows_its_metric(draw):
    """A grid, turned into 6 dimensions; and rays, which are points to the cosine alone."""
    grid = np.stack(np.meshgrid(range(12), range(12)), axis=2).reshape(-1, 2)
    turn, _ = np.linalg.qr(draw.normal(size=(6, 6)))
    found = project(made((grid + 0.1 * draw.normal(size=grid.shape)) @ turn[:2]))
    assert min(found.trustworthiness, found.continuity) > 0.95
    ray = np.repeat(np.arange(4), 12)
    lengths = np.tile(np.geomspace(0.01, 100, 12), 4)[:, None]
    rays = made(lengths * (np.eye(4)[ray] + 0.05 * draw.normal(size=(48, 4))))
    pure = {}
    for metric in ("cosine", "euclidean"):
        shown = project(rays, metric=metric, neighbours=8).coordinates
        apart = np.linalg.norm(shown[:, None] - shown, axis=2)
        pure[metric] = (ray[apart.argsort(axis=1)[:, 1:6]] == ray[:, None]).mean()
    assert pure["cosine"] == 1 > pure["euclidean"]


def test_how_many_neighbours_umap_keeps_is_a_knob(points):
    """15 if not given."""
    default, same, other = (project(points, neighbours=n).coordinates for n in (None, 15, 5))
    assert np.array_equal(default, same)
    assert not np.array_equal(default, other)


def test_many_points_are_projected_by_an_exact_search(draw, monkeypatch):
    """From 4,096 points on; without a warning, twice the same, and neighbours stay."""
    project(made(draw.normal(size=(9, 3))))  # which imports umap
    never = type("Never", (), {"__init__": None})
    monkeypatch.setattr("umap.umap_.NNDescent", never)  # its approximate search
    group = np.arange(4_096) % 4
    vectors = made(0.3 * draw.normal(size=(4_096, 4)) + 10 * np.eye(4)[group])
    a, b = (project(vectors, neighbours=4) for _ in range(2))
    assert np.array_equal(a.coordinates, b.coordinates)
    assert np.isfinite(a.coordinates).all()
    assert min(a.trustworthiness, a.continuity) > 0.8


def test_what_cannot_be_projected_is_refused(points):
    refused = {
        "umap, pca, not 'tsne'": {"method": "tsne"},
        "2 or 3, not 4": {"dimensions": 4},
        "2 or 3, not 1": {"dimensions": 1},
        r"2 to 39, .*\(40 in all\), not 1": {"neighbours": 1},
        r"2 to 39, .*\(40 in all\), not 40": {"neighbours": 40},
        "euclidean, cosine, not 'l1'": {"metric": "l1"},
    }
    for message, options in refused.items():
        with pytest.raises(ValueError, match=message):
            project(points, **options)
    for method in ("umap", "pca"):
        with pytest.raises(ValueError, match=r"'made' has 3 points.*at least 4.*inspection\.dist"):
            project(made(points.values[:3]), method=method)
        with pytest.raises(ValueError, match=r"of width 2.* to 3 dimensions"):
            project(made(points.values[:, :2]), method=method, dimensions=3)
        with pytest.raises(ValueError, match="the points of 'made' are all the same"):
            project(made(np.ones((6, 3))), method=method)


def test_projecting_leaves_the_global_streams(points):
    before = torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist()
    for method in ("umap", "pca"):
        project(points, method=method)
    assert (torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist()) == before


def test_the_bar_is_shown_if_wanted(points, capfd):
    project(points)
    assert "UMAP" not in capfd.readouterr().err
    project(points, progress=True)
    assert "UMAP of 40 points" in capfd.readouterr().err


def test_trust_in_a_cosine_map_is_by_angles():
    """Lengths, which the cosine does not see, do not count."""
    draw = np.random.default_rng(0)
    angles = made(draw.normal(size=(30, 4)))
    stretched = made(angles.values * draw.uniform(0.1, 10, (30, 1)).astype(np.float32))
    shown = draw.normal(size=(30, 2))
    own = quality(angles, shown, metric="cosine")
    assert quality(stretched, shown, metric="cosine") == pytest.approx(own)
    assert quality(stretched, shown) != pytest.approx(own)


@pytest.mark.parametrize("option", [{"metric": "cosine"}, {"neighbours": 5}])
def test_pca_takes_no_option_that_it_would_ignore(option):
    with pytest.raises(ValueError, match="PCA is Euclidean"):
        project(made(np.random.default_rng(0).normal(size=(9, 3))), method="pca", **option)
