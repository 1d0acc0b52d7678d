"""`Fit`: a training as a handle; the one loop that every training shares."""

import math
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from tabkit.capture import TYPES
from tabkit.data import Dataset
from tabkit.devices import captures
from tabkit.estimators import Estimator
from tabkit.nets import device_of, dtype_of
from tabkit.train.captured import Captured
from tabkit.train.checkpoint import Checkpoint, digest_of, digest_of_data
from tabkit.train.progress import Step, watch
from tabkit.train.schedules import Schedule, apply_schedules

CHECKPOINT_EVERY, CHECKPOINT_APART = 200, 1.0  # steps, and seconds at least


class Part(NamedTuple):
    """What one part of a batch contributes to a step."""

    loss: Float[Tensor, ""]  # a mean over its rows
    share: float = 1.0  # of the batch's rows


class Work(NamedTuple):
    """What a step does: what it draws, on the CPU, and what it makes of that, on the device."""

    draw: Callable[[], tuple[Tensor, ...]]
    parts: Callable[..., Iterable[Part]]
    decoded: Callable[..., Float[Tensor, ""]] | None = None  # the batch's decoded loss
    decode_every: int = 0

    def due(self, step: int) -> bool:
        """Whether the decoded loss is measured in this step."""
        return self.decode_every > 0 and (step == 1 or step % self.decode_every == 0)


@dataclass(eq=False, repr=False)
class Fit:
    """A training that was asked for: iterate over it, a `Step` a step, or `run` it.

    Making one changes nothing; whoever takes steps from it may stop, plot or change a knob between
    two of them. With a checkpoint, it saves every 200 steps (unless it did so within a second), at
    the end, and when it is left or interrupted; only an interrupt during the update itself falls
    back on the last save. From such a file it picks up: it yields the steps that were done once
    more, then new ones, bitwise as if it had never stopped.

    On CUDA the steps are those of the CPU's loop, but started as one graph (`tabkit.capture`), and
    nothing waits for them: a step's losses are read when somebody asks for one. Every 50 steps and
    at the end they are looked at; if one is not finite, the steps since the last look are taken
    again one by one, to stop where the first fails, and to say at what. What a net or an objective
    does in Python, such as to count its calls, is done while the graph is made, not in each step.

    Examples
    --------
    >>> from tabkit import RowEncoder, fit_encoder, planted
    >>> data = planted(300, categorical=2, continuous=1)
    >>> fit = fit_encoder(RowEncoder(data.schema, width=4), data, steps=3, batch=16)
    >>> fit
    fit_encoder: 3 steps, not started. Call .run(), or iterate over it
    >>> len(fit.run())
    3
    """

    name: str  # of the function that made it
    modules: dict[str, nn.Module]  # the nets in training
    dataset: Dataset  # whose rows it draws
    prepare: Callable[["Fit"], Work]  # called once, when it is driven
    settings: dict[str, Any]  # what must be equal for a checkpoint to be its own, beside the below
    _: KW_ONLY
    steps: int
    lr: float
    seed: int
    checkpoint: str | os.PathLike[str] | None
    capture: bool = True  # the steps as one graph, where the device has such
    reads: dict[str, Any] = field(default_factory=dict)  # the nets that are only read
    estimator: Estimator | None = None
    schedules: Mapping[str, Schedule] | None = None

    def __post_init__(self) -> None:
        self.records: list[Step] = []
        self._steps: Iterator[Step] | None = None
        self.device = device_of(next(iter(self.modules.values())))
        self.batches, self.noise = torch.Generator(), torch.Generator(self.device)

    def __repr__(self) -> str:
        fresh, done = "not started. Call .run(), or iterate over it", f"{len(self.records)} done"
        state = fresh if self._steps is None else done
        return f"{self.name}: {self.steps} steps, {state}"

    def __del__(self) -> None:
        if getattr(self, "_steps", self) is None:
            warnings.warn(
                f"{self.name} was called, and nothing trained: call .run() on what it "
                "returns, or iterate over it",
                stacklevel=2,
            )

    def __iter__(self) -> "Fit":
        return self

    def __next__(self) -> Step:
        if self._steps is None:
            self._steps = self._all()
        return next(self._steps)

    def run(self, description: str = "") -> list[Step]:
        """Takes all steps that are left, under a progress bar; returns all that were taken."""
        for _ in watch(self, description):
            pass
        return list(self.records)

    def close(self) -> None:
        """Leaves it: no further step is taken."""
        self._steps = iter(()) if self._steps is None else self._steps
        getattr(self._steps, "close", lambda: None)()

    def draw(self, batch: int) -> Tensor:
        """Positions of so many training rows, with replacement."""
        index = self.dataset.train
        return index.index_select(0, torch.randint(len(index), (batch,), generator=self.batches))

    def _all(self) -> Iterator[Step]:
        for stream in (self.batches, self.noise):
            stream.manual_seed(self.seed)
        self._learnt = {} if self.estimator is None else self.estimator.state
        self._learnt.clear()
        self._set_knobs(1)
        self._work = self.prepare(self)
        self._file = Checkpoint(self.checkpoint, self._identity(), self.modules)
        parameters = [p for m in self.modules.values() for p in m.parameters()]
        self._optimizer = torch.optim.Adam(parameters, lr=self.lr)
        self._rates = OneCycleLR(self._optimizer, self.lr, total_steps=max(self.steps, 2))
        done, self._saved_at = self._restored(), time.perf_counter()
        for module in self.modules.values():
            module.train()
        type_of = dtype_of(next(iter(self.modules.values())))
        one_graph = self.capture and captures(self.device) and type_of in TYPES
        self._captured = Captured(self) if one_graph else None
        try:
            for step in done:
                self.records.append(step)
                yield step
            while len(self.records) < self.steps:
                yield self._step() if self._captured is None else self._captured.step()
        except GeneratorExit:
            if len(self.records) > len(done) and self._file.is_ours():
                self._save(self._moment())
            raise
        finally:
            self._captured = None  # with the memory of its graph
        self._set_knobs(self.steps)

    def _set_knobs(self, step: int) -> None:
        apply_schedules(self.estimator, self.schedules, step, self.steps)

    def _identity(self) -> dict[str, Any]:
        """What decides the run's result, where it is kept; the first knobs must be set."""
        if self.checkpoint is None:
            return {}
        read = {name: digest_of(net) for name, net in self.reads.items()}
        read["data"] = digest_of_data(self.dataset)
        own = {"kind": self.name, "steps": self.steps, "lr": self.lr, "seed": self.seed}
        knobs = {"estimator": repr(self.estimator), "schedules": repr(self.schedules or {})}
        return own | knobs | self.settings | read

    def _step(self) -> Step:
        """The next step, done and looked at."""
        started, before, step = time.perf_counter(), self._moment(), len(self.records) + 1
        try:
            self._set_knobs(step)
            drawn = [part.to(self.device) for part in self._work.draw()]
            decoded = self._work.decoded(*drawn).item() if self._work.due(step) else None
            self._optimizer.zero_grad(set_to_none=True)
            loss = self._backward(self._work.parts(*drawn))
        except FloatingPointError as error:
            raise FloatingPointError(f"step {step}: {error}") from error
        except KeyboardInterrupt:
            self._save(before)
            raise
        self._optimizer.step()
        self._rates.step()
        self.records.append(Step(step, self.steps, loss, self._seconds(started), decoded))
        self._saved(step)
        return self.records[-1]

    def _saved(self, step: int) -> None:
        late = time.perf_counter() - self._saved_at >= CHECKPOINT_APART
        if (late and step % CHECKPOINT_EVERY == 0) or step == self.steps:
            self._save(self._moment())

    def _seconds(self, started: float) -> float:
        sat = self.records[-1].seconds if self.records else 0.0
        return sat + time.perf_counter() - started

    def _backward(self, parts: Iterable[Part]) -> float:
        """Sums the gradients of the parts, one by one; the batch's loss."""
        losses = 0.0
        for part in parts:
            loss = part.loss.item()
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss}: lower the learning rate (lr={self.lr}) or look for "
                    "extreme values in the data"
                )
            (part.loss * part.share).backward()
            losses += loss * part.share
        return losses

    def _moment(self, *, needed: bool = False) -> dict[str, Any]:
        """What a step uses up: the streams of draws, and what the estimator has learnt."""
        if self.checkpoint is None and not needed:
            return {}
        draws = {"batches": self.batches.get_state(), "noise": self.noise.get_state()}
        return {"draws": draws, "learnt": dict(self._learnt)}

    def _set_moment(self, moment: Mapping[str, Any]) -> None:
        self.batches.set_state(moment["draws"]["batches"].cpu())
        self.noise.set_state(moment["draws"]["noise"].cpu())
        self._learnt.clear()
        self._learnt.update(moment["learnt"])

    def _save(self, moment: dict[str, Any]) -> None:
        """Keeps it, unless there is nothing, or a step has failed that nobody has looked at."""
        known = [] if self._file.file is None else [record.now() for record in self.records]
        if not known or not all(math.isfinite(step.loss) for step in known):
            return
        records = [[s.step, s.steps, s.loss, s.seconds, s.decoded] for s in known]
        trained = {"optimizer": self._optimizer, "schedule": self._rates}
        states = {name: it.state_dict() for name, it in trained.items()}
        self._file.write({"records": records, **states, **moment})
        self._saved_at = time.perf_counter()

    def _restored(self) -> list[Step]:
        """The steps that the checkpoint holds; all else is set to where it stopped."""
        state = self._file.read(self.device)
        if state is None:
            return []
        numbered = {int(n): of for n, of in state["optimizer"]["state"].items()}  # not in JSON
        self._optimizer.load_state_dict(state["optimizer"] | {"state": numbered})
        self._rates.load_state_dict(state["schedule"])
        self._set_moment(state)
        return [Step(*record) for record in state["records"]]


def check_sizes(**sizes: int) -> None:
    """Each named size must be at least 1; raises ValueError otherwise."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, not {size}")
