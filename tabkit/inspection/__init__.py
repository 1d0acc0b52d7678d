"""What net1 learned of the categories: neighbours, maps, scores against the truth, stability."""

from tabkit.inspection.landings import Landing, landing, reach
from tabkit.inspection.mixtures import Mixture, mix, walk
from tabkit.inspection.neighbours import distances, nearest, neighbours
from tabkit.inspection.projection import Projection, project
from tabkit.inspection.rows import (
    DecodedRow,
    PredictedRow,
    decoded_row,
    doubtful,
    predicted_row,
    problem_of,
)
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
from tabkit.inspection.vectors import VIEWS, Vectors, category_vectors, row_vectors, save_projector

__all__ = [
    "VIEWS",
    "Vectors",
    "agreement",
    "category_vectors",
    "decoded_row",
    "distances",
    "known_truths",
    "landing",
    "line",
    "mix",
    "movement",
    "nearest",
    "neighbours",
    "points",
    "predicted_row",
    "project",
    "rank_correlation",
    "reach",
    "ring",
    "row_vectors",
    "save_projector",
    "truth_score",
    "truth_scores",
    "walk",
]
