"""Where net0 is least sure: a part of its problem that is small enough for an exact gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.special import entr

from tabkit.data import Dataset
from tabkit.estimators import Objective
from tabkit.nets import RowEncoder, RowPredictor, Simplex, SquaredDistance, encode_rows
from tabkit.schema import argmax_codes, one_hot_simplex, split_blocks

JOINT_TABLE = 1_000  # rows, all of which an exact gradient tries: 0.3 s
Problem = tuple[Simplex, Objective, tuple[int, ...], tuple[tuple[str, ...], ...]]


@torch.no_grad()
def doubtful(
    net0: RowPredictor, net1: RowEncoder, dataset: Dataset, *, rows: int = 2
) -> tuple[str, ...]:
    """The columns of most entropy in the first test rows whose joint table is small."""
    logits = net0.logits(net0(dataset.signal[dataset.test[:rows]]), net1)
    blocks = split_blocks(logits, dataset.schema.cardinalities)
    doubt = [entr(block.softmax(dim=1)).sum().item() for block in blocks]
    kept, size = [], 1
    for c in sorted(range(len(doubt)), key=doubt.__getitem__, reverse=True):
        column = dataset.schema.categorical[c]
        if size * column.cardinality <= JOINT_TABLE:
            size *= column.cardinality
            kept.append(column.name)
    return tuple(kept)


def problem_of(
    net0: RowPredictor, net1: RowEncoder, dataset: Dataset, columns: Sequence[str], *, rows: int = 2
) -> Problem:
    """net0's logits for the first test rows in some columns, and the loss that these lead to.

    The other columns stay as net0 decodes them.

    Returns
    -------
    logits, objective, cardinalities, labels
        As `tabkit.widgets.gradient_explorer` takes them.
    """
    some, widths = dataset.test[:rows], dataset.schema.cardinalities
    truth = dataset.rows[some]
    with torch.no_grad():
        prediction = net0(dataset.signal[some])
        logits = net0.logits(prediction, net1)
    whole = SquaredDistance(net1, prediction.continuous, encode_rows(net1, truth), truth.codes)
    decoded = split_blocks(one_hot_simplex(argmax_codes(logits, widths), widths), widths)
    names = [column.name for column in dataset.schema.categorical]
    kept = [names.index(name) for name in columns]
    chosen = [dataset.schema.categorical[c] for c in kept]
    cardinalities = tuple(column.cardinality for column in chosen)

    def objective(simplex: Simplex) -> Tensor:
        blocks = list(decoded)
        for c, block in zip(kept, split_blocks(simplex, cardinalities), strict=True):
            blocks[c] = block
        return whole(torch.cat(blocks, dim=1))

    part = torch.cat([split_blocks(logits, widths)[c] for c in kept], dim=1)
    return part, objective, cardinalities, tuple(column.labels for column in chosen)
