"""net0: training behind a frozen net1, or together with it."""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from torch import Tensor

from tabkit.data import Dataset
from tabkit.estimators import Estimator
from tabkit.nets import ObjectiveOf, cardinalities_of, folded, head_of, is_frozen
from tabkit.train.checkpoint import digest_of
from tabkit.train.encoder import check_siamese, siamese_draws, siamese_loss
from tabkit.train.fit import Fit, Part, Work, check_sizes
from tabkit.train.predicting import Distances, Predicting, check_seen
from tabkit.train.schedules import Schedule, check_schedules


def fit_predictor(
    net0: Any,
    net1: Any,
    dataset: Dataset,
    estimator: Estimator,
    *,
    objective: ObjectiveOf | None = None,
    steps: int = 1000,
    batch: int = 512,
    lr: float = 3e-3,
    schedules: Mapping[str, Schedule] | None = None,
    decode_every: int = 0,
    micro_batch: int | None = None,
    unseen: bool = False,
    fixed: Mapping[str, Any] | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    capture: bool = True,
) -> Fit:
    """Trains net0 to predict rows from the signal, by a loss behind frozen net1.

    By default the squared distance to net1's output for the true row: no true codes are used but by
    the `cross_entropy` reference, and by an estimator with a `label_weight`. A knob that changes
    between two steps (`estimator.change`) acts at the next; to pick such a run up, start with the
    knob's first value and change it by the step again.

    Parameters
    ----------
    net0
        A `RowPredictor`, or any module from a signal to logits (B, F) and numbers (B, N).
    net1
        A `RowEncoder`, or any frozen net with its interface (`tabkit.nets.interface`).
    objective
        ``objective(net1, batch)`` returns what the rows of a `Batch` cost, a function of their
        simplex (B, F) to a loss per row (B,). Such as, for a net1 that scores rows,
        ``lambda net1, batch: lambda simplex: -net1(simplex, batch.continuous).squeeze(1)``.
    schedules
        A `Schedule` for each knob that shall change, such as ``{"tau": Cosine(2, 0.2)}``.
    decode_every
        Measure the decoded loss of the batch, by argmax, every so many steps; never if 0.
    micro_batch
        At most so many rows of a batch at a time, their gradients summed: for large batches in
        little memory. To float precision the result is that of the whole batch, but for estimators
        that draw several times a row (then the noise is another), or keep a moving baseline.
    unseen
        Allow categories that no training row has: nothing has trained their embeddings, so they
        are masked if not asked for, in net0 too.
    fixed
        Values that all rows shall have, by column, such as ``{"origin": "JFK", "seats": 150}``.
        net0 keeps them, and predicts the other columns.
    capture
        On CUDA, take the steps as one graph (`Fit`), where the estimator and the objective ask the
        device for nothing; if not, or if they do, one by one.

    Returns
    -------
    Fit
        Trains when it is driven: ``fit_predictor(...).run()``. A step's loss is the relaxed one.

    Raises
    ------
    ValueError
        If net1 is not frozen, or is no net of these columns, net0's head does not fit the
        estimator, a size is below 1, or the checkpoint belongs to another run.
    DataError
        If a fixed value is none of its column, or of a column that no training row has.
    FloatingPointError
        While it trains, if a logit or the loss is not finite.
    """
    check_sizes(steps=steps, batch=batch, micro_batch=micro_batch or batch)
    check_predictor(net0, net1, dataset, estimator, decode_every)
    if not is_frozen(net1):
        raise ValueError("net1 still trains: call tabkit.freeze(net1) first")
    check_schedules(estimator, schedules, steps)
    given = dataset.schema.fix(fixed or {})
    check_seen(given, dataset, unseen)

    def prepare(fit: Fit) -> Work:
        behind = folded(net1)  # the estimators hand over simplexes
        loop = Predicting(net0, behind, dataset, estimator, unseen=unseen, fixed=given)
        often = steps * batch >= len(dataset)  # each row is needed once: encode all of them
        make, part = objective or Distances(behind, loop.data, all_at_once=often), micro_batch

        def parts(index: Tensor) -> Iterator[Part]:
            for some in index.split(part or batch):
                loss = loop.relaxed(*loop.asked(some, make), fit.noise)
                yield Part(loss, len(some) / batch)

        def decoded(index: Tensor) -> Tensor:
            return loop.decoded_at(index, make, part or batch)

        return Work(lambda: (fit.draw(batch),), parts, decoded, decode_every)

    settings = {"batch": batch, "objective": digest_of(objective)}
    settings |= {"decode_every": decode_every, "unseen": unseen}
    settings |= {"fixed": repr(given.values)} if fixed else {}
    run = {"steps": steps, "lr": lr, "seed": seed, "checkpoint": checkpoint, "capture": capture}
    by = {"reads": {"net1": net1}, "estimator": estimator, "schedules": schedules}
    return Fit("fit_predictor", {"net0": net0}, dataset, prepare, settings, **run, **by)


def fit_jointly(
    net0: Any,
    net1: Any,
    dataset: Dataset,
    estimator: Estimator,
    *,
    steps: int = 1500,
    batch: int = 1024,
    lr: float = 3e-3,
    partners: int = 8,
    corruption: float = 0.6,
    weight: float = 1.0,
    schedules: Mapping[str, Schedule] | None = None,
    decode_every: int = 0,
    unseen: bool = False,
    fixed: Mapping[str, Any] | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    capture: bool = True,
) -> Fit:
    """Trains net0 and net1 together: net1's own loss plus `weight` times net0's loss behind net1.

    The target, net1's output for the true row, is detached: net1 may move the predicted row's
    output, but not lower the loss by pulling all targets to one point, which the siamese loss
    opposes too. The parameters are those of `fit_encoder` and `fit_predictor`.

    Returns
    -------
    Fit
        Trains when it is driven: ``fit_jointly(...).run()``. A step's loss is the sum.

    Raises
    ------
    ValueError
        If net1 is frozen, or as `fit_predictor`.
    FloatingPointError
        While it trains, if the loss is not finite.
    """
    check_sizes(steps=steps, batch=batch, partners=partners)
    check_predictor(net0, net1, dataset, estimator, decode_every)
    check_siamese(net1, batch, partners)
    check_schedules(estimator, schedules, steps)
    given = dataset.schema.fix(fixed or {})
    check_seen(given, dataset, unseen)

    def prepare(fit: Fit) -> Work:
        loop = Predicting(net0, net1, dataset, estimator, unseen=unseen, fixed=given)
        make = Distances(net1, loop.data)

        def parts(index: Tensor, *drawn: Tensor) -> Iterator[Part]:
            relaxed = loop.relaxed(*loop.asked(index, make), fit.noise)
            own = siamese_loss(net1, loop.data, index, *drawn, partners=partners)
            yield Part(own + weight * relaxed)

        def decoded(index: Tensor, *_: Tensor) -> Tensor:
            return loop.decoded_at(index, make, batch)

        draws = partial(siamese_draws, fit, batch, corruption)
        return Work(draws, parts, decoded, decode_every)

    nets, settings = {"net0": net0, "net1": net1}, {"batch": batch, "partners": partners}
    settings |= {"weight": weight, "decode_every": decode_every, "unseen": unseen}
    settings |= {"fixed": repr(given.values)} if fixed else {}
    run = {"steps": steps, "lr": lr, "seed": seed, "checkpoint": checkpoint, "capture": capture}
    by = {"estimator": estimator, "schedules": schedules}
    return Fit("fit_jointly", nets, dataset, prepare, settings, **run, **by)


def check_predictor(
    net0: Any, net1: Any, dataset: Dataset, estimator: Estimator, decode_every: int
) -> None:
    """net0 has the head that the estimator takes, net1 the data's columns; else ValueError."""
    if head_of(net0) != estimator.head:
        raise ValueError(
            f"{estimator!r} takes the {estimator.head!r} head, but net0 has the {head_of(net0)!r} "
            f"head: RowPredictor(..., head={estimator.head!r})"
        )
    own, wanted = cardinalities_of(net1), tuple(dataset.schema.cardinalities)
    if own != wanted:
        both = f"net1's cardinalities are {own}, those of the data {wanted}"
        raise ValueError(f"{both}: it is a net of other columns")
    if decode_every < 0:
        raise ValueError(f"decode_every must be at least 0, not {decode_every}")
