"""Where names find room on a map."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

LABEL_SIZE = 7.5  # points
TALL = 0.62  # half a line, of the letters' size
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))


def name_points(
    ax: Axes,
    at: Float[np.ndarray, "n 2"],
    names: Sequence[str],
    order: Sequence[int],
    radii: Float[np.ndarray, " n"],
) -> None:
    """Names points where names find room, in that order; radii in points."""
    ax.figure.draw_without_rendering()  # settles where the panels lie
    pixel = ax.figure.dpi / 72
    places, frame = ax.transData.transform(at) / pixel, ax.get_window_extent().extents / pixel
    found = room_for(places, names, order, radii, frame, size=LABEL_SIZE)
    for i, offset in found.items():
        text = ax.annotate(
            names[i],
            at[i],
            xytext=offset,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=LABEL_SIZE,
            parse_math=False,
            bbox={"facecolor": "white", "alpha": 0.6, "linewidth": 0, "pad": 0.4},
        )
        text.set_in_layout(False)


def literal(name: object) -> str:
    r"""A name as matplotlib shows it: between two dollar signs it would read a formula.

    Examples
    --------
    >>> print(literal("$x^$"))
    \$x^\$
    """
    return str(name).replace("$", r"\$")


def room_for(
    at: Float[np.ndarray, "n 2"],
    names: Sequence[str],
    order: Sequence[int],
    radii: Float[np.ndarray, " n"],
    frame: Float[np.ndarray, " 4"],
    *,
    size: float,
    avoid: Float[np.ndarray, "m 4"] | None = None,
) -> dict[int, tuple[float, float]]:
    """Where names fit beside their points, greedily in order: offsets of their centres, in points.

    A name covers no other name, no other point, no box of `avoid`, and stays inside the frame.
    """
    taken = [] if avoid is None else [*avoid]
    found: dict[int, tuple[float, float]] = {}
    widths = text_widths(names, size)
    low, high = at - radii[:, None], at + radii[:, None]
    others = np.concatenate([low, high], axis=1)
    for i in dict.fromkeys(order):
        boxes = np.array([*np.delete(others, i, axis=0), *taken]).reshape(-1, 4)
        for side in SIDES:
            half = np.array([widths[i] / 2, size * TALL])
            offset = np.array(side) * (radii[i] * (0.7 if all(side) else 1.0) + half + (1.5, 0.5))
            box = np.concatenate([at[i] + offset - half, at[i] + offset + half])
            if _inside(box, frame) and not _overlaps(box, boxes):
                taken.append(box)
                found[i] = (float(offset[0]), float(offset[1]))
                break
    return found


def boxes_of(
    at: Float[np.ndarray, "n 2"],
    names: Sequence[str],
    found: Mapping[int, tuple[float, float]],
    *,
    size: float,
) -> Float[np.ndarray, "m 4"]:
    """What names cover at the offsets that `room_for` found."""
    widths = text_widths(names, size)
    middles = np.array([at[i] + offset for i, offset in found.items()]).reshape(-1, 2)
    halves = np.array([(widths[i] / 2, size * TALL) for i in found]).reshape(-1, 2)
    return np.concatenate([middles - halves, middles + halves], axis=1)


def along(start: Float[np.ndarray, " 2"], end: Float[np.ndarray, " 2"]) -> Float[np.ndarray, "m 4"]:
    """A straight line as a row of small boxes, for names to avoid."""
    count = int(np.abs(end - start).max() / 3) + 2
    points = np.linspace(start, end, count)
    return np.concatenate([points - 1, points + 1], axis=1)


def _inside(box: Float[np.ndarray, " 4"], frame: Float[np.ndarray, " 4"]) -> bool:
    return bool((box[:2] >= frame[:2]).all() and (box[2:] <= frame[2:]).all())


def _overlaps(box: Float[np.ndarray, " 4"], boxes: Float[np.ndarray, "m 4"]) -> bool:
    return bool(((boxes[:, :2] < box[2:]) & (boxes[:, 2:] > box[:2])).all(axis=1).any())


def text_widths(names: Sequence[str], size: float) -> list[float]:
    """The widths of names set in matplotlib's font, in points."""
    renderer = FigureCanvasAgg(Figure(dpi=72)).get_renderer()
    font = FontProperties(size=size)
    return [renderer.get_text_width_height_descent(name, font, False)[0] for name in names]
