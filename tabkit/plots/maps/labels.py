"""Where names find room on a map."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from tabkit.plots.picture import INK, text_widths

LABEL_SIZE = 7.5  # points
TALL = 0.62  # half a line, of the letters' size
SIDES = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)])
NEARER = np.where(SIDES.all(axis=1), 0.7, 1.0)[:, None]  # a point's corners are round
CORNERS = [0, 1, 2, 1, 2, 3, 0, 3]  # of a box, from its lowest and highest values

Box = Float[np.ndarray, " 4"]
Points = Float[np.ndarray, "n 2"]


def settle(figure: Figure) -> None:
    """Fixes where panels and their scales lie, which names go by."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)
    for ax in figure.axes:
        ax.apply_aspect()


def name_points(
    ax: Axes,
    at: Points,
    names: Sequence[str],
    order: Sequence[int],
    radii: Float[np.ndarray, " n"],
    *,
    marked: Sequence[int] = (),
) -> None:
    """Names points where names find room, in that order; radii in points.

    The names of those that are marked are bold and come first. From the first of them lines go to
    the others: no name lies on one, unless it is bold and has no other room. The figure must be
    settled.
    """
    points = 72 / ax.figure.dpi
    at, frame = ax.transData.transform(at) * points, ax.get_window_extent().extents * points
    lines = np.concatenate([np.empty((0, 4)), *(_along(at[marked[0]], at[k]) for k in marked[1:])])
    bold = [names[k] for k in marked]
    near = _bold_room(at[marked], bold, radii[marked], frame, lines) if bold else {}
    taken = np.concatenate([lines, _stacked(near)])
    others = [k for k in order if k not in marked]
    found = room_for(at, names, others, radii, frame, size=LABEL_SIZE, avoid=taken)
    _write(ax, names, found, color="#595959" if bold else "black")
    _write(ax, bold, near, color=INK, weight="bold")


def _bold_room(
    at: Points,
    names: Sequence[str],
    radii: Float[np.ndarray, " n"],
    frame: Box,
    lines: Float[np.ndarray, "m 4"],
) -> dict[int, Box]:
    """Room for the names of what is marked, beside lines or, if need be, on them."""
    look = {"size": LABEL_SIZE, "weight": "bold"}
    found = room_for(at, names, range(len(at)), radii, frame, avoid=lines, **look)
    left = [k for k in range(len(at)) if k not in found]
    return found | room_for(at, names, left, radii, frame, avoid=_stacked(found), **look)


def _write(ax: Axes, names: Sequence[str], found: Mapping[int, Box], **look: str) -> None:
    """Each name in its box, on paper that lets through a little of what it covers."""
    inches = ax.figure.dpi_scale_trans
    boxes = _stacked(found) / 72
    paper = PolyCollection(
        boxes[:, CORNERS].reshape(-1, 4, 2), facecolors="white", linewidths=0, alpha=0.6,
        transform=inches, zorder=2.9,
    )  # fmt: skip
    ax.add_collection(paper, autolim=False).set_in_layout(False)
    for k, (left, low, right, high) in zip(found, boxes, strict=True):
        middle = (left + right) / 2, (low + high) / 2
        place = {"transform": inches, "ha": "center", "va": "center", "parse_math": False}
        ax.text(*middle, names[k], fontsize=LABEL_SIZE, **place, **look).set_in_layout(False)


def room_for(
    at: Points,
    names: Sequence[str],
    order: Sequence[int],
    radii: Float[np.ndarray, " n"],
    frame: Box,
    *,
    size: float,
    weight: str = "normal",
    avoid: Float[np.ndarray, "m 4"] | None = None,
) -> dict[int, Box]:
    """Where names fit beside their points, greedily in order: boxes in points.

    A name covers no other name, no other point, no box of `avoid`, and stays inside the frame.
    """
    avoid = np.empty((0, 4)) if avoid is None else avoid
    widths = text_widths(tuple(names), size, weight)
    low, high = at - radii[:, None], at + radii[:, None]
    dots = np.concatenate([low, high], axis=1)
    found: dict[int, Box] = {}
    for k in dict.fromkeys(order):
        half = np.array([widths[k] / 2, size * TALL])
        middles = at[k] + SIDES * (radii[k] * NEARER + half + (1.5, 0.5))
        boxes = np.concatenate([middles - half, middles + half], axis=1)
        taken = np.concatenate([np.delete(dots, k, axis=0), avoid, _stacked(found)])
        free = _inside(boxes, frame) & ~_overlap(boxes, taken)
        if free.any():
            found[k] = boxes[free.argmax()]
    return found


def _stacked(found: Mapping[int, Box]) -> Float[np.ndarray, "n 4"]:
    return np.reshape([*found.values()], (-1, 4))


def _along(start: Float[np.ndarray, " 2"], end: Float[np.ndarray, " 2"]) -> np.ndarray:
    """A straight line as a row of small boxes, for names to avoid."""
    count = int(np.abs(end - start).max() / 3) + 2
    points = np.linspace(start, end, count)
    return np.concatenate([points - 1, points + 1], axis=1)


def _inside(boxes: Float[np.ndarray, "n 4"], frame: Box) -> np.ndarray:
    return ((boxes[:, :2] >= frame[:2]) & (boxes[:, 2:] <= frame[2:])).all(axis=1)


def _overlap(boxes: Float[np.ndarray, "n 4"], others: Float[np.ndarray, "m 4"]) -> np.ndarray:
    """Which boxes overlap some other."""
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    return ((others[:, :2] < high) & (others[:, 2:] > low)).all(axis=2).any(axis=1)
