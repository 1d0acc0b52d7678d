"""Structure or accident? Embeddings against the truth, by permutation tests."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int64

from tabkit.data import Dataset
from tabkit.extras import imports_for
from tabkit.inspection.neighbours import distances, few, neighbours
from tabkit.inspection.truths import Distances, known_truths
from tabkit.inspection.vectors import VIEWS, Vectors, category_vectors

with imports_for("inspection"):
    from scipy.spatial.distance import squareform
    from scipy.stats import false_discovery_control, rankdata, zscore

FEWEST = 5  # of 4 categories there are but 24 arrangements
Order = Int64[np.ndarray, " K"]


def truth_score(
    vectors: Vectors,
    truth: Distances,
    *,
    given: Distances | None = None,
    k: int | None = None,
    metric: str = "euclidean",
    permutations: int = 999,
    seed: int = 0,
) -> dict[str, int | float]:
    """How well distances between vectors match true ones, and how likely that is by accident.

    Categories whose truth is unknown (NaN on the diagonal) are left out. The p-values are those of
    a permutation test: the share of random exchanges of the truth among the categories, the one at
    hand counted in, whose score is at least as good. Without `given` it takes nothing for granted
    but that under accident the categories are exchangeable (Mantel, 1967, for the correlation).

    Parameters
    ----------
    truth, given
        (K, K), symmetric. If `given`, look only at what this distance does not tell: the
        correlation is then that of the residuals of both ranks after a straight line through its
        ranks (the partial Mantel test of Smouse, Long and Sokal, 1986). The neighbours' score does
        not take it into account. The p-value is too small where the dependence on `given` is no
        straight line, or the places are themselves structured (Guillot and Rousset, 2013,
        arXiv:1112.0651): read the correlation.
    k
        Neighbours; 5 if not given, but at most half of the other categories that take part.

    The score: `categories`, how many took part; `k`; `correlation`, Spearman's over all pairs;
    `correlation_p`; `neighbour_ratio`, the mean true distance from a category to its k nearest,
    over that of all pairs (about 1 by accident; smaller is better, but even a perfect match is
    above 0); `neighbour_p`.

    Raises
    ------
    ValueError
        If the shapes do not fit, a table is not symmetric, fewer than 5 categories take part, a
        distance between two of them is unknown, or distances do not vary (or not beyond `given`).

    Examples
    --------
    >>> places = np.arange(8.0)
    >>> points = Vectors("hours", places[:, None], pd.DataFrame(index=range(8)))
    >>> score = truth_score(points, np.abs(places[:, None] - places), k=2)
    >>> round(score["correlation"], 6), score["correlation_p"] <= 0.01
    (1.0, True)
    """
    known = check_truth(vectors, truth, given)
    part, truth = vectors.keep(known), truth[np.ix_(known, known)]
    k = few(len(part)) if k is None else k
    own, pairs = distances(part, metric=metric), np.triu_indices(len(part), 1)
    if not varied(own):
        raise ValueError(f"the points of {vectors.title!r} are all equally far apart")
    left, right = rankdata(own[pairs]), rankdata(truth[pairs])
    if given is not None:
        held = rankdata(given[np.ix_(known, known)][pairs])
        left, right = residual(left, held), residual(right, held)
    left, right = zscore(left), squareform(zscore(right))
    _, near = neighbours(part, k=k, metric=metric)

    def correlation(order: Order) -> float:
        return float((left * right[np.ix_(order, order)][pairs]).mean())

    def ratio(order: Order) -> float:
        return float(truth[order[:, None], order[near]].mean() / truth[pairs].mean())

    draw = np.random.default_rng(seed)
    drawn = (draw.permutation(len(part)) for _ in range(permutations))
    orders = [np.arange(len(part)), *drawn]
    return {
        "categories": len(part),
        "k": k,
        **_tested("correlation", correlation, orders, sign=1),
        **_tested("neighbour_ratio", ratio, orders, sign=-1),
    }


def check_truth(
    vectors: Vectors, truth: Distances, given: Distances | None
) -> Bool[np.ndarray, " K"]:
    """Which categories' truth is known; raises ValueError as `truth_score`."""
    tables = [table for table in (truth, given) if table is not None]
    for table in tables:
        if table.shape != (len(vectors), len(vectors)):
            points = f"the {len(vectors)} points of {vectors.title!r}"
            raise ValueError(f"true distances {table.shape} do not fit {points}")
    known = np.isfinite(np.stack([np.diag(table) for table in tables])).all(axis=0)
    if known.sum() < FEWEST:
        raise ValueError(
            f"the truth of {known.sum()} points of {vectors.title!r} is known; a permutation test "
            f"needs at least {FEWEST}"
        )
    tables = [table[np.ix_(known, known)] for table in tables]
    if not all(np.allclose(table, table.T, equal_nan=True) for table in tables):
        raise ValueError(f"the true distances of {vectors.title!r} are not symmetric")
    if not all(np.isfinite(table).all() for table in tables):
        raise ValueError(
            f"of two points of {vectors.title!r} whose truth is known, the distance is not; "
            "leave out a point by NaN on the diagonal"
        )
    if not all(map(varied, tables)):
        raise ValueError(f"the true distances of {vectors.title!r} are all the same")
    return known


def varied(table: Distances) -> bool:
    """Whether not all pairs are equally far apart."""
    pairs = table[np.triu_indices(len(table), 1)]
    return bool((pairs != pairs[0]).any())


def residual(values: Float[np.ndarray, " P"], given: Float[np.ndarray, " P"]) -> np.ndarray:
    """What is left of `values` after the straight line through `given`; more than rounding."""
    slope, level = np.polyfit(given, values, 1)
    left = values - (slope * given + level)
    if left.std() < 1e-9 * values.std():
        raise ValueError("the given distances tell all of the others: nothing is left to compare")
    return left


def _tested(
    name: str, statistic: Callable[[Order], float], orders: Sequence[Order], *, sign: int
) -> dict[str, float]:
    """A statistic in the given order, and the share of all orders in which it is as good."""
    own, *drawn = (statistic(order) for order in orders)
    as_good = sum(sign * (value - own) >= -1e-12 for value in drawn)
    return {name: own, f"{name.removesuffix('_ratio')}_p": (1 + as_good) / len(orders)}


def truth_scores(
    net1: Any,
    dataset: Dataset,
    truths: Mapping[str, Mapping[str, Distances]] | None = None,
    *,
    views: Iterable[str] = VIEWS,
    **options: Any,
) -> pd.DataFrame:
    """`truth_score` of every column, view and truth, with the `options` that it takes.

    `truths` are distances (K, K) by column, by name; what the data set knows, if not given. Columns
    of which fewer than 5 categories are known, or whose true distances do not vary, are left out:
    no test can tell structure from accident there.

    The table: `column`, `truth`, `view`, what `truth_score` returns, and `correlation_q`, the
    p-values adjusted for the number of tests in the table (false discovery rate; Benjamini and
    Hochberg, 1995). The whole table is one family: tests that are sure to find something, such as
    that of the outcomes, make it milder for the others.

    Raises
    ------
    ValueError
        If all are left out, or as `truth_score`.
    """
    truths = known_truths(dataset) if truths is None else truths
    views, records = tuple(views), []
    for column, tables in truths.items():
        seen = {view: category_vectors(net1, dataset, column, view=view) for view in views}
        testable = {name: truth for name, truth in tables.items() if _testable(truth)}
        for (name, truth), (view, vectors) in product(testable.items(), seen.items()):
            score = truth_score(vectors, truth, **options)
            records.append({"column": column, "truth": name, "view": view, **score})
    if not records:
        raise ValueError(f"no column has {FEWEST} categories whose true distances are known")
    table = pd.DataFrame(records)
    return table.assign(correlation_q=false_discovery_control(table["correlation_p"]))


def _testable(truth: Distances) -> bool:
    known = np.isfinite(np.diag(truth))
    return bool(known.sum() >= FEWEST and varied(truth[np.ix_(known, known)]))
