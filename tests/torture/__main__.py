"""``python -m tests.torture``: every kind in turn; a table in runs/torture.csv; 1 if one failed."""

import argparse
import json
import sys
import time
from importlib import import_module
from pathlib import Path

import pandas as pd

KINDS = ("files", "numbers", "strangers", "repetition", "interruptions", "app")


def short(figure: object) -> object:
    """A number with three digits."""
    return f"{figure:.3g}" if isinstance(figure, float) else figure


def main() -> int:
    """Runs the kinds that are named; all if none is."""
    asked = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    asked.add_argument("kinds", nargs="*", default=KINDS, metavar="KIND", help=", ".join(KINDS))
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--minutes", type=float, default=18, help="for all together, about (18)")
    asked.add_argument("--out", type=Path, default=Path("runs/torture.csv"))
    arguments = asked.parse_args()
    found = {}
    for kind in arguments.kinds:
        started = time.perf_counter()
        run = import_module(f"tests.torture.{kind}").run
        figures = run(arguments.seed, arguments.minutes / len(KINDS))
        found[kind] = figures | {"minutes": round((time.perf_counter() - started) / 60, 1)}
        print(kind, json.dumps(found[kind], indent=1), flush=True)
    table = pd.DataFrame(
        [(kind, what, short(figure)) for kind, of in found.items() for what, figure in of.items()],
        columns=["kind", "what", "figure"],
    )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.out, index=False)
    return int(any(of["failures"] for of in found.values()))


if __name__ == "__main__":
    sys.exit(main())
