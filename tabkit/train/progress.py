"""`Step`, what a training tells of each step, and the bar under which it is driven."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from typing import Any

from torch import Tensor
from tqdm.auto import tqdm

from tabkit.capture import Ledger

SHOWN_EVERY = 0.3  # seconds


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

    def now(self) -> "Step":
        """The same, its losses known."""
        return self


class Later(Step):
    """A step whose losses still lie on the device: it is waited for when one is asked for."""

    def __init__(
        self, step: int, steps: int, ledger: Ledger, seconds: float, decoded: Tensor | None
    ) -> None:
        known = {"step": step, "steps": steps, "seconds": seconds}
        self.__dict__.update(known, _ledger=ledger, _decoded=decoded)

    def __getattribute__(self, name: str) -> Any:
        if name == "loss":
            return self._ledger.loss(self.step)
        if name == "decoded":
            return None if self._decoded is None else self._decoded.item()
        return super().__getattribute__(name)

    def now(self) -> Step:
        return Step(self.step, self.steps, self.loss, self.seconds, self.decoded)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied or sent elsewhere, it is a plain one."""
        return Step, astuple(self.now())


def silent() -> bool:
    """Whether nobody watches: neither a notebook nor a terminal."""
    return "ipykernel" not in sys.modules and not sys.stderr.isatty()


def watch(fit: Iterable[Step], description: str = "") -> Iterator[Step]:
    """Passes steps on under a progress bar, in a terminal or a notebook; silent in a pipe."""
    look = {"desc": description, "unit": "step", "disable": silent(), "mininterval": SHOWN_EVERY}
    bar, shown = None, -SHOWN_EVERY
    for step in fit:
        bar = tqdm(total=step.steps, **look) if bar is None else bar
        if not bar.disable and (step.step == step.steps or step.seconds >= shown + SHOWN_EVERY):
            bar.set_postfix(loss=f"{step.loss:.3f}", refresh=False)  # on a GPU, it is waited for
            shown = step.seconds
        bar.update(step.step - bar.n)
        yield step
    if bar is not None:
        bar.close()
