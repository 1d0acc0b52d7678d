"""The sweep: estimators x temperatures x seeds, on all cores or on a cluster, picked up by cell."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from joblib import Parallel, delayed
from torch import Tensor
from tqdm.auto import tqdm

from tabkit.compare.scores import Trained, decoders, mean_accuracy, train_and_score
from tabkit.compare.specs import parse_spec
from tabkit.data import Dataset, flights, planted
from tabkit.nets import RowEncoder, freeze
from tabkit.train import fit_encoder
from tabkit.train.loop import write_atomically

SMALLEST_BATCH = 32  # rows
BUDGETS = ("steps", "evaluations")
Load = Callable[[str, int], Dataset]
Record = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One net0 of a sweep: what decides its result, on a machine.

    Attributes
    ----------
    data, rows : which data set, by the name and the number of rows that `load_data` knows
    estimator : as `parse_spec` reads it
    seed : of net1, net0, batches and noise
    budget : ``"steps"``: train `steps` of `batch` rows; ``"evaluations"``: evaluate net1 on
        ``steps * batch`` rows, whatever the estimator takes a step
    encoder_steps : of net1
    lr : of net0
    """

    data: str
    rows: int
    estimator: str
    seed: int
    budget: str = "steps"
    steps: int = 600
    batch: int = 256
    encoder_steps: int = 1500
    lr: float = 3e-3

    def plan(self, evaluations: int) -> tuple[int, int]:
        """Steps and rows a batch, for an estimator that takes so many evaluations a row.

        At equal evaluations the batch shrinks first, to 32 rows at least, and then the steps.
        """
        if self.budget == "steps" or evaluations == 1:
            return self.steps, self.batch
        batch = max(min(SMALLEST_BATCH, self.batch), self.batch // evaluations)
        return max(1, round(self.steps * self.batch / (batch * evaluations))), batch

    def digest(self) -> str:
        """Names the cell's file."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=2)
def load_data(name: str, rows: int) -> Dataset:
    """``"flights"`` (0 rows for all) or ``"planted"``, by name: what a worker loads for itself.

    Raises
    ------
    ValueError
        If there is no data of that name.
    """
    if name == "flights":
        return flights() if rows == 0 else flights(rows, held_out=rows // 10)
    if name == "planted":
        return planted(rows, categorical=10, continuous=5, cardinality=(5, 10))
    raise ValueError(f"data must be flights or planted, not {name!r}")


def sweep(
    cells: Iterable[Cell],
    folder: Path,
    *,
    jobs: int = -1,
    load: Load = load_data,
    progress: bool = True,
) -> pd.DataFrame:
    """Trains and scores every cell, in parallel by joblib; one row per cell.

    Each finished cell, and each net1, is a file in `folder`: the same call after an interruption
    trains only what is missing. It runs on joblib's backend of the moment, so within
    ``with joblib.parallel_config(backend="dask"):`` it runs on a Dask cluster. There, cells come
    back as they finish and only the caller writes files. Every net trains on one thread, so that
    the result does not depend on the number of workers.

    Parameters
    ----------
    jobs
        Processes, for joblib's own backends; all cores if -1.
    load
        ``load(data, rows)`` returns a cell's data set, in the worker that trains it; for data of
        your own, a function of a module that the workers can import.

    Raises
    ------
    ValueError
        If a cell's estimator, budget or data is unknown, before anything trains.
    FloatingPointError
        If a loss is not finite.
    """
    cells = list(dict.fromkeys(cells))
    for cell in cells:
        check_cell(cell)
    records = {cell: read(folder, cell) for cell in cells}
    missing = [cell for cell in cells if records[cell] is None]
    nets = trained_encoders(missing, folder, jobs, load, progress)
    tasks = [delayed(run_cell)(cell, nets[encoder_of(cell)], load) for cell in missing]
    for cell, record in parallel(tasks, jobs, "net0", len(cells), progress):
        write_json(folder / "cells" / f"{cell.digest()}.json", {"cell": asdict(cell), **record})
        records[cell] = record
    return pd.DataFrame([asdict(cell) | records[cell] for cell in cells])


def check_cell(cell: Cell) -> None:
    """Its estimator can be read and its budget is known.

    Raises
    ------
    ValueError
        Otherwise.
    """
    parse_spec(cell.estimator)
    if cell.budget not in BUDGETS:
        raise ValueError(f"budget must be one of {', '.join(BUDGETS)}, not {cell.budget!r}")


def parallel(
    tasks: Sequence[Any], jobs: int, label: str, total: int, progress: bool
) -> Iterator[Any]:
    """Results as they finish, under a bar with the time left."""
    run = Parallel(n_jobs=jobs, return_as="generator_unordered")
    done = total - len(tasks)
    yield from tqdm(run(tasks), label, total, initial=done, disable=not progress, smoothing=0.05)


def encoder_of(cell: Cell) -> tuple[str, int, int, int]:
    """What decides a cell's net1."""
    return cell.data, cell.rows, cell.seed, cell.encoder_steps


def trained_encoders(
    cells: Sequence[Cell], folder: Path, jobs: int, load: Load, progress: bool
) -> dict[tuple[str, int, int, int], dict[str, Tensor]]:
    """The weights of the net1 that each cell needs: from the folder, or trained now."""
    keys = list(dict.fromkeys(encoder_of(cell) for cell in cells))
    files = {key: folder / "net1" / f"{'-'.join(map(str, key))}.pt" for key in keys}
    nets = {k: torch.load(f, weights_only=True) for k, f in files.items() if f.exists()}
    tasks = [delayed(run_encoder)(key, load) for key in keys if key not in nets]
    for key, state in parallel(tasks, jobs, "net1", len(keys), progress):
        write_atomically(files[key], lambda path, state=state: torch.save(state, path))
        nets[key] = state
    return nets


def run_encoder(key: tuple[str, int, int, int], load: Load) -> tuple[Any, dict[str, Tensor]]:
    """Trains one net1; returns its key and its weights."""
    data, rows, seed, steps = key
    with one_thread():
        dataset = load(data, rows)
        net1 = RowEncoder(dataset.schema, seed=seed)
        for _ in fit_encoder(net1, dataset, steps=steps, seed=seed):
            pass
    return key, net1.state_dict()


def run_cell(cell: Cell, weights: dict[str, Tensor], load: Load) -> tuple[Cell, Record]:
    """Trains and scores one net0 behind the net1 with these weights."""
    with one_thread():
        dataset = load(cell.data, cell.rows)
        net1 = RowEncoder(dataset.schema, seed=cell.seed)
        net1.load_state_dict(weights)
        estimator, schedules = parse_spec(cell.estimator)
        evaluations = estimator.evaluations(dataset.schema.cardinalities)
        steps, batch = cell.plan(evaluations)
        trained = train_and_score(
            estimator,
            freeze(net1),
            dataset,
            name=cell.estimator,
            steps=steps,
            batch=batch,
            lr=cell.lr,
            schedules=schedules,
            seed=cell.seed,
            decode_every=0,
            progress=False,
        )
        found = record(trained) | decoders(trained.net0, net1, dataset, estimator)
    return cell, {"ran_steps": steps, "ran_batch": batch, "evaluations": evaluations, **found}


def record(trained: Trained) -> Record:
    """The scores of one net0 as numbers."""
    return {
        "train_relaxed": trained.train.relaxed,
        "test_relaxed": trained.test.relaxed,
        "test_decoded": trained.test.decoded,
        "gap": trained.test.gap,
        "entropy": trained.test.entropy,
        "accuracy": mean_accuracy(trained.test),
        "seconds": trained.seconds,
    }


class one_thread:  # noqa: N801 - a context, used like a function
    """Within it, torch computes on one thread."""

    def __enter__(self) -> None:
        self.before = torch.get_num_threads()
        torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self.before)


def read(folder: Path, cell: Cell) -> Record | None:
    """The record of a finished cell."""
    file = folder / "cells" / f"{cell.digest()}.json"
    if not file.exists():
        return None
    found = json.loads(file.read_text())
    found.pop("cell")
    return found


def write_json(file: Path, content: Record) -> None:
    """Writes whole or not at all."""
    write_atomically(file, lambda path: path.write_text(json.dumps(content, indent=1)))
