"""The two nets, `RowEncoder` (net1, siamese) and `RowPredictor` (net0), and what joins them."""

from tabkit.nets.encoder import (
    Codes,
    FoldedEncoder,
    RowEncoder,
    Simplex,
    encode_rows,
    freeze,
    is_frozen,
)
from tabkit.nets.objective import SquaredDistance
from tabkit.nets.predictor import Prediction, RowPredictor

__all__ = [
    "Codes",
    "FoldedEncoder",
    "Prediction",
    "RowEncoder",
    "RowPredictor",
    "Simplex",
    "SquaredDistance",
    "encode_rows",
    "freeze",
    "is_frozen",
]
