"""What benchmarks of many cells share: a table that an interrupted run goes on with, and its means.

A cell is a tuple that the columns `keys` name; it is measured once, and gives one or more records.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from tabkit.store import write_whole

Cell = tuple[Any, ...]
Record = dict[str, Any]


def picked_up(
    out: Path,
    cells: Sequence[Cell],
    keys: Sequence[str],
    measured: Callable[[Cell], Iterable[Record]],
) -> pd.DataFrame:
    """The records of all cells, in their order; what `out` has is not measured again."""
    table = pd.read_csv(out, keep_default_na=False) if out.exists() else pd.DataFrame(columns=keys)
    done = {*zip(*(table[key] for key in keys), strict=True)}
    for cell in tqdm([cell for cell in cells if cell not in done]):
        records = [dict(zip(keys, cell, strict=True)) | record for record in measured(cell)]
        found = pd.DataFrame(records)
        table = pd.concat([table, found], ignore_index=True) if len(table) else found
        text = table.to_csv(index=False)
        write_whole(out, lambda path, text=text: path.write_text(text))
    place = {cell: number for number, cell in enumerate(cells)}
    order = [place[cell] for cell in zip(*(table[key] for key in keys), strict=True)]
    return table.iloc[np.argsort(order, kind="stable")]


def over_seeds(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Means over seeds, and their standard errors."""
    groups = table.drop(columns="seed").groupby(list(keys), sort=False)
    return groups.mean().join(groups.sem().add_suffix("_se")).reset_index()


def run(name: str, what: str, measure: Callable[[Path], pd.DataFrame], keys: Sequence[str]) -> None:
    """The command line of a benchmark: measures, prints and writes the means, in a folder."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--out", type=Path, default=Path("runs") / name)
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    found = over_seeds(measure(folder), keys)
    found.to_csv(folder / f"{name}.csv", index=False, float_format="%.4g")
    print(found.round(3).to_string(index=False))
