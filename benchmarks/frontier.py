"""Right for net1, and plausible: net0 through net1 with a little cross-entropy on the true rows.

    python benchmarks/frontier.py            # about 10 minutes on one core; runs/frontier

On all flights, net1's tables started small, three seeds of net1 and net0: the decoded loss of test
rows, their accuracy, and how well a classifier tells them from true rows, by the weight of the
cross-entropy. `random row` is a training row in place of each prediction: it cannot be told from
true ones, and is right for nothing. By `sample`, each category is drawn by its probability. Each
net0 is a row of ``cells.csv`` in the folder, so an interrupted run goes on where it was; delete the
folder to measure afresh.
"""

from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import pandas as pd
import torch
from cells import Cell, Record, picked_up, run

from tabkit import (
    Dataset,
    RowEncoder,
    RowPredictor,
    Rows,
    SquaredDistance,
    compare,
    decode,
    fit_encoder,
    fit_predictor,
    flights,
    freeze,
)
from tabkit.compare.scores import accuracy_of
from tabkit.decoders import handed_over
from tabkit.estimators import Estimator
from tabkit.nets import encode_rows
from tabkit.simplex import argmax_codes

SEEDS = (0, 1, 2)
WEIGHTS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1)  # of the cross-entropy, in nats
THROUGH = {
    "straight_through_gumbel": ("argmax", "sample"),
    "gumbel_softmax": ("argmax",),
    "softmax": ("argmax", "search"),
    "cross_entropy": ("argmax", "sample"),
}
LABELS = "cross_entropy"  # alone: at no weight
RANDOM = "random row"
LANDED = 2_000  # test rows
ENCODER_STEPS = 1_500
SIZES = {"steps": 600, "batch": 256}  # of net0
OWN = ["seed", "estimator", "label_weight"]  # what names a cell
KEYS = ["estimator", "label_weight", "decoder"]


def cells() -> list[tuple[int, str, float]]:
    """Seed, estimator and weight of every net0, seed by seed."""
    weighted = [(name, weight) for name in THROUGH for weight in WEIGHTS if name != LABELS]
    return [(seed, *one) for seed in SEEDS for one in [(RANDOM, 0.0), *weighted, (LABELS, 0.0)]]


def trained_encoder(dataset: Dataset, seed: int, folder: Path) -> RowEncoder:
    """net1, trained or from the folder, frozen."""
    net1 = RowEncoder(dataset.schema, seed=seed)
    sizes = {
        "steps": ENCODER_STEPS,
        "seed": seed,
        "checkpoint": folder / f"net1-{seed}.safetensors",
    }
    for _ in fit_encoder(net1, dataset, **sizes):
        pass
    return freeze(net1)


def predicted(
    dataset: Dataset, net1: RowEncoder, index: torch.Tensor, cell: tuple[int, str, float]
) -> Iterator[tuple[str, Rows]]:
    """The rows of one net0, by each of its decoders."""
    seed, name, weight = cell
    if name == RANDOM:
        draw = torch.Generator().manual_seed(seed)
        drawn = torch.randperm(len(dataset.train), generator=draw)[: len(index)]
        yield "", dataset.rows[dataset.train[drawn]]
        return
    spec = f"{name}:label_weight={weight}" if weight else name
    estimator, net0 = compare.parse_spec(spec).estimator, fresh_predictor(dataset, net1, seed)
    for _ in fit_predictor(net0, net1, dataset, estimator, seed=seed, **SIZES):
        pass
    for decoder in THROUGH[name]:
        yield decoder, rows_by(decoder, net0, dataset.signal[index], net1, estimator, seed)


def rows_by(
    decoder: str,
    net0: RowPredictor,
    signal: torch.Tensor,
    net1: RowEncoder,
    estimator: Estimator,
    seed: int,
) -> Rows:
    """Hard rows, by a decoder of tabkit or drawn."""
    if decoder != "sample":
        return decode(net0, signal, net1, decoder=decoder, estimator=estimator, seed=seed)
    drawn = handed_over(net0, signal, net1, estimator="straight_through_sample", seed=seed)
    return Rows(argmax_codes(drawn.simplex, drawn.cardinalities), drawn.continuous)


def fresh_predictor(dataset: Dataset, net1: RowEncoder, seed: int) -> RowPredictor:
    """net0 before it is trained."""
    return RowPredictor(dataset.signal.shape[1], net1, seed=seed)


def measured(
    dataset: Dataset, net1: RowEncoder, index: torch.Tensor, rows: Rows, seed: int
) -> Record:
    """What these predictions of the rows at `index` are worth."""
    truth = dataset.rows[index]
    loss = SquaredDistance(net1, rows.continuous, encode_rows(net1, truth))
    told, more = (compare.two_sample(truth, rows, numbers=n, seed=seed) for n in (False, True))
    return {
        "decoded": loss(rows.codes).mean().item(),
        "accuracy": mean(accuracy_of(dataset, index, rows.codes).values()),
        "told_apart": told.accuracy,
        "told_apart_with_numbers": more.accuracy,
    }


def measure(folder: Path) -> pd.DataFrame:
    """One row a cell and decoder; what the folder has is not measured again."""
    dataset, nets = flights(), {}
    index = dataset.test[:LANDED]

    def records(cell: Cell) -> Iterator[Record]:
        seed = cell[0]
        net1 = nets[seed] = nets.get(seed) or trained_encoder(dataset, seed, folder)
        for decoder, rows in predicted(dataset, net1, index, cell):
            yield {"decoder": decoder} | measured(dataset, net1, index, rows, seed)

    return picked_up(folder / "cells.csv", cells(), OWN, records)


if __name__ == "__main__":
    run("frontier", __doc__.splitlines()[0], measure, KEYS)
