"""Layouts that read rows of tables by their index."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import embedding, embedding_bag

from tabkit.embedding.layouts.registry import (
    DeviceIndex,
    Kind,
    Layout,
    Operand,
    Packed,
    register,
    starts_of,
)


@dataclass(eq=False)
class _Offset(Layout):
    """Codes become rows of one long table: each column's start is added."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._starts = DeviceIndex(starts_of(self.cardinalities))

    def _rows(self, codes: Int64[Tensor, "B C"]) -> Int64[Tensor, "B C"]:
        return codes + self._starts.on(codes.device)


@register("sparse")
@dataclass(eq=False)
class Sparse(_Offset):
    """A sparse (COO) one-hot or simplex (B, F) times the block-diagonal matrix (F, C*D).

    Gradient
    --------
    Exact, the shares of 0 included, but no cheaper than the dense product: it is formed for all
    of (B, F). (`torch.sparse.mm`, which we do not use, gives the shares of 0 a gradient of 0,
    and so loses what a simplex is for: to learn of the categories that were not chosen.)
    """

    takes: ClassVar[tuple[Kind, ...]] = ("codes", "simplex")

    def _prepare(self, tables: tuple[Tensor, ...]) -> Operand:
        return torch.block_diag(*tables)

    def _pack_simplex(self, simplex: Float[Tensor, "B F"]) -> Tensor:
        return simplex.to_sparse()

    def _pack_codes(self, codes: Int64[Tensor, "B C"], dtype: torch.dtype | None) -> Tensor:
        B, C = codes.shape
        rows = torch.arange(B, device=codes.device).repeat_interleave(C)
        return torch.sparse_coo_tensor(
            torch.stack([rows, self._rows(codes).flatten()]),
            torch.ones(B * C, dtype=dtype or torch.get_default_dtype(), device=codes.device),
            (B, sum(self.cardinalities)),
            is_coalesced=True,
            check_invariants=False,
        )

    def mix(self, packed: Tensor, operand: Tensor) -> Float[Tensor, "B CD"]:
        return packed @ operand


@register("embedding_bag")
@dataclass(eq=False)
class EmbeddingBag(_Offset):
    """One bag a row and column of one long table: its rows, weighted by the shares, are summed.

    A code is a bag of one row. The bags of a simplex hold B*F indices, twice the simplex's size.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("codes", "simplex")
    needs_one_width = True

    def _prepare(self, tables: tuple[Tensor, ...]) -> Operand:
        return torch.cat(tables)

    def _pack_simplex(self, simplex: Float[Tensor, "B F"]) -> tuple[Tensor, ...]:
        B, F = simplex.shape
        rows = torch.arange(F, device=simplex.device).repeat(B)
        starts = self._starts.on(simplex.device)
        bags = F * torch.arange(B, device=simplex.device)[:, None] + starts  # (B, C)
        return rows, bags.flatten(), simplex.reshape(-1)

    def _pack_codes(
        self, codes: Int64[Tensor, "B C"], dtype: torch.dtype | None
    ) -> tuple[Tensor, ...]:
        rows = self._rows(codes).flatten()
        return rows, torch.arange(len(rows), device=codes.device)

    def mix(self, packed: tuple[Tensor, ...], operand: Tensor) -> Float[Tensor, "B CD"]:
        rows, bags, *shares = packed
        weights = shares[0] if shares else None
        embedded = embedding_bag(rows, operand, bags, mode="sum", per_sample_weights=weights)
        return embedded.reshape(-1, sum(self.widths))


@register("index")
@dataclass(eq=False)
class Index(Layout):
    """One lookup a column, what a net of `nn.Embedding`s does: codes only.

    Gradient
    --------
    Exact for the tables. A code has none.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("codes",)

    def _prepare(self, tables: tuple[Tensor, ...]) -> Operand:
        return tables

    def _pack_codes(self, codes: Int64[Tensor, "B C"], dtype: torch.dtype | None) -> Packed:
        return codes

    def mix(self, packed: Tensor, operand: Operand) -> Float[Tensor, "B CD"]:
        columns = zip(packed.unbind(1), operand, strict=True)
        return torch.cat([embedding(codes, table) for codes, table in columns], dim=1)


@register("fused")
@dataclass(eq=False)
class Fused(_Offset):
    """One lookup for all columns, in one long table: codes only.

    A code out of range would read another column's row: check codes first.

    Gradient
    --------
    Exact for the tables. A code has none.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("codes",)
    needs_one_width = True

    def _prepare(self, tables: tuple[Tensor, ...]) -> Operand:
        return torch.cat(tables)

    def _pack_codes(self, codes: Int64[Tensor, "B C"], dtype: torch.dtype | None) -> Packed:
        return self._rows(codes)

    def mix(self, packed: Tensor, operand: Tensor) -> Float[Tensor, "B CD"]:
        return embedding(packed, operand).flatten(1)
