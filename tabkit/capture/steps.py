"""`Steps`: steps of Adam on a loss, the first one by one, the others as one graph."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam

from tabkit import fast
from tabkit.capture import adam
from tabkit.capture.graph import Graph, aside
from tabkit.capture.ledger import Ledger
from tabkit.capture.reads import Reads
from tabkit.devices import captures

KNOBS = 32  # more than any estimator has
WARM = 2  # steps that make what is made once, such as a library's workspace
TYPES = (torch.float32, torch.float64)  # of weights whose steps are captured

Losses = Callable[..., Iterable[tuple[Tensor, float]]]


class Steps:
    """Takes steps on the device, and lets the host go on while they are on their way.

    What is drawn for a step and the numbers that change are copied to their places on the device;
    the graph reads them there. The values are those of the same steps one by one.

    Parameters
    ----------
    losses
        From what was drawn, on the device, to the loss of each part of the batch and its share.
    optimizer
        Adam; its schedule may move the rate and the first beta.
    ledger
        Where the losses go.
    generators
        Whose draws the losses take.
    knobs
        An estimator, whose knobs may change from step to step. One that does is held as a
        tensor from then on; one that counts something is captured anew.
    watch
        See what the second step asks the device for. What torch compiles cannot be watched.

    Attributes
    ----------
    inputs : list of Tensor
        The places of what was drawn, on the device.
    reads : list of str
        What the second step asked the device for. If there is any, no graph is captured.
    """

    def __init__(
        self,
        losses: Losses,
        optimizer: Adam,
        *,
        ledger: Ledger,
        generators: Sequence[torch.Generator] = (),
        knobs: Any = None,
        watch: bool = True,
    ) -> None:
        self._losses, self._optimizer, self._knobs = losses, optimizer, knobs
        self._generators, self.ledger = generators, ledger
        (group,) = optimizer.param_groups
        self._parameters = [p for p in group["params"] if p.requires_grad]
        self._device, dtype = self._parameters[0].device, self._parameters[0].dtype
        adam.prepared(optimizer, self._parameters)
        self._numbers = torch.zeros(adam.RATES + KNOBS, dtype=dtype, device=self._device)
        self.inputs: list[Tensor] = []
        self._moving: dict[str, Tensor] = {}
        self._fixed: dict[str, Any] | None = None
        self._graph: Graph | None = None
        self._warm, self._watch = WARM, watch
        self.reads: list[str] = []

    def put(self, drawn: Sequence[Tensor]) -> None:
        """Sends what was drawn for the next step to its places."""
        self.inputs = self.inputs or [torch.empty_like(d, device=self._device) for d in drawn]
        for place, values in zip(self.inputs, drawn, strict=True):
            _put(place, values)

    def take(self) -> None:
        """One step, on what was put there."""
        self._turn()
        moving = [] if self._knobs is None else [self._knobs.knobs[name] for name in self._moving]
        numbers = [*adam.rates(self._optimizer, self._parameters), *moving]
        _put(self._numbers[: len(numbers)], torch.tensor(numbers, dtype=self._numbers.dtype))
        with fast.look(False), self._held():
            self._start()
        self._optimizer._opt_called = True  # what its schedule wants to see
        self.ledger.written += 1

    def mark(self) -> None:
        """Makes the last loss NaN if a weight is not finite, on the device."""
        finite = torch.stack([p.detach().isfinite().all() for p in self._parameters]).all()
        last = self.ledger.losses[self.ledger.written - 1]
        last.copy_(torch.where(finite, last, math.nan))

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Within it, the knobs that move are tensors."""
        if self._knobs is None:
            yield
            return
        self._knobs.held = dict(self._moving)
        try:
            yield
        finally:
            self._knobs.held = {}

    def _turn(self) -> None:
        """Sees which knobs were turned, and has the next step captured anew if it must be."""
        if self._knobs is None:
            return
        now = self._knobs.knobs
        before = now if self._fixed is None else self._fixed
        for name in [n for n in before if n not in self._moving and now[n] != before[n]]:
            if not (self._knobs.whole(name) or 0 in (now[name], before[name])):
                self._moving[name] = self._numbers[adam.RATES + len(self._moving)]
        moving = {n: ("moves", v != 0) for n, v in now.items() if n in self._moving}
        fixed = dict(now) | moving
        if self._fixed is not None and fixed != self._fixed:
            self._graph, self._warm = None, 1
        self._fixed = fixed

    def _start(self) -> None:
        if self._warm or self.reads:
            last = self._warm == 1  # of those before a graph: what is made once, is made
            with Reads() if last and self._watch else nullcontext() as reads:
                aside(self._whole, self._device)
            self.reads += reads.found if reads else []
            self._warm = max(self._warm - 1, 0)
            return
        if self._graph is None:
            self._graph = Graph(self._whole, self._device, self._generators)
        self._graph()

    def _whole(self) -> None:
        for p in self._parameters:
            p.grad = None
        total = None
        for loss, share in self._losses(*self.inputs):
            part = loss if share == 1 else loss * share
            part.backward()
            total = part.detach() if total is None else total + part.detach()
        trained = [p for p in self._parameters if p.grad is not None]
        adam.update(self._optimizer, trained, self._numbers[: adam.RATES])
        self.ledger.write(total)


def _put(place: Tensor, values: Tensor) -> None:
    """Copies to a place on the device, without waiting for it."""
    place.copy_(values.pin_memory() if captures(place.device) else values, non_blocking=True)
