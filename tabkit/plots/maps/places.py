"""Figures of places: on the earth, and where predictions land among the categories."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from tabkit.inspection import Projection, great_circle
from tabkit.plots.maps.categories import bare, diameters, frequent_first
from tabkit.plots.maps.labels import name_points, settle
from tabkit.plots.palette import BLUE, FAINT, ORANGE
from tabkit.plots.panels import panels_of, share_limits
from tabkit.plots.picture import Picture, check_columns, literal
from tabkit.plots.truth import VIEWS


def geography(
    facts: pd.DataFrame, nearest: Mapping[str, pd.DataFrame], *, latitude: str, longitude: str
) -> Picture:
    """Places on the earth, with a line from each to its nearest by the embedding.

    Places of unknown position are left out.

    `facts`: one row a place, indexed by its name. `nearest`: for each view, frames with `name` and
    `neighbour`. `latitude`, `longitude`: columns of the facts, in degrees.

    Raises ValueError if a column is missing, there is no view, or a name is unknown.
    """
    check_columns(facts, [latitude, longitude])
    places = facts.set_axis(facts.index.map(str)).dropna(subset=[latitude, longitude])
    km = great_circle(places[latitude].to_numpy(float), places[longitude].to_numpy(float))
    overall = float(km[np.triu_indices(len(places), 1)].mean())
    at = places[[longitude, latitude]].to_numpy(float)
    figure, axes = panels_of(len(nearest), width=5.2, height=3.3, columns=2)
    parts = []
    for ax, (view, table) in zip(axes, nearest.items(), strict=True):
        ends = _links(table, facts, places)
        mean = float(km[ends[:, 0], ends[:, 1]].mean())
        _draw_places(ax, at, ends, 1 / np.cos(np.radians(at[:, 1].mean())))
        label = VIEWS[view].label if view in VIEWS else view
        ax.set_title(f"{literal(label)}: to the nearest {mean:,.0f} km on average", fontsize=9)
        parts.append(f"{label} {mean:,.0f} km")
    figure.supxlabel(f"longitude in degrees (mean of all pairs: {overall:,.0f} km)", fontsize=9)
    figure.supylabel("latitude in degrees", fontsize=9)
    settle(figure)
    for ax in axes:
        radii = np.full(len(places), 2.5)
        name_points(ax, at, list(places.index), frequent_first(places), radii)
    missing = len(facts) - len(places)
    alt = (
        f"{len(places)} places by longitude and latitude ({missing} of unknown position left out), "
        f"joined to their nearest by the embedding. Mean length of the lines: {', '.join(parts)}; "
        f"of all pairs {overall:,.0f} km."
    )
    return Picture(figure, alt)


def _links(table: pd.DataFrame, facts: pd.DataFrame, places: pd.DataFrame) -> np.ndarray:
    """Positions of both ends of each line between places that are known."""
    check_columns(table, ["name", "neighbour"])
    ends = table[["name", "neighbour"]].astype(str)
    unknown = set(ends.to_numpy().ravel()) - set(facts.index.map(str))
    if unknown:
        raise ValueError(f"{min(unknown)!r} is not among the facts")
    known = ends[ends.isin(list(places.index)).all(axis=1)]
    return np.stack([places.index.get_indexer(known[end]) for end in known], axis=1)


def _draw_places(ax: Axes, at: np.ndarray, ends: np.ndarray, aspect: float) -> None:
    ax.add_collection(LineCollection(at[ends].tolist(), colors=ORANGE, linewidths=0.8, alpha=0.8))
    ax.plot(*at.T, "o", ms=4, color=BLUE)
    ax.set_aspect(aspect, adjustable="datalim")
    ax.tick_params(labelsize=7)
    ax.margins(0.05)


def landings(projection: Projection, points: Mapping[str, pd.DataFrame]) -> Picture:
    """Where each estimator's predictions land among one column's categories.

    A faint line joins each to the category that it is decoded to, which has a ring. The panels fill
    their width: where a map is flat, its vertical scale is stretched, and the title says so.

    `projection`: of the categories; a PCA, which has a place for further points. `points`: for each
    estimator a frame with `x`, `y`, and `to_x`, `to_y`, the decoded category.

    Raises ValueError if there is no estimator, or a column is missing.
    """
    columns = ["x", "y", "to_x", "to_y"]
    ways = {
        name: frame[check_columns(frame, columns)].to_numpy(float).reshape(-1, 2, 2)
        for name, frame in points.items()
    }
    at, vectors = projection.coordinates[:, :2], projection.vectors
    wide, tall = np.ptp(np.concatenate([at, *(lines[:, 0] for lines in ways.values())]), axis=0)
    figure, axes = panels_of(
        len(ways), width=9.0, height=9.0 * np.clip(tall / wide, 0.3, 0.6) + 0.5
    )
    parts, reached = [], []
    for ax, (name, lines) in zip(axes, ways.items(), strict=True):
        reached.append(_draw_landings(ax, at, diameters(vectors), lines))
        length = np.linalg.norm(lines[:, 0] - lines[:, 1], axis=1).mean()
        bare(ax, f"{name}: decoded to {len(reached[-1])} of {len(at)} categories", equal=False)
        parts.append(f"{name} {length:.2f}, {len(reached[-1])} categories")
    share_limits(axes, "x")
    share_limits(axes, "y")
    title, legend = vectors.title, "Grey: categories; blue: predictions, each joined to the ringed"
    words = f"{literal(title)}. {legend} category that it is decoded to"
    heading = figure.suptitle(words, fontsize=8)
    settle(figure)
    across, up = np.abs(axes[0].transData.get_matrix()[[0, 1], [0, 1]])
    heading.set_text(f"{words}. Vertical scale: {up / across:.1f} times the horizontal")
    for ax, found in zip(axes, reached, strict=True):
        first = [k for k in frequent_first(vectors.facts) if k in found]
        name_points(
            ax, at, vectors.names, [*first, *frequent_first(vectors.facts)], diameters(vectors) / 2
        )
    alt = (
        f"Predictions among the {len(at)} categories of {title}. Mean distance on the map from a "
        f"prediction to its decoded category, and how many are reached: {'; '.join(parts)}."
    )
    return Picture(figure, alt)


def _draw_landings(ax: Axes, at: np.ndarray, sizes: np.ndarray, lines: np.ndarray) -> set[int]:
    """Categories, predictions and their lines; the positions of the categories that are reached."""
    ends = np.linalg.norm(lines[:, 1, None] - at, axis=2).argmin(axis=1)
    reached = np.unique(ends)
    ax.scatter(*at.T, sizes**2, color=FAINT, linewidths=0)
    ax.scatter(*at[reached].T, sizes[reached] ** 2, facecolors="none", edgecolors=ORANGE, zorder=3)
    ax.add_collection(LineCollection(lines.tolist(), colors=BLUE, linewidths=0.4, alpha=0.3))
    ax.plot(*lines[:, 0].T, ".", ms=4, color=BLUE, alpha=0.6)
    return set(reached.tolist())
