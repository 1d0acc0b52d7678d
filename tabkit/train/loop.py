"""The one loop that every training shares: updates, records, checkpoints."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tabkit.data import Dataset

CHECKPOINT_EVERY = 200  # steps


class Part(NamedTuple):
    """What one part of a batch contributes to a step.

    Attributes
    ----------
    loss : its loss, a mean over its rows
    decoded : the decoded loss of the same rows, if it was measured
    share : its share of the batch's rows
    """

    loss: Float[Tensor, ""]
    decoded: float | None = None
    share: float = 1.0


PartsOf = Callable[[int], Iterable[Part]]


@runtime_checkable
class Stateful(Protocol):
    """What learns from call to call beside the nets, such as an estimator's moving baseline."""

    def state(self) -> dict[str, float]: ...

    def load(self, state: dict[str, float]) -> None: ...


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


@dataclass
class Loop:
    """What one loop trains, draws from and writes.

    `settings` are what must be equal for a checkpoint to belong to this run, beside the steps,
    the learning rate and the seed.
    """

    kind: str
    modules: dict[str, nn.Module]
    steps: int
    lr: float
    seed: int
    settings: dict[str, Any]
    checkpoint: str | os.PathLike[str] | None
    stateful: Stateful | None = None
    records: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.file = None if self.checkpoint is None else Path(self.checkpoint)
        self.seen: tuple[int, int] | None = None
        parameters = [p for m in self.modules.values() for p in m.parameters()]
        self.device = parameters[0].device
        self.optimizer = torch.optim.Adam(parameters, lr=self.lr)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, self.lr, total_steps=max(self.steps, 2)
        )
        self.batches = torch.Generator().manual_seed(self.seed)
        self.noise = torch.Generator(self.device).manual_seed(self.seed)
        if self.stateful is not None:
            self.stateful.load({})

    def run(self, parts_of: PartsOf) -> Iterator[Step]:
        """Yields a step per update: those of the checkpoint first, then new ones.

        Saves every 200 steps, at the end, and when it is abandoned or interrupted; only an
        interrupt during the update itself falls back on the last save.
        """
        self._restore()
        for module in self.modules.values():
            module.train()
        try:
            yield from list(self.records)
            while len(self.records) < self.steps:
                yield self._step(parts_of)
        except GeneratorExit:
            if self.records and self.seen == self._signature():  # nobody else has written since
                self._save(self._moment())
            raise

    def _step(self, parts_of: PartsOf) -> Step:
        started, before, step = time.perf_counter(), self._moment(), len(self.records) + 1
        try:
            self.optimizer.zero_grad(set_to_none=True)
            loss, decoded = self._backward(parts_of(step))
        except KeyboardInterrupt:
            if self.records:
                self._save(before)
            raise
        self.optimizer.step()
        self.schedule.step()
        sat = self.records[-1].seconds if self.records else 0.0
        seconds = sat + time.perf_counter() - started
        self.records.append(Step(step, self.steps, loss, seconds, decoded))
        if step % CHECKPOINT_EVERY == 0 or step == self.steps:
            self._save(self._moment())
        return self.records[-1]

    def _backward(self, parts: Iterable[Part]) -> tuple[float, float | None]:
        """Sums the gradients of the parts, one by one; the batch's loss and decoded loss."""
        losses, decoded = 0.0, None
        for part in parts:
            if not part.loss.isfinite():
                raise FloatingPointError(
                    f"the loss is {part.loss.item()}: lower the learning rate (lr={self.lr}) or "
                    "look for extreme values in the data"
                )
            (part.loss * part.share).backward()
            losses += part.loss.item() * part.share
            if part.decoded is not None:
                decoded = (decoded or 0.0) + part.decoded * part.share
        return losses, decoded

    def draw(self, index: Tensor, batch: int) -> Tensor:
        """A batch of row positions, with replacement."""
        return index[torch.randint(len(index), (batch,), generator=self.batches)]

    def _moment(self) -> dict[str, Any]:
        """What a step uses up: the streams of draws, and what the estimator has learnt."""
        learnt = {} if self.stateful is None else self.stateful.state()
        draws = {"batches": self.batches.get_state(), "noise": self.noise.get_state()}
        return {"draws": draws, "learnt": learnt}

    def _identity(self) -> dict[str, Any]:
        own = {"kind": self.kind, "steps": self.steps, "lr": self.lr, "seed": self.seed}
        return own | self.settings

    def _signature(self) -> tuple[int, int] | None:
        """Which file lies at the checkpoint's path, if any."""
        if self.file is None or not self.file.exists():
            return None
        stat = self.file.stat()
        return stat.st_ino, stat.st_mtime_ns

    def _save(self, moment: dict[str, Any]) -> None:
        if self.file is None:
            return
        state = {
            "identity": self._identity(),
            "records": [astuple(record) for record in self.records],
            "modules": {name: m.state_dict() for name, m in self.modules.items()},
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            **moment,
        }
        write_atomically(self.file, lambda path: torch.save(state, path))
        self.seen = self._signature()

    def _restore(self) -> None:
        if self.file is None or not self.file.exists():
            return
        state = torch.load(self.file, map_location=self.device, weights_only=True)
        self._check_identity(state["identity"])
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.batches.set_state(state["draws"]["batches"].cpu())
        self.noise.set_state(state["draws"]["noise"].cpu())
        if self.stateful is not None:
            self.stateful.load(state["learnt"])
        self.records = [Step(*record) for record in state["records"]]
        self.seen = self._signature()

    def _check_identity(self, saved: dict[str, Any]) -> None:
        now = self._identity()
        changed = [key for key in now | saved if now.get(key) != saved.get(key)]
        if changed:
            there = ", ".join(f"{key}={saved.get(key)!r}" for key in changed)
            here = ", ".join(f"{key}={now.get(key)!r}" for key in changed)
            raise ValueError(
                f"{self.file} belongs to another run ({there}; now {here}): "
                "delete it or name another checkpoint"
            )


def identity_of(
    checkpoint: str | os.PathLike[str] | None, dataset: Dataset, **modules: nn.Module
) -> dict[str, str]:
    """Digests of the data and of the nets that a loop only reads; none without a checkpoint."""
    if checkpoint is None:
        return {}
    data = [dataset.rows.codes, dataset.outcomes, dataset.signal, dataset.train]
    nets = {name: digest(*module.state_dict().values()) for name, module in modules.items()}
    return {"data": digest(*data), **nets}


def digest(*tensors: Tensor) -> str:
    """A short digest of the tensors' shapes and bytes."""
    found = hashlib.blake2b(digest_size=8)
    for tensor in tensors:
        found.update(str(tuple(tensor.shape)).encode())
        found.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Writes beside `path` and renames, so that `path` is the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def check_sizes(**sizes: int) -> None:
    """Each named size must be at least 1.

    Raises
    ------
    ValueError
        Otherwise.
    """
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, not {size}")
