"""Figures of results.

Each is a `Picture`, a matplotlib figure with its description in words, or `Interactive`, which has
such a picture as its twin.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from tabkit.extras import imports_for

# A function with the name of its module must be there before that module is.
with imports_for("plots"):
    from tabkit.plots.gradient import gradient, gradients
    from tabkit.plots.picture import Picture
    from tabkit.plots.runs import runs
    from tabkit.plots.simplex import simplex, simplexes
    from tabkit.plots.speed import race

if TYPE_CHECKING:
    from tabkit.plots.chooser import category_maps
    from tabkit.plots.interactive import Interactive, row_map
    from tabkit.plots.many import comparison, ruler, temperature_curve, temperatures, walk
    from tabkit.plots.maps import category_map, category_maps_static, row_maps
    from tabkit.plots.nets import (
        category_bars,
        decoding_gap,
        distance_scatter,
        gap_opens,
        loss_curve,
    )
    from tabkit.plots.places import geography, landings
    from tabkit.plots.truth import agreement, movement, scores

_PLACES = {
    "Interactive": "interactive",
    "agreement": "truth",
    "category_bars": "nets",
    "category_map": "maps",
    "category_maps": "chooser",
    "category_maps_static": "maps",
    "comparison": "many",
    "decoding_gap": "nets",
    "distance_scatter": "nets",
    "gap_opens": "nets",
    "geography": "places",
    "landings": "places",
    "loss_curve": "nets",
    "movement": "truth",
    "row_map": "interactive",
    "row_maps": "maps",
    "ruler": "many",
    "scores": "truth",
    "temperature_curve": "many",
    "temperatures": "many",
    "walk": "many",
}

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
    "race",
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
    """Loads a figure's module, and with it scikit-learn or plotly, when first asked for."""
    if name in _PLACES:
        return getattr(import_module(f"tabkit.plots.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
