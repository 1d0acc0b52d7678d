"""Relaxations: maps from logits to a simplex with a useful gradient.

Every relaxation is called in the same way, ``relaxation(logits, cardinalities=..., generator=...)``
with logits (B, F) in nats, and returns a simplex (B, F). Each is made by name with its knobs,
`make("gumbel_softmax", tau=0.5)`, and `names` lists them. A logit of minus infinity marks a
category that is not allowed.
"""

from tabkit.relaxations.gumbel import (
    DecoupledStraightThroughGumbel,
    GumbelRao,
    GumbelSoftmax,
    StraightThroughGumbel,
)
from tabkit.relaxations.noise import (
    conditional_gumbels,
    gumbel_noise,
    one_hot_argmax,
    perturb,
    sample_one_hot,
    straight_through,
    through_jacobian,
)
from tabkit.relaxations.ragged import argmax_blocks, softmax_blocks
from tabkit.relaxations.registry import (
    Knob,
    Relaxation,
    Tunable,
    WholeRow,
    check_count,
    check_share,
    check_temperature,
    construct,
    make,
    names,
    register,
)
from tabkit.relaxations.sampled import (
    ZGR,
    GappedStraightThrough,
    PerturbedArgmax,
    ReinMax,
    StraightThroughSample,
)
from tabkit.relaxations.soft import (
    Entmax15,
    HardArgmax,
    Softmax,
    Sparsemax,
    StraightThroughArgmax,
)

__all__ = [
    "ZGR",
    "DecoupledStraightThroughGumbel",
    "Entmax15",
    "GappedStraightThrough",
    "GumbelRao",
    "GumbelSoftmax",
    "HardArgmax",
    "Knob",
    "PerturbedArgmax",
    "ReinMax",
    "Relaxation",
    "Softmax",
    "Sparsemax",
    "StraightThroughArgmax",
    "StraightThroughGumbel",
    "StraightThroughSample",
    "Tunable",
    "WholeRow",
    "argmax_blocks",
    "check_count",
    "check_share",
    "check_temperature",
    "conditional_gumbels",
    "construct",
    "gumbel_noise",
    "make",
    "names",
    "one_hot_argmax",
    "perturb",
    "register",
    "sample_one_hot",
    "softmax_blocks",
    "straight_through",
    "through_jacobian",
]
