"""Which points are near which: k nearest neighbours by name."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from tabkit.extras import imports_for
from tabkit.inspection.vectors import Vectors
from tabkit.schema import DataError

with imports_for("inspection"):
    from scipy.spatial.distance import cdist
    from sklearn.neighbors import NearestNeighbors

METRICS = ("euclidean", "cosine")
NEIGHBOURS = 5
Category = str | int | bool


def nearest(
    vectors: Vectors,
    of: Category | Sequence[Category] | None = None,
    *,
    k: int = 5,
    metric: str = "euclidean",
) -> pd.DataFrame:
    """The k nearest neighbours `of` a name or several (or categories that are numbers), or of all.

    By the metric ``"euclidean"`` or ``"cosine"`` (1 minus the cosine of the angle). The columns:
    `name`, `rank` (1 is the nearest), `neighbour`, `distance`, and the neighbour's `count` where it
    is known.

    Raises
    ------
    DataError, ValueError
        If a name is unknown, or the metric is cosine and a vector has length 0; if k is below 1 or
        there are not k others, or the metric is unknown.

    Examples
    --------
    >>> facts = pd.DataFrame(index=["a", "b", "c"])
    >>> points = Vectors("letters", np.array([[0.0], [1.0], [3.0]]), facts)
    >>> nearest(points, "b", k=2)["neighbour"].tolist()
    ['a', 'c']
    """
    chosen = [of] if isinstance(of, Category) else of
    at = list(range(len(vectors)) if chosen is None else map(vectors.position, chosen))
    distances, order = neighbours(vectors, k=k, metric=metric)
    found, names = order[at].ravel(), vectors.names
    columns = {
        "name": [names[i] for i in np.repeat(at, k)],
        "rank": np.tile(np.arange(1, k + 1), len(at)),
        "neighbour": [names[i] for i in found],
        "distance": distances[at].ravel(),
        **vectors.facts.filter(["count"]).iloc[found].to_dict("list"),
    }
    return pd.DataFrame(columns)


def neighbours(
    vectors: Vectors, *, k: int, metric: str = "euclidean"
) -> tuple[Float[np.ndarray, "n k"], Int64[np.ndarray, "n k"]]:
    """Distances to the k nearest other points, and their positions; raises as `nearest`."""
    check_count(vectors, "k", k, 1)
    check_metric(vectors, metric)
    search = NearestNeighbors(n_neighbors=k, metric=metric).fit(vectors.values)
    distances, order = search.kneighbors()  # of no given points: of all, each without itself
    return distances.astype(np.float64), order.astype(np.int64)


def distances(vectors: Vectors, *, metric: str = "euclidean") -> Float[np.ndarray, "n n"]:
    """Distances between all pairs of points."""
    check_metric(vectors, metric)
    values = vectors.values.astype(np.float64)
    return cdist(values, values, metric)


def few(n: int) -> int:
    """How many of n points' neighbours to look at: 5, but at most half of the others."""
    return max(1, min(NEIGHBOURS, (n - 1) // 2))


def check_count(vectors: Vectors, name: str, count: int, least: int) -> None:
    """Raises ValueError if there are not so many other points."""
    n = len(vectors)
    if not least <= count < n:
        others = f"the other points of {vectors.title!r} ({n} in all)"
        raise ValueError(f"{name} must lie in {least} to {n - 1}, {others}, not {count}")


def check_metric(vectors: Vectors, metric: str) -> None:
    """Raises ValueError if the metric is unknown, DataError if a cosine lacks a direction."""
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, not {metric!r}")
    lengths = np.linalg.norm(vectors.values, axis=1)
    if metric == "cosine" and not lengths.all():
        at = int((lengths == 0).argmax())
        problem = f"the vector of {vectors.names[at]!r} has length 0, so no direction"
        remedy = "use the Euclidean metric, or leave that point out"
        raise DataError(problem, remedy, column=vectors.title, row=at)
