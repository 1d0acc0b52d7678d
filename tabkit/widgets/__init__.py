"""Widgets: thin over the functions of the other modules; each function returns one."""

from tabkit.widgets.cockpit import Cockpit, training_cockpit
from tabkit.widgets.embedding import embedding_explorer
from tabkit.widgets.explorer import Explorer, Twin
from tabkit.widgets.gradient import gradient_explorer
from tabkit.widgets.rows import row_explorer
from tabkit.widgets.simplex import simplex_explorer

__all__ = [
    "Cockpit",
    "Explorer",
    "Twin",
    "embedding_explorer",
    "gradient_explorer",
    "row_explorer",
    "simplex_explorer",
    "training_cockpit",
]
