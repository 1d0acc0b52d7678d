"""The layers that both nets are made of."""

from itertools import pairwise

import torch
from torch import nn


def mlp(
    in_features: int, out_features: int, *, width: int, depth: int, generator: torch.Generator
) -> nn.Sequential:
    """`depth` layers of `width` with ReLU, then a linear one; ValueError if a size is below 1."""
    if min(in_features, out_features, width, depth) < 1:
        raise ValueError(
            f"sizes must be at least 1: {in_features=}, {out_features=}, {width=}, {depth=}"
        )
    sizes = [in_features, *[width] * depth, out_features]
    layers = [part for i, o in pairwise(sizes) for part in (linear(i, o, generator), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def linear(in_features: int, out_features: int, generator: torch.Generator) -> nn.Linear:
    """`nn.Linear` with its usual initial distribution, U(-1/sqrt(in), 1/sqrt(in)), by generator."""
    layer = nn.utils.skip_init(nn.Linear, in_features, out_features)
    bound = in_features**-0.5
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer
