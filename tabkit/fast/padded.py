"""`simplex.softmax` and `simplex.argmax`, by blocks padded to one width.

**Formula:** ``each(softmax, cardinalities, logits / tau)``, ``each(vertex, cardinalities, v)``.
**Faster:** side by side as (B, C, largest K), all columns take the same few kernels. On a GPU a
small kernel's launch costs more than its arithmetic.
**Pays:** on CUDA, from two columns on.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from tabkit import simplex


def pays(values: Tensor, cardinalities: Sequence[int], *_: object) -> bool:
    """On CUDA, where there is more than one column."""
    return values.device.type == "cuda" and len(cardinalities) > 1


def softmax(
    logits: Float[Tensor, "B F"], cardinalities: Sequence[int], tau: float = 1.0
) -> Float[Tensor, "B F"]:
    """As `simplex.softmax`."""
    padded = pad(logits if tau == 1 else logits / tau, cardinalities)
    inside = _padding(tuple(cardinalities), logits.device)[2]
    return padded.softmax(dim=2).flatten(1).index_select(1, inside)


def argmax(values: Float[Tensor, "B F"], cardinalities: Sequence[int]) -> Float[Tensor, "B F"]:
    """As `simplex.argmax`."""
    places = pad(values.detach(), cardinalities).argmax(dim=2)  # (B, C)
    starts = _padding(tuple(cardinalities), values.device)[0][:, 0]
    return torch.zeros_like(values).scatter_(1, places + starts, 1.0)


def pad(values: Float[Tensor, "B F"], cardinalities: Sequence[int]) -> Float[Tensor, "B C K"]:
    """The blocks side by side, (B, C, largest K), filled up with minus infinity."""
    simplex.blocks(values, cardinalities)  # they must sum to F
    index, inside, _ = _padding(tuple(cardinalities), values.device)
    padded = values.index_select(1, index.reshape(-1)).reshape(len(values), *index.shape)
    return torch.where(inside, padded, -torch.inf)


@lru_cache(maxsize=64)
def _padding(
    cardinalities: tuple[int, ...], device: torch.device
) -> tuple[Int64[Tensor, "C K"], Bool[Tensor, "C K"], Int64[Tensor, " F"]]:
    """Where each padded place reads, whether it lies inside its block, and the way back."""
    widths = torch.tensor(cardinalities, device=device)[:, None]
    steps = torch.arange(max(cardinalities), device=device)
    inside = steps < widths
    index = (widths.cumsum(0) - widths) + torch.minimum(steps, widths - 1)
    return index, inside, inside.flatten().nonzero()[:, 0]
