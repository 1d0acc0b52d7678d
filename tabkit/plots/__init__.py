"""Figures of results. Each is a `Picture`: a matplotlib figure with its description in words."""

from tabkit.plots.many import comparison, ruler, temperature_curve, temperatures, walk
from tabkit.plots.nets import category_bars, decoding_gap, distance_scatter, gap_opens, loss_curve
from tabkit.plots.picture import Picture

__all__ = [
    "Picture",
    "category_bars",
    "comparison",
    "decoding_gap",
    "distance_scatter",
    "gap_opens",
    "loss_curve",
    "ruler",
    "temperature_curve",
    "temperatures",
    "walk",
]
