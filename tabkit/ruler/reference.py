"""The exact gradient of the expected loss, or an unbiased reference with its own error bar.

All gradients here are those of a *row's* expected loss in its logits, (B, F): the expectation over
the hard rows that softmax(logits) draws, columns independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit import estimators
from tabkit.estimators import Estimator
from tabkit.objective import Function, Objective
from tabkit.simplex import argmax_codes

REFERENCE_STREAM = 2**31  # apart from the seeds of what is measured against it (of 32 bits)


@dataclass(frozen=True)
class Reference:
    """What estimators are measured against.

    Attributes
    ----------
    draws : unbiased estimates of the gradient of each row's expected loss in its logits; a single
        one if it is exact
    """

    draws: Float[Tensor, "R B F"]

    @property
    def gradient(self) -> Float[Tensor, "B F"]:
        """The mean of the draws."""
        return self.draws.mean(dim=0)

    @property
    def variance(self) -> Float[Tensor, "B F"]:
        """Of the gradient's own error; 0 if it is exact."""
        if len(self.draws) == 1:
            return torch.zeros_like(self.draws[0])
        return self.draws.var(dim=0) / len(self.draws)

    @property
    def standard_error(self) -> Float[Tensor, "B F"]:
        """The gradient's own error bar."""
        return self.variance.sqrt()


def exact_gradient(
    logits: Float[Tensor, "B F"],
    objective: Function | Objective,
    cardinalities: Sequence[int],
    *,
    limit: int = 10_000,
) -> Reference:
    """The exact gradient, by every row of the joint table.

    Raises
    ------
    ValueError
        If the joint table has more than `limit` rows; `sampled_gradient` has no such limit.

    Examples
    --------
    >>> exact_gradient(torch.zeros(1, 2), lambda s: s @ torch.tensor([0.0, 4.0]), [2]).gradient
    tensor([[-1.,  1.]])
    """
    exact = estimators.make("exact", limit=limit)
    return Reference(draw(exact, logits, objective, cardinalities, None)[None])


def sampled_gradient(
    logits: Float[Tensor, "B F"],
    objective: Function | Objective,
    cardinalities: Sequence[int],
    *,
    draws: int = 100,
    seed: int = 0,
) -> Reference:
    """An unbiased estimate of low variance where the joint table is too big, with its error bar.

    The mean of `draws` calls of IndeCateR, each of which tries every category of every column:
    ``1 + F - C`` evaluations a row and draw.

    Raises
    ------
    ValueError
        If `draws` is below 2.
    """
    if draws < 2:
        raise ValueError(f"draws must be at least 2, not {draws}")
    given, stream = (logits, objective, cardinalities), REFERENCE_STREAM + seed
    return Reference(draw_many(estimators.make("indecater"), *given, draws=draws, seed=stream))


def draw(
    estimator: Estimator,
    logits: Float[Tensor, "B F"],
    objective: Function | Objective,
    cardinalities: Sequence[int],
    generator: torch.Generator | None,
) -> Float[Tensor, "B F"]:
    """One estimate of the gradient of each row's loss; 0 if the logits get none."""
    leaf = logits.detach().clone().requires_grad_()
    loss = estimator(leaf, objective, cardinalities=cardinalities, generator=generator)
    if not loss.requires_grad:
        return torch.zeros_like(logits)
    (gradient,) = torch.autograd.grad(loss, leaf, allow_unused=True)
    return torch.zeros_like(logits) if gradient is None else gradient * len(logits)


def draw_many(
    estimator: Estimator,
    logits: Float[Tensor, "B F"],
    *given: Any,
    draws: int,
    seed: int = 0,
    warm_up: int = 200,
) -> Float[Tensor, "M B F"]:
    """Many estimates by `draw`, given its arguments, and one seed; the estimator stays as it was.

    If it learns from call to call, it starts afresh and makes `warm_up` calls that do not count.
    """
    check_head(estimator)
    noise = torch.Generator(logits.device).manual_seed(seed)
    estimator = estimator.fresh()
    once = partial(draw, estimator, logits, *given, noise)
    once()
    for _ in range(warm_up - 1 if estimator.state else 0):
        once()
    return torch.stack([once() for _ in range(draws)])


def check_reference(
    reference: Reference,
    logits: Float[Tensor, "B F"],
    objective: Function | Objective,
    cardinalities: Sequence[int],
) -> None:
    """Raises ValueError if there are no rows, or the gradient is 0 but for rounding."""
    if not len(logits):
        raise ValueError("there are no rows of logits: nothing can be measured")
    losses = Objective.of(objective).typed(logits.dtype)
    size = losses.hard(argmax_codes(logits, cardinalities), cardinalities).abs().max()
    rounding = 64 * torch.finfo(logits.dtype).eps * size
    if reference.gradient.abs().max() <= rounding:
        raise ValueError(
            "the exact gradient is 0: the objective is the same for all categories, or the logits "
            "leave no choice. Nothing can be measured against it"
        )


def check_head(estimator: Estimator) -> None:
    """Raises ValueError if the estimator takes embeddings: the ruler measures logits' gradients."""
    if estimator.head != "logits":
        raise ValueError(f"{estimator!r} has no gradient for logits: it takes an embedding")
