"""Exercises of notebooks 03 and 04: noise, straight-through, decoders."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tabkit import decoders
from tabkit.compare import Trained
from tabkit.lesson.checks import called, exercise
from tabkit.lesson.comparing import Wrong, as_numbers, is_same, same
from tabkit.lesson.exercises.codes import shaped, stream, trained

EULER = 0.5772156649  # the mean of Gumbel's distribution


@exercise("03.1", "-log(-log u), new for each number.")
def gumbel_noise(answer: Any) -> None:
    """``gumbel_noise(shape, generator)``."""
    logits, shape = torch.tensor([1.0, 2.0, 0.0]), (50_000, 3)
    noise = torch.from_numpy(as_numbers(called(answer, shape, stream(7)), "the noise")).float()
    shaped(noise, shape, "the numbers")
    if not noise.isfinite().all():
        raise Wrong("some of the noise is NaN or infinite: a logarithm of a negative number, or 0?")
    if noise.std(dim=0).max() < 1e-6 or torch.equal(noise[:, 0], noise[:, 1]):
        raise Wrong("the same noise stands in more than one place: each number needs its own.")
    often = (logits + noise).argmax(dim=1).bincount(minlength=3) / len(noise)
    same(often, logits.softmax(dim=0), "how often each is the largest", tolerance=0.02)
    same(noise.mean(), EULER, "the mean of the noise", tolerance=0.03)
    if is_same(called(answer, shape, stream(8)), noise):
        raise Wrong("another generator gives the same noise: hand the generator on.")


@exercise("03.2", "The noise that was given first, then tau; along the categories.")
def gumbel_softmax(answer: Any) -> None:
    """``gumbel_softmax(logits, noise, tau)``."""
    for tau in (1.0, 0.3):
        logits, noise = torch.randn(2, 5, 4, generator=stream(8))
        right = torch.softmax((logits + noise) / tau, dim=1)
        found = called(answer, logits.clone(), noise.clone(), tau)
        same(found, right, f"at tau {tau}, the answer")


@exercise("03.3", "hard, plus something that is 0 and has a gradient.")
def straight_through(answer: Any) -> float:
    """``straight_through(hard, soft)``; a last bit that is rounded is right, and said."""
    logits = torch.randn(64, 5, generator=stream(9)).requires_grad_()
    soft = logits.softmax(dim=1)
    hard = torch.nn.functional.one_hot(soft.argmax(dim=1), 5).float()
    value, weights = called(answer, hard, soft), torch.arange(5.0)
    off = same(value, hard, "the value")
    if not isinstance(value, Tensor) or not value.requires_grad:
        raise Wrong("what it returns has no gradient.")
    (right,) = torch.autograd.grad((soft @ weights).sum(), logits, retain_graph=True)
    (ours,) = torch.autograd.grad((value @ weights).sum(), logits)
    same(ours, right, "the gradient")
    return off


@exercise("03.4", "Its carriers should be right more often than straight-through's.")
def labelled(answer: Any, beside: Trained) -> None:
    """A `Trained` by labels."""
    trained(answer)
    ours, theirs = (t.test.accuracy["carrier"] for t in (answer, beside))
    if ours <= theirs:
        raise Wrong(
            f"its carriers are right in {ours:.0%}, those of {beside.estimator} {theirs:.0%}."
        )


@exercise("04.1", "The smallest distance, for each mixture.")
def nearest(answer: Any) -> None:
    """``nearest(mixtures, table)``."""
    for K, D in ((5, 3), (8, 2)):
        table = torch.randn(K, D, generator=stream(K)) * torch.arange(1.0, K + 1)[:, None]
        mixtures = torch.randn(20, K, generator=stream(D)).softmax(dim=1) @ table
        apart = (mixtures[:, None] - table).square().sum(dim=2)
        found = called(answer, mixtures.clone(), table.clone())
        same(found, apart.argmin(dim=1), f"of {K} categories, the answer")


@exercise("04.2", "Of all rows that differ in at most one column, the one with the lowest loss.")
def best_exchange(answer: Any) -> None:
    """``best_exchange(codes, loss, cardinalities)``."""
    K = [3, 5, 4]
    for seed in range(8):
        losses = torch.rand(K, generator=stream(seed))
        start = torch.tensor([int(torch.randint(k, (), generator=stream(seed + k))) for k in K])
        if seed == 7:  # already the best
            start = torch.stack(torch.unravel_index(losses.argmin(), K))
        rows = torch.cartesian_prod(*map(torch.arange, K))
        rows = rows[(rows != start).sum(dim=1) <= 1]
        right, codes = rows[losses[tuple(rows.T)].argmin()], start.clone()

        def loss(rows: Tensor, losses: Tensor = losses) -> Tensor:
            if rows.ndim != 2:
                raise Wrong(f"loss takes rows (B, C), and was given the shape {tuple(rows.shape)}.")
            return losses[tuple(rows.T)]

        found = called(answer, codes, loss, list(K))
        same(codes, start, "your function changes the row it was given: it")
        same(found, right, f"from {start.tolist()}, the answer")


@exercise("04.3", "The mean of to_truth, over the rows that the search found.")
def from_random(
    answer: Any, start: Tensor, to_mixture: Any, to_truth: Any, cardinalities: Sequence[int]
) -> None:
    """The mean loss of rows that a search finds from random ones."""
    ended, _ = decoders.local_search(start, to_mixture, cardinalities)
    right = to_truth(ended).mean()
    known = {
        "the distance to the mixture; the loss is that to the true rows": to_mixture(ended).mean(),
        "the loss of the random rows; search first": to_truth(start).mean(),
    }
    for what, value in known.items():
        if is_same(answer, value) and abs(value - right) > 1e-3:
            raise Wrong(f"that is {what}.")
    same(answer, right, "the mean loss", tolerance=0.2)
