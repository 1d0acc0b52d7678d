"""The benchmark of other ways runs and picks up, and the page says what its table holds."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from tabkit import RowEncoder, freeze, planted, simplex
from tabkit.nets import folded

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import ways as benchmark  # noqa: E402


@pytest.fixture
def data():
    return planted(600, categorical=2, continuous=1, cardinality=(6, 8), held_out=100)


@pytest.fixture
def small(monkeypatch, data):
    monkeypatch.setattr(benchmark, "DATA_ROWS", {"planted": 600})
    monkeypatch.setattr(benchmark.compare, "load_data", lambda name, rows: data)
    monkeypatch.setattr(benchmark, "SEEDS", (0,))
    for name, size in {"STEPS": 5, "TUNING": 2, "BATCH": 32, "SCORED": 40}.items():
        monkeypatch.setattr(benchmark, name, size)
    benchmark.behind.cache_clear()


@pytest.mark.usefixtures("small")
def test_the_benchmark_writes_its_table_and_picks_up(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["ways.py", "--out", str(tmp_path)])
    benchmark.run("ways", "", benchmark.measure, benchmark.KEYS)
    written = pd.read_csv(tmp_path / "ways.csv")
    assert written["way"].tolist() == list(benchmark.WAYS)
    assert (written[["limit", "random_row", "relaxed", *benchmark.DECODERS]] > 0).all(axis=None)
    file = tmp_path / "cells.csv"
    pd.read_csv(file).drop(index=[2, 7]).to_csv(file, index=False)
    trained, train = [], benchmark.trained
    monkeypatch.setattr(benchmark, "trained", lambda *a: trained.append(a[2]) or train(*a))
    benchmark.run("ways", "", benchmark.measure, benchmark.KEYS)
    assert trained == [list(benchmark.WAYS.values())[i] for i in (2, 7)]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "ways.csv"), written)


def test_distances_are_those_that_net1s_first_layer_sees(data):
    """Column by column: what the layer makes of a mixture, less what it makes of a category."""
    net1 = freeze(RowEncoder(data.schema, width=8))
    layer, first, K = benchmark.FirstLayer(net1), folded(net1).first, net1.cardinalities
    point = torch.randn(5, sum(K), generator=torch.Generator().manual_seed(0)).split(K, dim=1)
    point = [block.softmax(dim=1) for block in point]
    seen = zip(point, first.categories.split(K), strict=True)
    expected = torch.cat([torch.cdist(p @ P, P).square() for p, P in seen], dim=1)
    point = torch.cat(point, dim=1)
    torch.testing.assert_close(layer(point), expected, rtol=1e-3, atol=1e-5)
    vertices = layer.nearest(point)
    assert torch.equal(simplex.argmax(-expected, K), vertices)
    torch.testing.assert_close(
        layer.apart(point), (expected * vertices).sum(1), rtol=1e-3, atol=1e-5
    )
    torch.testing.assert_close(layer.apart(vertices), torch.zeros(5), atol=1e-4, rtol=0)
    assert layer.between(data) > 0


def test_a_way_that_goes_straight_through_gives_net1_a_row(data):
    net1 = freeze(RowEncoder(data.schema, width=8))
    point = torch.full((4, sum(net1.cardinalities)), 0.2, requires_grad=True)
    batch = benchmark.Batch(
        data.signal[:4], data.rows[:4].continuous, data.rows[:4], torch.arange(4)
    )
    got = []
    net1.register_forward_hook(lambda net, given, output: got.append(given[0].detach()))
    loss = benchmark.Loss(benchmark.WAYS["nearest"], net1, data)(net1, batch)(point)
    assert set(got[-1].unique().tolist()) == {0.0, 1.0}
    assert torch.autograd.grad(loss.sum(), point)[0].abs().sum() > 0


CELLS = pd.read_csv(ROOT / "benchmarks" / "results" / "ways_cells.csv")
PAGE = (ROOT / "docs" / "comparison.md").read_text()
SECTION = PAGE[PAGE.index("## Other ways, tried") : PAGE.index("## Every estimator")]
TEXT = " ".join(SECTION.split())


def beside(by, other="softmax", other_by=None):
    """Mean and error over seeds of how much farther each way is by a decoder, in limits."""
    over = CELLS[[*benchmark.OWN, "limit"]].assign(one=CELLS[by], two=CELLS[other_by or by])
    one, two = (
        over.assign(over=over[side] / over["limit"]).pivot(
            index=["data", "seed"], columns="way", values="over"
        )
        for side in ("one", "two")
    )
    apart = one.sub(two[other], axis=0).groupby("data")
    return apart.mean(), apart.sem()


def test_every_cell_is_there():
    assert {*CELLS[benchmark.OWN].itertuples(index=False, name=None)} == set(benchmark.cells())


def test_no_other_way_is_better_by_restarts_and_few_are_by_search():
    mean, error = beside("restarts")
    assert not (mean < -2 * error).any(axis=None)
    mean, error = beside("search")
    better = mean.where(mean < -2 * error).drop(columns="softmax")
    assert better.count().loc[lambda n: n > 0].to_dict() == {"penalty 0.01": 2, "penalty 0.03": 1}
    assert better["penalty 0.01"].round(2).dropna().eq(-0.01).all()
    worse = (mean > 2 * error).sum()
    assert worse[["nearest", "nearest, noisy"]].tolist() == [4, 4]
    assert worse["then straight-through Gumbel"] == len(mean)


def test_a_penalty_brings_the_rows_by_the_first_layer_nearer():
    way = "penalty 0.1"
    mean, error = (part[way] for part in beside("first_layer"))
    assert (mean < -2 * error).all()
    assert f"by {-mean.max():.0%} to {-mean.min():.0%} of the limit" in TEXT
    assert f"by search lose {beside('search')[0][way].max():.0%} at most" in TEXT
    against = beside("first_layer", "gumbel_softmax", "argmax")[0][way]
    assert set(against.index[against < 0]) == {"flights", "planted"}


def test_one_seed_of_adult_is_stuck_in_every_way_but_one():
    adult = CELLS[CELLS["data"] == "adult"]
    over = (adult["relaxed"] / adult["limit"] - 1).groupby([adult["seed"], adult["way"]]).first()
    stuck = over.loc[1].drop("nearest, noisy")
    assert stuck.min().round(2) >= 0.3 > 2 * over.loc[1, "nearest, noisy"]
    assert over.loc[[0, 2], "softmax"].max() < 0.01
    assert in_the_large_comparison("adult").max() < 0.05


def in_the_large_comparison(data):
    """How far above the limit the mixtures of the large comparison are, behind the usual net1."""
    cells = pd.read_csv(ROOT / "benchmarks" / "results" / "everywhere_cells.csv")
    cells = cells[(cells["data"] == data) & (cells["net"] == "plain")].set_index("seed")
    by = {n: part["decode_relaxed"] for n, part in cells.groupby("estimator")}
    return by["softmax:tau=1"] / by["limit"] - 1
