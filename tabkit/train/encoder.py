"""net1: siamese training from integer codes."""

import os
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.data import Dataset
from tabkit.nets.interface import device_of, dtype_of, parameters_of
from tabkit.train.contrast import contrast_loss
from tabkit.train.fit import Fit, Part, PartsOf, check_sizes


def fit_encoder(
    net1: Any,
    dataset: Dataset,
    *,
    steps: int = 1500,
    batch: int = 2048,
    lr: float = 3e-3,
    partners: int = 8,
    corruption: float = 0.6,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Fit:
    """Trains net1 as a siamese net, from integer codes.

    The loss is the mean of ``(|z_i - z_j| - |y_i - y_j|)^2`` over pairs of rows, z net1's outputs
    and y the outcomes: squared standard deviations. Each row of a batch is paired with `partners`
    others of the batch. Adam, with a one-cycle schedule (Smith and Topin, arXiv:1708.07120)
    that peaks at `lr`.

    Of a data set without outcomes, net1 learns to know each row of a batch again in its copy, in
    which a share `corruption` of the columns has the values of other rows (`contrast_loss`).

    Returns
    -------
    Fit
        Trains when it is driven: ``fit_encoder(net1, data).run()``.

    Raises
    ------
    ValueError
        If a size is below 1, net1 is frozen, `partners` is not below `batch`, `corruption` not
        above 0 and at most 1, or the checkpoint belongs to another run.
    FloatingPointError
        While it trains, if the loss is not finite.
    """
    check_sizes(steps=steps, batch=batch, partners=partners)
    check_siamese(net1, batch, partners)

    if not 0 < corruption <= 1:
        raise ValueError(f"corruption must be above 0 and at most 1, not {corruption}")
    knobs = {"partners": partners, "corruption": corruption}

    def prepare(fit: Fit) -> PartsOf:
        return lambda _: [Part(siamese_loss(net1, dataset, fit.draw(batch), fit.batches, **knobs))]

    settings = {"batch": batch, "partners": partners}
    settings |= {} if dataset.outcomes.shape[1] else {"corruption": corruption}
    run = {"steps": steps, "lr": lr, "seed": seed, "checkpoint": checkpoint}
    return Fit("fit_encoder", {"net1": net1}, dataset, prepare, settings, **run)


def siamese_loss(
    net1: Any,
    dataset: Dataset,
    index: Tensor,
    generator: torch.Generator,
    *,
    partners: int,
    corruption: float,
) -> Float[Tensor, ""]:
    """What trains net1 on the rows at `index`: their outcomes; contrast where there are none."""
    if dataset.outcomes.shape[1]:
        return encoder_loss(net1, dataset, index, partners)
    return contrast_loss(net1, dataset, index, corruption, generator)


def encoder_loss(net1: Any, dataset: Dataset, index: Tensor, partners: int) -> Float[Tensor, ""]:
    """The siamese loss of `fit_encoder` on the rows at `index`."""
    where = device_of(net1), dtype_of(net1)
    rows, y = dataset.rows[index].to(*where), dataset.outcomes[index].to(*where)
    z = net1(rows.codes, rows.continuous)
    shifts = range(1, partners + 1)
    errors = [row_distances(z, z.roll(s, 0)) - row_distances(y, y.roll(s, 0)) for s in shifts]
    return torch.stack(errors).pow(2).mean()


def check_siamese(net1: Any, batch: int, partners: int) -> None:
    """net1 must have something to train, and no row may be its own partner; else ValueError."""
    if not any(p.requires_grad for p in parameters_of(net1)):
        remedy = "net1.requires_grad_(True), or train net0 behind it by fit_predictor"
        raise ValueError(f"net1 is frozen, or a function: {remedy}")
    if partners >= batch:
        raise ValueError(f"partners ({partners}) must be fewer than the rows of a batch ({batch})")


def row_distances(a: Float[Tensor, "B Z"], b: Float[Tensor, "B Z"]) -> Float[Tensor, " B"]:
    """Euclidean distance row by row; its gradient is finite for equal rows too."""
    return ((a - b).pow(2).sum(dim=1) + 1e-12).sqrt()
