"""What differentiable categories cost, as ratios in one process.

    python benchmarks/speed.py                 # prints, and writes runs/speed_*.csv

- steps: a full training step of net0 through a frozen net1 (forward, backward, Adam), over that of
  a plain MLP with the same matrices, which hands net0's last layer to net1's first as it is.
- inputs: net1's input, from simplex and numbers to the first linear layer's output and back to
  them, over what training by integer codes costs there: a lookup a column, the linear layer, and
  back to tables and weights. *one product* is the limit: a single (B, F + N) @ (F + N, R).
- exchanges: local search and the IndeCateR gradient by exchanges of a category behind the folded
  first layer, over whole rows through the folded net1.
- compiled: steps once more, beside the plain formulas after `torch.compile`; it takes minutes.
- visits: seconds of net0's training by the number of row-visits; memory: its peak on a large table.

The contestants take turns (`ruler.race`): a ratio is the median over the rounds of ratios within
a round, and the quartiles say how far they scatter.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

import tabkit
from tabkit import (
    RowEncoder,
    RowPredictor,
    SquaredDistance,
    decoders,
    estimators,
    freeze,
    planted,
    ruler,
)
from tabkit.data import Dataset
from tabkit.devices import wait
from tabkit.nets import encode_rows, folded
from tabkit.nets.mlp import linear
from tabkit.store import write_whole

COLUMNS = (10, 50)
ROWS = 1024  # of a training step
CARDINALITY = (5, 30)
WIDTH = 256
PART = 2048  # rows at a time through net1's input
INPUT_ROWS = (1_000, 200_000)
POOL = 32_768  # different rows among the 200,000
VISITS = (10_000, 100_000, 1_000_000)
Work = Callable[[], object]


def table(columns: int, rows: int) -> tuple[Dataset, RowEncoder]:
    """Planted rows with as many continuous columns, and a frozen net1."""
    dataset = planted(rows, categorical=columns, continuous=columns, cardinality=CARDINALITY)
    return dataset, freeze(RowEncoder(dataset.schema, width=WIDTH))


def steps(columns: int, device: torch.device, *, compiled: bool = False) -> dict[str, Work]:
    """The contestants of a training step; the first is the reference."""
    dataset, net1 = table(columns, 2 * ROWS)
    options = {"rows": ROWS, "width": WIDTH, "compiled": compiled}
    return ruler.step_works(net1.to(device), dataset, **options)


def inputs(columns: int, rows: int, device: torch.device) -> dict[str, Work]:
    """The contestants at net1's input; the first is the reference."""
    _, net1 = table(columns, 2 * PART)
    net1, drawn = net1.to(device), torch.Generator().manual_seed(0)
    K, D = net1.embedding.cardinalities, net1.embedding.widths
    many = min(rows, POOL)
    codes = torch.stack([torch.randint(k, (many,), generator=drawn) for k in K], 1).to(device)
    simplex = torch.cat([torch.rand(many, k, generator=drawn).softmax(dim=1) for k in K], dim=1).to(
        device
    )
    continuous = torch.randn(many, net1.continuous_features, generator=drawn).to(device)
    slope = torch.randn(PART, WIDTH, generator=drawn).to(device)
    first = folded(net1).first
    joined = torch.cat([simplex, continuous], dim=1)
    matrix = torch.cat([first.categories, first.continuous])
    trained = nn.ModuleList(nn.Embedding(k, d) for k, d in zip(K, D, strict=True)).to(device)
    layer = linear(net1.first_layer.in_features, WIDTH, drawn).to(device)
    tables = [W.detach() for W in net1.embedding.weights]

    def parts() -> Iterator[slice]:
        done = 0
        while done < rows:
            begin = done % many
            count = min(PART, rows - done, many - begin)
            yield slice(begin, begin + count)
            done += count

    def by_index() -> None:
        for part in parts():
            embedded = [t(codes[part, c]) for c, t in enumerate(trained)]
            output = layer(torch.cat([*embedded, continuous[part]], dim=1))
            output.backward(slope[: len(output)])
        layer.zero_grad()
        trained.zero_grad()

    def soft(through: Callable[[Tensor, Tensor], Tensor]) -> Work:
        def work() -> None:
            for part in parts():
                leaf = simplex[part].detach().requires_grad_()
                output = through(leaf, continuous[part].detach().requires_grad_())
                output.backward(slope[: len(output)])

        return work

    def laid_out(name: str) -> Work:
        layout = ruler.LAYOUTS[name]
        operands = layout.prepare(tables)

        def through(leaf: Tensor, others: Tensor) -> Tensor:
            mixed = layout.mix(leaf, operands)
            return net1.first_layer(torch.cat([mixed, others], dim=1))

        return soft(through)

    def product() -> None:
        for part in parts():
            leaf = joined[part].detach().requires_grad_()
            output = torch.addmm(first.bias, leaf, matrix)
            output.backward(slope[: len(output)])

    works = {"index per column": by_index, "one product": product, "folded": soft(first)}
    if rows <= PART:
        works |= {name: laid_out(name) for name in ruler.LAYOUTS}
    return works


def exchanges(columns: int, device: torch.device) -> dict[str, dict[str, Work]]:
    """Local search of 100 rows, and one IndeCateR gradient of 256; the reference is first.

    Both behind the folded net1.
    """
    dataset, net1 = table(columns, 1024)
    net1, K = net1.to(device), net1.cardinalities
    rows, others = dataset.rows[:256].to(device), dataset.rows[256:512]
    objective = SquaredDistance(folded(net1), rows.continuous, encode_rows(net1, others))
    logits = torch.randn(256, sum(K), generator=torch.Generator().manual_seed(0)).to(device)
    few = objective.at(torch.arange(100, device=device))

    def search(cost: Callable[[Tensor], Tensor]) -> Work:
        return lambda: decoders.local_search(rows.codes[:100], cost, K, rounds=3)

    def gradient(cost: Callable[[Tensor], Tensor]) -> Work:
        indecater = estimators.make("indecater")
        leaf = logits.clone().requires_grad_()
        noise = torch.Generator(device).manual_seed(0)
        return lambda: indecater(leaf, cost, cardinalities=K, generator=noise).backward()

    return {
        "local search, 3 rounds": {"whole rows": search(few.__call__), "exchanges": search(few)},
        "indecater": {"whole rows": gradient(objective.__call__), "exchanges": gradient(objective)},
    }


def setting(device: torch.device) -> dict[str, object]:
    """Where the times were taken."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return {
        "device": gpu or device.type,
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "tabkit": tabkit.__version__,
    }


def processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def all_steps(
    threads: Sequence[int], rounds: int, device: torch.device, *, compiled: bool = False
) -> pd.DataFrame:
    """The table of training steps."""
    found = []
    for columns in COLUMNS:
        works = steps(columns, device, compiled=compiled)
        for count in threads:
            torch.set_num_threads(count)
            part = ruler.race(works, rounds, device=device).reset_index()
            found.append(part.assign(columns=columns, rows=ROWS, threads=count))
            print(part.round(3).to_string(index=False, header=columns == COLUMNS[0]), flush=True)
    return pd.concat(found).assign(**setting(device))


def all_inputs(threads: Sequence[int], rounds: int, device: torch.device) -> pd.DataFrame:
    """The table of net1's input."""
    found = []
    for columns in COLUMNS:
        for rows in INPUT_ROWS:
            works = inputs(columns, rows, device)
            for count in threads:
                torch.set_num_threads(count)
                many = rounds if rows <= PART else max(3, rounds // 8)
                part = ruler.race(works, many, device=device).reset_index()
                found.append(part.assign(columns=columns, rows=rows, threads=count))
                print(part.round(3).to_string(index=False), flush=True)
    return pd.concat(found).assign(**setting(device))


def all_exchanges(threads: Sequence[int], rounds: int, device: torch.device) -> pd.DataFrame:
    """The table of exchanges."""
    found = []
    for columns in COLUMNS:
        for job, works in exchanges(columns, device).items():
            for count in threads:
                torch.set_num_threads(count)
                part = ruler.race(works, max(3, rounds // 8), device=device).reset_index()
                found.append(part.assign(job=job, columns=columns, threads=count))
                print(found[-1].round(3).to_string(index=False), flush=True)
    return pd.concat(found).assign(**setting(device))


def visits(columns: int, count: int, device: torch.device) -> float:
    """Seconds of net0's training on so many row-visits, through softmax, after a warm-up."""
    dataset, net1 = table(columns, 20_000)
    net0 = RowPredictor(dataset.signal.shape[1], net1.to(device), width=WIDTH).to(device)
    softmax = estimators.make("softmax")
    tabkit.fit_predictor(net0, net1, dataset, softmax, steps=3, batch=ROWS).run()
    rounds = max(1, count // ROWS)
    wait(device)
    started = time.perf_counter()
    tabkit.fit_predictor(net0, net1, dataset, softmax, steps=rounds, batch=ROWS).run()
    wait(device)
    return (time.perf_counter() - started) * count / (rounds * ROWS)


def all_visits(counts: Sequence[int], threads: int, device: torch.device) -> pd.DataFrame:
    """The table of scale."""
    torch.set_num_threads(threads)
    found = []
    for columns in COLUMNS:
        for count in counts:
            seconds = visits(columns, count, device)
            found.append((columns, count, seconds, 1e6 * seconds / count))
            print(f"{columns} columns, {count:,} row-visits: {seconds:.1f} s", flush=True)
    names = ["columns", "visits", "seconds", "microseconds_a_visit"]
    return pd.DataFrame(found, columns=names).assign(threads=threads, **setting(device))


def large_table(rows: int = 200_000, columns: int = 50) -> dict[str, float]:
    """Peak memory in GiB of training and decoding on a large table, in this process.

    The batch is the whole table, in micro-batches.
    """
    dataset, net1 = table(columns, rows)
    net0 = RowPredictor(dataset.signal.shape[1], net1, width=WIDTH)
    gumbel, signal = estimators.make("gumbel_softmax"), dataset.signal
    tabkit.fit_predictor(
        net0, net1, dataset, gumbel, steps=1, batch=rows, micro_batch=4 * ROWS
    ).run()
    decoded = tabkit.decode(net0, signal, net1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 2**30
    return {"rows": len(decoded), "columns": columns, "peak_gib": peak}


def peak_memory() -> pd.DataFrame:
    """`large_table` in a process of its own, so that the peak is its own."""
    code = "import speed; r = speed.large_table(); print(r['rows'], r['columns'], r['peak_gib'])"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    rows, columns, peak = out.stdout.split()[-3:]
    found = {"rows": int(rows), "columns": int(columns), "peak_gib": float(peak)}
    print(f"{int(rows):,} rows of {columns} + {columns} columns: {float(peak):.2f} GiB at the peak")
    return pd.DataFrame([found | setting(torch.device("cpu"))])


def imports(rounds: int) -> pd.DataFrame:
    """Importing torch, and importing tabkit, which brings torch, in fresh processes."""

    def importing(module: str) -> Work:
        return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    found = ruler.race({name: importing(name) for name in ("torch", "tabkit")}, rounds)
    print(found.round(2).to_string())
    return found.reset_index().assign(**setting(torch.device("cpu")))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    made.add_argument("--rounds", type=int, default=40, help="rounds of each race")
    made.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="CPU threads")
    made.add_argument("--visits", type=int, nargs="+", default=list(VISITS), help="row-visits")
    usual = [name for name in TABLES if name != "compiled"]
    made.add_argument("--tables", nargs="+", default=usual, choices=list(TABLES))
    made.add_argument("--out", type=Path, default=Path("runs"), help="folder of the tables")
    return made


TABLES = {
    "steps": lambda a: all_steps(a.threads, a.rounds, torch.device(a.device)),
    "compiled": lambda a: all_steps(a.threads, a.rounds, torch.device(a.device), compiled=True),
    "inputs": lambda a: all_inputs(a.threads, a.rounds, torch.device(a.device)),
    "exchanges": lambda a: all_exchanges(a.threads, a.rounds, torch.device(a.device)),
    "visits": lambda a: all_visits(a.visits, max(a.threads), torch.device(a.device)),
    "memory": lambda a: peak_memory(),
    "imports": lambda a: imports(max(3, a.rounds // 8)),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and writes."""
    asked = parser().parse_args(arguments)
    label = "" if asked.device == "cpu" else "_" + asked.device.split(":")[0]
    for name in asked.tables:
        started = time.perf_counter()
        found = TABLES[name](asked)
        file = asked.out / f"speed_{name}{label}.csv"
        write_whole(file, lambda path, found=found: found.to_csv(path, index=False))
        print(f"{file}: {time.perf_counter() - started:.0f} s\n", flush=True)


if __name__ == "__main__":
    main()
