"""Polynomial programming: which estimators find the best of 2**128 rows, and which stall.

The benchmark of ReinMax (Liu et al. 2023, arXiv:2304.08612), with the settings of its code: 128
columns of 2 categories, one parameter vector of logits (256,) in nats that all 64 rows of a batch
share, and as loss per row the mean over columns of ``|z - 0.45|**p``, with z the share of a
column's first category. The best row is all z = 0; its loss 0.45**p is just below the 0.55**p of
z = 1, while the mixture z = 0.45 has a loss of 0: not one that a row can have.

    python benchmarks/polynomial.py

Left out: estimators with an embedding head (there are no embeddings), those with the gradient of
another objective (`cross_entropy`; there are no labels), and `exact`, for which 2**128 rows are
too many; `indecater` is exact already for a loss that is a sum over columns.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm

import tabkit
from tabkit import estimators
from tabkit.commands.arguments import a_seed, check_unique, positive
from tabkit.compare import parse_spec
from tabkit.estimators import Estimator
from tabkit.objective import Function
from tabkit.simplex import argmax
from tabkit.store import write_whole

CENTRE = 0.45
COLUMNS = 128
BATCH = 64  # rows
LEARNING_RATE = 1e-3
START = 0.01  # nats
TUNED = (
    "gumbel_softmax:tau=0.5",
    "gumbel_softmax:tau=0.1",
    "straight_through_gumbel:tau=0.5",
    "softmax:tau=0.25",
    "softmax:entropy_penalty=0.01",
    "imle:step=10",
    "imle:step=100",
)


@dataclass(frozen=True)
class Cell:
    """One training: what its result depends on."""

    power: float
    estimator: str
    seed: int
    epochs: int
    steps: int  # an epoch


@dataclass(frozen=True)
class Result:
    """What one training gave; losses have the unit of z to the power."""

    relaxed: float  # the estimator's own value, mean over the last epoch's steps
    expected: float  # of rows drawn from softmax(logits), at the end
    decoded: float  # of the argmax row, at the end
    optimum: float  # of the best row
    seconds: float
    evaluations: int  # of the objective a step, for one row of the batch


def polynomial(power: float) -> Function:
    """The objective: simplex (B, 2C) -> loss per row (B,), in units of z to that power."""

    def objective(simplex: Float[Tensor, "B F"]) -> Float[Tensor, " B"]:
        return (simplex[:, ::2] - CENTRE).abs().pow(power).mean(dim=1)

    return objective


def optimum(power: float) -> float:
    """The least loss of any row: all z = 0, as the centre is below a half."""
    return CENTRE**power


def expected_loss(logits: Float[Tensor, " F"], power: float) -> float:
    """The exact expected loss of rows drawn from softmax(logits), columns of two categories."""
    first = logits.detach().double().view(-1, 2).softmax(dim=1)[:, 0]
    return (first * (1 - CENTRE) ** power + (1 - first) * CENTRE**power).mean().item()


def decoded_loss(logits: Float[Tensor, " F"], power: float) -> float:
    """The loss of the row that takes each column's argmax."""
    row = argmax(logits.double()[None], [2] * (len(logits) // 2))
    return polynomial(power)(row).item()


def applicable(name: str) -> bool:
    """Whether an estimator has anything to do here; the module says why those left out have not."""
    made = estimators.make(name)
    return made.head == "logits" and made.bias not in ("other", "exact")


def default_estimators() -> list[str]:
    """Every applicable estimator with its default knobs, then some with others."""
    return [*filter(applicable, estimators.names()), *TUNED]


def descend(
    estimator: Estimator, logits: nn.Parameter, power: float, *, steps: int, noise: torch.Generator
) -> Iterator[float]:
    """Trains logits (F,) by Adam; yields the estimator's value before each step."""
    optimizer, widths = torch.optim.Adam([logits], lr=LEARNING_RATE), [2] * (len(logits) // 2)
    objective = polynomial(power)
    for _ in range(steps):
        loss = estimator(logits.expand(BATCH, -1), objective, cardinalities=widths, generator=noise)
        optimizer.zero_grad()
        if loss.requires_grad:  # hard_argmax gives no gradient at all
            loss.backward()
        optimizer.step()
        yield loss.item()


def train(cell: Cell, tick: Callable[[], object]) -> Result:
    """Trains one cell, with a call of `tick` a step, and scores it."""
    started, estimator = time.perf_counter(), parse_spec(cell.estimator).estimator
    draws = torch.Generator().manual_seed(cell.seed)
    logits = nn.Parameter(torch.empty(2 * COLUMNS).uniform_(-START, START, generator=draws))
    steps, values = cell.epochs * cell.steps, []
    for value in descend(estimator, logits, cell.power, steps=steps, noise=draws):
        values.append(value)
        tick()
    return Result(
        relaxed=sum(values[-cell.steps :]) / cell.steps,
        expected=expected_loss(logits, cell.power),
        decoded=decoded_loss(logits, cell.power),
        optimum=optimum(cell.power),
        seconds=round(time.perf_counter() - started, 2),
        evaluations=estimator.evaluations([2] * COLUMNS),
    )


def settings() -> dict[str, float | str]:
    """What all cells share."""
    task = {"centre": CENTRE, "columns": COLUMNS, "batch": BATCH, "start": START}
    versions = {"tabkit": tabkit.__version__, "torch": torch.__version__}
    machine = {"python": platform.python_version(), "machine": platform.machine()}
    threads = torch.get_num_threads()
    return {**task, "learning_rate": LEARNING_RATE, **versions, **machine, "threads": threads}


def open_table(out: Path) -> pd.DataFrame:
    """The finished rows of `out`, if any; writes the settings beside it.

    Raises
    ------
    FileExistsError
        If its rows come from other settings.
    """
    beside = out.with_suffix(".json")
    if not out.exists():
        text = json.dumps(settings(), indent=1) + "\n"
        write_whole(beside, lambda path: path.write_text(text))
        return pd.DataFrame()
    if not beside.exists() or json.loads(beside.read_text()) != settings():
        raise FileExistsError(f"{out} was not measured with these settings: name another --out")
    return pd.read_csv(out)


def cells(arguments: argparse.Namespace) -> list[Cell]:
    """All cells that are asked for, seed by seed."""
    return [
        Cell(power, text, seed, arguments.epochs, arguments.steps)
        for seed in arguments.seeds
        for power in arguments.powers
        for text in arguments.estimators
    ]


def cells_of(table: pd.DataFrame) -> list[Cell]:
    """The cell of each row."""
    columns = table.reindex(columns=[field.name for field in fields(Cell)])
    return [Cell(*row) for row in columns.itertuples(index=False)]


def measure(wanted: Sequence[Cell], out: Path) -> pd.DataFrame:
    """Trains what has no row in `out` yet, and writes it after each; returns what was wanted."""
    table = open_table(out)
    todo = [cell for cell in wanted if cell not in cells_of(table)]
    steps = sum(cell.epochs * cell.steps for cell in todo)
    with tqdm(total=steps, unit="step", smoothing=0.02, mininterval=1.0) as bar:
        for cell in todo:
            bar.set_description(f"seed {cell.seed}, p = {cell.power:g}, {cell.estimator}")
            row = asdict(cell) | asdict(train(cell, bar.update))
            table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
            text = table.to_csv(index=False, float_format="%.7g")
            write_whole(out, lambda path, text=text: path.write_text(text))
    return table[[cell in wanted for cell in cells_of(table)]]


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """The mean over seeds, by power and estimator, best expected loss first."""
    results = [field.name for field in fields(Result)]
    means = table.groupby(["power", "estimator"])[results].mean()
    return means.sort_values(["power", "expected"])


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    root = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    specs = {"default": default_estimators(), "metavar": "NAME[:KNOB=VALUE,...]"}
    root.add_argument("--estimators", nargs="+", **specs)
    root.add_argument("--powers", nargs="+", type=float, default=[1.5, 2.0, 3.0])
    root.add_argument("--epochs", type=positive, default=40)
    root.add_argument("--steps", type=positive, default=200, help="an epoch")
    root.add_argument("--seeds", nargs="+", type=a_seed, default=[0])
    root.add_argument("--out", type=Path, default=Path("runs/polynomial.csv"), help="picked up")
    return root


def check(arguments: argparse.Namespace) -> None:
    """Tells a typing error before anything trains; below a power of 1 slopes are infinite."""
    for option in ("estimators", "powers", "seeds"):
        check_unique(**{option: getattr(arguments, option)})
    if any(parse_spec(text).schedules for text in arguments.estimators):
        raise ValueError("--estimators: a knob is one number here, not a schedule")
    if not all(1 <= power < float("inf") for power in arguments.powers):
        raise ValueError(f"--powers must be finite and at least 1, not {arguments.powers}")


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, and prints the table; exits with status 2 if arguments are bad."""
    arguments = parser().parse_args(argv)
    try:
        check(arguments)
        table = measure(cells(arguments), arguments.out)
    except (ValueError, OSError) as error:
        parser().error(str(error))
    print(summary(table).to_string(float_format="%.4f"))


if __name__ == "__main__":
    main()
