"""What net1 learned of the categories: neighbours, maps, scores against the truth, stability."""

from tabkit.inspection.export import load_parquet, load_projector, save_parquet, save_projector
from tabkit.inspection.neighbours import distances, nearest, neighbours
from tabkit.inspection.projection import Projection, project
from tabkit.inspection.scores import truth_score, truth_scores
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
    "Projection",
    "Vectors",
    "agreement",
    "aligned_distances",
    "category_vectors",
    "distances",
    "great_circle",
    "known_truths",
    "line",
    "load_parquet",
    "load_projector",
    "movement",
    "nearest",
    "neighbours",
    "points",
    "profiles",
    "project",
    "rank_correlation",
    "ring",
    "row_vectors",
    "save_parquet",
    "save_projector",
    "shared_neighbours",
    "stability",
    "truth_score",
    "truth_scores",
]
