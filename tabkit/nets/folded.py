"""`FoldedEncoder`: a frozen net1 whose tables and first layer are multiplied out."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from tabkit import fast
from tabkit.fast.folding import FoldedLinear
from tabkit.nets.interface import ask, cardinalities_of, has, is_frozen
from tabkit.objective import Codes, Simplex
from tabkit.schema import check_codes, check_simplex


class FoldedEncoder(nn.Module):
    """A frozen net1, faster: its output to float precision; see `FoldedLinear`.

    Where torch compiles, exports or transforms, where net1's modules have hooks, and where a reader
    asks for plain formulas, it is net1 itself that runs.

    Parameters
    ----------
    net1
        Anything with tables, a first layer and what stands behind it, taken as they are now.
    validate_args
        Check codes and simplexes on every call.

    Shape
    -----
    As net1.

    Raises
    ------
    TypeError
        If net1 lacks one of the three.
    ValueError
        If it still trains.
    """

    def __init__(self, net1: Any, *, validate_args: bool = True) -> None:
        super().__init__()
        if not is_frozen(net1):
            raise ValueError("what still trains cannot be folded: call tabkit.freeze(net1) first")
        self.net1, self.validate_args = net1, validate_args
        self.cardinalities = cardinalities_of(net1)
        needed = ("embedding", "behind", "first_layer")
        tables, _, linear = (ask(net1, name, "folding") for name in needed)
        self.first = FoldedLinear(tables.weights, linear)
        self.eval()

    def __getattr__(self, name: str) -> Any:
        """What else net1 has, such as its tables."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "net1" or name.startswith("__"):  # while it is made, copied, unpickled
                raise
            return getattr(self.net1, name)

    def forward(
        self, categorical: Codes | Simplex, continuous: Float[Tensor, "B N"]
    ) -> Float[Tensor, "B Z"]:
        if not fast.chosen(True) or hooked(self.net1):
            return self.net1(categorical, continuous)
        if self.validate_args and fast.looks():
            soft = categorical.is_floating_point()
            (check_simplex if soft else check_codes)(categorical, self.cardinalities)
        return self.behind(self.first(categorical, continuous))


def folded(net1: Any, *, validate_args: bool = False) -> Any:
    """net1, or its faster twin where there can be one."""
    if isinstance(net1, FoldedEncoder) or not is_frozen(net1) or not fast.chosen(True):
        return net1
    able = has(net1, "embedding", "first_layer", "behind", "continuous_features")
    return FoldedEncoder(net1, validate_args=validate_args) if able else net1


def hooked(net1: nn.Module) -> bool:
    """Whether somebody watches a module of net1, which folding would pass by."""
    return any(
        m._forward_hooks or m._forward_pre_hooks or m._backward_hooks or m._backward_pre_hooks
        for m in net1.modules()
    )
