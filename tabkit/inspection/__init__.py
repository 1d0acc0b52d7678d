"""What net1 learned of the categories: neighbours, maps, scores against the truth, stability."""

from tabkit.inspection.export import load_parquet, load_projector, save_parquet, save_projector
from tabkit.inspection.landings import Landing, decoders, landing, reach
from tabkit.inspection.mixtures import walk
from tabkit.inspection.neighbours import distances, nearest, neighbours
from tabkit.inspection.projection import Projection, project
from tabkit.inspection.rows import PredictedRow, predicted_row
from tabkit.inspection.scores import truth_score, truth_scores
from tabkit.inspection.simplex import Mixture, mix
from tabkit.inspection.stability import (
    agreement,
    aligned_distances,
    movement,
    rank_correlation,
    shared_neighbours,
    stability,
)
from tabkit.inspection.truths import great_circle, known_truths, line, points, profiles, ring
from tabkit.inspection.vectors import VIEWS, Vectors, category_vectors, row_vectors

__all__ = [
    "VIEWS",
    "Landing",
    "Mixture",
    "PredictedRow",
    "Projection",
    "Vectors",
    "agreement",
    "aligned_distances",
    "category_vectors",
    "decoders",
    "distances",
    "great_circle",
    "known_truths",
    "landing",
    "line",
    "load_parquet",
    "load_projector",
    "mix",
    "movement",
    "nearest",
    "neighbours",
    "points",
    "predicted_row",
    "profiles",
    "project",
    "rank_correlation",
    "reach",
    "ring",
    "row_vectors",
    "save_parquet",
    "save_projector",
    "shared_neighbours",
    "stability",
    "truth_score",
    "truth_scores",
    "walk",
]
