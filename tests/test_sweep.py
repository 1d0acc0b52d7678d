"""The sweep: the same result however many workers, cells kept and picked up, a real cluster."""

from dataclasses import asdict
from importlib import import_module

import pandas as pd
import pytest
from joblib import parallel_config

import tabkit
from tabkit import compare, decoders, estimators, store
from tabkit.compare import Cell, comparison, parse_spec, sweep
from tabkit.train import Cosine

NAMES = ["softmax:tau=0.5", "gumbel_softmax:tau=cosine/2/0.5", "leave_one_out:samples=4"]
SIZES = {"rows": {"planted": 1000}, "steps": 4, "batch": 128, "encoder_steps": 4}
TIMES = ["seconds", *(f"seconds_{name}" for name in decoders.names())]
MODULE = import_module("tabkit.compare.sweeping")


@pytest.fixture
def cells():
    return compare.cells(NAMES, [0, 1], **SIZES)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    cells = compare.cells(NAMES, [0, 1], **SIZES)
    return folder, sweep(cells, folder, jobs=1, progress=False)


def same(a, b):
    pd.testing.assert_frame_equal(a.drop(columns=TIMES), b.drop(columns=TIMES), check_exact=True)


def test_every_cell_is_scored_once_and_in_order(cells, finished):
    _, results = finished
    assert len(results) == len(cells) == 2 * (1 + 1 + 1 + 2)  # the limit, and two budgets
    assert results["estimator"].tolist() == [cell.estimator for cell in cells]
    trained = results[results["estimator"] != "limit"]
    gaps = trained["test_decoded"] - trained["test_relaxed"]
    assert (trained["gap"] - gaps).abs().max() < 1e-6


def test_two_processes_give_what_one_gives(cells, finished, tmp_path):
    same(finished[1][:3], sweep(cells[:3], tmp_path, jobs=2, progress=False))


def test_a_dask_cluster_gives_what_one_process_gives(cells, finished, tmp_path):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    )
    with cluster, distributed.Client(cluster), parallel_config(backend="dask"):
        found = sweep(cells[:3], tmp_path, progress=False)
    same(finished[1][:3], found)


def test_weights_go_to_workers_as_a_plain_dict(cells, tmp_path, monkeypatch):
    """joblib hands any other to Dask by its keys, so that all cells would get the first net's."""
    given, real = [], MODULE.parallel
    monkeypatch.setattr(
        MODULE,
        "parallel",
        lambda task, calls, *a, **k: given.append(calls) or real(task, calls, *a, **k),
    )
    sweep(cells[:3], tmp_path, jobs=1, progress=False)
    assert {type(call[1]) for call in given[-1]} == {dict}


def test_finished_cells_are_not_trained_again(cells, finished, monkeypatch):
    folder, results = finished
    trained = []
    run = MODULE.run_cell
    monkeypatch.setattr(MODULE, "run_cell", lambda *a: trained.append(a[0]) or run(*a))
    same(results, sweep(cells, folder, jobs=1, progress=False))
    assert trained == []
    (folder / "cells" / f"{cells[3].digest()}.json").unlink()
    same(results, sweep(cells, folder, jobs=1, progress=False))
    assert trained == [cells[3]]


def test_an_interrupted_sweep_goes_on_where_it_was(cells, finished, tmp_path, monkeypatch):
    run, calls, few = MODULE.run_cell, [], cells[:5]

    def interrupted(cell, *arguments):
        calls.append(cell)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run(cell, *arguments)

    monkeypatch.setattr(MODULE, "run_cell", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep(few, tmp_path, jobs=1, progress=False)
    kept = len(list((tmp_path / "cells").iterdir()))
    assert kept == 2
    same(finished[1][:5], sweep(few, tmp_path, jobs=1, progress=False))
    assert len(calls) == 3 + len(few) - kept


def test_a_kept_cell_says_what_it_is(cells, finished):
    file = finished[0] / "cells" / f"{cells[0].digest()}.json"
    assert store.read(file, "cell")[0]["identity"] == cells[0].identity()


@pytest.mark.parametrize("name", ["flights", "adult", "bikeshare", "census"])
def test_a_real_table_is_loaded_by_name(name):
    few = compare.load_data(name, 1_000)
    assert (few.name, len(few)) == (name, 1_000)
    assert 100 <= len(few.test) < 124
    assert len(compare.load_data("bikeshare", 0)) == 8_645


@pytest.mark.parametrize("evaluations", [1, 3, 4, 23, 236])
def test_equal_evaluations_are_equal_and_batches_do_not_get_tiny(evaluations):
    steps, batch = Cell("flights", 0, "softmax", 0, "evaluations").plan(evaluations)
    assert batch >= 32
    assert steps * batch * evaluations == pytest.approx(600 * 256, rel=0.02)
    assert Cell("flights", 0, "softmax", 0, "steps").plan(evaluations) == (600, 256)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"estimator": "softmx"}, "no estimator is called"),
        ({"estimator": "softmax:tau=0"}, "from 1e-30"),
        ({"budget": "minutes"}, "budget must be one of steps, evaluations"),
        ({"data": "trains"}, "census or planted"),
        ({"net": "transformer"}, "net must be one of plain, deep, ft_transformer"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"estimator": "softmax:tau=cosine/1/-1"}, "from 1e-30"),
        ({"estimator": "exact"}, "more than limit"),
    ],
)
def test_a_cell_that_cannot_run_is_refused(changed, said, tmp_path):
    settings = {"data": "planted", "rows": 1000, "estimator": "softmax", "seed": 0} | changed
    with pytest.raises(ValueError, match=said):
        sweep([Cell("planted", 1000, "softmax", 0), Cell(**settings)], tmp_path, progress=False)
    assert not any(tmp_path.iterdir())


def test_a_cell_that_fails_is_named(tmp_path):
    cell = Cell("planted", 1000, "softmax", 0, lr=float("inf"), steps=3, batch=32, encoder_steps=2)
    with pytest.raises(FloatingPointError, match=r"Cell\(data='planted'"):
        sweep([cell], tmp_path, jobs=1, progress=False)


@pytest.mark.parametrize("text", ["", "{}", "[]"])
def test_a_file_that_is_no_finished_cell_is_told(cells, tmp_path, text):
    file = tmp_path / "cells" / f"{cells[0].digest()}.json"
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(ValueError, match="delete it and call again"):
        sweep(cells, str(tmp_path), jobs=1, progress=False)


def test_another_default_is_another_cell(cells, monkeypatch):
    before = cells[0].digest()
    assert before == Cell(**asdict(cells[0])).digest()
    monkeypatch.setattr(MODULE, "version", lambda package: "9.9")
    assert cells[0].digest() != before


def test_data_of_ones_own_goes_through_its_loader(tmp_path):
    def load(name, rows):
        assert (name, rows) == ("mine", 7)
        return compare.load_data("planted", 1000)

    cells = compare.cells(["softmax"], [0], **SIZES | {"rows": {"mine": 7}}, load=load)
    found = sweep(cells, tmp_path, jobs=1, load=load, progress=False)
    assert found["data"].tolist() == ["mine", "mine"]
    assert found["estimator"].tolist() == ["limit", "softmax"]


@pytest.mark.parametrize("net", compare.kinds.KINDS)
def test_net0_learns_behind_every_kind_of_net1(net, tmp_path, monkeypatch):
    pytest.importorskip("rtdl_revisiting_models")
    monkeypatch.setattr(MODULE, "SEARCHED_ROWS", 20)
    cells = compare.cells(["softmax"], [0], **SIZES, nets=[net])
    summary = compare.sweep_summary(sweep(cells, tmp_path, jobs=1, progress=False))
    assert summary["net"].tolist() == [net, net]  # at both budgets
    row = summary.iloc[0]
    assert (
        row[["decode_argmax", "decode_table", "decode_search", "evaluations_search"]].notna().all()
    )
    share = (row.random_row - row.decode_search) / (row.random_row - row.limit)
    assert row.share_search == pytest.approx(share)


def test_an_estimator_of_one_evaluation_is_in_whatever_budget_is_asked_for():
    sizes = SIZES | {"budgets": ["evaluations"]}
    found = {(c.estimator, c.budget) for c in compare.cells([NAMES[0], NAMES[2]], [0], **sizes)}
    assert found == {("limit", "steps"), (NAMES[0], "steps"), (NAMES[2], "evaluations")}


def test_without_the_limit_there_is_no_share_of_the_way(finished):
    results = finished[1]
    summary = compare.sweep_summary(results[results["estimator"] != "limit"])
    assert summary["share_argmax"].isna().all()
    assert summary["decode_argmax"].notna().all()


def test_the_limit_and_a_random_row_are_measured_on_the_rows_that_are_decoded(finished):
    results = finished[1]
    limit = results[(results["estimator"] == "limit") & (results["seed"] == 0)].iloc[0]
    data = compare.load_data("planted", 1000)
    key = ("planted", 1000, "plain", 0, 4)
    net1 = tabkit.RowEncoder(data.schema)
    net1.load_state_dict(MODULE.run_encoder(key, compare.load_data, MODULE.net1_of)[1])
    net1, index = tabkit.freeze(net1), data.test[: compare.scores.SEARCHED_ROWS]
    with MODULE.one_thread():
        fit = compare.fit_limit(net1, data, steps=4, batch=128)
        list(fit)
    found = fit.modules["limit"](data.signal[index])
    wanted = tabkit.nets.encode_rows(net1, data.rows[index])
    loss = (found - wanted).square().sum(dim=1).mean().item()
    assert limit["decode_relaxed"] == pytest.approx(loss, rel=1e-5)
    apart = compare.random_row_loss(net1, data, data.test)
    assert limit["random_row"] == pytest.approx(apart, rel=0.2)


def test_results_of_other_settings_are_not_averaged(finished):
    results = finished[1]
    with pytest.raises(ValueError, match="mix other settings"):
        compare.sweep_summary(pd.concat([results, results.assign(lr=1.0)]))


def test_specs_carry_knobs_schedules_and_penalties():
    estimator, schedules = parse_spec("gumbel_rao:tau=cosine/2/0.5,samples=4,entropy_penalty=0.1")
    assert estimator.knobs == {"tau": 2.0, "samples": 4, "entropy_penalty": 0.1}
    assert schedules == {"tau": Cosine(2.0, 0.5)}
    assert parse_spec("softmax:entropy_penalty=cosine/0/0.1").estimator.knobs["tau"] == 1.0
    for text in ("softmax:tau=1,tau=2", "softmax:tau=cold", "softmax:tau", "softmax:tau=-1"):
        with pytest.raises(ValueError, match="tau"):
            parse_spec(text)


def test_the_summary_has_means_and_standard_errors(finished):
    results = finished[1]
    summary = compare.sweep_summary(results).set_index(["budget", "estimator"])
    both = results[results["estimator"] == NAMES[0]]["test_decoded"]
    row = summary.loc[("steps", NAMES[0])]
    assert row["test_decoded"] == pytest.approx(both.mean())
    assert row["test_decoded_se"] == pytest.approx(abs(both.iloc[0] - both.iloc[1]) / 2)
    assert row["seeds"] == 2
    again = summary.loc[("evaluations", NAMES[0])]
    assert again["test_decoded"] == row["test_decoded"]
    often = summary.loc[("evaluations", NAMES[2])]
    assert (often["ran_batch"], often["ran_steps"]) == (32, 4)
    text = compare.sweep_text(compare.sweep_summary(results))
    assert all(name in text for name in NAMES)


def test_the_full_comparison_has_every_estimator_that_can_run_there():
    """All but `exact`, whose joint tables are too big, on two data sets at five seeds."""
    named = {text.partition(":")[0] for text in comparison.FULL}
    assert named == set(estimators.names()) - {"exact"}
    assert set(comparison.QUICK) <= set(comparison.FULL)


def test_the_kept_comparison_is_the_full_one():
    kept = compare.kept_comparison()
    assert set(kept["data"]) == set(comparison.WIDE)
    assert (kept["seeds"] == 3).all()
    for _, part in kept.groupby(["data", "budget"]):
        assert set(part["estimator"]) == set(comparison.FULL)
    assert (kept["gap"] - (kept["test_decoded"] - kept["test_relaxed"])).abs().max() < 1e-3
