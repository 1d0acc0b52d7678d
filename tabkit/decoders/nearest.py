"""Decoders that ask net1 at most for its tables: argmax, and the nearest category."""

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.decoders.handed import Handed
from tabkit.nets import Codes, ask, first_layer_metrics
from tabkit.simplex import argmax_codes


def argmax(handed: Handed) -> Codes:
    """The category of the largest logit in each column."""
    return argmax_codes(handed.logits, handed.cardinalities)


def table(handed: Handed) -> Codes:
    """The category whose embedding is nearest to what was handed over, column by column."""
    return nearest(handed, None)


def first_layer(handed: Handed) -> Codes:
    """The same, with distances as net1's first linear layer sees them."""
    return nearest(handed, first_layer_metrics(handed.net1))


def nearest(handed: Handed, metrics: list[Float[Tensor, "R D"]] | None) -> Codes:
    """The nearest of the allowed categories, by the given metrics."""
    tables = ask(handed.net1, "embedding", "the nearest category")
    near = tables.negative_distances(handed.embedding, metrics)
    return argmax_codes(near.masked_fill(~handed.allowed, -torch.inf), handed.cardinalities)
