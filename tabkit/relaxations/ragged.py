"""Softmax and argmax of all columns at once, over blocks of unequal width.

On a CPU the values are laid out feature by feature, (F, B): a block is then contiguous memory, and
its reduction runs over whole rows of B numbers instead of over a few categories at a time. On a GPU
the blocks are padded to one width, so that a few kernels serve all columns.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from tabkit.schema import split_blocks


def softmax_blocks(
    logits: Float[Tensor, "B F"], cardinalities: Sequence[int]
) -> Float[Tensor, "B F"]:
    """The softmax of each column's block.

    Gradient
    --------
    Exact.

    Examples
    --------
    >>> softmax_blocks(torch.zeros(1, 3), (2, 1))
    tensor([[0.5000, 0.5000, 1.0000]])
    """
    split_blocks(logits, cardinalities)  # the blocks must sum to F
    if logits.is_cuda:
        return unpad(pad(logits, cardinalities, -torch.inf).softmax(dim=2), cardinalities)
    return _Softmax.apply(logits, tuple(cardinalities))


def argmax_blocks(
    values: Float[Tensor, "B F"], cardinalities: Sequence[int]
) -> Float[Tensor, "B F"]:
    """The vertex of the largest value of each column's block; it has no gradient.

    Of equal values one is taken.

    Examples
    --------
    >>> argmax_blocks(torch.tensor([[0.2, 0.1, 0.0]]), (2, 1))
    tensor([[1., 0., 1.]])
    """
    split_blocks(values, cardinalities)  # the blocks must sum to F
    if values.is_cuda:
        places = pad(values.detach(), cardinalities, -torch.inf).argmax(dim=2)  # (B, C)
        offsets = _padding(tuple(cardinalities), values.device)[0][:, 0]
        return torch.zeros_like(values).scatter_(1, places + offsets, 1.0)
    rows, widths = values.detach().T.contiguous(), tuple(cardinalities)
    hot = torch.empty_like(rows)
    for block, place in zip(rows.split(widths), hot.split(widths), strict=True):
        torch.eq(block, block.amax(dim=0), out=place)
    if not bool((hot.sum(dim=0) == len(widths)).all()):
        _break_ties(hot.split(widths))
    return hot.T


def _break_ties(blocks: Sequence[Float[Tensor, "_ B"]]) -> None:
    """Leaves one of the largest values of each block, in place."""
    for block in blocks:
        first = block.argmax(dim=0, keepdim=True)
        block.zero_().scatter_(0, first, 1.0)


class _Softmax(torch.autograd.Function):
    """Softmax over blocks of (B, F), feature by feature; one node of the graph for all columns."""

    @staticmethod
    def forward(
        ctx: Any, logits: Float[Tensor, "B F"], widths: tuple[int, ...]
    ) -> Float[Tensor, "B F"]:
        rows = logits.T.contiguous()
        simplex = torch.empty_like(rows)
        for block, place in zip(rows.split(widths), simplex.split(widths), strict=True):
            torch.softmax(block, 0, out=place)
        simplex = simplex.T
        ctx.save_for_backward(simplex)
        ctx.widths, ctx.by_row = widths, logits.is_contiguous()
        return simplex

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "B F"]) -> tuple[Float[Tensor, "B F"], None]:
        (simplex,) = ctx.saved_tensors
        moved = _through_jacobian(gradient.T, simplex.T, ctx.widths).T
        return (moved.contiguous() if ctx.by_row else moved), None


def _through_jacobian(
    gradient: Float[Tensor, "F B"], simplex: Float[Tensor, "F B"], widths: tuple[int, ...]
) -> Float[Tensor, "F B"]:
    """The softmax's Jacobian times the gradient, block by block."""
    pairs = zip(gradient.split(widths), simplex.split(widths), strict=True)
    jacobian = torch.ops.aten._softmax_backward_data
    if torch.is_grad_enabled():  # the gradient is to be differentiated, too
        return torch.cat([jacobian(g, p, 0, p.dtype) for g, p in pairs])
    moved = torch.empty_like(simplex)
    for (g, p), place in zip(pairs, moved.split(widths), strict=True):
        jacobian.out(g, p, 0, p.dtype, grad_input=place)
    return moved


def pad(
    values: Float[Tensor, "B F"], cardinalities: Sequence[int], filling: float
) -> Float[Tensor, "B C K"]:
    """The blocks side by side, (B, C, largest K), filled up."""
    index, inside, _ = _padding(tuple(cardinalities), values.device)
    padded = values.index_select(1, index.reshape(-1)).reshape(len(values), *index.shape)
    return torch.where(inside, padded, filling)


def unpad(padded: Float[Tensor, "B C K"], cardinalities: Sequence[int]) -> Float[Tensor, "B F"]:
    """The inverse of `pad`."""
    return padded.flatten(1).index_select(1, _padding(tuple(cardinalities), padded.device)[2])


@lru_cache(maxsize=64)
def _padding(
    cardinalities: tuple[int, ...], device: torch.device
) -> tuple[Int64[Tensor, "C K"], Bool[Tensor, "C K"], Int64[Tensor, " F"]]:
    """Where each padded place reads, whether it lies inside its block, and the way back."""
    widths = torch.tensor(cardinalities, device=device)[:, None]
    steps = torch.arange(max(cardinalities), device=device)
    inside = steps < widths
    index = (widths.cumsum(0) - widths) + torch.minimum(steps, widths - 1)
    return index, inside, inside.flatten().nonzero()[:, 0]
