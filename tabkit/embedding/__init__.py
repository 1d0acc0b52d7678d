"""Embedding layers that take integer codes *or* a simplex."""

from tabkit.embedding import layouts
from tabkit.embedding.folded import FoldedLinear
from tabkit.embedding.soft import SoftEmbedding

__all__ = ["FoldedLinear", "SoftEmbedding", "layouts"]
