"""The formulas: a row's categories as points of simplexes, relaxed, sampled and embedded.

The C categorical columns of a row lie side by side in one tensor (..., F): for each column a block
of K numbers, `cardinalities` says of how many. A *simplex* has non-negative blocks that sum to 1; a
one-hot is one at its vertices; *logits* are any numbers, in nats. All is plain torch, which
compiles, exports, maps and differentiates; `tabkit.fast` has the same functions, faster.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from numbers import Integral

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

Cardinalities = Sequence[int]
Row = Float[Tensor, "*B F"]
Tau = float | Float[Tensor, ""]
COLDEST, HOTTEST = 1e-30, 1e30  # temperatures: what lies between fits into float32 twice


def blocks(values: Row, cardinalities: Cardinalities) -> tuple[Tensor, ...]:
    """Each column's block (..., K), a view.

    Raises
    ------
    ValueError
        If a cardinality is no whole number from 1 on, or they do not sum to F.
    """
    widths, F = tuple(cardinalities), values.shape[-1] if values.dim() else 0
    if not (widths and all(isinstance(k, Integral) and k is not True and k > 0 for k in widths)):
        raise ValueError(f"cardinalities are one or more whole numbers from 1 on, not {widths}")
    if sum(widths) != F:
        raise ValueError(f"a row is {F} wide, but the cardinalities {widths} sum to {sum(widths)}")
    return values.split(widths, dim=-1)


def slices(cardinalities: Cardinalities) -> list[slice]:
    """Where each column's block lies."""
    ends = accumulate(cardinalities)
    return [slice(end - k, end) for end, k in zip(ends, cardinalities, strict=True)]


def each(
    function: Callable[..., Tensor], cardinalities: Cardinalities, *values: Row
) -> Float[Tensor, "... F"]:
    """A function of one column's blocks (..., K), applied to every column."""
    columns = zip(*(blocks(v, cardinalities) for v in values), strict=True)
    return torch.cat([function(*column) for column in columns], dim=-1)


def softmax(logits: Row, cardinalities: Cardinalities, tau: Tau = 1.0) -> Row:
    """Each block's softmax at temperature tau: the larger, the more mixed.

    Examples
    --------
    >>> softmax(torch.zeros(1, 3), (2, 1))
    tensor([[0.5000, 0.5000, 1.0000]])
    """
    return each(lambda block: tempered(block, tau).softmax(-1), cardinalities, logits)


def tempered(block: Float[Tensor, "*S"], tau: Tau, dim: int = -1) -> Float[Tensor, "*S"]:
    """A block's logits over tau; if that may overflow, the largest is taken off them first."""
    if not isinstance(tau, Tensor):
        if not COLDEST <= tau <= HOTTEST:
            raise ValueError(f"tau must be a number from {COLDEST} to {HOTTEST}, not {tau}")
        if tau >= 1:
            return block if tau == 1 else block / tau
    return (block - block.detach().amax(dim, keepdim=True)) / tau


def log_softmax(logits: Row, cardinalities: Cardinalities) -> Row:
    """Its logarithm at tau = 1: each category's log-chance, in nats."""
    return each(lambda block: block.log_softmax(-1), cardinalities, logits)


def jacobian_product(p: Row, v: Row, cardinalities: Cardinalities) -> Row:
    """The softmax's Jacobian at the point p, ``diag(p) - p p^T`` in each block, times v."""
    return each(lambda p, v: p * (v - (p * v).sum(-1, keepdim=True)), cardinalities, p, v)


def argmax(values: Row, cardinalities: Cardinalities) -> Row:
    """The vertex of each block's largest value; the first of equal ones. It has no gradient.

    Examples
    --------
    >>> argmax(torch.tensor([[0.2, 0.1, 0.0]]), (2, 1))
    tensor([[1., 0., 1.]])
    """
    return each(
        lambda block: torch.zeros_like(block).scatter(-1, block.argmax(-1, keepdim=True), 1.0),
        cardinalities,
        values.detach(),
    )


def argmax_codes(values: Row, cardinalities: Cardinalities) -> Int64[Tensor, "*B C"]:
    """The same as integers: each column's code."""
    return torch.stack([block.argmax(-1) for block in blocks(values, cardinalities)], dim=-1)


def one_hot(
    codes: Int64[Tensor, "*B C"], cardinalities: Cardinalities, dtype: torch.dtype | None = None
) -> Shaped[Tensor, "*B F"]:
    """The vertices of codes.

    Examples
    --------
    >>> one_hot(torch.tensor([[1, 0]]), (2, 3))
    tensor([[0., 1., 1., 0., 0.]])
    """
    columns = zip(codes.split(1, dim=-1), cardinalities, strict=True)
    hot = [column == torch.arange(K, device=codes.device) for column, K in columns]
    return torch.cat(hot, dim=-1).to(dtype or torch.get_default_dtype())


def gumbel_noise(
    logits: Float[Tensor, "*S"], generator: torch.Generator | None = None
) -> Float[Tensor, "*S"]:
    """Standard Gumbel noise ``-log(-log u)``, u uniform, of the shape, dtype and device of logits.

    Drawn in float32 at least, as half precision would cut off its tail.
    """
    dtype, device = torch.promote_types(logits.dtype, torch.float32), logits.device
    u = torch.rand(logits.shape, dtype=dtype, device=device, generator=generator)
    return u.clamp_(min=torch.finfo(dtype).tiny).log_().neg_().log_().neg_().to(logits.dtype)


def sample(
    logits: Row, cardinalities: Cardinalities, generator: torch.Generator | None = None
) -> Row:
    """A vertex of each column, drawn from softmax(logits): the argmax of logits plus noise."""
    return argmax(logits.detach() + gumbel_noise(logits, generator), cardinalities)


def straight_through(hard: Float[Tensor, "*S"], soft: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """Forward `hard`, to the last bit; backward `soft`."""
    return hard.detach() + (soft - soft.detach())


def embed(simplex: Row, tables: Sequence[Float[Tensor, "_ _"]]) -> Float[Tensor, "*B CD"]:
    """The soft embedding: each block times its table (K, D), side by side."""
    pairs = zip(blocks(simplex, [len(W) for W in tables]), tables, strict=True)
    return torch.cat([block @ W for block, W in pairs], dim=-1)
