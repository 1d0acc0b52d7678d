"""The command line: ``python -m tabkit run`` does the main job on the real flights."""

import argparse
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import torch

import tabkit
from tabkit import compare, estimators, plots
from tabkit.data import Dataset, flights
from tabkit.estimators import Estimator
from tabkit.nets import RowEncoder, freeze
from tabkit.train import fit_encoder, run

DEFAULT_ESTIMATORS = (
    "hard_argmax",
    "softmax",
    "softmax:tau=0.25",
    "gumbel_softmax",
    "straight_through_argmax",
    "straight_through_gumbel",
    "direct_embedding",
    "cross_entropy",
)


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    root = argparse.ArgumentParser(prog="python -m tabkit", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    job = commands.add_parser(
        "run",
        help="train net1, freeze it, train a net0 through each estimator, decode, compare",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    job.add_argument(
        "--estimators",
        nargs="+",
        default=list(DEFAULT_ESTIMATORS),
        metavar="NAME[:KNOB=VALUE,...]",
        help=f"any of {', '.join(estimators.names())}; knobs such as softmax:tau=0.25",
    )
    job.add_argument("--seeds", nargs="+", type=seed, default=[0], help="one net1 and net0s each")
    job.add_argument("--steps", type=positive, default=1000, help="training steps of each net0")
    job.add_argument("--encoder-steps", type=positive, default=1500, help="training steps of net1")
    job.add_argument(
        "--rows", type=positive, default=None, help="use a random subset of so many flights"
    )
    job.add_argument(
        "--out",
        type=Path,
        default=None,
        help="run folder (runs/DATE-TIME if not given); an interrupted run in it is picked up",
    )
    return root


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def seed(text: str) -> int:
    """A whole number from 0 to 2**32 - 1."""
    number = int(text)
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"must lie in 0 to 2**32 - 1, not {number}")
    return number


def parse_estimator(text: str) -> Estimator:
    """``"softmax:tau=0.25"`` -> the estimator.

    Raises
    ------
    ValueError
        If the name or a knob is unknown, or a value is bad.
    """
    name, _, listed = text.partition(":")
    knobs: dict[str, float] = {}
    for knob in listed.split(",") if listed else ():
        key, _, value = knob.partition("=")
        try:
            number = float(value)
        except ValueError:
            raise ValueError(f"{text}: {key} must be a number, not {value!r}") from None
        if key in knobs:
            raise ValueError(f"{text}: {key} is given twice")
        knobs[key] = number
    return estimators.make(name, **knobs)


def check_unique(values: Sequence[object], option: str) -> None:
    """Each value is given once: a second one would only repeat the first.

    Raises
    ------
    ValueError
        Otherwise.
    """
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise ValueError(f"{option} names {twice[0]} twice")


def open_folder(arguments: argparse.Namespace) -> Path:
    """The run folder with its configuration: a new one, or that of the same run, interrupted.

    Raises
    ------
    FileExistsError
        If it holds anything else, so that no result is overwritten.
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
    resolved = {
        "estimators": {text: repr(parse_estimator(text)) for text in arguments.estimators},
        "seeds": arguments.seeds,
        "steps": arguments.steps,
        "encoder_steps": arguments.encoder_steps,
        "rows": arguments.rows,
        "tabkit": tabkit.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }
    return json.dumps(resolved, indent=1)


def load(rows: int | None) -> Dataset:
    """All flights with 20,000 held out twice, or a subset with a tenth held out twice."""
    return flights() if rows is None else flights(rows, held_out=rows // 10)


def train_encoder(dataset: Dataset, folder: Path, *, steps: int, seed: int) -> RowEncoder:
    """Trains one net1 from integer codes, and freezes it."""
    net1 = RowEncoder(dataset.schema, seed=seed)
    checkpoint = folder / f"net1-seed{seed}.pt"
    run(fit_encoder(net1, dataset, steps=steps, seed=seed, checkpoint=checkpoint), "net1")
    return freeze(net1)


def main_job(arguments: argparse.Namespace) -> int:
    """``run``: on real flights, net1 from integer codes, frozen; net0 through each estimator."""
    check_unique(arguments.estimators, "--estimators")
    check_unique(arguments.seeds, "--seeds")
    for text in arguments.estimators:
        parse_estimator(text)  # a typing error is told before anything trains
    dataset = load(arguments.rows)
    folder = open_folder(arguments)
    print(f"{len(dataset):,} flights; results in {folder}")
    trained, random_rows = [], []
    for seed in arguments.seeds:
        net1 = train_encoder(dataset, folder, steps=arguments.encoder_steps, seed=seed)
        correlation = compare.distance_correlation(net1, dataset, dataset.test)
        print(f"net1, seed {seed}: {correlation:.3f} correlation with outcomes, test", flush=True)
        random_rows.append(compare.random_row_loss(net1, dataset, dataset.test))
        for text in arguments.estimators:
            result = compare.train_and_score(
                parse_estimator(text),
                net1,
                dataset,
                name=text,
                steps=arguments.steps,
                seed=seed,
                checkpoint=folder / f"net0-{text.replace(':', '-')}-seed{seed}.pt",
            )
            trained.append(result)
            compare.table(trained).to_csv(folder / "results.csv", index=False)
            print(
                f"  {text}: {result.test.decoded:.3f} decoded, {result.seconds:.1f} s", flush=True
            )
    majority = compare.majority_accuracy(dataset, dataset.test)
    report(folder, trained, sum(random_rows) / len(random_rows), majority)
    return 0


def report(
    folder: Path,
    trained: list[compare.Trained],
    random_row: float,
    majority: Mapping[str, float],
) -> None:
    """Prints the table, and writes it with the figures."""
    summary = compare.summary(compare.table(trained))
    summary.to_csv(folder / "summary.csv")
    print(compare.to_text(summary, random_row=random_row, majority=majority))
    plots.decoding_gap(summary, random_row=random_row).save(folder / "decoding_gap.png")
    first = {t.estimator: t.steps for t in trained if t.seed == trained[0].seed}
    plots.gap_opens(first).save(folder / "training.png")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status, 2 for bad arguments."""
    arguments = parser().parse_args(argv)
    try:
        return main_job(arguments)
    except KeyboardInterrupt:
        print("tabkit: interrupted; the same call with --out FOLDER picks up", file=sys.stderr)
        return 130
    except (ValueError, ArithmeticError, OSError) as error:
        print(f"tabkit: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
