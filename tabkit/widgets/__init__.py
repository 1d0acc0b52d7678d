"""Widgets: thin over the functions of the other modules; each function returns one."""

from importlib import import_module
from typing import TYPE_CHECKING

from tabkit.extras import need

if TYPE_CHECKING:
    from tabkit.widgets.cockpit import Cockpit, training_cockpit
    from tabkit.widgets.embedding import embedding_explorer
    from tabkit.widgets.explorer import Explorer, Twin
    from tabkit.widgets.gradient import gradient_explorer
    from tabkit.widgets.rows import row_explorer
    from tabkit.widgets.simplex import simplex_explorer

_PLACES = {
    "Cockpit": "cockpit",
    "Explorer": "explorer",
    "Twin": "explorer",
    "embedding_explorer": "embedding",
    "gradient_explorer": "gradient",
    "row_explorer": "rows",
    "simplex_explorer": "simplex",
    "training_cockpit": "cockpit",
}

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


need("widgets")


def __getattr__(name: str) -> object:
    """Loads a widget's module when the widget is first asked for."""
    if name in _PLACES:
        return getattr(import_module(f"tabkit.widgets.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
