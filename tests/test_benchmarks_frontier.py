"""The benchmark of plausible rows runs and picks up, and the documents say what its table holds."""

import math
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
    benchmark.run("frontier", "", benchmark.measure, benchmark.KEYS)
    written = pd.read_csv(tmp_path / "frontier.csv")
    assert len(written) == 1 + 2 * 5 + 2
    cells = pd.read_csv(tmp_path / "cells.csv", keep_default_na=False)
    assert len(cells) == 2 * len(written)
    cells[:-4].to_csv(tmp_path / "cells.csv", index=False)
    trained, train = [], benchmark.fit_predictor
    monkeypatch.setattr(
        benchmark, "fit_predictor", lambda *a, **k: trained.append(a[3]) or train(*a, **k)
    )
    benchmark.run("frontier", "", benchmark.measure, benchmark.KEYS)
    assert [repr(e) for e in trained] == ["softmax(tau=1.0, label_weight=0.1)", "cross_entropy()"]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "frontier.csv"), written)


KEPT = pd.read_csv(ROOT / "benchmarks" / "results" / "frontier.csv")
PAGE = (ROOT / "docs" / "comparison.md").read_text()
SECTION = PAGE[PAGE.index("## Right for net1, and plausible") : PAGE.index("## The rule")]
LINES = {(e, d): part for (e, d), part in KEPT.groupby(["estimator", "decoder"]) if len(part) > 1}


def kept(estimator, decoder, weight=0.0):
    """The one row of the kept table."""
    found = LINES.get((estimator, decoder), KEPT[KEPT["decoder"] == decoder])
    found = found[(found["estimator"] == estimator) & (found["label_weight"] == weight)]
    assert len(found) == 1
    return found.iloc[0]


def test_the_kept_table_has_every_cell():
    wanted = {(name, weight) for _, name, weight in benchmark.cells()}
    assert {*zip(KEPT["estimator"], KEPT["label_weight"], strict=True)} == wanted
    assert set(LINES) == {
        (name, decoder)
        for name, decoders in benchmark.THROUGH.items()
        for decoder in decoders
        if name != benchmark.LABELS
    }


@pytest.mark.parametrize("line", LINES, ids="-".join)
def test_accuracy_rises_with_every_weight_and_rows_are_told_less_and_less(line):
    """By 0.01 a step at least; and from the first to the last weight, told by 0.015 less."""
    part = LINES[line].sort_values("label_weight")
    assert (part["accuracy"].diff().dropna() > 0.01).all()
    assert part["told_apart"].iloc[0] - part["told_apart"].iloc[-1] > 0.015


@pytest.mark.parametrize("name", ["straight_through_gumbel", "gumbel_softmax"])
def test_by_argmax_the_loss_rises_with_the_larger_weights(name):
    """Twice the difference's standard error at least, from 0.003 to 0.1 a weight."""
    low, high = (kept(name, "argmax", weight) for weight in (0.003, 0.1))
    error = math.hypot(low["decoded_se"], high["decoded_se"])  # had the seeds nothing in common
    assert high["decoded"] - low["decoded"] > 2 * error


def test_a_random_row_is_not_told():
    row = KEPT[KEPT["estimator"] == benchmark.RANDOM].iloc[0]
    assert abs(row["told_apart"] - 0.5) < 0.02


def test_the_page_says_what_the_table_holds():
    """Each sentence, with the numbers in it, and what it makes of them."""
    gumbel = [kept("straight_through_gumbel", "argmax", weight) for weight in (0, 0.01, 0.1)]
    search = [kept("softmax", "search", weight) for weight in benchmark.WEIGHTS]
    drawn = kept("straight_through_gumbel", "sample", 0.1)
    labels = [kept("cross_entropy", decoder) for decoder in ("argmax", "sample")]
    random = KEPT[KEPT["estimator"] == benchmark.RANDOM].iloc[0]
    text = " ".join(SECTION.split())
    for said in (
        f"through straight-through Gumbel, {gumbel[0].accuracy:.2f} of the categories",
        f"those of a random flight are {random.accuracy:.2f} of the time",
        f"the accuracy, {gumbel[1].accuracy:.2f}, for a loss of {gumbel[1].decoded:.2f} in place "
        f"of {gumbel[0].decoded:.2f}",
        f"alone ({gumbel[2].decoded:.2f}, {labels[0].decoded:.2f})",
        f"accurate ({gumbel[2].accuracy:.2f}, {labels[0].accuracy:.2f})",
        f"gain less: {search[-1].accuracy:.2f} at most",
        f"by labels alone ({labels[0].told_apart:.2f})",
        f"({drawn.told_apart:.2f} at a weight of 0.1, {labels[1].told_apart:.2f} by labels alone), "
        f"but cost more ({drawn.decoded:.2f}, {labels[1].decoded:.2f})",
    ):
        assert said in text
    assert 2.3 < gumbel[1].accuracy / gumbel[0].accuracy < 3
    assert gumbel[1].decoded - gumbel[0].decoded < 0.015
    assert 0 < labels[0].decoded - gumbel[2].decoded < 2 * gumbel[2].decoded_se
    losses = [row.decoded for row in search]
    assert max(losses) == losses[0] < KEPT.loc[KEPT["decoder"] != "search", "decoded"].min()
    predicted = KEPT[KEPT["estimator"] != benchmark.RANDOM]
    assert predicted["told_apart_with_numbers"].min() > 0.99
    assert predicted.loc[predicted["decoder"] == "argmax", "told_apart"].idxmin() == labels[0].name
