"""The GPU's benchmark compares like with like, and the page says what its kept tables hold."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT / "benchmarks"))

import gpu  # noqa: E402
import speed  # noqa: E402

CPU = torch.device("cpu")
PAGE = " ".join((ROOT / "docs" / "cost.md").read_text().split())


@pytest.fixture
def small(monkeypatch):
    """A few rows and columns, two steps a turn."""
    for module in (gpu, speed):
        monkeypatch.setattr(module, "ROWS", 32)
        monkeypatch.setattr(module, "WIDTH", 16)
    monkeypatch.setattr(gpu, "COLUMNS", (3,))
    monkeypatch.setattr(gpu, "TURN", 2)


def kept(name):
    return pd.read_csv(RESULTS / f"gpu_{name}.csv")


def test_the_tables_of_steps_and_fits_are_as_the_kept_ones(small):
    """On the CPU, where a graph is the function that it would be of."""
    steps, fits = gpu.all_steps(2, CPU), gpu.all_fits(CPU, steps=3)
    for name, found in {"steps": steps, "fits": fits}.items():
        written = found.assign(**speed.setting(CPU))
        assert written.columns.tolist() == kept(name).columns.tolist()
    assert [*steps["contestant"]] == [*kept("steps").query("columns == 10")["contestant"]]


def test_captured_and_one_by_one_a_contestant_goes_the_same_way(small):
    """A turn of each leads to equal weights."""
    one, other = (gpu.losses(3, CPU) for _ in range(2))
    for name, contestant in one.items():
        gpu.captured(*contestant)  # a turn, to make ready
        net, loss, _ = other[name]
        gpu.one_by_one(gpu.training_step(net, loss))()
        found, expected = (list(n.parameters()) for n in (contestant[0], net))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_without_a_gpu_it_says_what_to_run(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match=r"no GPU.*speed\.py"):
        gpu.main(["--out", str(tmp_path)])
    assert not [*tmp_path.iterdir()]


def said(pattern):
    """The numbers of a sentence of the page."""
    (found,) = re.findall(pattern, PAGE)
    return [float(number) for number in ([found] if isinstance(found, str) else found)]


def one(table, value, **wanted):
    (found,) = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)][value]
    return found


def test_the_page_says_what_the_kept_tables_hold():
    fits, steps, search = kept("fits"), kept("steps"), kept("search")
    seconds = [
        round(one(fits, "seconds", columns=50, training=t, steps=s), 2)
        for t in ("softmax", "fit_encoder")
        for s in ("captured", "one by one")
    ]
    assert seconds == said(
        r"take (\S+) s as a graph and (\S+) s one by one; of `fit_encoder` (\S+) s and (\S+) s\."
    )
    ms = steps[steps["columns"] == 50].set_index("contestant")["ms"]
    loops = [round(ms[f"loop: {n}"] / ms["plain MLP"], 1) for n in ("softmax", "gumbel_softmax")]
    assert loops == said(r"takes (\S+) \(softmax\) and (\S+) \(Gumbel-softmax\) times")
    over = [
        round(100 * (one(steps, "ratio", columns=c, contestant=f"{n}, captured") - 1))
        for c in (10, 50)
        for n in ("softmax", "straight_through_gumbel")
    ]
    assert over == said(
        r"cost (\d+)% \(softmax\) to (\d+)% .*? at 10 columns, (\d+)% to (\d+)% at 50"
    )
    decoded = [round(one(search, "seconds", decoder=d), 2) for d in ("search", "restarts")]
    assert decoded == said(r"takes (\S+) s by search, (\S+) s by restarts")
    job = kept("job").iloc[0]
    seconds = [round(job["seconds"]), round(job["first"])]
    assert seconds == said(r"--device cuda`, takes (\d+) s; (\d+) s the first time")


def test_the_page_says_what_memory_and_inputs_are():
    memory = kept("memory").set_index(["columns", "contestant"])["ratio"]
    usual = [n for n in gpu.ESTIMATORS if n.startswith(("softmax", "gumbel", "straight"))]
    peaks = [round(memory[c, n], 1) for c in (10, 50) for n in usual]
    numbers = said(
        r"is (\S+) to (\S+) times the MLP's for these, (\S+) for `reinmax`, (\S+) for "
        r"`leave_one_out`, .*? and (\S+) for `vq"
    )
    rest = ("reinmax", "leave_one_out", "vq_straight_through")
    rest = [round(memory[50, n], 1) for n in rest]
    assert [min(peaks), max(peaks), *rest] == numbers
    inputs = kept("inputs")
    ratios = [
        round(one(inputs, "ratio", contestant=n, columns=c, rows=1_000), 2)
        for n in ("folded", "slices", "block_diagonal")
        for c in (10, 50)
    ]
    assert ratios == said(
        r"folded, it takes (\S+) and (\S+) of .*? slices (\S+) and (\S+), one product with all "
        r"tables on a diagonal (\S+) and (\S+), which"
    )
    many = pd.read_csv(RESULTS / "many_categories_cuda.csv")
    least = many[many["path"].str.startswith("sampled")]["ratio"].min()
    assert [round(least, 1)] == said(r"at best (\S+) times the dense")


def test_the_kept_steps_are_faster_as_a_graph():
    """Of every contestant, by eight at least."""
    steps = kept("steps").set_index(["columns", "contestant"])["ms"]
    for columns in (10, 50):
        for name in gpu.ESTIMATORS:
            assert steps[columns, name] > 8 * steps[columns, f"{name}, captured"], name
