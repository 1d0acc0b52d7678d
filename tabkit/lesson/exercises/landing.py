"""Exercises of notebooks 06 and 07: neighbours, accident, where predictions land."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from tabkit import inspection
from tabkit.lesson.checks import called, exercise
from tabkit.lesson.comparing import Wrong, is_same, same
from tabkit.lesson.exercises.codes import stream


@exercise("06.1", "Is a category its own neighbour? Is it a share, of k?")
def overlap(answer: Any) -> None:
    """``overlap(a, b, k)``."""
    for K, k in ((12, 5), (20, 3)):
        a, noise = torch.randn(2, K, 3, generator=stream(K))
        b = a + 0.7 * noise
        near = [(torch.cdist(x, x) + 1e9 * torch.eye(K)).argsort(dim=1)[:, :k] for x in (a, b)]
        right = (near[0][:, :, None] == near[1][:, None]).any(dim=2).double().mean()
        found = called(answer, a.clone(), b.clone(), k)
        same(found, right, f"of {K} categories with k = {k}, the answer")


@exercise("06.2", "The true score is one of them; equal scores count.")
def p_value(answer: Any) -> None:
    """``p_value(score, scores)``."""
    draw = np.random.default_rng(0)
    cases = [(3.5, draw.normal(size=999)), (0.5, draw.normal(size=99)), (1.0, np.ones(4))]
    for score, scores in cases:
        right = (1 + sum(s >= score for s in scores)) / (1 + len(scores))
        found = called(answer, score, scores.copy())
        same(found, right, f"of {len(scores)} exchanges, p", tolerance=1e-6)


@exercise("06.3", "The view behind net1, distances of latitude, given=home.")
def latitude(answer: Any, behind: Any, home: Any) -> None:
    """A truth score, given the distance from New York."""
    if not isinstance(answer, Mapping) or "correlation" not in answer:
        raise Wrong("inspection.truth_score returns a dict with `correlation`.")
    north = inspection.line(behind.facts["dest_lat"].to_numpy())
    right, plain = (
        inspection.truth_score(behind, north, given=given, permutations=9)["correlation"]
        for given in (home, None)
    )
    if abs(answer["correlation"] - plain) < 1e-9:
        raise Wrong("that is the whole correlation; take out what home tells: given=home.")
    same(answer["correlation"], right, "its correlation", tolerance=1e-6)


@exercise("07.1", "The most frequent of train, compared with test, column by column.")
def majority(answer: Any) -> None:
    """``majority(train, test)``."""
    for C in (3, 5):
        skewed = torch.rand(900, C, generator=stream(C)).square() * torch.arange(3, 3 + C)
        train, test = skewed.long().split([600, 300])
        test = (test + 2) % 3  # so that the most frequent of the two differ
        found = called(answer, train.clone(), test.clone())
        right = [
            (b == a.bincount().argmax()).double().mean()
            for a, b in zip(train.T, test.T, strict=True)
        ]
        most = [(b == b.bincount().argmax()).double().mean() for b in test.T]
        if is_same(found, most) and not np.allclose(most, right):
            raise Wrong(
                "it says the most frequent of the test rows, which nobody knows beforehand."
            )
        same(found, right, f"for {C} columns, the answer")


@exercise("07.2", "objective(codes) is a loss per row; take the mean.")
def snapped(answer: Any, landed: Any) -> None:
    """The mean loss of rows that are nearest as the first layer sees them."""
    objective, embedded = landed.objective, landed.handed.embedding
    codes = {first: objective.nearest(embedded, first_layer=first) for first in (True, False)}
    right = objective(codes[True]).mean()
    known = {
        "the argmax's loss; take the nearest": objective(landed.decoded).mean(),
        "the loss by distances in the table: first_layer=True": objective(codes[False]).mean(),
    }
    for what, value in known.items():
        if is_same(answer, value) and abs(value - right) > 1e-4:
            raise Wrong(f"that is {what}.")
    same(answer, right, "the loss")


@exercise("07.3", "told_of(*together(0.1))")
def small_weight(answer: Any, others: Any) -> None:
    """What `told_of` says at a weight of 0.1."""
    if not isinstance(answer, Mapping) or "loss" not in answer:
        raise Wrong("told_of returns a dict with the loss, and takes the two nets: told_of(*pair).")
    for name, loss in others["loss"].items():
        if abs(answer["loss"] - loss) < 1e-6:
            raise Wrong(f"that is what it says of {name!r}; the weight is 0.1.")
    if not 0 <= answer["loss"] < 2 * others["loss"].max():
        raise Wrong(f"a loss of {answer['loss']:.3g} is not that of rows trained like these.")
