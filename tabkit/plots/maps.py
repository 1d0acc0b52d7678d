"""Maps of embeddings: categories by name, rows by colour."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from tabkit.inspection import Projection, Vectors, nearest
from tabkit.plots.colouring import FAINT, Colouring, check_columns, colouring, numeric_colouring
from tabkit.plots.labels import literal, name_points
from tabkit.plots.picture import BLUE, GREY, ORANGE, Picture, panels_of

MARK = 10.0  # points, across the mark of a chosen category
NAMED = 6  # how many of the most frequent categories the description speaks of


def category_map(
    projection: Projection, *, of: str | None = None, k: int = 5, colour: str | None = None
) -> Picture:
    """The categories of one column, named where there is room, the most frequent first.

    Of a projection to three dimensions the first two are drawn.

    Parameters
    ----------
    of
        Mark this category and its k nearest, by the embedding and not by the map.
    colour
        A column of numbers in the facts to colour by.

    Raises
    ------
    ValueError
        If the facts have no such column, or it is not of numbers.
    """
    figure, (ax,) = panels_of(1, width=6.4, height=5.2)
    near = None if of is None else nearest_of(projection, of, k=k)
    scale = None if colour is None else numeric_colouring(projection.vectors.facts, colour)
    _draw_categories(ax, projection, near, scale)
    if scale is not None:
        _colour_bar(figure, ax, scale, str(colour))
    label_points(ax, projection, first=[] if near is None else [of, *near["neighbour"]])
    coloured = "" if scale is None else f" Coloured by {colour}: {scale.words}."
    return Picture(figure, f"{_words(projection, near)}{coloured}")


def category_maps_static(projections: Mapping[str, Projection]) -> Picture:
    """A panel of `category_map` for each column.

    Raises
    ------
    ValueError
        If there is none.
    """
    if not projections:
        raise ValueError("there is no projection to draw")
    figure, axes = panels_of(len(projections), width=4.3, height=3.9, columns=2)
    for ax, projection in zip(axes, projections.values(), strict=True):
        _draw_categories(ax, projection, None, None)
    for ax, projection in zip(axes, projections.values(), strict=True):
        label_points(ax, projection)
    return Picture(figure, " ".join(_words(p, None) for p in projections.values()))


def row_maps(projection: Projection, columns: Sequence[str]) -> Picture:
    """The same map of rows, coloured by each of several columns of the facts.

    Raises
    ------
    ValueError
        If no column is named, or one is not there.
    """
    facts = projection.vectors.facts
    scales = {column: colouring(facts, column) for column in check_columns(facts, columns)}
    figure, axes = panels_of(len(scales), width=3.3, height=2.5, columns=3)
    at = projection.coordinates[:, :2]
    for ax, (column, scale) in zip(axes, scales.items(), strict=True):
        known = np.isfinite(scale.numbers)
        dots = {"s": 1.5, "linewidths": 0, "rasterized": True}
        ax.scatter(*at[~known].T, color=FAINT, **dots)
        ax.scatter(
            *at[known].T, c=scale.numbers[known], cmap=scale.map, norm=scale.normalize, **dots
        )
        _colour_bar(figure, ax, scale, None)
        bare(ax, column, equal=equal_scales(projection))
    figure.suptitle(f"{literal(projection.vectors.title)}\n{quality_line(projection)}", fontsize=9)
    parts = [f"{column}: {scale.words}" for column, scale in scales.items()]
    alt = f"{_heading(projection, 'points')} Coloured by {'. By '.join(parts)}."
    return Picture(figure, alt)


def quality_line(projection: Projection) -> str:
    """The method, how far its neighbourhoods can be trusted, and how not to read it."""
    trust = (
        f"trustworthiness {projection.trustworthiness:.2f}, "
        f"continuity {projection.continuity:.2f} ({projection.quality_neighbours} neighbours)"
    )
    caution = "; do not read distances off a UMAP" if projection.method == "umap" else ""
    return f"{projection.method.upper()}: {trust}{caution}"


def equal_scales(projection: Projection) -> bool:
    """Whether lengths along the axes compare: those of a PCA do."""
    return projection.method == "pca"


def nearest_of(
    projection: Projection, of: str | None = None, *, k: int, metric: str = "euclidean"
) -> pd.DataFrame:
    """The k nearest by the embedding, or all others where there are fewer."""
    vectors = projection.vectors
    return nearest(vectors, of, k=min(k, len(vectors) - 1), metric=metric)


def diameters(vectors: Vectors) -> Float[np.ndarray, " n"]:
    """Of each point in points: grows gently with the logarithm of its count."""
    if "count" not in vectors.facts:
        return np.full(len(vectors), 7.0)
    logs = np.log1p(vectors.facts["count"].to_numpy(float))
    return 4.5 + 7.0 * (logs - logs.min()) / max(float(np.ptp(logs)), 1e-9)


def frequent_first(vectors: Vectors) -> list[int]:
    """Positions of the points, the most frequent first."""
    if "count" not in vectors.facts:
        return list(range(len(vectors)))
    return np.argsort(-vectors.facts["count"].to_numpy(float), kind="stable").tolist()


def _draw_categories(
    ax: Axes, projection: Projection, near: pd.DataFrame | None, scale: Colouring | None
) -> None:
    vectors, at = projection.vectors, projection.coordinates[:, :2]
    size = diameters(vectors) ** 2
    if scale is None:
        ax.scatter(*at.T, s=size, color=FAINT if near is not None else BLUE, alpha=0.85)
    else:
        known = np.isfinite(scale.numbers)
        ax.scatter(*at[~known].T, s=size[~known], facecolors="none", edgecolors=GREY)
        ax.scatter(
            *at[known].T,
            s=size[known],
            c=scale.numbers[known],
            norm=scale.normalize,
            cmap="cividis",
        )
    if near is not None:
        _mark(ax, projection, near)
    title = f"{vectors.title}{_flat(projection)}; {quality_line(projection)}"
    bare(ax, title.replace("; ", "\n"), equal=equal_scales(projection))


def _mark(ax: Axes, projection: Projection, near: pd.DataFrame) -> None:
    """A category, its nearest, and lines to them."""
    places = dict(zip(projection.vectors.names, projection.coordinates[:, :2], strict=True))
    here = places[near["name"].iloc[0]]
    there = np.stack([places[name] for name in near["neighbour"]])
    for end in there:
        ax.plot(*np.stack([here, end]).T, color=ORANGE, linewidth=1.0, zorder=1)
    ax.plot(*there.T, "s", ms=MARK, mfc="none", mec=ORANGE, mew=1.5)
    ax.plot(*here, "D", ms=MARK, color=ORANGE)


def bare(ax: Axes, title: str, *, equal: bool) -> None:
    """No ticks: a map's axes mean nothing by themselves. `equal` scales, where lengths do."""
    ax.set(xticks=[], yticks=[])
    ax.set_title(literal(title), fontsize=8)
    if equal:
        ax.set_aspect("equal", adjustable="datalim")
    ax.margins(0.06)
    ax.spines[:].set(visible=True, color=FAINT)


def _colour_bar(figure: Figure, ax: Axes, scale: Colouring, label: str | None) -> None:
    mappable = ScalarMappable(scale.normalize, scale.map)
    bar = figure.colorbar(mappable, ax=ax, pad=0.02, fraction=0.07, aspect=25)
    bar.set_ticks(list(scale.ticks), labels=[literal(label) for label in scale.labels], fontsize=7)
    bar.ax.tick_params(length=0 if scale.colours else 2)
    bar.outline.set_visible(False)
    if label:
        bar.set_label(literal(label), fontsize=8)


def label_points(ax: Axes, projection: Projection, *, first: Sequence[str] = ()) -> None:
    """Names a map's points where names find room: those of `first`, then the most frequent."""
    vectors = projection.vectors
    marked = [vectors.position(name) for name in first]
    radii = diameters(vectors) / 2
    radii[marked] = MARK / 2
    order = [*marked, *frequent_first(vectors)]
    name_points(ax, projection.coordinates[:, :2], vectors.names, order, radii)


def _flat(projection: Projection) -> str:
    return " (first two of three axes)" if projection.coordinates.shape[1] == 3 else ""


def _heading(projection: Projection, what: str) -> str:
    vectors = projection.vectors
    return (
        f"Map of {vectors.title}{_flat(projection)}, {len(vectors):,} {what}. "
        f"{quality_line(projection)}."
    )


def _words(projection: Projection, near: pd.DataFrame | None) -> str:
    """The map in words: nearest by the embedding, of one category or of the most frequent."""
    heading = _heading(projection, "categories")
    if near is not None:
        pairs = [f"{row.neighbour} ({row.distance:.2f})" for row in near.itertuples()]
        return f"{heading} Nearest to {near['name'].iloc[0]}, with distances: {', '.join(pairs)}."
    vectors = projection.vectors
    most = [vectors.names[i] for i in frequent_first(vectors)[:NAMED]]
    pairs = [
        f"{row.name}: {row.neighbour} ({row.distance:.2f})"
        for row in nearest(vectors, most, k=1).itertuples()
    ]
    return f"{heading} Nearest to the most frequent, with distances: {'; '.join(pairs)}."
