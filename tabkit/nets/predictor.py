"""`RowPredictor`, net0: from a signal to a row."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import pad

from tabkit import fast
from tabkit.nets.interface import ask, cardinalities_of, device_of, dtype_of, shown
from tabkit.nets.mlp import mlp
from tabkit.objective import Simplex

HEADS = ("logits", "embedding")


class Prediction(NamedTuple):
    """What net0 outputs.

    Shape
    -----
    categorical : logits (B, F) in nats, or an embedding (B, C*D)
    continuous : (B, N), in standard deviations
    """

    categorical: Float[Tensor, "B _"]
    continuous: Float[Tensor, "B N"]


class Heads(nn.Module):
    """A linear layer in two parts, `first` wide and the rest; where `masked`, minus infinity.

    Where `held` is finite, the numbers are those.
    """

    def __init__(self, layer: nn.Linear, first: int) -> None:
        super().__init__()
        self.weight, self.bias, self.first = layer.weight, layer.bias, first
        self.register_buffer("masked", None, persistent=False)
        self.register_buffer("held", None, persistent=False)

    def forward(self, x: Float[Tensor, "*B R"]) -> Prediction:
        bias = self.bias if self.masked is None else self.bias.masked_fill(self.masked, -torch.inf)
        logits, numbers = fast.heads(x, self.weight, bias, self.first)
        return Prediction(logits, numbers if self.held is None else hold(numbers, self.held))


class RowPredictor(nn.Module):
    """net0: predicts a row from a signal.

    Any module will do as net0 that returns logits (B, F), or embeddings, and numbers (B, N).

    Parameters
    ----------
    in_features
        Width of the signal.
    net1
        The encoder behind which it will be trained; it gives the shapes of the output.
    head
        ``"logits"`` for logits (B, F), or ``"embedding"`` for an embedding (B, C*D).
    width, depth
        Width and number of hidden layers (ReLU).
    seed
        Seed of the initial weights; the global seed is neither read nor set.
    device
        Where the net works; where net1 does if not given.

    Attributes
    ----------
    allowed : (F,), the categories that may be predicted; the logits of others are minus infinity
    fixed : (N,), numbers that are given, in standard deviations; infinity where net0 chooses

    Shape
    -----
    Input: (B, in_features). Output: a `Prediction`.

    Raises
    ------
    ValueError
        If a size is below 1, or there is no such head.
    TypeError
        If net1 does not know its cardinalities or, for the embedding head, shows no tables.
    """

    def __init__(
        self,
        in_features: int,
        net1: Any,
        *,
        head: str = "logits",
        width: int = 256,
        depth: int = 2,
        seed: int = 0,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"head must be one of {', '.join(HEADS)}, not {head!r}")
        F = sum(cardinalities_of(net1))
        first = F if head == "logits" else ask(net1, "embedding", f"head={head!r}").out_features
        outputs = first + ask(net1, "continuous_features", "tabkit")
        self.head, generator = head, torch.Generator().manual_seed(seed)
        self.mlp = mlp(in_features, outputs, width=width, depth=depth, generator=generator)
        self.mlp[-1] = Heads(self.mlp[-1], first)
        self.register_buffer("allowed", torch.ones(F, dtype=torch.bool))
        self.register_buffer("fixed", torch.full((outputs - first,), torch.inf))
        self.to(device or device_of(net1), dtype_of(net1))

    def allow(self, allowed: Bool[Tensor, " F"]) -> None:
        """Sets which categories may be predicted."""
        self.allowed.copy_(allowed)
        if self.head == "logits":
            masked = pad(~self.allowed, (0, len(self.mlp[-1].bias) - len(self.allowed)))
            self.mlp[-1].masked = masked if bool(masked.any()) else None

    def fix(self, numbers: Float[Tensor, " N"]) -> None:
        """Sets which numbers are given, in standard deviations; infinity where net0 chooses."""
        self.fixed.copy_(numbers)
        self.mlp[-1].held = None if not bool(self.fixed.isfinite().any()) else self.fixed.clone()

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        super()._load_from_state_dict(*args, **options)
        self.allow(self.allowed.clone())
        self.fix(self.fixed.clone())

    def forward(self, signal: Float[Tensor, "*B S"]) -> Prediction:
        if signal.shape[-1] != self.mlp[0].in_features:
            raise ValueError(
                f"the signal is {signal.shape[-1]} wide, but net0 takes {self.mlp[0].in_features}: "
                "it was made for another table's signal"
            )
        return self.mlp(signal)


def predicted(net0: Any, signal: Float[Tensor, "B S"], net1: Any) -> Prediction:
    """What net0 outputs for signals.

    Raises TypeError if that is not a pair of tensors of floats, ValueError if they are not as wide
    as net1 has it.
    """
    output, embeds = net0(signal), head_of(net0) == "embedding"
    own = type(net0).__name__
    if not (isinstance(output, tuple) and [isinstance(x, Tensor) for x in output] == [True, True]):
        raise TypeError(f"{own} must return two tensors: logits (B, F), or embeddings, and numbers")
    first = ask(net1, "embedding", own).out_features if embeds else sum(cardinalities_of(net1))
    for values, width in zip(output, (first, shown(net1, "continuous_features")), strict=True):
        if not values.is_floating_point():
            raise TypeError(f"{own} must return floats, not {values.dtype}")
        wanted = (len(signal), values.shape[-1] if width is None else width)
        if values.shape != wanted:
            raise ValueError(
                f"{own} returns {tuple(values.shape)} where net1's columns ask for {wanted}: "
                "logits (B, F), or embeddings, and numbers (B, N)"
            )
    return Prediction(*output)


def logits_of(net0: Any, net1: Any, prediction: Prediction) -> Simplex:
    """Logits (B, F) of what is allowed; of an embedding, minus its distances to the categories."""
    logits = prediction[0]
    if head_of(net0) == "embedding":
        logits = ask(net1, "embedding", "a net0 that outputs embeddings").negative_distances(logits)
    allowed = getattr(net0, "allowed", None)
    return logits if allowed is None else logits.masked_fill(~allowed, -torch.inf)


def hold(numbers: Float[Tensor, "*B N"], held: Float[Tensor, " N"]) -> Float[Tensor, "*B N"]:
    """Numbers, in their place `held` where that is finite."""
    held = held.to(numbers)
    return torch.where(held.isfinite(), held, numbers)


def numbers_of(net0: Any, prediction: Prediction) -> Float[Tensor, "B N"]:
    """The numbers (B, N) of a prediction, those that net0 has fixed as they are given."""
    fixed = getattr(net0, "fixed", None)
    return prediction[1] if fixed is None else hold(prediction[1], fixed)


def head_of(net0: Any) -> str:
    """``"logits"`` or ``"embedding"``; a module that does not say outputs logits."""
    return getattr(net0, "head", "logits")
