"""The one loop that every training shares: updates, records, checkpoints."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

CHECKPOINT_EVERY = 200


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
        Since the loop began or picked up.
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
    """What one loop trains, draws from and writes."""

    kind: str
    modules: dict[str, nn.Module]
    steps: int
    lr: float
    seed: int
    settings: dict[str, Any]
    checkpoint: str | os.PathLike[str] | None

    def __post_init__(self) -> None:
        self.file = None if self.checkpoint is None else Path(self.checkpoint)
        parameters = [p for m in self.modules.values() for p in m.parameters()]
        self.device = parameters[0].device
        self.optimizer = torch.optim.Adam(parameters, lr=self.lr)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, self.lr, total_steps=max(self.steps, 2)
        )
        self.batches = torch.Generator().manual_seed(self.seed)
        self.noise = torch.Generator(self.device).manual_seed(self.seed)

    def run(self, loss_of: Callable[[int], tuple[Tensor, float | None]]) -> Iterator[Step]:
        """Yields a step per update; saves now and then, at the end, and when abandoned."""
        done = self._restore()
        started = time.perf_counter()
        try:
            while done < self.steps:
                loss, decoded = loss_of(done + 1)
                self._update(loss)
                done += 1
                if done % CHECKPOINT_EVERY == 0 or done == self.steps:
                    self._save(done)
                seconds = time.perf_counter() - started
                yield Step(done, self.steps, loss.item(), seconds, decoded)
        except GeneratorExit:
            self._save(done)
            raise

    def _update(self, loss: Float[Tensor, ""]) -> None:
        if not loss.isfinite():
            raise FloatingPointError(
                f"the loss is {loss.item()}: lower the learning rate (lr={self.lr}) or look for "
                "extreme values in the data"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()

    def draw(self, index: Tensor, batch: int) -> Tensor:
        """A batch of row positions, with replacement."""
        return index[torch.randint(len(index), (batch,), generator=self.batches)]

    def _identity(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "steps": self.steps,
            "lr": self.lr,
            "seed": self.seed,
            **self.settings,
        }

    def _save(self, done: int) -> None:
        if self.file is None:
            return
        state = {
            "identity": self._identity(),
            "done": done,
            "modules": {name: m.state_dict() for name, m in self.modules.items()},
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "batches": self.batches.get_state(),
            "noise": self.noise.get_state(),
        }
        write_atomically(self.file, lambda path: torch.save(state, path))

    def _restore(self) -> int:
        if self.file is None or not self.file.exists():
            return 0
        state = torch.load(self.file, map_location=self.device, weights_only=True)
        self._check_identity(state["identity"])
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.batches.set_state(state["batches"].cpu())
        self.noise.set_state(state["noise"].cpu())
        return state["done"]

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
