"""Both nets together, or net1 first? What training them jointly buys, and what it costs net1.

    python benchmarks/joint.py            # prints, and writes runs/joint/joint.csv

net1 is trained and frozen, then net0 behind it; or both train at once (`fit_jointly`), with net0's
loss weighted. Each net takes as many steps of as many rows, whatever the way. As every way ends
with another net1, losses are told on three scales: behind its own net1; as the share of the way
from a random row to the limit, both behind that net1; and by a *judge*, a net1 of another seed that
was trained alone and has seen none of them. Each net0 is a row of ``cells.csv`` in the folder, so
an interrupted run goes on where it was; delete the folder to measure afresh.
"""

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pandas as pd
from tqdm import tqdm

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
from tabkit.train.checkpoint import write_atomically

TABLES = {"bikeshare": 0}  # rows; 0: all
SEEDS = (0, 1, 2)
WEIGHTS = (0.0, 0.1, 1.0)  # of net0's loss in net1's training; 0: net1 first
THROUGH = {"softmax": "search", "straight_through_gumbel": "argmax"}
JUDGE = 1_000  # added to a seed: that of its judge
SCORED = 1_000  # test rows
STEPS, BATCH = 600, 1024  # of either net, whatever the way
KEYS = ["data", "estimator", "decoder", "weight"]
Cell = tuple[str, int, str, float]


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


def measured(cell: Cell, dataset: Dataset, judge: RowEncoder) -> dict[str, float | str]:
    """The record of a cell."""
    data, seed, name, weight = cell
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
    random = compare.random_row_loss(judge, dataset, index, seed=seed)
    record = {"data": data, "seed": seed, "estimator": name, "decoder": THROUGH[name]}
    record |= {"weight": weight, "decoded": own, **ends, "share": share}
    correlation = compare.distance_correlation(net1, dataset, dataset.test)
    return record | {"net1_correlation": correlation, "judged": theirs, "judged_random": random}


def measure(folder: Path) -> pd.DataFrame:
    """One row a cell; what the folder has is not measured again."""
    out = folder / "cells.csv"
    table = pd.read_csv(out) if out.exists() else pd.DataFrame()
    own = ["data", "seed", "estimator", "weight"]
    done = {*zip(*(table[key] for key in own), strict=True)} if len(table) else set()
    for cell, dataset, judge in placed([cell for cell in cells() if cell not in done]):
        record = pd.DataFrame([measured(cell, dataset, judge)])
        table = pd.concat([table, record], ignore_index=True)
        text = table.to_csv(index=False)
        write_atomically(out, lambda path, text=text: path.write_text(text))
    place = {cell: number for number, cell in enumerate(cells())}
    order = [place[cell] for cell in zip(*(table[key] for key in own), strict=True)]
    return table.assign(order=order).sort_values("order").drop(columns="order")


def placed(missing: list[Cell]) -> Iterator[tuple[Cell, Dataset, RowEncoder]]:
    """The cells under a progress bar, each with its table and its judge."""
    before = None
    for cell in tqdm(missing):
        if cell[:2] != before:
            before, (data, seed) = cell[:2], cell[:2]
            dataset = compare.load_data(data, TABLES[data])
            judge = alone(dataset, seed + JUDGE)
        yield cell, dataset, judge


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds, and their standard errors."""
    groups = table.drop(columns="seed").groupby(KEYS, sort=False)
    return groups.mean().join(groups.sem().add_suffix("_se")).reset_index()


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs") / "joint")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    found = summary(measure(folder))
    found.to_csv(folder / "joint.csv", index=False, float_format="%.4g")
    print(found.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
