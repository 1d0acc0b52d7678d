"""Decoders: what net0 hands over -> a hard row."""

from tabkit.decoders.search import local_search

__all__ = ["local_search"]
