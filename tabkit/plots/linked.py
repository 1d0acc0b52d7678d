"""A map to be walked on: a category, its nearest, another one, and the mixture of the two."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Float

from tabkit.inspection import Projection, Vectors
from tabkit.plots.colouring import FAINT
from tabkit.plots.labels import along, boxes_of, room_for
from tabkit.plots.maps import diameters, equal_scales, frequent_first, quality_line
from tabkit.plots.picture import BLUE, ORANGE

MAP_SIZE = np.array([414.0, 376.0])  # pixels
TOP, MARGIN = 34.0, 16.0  # pixels, of the title and around the points
SIZE = 10.5  # pixels, of names
INK, SOFT = "#222222", "#595959"
BOLD = 1.12  # times as wide

Place = Float[np.ndarray, " 2"]


@dataclass(frozen=True, eq=False)
class LinkedMap:
    """A map on which a category, its nearest and another one are marked; mixtures are put on it.

    Drawn by hand, because a slider has no time to wait for matplotlib.

    Parameters
    ----------
    projection
        The first two dimensions are drawn.
    near
        The nearest of `category`, as `inspection.nearest` returns them.
    """

    projection: Projection
    category: str
    other: str
    near: pd.DataFrame

    def svg(self, words: str, mixture: Place | None = None) -> str:
        """The map as an SVG element described by `words`, with a mixture at its place."""
        width, height = MAP_SIZE
        mark = "" if mixture is None else self._mixture(mixture)
        return (
            f'<svg role="img" aria-label="{html.escape(words)}" width="{width:g}" '
            f'height="{height:g}" viewBox="0 0 {width:g} {height:g}" '
            f'font-family="sans-serif" style="background:#fff;max-width:100%">'
            f"{self._drawn}{mark}</svg>"
        )

    @property
    def words(self) -> str:
        """The map in words, without the mixture."""
        vectors = self.projection.vectors
        pairs = [f"{row.neighbour} ({row.distance:.2f})" for row in self.near.itertuples()]
        return (
            f"Map of {vectors.title}, {len(vectors):,} categories. {quality_line(self.projection)}."
            f" Nearest to {self.category}, with distances: {', '.join(pairs)}."
        )

    def _pixels(self, at: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n 2"]:
        """Places on the map; up is up, and lengths compare where the projection's do."""
        every = self.projection.coordinates[:, :2]
        low, span = every.min(axis=0), np.maximum(np.ptp(every, axis=0), 1e-12)
        room = MAP_SIZE - 2 * MARGIN - (0, TOP)
        scale = room / span
        if equal_scales(self.projection):
            scale = np.full(2, scale.min())
        middle = MARGIN + np.array([0, TOP]) + room / 2
        return middle + (at[:, :2] - low - span / 2) * scale * (1, -1)

    def _mixture(self, place: Place) -> str:
        """A mixture, on the straight way that it goes."""
        vectors = self.projection.vectors
        ends = self.projection.coordinates[[*map(vectors.position, (self.category, self.other))]]
        return _line(*self._pixels(ends), INK, dashes="5 4") + _dot(*self._pixels(place[None])[0])

    @cached_property
    def _drawn(self) -> str:
        vectors = self.projection.vectors
        at = self._pixels(self.projection.coordinates)
        places = dict(zip(vectors.names, at, strict=True))
        dots = [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}"/>'
            for (x, y), r in zip(at, diameters(vectors) / 1.6, strict=True)
        ]
        here, there = places[self.category], places[self.other]
        near = [places[name] for name in self.near["neighbour"]]
        return "".join(
            [
                _titles(self.projection),
                f'<rect x="0.5" y="{TOP}" width="{MAP_SIZE[0] - 1}" '
                f'height="{MAP_SIZE[1] - TOP - 0.5}" fill="none" stroke="{FAINT}"/>',
                f'<g fill="{FAINT}">{"".join(dots)}</g>',
                *(_line(here, end, BLUE) for end in near),
                *(_circle(end) for end in near),
                _square(there),
                _diamond(here),
                self._names(vectors, at),
            ]
        )

    def _names(self, vectors: Vectors, at: Float[np.ndarray, "n 2"]) -> str:
        """In bold, of those marked; then of the most frequent, where there is room."""
        radii, frame = diameters(vectors) / 1.6, np.array([0.0, TOP, *MAP_SIZE])
        chosen = [self.category, self.other, *self.near["neighbour"]]
        marked = [*dict.fromkeys(map(vectors.position, chosen))]
        others = [i for i in frequent_first(vectors) if i not in marked]
        radii[marked] = 8.0
        lines = np.concatenate([along(at[marked[0]], at[end]) for end in marked[1:]])
        bold = [vectors.names[i] for i in marked]
        near, boxes = _bold_room(at[marked], bold, radii[marked], frame, lines)
        found = room_for(
            at, vectors.names, others, radii, frame, size=SIZE, avoid=np.concatenate([lines, boxes])
        )
        soft = [_text(vectors.names[i], at[i] + o, SOFT, "normal") for i, o in found.items()]
        return "".join(
            [*soft, *(_text(bold[i], at[marked[i]] + o, INK, "bold") for i, o in near.items())]
        )


def _bold_room(
    at: Float[np.ndarray, "n 2"],
    names: Sequence[str],
    radii: Float[np.ndarray, " n"],
    frame: Float[np.ndarray, " 4"],
    lines: Float[np.ndarray, "m 4"],
) -> tuple[dict[int, tuple[float, float]], Float[np.ndarray, "k 4"]]:
    """Offsets of the names of what is marked, and what they cover; on lines if need be."""
    size = BOLD * SIZE
    found = room_for(at, names, range(len(at)), radii, frame, size=size, avoid=lines)
    boxes = boxes_of(at, names, found, size=size)
    left = [i for i in range(len(at)) if i not in found]
    found |= room_for(at, names, left, radii, frame, size=size, avoid=boxes)
    return found, boxes_of(at, names, found, size=size)


def mixture_place(projection: Projection, first: str, second: str, share: float) -> Place:
    """Where the mixture of two categories lies on a PCA of embeddings.

    Raises
    ------
    ValueError
        As `Projection.place`.
    """
    vectors = projection.vectors
    a, b = (vectors.values[vectors.position(name)] for name in (first, second))
    return projection.place(((1 - share) * a + share * b)[None])[0, :2]


def _titles(projection: Projection) -> str:
    method, _, trust = quality_line(projection).partition("; ")
    lines = [f"{projection.vectors.title}. {method}", trust]
    return "".join(
        f'<text x="6" y="{y}" font-size="11" fill="{INK}">{html.escape(line)}</text>'
        for y, line in zip((13, 27), lines, strict=True)
    )


def _line(start: Place, end: Place, colour: str, *, dashes: str = "none") -> str:
    (x1, y1), (x2, y2) = start, end
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-dasharray="{dashes}"/>'
    )


def _circle(at: Place) -> str:
    ring = f'r="6" fill="none" stroke="{BLUE}" stroke-width="2"'
    return f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" {ring}/>'


def _diamond(at: Place) -> str:
    x, y = at
    return f'<path d="M{x:.1f} {y - 8:.1f}l8 8l-8 8l-8 -8z" fill="{BLUE}"/>'


def _square(at: Place) -> str:
    x, y = at - 6
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="12" height="12" fill="{ORANGE}"/>'


def _dot(x: float, y: float) -> str:
    """A mixture: a black dot in a white ring."""
    return (
        f'<circle class="mixture" cx="{x:.1f}" cy="{y:.1f}" r="7" fill="#000" stroke="#fff" '
        f'stroke-width="3"/>'
    )


def _text(name: str, at: Place, colour: str, weight: str) -> str:
    return (
        f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" dy="0.35em" text-anchor="middle" '
        f'font-size="{SIZE:g}" font-weight="{weight}" fill="{colour}" stroke="#fff" '
        f'stroke-width="3" paint-order="stroke">{html.escape(name)}</text>'
    )
