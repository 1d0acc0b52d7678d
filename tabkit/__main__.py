"""The command line.

``python -m tabkit run`` does the main job on the real flights, or with ``--table`` on rows of your
own; ``python -m tabkit apply`` then predicts new ones; ``python -m tabkit compare`` trains every
estimator at several temperatures and seeds, on flights and on planted rows; ``python -m tabkit
recommend`` says within minutes what to train through and what to decode by.
"""

import argparse
import json
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import mean

import torch

import tabkit
from tabkit import compare, estimators, own_table, plots
from tabkit.compare.comparison import DATA_ROWS, FULL, QUICK, QUICK_ROWS
from tabkit.data import Dataset
from tabkit.extras import imports_for
from tabkit.nets import RowEncoder, freeze
from tabkit.train import fit_encoder
from tabkit.train.schedules import check_schedules

DEFAULT_ESTIMATORS = (
    *("hard_argmax", "softmax", "softmax:tau=0.25", "gumbel_softmax", "straight_through_argmax"),
    *("straight_through_gumbel", "direct_embedding", "cross_entropy"),
)
ESTIMATORS = {
    "nargs": "+",
    "metavar": "NAME[:KNOB=VALUE,...]",
    "help": f"any of {', '.join(estimators.names())}; knobs such as softmax:tau=0.25, schedules "
    "such as gumbel_softmax:tau=cosine/2/0.25; with any, entropy_penalty=0.1, label_weight=0.01",
}


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    root = argparse.ArgumentParser(prog="python -m tabkit", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    for name, (job, add_arguments) in COMMANDS.items():
        command = commands.add_parser(name, help=job.__doc__, description=job.__doc__)
        command.set_defaults(job=job)
        add_arguments(command.add_argument)
    return root


def run_arguments(add: Callable[..., object]) -> None:
    """The arguments of ``run``."""
    add("--estimators", **ESTIMATORS)
    add("--seeds", nargs="+", type=seed, default=[0], help="one net1 and net0s each (0)")
    add("--steps", type=positive, default=1000, help="training steps of each net0 (1000)")
    add("--encoder-steps", type=positive, default=1500, help="training steps of net1 (1500)")
    add("--rows", type=positive, help="use a random subset of so many flights")
    add("--device", default="cpu", help="where the nets work, such as cuda (cpu)")
    out = "run folder (runs/DATE-TIME if not given); an interrupted run in it is picked up"
    add("--out", type=Path, help=out)
    own_table.run_arguments(add)


def compare_arguments(add: Callable[..., object]) -> None:
    """The arguments of ``compare``."""
    add("--quick", action="store_true", help="a few minutes in place of an hour")
    add("--estimators", **ESTIMATORS)
    add("--seeds", nargs="+", type=seed, help="(0 to 4; quick: 0 1)")
    add("--data", nargs="+", choices=list(DATA_ROWS), default=list(DATA_ROWS))
    add("--steps", type=positive, help="of a net0 (600; quick: 300)")
    add("--encoder-steps", type=positive, help="of a net1 (1500; quick: 600)")
    add("--batch", type=positive, default=256, help="rows, at equal steps (256)")
    add("--jobs", type=processes, default=-1, help="processes (-1: all cores)")
    add("--scheduler", help="address of a Dask scheduler to run on")
    out = (
        "folder of the finished cells: what is there is not trained again; "
        "the tables in it are those of the last call (runs/comparison)"
    )
    add("--out", type=Path, default=Path("runs/comparison"), help=out)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def processes(text: str) -> int:
    """A whole number of at least 1, or -1 for all cores."""
    return -1 if text == "-1" else positive(text)


def seed(text: str) -> int:
    """A whole number from 0 to 2**32 - 1."""
    number = int(text)
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"must lie in 0 to 2**32 - 1, not {number}")
    return number


def check_unique(**options: Sequence[object]) -> None:
    """Raises ValueError if a value is given twice: the second would only repeat the first."""
    for option, values in options.items():
        for value in values:
            if values.count(value) > 1:
                raise ValueError(f"--{option} names {value} twice")


def open_folder(arguments: argparse.Namespace) -> Path:
    """The run folder with its configuration: a new one, or that of the same run, interrupted.

    Raises FileExistsError if it holds anything else, so that no result is overwritten.
    """
    folder = arguments.out or Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")
    file, text = folder / "configuration.json", configuration(arguments)
    if folder.exists() and any(folder.iterdir()):
        if not file.exists() or file.read_text() != text:
            raise FileExistsError(f"{folder} holds another run: name another folder with --out")
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return folder


def configuration(arguments: argparse.Namespace) -> str:
    """All arguments, defaults included, with what else decides the result, as JSON."""
    names = ("seeds", "steps", "encoder_steps", "rows", "device")
    names += own_table.KEPT if arguments.table else ()
    resolved = {
        "estimators": {text: repr(compare.parse_spec(text)) for text in arguments.estimators},
        **{name: vars(arguments)[name] for name in names},
        "tabkit": tabkit.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }
    return json.dumps(resolved, indent=1)


def main_job(arguments: argparse.Namespace) -> int:
    """Train net1 on flights, freeze it, train a net0 through each estimator, decode, compare.

    With --table, on a table of your own, through one estimator, for `apply` to predict new rows.
    """
    if arguments.table:
        return own_table.table_job(arguments, open_folder)
    arguments.estimators = arguments.estimators or list(DEFAULT_ESTIMATORS)
    check_unique(estimators=arguments.estimators, seeds=arguments.seeds)
    for text in arguments.estimators:
        check_schedules(*compare.parse_spec(text), arguments.steps)  # before anything trains
    dataset = compare.load_data("flights", arguments.rows or 0)
    folder = open_folder(arguments)
    print(f"{len(dataset):,} flights; results in {folder}")
    trained, random_rows = [], []
    for seed in arguments.seeds:
        net1 = train_encoder(dataset, folder, seed, arguments)
        random_rows.append(compare.random_row_loss(net1, dataset, dataset.test))
        for text in arguments.estimators:
            file = folder / f"net0-{re.sub('[:/]', '-', text)}-seed{seed}.pt"
            options = {"steps": arguments.steps, "seed": seed, "checkpoint": file}
            estimator, options["schedules"] = compare.parse_spec(text)
            result = compare.train_and_score(estimator, net1, dataset, name=text, **options)
            trained.append(result)
            compare.table(trained).to_csv(folder / "results.csv", index=False)
            took = f"{result.test.decoded:.3f} decoded, {result.seconds:.1f} s"
            print(f"  {text}: {took}", flush=True)
    majority = compare.majority_accuracy(dataset, dataset.test)
    report(folder, trained, mean(random_rows), majority)
    return 0


def train_encoder(
    dataset: Dataset, folder: Path, seed: int, arguments: argparse.Namespace
) -> RowEncoder:
    """Trains one net1 from integer codes, and freezes it."""
    net1 = RowEncoder(dataset.schema, seed=seed, device=arguments.device)
    options = {"steps": arguments.encoder_steps, "checkpoint": folder / f"net1-seed{seed}.pt"}
    fit_encoder(net1, dataset, seed=seed, **options).run("net1")
    freeze(net1)
    correlation = compare.distance_correlation(net1, dataset, dataset.test)
    print(f"net1, seed {seed}: {correlation:.3f} correlation with outcomes, test", flush=True)
    return net1


def comparison_job(arguments: argparse.Namespace) -> int:
    """Estimators x temperatures x seeds, at equal steps and at equal net1 evaluations."""
    quick = arguments.quick
    chosen = arguments.estimators or (QUICK if quick else FULL)
    seeds = arguments.seeds or list(range(2 if quick else 5))
    check_unique(estimators=chosen, seeds=seeds, data=arguments.data)
    rows = {name: (QUICK_ROWS if quick else DATA_ROWS)[name] for name in arguments.data}
    steps, encoder_steps = (300, 600) if quick else (600, 1500)
    sizes = {
        "steps": arguments.steps or steps,
        "encoder_steps": arguments.encoder_steps or encoder_steps,
        "batch": arguments.batch,
    }
    cells = compare.cells(chosen, seeds, rows=rows, **sizes)
    print(f"{len(cells)} cells; finished ones are kept in {arguments.out}", flush=True)
    with backend(arguments.scheduler):
        results = compare.sweep(cells, arguments.out, jobs=arguments.jobs)
    summary = compare.sweep_summary(results)
    results.to_csv(arguments.out / "cells.csv", index=False)
    summary.to_csv(arguments.out / "comparison.csv", index=False, float_format="%.5g")
    print(compare.sweep_text(summary))
    for name in arguments.data:
        plots.comparison(summary, name).save(arguments.out / f"comparison_{name}.png")
    return 0


@contextmanager
def backend(scheduler: str | None) -> Iterator[None]:
    """Joblib's own processes, or the workers of a Dask scheduler."""
    if scheduler is None:
        yield
        return
    with imports_for("a Dask cluster"):
        from distributed import Client  # noqa: PLC0415 - only a cluster's user has them
        from joblib import parallel_config  # noqa: PLC0415
    with Client(scheduler), parallel_config(backend="dask"):
        yield


def report(
    folder: Path, trained: list[compare.Trained], random_row: float, majority: Mapping[str, float]
) -> None:
    """Prints the table, and writes it with the figures."""
    summary = compare.summary(compare.table(trained))
    summary.to_csv(folder / "summary.csv")
    print(compare.to_text(summary, random_row=random_row, majority=majority))
    plots.decoding_gap(summary, random_row=random_row).save(folder / "decoding_gap.png")
    first = {t.estimator: t.steps for t in trained if t.seed == trained[0].seed}
    plots.gap_opens(first).save(folder / "training.png")


def recommend_arguments(add: Callable[..., object]) -> None:
    """The arguments of ``recommend``."""
    add("--minutes", type=float, default=5.0, help="of the comparison, net1's training apart (5)")
    add("--rows", type=positive, help="use a random subset of so many flights")
    add("--encoder-steps", type=positive, default=1500, help="training steps of net1 (1500)")
    add("--estimators", **(ESTIMATORS | {"help": "in place of a few usual ones, as in run"}))
    add("--seed", type=seed, default=0, help="of net1, and the first of the net0s (0)")
    out = "folder of table and figure (runs/recommendation); what is there is written over"
    add("--out", type=Path, default=Path("runs/recommendation"), help=out)
    own_table.table_arguments(add)


def recommend_job(arguments: argparse.Namespace) -> int:
    """Within minutes: which estimator to train net0 through, and which decoder to decode by.

    On flights, or with --table on a table of your own.
    """
    chosen, seed = arguments.estimators, arguments.seed
    check_unique(estimators=chosen or ())
    compare.check_budget(arguments.minutes, chosen or ())  # before net1 trains
    if arguments.table and arguments.rows:
        raise ValueError("--rows takes a subset of the flights, not of --table")
    if arguments.table:
        table = own_table.table_of(arguments)
        print(table)
        dataset = table.data()
    else:
        dataset = compare.load_data("flights", arguments.rows or 0)
    net1 = RowEncoder(dataset.schema, seed=seed)
    fit_encoder(net1, dataset, steps=arguments.encoder_steps, seed=seed).run("net1")
    options = {"estimators": chosen, "seed": seed}
    found = compare.recommend(freeze(net1), dataset, arguments.minutes, **options)
    arguments.out.mkdir(parents=True, exist_ok=True)
    found.table.to_csv(arguments.out / "recommendation.csv", index=False, float_format="%.5g")
    plots.recommendation(found).save(arguments.out / "recommendation.png")
    print(found)
    return 0


COMMANDS = {
    "run": (main_job, run_arguments),
    "apply": (own_table.apply_job, own_table.apply_arguments),
    "compare": (comparison_job, compare_arguments),
    "recommend": (recommend_job, recommend_arguments),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status, 2 for bad arguments."""
    arguments = parser().parse_args(argv)
    try:
        return arguments.job(arguments)
    except KeyboardInterrupt:
        kept = arguments.command != "recommend"
        picks_up = "the same call (run: with --out FOLDER) picks up" if kept else "nothing is kept"
        print(f"tabkit: interrupted; {picks_up}", file=sys.stderr)
        return 130
    except (ValueError, ArithmeticError, OSError, ImportError) as error:
        print(f"tabkit: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
