"""What stays from seed to seed, what was luck, and how far training moved each category."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float

from tabkit.extras import imports_for
from tabkit.inspection.neighbours import few, neighbours
from tabkit.inspection.vectors import Vectors

with imports_for("inspection"):
    from scipy.linalg import orthogonal_procrustes
    from scipy.spatial.distance import pdist
    from scipy.stats import permutation_test, spearmanr

Numbers = Sequence[int | float] | np.ndarray | pd.Series


def shared_neighbours(
    first: Vectors, second: Vectors, *, k: int | None = None, metric: str = "euclidean"
) -> Float[np.ndarray, " n"]:
    """For each point, the share of its k nearest that are the same in both.

    k is 5 if not given, but at most half of the other points.

    Raises ValueError if the two do not name the same points, or k does not fit.
    """
    _check_same([first, second])
    k = few(len(first)) if k is None else k
    a, b = (neighbours(vectors, k=k, metric=metric)[1] for vectors in (first, second))
    return np.array([len(np.intersect1d(*pair)) / k for pair in zip(a, b, strict=True)])


def aligned_distances(first: Vectors, second: Vectors) -> Float[np.ndarray, " n"]:
    """How far each point lies from itself after the two clouds are laid over each other.

    Both are centred and scaled to a mean square distance of 1 from the centre; the first is then
    turned (or mirrored) and scaled onto the second (Procrustes). 0 is the same place.

    Raises ValueError if the two do not name the same points.
    """
    _check_same([first, second])
    width = max(first.values.shape[1], second.values.shape[1])
    a, b = (_centred(vectors, min(width, len(first))) for vectors in (first, second))
    turn, scale = orthogonal_procrustes(a, b)
    return np.linalg.norm(a @ turn * (scale / len(a)) - b, axis=1)


def _centred(vectors: Vectors, width: int) -> Float[np.ndarray, "n W"]:
    """In as few coordinates as the points span, or padded by zeros; of mean square length 1."""
    values = vectors.values.astype(np.float64)
    left, sizes, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    scores = np.pad(left * sizes, ((0, 0), (0, width - len(sizes))))
    return scores / np.sqrt((scores**2).sum() / len(scores))


def stability(
    runs: Sequence[Vectors], *, k: int | None = None, metric: str = "euclidean", seed: int = 0
) -> pd.DataFrame:
    """How alike several trainings see each point: means over all pairs of runs.

    By name: `count` where it is known; `overlap`, the share of the k nearest that two runs have in
    common; `aligned`, as `aligned_distances`; `aligned_chance`, the same after one run's points
    were exchanged at random.

    Raises ValueError if there are fewer than two runs, they do not name the same points, or k does
    not fit.
    """
    _check_same(runs)
    draw, pairs = np.random.default_rng(seed), list(combinations(runs, 2))
    mixed = [(a, Vectors(b.title, b.values[draw.permutation(len(b))], b.facts)) for a, b in pairs]
    counts = runs[0].facts.filter(["count"])
    return counts.assign(
        overlap=np.mean([shared_neighbours(*p, k=k, metric=metric) for p in pairs], axis=0),
        aligned=np.mean([aligned_distances(*p) for p in pairs], axis=0),
        aligned_chance=np.mean([aligned_distances(*p) for p in mixed], axis=0),
    )


def agreement(
    runs: Sequence[Vectors], *, k: int | None = None, metric: str = "euclidean", seed: int = 0
) -> dict[str, int | float]:
    """`stability` in a few numbers.

    `runs`; `overlap`; `chance`, the overlap of random neighbours, k / (n - 1);
    `distance_correlation`, Spearman's between two runs' distances of all pairs of points; `aligned`
    and `aligned_chance`. All are means over points and pairs of runs. Raises as `stability`.
    """
    table = stability(runs, k=k, metric=metric, seed=seed)
    apart = [pdist(vectors.values.astype(np.float64), metric) for vectors in runs]
    correlations = [spearmanr(a, b).statistic for a, b in combinations(apart, 2)]
    n = len(runs[0])
    return {
        "runs": len(runs),
        "overlap": table["overlap"].mean(),
        "chance": (few(n) if k is None else k) / (n - 1),
        "distance_correlation": float(np.mean(correlations)),
        **table[["aligned", "aligned_chance"]].mean().to_dict(),
    }


def movement(start: Vectors, trained: Vectors, *, k: int | None = None) -> pd.DataFrame:
    """How far training moved each category from its random start.

    By name: `count`; `length_at_start`; `moved`, the distance from there; `kept`, the share of its
    k nearest that it had at the start.

    Raises
    ------
    ValueError
        If the two do not name the same points, differ in width, or k does not fit.
    """
    _check_same([start, trained])
    if start.values.shape != trained.values.shape:
        raise ValueError(f"widths differ: {start.values.shape}, {trained.values.shape}")
    return trained.facts.filter(["count"]).assign(
        length_at_start=np.linalg.norm(start.values, axis=1),
        moved=np.linalg.norm(trained.values - start.values, axis=1),
        kept=shared_neighbours(start, trained, k=k),
    )


def rank_correlation(
    first: Numbers, second: Numbers, *, permutations: int = 999, seed: int = 0
) -> tuple[float, float]:
    """Spearman's correlation and the two-sided p-value of its permutation test."""
    test = permutation_test(
        (np.asarray(first, dtype=float),),
        lambda values: spearmanr(values, second).statistic,
        permutation_type="pairings",
        n_resamples=permutations,
        rng=np.random.default_rng(seed),
    )
    return float(test.statistic), float(test.pvalue)


def _check_same(runs: Sequence[Vectors]) -> None:
    if len(runs) < 2:
        raise ValueError(f"two runs or more can be compared, not {len(runs)}")
    for other in runs[1:]:
        if other.names != runs[0].names:
            raise ValueError(f"{runs[0].title!r} and {other.title!r} do not name the same points")
