"""The embedding of one column: who is near whom, and the way from one category to another."""

import html
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ipywidgets
import pandas as pd

from tabkit import inspection
from tabkit.data import Dataset
from tabkit.inspection import VIEWS, Projection, Vectors, category_vectors, nearest, project
from tabkit.inspection.projection import METHODS
from tabkit.inspection.rows import check_category, check_row
from tabkit.inspection.vectors import NEEDS, find_column
from tabkit.nets import has
from tabkit.plots.maps.categories import SIZE, CategoryMap, embedding_twin
from tabkit.plots.mixtures import CategoryWalk, walk_at
from tabkit.widgets.explorer import Explorer, Twin, alert
from tabkit.widgets.later import Later
from tabkit.widgets.tables import CARD, table

LINEAR = ("table", "first_layer")  # of mixtures: a mixture's vector is the mixture of vectors
NEIGHBOURS = 6
HEIGHT = 424  # pixels
STEPS = 101  # of a walk
WAIT = "Computing the UMAP, about ten seconds the first time."
BENT = "UMAP bends the space and has no place for a mixture: choose pca to see it on the map."
BEHIND = (
    "Behind net1 a mixture is no mixture of outputs and is not drawn on the map: choose the view "
    "table or first_layer to see it."
)


def embedding_explorer(
    net1: Any,
    dataset: Dataset,
    *,
    column: str | None = None,
    projection: str = "pca",
    view: str | None = None,
    category: str | None = None,
    other: str | None = None,
    share: float = 0.0,
    row: int = 0,
) -> Explorer:
    """A widget: the nearest of a category, on a map, and a walk to another category.

    The slider mixes the two categories' embeddings; net1's output for the mixture is compared with
    its outputs for the two and for the nearest of all categories, in a test row whose other columns
    stay. Where even the nearest is far, the mixture has left the data. A UMAP is computed aside.

    Parameters
    ----------
    column
        The one with most categories if not given.
    projection, view
        As in `inspection.project` and `inspection.category_vectors`; the view is that of the first
        layer if not given, or the output where net1 shows no layer.
    category, other
        By label; the most frequent and the next one if not given.
    share
        Of `other` in the mixture, 0 to 1; the walk has steps of .01.
    row
        Position among the test rows.

    Raises
    ------
    DataError
        If the column or a category does not exist.
    ValueError
        If the row, the share, the projection or the view does not.
    """
    widest = max(dataset.schema.categorical, key=lambda c: c.cardinality).name
    column = widest if column is None else column
    first, second = frequent(dataset, column)
    category, other = first if category is None else category, second if other is None else other
    if view is None:
        view = "first_layer" if has(net1, *NEEDS["first_layer"]) else "output"
    start = Chosen(column, projection, view, category, other, share, row)
    check(dataset, start)
    explored = Explored(net1, dataset)
    controls = controls_of(dataset, start)
    shown = [column]

    def adjust() -> None:
        chosen = controls["column"].value
        if chosen == shown[0]:
            return
        shown[0], labels = chosen, find_column(dataset, chosen)[1].labels
        for key, label in zip(("category", "other"), frequent(dataset, chosen), strict=True):
            controls[key].options = labels
            controls[key].value = label

    given = ("net1", "dataset")
    widget = Explorer(
        *("embedding_explorer", given, controls, lambda **state: explored.show(Chosen(**state))),
        height=HEIGHT + 12,
        adjust=adjust,
        still=lambda: explored.still(Chosen(**widget.state)),
    )
    explored.umaps.tell = widget.update
    widget.update()  # a map may have come before anyone could be told
    return widget


@dataclass(frozen=True)
class Chosen:
    """The controls' values."""

    column: str
    projection: str
    view: str
    category: str
    other: str
    share: float
    row: int

    @property
    def map(self) -> tuple[str, str]:
        """Of which a map is made."""
        return self.column, self.view


def controls_of(dataset: Dataset, start: Chosen) -> dict[str, ipywidgets.ValueWidget]:
    """The controls, at their start."""
    columns = [c.name for c in dataset.schema.categorical]
    labels = find_column(dataset, start.column)[1].labels
    return {
        "column": ipywidgets.Dropdown(options=columns, value=start.column),
        "projection": ipywidgets.Dropdown(options=sorted(METHODS), value=start.projection),
        "view": ipywidgets.Dropdown(options=VIEWS, value=start.view),
        "category": ipywidgets.Dropdown(options=labels, value=start.category),
        "other": ipywidgets.Dropdown(options=labels, value=start.other, description="mixed with"),
        "share": ipywidgets.FloatSlider(
            start.share, min=0, max=1, step=0.01, description="its share"
        ),
        "row": ipywidgets.BoundedIntText(start.row, min=0, max=len(dataset.test) - 1),
    }


class Explored:
    """What the explorer shows, each part computed once; UMAPs aside."""

    def __init__(self, net1: Any, dataset: Dataset) -> None:
        self.net1, self.dataset = net1, dataset
        self.vectors = lru_cache(32)(self._vectors)
        self.near = lru_cache(256)(self._near)
        self.walk = lru_cache(256)(self._walk)
        self.pca = lru_cache(64)(self._pca)
        self.marked = lru_cache(64)(self._marked)
        self.umaps = Later(self._umap)

    def _vectors(self, column: str, view: str) -> Vectors:
        return category_vectors(self.net1, self.dataset, column, view=view)

    def _pca(self, column: str, view: str) -> Projection:
        return project(self.vectors(column, view), method="pca")

    def _umap(self, column: str, view: str) -> Projection:
        return project(self.vectors(column, view), method="umap")

    def _near(self, column: str, view: str, category: str) -> pd.DataFrame:
        return nearest_of(self.vectors(column, view), category)

    def _walk(self, column: str, category: str, other: str, row: int) -> CategoryWalk:
        number, spec = find_column(self.dataset, column)
        rows = self.dataset.rows[check_row(self.dataset, row)]
        ends = (spec.labels.index(category), spec.labels.index(other))
        path = inspection.walk(self.net1, rows, number, *ends, points=STEPS)
        return CategoryWalk(path, spec.labels, category, other)

    def _marked(self, projection: Projection, category: str, other: str) -> CategoryMap:
        near = nearest_of(projection.vectors, category)
        return CategoryMap(projection, category, other, near)

    def show(self, chosen: Chosen) -> str:
        """The map, the walk, and the list of the nearest."""
        walk = self.walk(chosen.column, chosen.category, chosen.other, chosen.row)
        chart = walk_at(walk, chosen.share).svg()
        near = near_table(self.near(*chosen.map, chosen.category), chosen)
        drawn = self.map(chosen, walk.words(chosen.share))
        return (
            f'<div style="{CARD};display:flex;flex-flow:row wrap;gap:10px">'
            f'<div style="width:{SIZE[0]:g}px;height:{HEIGHT}px">{drawn}</div>'
            f'<div style="width:{SIZE[0] - 18:g}px;height:{HEIGHT}px">{chart}{near}</div></div>'
        )

    def map(self, chosen: Chosen, words: str) -> str:
        """The map with a sentence on the mixture, or why there is none."""
        try:
            made: Projection | None = self.pca(*chosen.map)  # needs what a UMAP needs
        except ValueError as error:  # the walk is there without a map
            return alert(error)
        if chosen.projection == "umap":
            made = self.umaps.get(*chosen.map)
        if made is None:
            return f'<p role="status">{WAIT}</p>'
        marked = self.marked(made, chosen.category, chosen.other)
        share = shown_share(chosen, chosen.view)
        note = BENT if chosen.projection == "umap" else BEHIND
        if share is not None:
            note = f"The black dot is the mixture: {share:.0%} {chosen.other}."
        drawn = marked.svg(f"{marked.words} {note} {words}", share)
        return f'{drawn}<p style="margin:4px 0">{html.escape(note)}</p>'

    def still(self, chosen: Chosen) -> Twin:
        """A map of each view that net1 allows, the walk, and the nearest in each view."""
        maps: dict[CategoryMap, float | None] = {}
        views = [view for view in VIEWS if has(self.net1, *NEEDS[view])]
        for view in views:
            with suppress(ValueError):  # of too few points there is no map
                made = project(self.vectors(chosen.column, view), method=chosen.projection)
                marked = self.marked(made, chosen.category, chosen.other)
                maps[marked] = shown_share(chosen, view)
        walk = self.walk(chosen.column, chosen.category, chosen.other, chosen.row)
        near = {view: self.near(chosen.column, view, chosen.category) for view in views}
        found = pd.concat(near, names=["view"]).set_index("rank", append=True).droplevel(1)
        picture = embedding_twin(maps, walk, chosen.share)
        return Twin(picture, found.drop(columns="name").round({"distance": 3}))


def shown_share(chosen: Chosen, view: str) -> float | None:
    """The mixture's share, if it has a place on the map: where all that leads there is linear."""
    return chosen.share if chosen.projection == "pca" and view in LINEAR else None


def check(dataset: Dataset, start: Chosen) -> None:
    """The start can be shown; afterwards the controls allow nothing else.

    Raises
    ------
    DataError, ValueError
        Otherwise.
    """
    for name in (start.category, start.other):
        check_category(dataset, start.column, name)
    known = (("projection", start.projection, METHODS), ("view", start.view, VIEWS))
    for key, value, allowed in known:
        if value not in allowed:
            raise ValueError(f"{key} must be one of {', '.join(allowed)}, not {value!r}")
    if not 0 <= start.share <= 1:
        raise ValueError(f"share must lie in 0 to 1, not {start.share}")
    check_row(dataset, start.row)


def frequent(dataset: Dataset, column: str) -> tuple[str, str]:
    """The two most frequent categories of a column in the training rows."""
    number, spec = find_column(dataset, column)
    counts = dataset.rows.codes[dataset.train, number].bincount(minlength=spec.cardinality)
    first, second = counts.argsort(descending=True, stable=True)[:2].tolist()
    return spec.labels[first], spec.labels[second]


def nearest_of(vectors: Vectors, category: str) -> pd.DataFrame:
    """The nearest of a category, or all others where there are few."""
    return nearest(vectors, category, k=min(NEIGHBOURS, len(vectors) - 1))


def near_table(near: pd.DataFrame, chosen: Chosen) -> str:
    """The nearest with distances and counts."""
    found = zip(near["neighbour"], near["distance"], near["count"], strict=True)
    rows = [(name, f"{distance:.3f}", f"{count:,}") for name, distance, count in found]
    head = ("category", "distance", "training rows")
    return table(f"Nearest to {chosen.category} ({chosen.view})", head, rows)
