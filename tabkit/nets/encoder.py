"""`RowEncoder`, net1: a siamese net on rows."""

from collections.abc import Sequence
from typing import TypeVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from tabkit.embedding import FoldedLinear, SoftEmbedding
from tabkit.nets.mlp import mlp
from tabkit.schema import Rows, Schema

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
    device
        Where the net works, such as ``"cuda"``. The initial weights are those of the CPU.

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
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.embedding = SoftEmbedding(schema, D, std=embedding_std, generator=generator)
        self.continuous_features = len(schema.continuous)
        inputs = self.embedding.out_features + self.continuous_features
        self.mlp = mlp(inputs, Z, width=width, depth=depth, generator=generator)
        self.to(device)

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

    def folded(self, *, validate_args: bool = True) -> "FoldedEncoder":
        """The same function, faster, at the weights as they are now: for a frozen net1."""
        return FoldedEncoder(self, validate_args=validate_args)


class FoldedEncoder(nn.Module):
    """A frozen net1 whose embedding tables and first linear layer are multiplied out.

    Its output is net1's to float precision; see `FoldedLinear`. It stands in for net1 in
    `SquaredDistance` and `encode_rows`.

    Parameters
    ----------
    net1
        The encoder; its tables and first layer are taken as they are now.
    validate_args
        Check codes and simplexes on every call.

    Shape
    -----
    As `RowEncoder`.

    Gradient
    --------
    Exact, for the simplex and the continuous columns.
    """

    def __init__(self, net1: RowEncoder, *, validate_args: bool = True) -> None:
        super().__init__()
        self.net1 = net1
        self.first = FoldedLinear(net1.embedding, net1.mlp[0], validate_args=validate_args)

    @property
    def embedding(self) -> SoftEmbedding:
        """net1's embedding."""
        return self.net1.embedding

    @property
    def continuous_features(self) -> int:
        """N, as of net1."""
        return self.net1.continuous_features

    def forward(
        self, categorical: Codes | Simplex, continuous: Float[Tensor, "B N"]
    ) -> Float[Tensor, "B Z"]:
        return self.behind(self.first(categorical, continuous))

    def behind(self, hidden: Float[Tensor, "*B R"]) -> Float[Tensor, "*B Z"]:
        """The output from the first linear layer's."""
        return self.net1.mlp[1:](hidden)

    def embedded(
        self, embedded: Float[Tensor, "B CD"], continuous: Float[Tensor, "B N"]
    ) -> Float[Tensor, "B Z"]:
        """As `RowEncoder.embedded`."""
        return self.net1.embedded(embedded, continuous)

    def first_layer_metrics(self) -> list[Float[Tensor, "R D"]]:
        """As `RowEncoder.first_layer_metrics`."""
        return self.net1.first_layer_metrics()

    def folded(self) -> "FoldedEncoder":
        """Itself."""
        return self


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


def encode_rows(
    net1: RowEncoder | FoldedEncoder, rows: Rows, *, batch: int = 16_384
) -> Float[Tensor, "B Z"]:
    """net1's outputs for many rows, without gradient, in batches, on net1's device."""
    device = next(net1.parameters()).device
    with torch.no_grad():
        parts: Sequence[Tensor] = [
            net1(part.codes, part.continuous)
            for start in range(0, len(rows), batch)
            for part in [rows[start : start + batch].to(device)]
        ]
    return torch.cat(list(parts))
