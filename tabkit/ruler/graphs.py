"""What the graph between forward and backward is made of: its nodes, and what it keeps."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def graph_nodes(output: Tensor) -> int:
    """How many nodes backward visits from an output, its leaves among them.

    Examples
    --------
    >>> graph_nodes(torch.ones(2, requires_grad=True).exp().sum())  # sum, exp, and the leaf
    3
    """
    seen, waiting = set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [before for before, _ in node.next_functions]
    return len(seen)


def kept_bytes(forward: Callable[[], Tensor], *, but: Sequence[Tensor] = ()) -> int:
    """Bytes that the graph keeps for the backward pass, each piece of memory once.

    Not counted is what is there anyway, such as weights (`but`).

    Examples
    --------
    >>> x = torch.ones(1000, requires_grad=True)
    >>> kept_bytes(lambda: x.exp().sin())  # the exponential: 1,000 floats, which both need
    4000
    """
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = forward()  # held until here, so that no piece of memory is used twice
    there = {tensor.untyped_storage().data_ptr() for tensor in but}
    del output
    return sum(size for place, size in sizes.items() if place not in there)
