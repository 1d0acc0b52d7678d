"""A linear layer's output in two parts: net0's logits and its numbers.

**Formula:** ``linear(x, weight, bias).split((first, rest), dim=1)``.
**Faster:** the output lies in memory feature by feature, as these want it; on the way
back the two gradients are laid side by side in that order, so that the matrices are multiplied
whole. One node of the graph.
**Pays:** where `fast.columns` or `fast.padded` does.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear

from tabkit.devices import is_gpu, shares_memory
from tabkit.fast.columns import MANY

Parts = tuple[Float[Tensor, "B _"], Float[Tensor, "B _"]]


def plain(x: Float[Tensor, "B R"], weight: Tensor, bias: Tensor, first: int) -> Parts:
    """The formula: the first `first` outputs, and the rest."""
    return linear(x, weight, bias).split((first, len(weight) - first), dim=-1)


def pays(x: Tensor, weight: Tensor, *_: object) -> bool:
    """For a batch of many outputs on a CPU; on a GPU always."""
    return is_gpu(x.device) or (shares_memory(x.device) and len(x) * len(weight) >= MANY)


def heads(x: Float[Tensor, "B R"], weight: Tensor, bias: Tensor, first: int) -> Parts:
    """As `plain`."""
    return _Heads.apply(x, weight, bias, first)


class _Heads(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, first: int) -> Parts:
        output = torch.addmm(bias[:, None], weight, x.T)  # (O, B)
        ctx.save_for_backward(x.to(output.dtype), weight.to(output.dtype))  # under autocast
        return output[:first].T, output[first:].T

    @staticmethod
    def backward(ctx: Any, *gradients: Float[Tensor, "B _"]) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = torch.cat([part.T for part in gradients])  # (O, B)
        return gradient.T @ weight, gradient @ x, gradient.sum(dim=1), None
