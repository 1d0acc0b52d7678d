"""A training loop in a thread of its own: started, paused, continued, stopped, watched."""

import atexit
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from copy import deepcopy
from typing import Literal
from weakref import WeakSet

from tabkit.estimators import Estimator, Knob
from tabkit.train.progress import Step

RECENT = 3.0  # seconds of training over which the rate is measured
FAREWELL = 1.0  # seconds that the end of the program waits for a step in progress

State = Literal["ready", "running", "paused", "stopping", "finished", "stopped", "failed"]

_STARTED: "WeakSet[BackgroundRun]" = WeakSet()


class BackgroundRun:
    """Drives a training loop from a thread, so that whoever started it can do something else.

    The steps are those that the same loop yields in the foreground, to the bit. A step in progress
    is never broken off: `pause` and `stop` act after it, `change` before the next. All methods may
    be called from any thread. The thread is a daemon; the end of the program stops it.

    Parameters
    ----------
    loop
        Such as `fit_predictor` returns. Nobody else may take steps from it.
    tunable
        What `change` changes: the estimator of the loop.

    Examples
    --------
    >>> run = BackgroundRun(Step(i, 2, loss=1 / i, seconds=0.1 * i) for i in (1, 2))
    >>> run.start()
    >>> run.join(60.0)
    True
    >>> run.state, run.steps[-1].loss
    ('finished', 0.5)
    """

    def __init__(self, loop: Iterator[Step], *, tunable: Estimator | None = None) -> None:
        self.error: Exception | None = None
        self._loop, self._tunable, self._trial = loop, tunable, deepcopy(tunable)
        self._steps: list[Step] = []
        self._changes: list[tuple[int, dict[str, Knob]]] = []
        self._pending: dict[str, Knob] = {}
        self._condition = threading.Condition()
        self._paused = self._stopping = self._exhausted = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._drive, name="tabkit-training", daemon=True)
        self._followers: list[threading.Thread] = []

    @property
    def state(self) -> State:
        """Where it stands; "finished", "stopped" and "failed" are for ever."""
        if self._ended.is_set():
            return "failed" if self.error else "finished" if self._exhausted else "stopped"
        if self._thread.ident is None:
            return "ready"
        if self._stopping:
            return "stopping"
        return "paused" if self._paused else "running"

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are done."""
        return tuple(self._steps)

    @property
    def changes(self) -> tuple[tuple[int, dict[str, Knob]], ...]:
        """The step in which each change of knobs first acted, and the knobs."""
        return tuple(self._changes)

    @property
    def rate(self) -> float | None:
        """Steps a second over the last three seconds of training, pauses left out."""
        return rate(self.steps)

    @property
    def seconds_left(self) -> float | None:
        """At this rate, without pauses."""
        steps, speed = self.steps, self.rate
        return (steps[-1].steps - steps[-1].step) / speed if steps and speed else None

    def start(self) -> None:
        """Starts the thread; raises RuntimeError if it was started before."""
        if self._thread.ident is not None:
            raise RuntimeError(f"this run was started before and is {self.state}: make another")
        _STARTED.add(self)
        self._thread.start()

    def pause(self) -> None:
        """Takes no further steps until `resume`."""
        with self._condition:
            self._paused = True

    def resume(self) -> None:
        """Goes on after a `pause`."""
        with self._condition:
            self._paused = False
            self._condition.notify_all()

    def stop(self) -> None:
        """Ends it, paused or not; returns at once, and `join` waits for the step in progress."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()

    def join(self, timeout: float | None = None) -> bool:
        """Waits at most `timeout` seconds, and says whether it has ended."""
        return self._ended.wait(timeout)

    def change(self, **knobs: Knob) -> None:
        """Sets knobs before the next step; the last of several values counts.

        Raises
        ------
        ValueError
            If a knob is unknown or has a bad value; the run goes on as it was.
        """
        if self._trial is None:
            raise ValueError("nothing to change: give the run its estimator, tunable=...")
        with self._condition:
            self._trial.change(**knobs)
            self._pending |= knobs

    def follow(self, show: Callable[[], object], *, every: float = 0.25) -> None:
        """Calls `show`, from a thread of its own, when something has changed.

        At most every so many seconds, and once more when the run has ended. `show` may not raise.
        """
        told = threading.Thread(target=self._tell, args=(show, every), daemon=True)
        told.start()
        self._followers.append(told)

    def _tell(self, show: Callable[[], object], every: float) -> None:
        told, ended = None, False
        while not ended:
            ended = self.join(every)
            now = self.state, len(self._steps)
            if now != told:
                show()
            told = now

    def _drive(self) -> None:
        try:
            with closing(self._loop) if hasattr(self._loop, "close") else nullcontext():
                while self._last_is_done or self._may_go_on():
                    self._steps.append(next(self._loop))
        except StopIteration:
            self._exhausted = True
        except Exception as error:  # shown by whoever asks; the thread has no other reader
            self.error = error
        finally:
            self._ended.set()

    @property
    def _last_is_done(self) -> bool:
        """Whether nothing is left but the loop's own end, which no pause shall keep off."""
        return bool(self._steps) and self._steps[-1].step == self._steps[-1].steps

    def _may_go_on(self) -> bool:
        """Waits while paused, then changes the knobs that are due; false once stopped."""
        with self._condition:
            self._condition.wait_for(lambda: self._stopping or not self._paused)
            if self._stopping:
                return False
            due, self._pending = self._pending, {}
        if due:
            self._tunable.change(**due)
            self._changes.append((len(self._steps) + 1, due))
        return True


def rate(steps: Sequence[Step]) -> float | None:
    """Steps a second over the last three seconds of training; none before the first step.

    Examples
    --------
    >>> rate([Step(i, 9, loss=1.0, seconds=0.5 * i) for i in range(1, 9)])
    2.0
    """
    if not steps:
        return None
    last = steps[-1]
    first = bisect_left(steps, last.seconds - RECENT, key=lambda step: step.seconds)
    done, since = (steps[first - 1].step, steps[first - 1].seconds) if first else (0, 0.0)
    return (last.step - done) / (last.seconds - since) if last.seconds > since else None


@atexit.register
def stop_all() -> None:
    """Stops all runs and waits, at most a second, for their threads.

    A thread that computes while the interpreter is taken down may bring the process down with it.
    """
    runs = list(_STARTED)
    for run in runs:
        run.stop()
    until = time.monotonic() + FAREWELL
    for run in runs:
        for thread in (run._thread, *run._followers):
            thread.join(max(until - time.monotonic(), 0.0))
