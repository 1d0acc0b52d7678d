"""Generated data whose truth is known: categories planted at places."""

import numpy as np
import pandas as pd
import torch

from tabkit.data.dataset import Dataset
from tabkit.data.splits import Index, split
from tabkit.schema import Categorical, Continuous, Rows, Scale, Schema

PLACES = ("ring", "line", "clusters", "tree")


def planted(
    rows: int = 200_000,
    *,
    categorical: int = 50,
    continuous: int = 50,
    cardinality: tuple[int, int] = (5, 30),
    latent: int = 8,
    noise: float = 0.1,
    held_out: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Generated rows whose categories sit at known places: on a ring, a line, in clusters, a tree.

    Each row has a hidden standard normal vector of width `latent`. Each column maps it to a point
    of its own space, adds noise, and takes the nearest of its categories' places as the row's
    category. The outcomes are fixed random mixtures, as many as `latent`, of the places of the
    row's categories; so rows are alike when their categories' places are. The signal is the
    hidden vector, seen through noise. Continuous columns are noisy mixtures of the hidden vector.

    Parameters
    ----------
    categorical, continuous
        C (at least 1) and N (0 or more).
    cardinality
        Smallest and largest K; each column draws its own.
    noise
        Standard deviation of every noise, where the hidden vector's is 1.

    Returns
    -------
    Dataset
        `truth[column]` is indexed by category (0 to K - 1), with the columns `place` (one of
        ``ring``, ``line``, ``clusters``, ``tree``), `group` (the cluster, or the first branch of
        the tree; 0 elsewhere) and the coordinates `x0`, `x1`, ...

    Examples
    --------
    >>> data = planted(1_000, categorical=4, continuous=2)
    >>> data.rows.codes.shape, data.rows.continuous.shape
    (torch.Size([1000, 4]), torch.Size([1000, 2]))
    >>> [truth["place"].iloc[0] for truth in data.truth.values()]
    ['ring', 'line', 'clusters', 'tree']
    """
    low, high = cardinality
    if categorical < 1 or continuous < 0 or latent < 1 or not 3 <= low <= high:
        raise ValueError(
            "planted needs categorical >= 1, continuous >= 0, latent >= 1 and "
            f"3 <= cardinality[0] <= cardinality[1]; got {categorical}, {continuous}, {latent}, "
            f"{cardinality}"
        )
    draw = np.random.default_rng(seed)
    hidden = draw.standard_normal((rows, latent), dtype=np.float32)
    codes = np.empty((rows, categorical), dtype=np.int64)
    outcomes = np.zeros((rows, latent), dtype=np.float32)
    truth = {}
    for c in range(categorical):
        place = PLACES[c % len(PLACES)]
        groups, points = plant(place, int(draw.integers(low, high + 1)), draw)
        seen = hidden @ _mixture(latent, points.shape[1], draw)
        seen += noise * draw.standard_normal(seen.shape, dtype=np.float32)
        codes[:, c] = nearest(seen, points)
        outcomes += points[codes[:, c]] @ _mixture(points.shape[1], latent, draw)
        truth[f"c{c:02d}"] = _planted_truth(place, groups, points)
    numbers = hidden @ _mixture(latent, continuous, draw)
    numbers += noise * draw.standard_normal(numbers.shape, dtype=np.float32)
    signal = hidden + noise * draw.standard_normal(hidden.shape, dtype=np.float32)
    train, validation, test = split(rows, held_out=held_out, seed=seed)
    numbers, scale = _scaled(numbers, train, "x{:02d}")
    outcomes, outcome_scale = _scaled(outcomes, train, "outcome{}")
    signal, signal_scale = _scaled(signal, train, "signal{}")
    schema = Schema(
        tuple(
            Categorical(name, tuple(range(len(known))), np.dtype(np.int64))
            for name, known in truth.items()
        ),
        scale,
    )
    return Dataset(
        "planted",
        schema,
        Rows(torch.from_numpy(codes), torch.from_numpy(numbers)),
        torch.from_numpy(outcomes),
        torch.from_numpy(signal),
        train,
        validation,
        test,
        outcome_names=tuple(spec.name for spec in outcome_scale),
        signal_names=tuple(spec.name for spec in signal_scale),
        truth=truth,
        outcome_scale=outcome_scale,
        signal_scale=signal_scale,
        scaled_on=train,
    )


def nearest(seen: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The number of the nearest of `points` (K, P) to each of `seen` (B, P)."""
    return (2 * seen @ points.T - (points**2).sum(axis=1)).argmax(axis=1)


def plant(place: str, K: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """K categories at a place: their groups (K,) and points (K, P), in standard deviations."""
    steps = np.arange(K)
    if place == "ring":
        angles = 2 * np.pi * steps / K
        groups, points = np.zeros(K), np.stack([np.cos(angles), np.sin(angles)], axis=1)
    elif place == "line":
        groups, points = np.zeros(K), np.linspace(-2, 2, K)[:, None]
    elif place == "clusters":
        groups = steps % max(2, K // 5)
        centres = draw.normal(size=(groups.max() + 1, 2)) * 1.2
        points = centres[groups] + 0.15 * draw.normal(size=(K, 2))
    elif place == "tree":
        groups, points = steps % 2, _leaves(K)
    else:
        raise ValueError(f"place must be one of {', '.join(PLACES)}, not {place!r}")
    return groups.astype(np.int64), points.astype(np.float32)


def _leaves(K: int) -> np.ndarray:
    """The leaves of a binary tree: each level is a dimension, its branches half as long.

    Bit ``b`` of a category's number chooses the branch at level ``b``, so that distances fall
    with the depth of the last common ancestor.
    """
    levels = max(1, int(np.ceil(np.log2(K))))
    bits = (np.arange(K)[:, None] >> np.arange(levels)) & 1
    return (2 * bits - 1) * 0.5 ** np.arange(levels)


def _mixture(inputs: int, outputs: int, draw: np.random.Generator) -> np.ndarray:
    """A random matrix whose columns have unit length: it keeps the scale of a standard normal."""
    matrix = draw.standard_normal((inputs, outputs), dtype=np.float32)
    return matrix / np.linalg.norm(matrix, axis=0, keepdims=True)


def _scaled(values: np.ndarray, index: Index, name: str) -> tuple[np.ndarray, Scale]:
    """Values in standard deviations of the rows `index`, and their scale."""
    sample = values[index.numpy()]
    mean, std = sample.mean(axis=0), sample.std(axis=0)
    if not (std > 0).all():
        raise ValueError("too few rows: every training row has the same value; plant more rows")
    facts = zip(mean, std, values.min(axis=0), values.max(axis=0), strict=True)
    scale = [Continuous(name.format(n), *map(float, fact)) for n, fact in enumerate(facts)]
    return (values - mean) / std, tuple(scale)


def _planted_truth(place: str, groups: np.ndarray, points: np.ndarray) -> pd.DataFrame:
    coordinates = {f"x{p}": points[:, p] for p in range(points.shape[1])}
    return pd.DataFrame({"place": place, "group": groups, **coordinates})
