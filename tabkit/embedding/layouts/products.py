"""Layouts that multiply blocks of the simplex with tables, or with blocks of tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import one_hot

from tabkit.embedding.layouts.registry import Layout, Operand, register
from tabkit.schema import split_blocks


@register("list")
@dataclass(eq=False)
class PerColumn(Layout):
    """A list of C tensors (B, K), each times its table: C products, and a copy of each block.

    `mix` takes the list of a net that has a head for each column as it is, without `pack`.
    """

    def _prepare(self, tables: tuple[Tensor, ...]) -> Operand:
        return tables

    def _pack_simplex(self, simplex: Float[Tensor, "B F"]) -> tuple[Tensor, ...]:
        return tuple(b.contiguous() for b in split_blocks(simplex, self.cardinalities))

    def _pack_codes(
        self, codes: Int64[Tensor, "B C"], dtype: torch.dtype | None
    ) -> tuple[Tensor, ...]:
        dtype = dtype or torch.get_default_dtype()
        columns = zip(codes.unbind(1), self.cardinalities, strict=True)
        return tuple(one_hot(column, k).to(dtype) for column, k in columns)

    def mix(self, packed: Sequence[Tensor], operand: Operand) -> Float[Tensor, "B CD"]:
        return torch.cat([b @ w for b, w in zip(packed, operand, strict=True)], dim=1)


@register("slices")
@dataclass(eq=False)
class Slices(Layout):
    """One tensor (B, F), each slice of it times its table: C products, nothing copied."""

    def _prepare(self, tables: tuple[Tensor, ...]) -> Operand:
        return tables

    def mix(self, packed: Tensor, operand: Operand) -> Float[Tensor, "B CD"]:
        blocks = split_blocks(packed, self.cardinalities)
        return torch.cat([b @ w for b, w in zip(blocks, operand, strict=True)], dim=1)


@register("block_diagonal")
@dataclass(eq=False)
class BlockDiagonal(Layout):
    """One product with a matrix (F, C*D) that has the tables on its diagonal.

    C times the arithmetic of the tables alone: all but 1/C of the matrix is 0.
    """

    def _prepare(self, tables: tuple[Tensor, ...]) -> Operand:
        return torch.block_diag(*tables)

    def mix(self, packed: Tensor, operand: Tensor) -> Float[Tensor, "B CD"]:
        return packed @ operand


@register("grouped_block_diagonal")
@dataclass(eq=False)
class GroupedBlockDiagonal(Layout):
    """Neighbouring columns share one small block-diagonal product.

    A group's blocks are one slice of the simplex, so that nothing is gathered. A simplex that lies
    in memory feature by feature is multiplied so, and gets its gradient so, without a copy.

    Parameters
    ----------
    columns
        How many columns a group has at most.
    features
        How wide the blocks of a group are together, at most, if there is a limit; a column that is
        wider is alone.

    Raises
    ------
    ValueError
        If a knob is below 1.
    """

    columns: int = field(default=2, kw_only=True)
    features: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, knob in (("columns", self.columns), ("features", self.features)):
            if knob is not None and knob < 1:
                raise ValueError(f"{name} must be at least 1, not {knob}")
        self._groups = self._grouped()
        self._features = [sum(self.cardinalities[g]) for g in self._groups]

    def _grouped(self) -> list[slice]:
        """Consecutive columns, as slices of the list of columns."""
        most = self.features or sum(self.cardinalities)
        ends = [0]
        for c in range(1, len(self.cardinalities)):
            full = c - ends[-1] == self.columns
            if full or sum(self.cardinalities[ends[-1] : c + 1]) > most:
                ends.append(c)
        return [slice(*ends) for ends in pairwise([*ends, len(self.cardinalities)])]

    def _prepare(self, tables: tuple[Tensor, ...]) -> Operand:
        groups = [tables[g] for g in self._groups]
        return tuple(torch.block_diag(*g) if len(g) > 1 else g[0] for g in groups)

    def mix(self, packed: Tensor, operand: Operand) -> Float[Tensor, "B CD"]:
        if len(operand) == 1:
            return packed @ operand[0]
        if not any(w.requires_grad for w in operand):
            return _Products.apply(packed, *operand)
        blocks = split_blocks(packed, self._features)
        return torch.cat([b @ w for b, w in zip(blocks, operand, strict=True)], dim=1)


class _Products(torch.autograd.Function):
    """Products of neighbouring blocks (B, f) with frozen matrices (f, d), side by side.

    One node of the graph, whose products are written to their places, in the memory order of the
    input; slices and a concatenation would copy all of it twice.
    """

    @staticmethod
    def forward(ctx: Any, values: Float[Tensor, "B F"], *matrices: Tensor) -> Float[Tensor, "B CD"]:
        ctx.save_for_backward(*matrices)
        return _side_by_side(values, matrices)

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "B CD"]) -> tuple[Tensor | None, ...]:
        matrices = ctx.saved_tensors
        transposed = [matrix.T for matrix in matrices]
        if torch.is_grad_enabled():  # the gradient is to be differentiated, too
            moved = _Products.apply(gradient, *transposed)
        else:
            moved = _side_by_side(gradient, transposed)
        return moved, *[None for _ in matrices]


def _side_by_side(values: Float[Tensor, "B F"], matrices: Sequence[Tensor]) -> Float[Tensor, "B G"]:
    rows, width = len(values), sum(matrix.shape[1] for matrix in matrices)
    by_row = values.is_contiguous()
    result = values.new_empty(rows, width) if by_row else values.new_empty(width, rows).T
    blocks = values.split([len(matrix) for matrix in matrices], dim=1)
    places = result.split([matrix.shape[1] for matrix in matrices], dim=1)
    for block, matrix, place in zip(blocks, matrices, places, strict=True):
        torch.mm(block, matrix.to(block.dtype), out=place)  # under autocast they may differ
    return result
