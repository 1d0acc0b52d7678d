"""Both nets together, or net1 first? What training them jointly buys, and what it costs net1.

    python benchmarks/joint.py            # prints, and writes runs/joint/joint.csv

net1 is trained and frozen, then net0 behind it; or both train at once (`fit_jointly`), with net0's
loss weighted. Each net takes as many steps of as many rows, whatever the way. As every way ends
with another net1, losses are told on three scales: behind its own net1; as the share of the way
from a random row to the limit, both behind that net1; and by a *judge*, a net1 of another seed that
was trained alone and has seen none of them. Each net0 is a row of ``cells.csv`` in the folder, so
an interrupted run goes on where it was; delete the folder to measure afresh.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path

import pandas as pd
from cells import Cell, Record, picked_up, run

from tabkit import (
    Dataset,
    RowEncoder,
    RowPredictor,
    SquaredDistance,
    compare,
    decode,
    fit_encoder,
    fit_jointly,
    fit_predictor,
    freeze,
)
from tabkit.estimators import Estimator
from tabkit.nets import encode_rows

TABLES = {"bikeshare": 0}  # rows; 0: all
SEEDS = (0, 1, 2)
WEIGHTS = (0.0, 0.1, 1.0)  # of net0's loss in net1's training; 0: net1 first
THROUGH = {"softmax": "search", "straight_through_gumbel": "argmax"}
JUDGE = 1_000  # added to a seed: that of its judge
SCORED = 1_000  # test rows
STEPS, BATCH = 600, 1024  # of either net, whatever the way
OWN = ["data", "seed", "estimator", "weight"]  # what names a cell
KEYS = ["data", "estimator", "decoder", "weight"]


def cells() -> list[Cell]:
    """Table, seed, estimator and weight of each."""
    return list(product(TABLES, SEEDS, THROUGH, WEIGHTS))


def alone(dataset: Dataset, seed: int) -> RowEncoder:
    """net1, trained without any net0, and frozen."""
    net1 = RowEncoder(dataset.schema, seed=seed)
    for _ in fit_encoder(net1, dataset, steps=STEPS, batch=BATCH, seed=seed):
        pass
    return freeze(net1)


def trained(
    dataset: Dataset, estimator: Estimator, weight: float, seed: int
) -> tuple[RowPredictor, RowEncoder]:
    """net0 and its net1, frozen."""
    sizes, S = {"steps": STEPS, "batch": BATCH, "seed": seed}, dataset.signal.shape[1]
    if not weight:
        net1 = alone(dataset, seed)
        net0 = RowPredictor(S, net1, head=estimator.head, seed=seed)
        fit = fit_predictor(net0, net1, dataset, estimator, **sizes)
    else:
        net1 = RowEncoder(dataset.schema, seed=seed)
        net0 = RowPredictor(S, net1, head=estimator.head, seed=seed)
        fit = fit_jointly(net0, net1, dataset, estimator, weight=weight, **sizes)
    for _ in fit:
        pass
    return net0, freeze(net1)


@lru_cache(maxsize=1)
def judged_by(data: str, seed: int) -> tuple[Dataset, RowEncoder]:
    """A table, and the judge of a seed."""
    dataset = compare.load_data(data, TABLES[data])
    return dataset, alone(dataset, seed + JUDGE)


def measured(cell: Cell) -> Iterator[Record]:
    """The record of a cell."""
    data, seed, name, weight = cell
    dataset, judge = judged_by(data, seed)
    estimator, index = compare.parse_spec(name).estimator, dataset.test[:SCORED]
    net0, net1 = trained(dataset, estimator, weight, seed)
    options = {"decoder": THROUGH[name], "estimator": estimator, "seed": seed}
    rows, truth = decode(net0, dataset.signal[index], net1, **options), dataset.rows[index]
    own, theirs = (
        SquaredDistance(net, rows.continuous, encode_rows(net, truth))(rows.codes).mean().item()
        for net in (net1, judge)
    )
    ends = compare.ends_of(net1, dataset, rows=SCORED, steps=STEPS, batch=BATCH, seed=seed)
    share = (ends["random_row"] - own) / (ends["random_row"] - ends["limit"])
    correlation = compare.distance_correlation(net1, dataset, dataset.test)
    random = compare.random_row_loss(judge, dataset, index, seed=seed)
    record = {"decoder": THROUGH[name], "decoded": own, **ends, "share": share}
    yield record | {"net1_correlation": correlation, "judged": theirs, "judged_random": random}


def measure(folder: Path) -> pd.DataFrame:
    """One row a cell; what the folder has is not measured again."""
    return picked_up(folder / "cells.csv", cells(), OWN, measured)


if __name__ == "__main__":
    run("joint", __doc__.splitlines()[0], measure, KEYS)
