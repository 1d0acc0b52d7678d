"""The speed benchmark compares like with like, runs, and the documents say what its tables hold."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT / "benchmarks"))

import speed  # noqa: E402

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


README = (ROOT / "README.md").read_text()
COSTS = README[README.index("## What it costs") : README.index("## Turn the dial")]


def kept(name):
    return pd.read_csv(RESULTS / f"speed_{name}.csv")


def ratio_of(table, **wanted):
    """The ratio of the one row of a kept table with these values."""
    found = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    assert len(found) == 1, wanted
    return found["ratio"].iloc[0]


def lines_of(heading):
    """The cells of the README's table that begins with this heading."""
    table = COSTS[COSTS.index(f"| {heading}") :].split("\n\n")[0]
    for line in table.splitlines()[2:]:
        yield [cell.strip(" `*") for cell in line.strip("|").split("|")]


def test_the_readmes_steps_are_the_kept_ones():
    table, rows = kept("steps"), list(lines_of("net0 trained through"))
    for name, *cells in rows:
        places = [(columns, threads) for columns in (10, 50) for threads in (1, 2)]
        for cell, (columns, threads) in zip(cells, places, strict=True):
            contestant = name.replace("`", "")
            found = ratio_of(table, contestant=contestant, columns=columns, threads=threads)
            assert float(cell) == round(found, 2), (name, columns, threads)
    assert len(rows) == table["contestant"].nunique() - 1


@pytest.mark.parametrize("name", ["steps", "inputs", "exchanges"])
def test_the_kept_ratios_are_whole_and_name_their_machine(name):
    table = kept(name)
    assert table[["processor", "cores", "python", "torch"]].notna().all(axis=None)
    assert set(table["columns"]) == set(speed.COLUMNS)
    assert set(table["threads"]) == {1, 2}
    assert (table["ratio_q1"] <= table["ratio"]).all()
    assert (table["ratio"] <= table["ratio_q3"]).all()
