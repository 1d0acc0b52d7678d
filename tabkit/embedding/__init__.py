"""Embedding layers that take integer codes *or* a simplex."""

from tabkit.embedding.sampled import SampledSoftEmbedding
from tabkit.embedding.soft import SoftEmbedding

__all__ = ["SampledSoftEmbedding", "SoftEmbedding"]
