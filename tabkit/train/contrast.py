"""Contrast: net1 trained without outcomes, to know a row again in its corrupted copy."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy

from tabkit.data import Dataset
from tabkit.nets.interface import device_of, dtype_of
from tabkit.schema import Rows


def contrast_loss(
    net1: Any, dataset: Dataset, index: Tensor, corruption: float, generator: Generator
) -> Float[Tensor, ""]:
    """InfoNCE, in nats: the cross-entropy of finding a row's copy among those of the batch.

    The logits are minus the squared distances between net1's outputs for the rows and for the
    copies; chance is log B.

    Source
    ------
    Bahri et al., SCARF, arXiv:2106.15147. It takes the cosine of a head behind net1, which is
    thrown away; here it is the distance by which net0 will be trained.
    """
    where = device_of(net1), dtype_of(net1)
    rows = dataset.rows[index]
    copies = corrupted(rows, dataset.rows, dataset.train, corruption, generator)
    z, copy = (net1(r.codes, r.continuous) for r in (rows.to(*where), copies.to(*where)))
    logits = 2 * z @ copy.T - copy.pow(2).sum(dim=1)  # (B, B): |z|^2 is the same in a whole row
    return cross_entropy(logits, torch.arange(len(z), device=z.device))


def corrupted(
    rows: Rows, source: Rows, index: Tensor, corruption: float, generator: Generator
) -> Rows:
    """Rows in which a share of the columns, at least one, has values of other rows.

    Which columns differs from row to row; each gets the value of a random row of `source` at
    `index`, drawn for itself, so that values keep their frequencies.
    """
    B, C = rows.codes.shape
    width = C + rows.continuous.shape[1]
    few = max(1, round(corruption * width))
    order = torch.rand(B, width, generator=generator).argsort(dim=1)
    chosen = torch.zeros(B, width, dtype=torch.bool).scatter_(1, order[:, :few], True)
    other = index[torch.randint(len(index), (B, width), generator=generator)]
    codes = source.codes.gather(0, other[:, :C])
    numbers = source.continuous.gather(0, other[:, C:])
    return Rows(
        torch.where(chosen[:, :C], codes, rows.codes),
        torch.where(chosen[:, C:], numbers, rows.continuous),
    )
