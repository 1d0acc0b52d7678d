"""Layouts: ways to lay out categorical columns for their embedding.

All give the same embeddings and gradients and differ in time and memory only. Each is made by name,
`make("slices", cardinalities, widths)`, and called in three steps, `prepare` the tables, `pack` the
batch, `mix` both, or in one, ``layout(categorical, tables)``. `best` picks one by the columns.
"""

from tabkit.embedding.layouts.batched import Bucketed, Padded
from tabkit.embedding.layouts.choice import best
from tabkit.embedding.layouts.lookups import EmbeddingBag, Fused, Index, Sparse
from tabkit.embedding.layouts.products import (
    BlockDiagonal,
    GroupedBlockDiagonal,
    PerColumn,
    Slices,
)
from tabkit.embedding.layouts.registry import (
    DeviceIndex,
    Kind,
    Layout,
    Operand,
    Packed,
    make,
    names,
    register,
)

__all__ = [
    "BlockDiagonal",
    "Bucketed",
    "DeviceIndex",
    "EmbeddingBag",
    "Fused",
    "GroupedBlockDiagonal",
    "Index",
    "Kind",
    "Layout",
    "Operand",
    "Packed",
    "Padded",
    "PerColumn",
    "Slices",
    "Sparse",
    "best",
    "make",
    "names",
    "register",
]
