"""`softmax`, `argmax` and `straight_through`, and a gradient by a map, of all columns at once.

**Formula:** ``each(softmax, cardinalities, logits / tau)``, ``each(vertex, cardinalities, v)``,
``hard.detach() + (soft - soft.detach())``, ``hard.detach() + pull(logits - logits.detach())``.
**Faster:** the values are laid out feature by feature, (F, B). A block is then one piece of memory,
each operation on it runs along B numbers in place of K, the results are written to their places,
and all columns are one node of the graph. The sums and their differences, which are 0, are not
worked out at all.
**Pays:** on a CPU, from some ten columns and some hundred rows on (`pays`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit import simplex
from tabkit.devices import is_gpu, shares_memory

MANY = 100_000  # numbers


def pays(values: Tensor, *_: object) -> bool:
    """On a CPU, for a batch of many numbers in many blocks."""
    return shares_memory(values.device) and values.numel() >= MANY


def passes(hard: Tensor, *_: object) -> bool:
    """The same for straight-through; and on a GPU, which saves two small kernels."""
    return pays(hard) or is_gpu(hard.device)


def softmax(
    logits: Float[Tensor, "B F"], cardinalities: Sequence[int], tau: simplex.Tau = 1.0
) -> Float[Tensor, "B F"]:
    """As `simplex.softmax`; the result lies in memory feature by feature."""
    simplex.blocks(logits, cardinalities)  # they must sum to F
    return _Softmax.apply(logits, tuple(cardinalities), tau)


def over(gradient: Tensor, tau: simplex.Tau) -> Tensor:
    """What is left of a gradient on its way back through a temperature."""
    return gradient if not isinstance(tau, Tensor) and tau == 1 else gradient / tau


def argmax(values: Float[Tensor, "B F"], cardinalities: Sequence[int]) -> Float[Tensor, "B F"]:
    """As `simplex.argmax`; the result lies in memory feature by feature."""
    simplex.blocks(values, cardinalities)
    rows, widths = values.detach().T.contiguous(), tuple(cardinalities)
    hot = torch.empty_like(rows)
    blocks = list(zip(rows.split(widths), hot.split(widths), strict=True))
    for block, place in blocks:
        torch.eq(block, block.amax(dim=0), out=place)
    if not bool((hot.sum(dim=0) == len(widths)).all()):  # of equal ones the first
        for block, place in blocks:
            place.zero_().scatter_(0, block.argmax(dim=0, keepdim=True), 1.0)
    return hot.T


def straight_through(
    hard: Float[Tensor, "B F"], soft: Float[Tensor, "B F"]
) -> Float[Tensor, "B F"]:
    """As `simplex.straight_through`."""
    return _StraightThrough.apply(hard, soft)


def pulled_back(
    hard: Float[Tensor, "B F"],
    logits: Float[Tensor, "B F"],
    pull: Callable[[Float[Tensor, "B F"]], Float[Tensor, "B F"]],
) -> Float[Tensor, "B F"]:
    """As the formula; it pays always."""
    return _PulledBack.apply(hard, logits, pull)


class _PulledBack(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hard: Tensor, logits: Tensor, pull: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "B F"]:
        ctx.pull = pull
        return hard.view_as(hard)

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "B F"]) -> tuple[Tensor | None, ...]:
        return None, ctx.pull(gradient), None


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hard: Tensor, soft: Tensor) -> Float[Tensor, "B F"]:
        return hard.view_as(hard)

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "B F"]) -> tuple[None, Float[Tensor, "B F"]]:
        return None, gradient


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, widths: tuple[int, ...], tau: simplex.Tau
    ) -> Float[Tensor, "B F"]:
        rows = logits.T.contiguous()
        shares = torch.empty_like(rows)
        for block, place in zip(rows.split(widths), shares.split(widths), strict=True):
            torch.softmax(simplex.tempered(block, tau, 0), 0, out=place)
        shares = shares.T
        ctx.save_for_backward(shares)
        ctx.widths, ctx.tau, ctx.by_row = widths, tau, logits.is_contiguous()
        return shares

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "B F"]) -> tuple[Tensor | None, ...]:
        (shares,), tau = ctx.saved_tensors, ctx.tau
        if torch.is_grad_enabled():  # the gradient is to be differentiated, too
            return over(simplex.jacobian_product(shares, gradient, ctx.widths), tau), None, None
        moved = torch.empty_like(shares)
        columns = (x.T.split(ctx.widths) for x in (gradient, shares, moved))
        for g, p, place in zip(*columns, strict=True):  # by the kernel that torch's own softmax has
            torch.ops.aten._softmax_backward_data.out(g, p, 0, p.dtype, grad_input=place)
        return over(moved.contiguous() if ctx.by_row else moved, tau), None, None
