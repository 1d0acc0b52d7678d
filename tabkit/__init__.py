"""tabkit: predict rows with categories, trained by a loss behind a frozen net.

Floors, each of which imports only lower ones: `schema`; `data`, `embedding`, `relaxations`;
`nets`, `estimators`; `train`; `compare`; `plots`; `lesson`.
"""

from importlib.metadata import version

import tabkit.openmp  # noqa: F401 - first, since torch comes with the others
from tabkit import estimators, relaxations
from tabkit.data import Dataset, flights, from_frame, planted
from tabkit.embedding import SampledSoftEmbedding, SoftEmbedding
from tabkit.extras import DISTRIBUTION
from tabkit.nets import RowEncoder, RowPredictor, SquaredDistance, freeze
from tabkit.schema import DataError, Rows, Schema
from tabkit.train import Step, fit_encoder, fit_jointly, fit_predictor

__version__ = version(DISTRIBUTION)

__all__ = [
    "DataError",
    "Dataset",
    "RowEncoder",
    "RowPredictor",
    "Rows",
    "SampledSoftEmbedding",
    "Schema",
    "SoftEmbedding",
    "SquaredDistance",
    "Step",
    "estimators",
    "fit_encoder",
    "fit_jointly",
    "fit_predictor",
    "flights",
    "freeze",
    "from_frame",
    "planted",
    "relaxations",
]
