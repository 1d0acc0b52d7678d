"""The sweep: estimators x temperatures x seeds, on all cores or on a cluster, picked up by cell."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from tabkit import store
from tabkit.compare.kinds import check_kind, frozen, net1_of
from tabkit.compare.scores import SCORED_ROWS, SEARCHED_ROWS, distance_correlation, train_and_score
from tabkit.compare.specs import parse_spec
from tabkit.compare.trials import LIMIT, Setting, affordable
from tabkit.data import Dataset, adult, bikeshare, census, flights, planted
from tabkit.extras import DISTRIBUTION, imports_for
from tabkit.schema import Schema
from tabkit.train import fit_encoder
from tabkit.train.fit import check_sizes
from tabkit.train.schedules import check_schedules

REAL = {"flights": flights, "adult": adult, "bikeshare": bikeshare, "census": census}
SMALLEST_BATCH = 32  # rows
BUDGETS = ("steps", "evaluations")
Load = Callable[[str, int], Dataset]
Encoder = Callable[[str, Schema, int], Any]
Record = dict[str, Any]
NetKey = tuple[str, int, str, int, int]


@dataclass(frozen=True)
class Cell:
    """One net0 of a sweep: what decides its result, on a machine.

    Attributes
    ----------
    data, rows : which data set, by the name and the number of rows that `load_data` knows
    estimator : as `parse_spec` reads it, or ``"limit"``: no net0, but the net of `fit_limit`
    seed : of net1, net0, batches and noise
    budget : ``"steps"``: train `steps` of `batch` rows; ``"evaluations"``: evaluate net1 on about
        ``steps * batch`` rows, whatever the estimator takes a step (backward passes and the
        targets' own evaluation are not counted, and the learning rate stays)
    encoder_steps : of net1
    lr : of net0
    net : which net1, by the name that `sweep` knows
    """

    data: str
    rows: int
    estimator: str
    seed: int
    budget: str = "steps"
    steps: int = 600
    batch: int = 256
    encoder_steps: int = 600
    lr: float = 3e-3
    net: str = "plain"

    def plan(self, evaluations: int) -> tuple[int, int]:
        """Steps and rows a batch, for an estimator that takes so many evaluations a row.

        At equal evaluations the batch shrinks first, to 32 rows at least, and then the steps.
        """
        if self.budget == "steps" or evaluations == 1:
            return self.steps, self.batch
        batch = max(min(SMALLEST_BATCH, self.batch), self.batch // evaluations)
        return max(1, round(self.steps * self.batch / (batch * evaluations))), batch

    @property
    def net1(self) -> NetKey:
        """What decides its net1."""
        return self.data, self.rows, self.net, self.seed, self.encoder_steps

    def identity(self) -> Record:
        """What its kept record must agree with: the cell, the knobs' defaults, the versions."""
        versions = {"tabkit": version(DISTRIBUTION), "torch": torch.__version__}
        resolved = LIMIT if self.estimator == LIMIT else repr(parse_spec(self.estimator))
        return {**asdict(self), "resolved": resolved, **versions}

    def digest(self) -> str:
        """Names the cell's file."""
        text = json.dumps(self.identity(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=2)
def load_data(name: str, rows: int) -> Dataset:
    """A real table (0 rows for all) or ``"planted"``, by name: what a worker loads for itself.

    The real ones are ``"flights"``, ``"adult"``, ``"bikeshare"`` and ``"census"``. Raises
    ValueError if there is no data of that name.
    """
    if name in REAL:
        return REAL[name]() if rows == 0 else REAL[name](rows, held_out=rows // 10)
    if name == "planted":
        return planted(rows, categorical=10, continuous=5, cardinality=(5, 10))
    raise ValueError(f"data must be {', '.join(REAL)} or planted, not {name!r}")


def sweep(
    cells: Iterable[Cell],
    folder: str | os.PathLike[str],
    *,
    jobs: int = -1,
    load: Load = load_data,
    encoder: Encoder = net1_of,
    progress: bool = True,
) -> pd.DataFrame:
    """Trains and scores every cell, in parallel by joblib; one row per cell.

    Each finished cell, and each net1, is a file in `folder`: the same call after an interruption
    trains only what is missing. It runs on joblib's backend of the moment, so within
    ``with joblib.parallel_config(backend="dask"):`` it runs on a Dask cluster. There, cells come
    back as they finish and only the caller writes files. Every net trains on one thread, so that
    the result does not depend on the number of workers; they must be processes, not threads.

    net1 is trained here, one for each data set, kind and seed.

    Parameters
    ----------
    jobs : processes, for joblib's own backends; all cores if -1
    load : ``load(data, rows)`` returns a cell's data set, in the worker that trains it, once a
        cell. For data of your own: a function of a module that the workers can import, which keeps
        what it has read (`functools.lru_cache`). Another folder for other data
    encoder : ``encoder(net, schema, seed)`` returns an untrained net1 of the kind that a cell
        names: for nets of your own, importable as `load` is. Another folder for other nets

    Raises
    ------
    ValueError, FloatingPointError
        If a cell's estimator, budget, data or a size cannot be, before anything trains; if a file
        of the folder cannot be read; if a loss is not finite, by the name of the cell.
    """
    cells, folder = list(dict.fromkeys(cells)), Path(folder)
    for cell in cells:
        check_cell(cell, load)
        if encoder is net1_of:
            check_kind(cell.net)
    files = {cell: folder / "cells" / f"{cell.digest()}.json" for cell in cells}
    records = kept({cell: (file, cell.identity()) for cell, file in files.items()}, "cell")
    missing, run = [cell for cell in cells if cell not in records], {"jobs": jobs, "bar": progress}
    nets = trained_encoders(missing, folder / "net1", load, encoder, **run)
    # A plain dict: Dask would scatter any other by its keys, and those are the same for all nets.
    calls = [(cell, dict(nets[cell.net1]), load, encoder) for cell in missing]
    for cell, record in parallel(run_cell, calls, "net0", len(cells), **run):
        store.write(files[cell], "cell", {"identity": cell.identity(), "cell": record})
        records[cell] = record
    return pd.DataFrame([asdict(cell) | records[cell] for cell in cells])


def check_cell(cell: Cell, load: Load) -> None:
    """Raises ValueError if it cannot be run."""
    if cell.budget not in BUDGETS:
        raise ValueError(f"budget must be one of {', '.join(BUDGETS)}, not {cell.budget!r}")
    check_sizes(steps=cell.steps, batch=cell.batch, encoder_steps=cell.encoder_steps)
    if cell.estimator == LIMIT:
        load(cell.data, cell.rows)
        return
    estimator, schedules = parse_spec(cell.estimator)
    check_schedules(estimator, schedules, cell.steps)
    estimator.evaluations(load(cell.data, cell.rows).schema.cardinalities)


def parallel(
    task: Callable, calls: Sequence[Any], label: str, total: int, *, jobs: int, bar: bool
) -> Iterator[Any]:
    """Results as they finish, under a bar with the time left."""
    with imports_for("sweeps"):
        from joblib import Parallel, delayed  # noqa: PLC0415 - only a sweep's user has it
    run = Parallel(n_jobs=jobs, return_as="generator_unordered")
    found = run(delayed(task)(*call) for call in calls)
    done = total - len(calls)
    yield from tqdm(found, label, total, initial=done, disable=not bar, smoothing=0.05)


def trained_encoders(
    cells: Sequence[Cell], folder: Path, load: Load, encoder: Encoder, **run: Any
) -> dict[NetKey, dict[str, Tensor]]:
    """The weights of the net1 that each cell needs: from the folder, or trained now."""
    keys = dict.fromkeys(cell.net1 for cell in cells)
    versions = f"tabkit{version(DISTRIBUTION)}-torch{torch.__version__}"
    files = {key: folder / f"{'-'.join(map(str, key))}-{versions}.safetensors" for key in keys}
    nets = kept({key: (file, [*key]) for key, file in files.items()}, "net1")
    calls = [(key, load, encoder) for key in keys if key not in nets]
    for key, state in parallel(run_encoder, calls, "net1", len(keys), **run):
        store.write(files[key], "net1", {"identity": [*key], "net1": state})
        nets[key] = state
    return nets


def run_encoder(key: NetKey, load: Load, encoder: Encoder) -> tuple[Any, dict[str, Tensor]]:
    """Trains one net1; returns its key and its weights."""
    data, rows, net, seed, steps = key
    with one_thread():
        dataset = load(data, rows)
        net1 = encoder(net, dataset.schema, seed)
        list(fit_encoder(net1, dataset, steps=steps, seed=seed))
    return key, net1.state_dict()


def run_cell(
    cell: Cell, weights: dict[str, Tensor], load: Load, encoder: Encoder
) -> tuple[Cell, Record]:
    """Trains and scores one net0 behind the net1 with these weights."""
    try:
        with one_thread():
            dataset = load(cell.data, cell.rows)
            net1 = encoder(cell.net, dataset.schema, cell.seed)
            net1.load_state_dict(weights)
            return cell, train_cell(cell, frozen(net1, dataset), dataset)
    except (ValueError, ArithmeticError, TypeError) as error:
        raise type(error)(f"{cell}: {error}") from error


def train_cell(cell: Cell, net1: Any, dataset: Dataset) -> Record:
    """The record of a cell."""
    if cell.estimator == LIMIT:
        return train_limit(cell, net1, dataset)
    estimator, schedules = parse_spec(cell.estimator)
    evaluations = estimator.evaluations(dataset.schema.cardinalities)
    steps, batch = cell.plan(evaluations)
    sizes = {"steps": steps, "batch": batch, "lr": cell.lr, "seed": cell.seed}
    quiet = {"schedules": schedules, "decode_every": 0, "progress": False}
    quiet["decode_rows"], quiet["decoders"] = SEARCHED_ROWS, affordable(net1)
    trained = train_and_score(estimator, net1, dataset, name=cell.estimator, **sizes, **quiet)
    return {
        **{"ran_steps": steps, "ran_batch": batch, "evaluations": evaluations},
        **trained.losses,
        "entropy": trained.test.entropy,
        "accuracy": mean(trained.test.accuracy.values()),
        "seconds": trained.seconds,
        **trained.decoders,
    }


def train_limit(cell: Cell, net1: Any, dataset: Dataset) -> Record:
    """The record of the limit, on the same rows, with what a random row costs."""
    setting = Setting(net1, dataset, None, cell.batch, dataset.test[:SEARCHED_ROWS])
    fit = setting.fit(LIMIT, steps=cell.steps, seed=cell.seed)
    steps = list(fit)
    parts = {
        "train_relaxed": dataset.train[:SCORED_ROWS],
        "test_relaxed": dataset.test,
        "decode_relaxed": setting.index,
    }
    losses = {
        name: replace(setting, index=index).reached(LIMIT, fit, cell.seed)[0].mean().item()
        for name, index in parts.items()
    }
    random = setting.alone(cell.seed).mean().item()
    sizes = {"ran_steps": cell.steps, "ran_batch": cell.batch, "evaluations": 0}
    known = dataset.outcomes.shape[1] > 0
    own = distance_correlation(net1, dataset, dataset.test) if known else math.nan
    ends = {"random_row": random, "net1_correlation": own}
    return sizes | losses | ends | {"seconds": steps[-1].seconds}


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it, torch computes on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def kept(files: Mapping[Any, tuple[Path, Any]], kind: str) -> dict[Any, Any]:
    """By key, what those files hold that there are; each is a path, and what it must be of.

    Raises FileError if one cannot be read or is of something else.
    """
    found, remedy = {}, "delete it and call again"
    for key, (file, identity) in files.items():
        if file.exists():
            content, _ = store.read(file, kind, remedy)
            if content.get("identity") != identity:
                raise store.FileError(file, f"is of another {kind}", remedy)
            found[key] = content[kind]
    return found
