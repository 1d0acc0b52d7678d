"""Bits flipped and files cut, over every kind of file that tabkit keeps or that ships with it."""

import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

import tabkit
from tabkit import store
from tabkit.compare import Cell, sweep
from tabkit.data import tables
from tabkit.data.nycflights import FLIGHTS
from tabkit.lesson import records
from tabkit.runs import Run

DAMAGES = 600  # over all kinds together
SMALL = {"Z": 3, "D": 4, "width": 8, "depth": 1}
READ = Callable[[], object]


def kept_files(folder: Path) -> dict[str, tuple[Path, READ]]:
    """One file of each kind, and how its user has it read; what that gives can be compared."""
    torch.set_num_threads(1)
    data = tabkit.planted(400, categorical=3, continuous=2, cardinality=(3, 6))
    checkpoint, run, reader = folder / "net1.safetensors", folder / "run", folder / "reader.json"

    def trained() -> object:
        net1 = tabkit.RowEncoder(data.schema, **SMALL)
        losses = [s.loss for s in tabkit.fit_encoder(net1, data, steps=3, checkpoint=checkpoint)]
        return losses, store.digest(*net1.state_dict().values())

    def run_read() -> object:
        found = Run.load(run)
        weights = [*found.net1.state_dict().values(), *found.net0.state_dict().values()]
        return found.schema, found.signal, found.estimator, store.digest(*weights)

    trained()
    nets = {"net1": SMALL, "net0": {"width": 8, "depth": 1}}
    Run.train(data, steps=1, encoder_steps=1, nets=nets).save(run)
    cells = [Cell("planted", 1000, "softmax", 0, steps=1, batch=16, encoder_steps=1)]
    swept, again = folder / "sweep", folder / "again"
    table = sweep(cells, swept, jobs=1, progress=False)
    sweep(cells, again, jobs=1, progress=False)
    (again / "cells").joinpath(f"{cells[0].digest()}.json").unlink()
    records.write(reader, {"03.a": {"question": "Which?", "said": "softmax"}})
    store.write(folder / "configuration.json", "configuration", {"steps": 3})

    def swept_with(net1: bool) -> object:
        if net1:
            (again / "cells" / f"{cells[0].digest()}.json").unlink(missing_ok=True)
        found = sweep(cells, again if net1 else swept, jobs=1, progress=False)
        return found.drop(columns="seconds").to_dict()

    assert swept_with(net1=False) == table.drop(columns="seconds").to_dict()
    (net1_file,) = (again / "net1").iterdir()
    (cell_file,) = (swept / "cells").iterdir()
    return {
        "checkpoint": (checkpoint, trained),
        "saved run": (run / "run.safetensors", run_read),
        "finished cell": (cell_file, lambda: swept_with(net1=False)),
        "net1 of a sweep": (net1_file, lambda: swept_with(net1=True)),
        "reader's answers": (reader, lambda: records.read(reader)),
        "configuration": (
            folder / "configuration.json",
            lambda: store.read(folder / "configuration.json", "configuration"),
        ),
        **shipped_tables(folder),
    }


def shipped_tables(folder: Path) -> dict[str, tuple[Path, READ]]:
    """Copies of the tables, read as those that ship."""
    real, found = tables.shipped, {}
    for table in (FLIGHTS, tables.ADULT, tables.BIKESHARE, tables.CENSUS):
        copy = folder / f"{table.name}.parquet"
        copy.write_bytes(real(f"data/{table.name}.parquet").read_bytes())
        found[copy.name] = copy, lambda table=table: len(table.read())
    tables.shipped = lambda path: real(path) if path.endswith(".md") else folder / Path(path).name
    return found


def damaged(whole: bytes, draw: random.Random) -> bytes:
    """Some bits flipped, or cut off, or a piece in its place lost, doubled or zero."""
    found, at = bytearray(whole), draw.randrange(len(whole))
    until = min(at + draw.choice([1, 7, 512, 4096]), len(whole))
    match draw.choice(["bit", "bit", "bits", "cut", "lost", "zeros", "doubled"]):
        case "bit":
            found[at] ^= 1 << draw.randrange(8)
        case "bits":
            for place in draw.choices(range(len(whole)), k=8):
                found[place] ^= 1 << draw.randrange(8)
        case "cut":
            del found[at:]
        case "lost":
            del found[at:until]
        case "zeros":
            found[at:until] = bytes(until - at)
        case _:
            found[at:at] = found[at:until]
    return bytes(found)


def run(seed: int = 0, minutes: float = 3) -> dict[str, int | float | str]:
    """Damages each kind's file again and again; nothing may be read from it but what it held."""
    draw, told = random.Random(seed), Counter()
    real = tables.shipped
    with tempfile.TemporaryDirectory() as folder:
        files = kept_files(Path(folder))
        for kind, (file, read) in files.items():
            whole = file.read_bytes()
            expected = read()
            for _ in range(DAMAGES // len(files)):
                broken = damaged(whole, draw)
                file.write_bytes(broken)
                told["tried"] += broken != whole
                try:
                    found = read()
                except ValueError as error:
                    in_words = isinstance(error, store.FileError) or kind == "reader's answers"
                    told["refused in words" if in_words else "failures"] += 1
                    if not in_words:
                        print(f"{kind}: {type(error).__name__}: {error}")
                except Exception as error:
                    told["failures"] += 1
                    print(f"{kind}: {type(error).__name__}: {error}")
                else:
                    if broken == whole or found == expected:
                        told["read as it was"] += broken != whole
                    else:
                        told["failures"] += 1
                        print(f"{kind}: accepted with other content")
                file.write_bytes(whole)
    tables.shipped = real
    return {"kinds": len(files), "failures": 0} | told


if __name__ == "__main__":
    print(run())
