"""A row's categorical part as tensors: codes (B, C), logits and simplexes (B, F)."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import one_hot

from tabkit.schema.checks import check_codes


def split_blocks(
    values: Float[Tensor, "B F"], cardinalities: Sequence[int]
) -> tuple[Float[Tensor, "B _"], ...]:
    """The blocks of each column, as views of shape (B, K).

    Raises
    ------
    ValueError
        If the blocks do not sum to F.
    """
    if values.shape[-1] != sum(cardinalities):
        raise ValueError(
            f"a row is {values.shape[-1]} wide, but the cardinalities {tuple(cardinalities)} "
            f"sum to {sum(cardinalities)}"
        )
    return values.split(tuple(cardinalities), dim=-1)


def map_blocks(
    function: Callable[..., Float[Tensor, "_ K"]],
    cardinalities: Sequence[int],
    *values: Float[Tensor, "B F"],
) -> Float[Tensor, "B F"]:
    """A function of the blocks of one column, (B, K) -> (B, K), applied to every column.

    The function must treat rows alike and apart: columns of one width may come as one long block.

    Examples
    --------
    >>> map_blocks(lambda block: block.softmax(dim=1), (2, 1), torch.zeros(1, 3))
    tensor([[0.5000, 0.5000, 1.0000]])
    """
    blocks = [split_blocks(v, cardinalities) for v in values]
    if len(set(cardinalities)) == 1:
        long = [v.reshape(-1, cardinalities[0]) for v in values]
        return function(*long).reshape(values[0].shape)
    return torch.cat([function(*column) for column in zip(*blocks, strict=True)], dim=1)


def one_hot_simplex(
    codes: Int64[Tensor, "B C"],
    cardinalities: Sequence[int],
    *,
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "B F"]:
    """Codes -> the simplex at their vertices.

    Raises
    ------
    DataError
        If a code is out of range.

    Examples
    --------
    >>> one_hot_simplex(torch.tensor([[1, 0]]), (2, 3))
    tensor([[0., 1., 1., 0., 0.]])
    """
    check_codes(codes, cardinalities)
    hot = [one_hot(codes[:, c], k) for c, k in enumerate(cardinalities)]
    return torch.cat(hot, dim=1).to(dtype or torch.get_default_dtype())


def argmax_codes(
    values: Float[Tensor, "B F"], cardinalities: Sequence[int]
) -> Int64[Tensor, "B C"]:
    """Decode: the argmax of each block of logits or of a simplex.

    Examples
    --------
    >>> argmax_codes(torch.tensor([[0.2, 0.8, 0.5, 0.1, 0.4]]), (2, 3))
    tensor([[1, 0]])
    """
    return torch.stack([b.argmax(dim=1) for b in split_blocks(values, cardinalities)], dim=1)


def allowed_logits(
    logits: Float[Tensor, "B F"], cardinalities: Sequence[int]
) -> Float[Tensor, "B F"]:
    """Logits ready for arithmetic: float32 at least, and finite.

    A logit of minus infinity marks a category that is not allowed. It becomes a number so far below
    the largest of its block that its probability is 0 and no noise can lift it, but which can be
    added and multiplied without NaN; no gradient flows to it.

    Raises
    ------
    ValueError
        If the blocks do not sum to F, a logit is NaN or plus infinity, or a block allows nothing.

    Examples
    --------
    >>> masked = torch.tensor([[0.0, float("-inf"), 0.0]])
    >>> allowed_logits(masked, (3,)).softmax(dim=1)
    tensor([[0.5000, 0.0000, 0.5000]])
    """
    blocks = split_blocks(logits, cardinalities)
    values = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if math.isfinite(values.detach().sum()):  # the cheapest look at all of them
        return values
    if (values.isnan() | values.isposinf()).any():
        raise ValueError("a logit is NaN or plus infinity")
    if values.isfinite().all():
        return values
    tops = [b.detach().amax(dim=1, keepdim=True).expand_as(b) for b in blocks]
    top = torch.cat(tops, dim=1).to(values.dtype)
    if top.isneginf().any():
        raise ValueError("a block has no allowed category: all of its logits are minus infinity")
    below = top.abs().clamp(min=torch.finfo(values.dtype).max ** 0.5)
    least = torch.finfo(values.dtype).min
    return torch.where(values.isneginf(), (top - below).clamp(min=least), values)
