"""`Step`: what a training tells of each step."""

from dataclasses import dataclass


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
