"""The training loops: generators that yield a `Step` a step.

A progress bar, a command line, a widget and a sweep all drive the same generators: `run` drains
one under a bar; ``for step in fit_predictor(...)`` may stop, plot or change a temperature between
steps. A loop with a `checkpoint` writes it atomically, also when it is abandoned, and picks up
from it, bitwise as if it had never stopped.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from tabkit.data import Dataset
from tabkit.estimators import Estimator
from tabkit.nets import DistanceObjective, RowEncoder, RowPredictor, encode_rows, is_frozen
from tabkit.schema import argmax_codes

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
class _Loop:
    """What one loop trains, draws from and writes."""

    kind: str
    modules: dict[str, nn.Module]
    steps: int
    lr: float
    seed: int
    settings: dict[str, Any]
    checkpoint: Path | None

    def __post_init__(self) -> None:
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
        if self.checkpoint is None:
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
        write_atomically(self.checkpoint, lambda path: torch.save(state, path))

    def _restore(self) -> int:
        if self.checkpoint is None or not self.checkpoint.exists():
            return 0
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
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
                f"{self.checkpoint} belongs to another run ({there}; now {here}): "
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


def fit_encoder(
    net1: RowEncoder,
    dataset: Dataset,
    *,
    steps: int = 1500,
    batch: int = 2048,
    lr: float = 3e-3,
    partners: int = 8,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Iterator[Step]:
    """Trains net1 as a siamese net, from integer codes.

    The loss is the mean of ``(|z_i - z_j| - |y_i - y_j|)^2`` over pairs of rows, z net1's outputs
    and y the outcomes: squared standard deviations. Each row of a batch is paired with `partners`
    others of the batch. Adam, with a one-cycle schedule (Smith and Topin, arXiv:1708.07120)
    that peaks at `lr`.

    Yields
    ------
    Step
        One a step.

    Raises
    ------
    ValueError
        If a size is below 1, or the checkpoint belongs to another run.
    FloatingPointError
        If the loss is not finite.
    """
    _check_sizes(steps=steps, batch=batch, partners=partners)
    if partners >= batch:
        raise ValueError(f"partners ({partners}) must be fewer than the rows of a batch ({batch})")
    settings = {"batch": batch, "partners": partners}
    loop = _Loop("encoder", {"net1": net1}, steps, lr, seed, settings, _path(checkpoint))

    def loss_of(_: int) -> tuple[Tensor, None]:
        index = loop.draw(dataset.train, batch)
        return encoder_loss(net1, dataset, index, partners), None

    net1.train()
    return loop.run(loss_of)


def encoder_loss(
    net1: RowEncoder, dataset: Dataset, index: Tensor, partners: int
) -> Float[Tensor, ""]:
    """The siamese loss of `fit_encoder` on the rows at `index`."""
    device = next(net1.parameters()).device
    rows, outcomes = dataset.rows[index].to(device), dataset.outcomes[index].to(device)
    outputs = net1(rows.codes, rows.continuous)
    errors = [
        pair_distances(outputs, outputs.roll(shift, 0))
        - pair_distances(outcomes, outcomes.roll(shift, 0))
        for shift in range(1, partners + 1)
    ]
    return torch.stack(errors).pow(2).mean()


def pair_distances(a: Float[Tensor, "B Z"], b: Float[Tensor, "B Z"]) -> Float[Tensor, " B"]:
    """Euclidean distance row by row; its gradient is finite for equal rows too."""
    return ((a - b).pow(2).sum(dim=1) + 1e-12).sqrt()


def fit_predictor(
    net0: RowPredictor,
    net1: RowEncoder,
    dataset: Dataset,
    estimator: Estimator,
    *,
    steps: int = 1000,
    batch: int = 512,
    lr: float = 3e-3,
    decode_every: int = 0,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Iterator[Step]:
    """Trains net0 to predict rows from the signal, by the squared distance behind frozen net1.

    No true codes are used but by the `cross_entropy` reference: the target is net1's output for
    the true row. A knob of the estimator that changes between two steps takes effect at the next.

    Parameters
    ----------
    decode_every
        Measure the decoded loss of the batch every so many steps; never if 0.

    Yields
    ------
    Step
        One a step; its loss is the relaxed loss of the batch.

    Raises
    ------
    ValueError
        If net1 is not frozen, net0's head does not fit the estimator, a size is below 1, or the
        checkpoint belongs to another run.
    FloatingPointError
        If the loss is not finite.
    """
    _check_sizes(steps=steps, batch=batch)
    check_head(net0, estimator)
    if not is_frozen(net1):
        raise ValueError("net1 still trains: call tabkit.freeze(net1) first")
    settings = {"batch": batch, "estimator": repr(estimator)}
    loop = _Loop("predictor", {"net0": net0}, steps, lr, seed, settings, _path(checkpoint))

    def loss_of(step: int) -> tuple[Tensor, float | None]:
        index = loop.draw(dataset.train, batch)
        loss, decoded = predictor_loss(net0, net1, dataset, index, estimator, loop.noise)
        wanted = decode_every and (step % decode_every == 0 or step == 1)
        return loss, decoded().item() if wanted else None

    net0.train()
    return loop.run(loss_of)


def predictor_loss(
    net0: RowPredictor,
    net1: RowEncoder,
    dataset: Dataset,
    index: Tensor,
    estimator: Estimator,
    noise: torch.Generator | None,
) -> tuple[Float[Tensor, ""], Callable[[], Float[Tensor, ""]]]:
    """The relaxed loss of the rows at `index`, and a function that measures the decoded loss."""
    device = next(net1.parameters()).device
    rows = dataset.rows[index].to(device)
    prediction = net0(dataset.signal[index].to(device))
    target = encode_rows(net1, rows)
    objective = DistanceObjective(net1, prediction.continuous, target, rows.codes)
    cardinalities = net1.embedding.cardinalities
    loss = estimator(
        prediction.categorical, objective, cardinalities=cardinalities, generator=noise
    )

    @torch.no_grad()
    def decoded() -> Float[Tensor, ""]:
        return objective(argmax_codes(net0.logits(prediction, net1), cardinalities)).mean()

    return loss, decoded


def fit_jointly(
    net0: RowPredictor,
    net1: RowEncoder,
    dataset: Dataset,
    estimator: Estimator,
    *,
    steps: int = 1500,
    batch: int = 1024,
    lr: float = 3e-3,
    partners: int = 8,
    weight: float = 1.0,
    decode_every: int = 0,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Iterator[Step]:
    """Trains net0 and net1 together: the siamese loss plus `weight` times net0's loss behind net1.

    The target, net1's output for the true row, is detached: net1 may move the predicted row's
    output, but not lower the loss by pulling all targets to one point, which the siamese loss
    opposes too.

    Yields
    ------
    Step
        One a step; its loss is the sum.

    Raises
    ------
    ValueError
        If net1 is frozen, or as `fit_predictor`.
    FloatingPointError
        If the loss is not finite.
    """
    _check_sizes(steps=steps, batch=batch, partners=partners)
    check_head(net0, estimator)
    if not all(p.requires_grad for p in net1.parameters()):
        raise ValueError("net1 is frozen: use fit_predictor, or net1.requires_grad_(True)")
    settings = {
        "batch": batch,
        "partners": partners,
        "weight": weight,
        "estimator": repr(estimator),
    }
    modules = {"net0": net0, "net1": net1}
    loop = _Loop("joint", modules, steps, lr, seed, settings, _path(checkpoint))

    def loss_of(step: int) -> tuple[Tensor, float | None]:
        index = loop.draw(dataset.train, batch)
        relaxed, decoded = predictor_loss(net0, net1, dataset, index, estimator, loop.noise)
        loss = encoder_loss(net1, dataset, index, partners) + weight * relaxed
        wanted = decode_every and (step % decode_every == 0 or step == 1)
        return loss, decoded().item() if wanted else None

    net0.train()
    net1.train()
    return loop.run(loss_of)


def check_head(net0: RowPredictor, estimator: Estimator) -> None:
    """net0's head must be the one that the estimator takes.

    Raises
    ------
    ValueError
        Otherwise.
    """
    if net0.head != estimator.head:
        raise ValueError(
            f"{estimator!r} takes the {estimator.head!r} head, but net0 has the {net0.head!r} "
            f"head: RowPredictor(..., head={estimator.head!r})"
        )


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, not {size}")


def _path(checkpoint: str | os.PathLike[str] | None) -> Path | None:
    return None if checkpoint is None else Path(checkpoint)


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
