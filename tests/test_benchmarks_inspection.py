"""The benchmark of what net1 learned runs, and the documents say what its tables hold."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from tabkit import planted

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT / "benchmarks"))

import inspection as benchmark  # noqa: E402

KEPT = {
    kind: pd.read_csv(RESULTS / f"inspection_{kind}.csv")
    for kind in ("scores", "agreement", "movement", "landings")
}
PAGE = (ROOT / "docs" / "what_net1_learned.md").read_text()


def kept(kind, **wanted):
    """The one row of a kept table with these values."""
    table = KEPT[kind]
    found = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    assert len(found) == 1, wanted
    return found.iloc[0]


def test_the_benchmark_writes_its_four_tables(monkeypatch, tmp_path):
    small = planted(600, categorical=2, continuous=1, cardinality=(6, 8), held_out=100)
    monkeypatch.setattr(benchmark, "datasets", lambda: {"planted": small})
    monkeypatch.setattr(benchmark, "SEEDS", (0, 1))
    monkeypatch.setattr(benchmark, "NET0S", ("softmax", "direct_embedding"))
    monkeypatch.setattr(benchmark, "LANDED", 50)
    encoder, predictor = benchmark.fit_encoder, benchmark.compare.train_and_score
    monkeypatch.setattr(
        benchmark, "fit_encoder", lambda *a, **k: encoder(*a, **k, steps=3, batch=64)
    )
    monkeypatch.setattr(
        benchmark.compare, "train_and_score", lambda *a, **k: predictor(*a, **k | {"steps": 2})
    )
    monkeypatch.setattr(sys, "argv", ["inspection.py", "--out", str(tmp_path)])
    benchmark.main()
    for kind, table in KEPT.items():
        written = pd.read_csv(tmp_path / f"inspection_{kind}.csv")
        assert written.columns.tolist() == table.columns.tolist()
        assert set(written["start"]) == set(table["start"]) == set(benchmark.STARTS)


@pytest.mark.parametrize("kind", KEPT)
def test_the_kept_tables_are_whole(kind):
    assert set(KEPT[kind]["data"]) == {"flights", "planted"}
    sizes = KEPT[kind].groupby(["data", "start"]).size().unstack()
    assert (sizes["small"] == sizes["usual"]).all()


def rows_of(section, first):
    """The cells of the table whose head starts with `first`."""
    table = section[section.index(f"| {first}") :].split("\n\n")[0]
    return [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def test_the_pages_random_flights_are_those_of_the_kept_tables():
    costs = re.search(r"random flight costs ([\d.]+) and ([\d.]+):", PAGE).groups()
    for start, cost in zip(benchmark.STARTS, costs, strict=True):
        row = kept("landings", data="flights", start=start, estimator="softmax")
        assert f"{row['random_row']:.2f}" == cost


def test_the_pages_sentences_hold():
    dest = {"data": "flights", "start": "usual", "column": "dest"}
    table, behind = (kept("agreement", **dest, view=view) for view in ("table", "output"))
    shares = [5 * table["overlap"], 5 * table["chance"], 5 * behind["overlap"]]
    said = re.search(r"share ([\d.]+) of .*? give ([\d.]+);\s.*? share ([\d.]+)\.", PAGE, re.S)
    assert [f"{share:.1f}" for share in shares] == list(said.groups())
    scores = KEPT["scores"]
    seen = scores[(scores["view"] == "output") & (scores["data"] == "flights")]
    by_truth = seen[seen["start"] == "usual"].set_index(["column", "truth"])["correlation_p"]
    found = [("dest", "great circle (km)"), ("hour", "order"), ("wind_dir", "ring")]
    assert by_truth[found].max() == pytest.approx(0.002)
    nothing = seen[
        seen["column"].isin(["month", "weekday"]) & seen["truth"].isin(["order", "ring"])
        | seen["truth"].str.startswith(("fleet", "seats"))
    ]
    assert (nothing["correlation_p"] > 0.05).all()
    places = scores[(scores["view"] == "output") & scores["truth"].str.startswith("planted")]
    assert [f"{places['correlation'].agg(f):.2f}" for f in ("min", "max")] == ["0.84", "1.00"]
    moved = KEPT["movement"]
    assert not ((moved["moved_with_count"] > 0) & (moved["p"] < 0.05))[
        moved.data == "flights"
    ].any()
    for column, ends in (("dest", "0.65 to 0.72"), ("carrier", "0.81 to 0.90")):
        row = kept("movement", data="flights", start="usual", column=column)
        assert f"{row['as_before_min']:.2f} to {row['as_before_max']:.2f}" == ends
        assert ends in PAGE
    seen = {"data": "flights", "start": "usual", "view": "output"}
    agree = [kept("agreement", **seen, column=c) for c in ("month", "carrier")]
    assert "agree ({:.2f} and {:.2f} behind".format(
        *(row["distance_correlation"] for row in agree)
    ) in " ".join(PAGE.split())
    chosen = {"data": "flights", "estimator": "softmax"}
    usual, small = (kept("landings", **chosen, start=start) for start in benchmark.STARTS)
    assert [f"{row['net1_correlation']:.2f}" for row in (usual, small)] == ["0.60", "0.60"]
    said = re.search(
        r"correlation ([\d.]+); after the small start ([\d.]+)\), not with\s.*?\(([\d.]+)\)",
        PAGE,
        re.S,
    ).groups()
    numbers = [row["gap_with_to_decoded"] for row in (usual, small)]
    assert [f"{n:.2f}" for n in (*numbers, usual["gap_with_to_nearest"])] == list(said)


def test_the_benchmarks_readme_lists_every_score():
    text = (ROOT / "benchmarks" / "README.md").read_text()
    for column, truth, *cells in rows_of(text, "column | truth"):
        for start, cell in zip(("usual", "small"), cells, strict=True):
            chosen = {"data": "flights", "start": start, "column": column, "view": "output"}
            row = kept("scores", **chosen, truth=truth)
            assert cell == f"{row['correlation']:.2f} ({row['correlation_p']:.3f})"
