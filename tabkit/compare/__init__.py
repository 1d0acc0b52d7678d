"""What a trained net0 is worth, how good a gradient is, and both over many estimators and seeds."""

from tabkit.compare.comparison import cells, kept_comparison, sweep_summary, sweep_text
from tabkit.compare.contestants import (
    embedding_works,
    first_layer_works,
    step_works,
    there_and_back,
    training_step,
)
from tabkit.compare.graphs import graph_nodes, kept_bytes
from tabkit.compare.landing import Landing, decoders, landing, reach
from tabkit.compare.mixtures import device_of, walk
from tabkit.compare.reference import Reference, exact_gradient, sampled_gradient
from tabkit.compare.rows import PredictedRow, predicted_row
from tabkit.compare.ruler import Gradients, estimate, measure
from tabkit.compare.scores import (
    Score,
    Trained,
    decoded_curve,
    distance_correlation,
    majority_accuracy,
    pair_distances,
    random_row_loss,
    score,
    summary,
    table,
    to_text,
    train_and_score,
)
from tabkit.compare.search import local_search
from tabkit.compare.simplex import Mixture, mix
from tabkit.compare.specs import Spec, parse_spec
from tabkit.compare.sweeping import Cell, load_data, sweep
from tabkit.compare.timing import race

__all__ = [
    "Cell",
    "Gradients",
    "Landing",
    "Mixture",
    "PredictedRow",
    "Reference",
    "Score",
    "Spec",
    "Trained",
    "cells",
    "decoded_curve",
    "decoders",
    "device_of",
    "distance_correlation",
    "embedding_works",
    "estimate",
    "exact_gradient",
    "first_layer_works",
    "graph_nodes",
    "kept_bytes",
    "kept_comparison",
    "landing",
    "load_data",
    "local_search",
    "majority_accuracy",
    "measure",
    "mix",
    "pair_distances",
    "parse_spec",
    "predicted_row",
    "race",
    "random_row_loss",
    "reach",
    "sampled_gradient",
    "score",
    "step_works",
    "summary",
    "sweep",
    "sweep_summary",
    "sweep_text",
    "table",
    "there_and_back",
    "to_text",
    "train_and_score",
    "training_step",
    "walk",
]
