"""The small interface that any net1 must have, and what more may be asked of one.

net1 is called with codes (B, C) or a simplex (B, F) and the continuous columns (B, N), and returns
(B, Z). It knows its `cardinalities`, K of each categorical column, and its `continuous_features`,
N. What else one may have is asked for where it is needed; what is missing is named in a sentence.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tabkit.embedding import SoftEmbedding
from tabkit.schema import Rows

MAY_HAVE = {
    "cardinalities": "the number of categories of each categorical column, in order",
    "continuous_features": "the number of continuous columns",
    "embedding": "its tables, a SoftEmbedding (SoftEmbedding.from_embeddings wraps yours)",
    "first_layer": "the nn.Linear that takes the embeddings and then the continuous columns",
    "behind": "a method behind(hidden), its output from the first layer's",
    "embedded": "in place of both a method embedded(e, continuous), its output from embeddings",
}
KINDS = {"embedding": SoftEmbedding, "first_layer": nn.Linear}  # others of the name are not meant


def shown(net1: Any, name: str) -> Any:
    """What net1 has under a name; None if there is nothing, or something of another kind."""
    found = getattr(net1, name, None)
    return found if isinstance(found, KINDS.get(name, object)) else None


def ask(net1: Any, name: str, why: str) -> Any:
    """What net1 has under a name; if it has nothing there, a TypeError says who needs what."""
    found = shown(net1, name)
    if found is None:
        own = type(net1).__name__
        reason = getattr(net1, "why_not", None)
        because = f": {reason}" if reason else ""
        raise TypeError(f"{why} needs net1.{name}, {MAY_HAVE[name]}; {own} has none{because}")
    return found


def has(net1: Any, *names: str) -> bool:
    """Whether net1 has something under all names."""
    return all(shown(net1, name) is not None for name in names)


def takes_embeddings(net1: Any) -> bool:
    """Whether net1 can be asked for its output from embeddings (`embedded`)."""
    shows = has(net1, "embedding", "first_layer", "behind")
    return shows or has(net1, "embedding", "embedded")


def cardinalities_of(net1: Any) -> tuple[int, ...]:
    """K of each categorical column; raises TypeError if net1 does not know it."""
    holder = net1 if has(net1, "cardinalities") else shown(net1, "embedding") or net1
    return tuple(ask(holder, "cardinalities", "tabkit"))


def parameters_of(net1: Any) -> list[Tensor]:
    """Weights and buffers; none of a plain function."""
    return [*net1.parameters(), *net1.buffers()] if isinstance(net1, nn.Module) else []


def device_of(net1: Any) -> torch.device:
    """Where net1 works: where its weights are."""
    return next((p.device for p in parameters_of(net1)), torch.device("cpu"))


def dtype_of(net1: Any) -> torch.dtype:
    """In which type net1 works: that of its weights."""
    floats = (p.dtype for p in parameters_of(net1) if p.is_floating_point())
    return next(floats, torch.get_default_dtype())


def freeze(net1: Any) -> Any:
    """Stops training a module, in place: no gradient for its parameters, evaluation mode.

    Gradients still flow *through* it to its inputs, which is what net0 learns from. A plain
    function has nothing to freeze.

    Examples
    --------
    >>> layer = freeze(nn.Linear(2, 1))
    >>> x = torch.ones(1, 2, requires_grad=True)
    >>> layer(x).sum().backward()
    >>> layer.weight.grad is None, x.grad.shape
    (True, torch.Size([1, 2]))
    """
    return net1.requires_grad_(False).eval() if isinstance(net1, nn.Module) else net1


def is_frozen(net1: Any) -> bool:
    """Whether `freeze` was applied and nothing has undone it; a plain function is."""
    if not isinstance(net1, nn.Module):
        return True
    return not net1.training and not any(p.requires_grad for p in net1.parameters())


@torch.no_grad()
def encode_rows(net1: Any, rows: Rows, *, batch: int = 16_384) -> Float[Tensor, "B Z"]:
    """net1's outputs for many rows, without gradient, in batches, on net1's device."""
    where = device_of(net1), dtype_of(net1)
    parts = (rows[start : start + batch].to(*where) for start in range(0, len(rows), batch))
    return torch.cat([net1(part.codes, part.continuous) for part in parts])


def embedded(
    net1: Any, e: Float[Tensor, "B CD"], continuous: Float[Tensor, "B N"]
) -> Float[Tensor, "B Z"]:
    """net1's output from the categorical columns' embeddings, (B, C*D).

    Raises TypeError if net1 does not show what stands behind them.
    """
    if has(net1, "embedding", "embedded"):
        return net1.embedded(e, continuous)
    why = "what takes embeddings in place of categories"
    first, behind = ask(net1, "first_layer", why), ask(net1, "behind", why)
    return behind(first(torch.cat([e, continuous], dim=1)))


def first_layer_metrics(net1: Any) -> list[Float[Tensor, "R D"]]:
    """For each column the matrix M by which the first linear layer sees its embeddings.

    The layer maps an embedding e of a column to ``A e``, A (width, D) being the column's part of
    the weight. ``A = Q M`` with orthonormal Q, so ``|M (a - b)|`` is the distance of two embeddings
    behind the layer. Directions that the layer ignores do not count. Raises TypeError if net1
    shows no tables or no first layer.
    """
    why = "to see categories as the first layer does"
    tables: SoftEmbedding = ask(net1, "embedding", why)
    parts = ask(net1, "first_layer", why).weight[:, : tables.out_features].split(tables.widths, 1)
    wide = (A.to(torch.promote_types(A.dtype, torch.float32)) for A in parts)  # qr takes no halves
    return [torch.linalg.qr(A, mode="r").R.to(parts[0].dtype) for A in wide]
