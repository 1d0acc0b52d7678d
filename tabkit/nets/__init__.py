"""The two nets, `RowEncoder` (net1, siamese) and `RowPredictor` (net0), and what joins them."""

from tabkit.nets.encoder import RowEncoder
from tabkit.nets.folded import FoldedEncoder, folded
from tabkit.nets.interface import (
    ask,
    cardinalities_of,
    device_of,
    dtype_of,
    embedded,
    encode_rows,
    first_layer_metrics,
    freeze,
    has,
    is_frozen,
    takes_embeddings,
)
from tabkit.nets.objective import Batch, ObjectiveOf, SquaredDistance
from tabkit.nets.predictor import (
    Prediction,
    RowPredictor,
    head_of,
    hold,
    logits_of,
    numbers_of,
    predicted,
)

__all__ = [
    "RowEncoder",
    "RowPredictor",
    "SquaredDistance",
    "ask",
    "cardinalities_of",
    "embedded",
    "encode_rows",
    "folded",
    "freeze",
    "has",
    "is_frozen",
]
