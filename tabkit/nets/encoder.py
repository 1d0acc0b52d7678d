"""`RowEncoder`, net1: a siamese net on rows."""

from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tabkit.embedding import SoftEmbedding
from tabkit.nets.mlp import mlp
from tabkit.objective import Codes, Simplex
from tabkit.schema import Schema

SMALL_START = 0.01  # standard deviation of the tables; measured by benchmarks/starts.py


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
        Standard deviation of the embedding tables at the start; the usual one, as in
        `SoftEmbedding`, if None. The default is small: less of net1's output is what the start
        left there, which no net0 can predict (benchmarks/starts.py), and distances in the tables
        say what was learned, where after the usual start they are mostly the start's (notebook 06).
    validate_args
        As in `SoftEmbedding`.
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
        embedding_std: float | None = SMALL_START,
        validate_args: bool = True,
        seed: int = 0,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.embedding = SoftEmbedding(
            schema, D, std=embedding_std, validate_args=validate_args, generator=generator
        )
        self.cardinalities = self.embedding.cardinalities
        self.continuous_features = len(schema.continuous)
        inputs = self.embedding.out_features + self.continuous_features
        self.mlp = mlp(inputs, Z, width=width, depth=depth, generator=generator)
        self.to(device)

    def forward(
        self, categorical: Codes | Simplex, continuous: Float[Tensor, "B N"]
    ) -> Float[Tensor, "B Z"]:
        return self.mlp(torch.cat([self.embedding(categorical), continuous], dim=1))

    @property
    def first_layer(self) -> nn.Linear:
        """The layer that takes the embeddings and, after them, the continuous columns."""
        return self.mlp[0]

    def behind(self, hidden: Float[Tensor, "*B R"]) -> Float[Tensor, "*B Z"]:
        """The output from the first layer's."""
        for layer in islice(self.mlp, 1, None):
            hidden = layer(hidden)
        return hidden
