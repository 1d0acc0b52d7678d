"""The torch functions that look something up by integers, seen as one thing: a `Lookup`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Handler = Callable[["Lookup"], Any]


@dataclass(eq=False, slots=True)
class Lookup:
    """A call that reads floats, or writes ones, at integers.

    Attributes
    ----------
    kind : which function it is
    index : the integers
    again : the same call with other integers, on the same floats
    plain : the call itself
    found : what it gave, where that is kept
    where : file and line
    table : where `again(index)` is ``table[index]``, the table (K, ...)
    source : the floats that are read
    lead : how many axes of the result come before those of the index
    reduce : what an embedding bag does to its rows (..., codes, D)
    along : of a gather, its axis
    hot : of a scatter: its input, axis and what it writes
    refuse : why it cannot be followed if codes reach it
    """

    kind: str
    index: Tensor
    again: Callable[[Tensor], Tensor]
    plain: Callable[[], Any] | None = None
    found: Any = None
    where: str = ""
    table: Tensor | None = None
    lead: int = 0
    reduce: Callable[[Tensor], Tensor] | None = None
    source: Tensor | None = None
    along: int | None = None
    hot: tuple[Tensor, int, Any] | None = None
    in_place: bool = False
    refuse: str = ""


def embedding(
    input: Tensor, weight: Tensor, padding_idx: Any = None, max_norm: Any = None,
    norm_type: Any = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Lookup:  # fmt: skip
    """Rows of a table; with max_norm as a lookup would leave them, the table untouched."""
    if max_norm is None:
        return Lookup(
            "embedding",
            input,
            lambda i: functional.embedding(i, weight),
            table=weight,
            source=weight,
        )
    again = partial(shortened, weight, max_norm, norm_type)
    return Lookup(
        "embedding with max_norm", input, again, plain=lambda: again(input), source=weight
    )


def shortened(weight: Tensor, max_norm: float, norm_type: float, index: Tensor) -> Tensor:
    """What a lookup with max_norm would do to the table, done to its rows."""
    rows = weight[index]
    norm = rows.norm(norm_type, dim=-1, keepdim=True)
    return torch.where(norm > max_norm, rows * (max_norm / (norm + 1e-7)), rows)


def torch_embedding(weight: Tensor, indices: Tensor, *_: Any, **__: Any) -> Lookup:
    """The same, by torch's own name."""
    return embedding(indices, weight)


def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: Any = None,
    norm_type: Any = 2.0, scale_grad_by_freq: bool = False, mode: str = "mean",
    sparse: bool = False, per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> Lookup:  # fmt: skip
    """Sums or means of rows."""

    def again(index: Tensor) -> Tensor:
        return functional.embedding_bag(
            index, weight, offsets, mode=mode, include_last_offset=include_last_offset
        )

    found = Lookup("embedding_bag", input, again, table=weight, source=weight)
    if input.dim() == 2:
        found.reduce = (lambda rows: rows.sum(-2)) if mode == "sum" else (lambda r: r.mean(-2))
    elif not one_each(input, offsets, include_last_offset):
        found.refuse = "its bags do not hold one code each"
    if per_sample_weights is not None or max_norm is not None:
        found.refuse = "it has per_sample_weights or max_norm"
    elif padding_idx is not None:
        found.refuse = "it has a padding_idx, which changes how many codes count"
    elif mode == "max":
        found.refuse = "it takes a maximum, and a mixture of rows is none"
    return found


def one_each(input: Tensor, offsets: Tensor, last: bool) -> bool:
    """Whether each bag is one code."""
    bags = len(offsets) - bool(last)
    every = torch.arange(bags, device=offsets.device)
    return bags == len(input) and torch.equal(offsets[:bags], every.to(offsets.dtype))


def one_hot(tensor: Tensor, num_classes: int = -1) -> Lookup:
    """Vertices."""
    found = Lookup("one_hot", tensor, lambda i: functional.one_hot(i, int(num_classes)))
    if int(num_classes) < 0:
        found.refuse = "one_hot without num_classes is as wide as the largest code of the batch"
    return found


def index_select(input: Tensor, dim: int, index: Tensor) -> Lookup | None:
    """Slices of a tensor along an axis."""
    if not input.is_floating_point():
        return None
    dim = dim % input.dim()
    table = input if dim == 0 else None
    return Lookup(
        "index_select", index, lambda i: several(input, dim, i), table=table, lead=dim, source=input
    )


def several(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """index_select by an index of several axes."""
    return input.index_select(dim, index.flatten()).unflatten(dim, index.shape)


def getitem(source: Tensor, index: Any) -> Lookup | None:
    """``source[..., codes, ...]``, by the tensor of most axes; the others stay."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if not source.is_floating_point() or not any(isinstance(part, Tensor) for part in parts):
        return None
    parts = [tensor_of(part, source.device) for part in parts]
    if any(part is Ellipsis for part in parts):
        axes = sum(part is not None and part is not Ellipsis for part in parts)
        n = next(n for n, part in enumerate(parts) if part is Ellipsis)
        parts[n : n + 1] = [slice(None)] * (source.dim() - axes)
    tensors = [n for n, part in enumerate(parts) if isinstance(part, Tensor)]
    if any(not integers(parts[n]) for n in tensors):
        return None
    widest = tensors[0]
    for n in tensors:  # the last of those with most axes
        widest = n if parts[n].dim() >= parts[widest].dim() else widest
    left = [part for part in parts if not isinstance(part, int)]  # whole numbers are taken first
    places = [n for n, part in enumerate(left) if isinstance(part, Tensor)]
    together = places == list(range(places[0], places[-1] + 1))  # else their axes come first
    before, after, lead = parts[:widest], parts[widest + 1 :], places[0] if together else 0
    table = source if len(parts) == 1 else None
    return Lookup(
        "[]",
        parts[widest],
        lambda i: source[(*before, i, *after)],
        table=table,
        lead=lead,
        source=source,
    )


def tensor_of(part: Any, device: torch.device) -> Any:
    """A list, a range or an array as the tensor that it means; all else as it is."""
    if isinstance(part, list | range) or type(part).__module__ == "numpy":
        return torch.as_tensor(part if not isinstance(part, range) else list(part), device=device)
    return part


def gather(input: Tensor, dim: int, index: Tensor, **_: Any) -> Lookup | None:
    """Numbers along an axis."""
    if not input.is_floating_point():
        return None
    return Lookup("gather", index, lambda i: input.gather(dim, i), along=dim % input.dim())


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None, **_: Any) -> Any:
    """The same, broadcast."""
    if not input.is_floating_point():
        return None
    found = Lookup("take_along_dim", indices, lambda i: torch.take_along_dim(input, i, dim))
    if dim is None:
        found.refuse = "take_along_dim without dim"
    else:
        found.along = dim % input.dim()
    return found


def take(input: Tensor, index: Tensor) -> Lookup | None:
    """Numbers of the flattened tensor."""
    if not input.is_floating_point():
        return None
    return Lookup("take", index, lambda i: torch.take(input, i), table=input.flatten())


def scatter(input: Tensor, dim: int, index: Tensor, src: Any = None, **options: Any) -> Any:
    """Numbers written to the places of codes."""
    if not input.is_floating_point():
        return None
    written = options.get("value", src)
    found = Lookup("scatter", index, lambda i: input.scatter(dim, i, written))
    dim = dim % input.dim()
    found.hot = input, dim, written
    if "reduce" in options or index.shape[dim] != 1 or input.dim() != 2 or dim != 1:
        found.refuse = "only one code a row, written along the second of two axes, can be followed"
    return found


def scatter_(*args: Any, **options: Any) -> Any:
    """The same, in place."""
    found = scatter(*args, **options)
    if found is not None:
        found.in_place = True
    return found


READERS: dict[Callable, Callable[..., Lookup | None]] = {
    functional.embedding: embedding,
    torch.embedding: torch_embedding,
    functional.embedding_bag: embedding_bag,
    functional.one_hot: one_hot,
    torch.index_select: index_select,
    torch.Tensor.index_select: index_select,
    torch.Tensor.__getitem__: getitem,
    torch.gather: gather,
    torch.Tensor.gather: gather,
    torch.take_along_dim: take_along_dim,
    torch.Tensor.take_along_dim: take_along_dim,
    torch.take: take,
    torch.Tensor.take: take,
    torch.scatter: scatter,
    torch.Tensor.scatter: scatter,
    torch.Tensor.scatter_: scatter_,
}


def integers(value: Any) -> bool:
    """Whether it is a tensor of integers."""
    return isinstance(value, Tensor) and not (
        value.is_floating_point() or value.is_complex() or value.dtype == torch.bool
    )


class Watched(TorchFunctionMode):
    """Hands every lookup to a function, whose answer is the call's."""

    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self.handler = handler

    def __torch_function__(
        self, call: Callable, types: Any, args: tuple = (), options: dict | None = None
    ) -> Any:
        options = options or {}
        reader = READERS.get(call)
        found = None if reader is None else reader(*args, **options)
        if found is None or not integers(found.index):
            return call(*args, **options)
        found.plain = found.plain or (lambda: call(*args, **options))
        return self.handler(found)
