"""`Captured`: the steps of a `Fit` as one graph, looked at from time to time."""

import math
import time
import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from torch import Tensor

from tabkit import fast
from tabkit.capture import Ledger, Repeated, Steps
from tabkit.nets import dtype_of
from tabkit.train.progress import Later, Step

LOOK_EVERY = 50  # steps


class Captured:
    """Takes the steps of a fit on its device, where nobody waits for them.

    Every 50 steps and at the end their losses are looked at, and the weights, which may be spoilt
    while the loss of what is sampled is finite. If one is not finite, the fit goes back to the last
    look and takes the steps one by one, so that the one that fails says why, and leaves the nets as
    they were before it. If a step asked the device for something, or the estimator learns from step
    to step, the fit is told to go on one by one.
    """

    def __init__(self, fit: Any) -> None:
        self.fit, self._steps = fit, None

    def step(self) -> Step:
        """The next step, on its way."""
        fit, started = self.fit, time.perf_counter()
        if self._steps is None:
            self._begin()
        before, step, decoded = fit._moment(), len(fit.records) + 1, None
        try:
            fit._set_knobs(step)
            self._steps.put(fit._work.draw())
            if fit._work.due(step):
                with fast.look(False):
                    decoded = self._decoded()
        except KeyboardInterrupt:
            fit._save(before)
            raise
        self._steps.take()
        fit._rates.step()
        alone = self._steps.reads or fit._learnt
        looks = alone or step == fit.steps or step % LOOK_EVERY == 0
        if looks:
            self._steps.mark()
            self._steps.ledger.loss(step)  # waits for it
        seconds = fit._seconds(started)
        fit.records.append(Later(step, fit.steps, self._steps.ledger, seconds, decoded))
        if looks:
            self._look()
        if alone and fit._captured is self:
            self._leave()
        fit._saved(step)
        return fit.records[-1]

    def _begin(self) -> None:
        """Makes ready, from where the fit stands."""
        fit = self.fit
        dtype = dtype_of(next(iter(fit.modules.values())))
        ledger = Ledger(fit.steps, len(fit.records), fit.device, dtype)
        given = {"ledger": ledger, "generators": [fit.noise], "knobs": fit.estimator}
        taken = self._steps = Steps(fit._work.parts, fit._optimizer, **given)
        self._decoded = Repeated(lambda: fit._work.decoded(*taken.inputs), fit.device)
        self._keep()

    def _keep(self) -> None:
        """Keeps all that a step changes."""
        fit = self.fit
        nets = {name: _copies(module.state_dict()) for name, module in fit.modules.items()}
        optimizer, rates = deepcopy(fit._optimizer.state_dict()), dict(fit._rates.state_dict())
        self._kept = len(fit.records), nets, optimizer, rates, fit._moment(needed=True)

    def _look(self) -> None:
        """Takes the losses of all steps so far; if one is not finite, finds out why."""
        fit, (done, nets, optimizer, rates, moment) = self.fit, self._kept
        fit.records[done:] = [step.now() for step in fit.records[done:]]
        if all(math.isfinite(step.loss) for step in fit.records[done:]):
            self._keep()
            return
        until = len(fit.records)
        for name, module in fit.modules.items():
            module.load_state_dict(nets[name])
        fit._optimizer.load_state_dict(optimizer)
        fit._rates.load_state_dict(rates)
        fit._set_moment(moment)
        del fit.records[done:]
        with fast.look(True):
            while len(fit.records) < until:
                fit._step()
        self._begin()  # it did not happen again

    def _leave(self) -> None:
        """Lets the fit go on one by one, and says why."""
        fit, why = self.fit, "the estimator learns from step to step"
        why = self._steps.reads[0] if self._steps.reads else why
        fit._captured = None
        warnings.warn(
            f"{fit.name} takes its steps one by one, which is slower on a GPU: in a step of "
            f"{fit.estimator or 'it'}, {why}. capture=False does the same, and says nothing",
            stacklevel=5,
        )


def _copies(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: v.clone() if isinstance(v, Tensor) else v for name, v in state.items()}
