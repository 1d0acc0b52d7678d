"""Layouts that embed many columns by one batched product."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from tabkit.embedding.layouts.registry import DeviceIndex, Layout, Operand, register, starts_of


@dataclass(eq=False)
class _Batched(Layout):
    """Columns in buckets; a bucket's blocks are padded to its widest, its tables with rows of 0.

    The places of the padding repeat the block's last share, whose product is then 0 and whose
    gradient gets 0: so that one gather packs all buckets, whatever their widths.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._buckets = self._bucketed()
        self._rows = [max(self.cardinalities[c] for c in bucket) for bucket in self._buckets]
        index = self._gathered()
        in_place = index == list(range(sum(self.cardinalities)))
        self._index = None if in_place else DeviceIndex(index)

    def _bucketed(self) -> list[list[int]]:
        raise NotImplementedError

    def _gathered(self) -> list[int]:
        """For each place of the packed simplex, the place of the simplex that it repeats."""
        starts = starts_of(self.cardinalities)
        return [
            starts[c] + min(k, self.cardinalities[c] - 1)
            for bucket, rows in zip(self._buckets, self._rows, strict=True)
            for c in bucket
            for k in range(rows)
        ]

    def _prepare(self, tables: tuple[Tensor, ...]) -> Operand:
        return tuple(
            torch.stack([pad(tables[c], (0, 0, 0, rows - len(tables[c]))) for c in bucket])
            for bucket, rows in zip(self._buckets, self._rows, strict=True)
        )

    def _pack_simplex(self, simplex: Float[Tensor, "B F"]) -> Tensor:
        if self._index is None:
            return simplex
        index = self._index.on(simplex.device)
        if simplex.T.is_contiguous():  # feature-major stays so, and is copied in whole rows
            return simplex.T.index_select(0, index).T
        return simplex.index_select(1, index)

    def mix(self, packed: Tensor, operand: Operand) -> Float[Tensor, "B CD"]:
        parts = packed.split([w.shape[0] * w.shape[1] for w in operand], dim=1)
        embedded: dict[int, Tensor] = {}
        for bucket, part, tables in zip(self._buckets, parts, operand, strict=True):
            blocks = part.unflatten(1, tables.shape[:2]).transpose(0, 1)  # (n, B, K)
            embedded |= dict(zip(bucket, torch.bmm(blocks, tables).unbind(), strict=True))
        return torch.cat([embedded[c] for c in range(len(embedded))], dim=1)


@register("padded")
@dataclass(eq=False)
class Padded(_Batched):
    """All columns padded to the widest: one batched product (C, B, K) @ (C, K, D)."""

    needs_one_width = True

    def _bucketed(self) -> list[list[int]]:
        return [list(range(len(self.cardinalities)))]


@register("bucketed")
@dataclass(eq=False)
class Bucketed(_Batched):
    """Columns of like cardinality (and one width) share a batched product.

    Parameters
    ----------
    spread
        How many times the narrowest block of a bucket the widest may be. At 1, only columns of
        equal cardinality share a product, and nothing is padded.

    Raises
    ------
    ValueError
        If the spread is not a number of at least 1.
    """

    spread: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        if not self.spread >= 1:
            raise ValueError(f"spread must be a number of at least 1, not {self.spread}")
        super().__post_init__()

    def _bucketed(self) -> list[list[int]]:
        by_size = sorted(range(len(self.cardinalities)), key=self._size)
        buckets = [[by_size[0]]]
        for c in by_size[1:]:
            if self._fits(c, buckets[-1]):
                buckets[-1].append(c)
            else:
                buckets.append([c])
        return [sorted(bucket) for bucket in buckets]

    def _size(self, column: int) -> tuple[int, int]:
        return self.widths[column], self.cardinalities[column]

    def _fits(self, column: int, bucket: Sequence[int]) -> bool:
        (width, least), (own_width, own) = self._size(bucket[0]), self._size(column)
        return own_width == width and own <= self.spread * least
