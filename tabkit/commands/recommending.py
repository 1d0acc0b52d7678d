"""A recommendation within minutes, on flights or on a table of one's own."""

import argparse
from collections.abc import Callable
from pathlib import Path

from tabkit import compare, plots, store
from tabkit.commands import own_table
from tabkit.commands.arguments import ESTIMATORS, a_seed, check_unique, open_folder, positive
from tabkit.nets import RowEncoder, freeze
from tabkit.train import fit_encoder


def recommend_arguments(add: Callable[..., object]) -> None:
    """The arguments of ``recommend``."""
    add("--minutes", type=float, default=5.0, help="of the comparison, net1's training apart (5)")
    add("--rows", type=positive, help="use a random subset of so many flights")
    add("--encoder-steps", type=positive, default=1500, help="training steps of net1 (1500)")
    add("--estimators", **(ESTIMATORS | {"help": "in place of a few usual ones, as in run"}))
    add("--seed", type=a_seed, default=0, help="of net1, and the first of the net0s (0)")
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
    if arguments.table is not None and arguments.rows:
        raise ValueError("--rows takes a subset of the flights, not of --table")
    if arguments.table is not None:
        table = own_table.table_of(arguments)
        print(table)
        dataset = table.data()
    else:
        dataset = compare.load_data("flights", arguments.rows or 0)
    open_folder(arguments.out)
    net1 = RowEncoder(dataset.schema, seed=seed)
    fit_encoder(net1, dataset, steps=arguments.encoder_steps, seed=seed).run("net1")
    options = {"estimators": chosen, "seed": seed}
    found = compare.recommend(freeze(net1), dataset, arguments.minutes, **options)
    short = {"index": False, "float_format": "%.5g"}
    store.write_table(found.table, arguments.out / "recommendation.csv", **short)
    plots.recommendation(found).save(arguments.out / "recommendation.png")
    print(found)
    return 0
