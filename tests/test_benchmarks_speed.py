"""The speed benchmark compares like with like, runs, and the documents say what its tables hold."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT / "benchmarks"))

import speed  # noqa: E402

from tabkit.ruler.contestants import STEPS  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture
def small(monkeypatch):
    """A few rows and columns."""
    monkeypatch.setattr(speed, "COLUMNS", (3,))
    monkeypatch.setattr(speed, "ROWS", 32)
    monkeypatch.setattr(speed, "PART", 40)
    monkeypatch.setattr(speed, "POOL", 100)
    monkeypatch.setattr(speed, "INPUT_ROWS", (30, 120))
    monkeypatch.setattr(speed, "WIDTH", 16)


@pytest.mark.parametrize("rows", [30, 120])
def test_every_layout_brings_the_simplex_to_one_place(rows, small):
    """All contestants but the reference differentiate the same function of the same simplex."""
    found = {}
    for name, work in speed.inputs(3, rows, CPU).items():
        before = torch.Tensor.backward
        outputs = []

        def kept(output, slope, before=before, outputs=outputs):
            outputs.append(output.detach())
            before(output, slope)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "backward", kept)
            work()
        found[name] = torch.cat(outputs)
    assert len(found) >= 3
    for output in list(found.values())[1:]:
        torch.testing.assert_close(output, found["folded"], rtol=1e-4, atol=1e-5)
    assert len(found["folded"]) == rows


def test_the_tables_are_written(small, tmp_path):
    tables = ["steps", "inputs", "exchanges", "visits"]
    options = ["--rounds", "2", "--threads", "1", "--visits", "64", "--out", str(tmp_path)]
    speed.main([*options, "--tables", *tables])
    for name in tables:
        written = pd.read_csv(tmp_path / f"speed_{name}.csv")
        kept = pd.read_csv(RESULTS / f"speed_{name}.csv")
        assert written.columns.tolist() == kept.columns.tolist()
        assert (written["columns"] == 3).all()


def test_the_peak_of_a_large_table_is_measured():
    found = speed.large_table(rows=300, columns=3)
    assert found["rows"] == 300
    assert 0 < found["peak_gib"] < 64


COSTS = (ROOT / "docs" / "cost.md").read_text()


def kept(name):
    return pd.read_csv(RESULTS / f"speed_{name}.csv")


def ratio_of(table, **wanted):
    """The ratio of the one row of a kept table with these values."""
    found = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    assert len(found) == 1, wanted
    return found["ratio"].iloc[0]


def numbers_in(text, pattern):
    """What the groups of a pattern hold, once, in a text whose lines are joined."""
    (found,) = re.findall(pattern, " ".join(text.split()))
    return [float(number.replace(",", "")) for number in found]


def test_the_pages_exchanges_are_the_kept_ones():
    said = numbers_in(
        COSTS,
        r"category take (\S+) and (\S+) of the time of whole rows at 10 columns, "
        r"(\S+) and (\S+) at 50 \(one thread\)",
    )
    jobs, table = ("local search, 3 rounds", "indecater"), kept("exchanges")
    assert said == [
        round(ratio_of(table, contestant="exchanges", job=j, columns=c, threads=1), 2)
        for c in (10, 50)
        for j in jobs
    ]


def test_the_pages_visits_and_memory_are_the_kept_ones():
    said = numbers_in(
        COSTS, r"(\d+) to (\d+) microseconds each at 10 columns, (\d+) to (\d+) at 50"
    )
    visits = kept("visits")
    each = visits.groupby("columns")["microseconds_a_visit"].agg(["min", "max"]).round()
    assert visits["visits"].max() == 10_000_000
    assert said == [*each.loc[10], *each.loc[50]]
    (peak,) = kept("memory")["peak_gib"]
    assert f"trains and decodes in {peak:.1f} GiB" in " ".join(COSTS.split())
    assert peak < 2


def test_the_page_says_how_the_compiler_fared():
    said = numbers_in(
        COSTS,
        r"takes (\S+) to (\S+) times as long as by the hand-written functions at 10 columns, "
        r"(\S+) to (\S+) times at 50",
    )
    ms = kept("compiled").set_index(["columns", "contestant"])["ms"]
    slower = {c: [ms[c, f"compiled: {n}"] / ms[c, n] for n in STEPS] for c in (10, 50)}
    assert said == [round(end(slower[c]), 1) for c in (10, 50) for end in (min, max)]


@pytest.mark.parametrize("name", ["steps", "inputs", "exchanges"])
def test_the_kept_ratios_are_whole_and_name_their_machine(name):
    table = kept(name)
    assert table[["processor", "cores", "python", "torch"]].notna().all(axis=None)
    assert set(table["columns"]) == set(speed.COLUMNS)
    assert set(table["threads"]) == {1, 2}
    assert (table["ratio_q1"] <= table["ratio"]).all()
    assert (table["ratio"] <= table["ratio_q3"]).all()
