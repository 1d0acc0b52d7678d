"""Figures of results.

Each is a `Picture`, a matplotlib figure with its description in words, or `Interactive`, which has
such a picture as its twin.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from tabkit.plots.gradient import gradient, gradients
from tabkit.plots.many import comparison, ruler, temperature_curve, temperatures, walk
from tabkit.plots.maps import category_map, category_maps_static, row_maps
from tabkit.plots.nets import category_bars, decoding_gap, distance_scatter, gap_opens, loss_curve
from tabkit.plots.picture import Picture
from tabkit.plots.places import geography, landings
from tabkit.plots.runs import runs
from tabkit.plots.simplex import simplex, simplexes
from tabkit.plots.truth import agreement, movement, scores

if TYPE_CHECKING:
    from tabkit.plots.chooser import category_maps
    from tabkit.plots.interactive import Interactive, row_map

_PLOTLY = {"Interactive": "interactive", "category_maps": "chooser", "row_map": "interactive"}

__all__ = [
    "Interactive",
    "Picture",
    "agreement",
    "category_bars",
    "category_map",
    "category_maps",
    "category_maps_static",
    "comparison",
    "decoding_gap",
    "distance_scatter",
    "gap_opens",
    "geography",
    "gradient",
    "gradients",
    "landings",
    "loss_curve",
    "movement",
    "row_map",
    "row_maps",
    "ruler",
    "runs",
    "scores",
    "simplex",
    "simplexes",
    "temperature_curve",
    "temperatures",
    "walk",
]


def __getattr__(name: str) -> object:
    """Loads plotly when an interactive figure is first asked for."""
    if name in _PLOTLY:
        return getattr(import_module(f"tabkit.plots.{_PLOTLY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
