"""The kinds of net1 in a comparison: the usual one, one twice as deep, one of another library."""

from typing import Any

import torch
from torch import Tensor, nn

from tabkit.data import Dataset
from tabkit.extras import imports_for
from tabkit.nets import RowEncoder, freeze
from tabkit.schema import Schema
from tabkit.soften import soften

KINDS = ("plain", "deep", "ft_transformer")
DEPTH = 4  # hidden layers, twice the usual
SHOWN = 500  # rows on which a net is softened


class Transformer(nn.Module):
    """FT-Transformer (Gorishniy et al., arXiv:2106.11959) of `rtdl_revisiting_models`, by codes."""

    def __init__(self, schema: Schema, *, Z: int = 8, width: int = 32) -> None:
        super().__init__()
        with imports_for("an FT-Transformer"):
            from rtdl_revisiting_models import FTTransformer  # noqa: PLC0415
        sizes = {"n_blocks": 1, "d_block": width, "attention_n_heads": 4, "d_out": Z}
        sizes |= {"ffn_d_hidden_multiplier": 2.0, "linformer_kv_compression_ratio": None}
        dropouts = {f"{part}_dropout": 0.0 for part in ("attention", "ffn", "residual")}
        self.cardinalities = tuple(schema.cardinalities)
        self.continuous_features = len(schema.continuous)
        inputs = {"n_cont_features": self.continuous_features}
        inputs["cat_cardinalities"] = list(self.cardinalities)
        self.net = FTTransformer(**inputs, **sizes, **dropouts)

    def forward(self, categorical: Tensor, continuous: Tensor) -> Tensor:
        return self.net(continuous if self.continuous_features else None, categorical)


def net1_of(kind: str, schema: Schema, seed: int) -> Any:
    """An untrained net1 of a kind; raises ValueError if there is no such kind."""
    check_kind(kind)
    if kind == "ft_transformer":
        with torch.random.fork_rng(devices=[]):  # it draws from the global generator
            torch.manual_seed(seed)
            return Transformer(schema)
    return RowEncoder(schema, depth=DEPTH if kind == "deep" else 2, seed=seed)


def frozen(net1: Any, dataset: Dataset) -> Any:
    """A trained net1, frozen; softened if it is one of these that takes codes only."""
    net1 = freeze(net1)
    if not isinstance(net1, Transformer):
        return net1
    return soften(net1, dataset.rows[dataset.train[:SHOWN]], dataset.schema)


def check_kind(kind: str) -> None:
    """Raises ValueError if there is no such kind of net1."""
    if kind not in KINDS:
        raise ValueError(f"net must be one of {', '.join(KINDS)}, not {kind!r}")
