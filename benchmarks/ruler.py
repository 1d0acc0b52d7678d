"""Every estimator against the exact gradient, early, midway and late in net0's training.

    python benchmarks/ruler.py                 # prints, and writes runs/ruler.csv

The rows are planted ones, with 4 categorical columns of 3 to 6 categories, so that the expected
loss can be summed over every row that there is; net0 is trained by straight-through Gumbel for 0,
100 and 1,000 steps, and the gradients are those of 32 test rows. Left out are the estimators that
take embeddings, whose gradient is not one for logits.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch

from tabkit import (
    Dataset,
    RowEncoder,
    RowPredictor,
    SquaredDistance,
    estimators,
    fit_encoder,
    fit_predictor,
    freeze,
    planted,
    ruler,
)
from tabkit.nets import encode_rows
from tabkit.store import write_whole

STAGES = (0, 100, 1000)  # steps of net0
ROWS = 32


def trained(dataset: Dataset) -> RowEncoder:
    """A frozen net1."""
    net1 = RowEncoder(dataset.schema, width=64, embedding_std=None)
    fit_encoder(net1, dataset, steps=500, batch=512).run("net1")
    return freeze(net1)


def predictor(dataset: Dataset, net1: RowEncoder, steps: int) -> RowPredictor:
    """A net0 after so many steps."""
    net0 = RowPredictor(dataset.signal.shape[1], net1, width=64)
    if steps:
        sampler = estimators.make("straight_through_gumbel")
        fit = fit_predictor(net0, net1, dataset, sampler, steps=steps, batch=256)
        fit.run(f"{steps} steps")
    return net0


@torch.no_grad()
def problem(
    dataset: Dataset, net1: RowEncoder, net0: RowPredictor
) -> tuple[torch.Tensor, SquaredDistance]:
    """Logits (B, F) of some test rows, and their objective, true codes included."""
    index = dataset.test[:ROWS]
    prediction, rows = net0(dataset.signal[index]), dataset.rows[index]
    objective = SquaredDistance(net1, prediction.continuous, encode_rows(net1, rows), rows.codes)
    return prediction.categorical, objective


def measured_names() -> list[str]:
    """The estimators that have a gradient for logits."""
    return [name for name in estimators.names() if estimators.make(name).head == "logits"]


def measure(draws: int) -> pd.DataFrame:
    """The ruler's table at every stage."""
    dataset = planted(5_000, categorical=4, continuous=2, cardinality=(3, 6))
    net1, tables = trained(dataset), {}
    for steps in STAGES:
        logits, objective = problem(dataset, net1, predictor(dataset, net1, steps))
        chosen = {name: estimators.make(name) for name in measured_names()}
        tables[steps] = ruler.measure(
            chosen, logits, objective, dataset.schema.cardinalities, draws=draws
        )
    return pd.concat(tables, names=["steps"])


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--out", type=Path, default=Path("runs/ruler.csv"))
    arguments = parser.parse_args()
    table = measure(arguments.draws)
    write_whole(arguments.out, lambda path: table.to_csv(path, float_format="%.5g"))
    shown = ["squared_bias", "variance", "cosine", "mean_cosine", "signal_to_noise", "evaluations"]
    print(table[shown].to_string(float_format="%.3f"))


if __name__ == "__main__":
    main()
