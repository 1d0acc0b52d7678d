"""Estimators: rules that turn logits and an objective into a gradient for the logits.

``estimator(logits, objective, *, cardinalities, generator)`` takes logits (B, F) in nats and an
objective that maps a simplex (B, F) to a loss per row (B,). It returns a scalar:

- its *value* is the relaxed loss, the mean over rows of the objective at what it was given;
- its *backward* is the gradient estimate for the logits, and the usual gradient for whatever else
  the objective depends on, such as net0's continuous outputs.

Each is made by name, `make("gumbel_softmax", tau=0.5)`; `names` lists them. Every relaxation is
an estimator by the same name. A logit of minus infinity marks a category that is not allowed.
"""

from tabkit import relaxations
from tabkit.estimators.embedding import DirectEmbedding, RotationTrick, Snapped, VQStraightThrough
from tabkit.estimators.enumeration import Exact, IndeCateR, TopKSample, joint_rows
from tabkit.estimators.implicit import IMLE, AdaptiveIMLE
from tabkit.estimators.penalty import EntropyPenalty, entropy
from tabkit.estimators.registry import (
    EmbeddingObjective,
    Estimator,
    Head,
    LabelledObjective,
    LogitEstimator,
    Objective,
    SnappingObjective,
    evaluate,
    register,
    registered,
)
from tabkit.estimators.relaxed import CrossEntropy, Relaxed
from tabkit.estimators.score_function import LeaveOneOut, Rebar, Reinforce
from tabkit.relaxations import Knob

__all__ = [
    "IMLE",
    "AdaptiveIMLE",
    "CrossEntropy",
    "DirectEmbedding",
    "EmbeddingObjective",
    "EntropyPenalty",
    "Estimator",
    "Exact",
    "Head",
    "IndeCateR",
    "LabelledObjective",
    "LeaveOneOut",
    "LogitEstimator",
    "Objective",
    "Rebar",
    "Reinforce",
    "Relaxed",
    "RotationTrick",
    "Snapped",
    "SnappingObjective",
    "TopKSample",
    "VQStraightThrough",
    "entropy",
    "evaluate",
    "joint_rows",
    "make",
    "names",
    "register",
]


def names() -> tuple[str, ...]:
    """The names that `make` knows: every relaxation, then the other estimators."""
    return (*relaxations.names(), *registered())


def make(name: str, *, entropy_penalty: Knob | None = None, **knobs: Knob) -> Estimator:
    """An estimator by name.

    Parameters
    ----------
    entropy_penalty
        If given, the weight of an `EntropyPenalty` around it.

    Raises
    ------
    ValueError
        If the name or a knob is unknown, or a knob has a bad value.

    Examples
    --------
    >>> make("gumbel_softmax", tau=0.5)
    Relaxed(relaxation=GumbelSoftmax(tau=0.5))
    """
    estimator = _make(name, knobs)
    return estimator if entropy_penalty is None else EntropyPenalty(estimator, entropy_penalty)


def _make(name: str, knobs: dict[str, Knob]) -> Estimator:
    if name in relaxations.names():
        return Relaxed(relaxations.make(name, **knobs))
    if name not in registered():
        raise ValueError(f"no estimator is called {name!r}; there are {', '.join(names())}")
    return relaxations.construct(name, registered()[name], knobs)
