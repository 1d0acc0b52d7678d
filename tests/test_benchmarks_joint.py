"""The benchmark of joint training runs and picks up, and the documents say what its table holds."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from tabkit import planted

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import joint as benchmark  # noqa: E402


@pytest.fixture
def small(monkeypatch):
    data = planted(600, categorical=2, continuous=1, cardinality=(6, 8), held_out=100)
    monkeypatch.setattr(benchmark, "TABLES", {"planted": 600})
    monkeypatch.setattr(benchmark.compare, "load_data", lambda name, rows: data)
    monkeypatch.setattr(benchmark, "SEEDS", (0, 1))
    monkeypatch.setattr(benchmark, "STEPS", 3)
    monkeypatch.setattr(benchmark, "BATCH", 32)


@pytest.mark.usefixtures("small")
def test_the_benchmark_writes_its_table_and_picks_up(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["joint.py", "--out", str(tmp_path)])
    benchmark.main()
    written = pd.read_csv(tmp_path / "joint.csv")
    assert len(written) == 2 * 3
    cells = pd.read_csv(tmp_path / "cells.csv")
    assert len(cells) == 2 * len(written)
    assert (cells["judged_random"] > 0).all()
    cells.drop(index=[2, 11]).to_csv(tmp_path / "cells.csv", index=False)
    trained, train = [], benchmark.trained
    monkeypatch.setattr(
        benchmark, "trained", lambda *a: trained.append((a[1].name, *a[2:])) or train(*a)
    )
    benchmark.main()
    assert trained == [("softmax", 1.0, 0), ("straight_through_gumbel", 1.0, 1)]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "joint.csv"), written)
