"""What a recommendation says: its table, its ties, its sentences."""

from tabkit.compare.advice.recommendation import Recommendation
from tabkit.compare.advice.ties import REFERENCE, best_of, difference, no_better
