"""A sentence, and the numbers that support it."""

import json
import os
from pathlib import Path
from typing import Any

from tabkit.lesson.modes import quick

Bound = int | float | None


class ClaimFailed(AssertionError):
    """A sentence of a notebook that its own numbers do not support."""


def claim(sentence: str, found: Any, *, at_least: Bound = None, at_most: Bound = None) -> None:
    """States a take-away that the notebook's own numbers support.

    Parameters
    ----------
    found
        A truth value; or a number, if there is a bound.
    at_least, at_most
        Bounds of the number, both allowed; the distance to them is the margin of the claim.

    Raises
    ------
    ClaimFailed
        If they do not. In the quick mode it is said, and nothing raised. Nor is it while
        ``TABKIT_CLAIMS`` names a file, to which each claim is appended as a line of JSON: so
        `make claims` runs every notebook from several seeds, and no false sentence is published.
    TypeError
        If `found` is neither: a number without a bound proves nothing.

    Examples
    --------
    >>> claim("Two is even.", 2 % 2 == 0)
    Holds: Two is even.
    >>> claim("Three is about pi.", 3 / 3.14159, at_least=0.9)
    Holds: Three is about pi. (0.955; at least 0.9)
    """
    bounded = at_least is not None or at_most is not None
    kind = str(getattr(found, "dtype", type(found).__name__)).removeprefix("torch.")
    if bounded == (kind == "bool"):
        raise TypeError(f"a claim is True or False, or a number with a bound, not {found!r}")
    number = float(found)
    holds = bool(found) if not bounded else within(number, at_least, at_most)
    shown = sentence + figures(number, at_least, at_most) * bounded
    if kept := os.environ.get("TABKIT_CLAIMS"):
        line = {"claim": sentence, "holds": holds, "found": number if bounded else None}
        with Path(kept).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | {"at_least": at_least, "at_most": at_most}) + "\n")
    if not holds and not (kept or quick()):
        raise ClaimFailed(shown)
    print(f"{'Holds' if holds else 'Not judged, by so few steps' if quick() else 'Fails'}: {shown}")


def within(number: float, at_least: Bound, at_most: Bound) -> bool:
    """Whether a number keeps its bounds; NaN keeps none."""
    return (at_least is None or number >= at_least) and (at_most is None or number <= at_most)


def figures(number: float, at_least: Bound, at_most: Bound) -> str:
    """The number and its bounds, in brackets."""
    bounds = {"at least": at_least, "at most": at_most}
    words = [f"{name} {bound:g}" for name, bound in bounds.items() if bound is not None]
    return f" ({number:.3g}; {' and '.join(words)})"
