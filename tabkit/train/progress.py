"""Driving a training under a progress bar."""

import sys
from collections.abc import Iterable, Iterator

from tqdm.auto import tqdm

from tabkit.train.step import Step


def watch(fit: Iterable[Step], description: str = "") -> Iterator[Step]:
    """Passes steps on under a progress bar, in a terminal or a notebook; silent in a pipe."""
    bar = None
    for step in fit:
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
