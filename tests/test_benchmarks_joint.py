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
    benchmark.run("joint", "", benchmark.measure, benchmark.KEYS)
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
    benchmark.run("joint", "", benchmark.measure, benchmark.KEYS)
    assert trained == [("softmax", 1.0, 0), ("straight_through_gumbel", 1.0, 1)]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "joint.csv"), written)


KEPT = pd.read_csv(ROOT / "benchmarks" / "results" / "joint.csv")
PAGE = (ROOT / "docs" / "comparison.md").read_text()


def test_the_page_says_what_the_table_holds():
    over, judged = (
        table.pivot(index="estimator", columns="weight", values="value")
        for table in (
            KEPT.assign(value=KEPT["decoded"] / KEPT["limit"] - 1),
            KEPT.assign(value=KEPT["judged"]),
        )
    )
    assert list(over) == list(benchmark.WEIGHTS) == [0.0, 0.1, 1.0]
    section = PAGE[PAGE.index("## Both nets at once") : PAGE.index("## The rule")]
    text = " ".join(section.split())
    first, small, one = over.loc["straight_through_gumbel"]
    assert f"from {first:.0%} above the limit to {small:.0%} and {one:.0%}" in text
    first, small, one = over.loc["softmax"]
    assert f"were {first:.0%} above it, and end {small:.0%} and {one:.0%} above it" in text
    own = KEPT["net1_correlation"]
    assert f"{own.min():.2f} to {own.max():.2f} throughout" in text
    first, small, one = judged.loc["softmax"]
    assert f"at {first:.2f} if net1 was there first, at {small:.2f} and {one:.2f}" in text
    softmax = KEPT[KEPT["estimator"] == "softmax"].set_index("weight")
    for weight in (0.1, 1.0):
        gap = softmax["judged"][weight] - softmax["judged"][0.0]
        assert gap > 2 * max(softmax["judged_se"][weight], softmax["judged_se"][0.0])
    scattered = KEPT[KEPT["estimator"] != "softmax"]
    assert scattered["judged"].std() < 2 * scattered["judged_se"].max()
