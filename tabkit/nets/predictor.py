"""`RowPredictor`, net0: from a signal to a row."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tabkit.nets.encoder import Codes, FoldedEncoder, RowEncoder, Simplex
from tabkit.nets.mlp import mlp
from tabkit.schema import Rows, argmax_codes


class Prediction(NamedTuple):
    """What net0 outputs.

    Shape
    -----
    categorical : logits (B, F) in nats, or an embedding (B, C*D)
    continuous : (B, N), in standard deviations
    """

    categorical: Float[Tensor, "B _"]
    continuous: Float[Tensor, "B N"]


class RowPredictor(nn.Module):
    """net0: predicts a row from a signal.

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

    Shape
    -----
    Input: (B, in_features). Output: a `Prediction`.
    """

    def __init__(
        self,
        in_features: int,
        net1: RowEncoder,
        *,
        head: str = "logits",
        width: int = 256,
        depth: int = 2,
        seed: int = 0,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        widths = {
            "logits": sum(net1.embedding.cardinalities),
            "embedding": net1.embedding.out_features,
        }
        if head not in widths:
            raise ValueError(f"head must be one of {', '.join(widths)}, not {head!r}")
        self.head = head
        self.sizes = (widths[head], net1.continuous_features)
        generator = torch.Generator().manual_seed(seed)
        self.mlp = mlp(in_features, sum(self.sizes), width=width, depth=depth, generator=generator)
        self.to(device or next(net1.parameters()).device)

    def forward(self, signal: Float[Tensor, "B S"]) -> Prediction:
        last = self.mlp[-1]
        return Prediction(
            *_Heads.apply(self.mlp[:-1](signal), last.weight, last.bias, self.sizes[0])
        )

    def logits(self, prediction: Prediction, net1: RowEncoder | FoldedEncoder) -> Simplex:
        """Logits (B, F); for an embedding, minus its squared distances to the tables' rows."""
        if self.head == "logits":
            return prediction.categorical
        return net1.embedding.negative_distances(prediction.categorical)

    @torch.no_grad()
    def decode(
        self,
        signal: Float[Tensor, "B S"],
        net1: RowEncoder | FoldedEncoder,
        *,
        batch: int = 16_384,
    ) -> Rows:
        """The hard rows that net0 predicts: the argmax of each block, or the nearest embedding.

        Many rows are decoded in batches, so that their logits need not fit into memory at once.
        """
        parts = [self._decode(part, net1) for part in signal.split(batch)]
        return Rows(*(torch.cat(values) for values in zip(*parts, strict=True)))

    def _decode(
        self, signal: Float[Tensor, "A S"], net1: RowEncoder | FoldedEncoder
    ) -> tuple[Codes, Float[Tensor, "A N"]]:
        prediction = self(signal)
        logits = self.logits(prediction, net1)
        return argmax_codes(logits, net1.embedding.cardinalities), prediction.continuous


class _Heads(torch.autograd.Function):
    """A linear layer with two outputs, feature by feature in memory, as `relaxations.ragged` wants.

    In one node of the graph: on the way back the two gradients are laid side by side, in their own
    memory order, so that the matrices are multiplied whole.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Float[Tensor, "B R"],
        weight: Float[Tensor, "O R"],
        bias: Float[Tensor, " O"],
        first: int,
    ) -> tuple[Float[Tensor, "B _"], Float[Tensor, "B _"]]:
        output = torch.addmm(bias[:, None], weight, hidden.T)  # (O, B)
        ctx.save_for_backward(hidden.to(output.dtype), weight.to(output.dtype))  # under autocast
        return output[:first].T, output[first:].T

    @staticmethod
    def backward(ctx: Any, *gradients: Float[Tensor, "B _"]) -> tuple[Tensor | None, ...]:
        hidden, weight = ctx.saved_tensors
        gradient = torch.cat([part.T for part in gradients])  # (O, B)
        return gradient.T @ weight, gradient @ hidden, gradient.sum(dim=1), None
