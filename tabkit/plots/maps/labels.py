"""Where names find room on a map."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from tabkit.plots.palette import INK
from tabkit.plots.picture import text_widths

LABEL_SIZE = 7.5  # points
TALL = 0.62  # half a line, of the letters' size
SIDES = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)])
NEARER = np.where(SIDES.all(axis=1), 0.7, 1.0)[:, None]  # a point's corners are round
CORNERS = [0, 1, 2, 1, 2, 3, 0, 3]  # of a box, from its lowest and highest values

Box = Float[np.ndarray, " 4"]
Boxes = Float[np.ndarray, "m 4"]
Points = Float[np.ndarray, "n 2"]
NONE = np.empty((0, 4))


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
    lines = np.concatenate([NONE, *(_along(at[marked[0]], at[k]) for k in marked[1:])])
    room = Room(at, names, radii, frame, LABEL_SIZE)
    room.find(marked, beside=marked, avoid=lines, weight="bold")
    room.find(marked, beside=marked, weight="bold")
    room.find([k for k in order if k not in marked], avoid=lines)
    inches = {"transform": ax.figure.dpi_scale_trans}
    corners = room.boxes[:, CORNERS].reshape(-1, 4, 2) / 72
    paper = PolyCollection(corners, facecolors="white", lw=0, alpha=0.6, zorder=2.9, **inches)
    ax.add_collection(paper, autolim=False).set_in_layout(False)
    plain = {"color": "#595959" if marked else "black"}
    look = {"fontsize": LABEL_SIZE, "ha": "center", "va": "center", "parse_math": False} | inches
    for k, middle in zip(room.found, corners.mean(axis=1), strict=True):
        own = {"color": INK, "weight": "bold"} if k in marked else plain
        ax.text(*middle, names[k], **look, **own).set_in_layout(False)


@dataclass(eq=False)
class Room:
    """Finds room for names beside their points: boxes within a frame, all in points."""

    at: Points
    names: Sequence[str]
    radii: Float[np.ndarray, " n"]
    frame: Box
    size: float
    found: dict[int, Box] = field(default_factory=dict)

    @property
    def boxes(self) -> Boxes:
        """All that were found."""
        return np.reshape([*self.found.values()], (-1, 4))

    def find(
        self,
        order: Sequence[int],
        *,
        beside: Sequence[int] | None = None,
        avoid: Boxes = NONE,
        weight: str = "normal",
    ) -> None:
        """Greedily in that order, for those that have none yet.

        A name covers no other name, no point, or none of those that it must stay `beside`, and no
        box of `avoid`.
        """
        widths = text_widths(tuple(self.names), self.size, weight)
        low, high = self.at - self.radii[:, None], self.at + self.radii[:, None]
        dots = np.concatenate([low, high], axis=1)
        kept = np.arange(len(dots)) if beside is None else np.array(beside, dtype=int)
        for k in (k for k in order if k not in self.found):
            half = np.array([widths[k] / 2, self.size * TALL])
            middles = self.at[k] + SIDES * (self.radii[k] * NEARER + half + (1.5, 0.5))
            boxes = np.concatenate([middles - half, middles + half], axis=1)
            taken = np.concatenate([dots[kept[kept != k]], avoid, self.boxes])
            free = _inside(boxes, self.frame) & ~_overlap(boxes, taken)
            if free.any():
                self.found[k] = boxes[free.argmax()]


def _along(start: Float[np.ndarray, " 2"], end: Float[np.ndarray, " 2"]) -> Boxes:
    """A straight line as a row of small boxes."""
    points = np.linspace(start, end, int(np.abs(end - start).max() / 3) + 2)
    return np.concatenate([points - 1, points + 1], axis=1)


def _inside(boxes: Boxes, frame: Box) -> np.ndarray:
    return ((boxes[:, :2] >= frame[:2]) & (boxes[:, 2:] <= frame[2:])).all(axis=1)


def _overlap(boxes: Boxes, others: Float[np.ndarray, "l 4"]) -> np.ndarray:
    """Which boxes overlap some other."""
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    return ((others[:, :2] < high) & (others[:, 2:] > low)).all(axis=2).any(axis=1)
