"""Driving a loop under a progress bar."""

import sys
from collections.abc import Iterable, Iterator

from tqdm.auto import tqdm

from tabkit.train.loop import Step


def watch(loop: Iterable[Step], description: str = "") -> Iterator[Step]:
    """Passes steps on under a progress bar, in a terminal or a notebook; silent in a pipe."""
    bar = None
    for step in loop:
        if bar is None:
            bar = _bar(step.steps, description)
        bar.set_postfix(loss=f"{step.loss:.3f}", refresh=False)
        bar.update(step.step - bar.n)
        yield step
    if bar is not None:
        bar.close()


def _bar(steps: int, description: str) -> tqdm:
    silent = "ipykernel" not in sys.modules and not sys.stderr.isatty()
    return tqdm(total=steps, desc=description, unit="step", disable=silent, mininterval=0.3)


def run(loop: Iterable[Step], description: str = "") -> list[Step]:
    """Runs a loop to its end under a progress bar and returns its steps."""
    return list(watch(loop, description))
