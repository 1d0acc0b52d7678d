"""The benchmark of very many categories runs, and the documents say what its tables hold."""

import math
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT / "benchmarks"))

import many_categories  # noqa: E402

README = (ROOT / "benchmarks" / "README.md").read_text()


def test_the_crossing_is_where_the_ratio_falls_through_1():
    K = pd.Series([10, 100, 1_000])
    assert many_categories.crossing(K, pd.Series([10.0, 1.0, 0.1])) == pytest.approx(100)
    assert many_categories.crossing(K, pd.Series([4.0, 2.0, 0.5])) == pytest.approx(10**2.5)
    assert math.isnan(many_categories.crossing(K, pd.Series([4.0, 3.0, 2.0])))


def test_attention_and_all_categories_sampled_are_the_whole_product():
    problem = many_categories.Problem.of(60, "cpu")
    dense, attention, *_ = (call() for call in problem.from_hidden().values())
    torch.testing.assert_close(attention, dense, rtol=1e-4, atol=1e-5)
    whole = problem.sampled(60, 1, "probability")
    found = whole(problem.logits, problem.generator)
    torch.testing.assert_close(found, problem.from_logits()["dense"](), rtol=1e-4, atol=1e-5)


def test_the_tables_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(many_categories, "NUMBERS", 2**12)
    out = tmp_path / "many_categories.csv"
    options = ["--cardinalities", "200", "--rounds", "1", "--threads", "1", "--draws", "20"]
    monkeypatch.setattr(sys, "argv", ["many_categories.py", *options, "--out", str(out)])
    many_categories.main()
    for name in ("many_categories.csv", "many_categories_ruler.csv"):
        written, kept = pd.read_csv(tmp_path / name), pd.read_csv(RESULTS / name)
        assert written.columns.tolist() == kept.columns.tolist()
    assert (tmp_path / "many_categories.json").exists()


def cells_of(heading):
    """The rows of the README's table that begins with this heading."""
    table = README[README.index(f"| {heading}") :].split("\n\n")[0]
    for line in table.splitlines()[2:]:
        yield [cell.strip(" `*") for cell in line.strip("|").split("|")]


def test_the_kept_times_are_those_of_the_readme():
    kept = pd.read_csv(RESULTS / "many_categories.csv")
    rows = list(cells_of("1 thread"))
    for path, *cells in rows:
        for cell, K in zip(cells, many_categories.CARDINALITIES, strict=True):
            found = kept[(kept["path"] == path) & (kept["K"] == K) & (kept["threads"] == 1)]
            assert float(cell) == float(f"{found['ratio'].item():.2g}"), (path, K)
    assert len(rows) == kept["path"].nunique()


def test_the_kept_bias_is_that_of_the_readme():
    kept = pd.read_csv(RESULTS / "many_categories_ruler.csv")
    kept = kept[(kept["loss"] == "net1") & (kept["for"] == "logits")]
    rows = list(cells_of("logits' gradient"))
    for path, *cells in rows:
        found = kept[kept["path"] == path].set_index("scale")
        wanted = [
            found.loc[scale, measure]
            for scale in (1.0, 4.0)
            for measure in ("squared_bias", "variance", "cosine")
        ]
        assert [float(cell) for cell in cells] == [round(w, 2) for w in wanted], path
    assert len(rows) == kept["path"].nunique()
