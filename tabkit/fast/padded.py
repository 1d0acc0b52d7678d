"""`softmax`, `argmax`, `hard_softmax` and `jacobian_product`, by blocks padded to one width.

**Formula:** ``each(softmax, cardinalities, logits / tau)``, ``each(vertex, cardinalities, v)``,
``straight_through(argmax(v), softmax(v, tau))``,
``each(p * (v - (p * v).sum()), cardinalities, p, v)``.
**Faster:** by one kernel of our own (`fast.kernels`) where Triton is, which torch brings along for
CUDA on Linux. Else side by side as (C, largest K, B): all columns take the same few kernels, and
the way back as few; along B the memory is read in one piece. On a GPU a small kernel's launch costs
more than its arithmetic.
**Pays:** on CUDA, from two columns on.
"""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from tabkit import simplex
from tabkit.devices import has_triton, is_gpu
from tabkit.fast.columns import over

Cardinalities = tuple[int, ...]


def pays(values: Tensor, cardinalities: Sequence[int], *_: object) -> bool:
    """On CUDA, where there is more than one column."""
    return is_gpu(values.device) and len(cardinalities) > 1


def pays_twice(p: Tensor, v: Tensor, cardinalities: Sequence[int]) -> bool:
    """The same for two of them."""
    return pays(p, cardinalities) and p.shape == v.shape


def softmax(
    logits: Float[Tensor, "B F"], cardinalities: Sequence[int], tau: simplex.Tau = 1.0
) -> Float[Tensor, "B F"]:
    """As `simplex.softmax`; the result lies in memory feature by feature."""
    simplex.blocks(logits, cardinalities)  # they must sum to F
    return _Softmax.apply(logits, tuple(cardinalities), tau)


def argmax(values: Float[Tensor, "B F"], cardinalities: Sequence[int]) -> Float[Tensor, "B F"]:
    """As `simplex.argmax`; the result lies in memory feature by feature."""
    simplex.blocks(values, cardinalities)
    return relaxed(values, tuple(cardinalities), soft=False)[1]


def hard_softmax(
    values: Float[Tensor, "B F"], cardinalities: Sequence[int], tau: simplex.Tau = 1.0
) -> Float[Tensor, "B F"]:
    """Forward the vertex of each block's largest value, backward the softmax at temperature tau."""
    simplex.blocks(values, cardinalities)
    return _HardSoftmax.apply(values, tuple(cardinalities), tau)


def jacobian_product(
    p: Float[Tensor, "B F"], v: Float[Tensor, "B F"], cardinalities: Sequence[int]
) -> Float[Tensor, "B F"]:
    """As `simplex.jacobian_product`."""
    simplex.blocks(v, cardinalities)
    return _Product.apply(p, v, tuple(cardinalities))


def relaxed(
    values: Float[Tensor, "B F"],
    cardinalities: Cardinalities,
    tau: simplex.Tau = 1.0,
    *,
    soft: bool = True,
    hard: bool = True,
) -> tuple[Float[Tensor, "B F"] | None, Float[Tensor, "B F"] | None]:
    """Each block's softmax at temperature tau, and the vertex of its largest value, or one of both.

    No gradient.
    """
    if own := kernels(values, cardinalities):
        return own.relaxed(values.detach(), cardinalities, tau, soft=soft, hard=hard)
    padded, vertices, shares = pad(values, cardinalities), None, None
    if hard:
        places = torch.arange(padded.shape[1], device=padded.device)[:, None]
        found = torch.empty_like(padded)
        torch.eq(padded.argmax(dim=1, keepdim=True), places, out=found)
        vertices = unpad(found, cardinalities)
    if soft:
        torch.softmax(simplex.tempered(padded, tau, 1), 1, out=padded)
        shares = unpad(padded, cardinalities)
    return shares, vertices


def moved(
    p: Float[Tensor, "B F"], v: Float[Tensor, "B F"], cardinalities: Cardinalities
) -> Float[Tensor, "B F"]:
    """The Jacobian at p times v; no gradient."""
    alike = p.shape == v.shape and p.dtype == v.dtype
    if own := kernels(v, cardinalities) if alike else None:
        return own.product(p, v, cardinalities)
    padded, slope = pad(p, cardinalities, 0.0), pad(v, cardinalities, 0.0)
    back = torch.ops.aten._softmax_backward_data  # the kernel that torch's own softmax has
    return unpad(back.out(slope, padded, 1, padded.dtype, grad_input=slope), cardinalities)


def kernels(values: Tensor, cardinalities: Cardinalities) -> ModuleType | None:
    """Those of our own, where they run and pay."""
    if not has_triton(values.device):
        return None
    own = import_module("tabkit.fast.kernels")
    return own if own.pays(values, cardinalities) else None


def pad(
    values: Float[Tensor, "B F"], cardinalities: Cardinalities, filling: float = -torch.inf
) -> Float[Tensor, "C K B"]:
    """The blocks side by side, (C, largest K, B), filled up with what no block has; no gradient."""
    index, outside, _ = _padding(cardinalities, values.device)
    padded = values.detach().T.index_select(0, index.reshape(-1))
    return padded.reshape(*index.shape, len(values)).masked_fill_(outside[..., None], filling)


def unpad(padded: Float[Tensor, "C K B"], cardinalities: Cardinalities) -> Float[Tensor, "B F"]:
    """The way back."""
    return padded.flatten(0, 1).index_select(0, _padding(cardinalities, padded.device)[2]).T


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, cardinalities: Cardinalities, tau: simplex.Tau
    ) -> Float[Tensor, "B F"]:
        shares, _ = relaxed(logits, cardinalities, tau, hard=False)
        ctx.save_for_backward(shares)
        ctx.cardinalities, ctx.tau = cardinalities, tau
        return shares

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "B F"]) -> tuple[Tensor | None, ...]:
        (shares,), K, tau = ctx.saved_tensors, ctx.cardinalities, ctx.tau
        again = torch.is_grad_enabled()  # the gradient is to be differentiated, too
        return (
            over((simplex.jacobian_product if again else moved)(shares, gradient, K), tau),
            None,
            None,
        )


class _HardSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, cardinalities: Cardinalities, tau: simplex.Tau
    ) -> Float[Tensor, "B F"]:
        shares, vertices = relaxed(values, cardinalities, tau)
        ctx.save_for_backward(shares, values)
        ctx.cardinalities, ctx.tau = cardinalities, tau
        return vertices

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "B F"]) -> tuple[Tensor | None, ...]:
        (shares, values), K, tau = ctx.saved_tensors, ctx.cardinalities, ctx.tau
        if torch.is_grad_enabled():
            shares = simplex.softmax(values, K, tau)
            return over(simplex.jacobian_product(shares, gradient, K), tau), None, None
        return over(moved(shares, gradient, K), tau), None, None


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, p: Tensor, v: Tensor, cardinalities: Cardinalities
    ) -> Float[Tensor, "B F"]:
        ctx.save_for_backward(p, v)
        ctx.cardinalities = cardinalities
        return moved(p, v, cardinalities)

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "B F"]) -> tuple[Tensor | None, ...]:
        (p, v), K = ctx.saved_tensors, ctx.cardinalities
        again, (learns, moves, _) = torch.is_grad_enabled(), ctx.needs_input_grad
        along = (simplex.jacobian_product if again else moved)(p, gradient, K)
        return (
            simplex.each(_slope, K, p, v, gradient) if learns else None,
            along if moves else None,
            None,
        )


def _slope(p: Tensor, v: Tensor, g: Tensor) -> Tensor:
    """The gradient for p of the sum of g times the product of p's Jacobian with v."""
    along, against = ((p * x).sum(-1, keepdim=True) for x in (v, g))
    return g * (v - along) - v * against


@cache  # a graph may hold their places
def _padding(
    cardinalities: Cardinalities, device: torch.device
) -> tuple[Int64[Tensor, "C K"], Bool[Tensor, "C K"], Int64[Tensor, " F"]]:
    """Where each padded place reads, whether it lies outside its block, and the way back."""
    widths = torch.tensor(cardinalities)[:, None]
    steps = torch.arange(max(cardinalities))
    inside = steps < widths
    index = (widths.cumsum(0) - widths) + torch.minimum(steps, widths - 1)
    found = index, ~inside, inside.flatten().nonzero()[:, 0]
    return tuple(part.to(device) for part in found)
