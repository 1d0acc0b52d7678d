"""net1: siamese training from integer codes, by outcomes or by contrast."""

import os
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy

from tabkit.data import Dataset
from tabkit.data.splits import Index
from tabkit.devices import is_gpu
from tabkit.nets.interface import device_of, dtype_of, parameters_of
from tabkit.schema import Rows
from tabkit.train.fit import Fit, Part, Work, check_sizes


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
    capture: bool = True,
) -> Fit:
    """Trains net1 as a siamese net, from integer codes.

    The loss is the mean of ``(|z_i - z_j| - |y_i - y_j|)^2`` over pairs of rows, z net1's outputs
    and y the outcomes: squared standard deviations. Each row of a batch is paired with `partners`
    others of the batch. Adam, with a one-cycle schedule (Smith and Topin, arXiv:1708.07120)
    that peaks at `lr`.

    Of a data set without outcomes, net1 learns to know each row of a batch again in its copy, in
    which a share `corruption` of the columns has the values of other rows (`contrast_loss`).

    On CUDA the steps are captured as one graph (`Fit`); `capture=False` takes them one by one.

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

    def prepare(fit: Fit) -> Work:
        data = dataset.to(device_of(net1), dtype_of(net1))

        def parts(*drawn: Tensor) -> Iterator[Part]:
            yield Part(siamese_loss(net1, data, *drawn, partners=partners))

        return Work(lambda: siamese_draws(fit, batch, corruption), parts)

    settings = {"batch": batch, "partners": partners}
    settings |= {} if dataset.outcomes.shape[1] else {"corruption": corruption}
    run = {"steps": steps, "lr": lr, "seed": seed, "checkpoint": checkpoint, "capture": capture}
    return Fit("fit_encoder", {"net1": net1}, dataset, prepare, settings, **run)


def siamese_draws(fit: Fit, batch: int, corruption: float) -> tuple[Tensor, ...]:
    """What `siamese_loss` takes for a batch: the rows; without outcomes, what is corrupted."""
    index, data = fit.draw(batch), fit.dataset
    if data.outcomes.shape[1]:
        return (index,)
    width = data.rows.codes.shape[1] + data.rows.continuous.shape[1]
    return index, *corruption_of(batch, width, data.train, corruption, fit.batches)


def siamese_loss(
    net1: Any, dataset: Dataset, index: Tensor, *corruption: Tensor, partners: int
) -> Float[Tensor, ""]:
    """What trains net1 on the rows at `index`: their outcomes; contrast where there are none."""
    if dataset.outcomes.shape[1]:
        return encoder_loss(net1, dataset, index, partners)
    return contrast_loss(net1, dataset, index, *corruption)


def encoder_loss(net1: Any, dataset: Dataset, index: Tensor, partners: int) -> Float[Tensor, ""]:
    """The siamese loss of `fit_encoder` on the rows at `index`."""
    where = device_of(net1), dtype_of(net1)
    rows, y = dataset.rows[index].to(*where), dataset.outcomes[index].to(*where)
    z = net1(rows.codes, rows.continuous)
    if is_gpu(z.device):
        return (partner_distances(z, partners) - partner_distances(y, partners)).pow(2).mean()
    shifts = range(1, partners + 1)
    errors = [row_distances(z, z.roll(s, 0)) - row_distances(y, y.roll(s, 0)) for s in shifts]
    return torch.stack(errors).pow(2).mean()


def partner_distances(a: Float[Tensor, "B D"], partners: int) -> Float[Tensor, "P B"]:
    """The same distances, of all partners at once: a tenth of the kernels, more memory."""
    rows = torch.arange(len(a), device=a.device)
    shifts = torch.arange(1, partners + 1, device=a.device)[:, None]
    return row_distances(a, a[(rows - shifts) % len(a)])


def contrast_loss(
    net1: Any, dataset: Dataset, index: Tensor, chosen: Bool[Tensor, "B W"], other: Tensor
) -> Float[Tensor, ""]:
    """InfoNCE, in nats: the cross-entropy of finding a row's copy among those of the batch.

    The logits are minus the squared distances between net1's outputs for the rows and for the
    copies, in which the `chosen` columns are those of `other` rows (`corruption_of`); chance is
    log B.

    Source
    ------
    Bahri et al., SCARF, arXiv:2106.15147. It takes the cosine of a head behind net1, which is
    thrown away; here it is the distance by which net0 will be trained.
    """
    where = device_of(net1), dtype_of(net1)
    rows = dataset.rows[index]
    copies = corrupted(rows, dataset.rows, chosen, other)
    z, copy = (net1(r.codes, r.continuous) for r in (rows.to(*where), copies.to(*where)))
    logits = 2 * z @ copy.T - copy.pow(2).sum(dim=1)  # (B, B): |z|^2 is the same in a whole row
    return cross_entropy(logits, torch.arange(len(z), device=z.device))


def corruption_of(
    rows: int, width: int, source: Index, corruption: float, generator: Generator
) -> tuple[Bool[Tensor, "B W"], Int64[Tensor, "B W"]]:
    """Which columns of a batch are corrupted, a share of them, at least one; and by which rows.

    Which ones differs from row to row; each gets the value of a random row of `source`, positions,
    drawn for itself, so that values keep their frequencies.
    """
    few = max(1, round(corruption * width))
    order = torch.rand(rows, width, generator=generator).argsort(dim=1)
    chosen = torch.zeros(rows, width, dtype=torch.bool).scatter_(1, order[:, :few], True)
    return chosen, source[torch.randint(len(source), (rows, width), generator=generator)]


def corrupted(
    rows: Rows, source: Rows, chosen: Bool[Tensor, "B W"], other: Int64[Tensor, "B W"]
) -> Rows:
    """Rows whose `chosen` columns, the categorical ones first, are those of `other` rows."""
    C = rows.codes.shape[1]
    codes = source.codes.gather(0, other[:, :C])
    numbers = source.continuous.gather(0, other[:, C:])
    return Rows(
        torch.where(chosen[:, :C], codes, rows.codes),
        torch.where(chosen[:, C:], numbers, rows.continuous),
    )


def check_siamese(net1: Any, batch: int, partners: int) -> None:
    """net1 must have something to train, and no row may be its own partner; else ValueError."""
    if not any(p.requires_grad for p in parameters_of(net1)):
        remedy = "net1.requires_grad_(True), or train net0 behind it by fit_predictor"
        raise ValueError(f"net1 is frozen, or a function: {remedy}")
    if partners >= batch:
        raise ValueError(f"partners ({partners}) must be fewer than the rows of a batch ({batch})")


def row_distances(a: Float[Tensor, "B Z"], b: Float[Tensor, "*P B Z"]) -> Float[Tensor, "*P B"]:
    """Euclidean distance row by row; its gradient is finite for equal rows too."""
    return ((a - b).pow(2).sum(dim=-1) + 1e-12).sqrt()
