"""tabkit: predict rows with categories, trained by a loss behind a frozen net.

A reader begins with `tabkit.simplex`, the formulas; then `tabkit.estimators`, the ways to train
net0, and `tabkit.decoders`, the ways to get a hard row out. Every module is there after ``import
tabkit``; those that need much (`compare`, `inspection`, `plots`, `widgets`) load when first used.
"""

from importlib.metadata import version

import lazy_loader

import tabkit.openmp
import tabkit.terminal
from tabkit import decoders, estimators, fast, simplex
from tabkit.data import Dataset, adult, bikeshare, census, flights, from_frame, planted, read_table
from tabkit.decoders import decode
from tabkit.embedding import SampledSoftEmbedding, SoftEmbedding
from tabkit.extras import DISTRIBUTION
from tabkit.nets import RowEncoder, RowPredictor, SquaredDistance, freeze
from tabkit.objective import Objective
from tabkit.schema import DataError, Rows, Schema
from tabkit.soften import NotFollowed, Softened, soften
from tabkit.train import Fit, Step, fit_encoder, fit_jointly, fit_predictor

__version__ = version(DISTRIBUTION)
__getattr__, _later, _ = lazy_loader.attach(
    __name__,
    submodules=["commands", "compare", "inspection", "lesson", "plots", "ruler", "runs", "widgets"],
    submod_attrs={"compare": ["recommend"]},
)
tabkit.terminal.imported()

__all__ = [
    "DataError",
    "Dataset",
    "Fit",
    "NotFollowed",
    "Objective",
    "RowEncoder",
    "RowPredictor",
    "Rows",
    "SampledSoftEmbedding",
    "Schema",
    "SoftEmbedding",
    "Softened",
    "SquaredDistance",
    "Step",
    "adult",
    "bikeshare",
    "census",
    "decode",
    "decoders",
    "estimators",
    "fast",
    "fit_encoder",
    "fit_jointly",
    "fit_predictor",
    "flights",
    "freeze",
    "from_frame",
    "planted",
    "read_table",
    "recommend",
    "simplex",
    "soften",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *_later()})
