"""Embedding layers that take integer codes *or* a simplex."""

from tabkit.embedding import layouts
from tabkit.embedding.folded import FoldedLinear
from tabkit.embedding.sampled import SampledSoftEmbedding
from tabkit.embedding.soft import SoftEmbedding

__all__ = ["FoldedLinear", "SampledSoftEmbedding", "SoftEmbedding", "layouts"]
