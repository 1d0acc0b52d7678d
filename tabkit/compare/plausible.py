"""Plausible rows, measured without labels: whether a classifier tells them from true ones."""

from typing import NamedTuple

import numpy as np
import torch

from tabkit.extras import imports_for
from tabkit.schema import Rows

MOST = 255  # categories that the classifier takes in a column


class TwoSample(NamedTuple):
    """The held-out accuracy of a classifier's two-sample test, and its standard error."""

    accuracy: float
    error: float


def two_sample(true: Rows, predicted: Rows, *, numbers: bool = False, seed: int = 0) -> TwoSample:
    """How well a classifier tells predicted rows from true ones: 0.5 is not at all, 1 is always.

    Gradient boosting on the codes, as categories, learns it from half of the rows and is tested on
    the other half. Rows at the same position, such as a prediction and the row that it is of, stand
    on the same side, and count as one for the error. No row's own truth is asked for: `true` may be
    any rows of the table. Columns of more than 255 categories are read as numbers.

    Parameters
    ----------
    numbers
        Show it the numbers, too. A net0 predicts the mean of what may be, which is rarely a number
        that rows have: expect nearly 1.
    seed
        Of the halves.

    Raises
    ------
    ValueError
        If there are not as many of each, or fewer than 40, or the columns differ.

    Source
    ------
    Lopez-Paz and Oquab 2017, arXiv:1610.06545. There, all rows are drawn by themselves.

    Examples
    --------
    >>> from tabkit import planted
    >>> rows = planted(2_000, categorical=3, continuous=1).rows
    >>> two_sample(rows[:1_000], rows[1_000:]).accuracy < 0.6
    True
    """
    with imports_for("two-sample tests"):
        from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - few have it
    seen = (torch.cat([r.codes, r.continuous][: 1 + numbers], 1) for r in (true, predicted))
    samples = [s.double().cpu().numpy() for s in seen]
    shapes = [sample.shape for sample in samples]
    if shapes[0] != shapes[1]:
        raise ValueError(f"give as many true rows as predicted, of the same columns, not {shapes}")
    if len(true) < 40:  # half of them, twice, are one split of a tree
        raise ValueError(f"{len(true)} rows are too few to tell: give 40 or more")
    order = torch.randperm(len(true), generator=torch.Generator().manual_seed(seed)).numpy()
    learnt, tested = np.split(order, [len(true) // 2])
    few = [c for c in range(true.codes.shape[1]) if max(s[:, c].max() for s in samples) < MOST]
    options = {"categorical_features": few, "early_stopping": False, "random_state": seed}
    judge = HistGradientBoostingClassifier(**options)
    judge.fit(np.concatenate([s[learnt] for s in samples]), np.repeat([0, 1], len(learnt)))
    found = [judge.predict(s[tested]) == kind for kind, s in enumerate(samples)]
    right = np.mean(found, axis=0)
    return TwoSample(float(right.mean()), float(right.std(ddof=1) / len(right) ** 0.5))
