"""Exercises of notebooks 00, 01 and 02: codes, rows, and what a one-hot's gradient says."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tabkit.compare import Trained
from tabkit.lesson.checks import called, exercise
from tabkit.lesson.comparing import Wrong, as_numbers, is_same, same


def stream(seed: int) -> torch.Generator:
    """Numbers of the judge's own."""
    return torch.Generator().manual_seed(seed)


def shaped(found: Tensor, shape: Sequence[int], what: str) -> None:
    """Refuses another shape."""
    if tuple(found.shape) != tuple(shape):
        raise Wrong(f"{what} have the shape {tuple(found.shape)}, not {tuple(shape)}.")


@exercise("00.1", "Choices of different columns multiply.")
def combinations(answer: Any) -> None:
    """``combinations(cardinalities)``."""
    for K in ([3, 4], [2, 2, 5], [4, 12, 7, 24, 2, 2, 4]):
        right = len(torch.cartesian_prod(*map(torch.arange, K)))
        same(called(answer, list(K)), right, f"of {K}, the answer")


@exercise("00.2", "One argmax a column, within its own block.")
def row_of(answer: Any) -> None:
    """``row_of(logits, cardinalities)``."""
    for K in ([3, 2], [4, 2, 7]):
        logits = torch.randn(6, sum(K), generator=stream(1))
        right = [[int(b.argmax()) for b in row.split(K)] for row in logits]
        same(called(answer, logits, list(K)), right, f"for cardinalities {K}, the answer")


@exercise("00.3", "One that is not yet in the table, trained with the same options.")
def candidate(answer: Any, known: Sequence[str]) -> None:
    """A `Trained` of another estimator."""
    trained(answer)
    if answer.estimator in known:
        raise Wrong(f"{answer.estimator} is in the table already.")
    if not answer.decoders.get("decode_search", float("nan")) >= 0:
        raise Wrong("it was not decoded by search: decode_rows and decoders are among the options.")


def trained(answer: Any) -> None:
    """Whether it is what `train_and_score` returns."""
    if not isinstance(answer, Trained):
        kind = type(answer).__name__
        raise Wrong(f"compare.train_and_score returns a Trained; this is a {kind}.")


@exercise("01.1", "Which row goes where?")
def renumber(answer: Any) -> None:
    """``renumber(old, order)``."""
    for K in (5, 12):
        old, order = torch.randn(K, 3, generator=stream(K)), torch.arange(K).roll(2)
        table, codes = old.clone(), order.clone()
        found = called(answer, table, codes)
        same(table, old, "your function changes the table it was given: it")
        same(codes, order, "your function changes the order it was given: it")
        if is_same(found, old[order]):
            raise Wrong("that is old[order]: row k got what belongs to row order[k].")
        same(found, old[order.argsort()], "the new table")


@exercise("01.2", "A distance for each pair, then the mean over pairs.")
def pair_loss(answer: Any) -> None:
    """``pair_loss(z_i, z_j, y_i, y_j)``."""
    for P in (50, 7):
        z, y = torch.randn(2, P, 8, generator=stream(P)), torch.randn(2, P, 3, generator=stream(1))
        apart, wanted = (torch.linalg.vector_norm(a - b, dim=1) for a, b in (z, y))
        found = called(answer, *z, *y)
        same(found, (apart - wanted).square().mean(), f"of {P} pairs, the loss")


@exercise("01.3", "Is there an order in its codes that flights care about?")
def ordered(answer: Any, columns: Sequence[str]) -> None:
    """A column's name."""
    if answer not in columns:
        raise Wrong(f"there is no column {answer!r}; there are {', '.join(columns)}.")
    if answer not in ("hour", "month", "weekday", "wind_dir"):
        raise Wrong(f"the codes of {answer} are in the order of the alphabet, or nearly so.")


@exercise("02.1", "Shapes: (K, D) and (D,); one inner product for each category.")
def gradient_of_one_hot(answer: Any) -> None:
    """``gradient_of_one_hot(table, arriving)``."""
    for K, D in ((4, 3), (6, 2)):
        W = torch.randn(K, D, generator=stream(K), dtype=torch.float64)
        g = torch.randn(D, generator=stream(D), dtype=torch.float64)
        leaf = torch.zeros(K, dtype=W.dtype, requires_grad=True)
        (right,) = torch.autograd.grad((leaf @ W * g).sum(), leaf)
        same(called(answer, W, g), right, f"of a table {K} by {D}, the answer")


@exercise("02.2", "One difference of two of its numbers.")
def slope(answer: Any) -> None:
    """``slope(gradient, old, new)``."""
    gradient = torch.randn(5, generator=stream(0), dtype=torch.float64)
    for old, new in ((0, 1), (3, 2), (4, 0)):
        step = torch.zeros(5, dtype=torch.float64)
        step[new], step[old] = 1, -1
        found = called(answer, gradient.clone(), old, new)
        same(found, gradient @ step, f"from {old} to {new}, the slope")


@exercise("02.3", "Is zero_grad called in each step, and is the loss a sum of squares?")
def learned(answer: Any) -> None:
    """``learned(table, wanted)``."""
    for K, k in ((4, 2), (7, 5)):
        W = torch.randn(K, 3, generator=stream(K), dtype=torch.float64)
        logits = torch.from_numpy(as_numbers(called(answer, W.clone(), W[k].clone()), "the answer"))
        shaped(logits, (K,), "the logits")
        if (logits >= 0).all() and abs(logits.sum() - 1) < 1e-6:
            raise Wrong("these are shares, which sum to 1: return the logits that they come from.")
        loss = (logits.softmax(dim=0) @ W - W[k]).square().sum().item()
        start = (W.mean(dim=0) - W[k]).square().sum().item()
        if not loss < 0.1 * start:
            raise Wrong(f"the loss is {loss:.3f}, and was {start:.3f} at logits of zeros.")


@exercise("02.4", "Change one entry, then compare.")
def still_equal(answer: Any, shared: Any, twin: Any, before: Tensor) -> None:
    """The truth value, and one changed entry."""
    changed = int((shared.weight.detach() != before).sum())
    if changed != 1:
        raise Wrong(f"{changed} entries of shared.weight differ from before; change one.")
    same(answer, torch.equal(shared.weight.detach(), twin.weight.detach().T), "still_equal")
