"""The comparison: its cells, its tables, and the ranks over all of it."""

from tabkit.compare.comparison.cells import (
    DATA_ROWS,
    FULL,
    QUICK,
    QUICK_ROWS,
    RANKED,
    WIDE,
    budgets_of,
    cells,
    whole,
)
from tabkit.compare.comparison.ranks import Ranks, rank
from tabkit.compare.comparison.tables import kept_comparison, sweep_summary, sweep_text

__all__ = [
    "DATA_ROWS",
    "FULL",
    "QUICK",
    "QUICK_ROWS",
    "RANKED",
    "WIDE",
    "Ranks",
    "budgets_of",
    "cells",
    "kept_comparison",
    "rank",
    "sweep_summary",
    "sweep_text",
    "whole",
]
