"""The comparison: estimators, temperatures, seeds and data sets, on all cores or on a cluster."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from tabkit import compare, plots, store
from tabkit.commands.arguments import (
    ESTIMATORS,
    a_seed,
    check_unique,
    open_folder,
    positive,
    processes,
)
from tabkit.compare.comparison import DATA_ROWS, QUICK, QUICK_ROWS, RANKED, whole
from tabkit.compare.kinds import KINDS
from tabkit.compare.sweeping import BUDGETS
from tabkit.compare.trials import LIMIT
from tabkit.extras import imports_for, need


def compare_arguments(add: Callable[..., object]) -> None:
    """The arguments of ``compare``."""
    add("--quick", action="store_true", help="a few minutes in place of some hours")
    add("--estimators", **ESTIMATORS)
    add("--seeds", nargs="+", type=a_seed, help="(0 to 4; quick: 0 1)")
    add("--data", nargs="+", choices=list(DATA_ROWS), help="(all; quick: flights planted)")
    nets = "kinds of net1 (all; quick, or with --estimators: plain)"
    add("--nets", nargs="+", choices=KINDS, help=nets)
    add("--budgets", nargs="+", choices=BUDGETS, default=list(BUDGETS), help="equal what (both)")
    add("--steps", type=positive, help="of a net0 (600; quick: 300)")
    add("--encoder-steps", type=positive, help="of a net1 (600)", default=600)
    add("--batch", type=positive, default=256, help="rows, at equal steps (256)")
    add("--jobs", type=processes, default=-1, help="processes (-1: all cores)")
    add("--scheduler", help="address of a Dask scheduler to run on")
    out = (
        "folder of the finished cells: what is there is not trained again; "
        "the tables in it are those of the last call (runs/comparison)"
    )
    add("--out", type=Path, default=Path("runs/comparison"), help=out)


def comparison_job(arguments: argparse.Namespace) -> int:
    """Estimators x decoders x tables x nets x seeds, at equal steps and at equal evaluations."""
    quick = arguments.quick
    chosen = arguments.estimators or (QUICK if quick else None)
    nets = arguments.nets or (list(KINDS) if chosen is None else ["plain"])
    seeds = arguments.seeds or list(range(2 if quick else 5))
    data = arguments.data or (["flights", "planted"] if quick else list(DATA_ROWS))
    check_unique(estimators=chosen or (), seeds=seeds, data=data, nets=nets)
    rows = {name: (QUICK_ROWS if quick else DATA_ROWS)[name] for name in data}
    for what in ("ranks", "sweeps", *["an FT-Transformer"] * ("ft_transformer" in nets)):
        need(what)  # before hours of training
    sizes = {"steps": arguments.steps or (300 if quick else 600), "batch": arguments.batch}
    sizes["encoder_steps"] = arguments.encoder_steps
    axes = {"rows": rows, "nets": nets, "budgets": arguments.budgets}
    if chosen is None:
        cells = whole(seeds, **axes, **sizes)
    else:
        cells = compare.cells(chosen, seeds, **axes, **sizes)
    open_folder(arguments.out)
    print(f"{len(cells)} cells; finished ones are kept in {arguments.out}", flush=True)
    with backend(arguments.scheduler):
        results = compare.sweep(cells, arguments.out, jobs=arguments.jobs)
    summary = compare.sweep_summary(results)
    store.write_table(results, arguments.out / "cells.csv", index=False)
    short = {"index": False, "float_format": "%.5g"}
    store.write_table(summary, arguments.out / "comparison.csv", **short)
    print(compare.sweep_text(summary))
    folding = results[results["net"] != "ft_transformer"]  # there restarts are there, too
    show_ranks(folding if len(folding) else results, arguments.out)
    for name in data:
        for net in nets:
            file = f"comparison_{name}.png" if net == "plain" else f"comparison_{name}_{net}.png"
            plots.comparison(summary, name, net=net).save(arguments.out / file)
    return 0


def show_ranks(results: pd.DataFrame, folder: Path) -> None:
    """Prints and draws the ranks, of `RANKED` if there are more, if there is enough to rank."""
    if set(RANKED) < set(results["estimator"]):
        results = results[results["estimator"].isin([LIMIT, *RANKED])]
    try:
        found = compare.rank(results)
    except ValueError as error:
        print(f"\nno ranks: {error}")
        return
    lines = found.table().drop(columns="tied").to_string(float_format="{:.3f}".format)
    nets = ", ".join(results["net"].unique())
    print(
        f"\nMean ranks over {len(found.shares)} blocks (net1: {nets}), shares of the way from a "
        f"random row to the limit\n{lines}\n"
        f"Not parted from the first: {', '.join(found.best[1:]) or 'none'}"
    )
    store.write_table(found.table(), folder / "ranks.csv", float_format="%.5g")
    plots.ranks(found).save(folder / "ranks.png")


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
