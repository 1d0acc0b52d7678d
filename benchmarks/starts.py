"""How small should net1's embedding tables start? On validation rows, on every table.

    python benchmarks/starts.py        # prints, and writes runs/starts.csv; finished cells are kept

For each standard deviation of the start, net1 is trained, and behind it the limit, a net0 through
the softmax and one through Gumbel-softmax. What they reach is measured on the first validation
rows, which the other tables never show.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd

from tabkit import Dataset, RowEncoder, Schema, compare
from tabkit.compare.comparison import DATA_ROWS
from tabkit.compare.trials import LIMIT

STARTS = {"usual": None, "0.1": 0.1, "0.03": 0.03, "0.01": 0.01, "0.003": 0.003}
ESTIMATORS = ["softmax", "gumbel_softmax:tau=cosine/2/0.25"]
DECODED = ("argmax", "search", "restarts")
KEPT = {"decode_relaxed": "limit", "random_row": "random_row", "net1_correlation": "correlation"}


def validated(name: str, rows: int) -> Dataset:
    """A data set whose validation rows stand for the test rows, so that those are not looked at."""
    data = compare.load_data(name, rows)
    return replace(data, test=data.validation)


def started(start: str, schema: Schema, seed: int) -> RowEncoder:
    """An untrained net1 whose tables start so."""
    return RowEncoder(schema, embedding_std=STARTS[start], seed=seed)


def by_start(results: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds: a row for each data set and start."""
    keys = ["data", "net"]
    groups = results[results["estimator"] == LIMIT].groupby(keys, sort=False)
    parts = [groups[list(KEPT)].mean().rename(columns=KEPT)]
    for name in ESTIMATORS:
        own = results[results["estimator"] == name].groupby(keys, sort=False)
        losses = own[[f"decode_{decoder}" for decoder in DECODED]].mean()
        short = name.partition(":")[0]
        parts.append(losses.rename(columns=lambda d, s=short: f"{s}_{d.removeprefix('decode_')}"))
    table = pd.concat([*parts, groups.size().rename("seeds")], axis=1)
    return table.reset_index().rename(columns={"net": "start"})


def main() -> None:
    """Measures, prints and keeps."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--out", type=Path, default=Path("runs"))
    options.add_argument("--data", nargs="+", choices=list(DATA_ROWS), default=list(DATA_ROWS))
    options.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options.add_argument("--steps", type=int, default=600, help="of a net0 (600)")
    options.add_argument("--encoder-steps", type=int, default=600, help="of a net1 (600)")
    options.add_argument("--jobs", type=int, default=-1, help="processes (-1: all cores)")
    chosen = options.parse_args()
    rows = {name: DATA_ROWS[name] for name in chosen.data}
    sizes = {"steps": chosen.steps, "encoder_steps": chosen.encoder_steps}
    axes = {"rows": rows, "nets": list(STARTS), "budgets": ["steps"]}
    cells = compare.cells(ESTIMATORS, chosen.seeds, **axes, **sizes, load=validated)
    every = {"jobs": chosen.jobs, "load": validated, "encoder": started}
    table = by_start(compare.sweep(cells, chosen.out / "starts", **every))
    table.to_csv(chosen.out / "starts.csv", index=False, float_format="%.5g")
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
