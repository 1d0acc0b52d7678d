"""`simplex.embed`, by products that are written to their places, or by one.

**Formula:** ``cat([block @ table for block, table in zip(blocks, tables)])``.
**Faster:** `embed` is one node of the graph, in the memory order of the input; slices and a
concatenation copy all of it twice, there and back. `diagonal` is one product with all tables on a
diagonal: more arithmetic, in a few kernels in place of a few for each column.
**Pays:** on a CPU, for frozen tables, from some ten columns and some hundred rows on; by one
product on a GPU, from two columns on.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import embedding

from tabkit import simplex
from tabkit.devices import is_gpu
from tabkit.fast import columns


def pays(values: Tensor, tables: Sequence[Tensor]) -> bool:
    """On a CPU, for frozen tables and a batch of many numbers."""
    return columns.pays(values) and not any(W.requires_grad for W in tables)


def embed(
    values: Float[Tensor, "B F"], tables: Sequence[Float[Tensor, "_ _"]]
) -> Float[Tensor, "B CD"]:
    """As `simplex.embed`."""
    simplex.blocks(values, [len(W) for W in tables])  # they must sum to F
    return _Products.apply(values, *tables)


def pays_as_one(values: Tensor, tables: Sequence[Tensor]) -> bool:
    """On CUDA, where there is more than one column."""
    return is_gpu(values.device) and len(tables) > 1


def diagonal(
    values: Float[Tensor, "B F"], tables: Sequence[Float[Tensor, "_ _"]]
) -> Float[Tensor, "B CD"]:
    """As `simplex.embed`."""
    sizes = tuple(map(len, tables))
    simplex.blocks(values, sizes)
    if len({W.shape[1] for W in tables}) > 1:
        return values @ torch.block_diag(*tables)
    matrix = torch.cat(list(tables))[:, None] * _own_column(sizes, values.device)  # (F, C, D)
    return values @ matrix.flatten(1).to(values.dtype)


def looked_up(
    codes: Int64[Tensor, "B C"], tables: Sequence[Float[Tensor, "_ D"]]
) -> Float[Tensor, "B CD"]:
    """``cat([embedding(codes of a column, table)])``, by one lookup in all tables, end to end.

    torch's own way back from a lookup of few codes takes one block of threads for each column.
    """
    starts = _starts(tuple(map(len, tables)), codes.device)
    return embedding(codes + starts, torch.cat(list(tables))).flatten(1)


def looked_up_pays(codes: Tensor, widths: Sequence[int]) -> bool:
    """On CUDA, where several tables are of one width."""
    return is_gpu(codes.device) and len(widths) > 1 == len(set(widths))


@cache  # a graph may hold their places
def _starts(sizes: tuple[int, ...], device: torch.device) -> Int64[Tensor, " C"]:
    widths = torch.tensor(sizes)
    return (widths.cumsum(0) - widths).to(device)


@cache
def _own_column(sizes: tuple[int, ...], device: torch.device) -> Bool[Tensor, "F C 1"]:
    """Which column each category is of."""
    columns = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return (columns[:, None] == torch.arange(len(sizes)))[:, :, None].to(device)


class _Products(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Float[Tensor, "B F"], *tables: Tensor) -> Float[Tensor, "B CD"]:
        ctx.save_for_backward(values if any(ctx.needs_input_grad[1:]) else None, *tables)
        return _side_by_side(values, tables)

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "B CD"]) -> tuple[Tensor | None, ...]:
        values, *tables = ctx.saved_tensors
        transposed = [W.T for W in tables]
        again = torch.is_grad_enabled()  # the gradient is to be differentiated, too
        moved = (simplex.embed if again else _side_by_side)(gradient, transposed)
        if values is None:
            return moved, *[None for _ in tables]
        shares = values.split([len(W) for W in tables], dim=1)
        slopes = gradient.split([W.shape[1] for W in tables], dim=1)
        return moved, *[block.T @ g for block, g in zip(shares, slopes, strict=True)]


def _side_by_side(values: Float[Tensor, "B F"], tables: Sequence[Tensor]) -> Float[Tensor, "B G"]:
    rows, width = len(values), sum(W.shape[1] for W in tables)
    by_row = values.is_contiguous()
    result = values.new_empty(rows, width) if by_row else values.new_empty(width, rows).T
    blocks = values.split([len(W) for W in tables], dim=1)
    places = result.split([W.shape[1] for W in tables], dim=1)
    for block, W, place in zip(blocks, tables, places, strict=True):
        torch.mm(block, W.to(block.dtype), out=place)  # under autocast they may differ
    return result
