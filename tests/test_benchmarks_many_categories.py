"""The benchmark of very many categories runs, and the documents say what its tables hold."""

import sys
from pathlib import Path

import pandas as pd
import torch

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT / "benchmarks"))

import many_categories  # noqa: E402

README = (ROOT / "benchmarks" / "README.md").read_text()


def test_attention_is_the_dense_product():
    *_, (_, _, paths) = many_categories.races(60, 32, "cpu")
    dense, attention = (path() for path in paths.values())
    torch.testing.assert_close(attention, dense, rtol=1e-4, atol=1e-5)


def test_the_tables_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(many_categories, "LOGITS", 2**12)
    out = tmp_path / "many_categories.csv"
    options = ["--cardinalities", "200", "--widths", "32", "--rounds", "1", "--draws", "20"]
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
    kept = pd.read_csv(RESULTS / "many_categories.csv").pivot(
        index="path", columns=["D", "K"], values="ratio"
    )
    rows = list(cells_of("D = 32"))
    for path, *cells in rows:
        assert cells == [f"{ratio:.2g}" for ratio in kept.loc[path].sort_index()], path
    assert len(rows) == len(kept)


def test_the_kept_bias_is_that_of_the_readme():
    kept = pd.read_csv(RESULTS / "many_categories_ruler.csv")
    kept = kept[kept["loss"] == "net1"]
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
