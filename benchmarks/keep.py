"""Every kept table again, with its provenance: ``make tables``.

    python benchmarks/keep.py                   # hours; what was measured is not measured again
    python benchmarks/keep.py starts joint      # these
    python benchmarks/keep.py --again joint     # this one afresh

Each job runs in a folder of its own in runs/tables. A job that is interrupted goes on where it was,
as far as its script picks up, and one that is finished is not run again. What it measured goes to
benchmarks/results, and its command, commit, versions, machine and seconds, those of interrupted
runs too, into provenance.json there.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import tabkit
from tabkit.compare.comparison import RANKED
from tabkit.store import write_whole

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PROVENANCE = "provenance.json"


@dataclass(frozen=True)
class Job:
    """Commands, in which OUT is its folder, and what of that folder is kept by which name."""

    commands: tuple[str, ...]
    tables: Mapping[str, str]


def script(name: str, *tables: str, options: Sequence[str] = ("",), out: str = "OUT") -> Job:
    """A benchmark's script, run with each of the options; it writes its tables by their names."""
    commands = (f"benchmarks/{name}.py {text} --out {out}" for text in options)
    return Job(
        tuple(" ".join(text.split()) for text in commands), {table: table for table in tables}
    )


SPEED = "steps inputs exchanges memory imports"
LONGER = "imle:step=10 adaptive_imle gumbel_softmax:tau=0.1 gumbel_softmax:tau=0.5 rebar"
JOBS = {
    "main_job": Job(
        ("-m tabkit run --seeds 0 1 2 --out OUT",), {"summary.csv": "flights_main_job.csv"}
    ),
    "comparison": Job(
        ("-m tabkit compare --nets plain --data flights planted --seeds 0 1 2 --out OUT",),
        {"comparison.csv": "comparison.csv", "cells.csv": "comparison_cells.csv"},
    ),
    "everywhere": Job(
        (f"-m tabkit compare --estimators {' '.join(RANKED)} --nets plain deep --out OUT",),
        {"comparison.csv": "everywhere.csv", "cells.csv": "everywhere_cells.csv"},
    ),
    "transformers": Job(  # first one seed, then all: what is measured by then is picked up
        tuple(
            f"-m tabkit compare --estimators {' '.join(RANKED)} --nets ft_transformer "
            f"--seeds {seeds} --out OUT"
            for seeds in ("0", "0 1 2", "0 1 2 3 4")
        ),
        {"comparison.csv": "transformers.csv", "cells.csv": "transformers_cells.csv"},
    ),
    "starts": script("starts", "starts.csv"),
    "frontier": script("frontier", "frontier.csv"),
    "joint": script("joint", "joint.csv"),
    "ways": Job(
        ("benchmarks/ways.py --out OUT",), {"ways.csv": "ways.csv", "cells.csv": "ways_cells.csv"}
    ),
    "inspection": script(
        "inspection",
        *(f"inspection_{kind}.csv" for kind in ("scores", "agreement", "movement", "landings")),
    ),
    "ruler": script("ruler", "ruler.csv", out="OUT/ruler.csv"),
    "polynomial": script(
        "polynomial",
        *("polynomial.csv", "polynomial.json"),
        options=("", f"--powers 2 --epochs 160 --estimators {LONGER}"),
        out="OUT/polynomial.csv",
    ),
    "speed": script(
        "speed", *(f"speed_{name}.csv" for name in SPEED.split()), options=(f"--tables {SPEED}",)
    ),
    "visits": script(
        "speed",
        "speed_visits.csv",
        options=("--tables visits --visits 10000 100000 1000000 10000000",),
    ),
    "compiled": script(
        "speed", "speed_compiled.csv", options=("--tables compiled --threads 1 --rounds 15",)
    ),
    "many_categories": script(
        "many_categories",
        *("many_categories.csv", "many_categories.json"),
        *("many_categories_ruler.csv", "many_categories_ruler.json"),
        out="OUT/many_categories.csv",
    ),
}

# Of `make bench-gpu` and of `many_categories.py --device cuda`: kept by hand, where there is one.
ON_A_GPU = ("steps", "fits", "search", "job", "memory", "inputs", "exchanges")
ON_A_GPU = (*(f"gpu_{name}.csv" for name in ON_A_GPU), "many_categories_cuda.csv")
ON_A_GPU += ("many_categories_cuda.json",)
BY_HAND = (*ON_A_GPU, "torture.csv")  # make torture TORTURE="--out benchmarks/results/torture.csv"


def commit() -> str:
    """Of the repository; with a plus if more than kept tables changed since; empty without git."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(ROOT), *words]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        return found.stdout.strip()

    changed = git("status", "--porcelain", "-uno", "--", ".", ":!benchmarks/results")
    return git("rev-parse", "--short=12", "HEAD") + "+" * bool(changed)


def provenance(job: Job, seconds: float, commits: Sequence[str]) -> dict[str, str | int]:
    """How its tables came about; the commits are those at which it began and was picked up."""
    return {
        "command": "; ".join(f"python {command}" for command in job.commands),
        "commit": " ".join(dict.fromkeys(commits)),
        "seconds": round(seconds),
        "tabkit": tabkit.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count() or 0,
    }


def run(name: str, folder: Path, results: Path) -> None:
    """Runs a job that is not finished, and keeps what it measured.

    Raises subprocess.CalledProcessError if a command fails.
    """
    job, own, done = JOBS[name], folder / name, folder / f"{name}.json"
    state = {"seconds": 0.0, "commits": [], "finished": False}
    state |= json.loads(done.read_text()) if done.exists() else {}
    if state["finished"]:
        print(f"{name}: measured already")
        return
    own.mkdir(parents=True, exist_ok=True)
    state["commits"].append(commit())
    started = time.perf_counter()
    try:
        for command in job.commands:
            words = [word.replace("OUT", str(own)) for word in command.split()]
            subprocess.run([sys.executable, *words], cwd=ROOT, check=True)
    finally:
        state["seconds"] += time.perf_counter() - started
        note(done, state)
    for made, kept in job.tables.items():
        shutil.copy(own / made, results / kept)
    file = results / PROVENANCE
    known = json.loads(file.read_text()) if file.exists() else {}
    found = provenance(job, state["seconds"], state["commits"])
    known |= {kept: found for kept in job.tables.values() if kept.endswith(".csv")}
    note(file, dict(sorted(known.items())))
    note(done, state | {"finished": True})


def note(file: Path, what: Mapping[str, object]) -> None:
    """Writes JSON."""
    text = json.dumps(what, indent=1) + "\n"
    write_whole(file, lambda path: path.write_text(text))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jobs", nargs="*", help=f"any of {', '.join(JOBS)} (all)")
    parser.add_argument("--again", action="store_true", help="also what is finished, from nothing")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "tables")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where tables are kept")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.jobs) - set(JOBS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are: {', '.join(JOBS)}")
    asked.folder.mkdir(parents=True, exist_ok=True)
    for name in asked.jobs or JOBS:
        if asked.again:
            shutil.rmtree(asked.folder / name, ignore_errors=True)
            (asked.folder / f"{name}.json").unlink(missing_ok=True)
        run(name, asked.folder, asked.results)


if __name__ == "__main__":
    main()
