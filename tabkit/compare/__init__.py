"""What a trained net0 is worth, over many estimators and seeds."""

from tabkit.compare.advice import Recommendation
from tabkit.compare.comparison import (
    Ranks,
    cells,
    kept_comparison,
    rank,
    sweep_summary,
    sweep_text,
    whole,
)
from tabkit.compare.limit import fit_limit, limit_losses
from tabkit.compare.plausible import TwoSample, two_sample
from tabkit.compare.recommending import check_budget, recommend
from tabkit.compare.scores import (
    Score,
    Trained,
    by_decoder,
    decoded_curve,
    distance_correlation,
    ends_of,
    majority_accuracy,
    pair_distances,
    random_row_loss,
    score,
    summary,
    table,
    to_text,
    train_and_score,
    with_shares,
)
from tabkit.compare.specs import Spec, parse_spec
from tabkit.compare.sweeping import Cell, load_data, sweep

__all__ = [
    "Cell",
    "Ranks",
    "Recommendation",
    "Trained",
    "TwoSample",
    "by_decoder",
    "cells",
    "distance_correlation",
    "ends_of",
    "fit_limit",
    "kept_comparison",
    "limit_losses",
    "pair_distances",
    "parse_spec",
    "random_row_loss",
    "rank",
    "recommend",
    "score",
    "summary",
    "sweep",
    "sweep_summary",
    "table",
    "train_and_score",
    "two_sample",
    "whole",
    "with_shares",
]
