"""The two nets: `RowEncoder` (net1, siamese) and `RowPredictor` (net0), and what joins them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from tabkit.embedding import SoftEmbedding
from tabkit.schema import Rows, Schema, argmax_codes

Codes = Int64[Tensor, "B C"]
Simplex = Float[Tensor, "B F"]
Module = TypeVar("Module", bound=nn.Module)


class RowEncoder(nn.Module):
    """net1, a siamese net: embeds a row so that distances between outputs mean something.

    Both towers of the pair are this one module, so training it on pairs shares its weights.

    Parameters
    ----------
    schema
        The columns of the rows.
    Z
        Width of the output.
    width, depth
        Width and number of hidden layers (ReLU).
    D
        Width of one column's embedding.
    embedding_std
        Standard deviation of the embedding tables at the start, as in `SoftEmbedding`. After a
        small start, such as 0.03, distances in the tables say what was learned; after the usual
        one they are mostly those of the start (notebook 05).
    seed
        Seed of the initial weights; the global seed is neither read nor set.

    Shape
    -----
    Input: codes (B, C) or a simplex (B, F); continuous (B, N), in standard deviations.
    Output: (B, Z), in the units of the distances it was trained on.

    Gradient
    --------
    Exact, for the simplex and the continuous columns too; codes have none.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"origin": ["JFK", "EWR"], "temp": [39.0, 41.0]})
    >>> schema = Schema.infer(frame, categorical=["origin"], continuous=["temp"])
    >>> rows = schema.encode(frame)
    >>> RowEncoder(schema, Z=3)(rows.codes, rows.continuous).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        schema: Schema,
        *,
        Z: int = 8,
        width: int = 256,
        depth: int = 2,
        D: int = 8,
        embedding_std: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.embedding = SoftEmbedding(schema, D, std=embedding_std, generator=generator)
        self.continuous_features = len(schema.continuous)
        inputs = self.embedding.out_features + self.continuous_features
        self.mlp = mlp(inputs, Z, width=width, depth=depth, generator=generator)

    def forward(
        self, categorical: Codes | Simplex, continuous: Float[Tensor, "B N"]
    ) -> Float[Tensor, "B Z"]:
        return self.embedded(self.embedding(categorical), continuous)

    def embedded(
        self, embedded: Float[Tensor, "B CD"], continuous: Float[Tensor, "B N"]
    ) -> Float[Tensor, "B Z"]:
        """The same from the categorical columns' embeddings, (B, C*D)."""
        return self.mlp(torch.cat([embedded, continuous], dim=1))

    def first_layer_metrics(self) -> list[Float[Tensor, "R D"]]:
        """For each column the matrix M by which the first linear layer sees its embeddings.

        The layer maps an embedding e of a column to ``A e``, A (width, D) being the column's part
        of the weight. ``A = Q M`` with orthonormal Q, so ``|M (a - b)|`` is the distance of two
        embeddings behind the layer. Directions that the layer ignores do not count.
        """
        parts = self.mlp[0].weight.split([*self.embedding.widths, self.continuous_features], dim=1)
        return [torch.linalg.qr(A, mode="r").R for A in parts[:-1]]


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

    def forward(self, signal: Float[Tensor, "B S"]) -> Prediction:
        return Prediction(*self.mlp(signal).split(self.sizes, dim=1))

    def logits(self, prediction: Prediction, net1: RowEncoder) -> Simplex:
        """Logits (B, F); for an embedding, minus its squared distances to the tables' rows."""
        if self.head == "logits":
            return prediction.categorical
        return net1.embedding.negative_distances(prediction.categorical)

    @torch.no_grad()
    def decode(self, signal: Float[Tensor, "B S"], net1: RowEncoder) -> Rows:
        """The hard rows that net0 predicts: the argmax of each block, or the nearest embedding."""
        prediction = self(signal)
        codes = argmax_codes(self.logits(prediction, net1), net1.embedding.cardinalities)
        return Rows(codes, prediction.continuous)


@dataclass(frozen=True)
class SquaredDistance:
    """Squared distance behind net1 between a predicted row and its target.

    An objective for the estimators: simplex (B, F) -> loss per row (B,). It also takes
    embeddings, by `embedded`, and codes, for the decoded loss; `snap` finds the nearest categories.

    Attributes
    ----------
    net1 : the frozen encoder
    continuous : (B, N), net0's continuous outputs, in standard deviations
    target : (B, Z), net1's output for the true row
    codes : (B, C), the true codes, which only the cross-entropy reference reads
    """

    net1: RowEncoder
    continuous: Float[Tensor, "B N"]
    target: Float[Tensor, "B Z"]
    codes: Codes | None = None

    def __call__(self, categorical: Codes | Simplex) -> Float[Tensor, " B"]:
        return self._squared_distance(self.net1(categorical, self.continuous))

    def at(self, index: Int64[Tensor, " A"]) -> "SquaredDistance":
        """The same for some of the rows."""
        codes = None if self.codes is None else self.codes[index]
        return SquaredDistance(self.net1, self.continuous[index], self.target[index], codes)

    def embedded(self, embedded: Float[Tensor, "B CD"]) -> Float[Tensor, " B"]:
        """The loss per row of embeddings (B, C*D)."""
        return self._squared_distance(self.net1.embedded(embedded, self.continuous))

    @property
    def widths(self) -> tuple[int, ...]:
        """D of each column's embedding."""
        return self.net1.embedding.widths

    def logits(self, embedded: Float[Tensor, "B CD"]) -> Simplex:
        """Minus the squared distances of embeddings to the categories' own."""
        return self.net1.embedding.negative_distances(embedded)

    def snap(self, embedded: Float[Tensor, "B CD"]) -> Float[Tensor, "B CD"]:
        """The embedding of the nearest category in each column."""
        return self.net1.embedding(self.nearest(embedded))

    def nearest(self, embedded: Float[Tensor, "B CD"], *, first_layer: bool = False) -> Codes:
        """The nearest category in each column: in the table, or behind net1's first layer."""
        metrics = self.net1.first_layer_metrics() if first_layer else None
        logits = self.net1.embedding.negative_distances(embedded, metrics)
        return argmax_codes(logits, self.net1.embedding.cardinalities)

    def _squared_distance(self, output: Float[Tensor, "B Z"]) -> Float[Tensor, " B"]:
        return (output - self.target).pow(2).sum(dim=1)


def freeze(module: Module) -> Module:
    """Stops training a module, in place: no gradient for its parameters, evaluation mode.

    Gradients still flow *through* it to its inputs, which is what net0 learns from.

    Examples
    --------
    >>> layer = freeze(nn.Linear(2, 1))
    >>> x = torch.ones(1, 2, requires_grad=True)
    >>> layer(x).sum().backward()
    >>> layer.weight.grad is None, x.grad.shape
    (True, torch.Size([1, 2]))
    """
    return module.requires_grad_(False).eval()


def is_frozen(module: nn.Module) -> bool:
    """Whether `freeze` was applied and nothing has undone it."""
    return not module.training and not any(p.requires_grad for p in module.parameters())


def mlp(
    in_features: int, out_features: int, *, width: int, depth: int, generator: torch.Generator
) -> nn.Sequential:
    """`depth` hidden layers of `width` with ReLU, then a linear layer.

    Raises
    ------
    ValueError
        If a size is below 1.
    """
    if min(in_features, out_features, width, depth) < 1:
        raise ValueError(
            f"sizes must be at least 1: {in_features=}, {out_features=}, {width=}, {depth=}"
        )
    sizes = [in_features, *[width] * depth]
    layers: list[nn.Module] = []
    for i, o in pairwise(sizes):
        layers += [linear(i, o, generator), nn.ReLU()]
    return nn.Sequential(*layers, linear(width, out_features, generator))


def linear(in_features: int, out_features: int, generator: torch.Generator) -> nn.Linear:
    """`nn.Linear` with its usual initial distribution, U(-1/sqrt(in), 1/sqrt(in)), by generator."""
    layer = nn.utils.skip_init(nn.Linear, in_features, out_features)
    bound = in_features**-0.5
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer


def encode_rows(net1: RowEncoder, rows: Rows, *, batch: int = 16_384) -> Float[Tensor, "B Z"]:
    """net1's outputs for many rows, without gradient, in batches, on net1's device."""
    device = next(net1.parameters()).device
    with torch.no_grad():
        parts: Sequence[Tensor] = [
            net1(part.codes, part.continuous)
            for start in range(0, len(rows), batch)
            for part in [rows[start : start + batch].to(device)]
        ]
    return torch.cat(list(parts))
