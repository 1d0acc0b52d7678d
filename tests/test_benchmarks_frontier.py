"""The benchmark of plausible rows runs and picks up, and the documents say what its table holds."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from tabkit import planted

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import frontier as benchmark  # noqa: E402


@pytest.fixture
def small(monkeypatch):
    data = planted(600, categorical=2, continuous=1, cardinality=(6, 8), held_out=100)
    monkeypatch.setattr(benchmark, "flights", lambda: data)
    monkeypatch.setattr(benchmark, "SEEDS", (0, 1))
    monkeypatch.setattr(benchmark, "WEIGHTS", (0.0, 0.1))
    monkeypatch.setattr(benchmark, "ENCODER_STEPS", 3)
    monkeypatch.setattr(benchmark, "SIZES", {"steps": 2, "batch": 16})


@pytest.mark.usefixtures("small")
def test_the_benchmark_writes_its_table_and_picks_up(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["frontier.py", "--out", str(tmp_path)])
    benchmark.main()
    written = pd.read_csv(tmp_path / "frontier.csv")
    assert len(written) == 1 + 2 * 5 + 2
    cells = pd.read_csv(tmp_path / "cells.csv", keep_default_na=False)
    assert len(cells) == 2 * len(written)
    cells[:-4].to_csv(tmp_path / "cells.csv", index=False)
    trained, train = [], benchmark.fit_predictor
    monkeypatch.setattr(
        benchmark, "fit_predictor", lambda *a, **k: trained.append(a[3]) or train(*a, **k)
    )
    benchmark.main()
    assert [repr(e) for e in trained] == ["softmax(tau=1.0, label_weight=0.1)", "cross_entropy()"]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "frontier.csv"), written)
