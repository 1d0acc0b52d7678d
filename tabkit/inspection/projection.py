"""Projections to 2 or 3 dimensions, and how far each may be trusted."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from tabkit.extras import imports_for
from tabkit.inspection.neighbours import check_count, check_metric, few
from tabkit.inspection.vectors import Vectors

with imports_for("inspection"):
    from sklearn.decomposition import PCA
    from sklearn.manifold import trustworthiness
    from sklearn.neighbors import NearestNeighbors

METHODS = ("umap", "pca")
FEWEST = 4
UMAP_NEIGHBOURS = 15
QUALITY_POINTS = 2_000
# From so many points on, UMAP would look for neighbours approximately, by code that takes half a
# minute to compile; an exact search in few dimensions takes a second.
UMAP_APPROXIMATES = 4_096


@dataclass(frozen=True, eq=False)
class Projection:
    """Points in 2 or 3 dimensions, and how well near points stayed near.

    Attributes
    ----------
    method : ``"umap"`` or ``"pca"``
    coordinates : (n, 2) or (n, 3)
    trustworthiness : 1 if every point's neighbours on the map are its neighbours among the vectors
        (Venna and Kaski, 2001)
    continuity : 1 if every point's neighbours among the vectors are its neighbours on the map
    quality_neighbours : how many neighbours the two look at
    pca : what was fitted, for PCA
    """

    vectors: Vectors
    method: str
    coordinates: Float[np.ndarray, "n d"]
    trustworthiness: float
    continuity: float
    quality_neighbours: int
    pca: PCA | None = None

    @property
    def explained(self) -> float | None:
        """Share of the variance that a PCA shows; None for UMAP."""
        return None if self.pca is None else float(self.pca.explained_variance_ratio_.sum())

    def place(self, points: Float[np.ndarray, "m W"]) -> Float[np.ndarray, "m d"]:
        """Where further points of the same space lie on a PCA.

        PCA is linear: the mixture of two points lies on the straight line between them. Raises
        ValueError for UMAP, on whose map a place between two points means nothing.
        """
        if self.pca is None:
            raise ValueError(
                "UMAP bends the space: between two of its points there is nothing to be read. "
                "Project with method='pca' to place further points"
            )
        return self.pca.transform(points)

    def landings(
        self, points: Float[np.ndarray, "m W"], codes: Int64[np.ndarray, " m"]
    ) -> pd.DataFrame:
        """Where points lie on a PCA (`x`, `y`), and the categories of their codes (`to_x`, `to_y`).

        Raises as `place`.
        """
        ends = np.hstack([self.place(points)[:, :2], self.coordinates[codes, :2]])
        return pd.DataFrame(ends, columns=["x", "y", "to_x", "to_y"])


def project(
    vectors: Vectors,
    *,
    method: str = "umap",
    dimensions: int = 2,
    neighbours: int | None = None,
    metric: str = "euclidean",
    seed: int = 0,
    progress: bool = False,
) -> Projection:
    """Projects points to a plane or to three dimensions.

    UMAP compiles itself when first used in a process, which takes about ten seconds.

    Parameters
    ----------
    method : ``"umap"`` (McInnes, Healy and Melville, 2018, arXiv:1802.03426) or ``"pca"``
    dimensions : 2 or 3
    neighbours : how many neighbours UMAP keeps together, 2 or more; 15 if not given, or all other
        points where there are fewer
    metric : for UMAP, as in `nearest`; PCA is Euclidean
    seed : same seed, same machine, same versions: the same map
    progress : show a bar of UMAP's rounds (compiling comes before it)

    Raises
    ------
    ValueError, DataError
        If there are fewer than 4 points, or all are the same, fewer points than `neighbours`,
        fewer columns than `dimensions`, or an argument is unknown; as `nearest`.
    """
    check_projection(vectors, method, dimensions, neighbours, metric)
    check_metric(vectors, metric)
    pca = PCA(dimensions, svd_solver="full") if method == "pca" else None
    if pca:
        coordinates = pca.fit_transform(vectors.values.astype(np.float64))
    else:
        width = neighbours or min(UMAP_NEIGHBOURS, len(vectors) - 1)
        bar = {"disable": not progress, "desc": f"UMAP of {len(vectors):,} points"}
        options = {"n_components": dimensions, "random_state": seed, "tqdm_kwds": bar}
        coordinates = _umap(vectors, n_neighbors=width, metric=metric, **options)
    trust, continuity, k = quality(vectors, coordinates, metric=metric, seed=seed)
    return Projection(vectors, method, coordinates.astype(np.float64), trust, continuity, k, pca)


def check_projection(
    vectors: Vectors, method: str, dimensions: int, neighbours: int | None, metric: str
) -> None:
    """Raises ValueError if the points are too few, or an argument is unknown."""
    n, width = vectors.values.shape
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    if dimensions not in (2, 3):
        raise ValueError(f"dimensions must be 2 or 3, not {dimensions}")
    if n < FEWEST:
        raise ValueError(
            f"{vectors.title!r} has {n} points; a map needs at least {FEWEST}. "
            "Read their distances: inspection.distances(vectors)"
        )
    if not np.ptp(vectors.values, axis=0).any():
        raise ValueError(f"the points of {vectors.title!r} are all the same")
    if width < dimensions:
        cannot = f"they cannot be projected to {dimensions} dimensions"
        raise ValueError(f"{vectors.title!r} has vectors of width {width}: {cannot}")
    if method == "pca" and (metric != "euclidean" or neighbours is not None):
        raise ValueError("PCA is Euclidean and looks at no neighbours: leave out both")
    if neighbours is not None:
        check_count(vectors, "neighbours", neighbours, 2)


def _umap(vectors: Vectors, **options: Any) -> Float[np.ndarray, "n d"]:
    """UMAP's coordinates.

    It starts from a PCA, which is defined for few points too; but it scales its start to a box,
    which a start without extent in one dimension does not have.
    """
    start = PCA(options["n_components"], svd_solver="full").fit_transform(vectors.values)
    options |= {"init": start if np.ptp(start, axis=0).all() else "random", "n_jobs": 1}
    if len(vectors) >= UMAP_APPROXIMATES:
        search = NearestNeighbors(n_neighbors=options["n_neighbors"], metric=options["metric"])
        found, order = search.fit(vectors.values).kneighbors(vectors.values)
        options["precomputed_knn"] = (order, found)
    with warnings.catch_warnings():
        # It says that it cannot place new points, and that it lacks TensorFlow: neither is used.
        warnings.filterwarnings("ignore", message=".*precomputed_knn", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*Tensorflow", category=ImportWarning)
        with imports_for("inspection"):
            from umap import UMAP  # noqa: PLC0415 - heavy

        return UMAP(**options).fit_transform(vectors.values)


def quality(
    vectors: Vectors,
    coordinates: Float[np.ndarray, "n d"],
    *,
    metric: str = "euclidean",
    seed: int = 0,
) -> tuple[float, float, int]:
    """Trustworthiness, continuity, and the number of neighbours that they look at.

    Both compare all pairs, so of many points 2,000 are drawn.
    """
    n = len(vectors)
    drawn = np.random.default_rng(seed).permutation(n)[:QUALITY_POINTS]
    values, shown = vectors.values[drawn], coordinates[drawn]
    if metric == "cosine":  # of vectors of length 1 the order of distances is that of angles
        values = values / np.linalg.norm(values, axis=1, keepdims=True)
    k = few(len(drawn))
    both = ((values, shown), (shown, values))
    trust, continuity = (float(trustworthiness(a, b, n_neighbors=k)) for a, b in both)
    return trust, continuity, k
