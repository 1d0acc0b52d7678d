"""The map of one column's categories: named, or with one marked, its nearest and another one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tabkit.inspection import Projection, Vectors, nearest
from tabkit.plots.maps.labels import name_points, settle
from tabkit.plots.mixtures import CategoryWalk
from tabkit.plots.palette import BLUE, FAINT, INK, ORANGE
from tabkit.plots.panels import panels_of
from tabkit.plots.picture import Backdrop, Picture, literal

SIZE = np.array([414.0, 376.0])  # pixels, of a map on a page
PIXELS = 96  # of a page, to the inch
MARK = 9.0  # points, across the mark of a chosen category
NAMED = 6  # how many of the most frequent categories the description speaks of


@dataclass(frozen=True, eq=False)
class CategoryMap:
    """A map of one column's categories, drawn once; mixtures of two are put on top."""

    projection: Projection  # the first two dimensions are drawn
    category: str = ""  # to be marked, with another one
    other: str = ""
    near: pd.DataFrame | None = None  # as `inspection.nearest` returns them; or nothing is marked

    @property
    def at(self) -> Float[np.ndarray, "n 2"]:
        """Where the categories lie."""
        return self.projection.coordinates[:, :2]

    @cached_property
    def marked(self) -> list[int]:
        """Positions of the category, the other one and the nearest; none if nothing is marked."""
        if self.near is None:
            return []
        names = [self.category, self.other, *self.near["neighbour"]]
        return [*dict.fromkeys(map(self.projection.vectors.position, names))]

    @property
    def ends(self) -> Float[np.ndarray, "2 2"]:
        """Where the category and the other one lie."""
        position = self.projection.vectors.position
        return self.at[[position(self.category), position(self.other)]]

    def mixed(self, share: float) -> Float[np.ndarray, " 2"]:
        """Where a mixture lies on a PCA, which is linear: on the straight line between the two."""
        return self.ends[0] + share * (self.ends[1] - self.ends[0])

    @property
    def words(self) -> str:
        """The map in words: nearest by the embedding, of the category or of the most frequent."""
        vectors, near = self.projection.vectors, self.near
        heading = map_words(self.projection, "categories")
        if near is not None:
            pairs = [f"{row.neighbour} ({row.distance:.2f})" for row in near.itertuples()]
            return f"{heading} Nearest to {self.category}, with distances: {', '.join(pairs)}."
        most = [vectors.names[k] for k in frequent_first(vectors.facts)[:NAMED]]
        pairs = [
            f"{row.name}: {row.neighbour} ({row.distance:.2f})"
            for row in nearest(vectors, most, k=1).itertuples()
        ]
        return f"{heading} Nearest to the most frequent, with distances: {'; '.join(pairs)}."

    @property
    def picture(self) -> Picture:
        """The map alone, of always the same size."""
        figure = Figure(figsize=tuple(SIZE / PIXELS), dpi=72, facecolor="white")
        ax = figure.add_axes((0.005, 0.005, 0.99, 0.865))  # above it three lines
        self.draw(ax)
        name_all([ax], [self])
        return Picture(figure, self.words)

    @cached_property
    def _drawn(self) -> Backdrop:
        return Backdrop(self.picture.figure)

    def svg(self, words: str, share: float | None = None) -> str:
        """The map as an SVG element described by words; on top a mixture of that share, if any."""
        if share is None:
            return self._drawn.svg(words)
        (x1, y1), (x2, y2), (x, y) = self._drawn.at([*self.ends, self.mixed(share)])
        way = f'<path d="M{x1} {y1}L{x2} {y2}" stroke="{INK}" stroke-dasharray="4 3"/>'
        look = 'r="5" fill="#000" stroke="#fff" stroke-width="2"'
        return self._drawn.svg(words, f'{way}<circle class="mixture" cx="{x}" cy="{y}" {look}/>')

    def draw(self, ax: Axes, share: float | None = None) -> None:
        """The map without names, which go by where everything lies; with a mixture if given."""
        sizes = diameters(self.projection.vectors).round()
        for size in np.unique(sizes)[::-1]:  # the small ones on top
            dots = {"ms": size, "mew": 0, "color": FAINT if self.marked else BLUE, "alpha": 0.85}
            ax.plot(*self.at[sizes == size].T, "o", **dots)
        if self.marked:
            self._mark(ax)
        if share is not None:
            ax.plot(*self.ends.T, color=INK, linestyle="--", linewidth=1.0)
            ax.plot(*self.mixed(share), "o", ms=8, color="black", mec="white")
        vectors, quality = self.projection.vectors, quality_line(self.projection)
        title = f"{vectors.title}{_flat(self.projection)}\n{quality}".replace("; ", "\n")
        bare(ax, title, equal=equal_scales(self.projection))

    def _mark(self, ax: Axes) -> None:
        here, there = self.ends
        near = self.at[[*map(self.projection.vectors.position, self.near["neighbour"])]]
        for end in near:
            ax.plot(*np.stack([here, end]).T, color=BLUE, linewidth=1.0)
        ax.plot(*near.T, "o", ms=MARK - 1, mfc="none", mec=BLUE, mew=1.5)
        ax.plot(*there, "s", ms=MARK, color=ORANGE, gid="other")
        ax.plot(*here, "D", ms=MARK, color=BLUE, gid="category")


def name_all(axes: Sequence[Axes], maps: Iterable[CategoryMap]) -> None:
    """Names on maps that are drawn: of what is marked, then of the most frequent."""
    settle(axes[0].figure)
    for ax, each in zip(axes, maps, strict=False):
        vectors = each.projection.vectors
        radii = diameters(vectors) / 2
        radii[each.marked] = MARK / 2
        order = frequent_first(vectors.facts)
        name_points(ax, each.at, vectors.names, order, radii, marked=each.marked)


def category_maps_static(projections: Iterable[Projection]) -> Picture:
    """A panel for each map."""
    maps = [CategoryMap(projection) for projection in projections]
    figure, axes = panels_of(len(maps), width=4.3, height=3.9, columns=2)
    for ax, each in zip(axes, maps, strict=True):
        each.draw(ax)
    name_all(axes, maps)
    return Picture(figure, " ".join(each.words for each in maps))


def embedding_twin(
    maps: Mapping[CategoryMap, float | None], walk: CategoryWalk, share: float
) -> Picture:
    """A panel for each map, with the share of its mixture if it shows one, and one for the walk."""
    figure, axes = panels_of(len(maps) + 1, width=4.3, height=3.7, columns=2)
    for ax, (each, shown) in zip(axes, maps.items(), strict=False):
        each.draw(ax, shown)
    walk.draw(axes[-1], share)
    axes[-1].legend(frameon=False, fontsize=8)
    name_all(axes, maps)
    return Picture(figure, " ".join([*(each.words for each in maps), walk.words(share)]))


def quality_line(projection: Projection) -> str:
    """The method, how far its neighbourhoods can be trusted, and how not to read it."""
    trust = (
        f"trustworthiness {projection.trustworthiness:.2f}, "
        f"continuity {projection.continuity:.2f} ({projection.quality_neighbours} neighbours)"
    )
    caution = "; do not read distances off a UMAP" if projection.method == "umap" else ""
    return f"{projection.method.upper()}: {trust}{caution}"


def map_words(projection: Projection, what: str) -> str:
    """What is shown, how much of it, and how far to trust it."""
    vectors = projection.vectors
    shown = f"Map of {vectors.title}{_flat(projection)}, {len(vectors):,} {what}."
    return f"{shown} {quality_line(projection)}."


def _flat(projection: Projection) -> str:
    return " (first two of three axes)" if projection.coordinates.shape[1] == 3 else ""


def equal_scales(projection: Projection) -> bool:
    """Whether lengths along the axes compare: those of a PCA do."""
    return projection.method == "pca"


def diameters(vectors: Vectors) -> Float[np.ndarray, " n"]:
    """Of each point in points: grows gently with the logarithm of its count."""
    if "count" not in vectors.facts:
        return np.full(len(vectors), 7.0)
    logs = np.log1p(vectors.facts["count"].to_numpy(float))
    return 4.5 + 7.0 * (logs - logs.min()) / max(float(np.ptp(logs)), 1e-9)


def frequent_first(facts: pd.DataFrame) -> list[int]:
    """Positions of the points, the most frequent first."""
    counts = facts["count"].to_numpy(float) if "count" in facts else np.zeros(len(facts))
    return np.argsort(-counts, kind="stable").tolist()


def bare(ax: Axes, title: str, *, equal: bool) -> None:
    """No ticks: a map's axes mean nothing by themselves. `equal` scales, where lengths do."""
    ax.set(xticks=[], yticks=[])
    ax.set_title(literal(title), fontsize=8, y=1.0)  # where it is: looking for room takes time
    if equal:
        ax.set_aspect("equal", adjustable="datalim")
    ax.margins(0.06)
    ax.spines[:].set(visible=True, color=FAINT)
