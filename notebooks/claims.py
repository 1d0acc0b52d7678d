"""Do the notebooks' claims hold from other seeds? ``make claims``.

    python notebooks/claims.py                   # five seeds, all notebooks: an hour, picked up
    python notebooks/claims.py --seeds 0 1       # these; the kept table stays as it is
    python notebooks/claims.py --notebooks 03 04

A seed is that of the split, of every net, batch and pair. Each seed has a folder in runs/claims and
goes through the course there in its order, so that later notebooks take up what earlier ones kept.
A notebook whose code has not changed since it was run is not run again. Seeds run side by side, one
on each core. What all five seeds found goes to notebooks/claims.csv.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pandas as pd
from build import FOLDER, generate, sources
from execute import code_digest, execute

SEEDS = (0, 1, 2, 3, 4)
KEPT = FOLDER / "claims.csv"
COLUMNS = ["notebook", "claim", "at_least", "at_most"]


def measured(source: Path, seed: int, folder: Path) -> pd.DataFrame:
    """The claims of one notebook from one seed: run, or read if it has been run as it is."""
    notebook = nbformat.reads(generate(source, solved=False), as_version=4)
    digest, kept = code_digest(notebook), folder / f"{source.stem}.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    if known.get("digest") != digest:
        lines = folder / f"{source.stem}.claims"
        lines.unlink(missing_ok=True)
        env = {"TABKIT_SEED": str(seed), "TABKIT_CLAIMS": str(lines), "OMP_NUM_THREADS": "1"}
        seconds = execute(notebook, folder, env)
        nbformat.write(notebook, folder / f"{source.stem}.ipynb")  # to be looked at
        claims = [json.loads(line) for line in lines.read_text().splitlines()]
        known = {"digest": digest, "seconds": seconds, "claims": claims}
        kept.write_text(json.dumps(known, indent=1))
        print(f"seed {seed}, {source.stem}: {known['seconds']:.0f} s", flush=True)
    return pd.DataFrame(known["claims"]).assign(
        notebook=source.stem[:2], seed=seed, seconds=known["seconds"]
    )


def course(seed: int, chosen: Sequence[Path], folder: Path) -> pd.DataFrame:
    """All claims from one seed, notebook after notebook."""
    own = folder / f"seed{seed}"
    own.mkdir(parents=True, exist_ok=True)
    return pd.concat(measured(source, seed, own) for source in chosen)


def table(found: pd.DataFrame) -> pd.DataFrame:
    """One row a claim: its bounds, what each seed found (1 or 0 of a truth value), on how many."""
    found = found.assign(found=found["found"].astype(float).fillna(found["holds"].astype(float)))
    groups = found.groupby(COLUMNS[:2], sort=False)
    wide = groups[COLUMNS[2:]].first().assign(holds=groups["holds"].sum())
    for seed, part in found.groupby("seed"):
        wide[f"seed {seed}"] = part.set_index(COLUMNS[:2])["found"].round(4)
    return wide.reset_index()


def keep(wide: pd.DataFrame) -> None:
    """Puts claims into the kept table, in place of all that it has of their notebooks."""
    kept = pd.read_csv(KEPT, dtype={"notebook": str})
    kept = kept[~kept["notebook"].isin(wide["notebook"])]
    whole = pd.concat([kept, wide]).sort_values("notebook", kind="stable")
    whole.to_csv(KEPT, index=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is asked for; returns 1 if a claim fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--notebooks", nargs="+", metavar="NN", help="such as 03 04 (all)")
    parser.add_argument("--folder", type=Path, default=FOLDER.parent / "runs" / "claims")
    asked = parser.parse_args(arguments)
    chosen = [s for s in sources() if not asked.notebooks or s.stem[:2] in asked.notebooks]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        folder = asked.folder.resolve()
        found = pd.concat(pool.map(lambda seed: course(seed, chosen, folder), asked.seeds))
    wide = table(found)
    failed = wide[wide["holds"] < len(asked.seeds)]
    print(f"{len(wide)} claims, {len(asked.seeds)} seeds: {len(failed)} fail from at least one")
    print(failed.to_string(index=False) if len(failed) else "", end="\n" * bool(len(failed)))
    minutes = found.groupby("notebook")["seconds"].first() / 60
    print("minutes on one core:", ", ".join(f"{n} {m:.1f}" for n, m in minutes.items()))
    if set(asked.seeds) == set(SEEDS):
        keep(wide)
    return int(len(failed) > 0)


if __name__ == "__main__":
    sys.exit(main())
