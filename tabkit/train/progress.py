"""`Step`, what a training tells of each step, and the bar under which it is driven."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tqdm.auto import tqdm


@dataclass(frozen=True)
class Step:
    """One training step.

    Attributes
    ----------
    step, steps : int
        This step, from 1, and the last one.
    loss : float
        The loss of the batch before the update; for net0 its relaxed loss.
    seconds : float
        Time in the loop so far, over all its sittings.
    decoded : float | None
        The decoded loss of the same batch, in steps where it was measured.
    """

    step: int
    steps: int
    loss: float
    seconds: float
    decoded: float | None = None


def silent() -> bool:
    """Whether nobody watches: neither a notebook nor a terminal."""
    return "ipykernel" not in sys.modules and not sys.stderr.isatty()


def watch(fit: Iterable[Step], description: str = "") -> Iterator[Step]:
    """Passes steps on under a progress bar, in a terminal or a notebook; silent in a pipe."""
    look = {"desc": description, "unit": "step", "disable": silent(), "mininterval": 0.3}
    bar = None
    for step in fit:
        bar = tqdm(total=step.steps, **look) if bar is None else bar
        bar.set_postfix(loss=f"{step.loss:.3f}", refresh=False)
        bar.update(step.step - bar.n)
        yield step
    if bar is not None:
        bar.close()
