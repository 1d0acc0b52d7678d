"""The main job: net1 on the real flights, a net0 behind it through each estimator."""

import argparse
import json
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from statistics import mean
from typing import Any

from tabkit import compare, decoders, plots, store
from tabkit.commands import own_table
from tabkit.commands.arguments import (
    ESTIMATORS,
    a_seed,
    check_device,
    check_unique,
    open_folder,
    positive,
)
from tabkit.compare.comparison import DATA_ROWS
from tabkit.data import Dataset
from tabkit.nets import RowEncoder, freeze
from tabkit.train import fit_encoder
from tabkit.train.schedules import check_schedules

DEFAULT_ESTIMATORS = (
    *("hard_argmax", "softmax", "softmax:tau=0.25", "gumbel_softmax", "straight_through_argmax"),
    *("straight_through_gumbel", "direct_embedding", "cross_entropy"),
)
DECODED = 1_000  # test rows that every decoder decodes


def run_arguments(add: Callable[..., object]) -> None:
    """The arguments of ``run``."""
    add("--estimators", **ESTIMATORS)
    add("--seeds", nargs="+", type=a_seed, default=[0], help="one net1 and net0s each (0)")
    add("--steps", type=positive, default=1000, help="training steps of each net0 (1000)")
    add("--encoder-steps", type=positive, default=1500, help="training steps of net1 (1500)")
    add("--data", choices=list(DATA_ROWS), default="flights", help="which table (flights)")
    add("--rows", type=positive, help="use a random subset of so many rows")
    add("--device", default="cpu", help="where the nets work, such as cuda (cpu)")
    out = "run folder (runs/DATE-TIME if not given); an interrupted run in it is picked up"
    add("--out", type=Path, help=out)
    own_table.run_arguments(add)


def main_job(arguments: argparse.Namespace) -> int:
    """Train net1 on flights, freeze it, train a net0 through each estimator, decode, compare.

    Each is decoded by every decoder, and stands between a random row and the limit.

    With --table, on a table of your own, through one estimator, for `apply` to predict new rows.
    """
    check_device(arguments.device)
    if arguments.table is not None:
        return own_table.table_job(arguments, run_folder)
    arguments.estimators = arguments.estimators or list(DEFAULT_ESTIMATORS)
    check_unique(estimators=arguments.estimators, seeds=arguments.seeds)
    for text in arguments.estimators:
        check_schedules(*compare.parse_spec(text), arguments.steps)  # before anything trains
    dataset = compare.load_data(arguments.data, arguments.rows or DATA_ROWS[arguments.data])
    folder = run_folder(arguments)
    print(f"{len(dataset):,} rows of {arguments.data}; results in {folder}")
    decoded = min(DECODED, len(dataset.test))
    trained, random_rows = [], []
    for seed in arguments.seeds:
        net1 = train_encoder(dataset, folder, seed, arguments)
        random_rows.append(compare.random_row_loss(net1, dataset, dataset.test))
        ends = compare.ends_of(net1, dataset, rows=decoded, steps=arguments.steps, seed=seed)
        for text in arguments.estimators:
            file = folder / f"net0-{re.sub('[:/]', '-', text)}-seed{seed}.safetensors"
            options = {"steps": arguments.steps, "seed": seed, "checkpoint": file}
            estimator, options["schedules"] = compare.parse_spec(text)
            options |= {"name": text, "decode_rows": decoded}
            result = compare.train_and_score(estimator, net1, dataset, **options)
            trained.append(replace(result, decoders=result.decoders | ends))
            store.write_table(compare.table(trained), folder / "results.csv", index=False)
            by = (f"{result.decoders[f'decode_{n}']:.3f} by {n}" for n in decoders.possible(net1))
            print(f"  {text}: {', '.join(by)}; {result.seconds:.1f} s", flush=True)
    majority = compare.majority_accuracy(dataset, dataset.test)
    report(folder, trained, mean(random_rows), majority)
    return 0


def run_folder(arguments: argparse.Namespace) -> Path:
    """The run folder with its configuration: a new one, or that of the same run, interrupted.

    Raises FileExistsError if it holds anything else, so that no result is overwritten.
    """
    folder = arguments.out or Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")
    file, chosen = folder / "configuration.json", configuration(arguments)
    if file.exists():
        if store.read(file, "configuration", "name another folder with --out") == chosen:
            return folder
    elif all(f.name.startswith(store.PARTIAL) for f in open_folder(folder).iterdir()):
        store.write(file, "configuration", chosen[0])
        return folder
    raise FileExistsError(f"{folder} holds another run: name another folder with --out")


def configuration(arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str | int]]:
    """All arguments, defaults included, and what else decides the result: plain values."""
    names = ("data", "seeds", "steps", "encoder_steps", "rows", "device")
    names += own_table.KEPT if arguments.table is not None else ()
    resolved = {
        "estimators": {text: repr(compare.parse_spec(text)) for text in arguments.estimators},
        **{name: vars(arguments)[name] for name in names},
        "python": platform.python_version(),
    }
    return json.loads(json.dumps(resolved)), store.made_by()


def train_encoder(
    dataset: Dataset, folder: Path, seed: int, arguments: argparse.Namespace
) -> RowEncoder:
    """Trains one net1 from integer codes, and freezes it."""
    net1 = RowEncoder(dataset.schema, seed=seed, device=arguments.device)
    file = folder / f"net1-seed{seed}.safetensors"
    options = {"steps": arguments.encoder_steps, "seed": seed, "checkpoint": file}
    fit_encoder(net1, dataset, **options).run("net1")
    freeze(net1)
    correlation = compare.distance_correlation(net1, dataset, dataset.test)
    print(f"net1, seed {seed}: {correlation:.3f} correlation with outcomes, test", flush=True)
    return net1


def report(
    folder: Path, trained: list[compare.Trained], random_row: float, majority: Mapping[str, float]
) -> None:
    """Prints the table, and writes it with the figures."""
    summary = compare.with_shares(compare.summary(compare.table(trained)))
    store.write_table(summary, folder / "summary.csv")
    print(compare.to_text(summary, random_row=random_row, majority=majority))
    plots.decoding_gap(summary, random_row=random_row).save(folder / "decoding_gap.png")
    first = {t.estimator: t.steps for t in trained if t.seed == trained[0].seed}
    plots.by_decoder(summary).save(folder / "decoders.png")
    plots.gap_opens(first).save(folder / "training.png")
