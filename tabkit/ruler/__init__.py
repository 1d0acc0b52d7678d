"""The ruler: how good a gradient is, and what it costs."""

from tabkit.ruler.contestants import (
    embedding_works,
    first_layer_works,
    step_works,
    there_and_back,
    training_step,
)
from tabkit.ruler.graphs import graph_nodes, kept_bytes
from tabkit.ruler.layouts import LAYOUTS, Layout
from tabkit.ruler.measures import Gradients, estimate, measure
from tabkit.ruler.reference import Reference, exact_gradient, sampled_gradient
from tabkit.ruler.timing import race

__all__ = [
    "LAYOUTS",
    "Gradients",
    "Reference",
    "embedding_works",
    "estimate",
    "exact_gradient",
    "first_layer_works",
    "graph_nodes",
    "kept_bytes",
    "measure",
    "race",
    "sampled_gradient",
    "step_works",
    "there_and_back",
    "training_step",
]
