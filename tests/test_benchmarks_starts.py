"""How small tables should start is measured on validation rows, by start and table."""

import sys
from importlib import import_module
from inspect import signature
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tabkit import RowEncoder, compare

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

starts = import_module("starts")


def test_the_validation_rows_stand_for_the_test_rows():
    data, own = compare.load_data("bikeshare", 500), starts.validated("bikeshare", 500)
    assert torch.equal(own.test, data.validation)
    assert torch.equal(own.train, data.train)
    assert not set(own.test.tolist()) & set(data.test.tolist())


KEPT = pd.read_csv(ROOT / "benchmarks" / "results" / "starts.csv")


def test_the_default_is_the_best_on_average_and_the_page_says_by_how_much():
    page = " ".join((ROOT / "docs" / "what_net1_learned.md").read_text().split())
    losses = KEPT.pivot(index="start", columns="data", values="softmax_search")
    small = losses.loc[["0.03", "0.01", "0.003"]]
    gains = 1 - small / losses.loc["usual"]
    assert f"net0's loss by {gains.min(axis=None):.0%}".rstrip("%") in page
    assert f" to {gains.max(axis=None):.0%}; 0.01 is the best on average" in page
    limits = KEPT.pivot(index="start", columns="data", values="limit")
    assert (limits.loc[small.index] < limits.loc["usual"]).all(axis=None)
    best = np.log(losses).mean(axis=1).idxmin()
    assert float(best) == signature(RowEncoder).parameters["embedding_std"].default
    fit = KEPT.groupby("data")["correlation"]
    assert (fit.max() - fit.min()).max() < 0.01
    random = KEPT.groupby("data")["random_row"]
    assert (random.max() / random.min()).max() < 1.03
    assert (KEPT["seeds"] == 3).all()
    assert set(KEPT["data"]) == set(starts.DATA_ROWS)


def test_the_script_has_a_row_for_each_start(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tabkit.compare.sweeping.SEARCHED_ROWS", 10)
    monkeypatch.setattr(starts, "STARTS", {"usual": None, "0.01": 0.01})
    sizes = ["--data", "bikeshare", "--seeds", "0", "1", "--steps", "2", "--encoder-steps", "2"]
    monkeypatch.setattr(sys, "argv", ["starts.py", *sizes, "--jobs", "1", "--out", str(tmp_path)])
    starts.main()
    table = pd.read_csv(tmp_path / "starts.csv")
    assert table[["data", "start", "seeds"]].astype(str).to_numpy().tolist() == [
        ["bikeshare", "usual", "2"],
        ["bikeshare", "0.01", "2"],
    ]
    assert "0.01" in capsys.readouterr().out
    small = starts.started("0.01", compare.load_data("bikeshare", 0).schema, 0).embedding.weights
    assert max(weights.abs().max().item() for weights in small) < 0.06
    losses = table.filter(regex="limit|search|restarts")
    assert (losses > 0).all(axis=None)


def test_the_means_are_over_seeds():
    rows = [
        {"data": "a", "net": "0.1", "estimator": name, "decode_relaxed": loss, "random_row": 4.0,
         "net1_correlation": 0.5, "decode_argmax": loss, "decode_search": loss,
         "decode_restarts": loss}
        for name in ("limit", *starts.ESTIMATORS)
        for loss in (1.0, 2.0)
    ]  # fmt: skip
    (row,) = starts.by_start(pd.DataFrame(rows)).itertuples()
    assert (row.limit, row.softmax_search, row.seeds) == (pytest.approx(1.5), 1.5, 2)
