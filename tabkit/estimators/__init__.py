"""Estimators: rules that turn logits and an objective into a gradient for the logits.

``estimator(logits, objective, cardinalities=..., generator=...)`` takes logits (B, F) in nats and
an objective that maps a simplex (B, F) to a loss per row (B,). It returns a scalar:

- its *value* is the relaxed loss, the mean over rows of the objective at what it was given;
- its *backward* is the gradient estimate for the logits, and the usual gradient for whatever else
  the objective depends on, such as net0's continuous outputs.

Each is made by name, `make("gumbel_softmax", tau=0.5)`; `names` lists them. A *relaxation* is an
estimator that can also hand over its simplex, `make("softmax").simplex(logits, ...)`, and is
written as a function of logits alone. Add your own by `relaxation` or `estimator`.
"""

from tabkit.estimators import (
    embedding,
    enumeration,
    gumbel,
    implicit,
    sampled,
    score_function,
    soft,
)
from tabkit.estimators.door import (
    Count,
    Finite,
    Knob,
    Share,
    Temperature,
    Weight,
    entropy,
    with_gradient,
)
from tabkit.estimators.enumeration import joint_rows
from tabkit.estimators.registry import Estimator, estimator, make, names, relaxation

__all__ = [
    "Count",
    "Estimator",
    "Finite",
    "Knob",
    "Share",
    "Temperature",
    "Weight",
    "entropy",
    "estimator",
    "make",
    "names",
    "relaxation",
    "with_gradient",
]
