"""What differentiable categories cost on a GPU, as ratios in one process; a few minutes.

    python benchmarks/gpu.py                   # prints, and writes runs/gpu_*.csv

- steps: a training step of net0 through a frozen net1 (forward, backward, Adam), captured as one
  graph, over that of a plain MLP with the same matrices, captured by the same code; beside each the
  same step one by one, and the loop over columns that one writes first.
- compiled: the losses of some of these by torch.compile first, then captured.
- fits: seconds of `fit_predictor` and `fit_encoder`, captured and one by one.
- search: 20,000 flights decoded by each decoder.
- job: the main job, ``python -m tabkit run --device cuda``, as a process of its own.
- memory: peak bytes of a step above what is there before it.
- inputs, exchanges: as `benchmarks/speed.py` has them.

The contestants take turns (`ruler.race`); each turn is 20 steps.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import torch
from speed import COLUMNS, ROWS, WIDTH, all_exchanges, all_inputs, setting, table
from torch import Tensor, nn

import tabkit
from tabkit import RowEncoder, RowPredictor, estimators, fast, freeze, ruler
from tabkit.capture import Ledger, Steps
from tabkit.decoders import decode, names
from tabkit.devices import wait
from tabkit.nets import encode_rows
from tabkit.ruler.contestants import estimator_loss, loop_step, plain_loss, training_step, whole
from tabkit.store import write_whole

TURN = 20  # steps
ESTIMATORS = (
    *("softmax", "gumbel_softmax", "straight_through_argmax", "straight_through_gumbel"),
    *("reinmax", "sparsemax", "leave_one_out", "direct_embedding", "vq_straight_through"),
)
COMPILED = ("plain MLP", "softmax", "gumbel_softmax")
FLIGHTS = 20_000
Loss = Callable[[], Tensor]


def given(columns: int, device: torch.device) -> tuple[RowEncoder, Tensor, Tensor, int]:
    """net1, a signal, its target, and the nets' width."""
    data, net1 = table(columns, 2 * ROWS)
    net1, some = net1.to(device), data.train[:ROWS]
    return net1, data.signal[some].to(device), encode_rows(net1, data.rows[some]), WIDTH


def losses(
    columns: int, device: torch.device, *, own_noise: bool = True
) -> dict[str, tuple[nn.Module, Loss, list[torch.Generator]]]:
    """Of each contestant, the net, its loss on one batch, and whose draws that takes.

    The plain MLP is first. torch compiles no draws but its own.
    """
    batch = given(columns, device)
    found = {"plain MLP": (*plain_loss(*batch), [])}
    for name in ESTIMATORS:
        noise = [torch.Generator(device).manual_seed(0)] if own_noise else []
        found[name] = (*estimator_loss(*batch, name, *noise), noise)
    return found


def captured(
    net: nn.Module, loss: Loss, noise: list[torch.Generator], *, watch: bool = True
) -> Callable[[], None]:
    """Steps as one graph, as a `Fit` takes them, on one batch."""
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    ledger = Ledger(10_000_000, 0, next(net.parameters()).device)
    options = {"ledger": ledger, "generators": noise, "watch": watch}
    steps = Steps(lambda: [(loss(), 1.0)], adam, **options)

    def turn() -> None:
        for _ in range(TURN):
            steps.take()

    turn()
    assert not steps.reads, steps.reads
    return turn


def one_by_one(step: Callable[[], object]) -> Callable[[], None]:
    """A turn of steps, with nothing looked at."""

    def turn() -> None:
        with fast.look(False):
            for _ in range(TURN):
                step()

    return turn


def steps(columns: int, device: torch.device) -> dict[str, Callable[[], None]]:
    """The contestants of the table of steps."""
    works = {f"{n}, captured": captured(*each) for n, each in losses(columns, device).items()}
    for name, (net, loss, _) in losses(columns, device).items():
        works[name] = one_by_one(training_step(net, loss))
    for noisy, name in ((False, "softmax"), (True, "gumbel_softmax")):
        works[f"loop: {name}"] = one_by_one(loop_step(*given(columns, device), noisy=noisy))
    return works


def raced(
    works: dict[str, Callable], rounds: int, columns: int, device: torch.device
) -> pd.DataFrame:
    """A table of milliseconds a step."""
    part = ruler.race(works, rounds, device=device).reset_index()
    part = part.assign(ms=part["ms"] / TURN, columns=columns, rows=ROWS)
    print(part.round(3).to_string(index=False), flush=True)
    return part


def all_steps(rounds: int, device: torch.device) -> pd.DataFrame:
    """The table of steps."""
    return pd.concat(raced(steps(c, device), rounds, c, device) for c in COLUMNS)


def all_compiled(rounds: int, device: torch.device) -> pd.DataFrame:
    """The table of compiled losses, for the fewest columns: each adds to what is compiled."""
    found = []
    for columns in COLUMNS[:1]:
        every = losses(columns, device)
        works = {f"{n}, captured": captured(*every[n]) for n in COMPILED}
        for name, (net, loss, noise) in losses(columns, device, own_noise=False).items():
            if name in COMPILED:
                made = captured(net, whole(loss), noise, watch=False)
                works[f"{name}, compiled and captured"] = made
        found.append(raced(works, rounds, columns, device))
    return pd.concat(found)


def all_fits(device: torch.device, steps: int = 500) -> pd.DataFrame:
    """The table of whole trainings."""
    found = []
    for columns in COLUMNS:
        data, net1 = table(columns, 20_000)
        net1.to(device)
        for capture in (True, False):
            for name in ("fit_encoder", "softmax", "straight_through_gumbel"):
                if name == "fit_encoder":
                    own = RowEncoder(data.schema, width=WIDTH, device=device)
                    fit = tabkit.fit_encoder(own, data, steps=steps, batch=ROWS, capture=capture)
                else:
                    net0 = RowPredictor(data.signal.shape[1], net1, width=WIDTH)
                    options = {"steps": steps, "batch": ROWS, "capture": capture}
                    fit = tabkit.fit_predictor(net0, net1, data, estimators.make(name), **options)
                wait(device)
                started = time.perf_counter()
                loss = fit.run()[-1].loss
                seconds = time.perf_counter() - started
                found.append(
                    (columns, name, "captured" if capture else "one by one", seconds, loss)
                )
                print(*found[-1], flush=True)
    names = ["columns", "training", "steps", "seconds", "last_loss"]
    return pd.DataFrame(found, columns=names).assign(count=steps)


def all_decoders(device: torch.device) -> pd.DataFrame:
    """The table of decoders, on flights."""
    data = tabkit.flights()
    net1 = RowEncoder(data.schema, device=device)
    tabkit.fit_encoder(net1, data, steps=600).run()
    net1 = freeze(net1)
    net0 = RowPredictor(data.signal.shape[1], net1)
    tabkit.fit_predictor(net0, net1, data, estimators.make("softmax"), steps=600).run()
    signal, found = data.signal[data.test[:FLIGHTS]], []
    truth = encode_rows(net1, data.rows[data.test[:FLIGHTS]])
    for name in names():
        seconds = []
        for _ in range(3):
            wait(device)
            started = time.perf_counter()
            rows = decode(net0.eval(), signal, net1, decoder=name)
            wait(device)
            seconds.append(time.perf_counter() - started)
        loss = (encode_rows(net1, rows) - truth).square().sum(1).mean().item()
        found.append((name, len(signal), sorted(seconds)[1], loss))
        print(*found[-1], flush=True)
    return pd.DataFrame(found, columns=["decoder", "rows", "seconds", "loss"])


def main_job(device: torch.device) -> pd.DataFrame:
    """The table of the main job: all flights, one seed, and figures; a process of its own.

    Twice, as the first time Python and Triton compile what they keep.
    """
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tabkit", "run", "--device", str(device), "--out"]
        kept = os.environ | {"PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        for run in ("first", "again"):
            started = time.perf_counter()
            words = [*command, f"{folder}/{run}"]
            out = subprocess.run(words, env=kept, capture_output=True, text=True, check=False)
            seconds.append(time.perf_counter() - started)
            print(out.stdout[-3000:], out.stderr[-3000:], f"{seconds[-1]:.1f} s", flush=True)
            out.check_returncode()
    first, again = seconds
    return pd.DataFrame([{"job": "tabkit run --device cuda", "seconds": again, "first": first}])


def all_memory(device: torch.device) -> pd.DataFrame:
    """The table of peaks, over the plain MLP's."""
    found = []
    for columns in COLUMNS:
        for name, (net, loss, _) in losses(columns, device).items():
            step = training_step(net, loss)
            step()
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
            step()
            peak = torch.cuda.max_memory_allocated(device) - before
            found.append((columns, name, peak / 2**20))
    made = pd.DataFrame(found, columns=["columns", "contestant", "peak_mib"])
    first = made.groupby("columns")["peak_mib"].transform("first")
    made = made.assign(ratio=made["peak_mib"] / first, rows=ROWS)
    print(made.round(2).to_string(index=False), flush=True)
    return made


TABLES = {
    "steps": lambda a, d: all_steps(a.rounds, d),
    "fits": lambda a, d: all_fits(d),
    "search": lambda a, d: all_decoders(d),
    "job": lambda a, d: main_job(d),
    "memory": lambda a, d: all_memory(d),
    "inputs": lambda a, d: all_inputs([torch.get_num_threads()], a.rounds, d),
    "exchanges": lambda a, d: all_exchanges([torch.get_num_threads()], a.rounds, d),
    "compiled": lambda a, d: all_compiled(a.rounds, d),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and writes."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--rounds", type=int, default=20, help="rounds of each race")
    made.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    made.add_argument("--out", type=Path, default=Path("runs"), help="folder of the tables")
    asked, device = made.parse_args(arguments), torch.device("cuda")
    if not torch.cuda.is_available():
        sys.exit("no GPU: torch sees none. On the CPU: python benchmarks/speed.py")
    for name in asked.tables:
        started = time.perf_counter()
        found = TABLES[name](asked, device)
        found = found if "device" in found else found.assign(**setting(device))
        file = asked.out / f"gpu_{name}.csv"
        write_whole(file, lambda path, found=found: found.to_csv(path, index=False))
        print(f"{file}: {time.perf_counter() - started:.0f} s\n", flush=True)


if __name__ == "__main__":
    main()
