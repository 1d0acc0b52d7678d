"""The command line on a table of one's own: ``run --table``, ``apply``, ``recommend --table``."""

import argparse
from collections.abc import Callable
from pathlib import Path

from tabkit import decoders, runs, store
from tabkit.commands.arguments import a_text, check_device, open_folder
from tabkit.commands.writing import escape_argument, number, write_file
from tabkit.data.files import read_file
from tabkit.data.reading import Table, read_table
from tabkit.nets import SquaredDistance, encode_rows
from tabkit.runs import Run

NAMES = {
    "categorical": "categorical columns of --table, such as make,doors",
    "continuous": "its continuous columns",
    "outcomes": "what net1's distances shall match; it is trained by contrast if not given",
    "drop": "what is left out",
    "unknown": "values that stand for a missing one, such as ?,-999",
}
ASSIGNED = {
    "dates": "parts of dates, such as sold=month+days",
    "gaps": "what becomes of missing values: make=category,power=median,mpg=drop",
}
FIXED = "values that all predicted rows shall have, such as make=audi"
KEPT = ("table", *NAMES, *ASSIGNED, "fixed", "signal", "split", "decoder")


def table_arguments(add: Callable[..., object]) -> None:
    """The arguments that describe a table of one's own."""
    add("--table", metavar="FILE", help="your own table, CSV or Parquet, in place of flights")
    for name, what in NAMES.items():
        spelt = ["--outcome", "--outcomes"] if name == "outcomes" else [f"--{name}"]
        add(*spelt, type=words, dest=name, default=[], metavar="A,B", help=what)
    for name, what in ASSIGNED.items():
        add(f"--{name}", type=assigned, default={}, metavar="A=X,B=Y", help=what)
    add("--signal", type=words, metavar="A,B", help="what net0 sees (outcomes and continuous)")
    add(
        "--split",
        type=a_text,
        metavar="COLUMN",
        help="a column that says train, validation or test",
    )


def run_arguments(add: Callable[..., object]) -> None:
    """The arguments of ``run`` that concern a table of one's own."""
    table_arguments(add)
    add("--fixed", type=assigned, default={}, metavar="A=X,B=Y", help=FIXED)
    add("--decoder", choices=decoders.names(), default="search", help="of the rows (search)")
    escape_argument(add)


def apply_arguments(add: Callable[..., object]) -> None:
    """The arguments of ``apply``."""
    add("run", type=Path, help="folder of a run of your own table")
    add("--signal", type=Path, required=True, metavar="FILE", help="new rows, CSV or Parquet")
    add("--out", type=Path, required=True, metavar="FILE", help="what is predicted for them")
    escape_argument(add)
    add("--device", default="cpu", help="where the nets work, such as cuda (cpu)")


def words(text: str) -> list[str]:
    """``"a,b"`` -> ``["a", "b"]``."""
    return a_text(text).split(",")


def assigned(text: str) -> dict[str, str]:
    """``"a=x,b=y"`` -> ``{"a": "x", "b": "y"}``."""
    parts = [part.partition("=") for part in a_text(text).split(",")]
    if not all(name and value for name, _, value in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form A=X,B=Y")
    return {name: value for name, _, value in parts}


def table_of(arguments: argparse.Namespace) -> Table:
    """The table that the arguments describe."""
    choices = {name: getattr(arguments, name) for name in (*NAMES, "gaps", "signal", "split")}
    choices["dates"] = {name: parts.split("+") for name, parts in arguments.dates.items()}
    choices["unknown"] = [v for text in choices["unknown"] for v in {text, number(text)}]
    return read_table(arguments.table, **choices)


def table_job(
    arguments: argparse.Namespace, folder_of: Callable[[argparse.Namespace], Path]
) -> int:
    """Trains net1 and net0 on a table of one's own; keeps them with all that predicts new rows."""
    arguments.estimators = arguments.estimators or ["softmax"]
    if len(arguments.estimators) > 1 or len(arguments.seeds) > 1:
        raise ValueError("--table trains one net0: name one estimator and one seed")
    table = table_of(arguments)
    print(table)
    data = table.data()
    numbers = {spec.name for spec in data.schema.continuous}
    fixed = {n: number(v) if n in numbers else v for n, v in arguments.fixed.items()}
    data.schema.fix(fixed)  # refused before a folder is made
    folder = folder_of(arguments)
    options = {n: getattr(arguments, n) for n in ("decoder", "steps", "encoder_steps", "device")}
    options |= {"estimator": arguments.estimators[0], "seed": arguments.seeds[0], "fixed": fixed}
    if (folder / runs.FILE).exists():
        run = Run.load(folder, device=arguments.device)
    else:
        run = Run.train(data, **options, folder=folder)
        run.save(folder)
    for checkpoint in folder.glob("net?.safetensors"):
        checkpoint.unlink(missing_ok=True)  # another call of the same run may have been faster
    store.write_whole(folder / "report.txt", lambda file: file.write_text(f"{table}\n", "utf-8"))
    rows = run.rows(data.signal[data.test])
    write_file(run.schema.decode(rows), folder / "predicted.csv", escape=arguments.escape)
    target = encode_rows(run.net1, data.rows[data.test])
    loss = SquaredDistance(run.net1, rows.continuous, target)(rows.codes).mean().item()
    print(f"decoded loss of {len(rows):,} test rows, by {run.decoder}: {loss:.3f}")
    print(f"For new rows: python -m tabkit apply {folder} --signal FILE --out FILE")
    return 0


def apply_job(arguments: argparse.Namespace) -> int:
    """Predict new rows by a saved run of your own table, from a file that holds their signal."""
    check_device(arguments.device)
    open_folder(arguments.out.parent)
    run = Run.load(arguments.run, device=arguments.device)
    found = run.predict(read_file(arguments.signal))
    write_file(found, arguments.out, escape=arguments.escape)
    print(f"{len(found):,} rows in {arguments.out}")
    return 0
