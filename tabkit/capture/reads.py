"""`Reads`: what would make the host wait for the device, or bring it numbers from Python."""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tabkit.devices import shares_memory

READING = {  # operations whose result, or the shape of it, the host must know
    "_local_scalar_dense": "a number is asked for (.item(), float(), bool(), if)",
    "nonzero": "the places of what is true are asked for",
    "masked_select": "numbers are picked by a mask",
    "equal": "two tensors are compared as a whole (torch.equal)",
    "is_nonzero": "a truth value is asked for",
    "_unique2": "different values are asked for",
    "unique_dim": "different values are asked for",
    "unique_consecutive": "different values are asked for",
}
COPYING = ("_to_copy", "copy_")
# On the CPU a number from Python costs nothing, and on a GPU torch hands it over with the kernel.
TORCH = Path(torch.__file__).parent


class Reads(TorchDispatchMode):
    """Within it, the operations are noted that a captured step may not have.

    Those of the backward pass, too. On the CPU, where nothing waits, they are the same ones, but
    for copies between devices; so that a test without a GPU holds what a GPU needs.

    Attributes
    ----------
    found : list of str
        Why and where, once for each time.

    Examples
    --------
    >>> with Reads() as reads:
    ...     if torch.ones(3).sum() > 2:
    ...         pass
    >>> [why.partition(" at ")[0] for why in reads.found]
    ['a number is asked for (.item(), float(), bool(), if)']
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__
        why = READING.get(name)
        if name == "lift_fresh" and (result.dim() or not shares_memory(result.device)):
            why = "a tensor is made of numbers in Python"
        elif name == "index" and _by_mask(args[1]):
            why = "a tensor is indexed by a mask"
        elif (
            name == "index_put_" and _by_mask(args[1]) and args[2].dim()
        ):  # one number is filled in
            why = "a tensor is indexed by a mask"
        elif name == "repeat_interleave" and (kwargs or {}).get("output_size") is None:
            why = "how long a repetition gets is asked for"
        elif name in COPYING and _crosses(args, result):
            why = "a tensor is copied from one device to another"
        if why is not None:
            self.found.append(f"{why} at {_place()}")
        return result


def _place() -> str:
    """The innermost line of Python that is not torch's own."""
    frame = sys._getframe(2)
    while frame.f_back is not None and TORCH in Path(frame.f_code.co_filename).parents:
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def _by_mask(indices: Any) -> bool:
    return any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in indices)


def _crosses(args: Any, result: Tensor) -> bool:
    return any(isinstance(a, Tensor) and a.device != result.device for a in args)
