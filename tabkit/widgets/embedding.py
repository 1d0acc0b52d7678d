"""The embedding of one column: who is near whom, and the way from one category to another."""

import atexit
import html
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import ipywidgets
import pandas as pd

from tabkit import inspection
from tabkit.data import Dataset
from tabkit.inspection import VIEWS, Projection, category_vectors, nearest, project
from tabkit.inspection.projection import METHODS
from tabkit.inspection.rows import check_row, label_of
from tabkit.inspection.vectors import NEEDS, find_column
from tabkit.nets import has
from tabkit.plots.maps.categories import SIZE, CategoryMap, embedding_twin
from tabkit.plots.mixtures import CategoryWalk
from tabkit.schema import Category
from tabkit.train.background import stop_all
from tabkit.widgets.explorer import Explorer, Twin, alert
from tabkit.widgets.tables import CARD, table

LINEAR = ("table", "first_layer")  # of mixtures: a mixture's vector is the mixture of vectors
NEIGHBOURS = 6
HEIGHT = 460  # pixels, of the map with a note below it
SHAPE = f"aspect-ratio:{SIZE[0]:g}/{HEIGHT}"  # of map and note, so that nothing jumps
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
    category: Category | None = None,
    other: Category | None = None,
    share: float = 0.0,
    row: int = 0,
) -> Explorer:
    """A widget: the nearest of a category, on a map, and a walk to another category.

    The slider mixes the two categories' embeddings; net1's output for the mixture is compared with
    its outputs for the two and for the nearest of all categories, in a test row whose other columns
    stay. Where even the nearest is far, the mixture has left the data. A UMAP is computed aside.

    `column`: the one with most categories if not given. `projection`, `view`: as in
    `inspection.project` and `inspection.category_vectors`; if not given, the view of the first
    layer, or of the output where net1 shows no layer. `category`, `other`: by label or
    value; the most frequent and the next one if not given. `share`: of `other` in the mixture, 0 to
    1; the walk has steps of .01. `row`: position among the test rows.

    Raises DataError if the column or a category does not exist. Raises ValueError if the row, the
    share, the projection or the view does not.
    """
    widest = max(dataset.schema.categorical, key=lambda c: c.cardinality).name
    column = widest if column is None else column
    first, second = frequent(dataset, column)
    category, other = first if category is None else category, second if other is None else other
    category, other = (label_of(dataset, column, name) for name in (category, other))
    if view is None:
        view = "first_layer" if has(net1, *NEEDS["first_layer"]) else "output"
    start = Chosen(column, projection, view, category, other, share, row)
    controls, explored, shown = controls_of(dataset, start), Explored(net1, dataset), [column]

    def adjust() -> None:
        chosen = controls["column"].value
        if chosen != shown[0]:
            shown[0], labels = chosen, find_column(dataset, chosen)[1].labels
            for key, label in zip(("category", "other"), frequent(dataset, chosen), strict=True):
                controls[key].options = labels
                controls[key].value = label

    given = ("net1", "data")
    options = {"height": HEIGHT + 12, "adjust": adjust, "still": explored.still}
    widget = Explorer("embedding_explorer", given, controls, explored.show, **options)
    explored.umaps.tell = widget.update
    widget.update()  # a map may have come before anyone could be told
    return widget


class Chosen(NamedTuple):
    """The controls' values."""

    column: str
    projection: str
    view: str
    category: str
    other: str
    share: float
    row: int


def controls_of(dataset: Dataset, start: Chosen) -> dict[str, ipywidgets.ValueWidget]:
    """The controls at a start; raises DataError or ValueError if that cannot be shown."""
    check_row(dataset, start.row)
    if not 0 <= start.share <= 1:
        raise ValueError(f"share must lie in 0 to 1, not {start.share}")
    for key, allowed in {"projection": METHODS, "view": VIEWS}.items():
        if (value := getattr(start, key)) not in allowed:
            raise ValueError(f"{key} must be one of {', '.join(allowed)}, not {value!r}")
    columns = [c.name for c in dataset.schema.categorical]
    labels = find_column(dataset, start.column)[1].labels
    share = {"min": 0, "max": 1, "step": 0.01, "description": "its share"}
    return {
        "column": ipywidgets.Dropdown(options=columns, value=start.column),
        "projection": ipywidgets.Dropdown(options=sorted(METHODS), value=start.projection),
        "view": ipywidgets.Dropdown(options=VIEWS, value=start.view),
        "category": ipywidgets.Dropdown(options=labels, value=start.category),
        "other": ipywidgets.Dropdown(options=labels, value=start.other, description="mixed with"),
        "share": ipywidgets.FloatSlider(start.share, **share),
        "row": ipywidgets.BoundedIntText(start.row, min=0, max=len(dataset.test) - 1),
    }


class Explored:
    """What the explorer shows, each part computed once; UMAPs aside."""

    def __init__(self, net1: Any, dataset: Dataset) -> None:
        self.net1, self.dataset = net1, dataset
        self.near = lru_cache(256)(
            lambda vectors, name: nearest(vectors, name, k=min(NEIGHBOURS, len(vectors) - 1))
        )
        self.walk = lru_cache(256)(self._walk)
        self.marked = lru_cache(64)(self._marked)
        self.vectors = lru_cache(32)(
            lambda column, view: category_vectors(net1, dataset, column, view=view)
        )
        self.pca = lru_cache(64)(lambda *key: project(self.vectors(*key), method="pca"))
        self.umaps = Later(lambda *key: project(self.vectors(*key), method="umap"))

    def _walk(self, column: str, category: str, other: str, row: int) -> CategoryWalk:
        number, spec = find_column(self.dataset, column)
        rows = self.dataset.rows[check_row(self.dataset, row)]
        ends = (spec.labels.index(category), spec.labels.index(other))
        path = inspection.walk(self.net1, rows, number, *ends, points=STEPS)
        return CategoryWalk(path, spec.labels, category, other)

    def _marked(self, projection: Projection, category: str, other: str) -> CategoryMap:
        return CategoryMap(projection, category, other, self.near(projection.vectors, category))

    def show(self, **state: Any) -> str:
        """The map, the walk, and the list of the nearest."""
        chosen = Chosen(**state)
        walk = self.walk(chosen.column, chosen.category, chosen.other, chosen.row)
        near = self.near(self.vectors(chosen.column, chosen.view), chosen.category)
        found = zip(near["neighbour"], near["distance"], near["count"], strict=True)
        rows = [(name, f"{distance:.3f}", f"{count:,}") for name, distance, count in found]
        head = ("category", "distance", "training rows")
        listed = table(f"Nearest to {chosen.category} ({chosen.view})", head, rows)
        drawn = self.map(chosen, walk.words(chosen.share))
        return (
            f'<div class="tabkit-wide" style="{CARD}"><div style="{SHAPE}">{drawn}</div>'
            f"<div>{walk.svg(chosen.share)}{listed}</div></div>"
        )

    def map(self, chosen: Chosen, words: str) -> str:
        """The map with a sentence on the mixture, or why there is none."""
        key = chosen.column, chosen.view
        try:
            made: Projection | None = self.pca(*key)  # needs what a UMAP needs
        except ValueError as error:  # the walk is there without a map
            return alert(error)
        if chosen.projection == "umap":
            made = self.umaps.get(*key)
        if made is None:
            return f'<p role="status">{WAIT}</p>'
        marked = self.marked(made, chosen.category, chosen.other)
        share = shown_share(chosen, chosen.view)
        note = BENT if chosen.projection == "umap" else BEHIND
        if share is not None:
            note = f"The dot on the dashed line is the mixture: {share:.0%} {chosen.other}."
        drawn = marked.svg(f"{marked.words} {note} {words}", share)
        return f'{drawn}<p style="margin:4px 0">{html.escape(note)}</p>'

    def still(self, **state: Any) -> Twin:
        """A map of each view that net1 allows, the walk, and the nearest in each view."""
        chosen, maps, near = Chosen(**state), {}, {}
        for view in [view for view in VIEWS if has(self.net1, *NEEDS[view])]:
            vectors = self.vectors(chosen.column, view)
            near[view] = self.near(vectors, chosen.category)
            with suppress(ValueError):  # of too few points there is no map
                made = project(vectors, method=chosen.projection)
                marked = self.marked(made, chosen.category, chosen.other)
                maps[marked] = shown_share(chosen, view)
        walk = self.walk(chosen.column, chosen.category, chosen.other, chosen.row)
        found = pd.concat(near, names=["view"]).set_index("rank", append=True).droplevel(1)
        picture = embedding_twin(maps, walk, chosen.share)
        return Twin(picture, found.drop(columns="name").round({"distance": 3}))


class Later:
    """Results of a slow function, each computed once, aside; None until then.

    UMAP's compiled code may not run twice at once, so that all wait for each other. Another thread
    calls `tell` when a result is there.
    """

    one = threading.Lock()
    threads: ClassVar[list[threading.Thread]] = []
    ended = threading.Event()

    def __init__(self, compute: Callable[..., Any]) -> None:
        self.compute, self.found = compute, {}
        self.tell: Callable[[], object] = lambda: None

    def get(self, *key: str) -> Any:
        """The result, or None while it is computed; raises what the function raised."""
        if key not in self.found:
            self.found[key] = Future()
            self.threads.append(threading.Thread(target=self._work, args=key, daemon=True))
            self.threads[-1].start()
        return self.found[key].result() if self.found[key].done() else None

    def wait(self, *key: str) -> Any:
        """The result, however long that takes."""
        self.get(*key)
        return self.found[key].result()

    def _work(self, *key: str) -> None:
        with self.one:
            try:
                self.found[key].set_result(self.compute(*key))
            except Exception as error:
                self.found[key].set_exception(error)
        if not self.ended.is_set():
            self.tell()


@atexit.register
def end_all() -> None:
    """Waits a little for what is computed aside: it would bring the process down with it."""
    Later.ended.set()
    stop_all()
    for thread in Later.threads:
        thread.join(5)


def shown_share(chosen: Chosen, view: str) -> float | None:
    """The mixture's share, if it has a place on the map: where all that leads there is linear."""
    return chosen.share if chosen.projection == "pca" and view in LINEAR else None


def frequent(dataset: Dataset, column: str) -> tuple[str, str]:
    """The two most frequent categories of a column in the training rows."""
    number, spec = find_column(dataset, column)
    counts = dataset.rows.codes[dataset.train, number].bincount(minlength=spec.cardinality)
    first, second = counts.argsort(descending=True, stable=True)[:2].tolist()
    return spec.labels[first], spec.labels[second]
