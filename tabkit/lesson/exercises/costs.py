"""Exercises of notebook 08: repaired codes, folding, sampling."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from tabkit.lesson.checks import called, exercise
from tabkit.lesson.comparing import Wrong, as_numbers, same
from tabkit.lesson.exercises.codes import stream


@exercise("08.1", "Round, but look first how far that moves a value.")
def repaired(answer: Any) -> None:
    """``repaired(column)``."""
    whole = np.random.default_rng(0).integers(5, 24, 500)
    for column in (pd.Series(whole + np.linspace(-0.09, 0.09, 500)), pd.Series([1, 2.95, 1, 3.02])):
        found = called(answer, column.copy())
        if isinstance(found, str):
            raise Wrong(f"it says {found!r} of values that lie at most 0.09 from whole numbers.")
        same(found, column.round().to_numpy(), "the repaired column", tolerance=0.0)
        if len(found) and np.asarray(found).dtype.kind not in "iu":
            raise Wrong(f"its numbers are whole, and of the type {np.asarray(found).dtype}.")
    for stray in (0.5, 1.6):  # the second lies below its whole number, and far in that row only
        column = pd.Series([stray, *[1.0] * 9])
        same(called(answer, column), "no codes", f"of a column with {stray}, the answer")


@exercise("08.2", "Its rows belong to categories, its columns to the layer's outputs.")
def fold(answer: Any) -> None:
    """``fold(W1, W2, weight)``."""
    for K1, K2, D, R in ((3, 2, 4, 6), (5, 4, 3, 7)):
        W1, W2 = torch.randn(K1, D, generator=stream(R)), torch.randn(K2, D, generator=stream(D))
        weight = torch.randn(R, 2 * D, generator=stream(K1))
        right = torch.cat([W1 @ weight[:, :D].T, W2 @ weight[:, D:].T])
        found = called(answer, W1.clone(), W2.clone(), weight.clone())
        same(found, right, f"of {K1} and {K2} categories, P")


@exercise("08.3", "Take the mean over the draws: is it p @ E?")
def weights(answer: Any) -> None:
    """``weights(p, exact)``."""
    for K, exact in ((6, [0, 2]), (7, [4])):
        p = torch.rand(K, generator=stream(K))
        p, others = p / p.sum(), [k for k in range(K) if k not in exact]
        given = p.clone()
        found = called(answer, given, list(exact))
        right = torch.zeros(K).index_put((torch.tensor(others),), p[others] * len(others))
        numbers = as_numbers(found, "the answer")
        if numbers.shape == (K,) and numbers[exact].any():
            raise Wrong("the exact ones are never drawn: their weight is 0.")
        same(numbers, right, f"of {K} categories, {len(exact)} exact, the answer")
