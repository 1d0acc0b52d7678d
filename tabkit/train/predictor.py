"""net0: training behind a frozen net1, or together with it."""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.data import Dataset
from tabkit.estimators import Estimator
from tabkit.nets import (
    FoldedEncoder,
    RowEncoder,
    RowPredictor,
    SquaredDistance,
    encode_rows,
    is_frozen,
)
from tabkit.schema import argmax_codes
from tabkit.train.encoder import check_siamese, encoder_loss
from tabkit.train.loop import Loop, Part, Step, check_sizes, identity_of
from tabkit.train.schedules import Schedule, apply_schedules, start_schedules


def fit_predictor(
    net0: RowPredictor,
    net1: RowEncoder,
    dataset: Dataset,
    estimator: Estimator,
    *,
    steps: int = 1000,
    batch: int = 512,
    lr: float = 3e-3,
    schedules: Mapping[str, Schedule] | None = None,
    decode_every: int = 0,
    micro_batch: int | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Iterator[Step]:
    """Trains net0 to predict rows from the signal, by the squared distance behind frozen net1.

    No true codes are used but by the `cross_entropy` reference: the target is net1's output for
    the true row. A knob that changes between two steps (`estimator.change`) acts at the next;
    to pick such a run up, start with the knob's first value and change it by the step again. The
    nets are float32, as the data is.

    Parameters
    ----------
    schedules
        A `Schedule` for each knob that shall change, such as ``{"tau": Cosine(2, 0.2)}``.
    decode_every
        Measure the decoded loss of the batch every so many steps; never if 0.
    micro_batch
        At most so many rows of a batch at a time, their gradients summed: for large batches in
        little memory. To float precision the result is that of the whole batch, but for estimators
        that draw column by column or several times a row (then the noise is another), or keep a
        moving baseline.

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
    check_sizes(steps=steps, batch=batch, micro_batch=micro_batch or batch)
    check_predictor(net0, estimator, decode_every)
    if not is_frozen(net1):
        raise ValueError("net1 still trains: call tabkit.freeze(net1) first")
    start_schedules(estimator, schedules, steps)
    settings = {
        "batch": batch,
        "estimator": repr(estimator),
        "schedules": repr(schedules or {}),
        "decode_every": decode_every,
        **identity_of(checkpoint, dataset, net1=net1),
    }
    loop = Loop("predictor", {"net0": net0}, steps, lr, seed, settings, checkpoint, estimator)

    folded = net1.folded(validate_args=False)  # the estimators hand over simplexes
    device = next(net1.parameters()).device
    often = steps * batch >= len(dataset.rows)  # each row is needed about once: encode all of them

    @cache
    def targets() -> Float[Tensor, "B Z"]:
        return encode_rows(net1, dataset.rows)

    def parts_of(step: int) -> Iterator[Part]:
        apply_schedules(estimator, schedules, step, steps)
        index = loop.draw(dataset.train, batch)
        for part in index.split(micro_batch or batch):
            target = targets()[part.to(device)] if often else None
            loss, decoded = predictor_loss(
                net0, folded, dataset, part, estimator, loop.noise, target=target
            )
            hard = decoded().item() if is_due(step, decode_every) else None
            yield Part(loss, hard, len(part) / batch)

    return finished(loop.run(parts_of), lambda: apply_schedules(estimator, schedules, steps, steps))


def predictor_loss(
    net0: RowPredictor,
    net1: RowEncoder | FoldedEncoder,
    dataset: Dataset,
    index: Tensor,
    estimator: Estimator,
    noise: torch.Generator | None,
    *,
    target: Float[Tensor, "B Z"] | None = None,
) -> tuple[Float[Tensor, ""], Callable[[], Float[Tensor, ""]]]:
    """The relaxed loss of the rows at `index`, and a function that measures the decoded loss.

    The target is net1's output for the true rows, which is found here if it is not given.

    Raises
    ------
    FloatingPointError
        If net0's output is not finite.
    """
    device = next(net1.parameters()).device
    rows = dataset.rows[index].to(device)
    prediction = net0(dataset.signal[index].to(device))
    if not all(is_finite(part) for part in prediction):
        raise FloatingPointError(
            "net0's output is not finite: lower the learning rate or look for extreme values in "
            "the data"
        )
    target = encode_rows(net1, rows) if target is None else target
    objective = SquaredDistance(net1, prediction.continuous, target, rows.codes)
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
    schedules: Mapping[str, Schedule] | None = None,
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
    check_sizes(steps=steps, batch=batch, partners=partners)
    check_predictor(net0, estimator, decode_every)
    check_siamese(net1, batch, partners)
    start_schedules(estimator, schedules, steps)
    settings = {
        "batch": batch,
        "partners": partners,
        "weight": weight,
        "estimator": repr(estimator),
        "schedules": repr(schedules or {}),
        "decode_every": decode_every,
        **identity_of(checkpoint, dataset),
    }
    modules = {"net0": net0, "net1": net1}
    loop = Loop("joint", modules, steps, lr, seed, settings, checkpoint, estimator)

    def parts_of(step: int) -> Iterator[Part]:
        apply_schedules(estimator, schedules, step, steps)
        index = loop.draw(dataset.train, batch)
        relaxed, decoded = predictor_loss(net0, net1, dataset, index, estimator, loop.noise)
        loss = encoder_loss(net1, dataset, index, partners) + weight * relaxed
        yield Part(loss, decoded().item() if is_due(step, decode_every) else None)

    return finished(loop.run(parts_of), lambda: apply_schedules(estimator, schedules, steps, steps))


def finished(steps: Iterator[Step], then: Callable[[], None]) -> Iterator[Step]:
    """The steps, and after the last of them, even if it was replayed, something more."""
    yield from steps
    then()


def is_finite(values: Float[Tensor, "B _"]) -> bool:
    """Whether all values are. Their sum is the cheapest look; one that overflows needs another."""
    values = values.detach()
    return math.isfinite(values.sum()) or bool(values.isfinite().all())


def is_due(step: int, every: int) -> bool:
    """Whether something that is done in the first and every so many steps is done in this one."""
    return every > 0 and (step == 1 or step % every == 0)


def check_predictor(net0: RowPredictor, estimator: Estimator, decode_every: int) -> None:
    """net0's head must be the one that the estimator takes.

    Raises
    ------
    ValueError
        Otherwise, or if `decode_every` is negative.
    """
    if net0.head != estimator.head:
        raise ValueError(
            f"{estimator!r} takes the {estimator.head!r} head, but net0 has the {net0.head!r} "
            f"head: RowPredictor(..., head={estimator.head!r})"
        )
    if decode_every < 0:
        raise ValueError(f"decode_every must be at least 0, not {decode_every}")
