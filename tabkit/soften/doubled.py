"""A softened net in float64, in which a small leak cannot pass for rounding."""

import copy
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tabkit.devices import wide
from tabkit.soften.probing import Probe, tensors
from tabkit.soften.softened import Softened


def doubled(
    soft: Softened, probe: Probe, codes: Int64[Tensor, "B C"]
) -> tuple[Softened, Probe] | None:
    """A copy in float64, where a small leak is no rounding; None if there is none."""
    if probe.continuous.dtype == torch.float64 or wide(probe.device) != torch.float64:
        return None
    try:
        net, narrow = copy.deepcopy(soft.net).double(), Narrow()
        twin = Probe(net, soft.call, probe.names, probe.K, probe.continuous.double())
        with narrow:
            twin.record(codes)
    except Exception:  # it cannot be copied, or its own code knows no float64
        return None
    given = soft.rules, soft.names, soft.cardinalities, soft.standing, soft.numbers.double()
    return None if narrow.seen else (Softened(net, soft.call, *given), twin)


class Narrow(TorchDispatchMode):
    """Sees whether something of float64 is made narrower on its way."""

    seen = False

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple = (), options: dict | None = None
    ) -> Any:
        result = operation(*args, **(options or {}))
        wide = any(t.dtype == torch.float64 for t in tensors([*args]))
        if wide and isinstance(result, Tensor) and result.is_floating_point():
            self.seen |= result.dtype != torch.float64
        return result


def difference(one: Tensor, two: Tensor, *, by_column: bool) -> float:
    """The largest difference of two outputs, relative to the second's size, or its columns'."""
    if not two.numel():
        return 0.0
    one, two = (t.double().reshape(len(t), -1) for t in (one, two))
    size = two.abs().nan_to_num(posinf=0.0)
    largest = size.max()
    scale = size.amax(dim=0).clamp(min=1e-6 * float(largest)) if by_column else 1 + largest
    off = torch.where(one == two, 0.0, one - two).abs() / scale.clamp(min=1e-30)
    return float(off.max())
