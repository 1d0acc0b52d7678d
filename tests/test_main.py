"""The command line does the main job, small, and refuses what it cannot do before training."""

import errno
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest

from tabkit import __main__ as cli
from tabkit import compare, decoders, estimators, store

NAMES = ["softmax:tau=0.25", "direct_embedding", "cross_entropy"]
SMALL = ["--rows", "2000", "--steps", "3", "--encoder-steps", "3"]


def run(out):
    return cli.main(["run", *SMALL, "--seeds", "0", "1", "--out", str(out), "--estimators", *NAMES])


@pytest.fixture(scope="module", autouse=True)
def few_are_decoded():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tabkit.commands.running.DECODED", 50)
        patch.setattr("tabkit.compare.sweeping.SEARCHED_ROWS", 20)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory, few_are_decoded):
    out = tmp_path_factory.mktemp("runs") / "small"
    assert run(out) == 0
    return out


def test_the_run_folder_holds_table_figures_and_configuration(folder):
    results = pd.read_csv(folder / "results.csv")
    decoding = ["relaxed", "best", *decoders.names()]
    assert set(results.filter(regex="^decode_")) == {f"decode_{name}" for name in decoding}
    assert len(results) == 6
    assert results.filter(regex="^accuracy_").shape[1] == 11
    gaps = results["test_decoded"] - results["test_relaxed"]
    assert results["gap"].tolist() == pytest.approx(gaps.tolist())
    summary = pd.read_csv(folder / "summary.csv", index_col="estimator")
    assert set(summary.index) == set(NAMES)
    configuration, _ = store.read(folder / "configuration.json", "configuration")
    assert configuration["steps"] == 3
    assert "tau=0.25" in configuration["estimators"]["softmax:tau=0.25"]
    shares = (summary["random_row"] - summary["decode_search"]) / (
        summary["random_row"] - summary["limit"]
    )
    assert summary["share_search"].tolist() == pytest.approx(shares.tolist())
    for name in ("decoding_gap.png", "decoders.png", "training.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("data", ["bikeshare", "planted"])
def test_the_job_is_done_on_every_table_and_says_what_decoding_costs(data, tmp_path, capsys):
    call = ["run", *SMALL, "--data", data, "--out", str(tmp_path), "--estimators", "softmax"]
    assert cli.main(call) == 0
    said = capsys.readouterr().out
    assert f"2,000 rows of {data}" in said
    assert "the limit" in said and "evaluations of net1 a row" in said
    (row,) = pd.read_csv(tmp_path / "results.csv").itertuples()
    assert f"{row.decode_restarts:.3f} by restarts" in said
    assert row.decode_restarts < 1.02 * row.decode_argmax  # net1 has hardly learned


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--estimators", "softmx"], "no estimator is called 'softmx'"),
        (["--estimators", "softmax:tau=-1"], "from 1e-30"),
        (["--estimators", "softmax:temp=1"], "no knob 'temp'"),
        (["--estimators", "softmax:tau=cold"], "tau must be a number, not 'cold'"),
        (["--estimators", "softmax:tau="], "tau must be a number"),
        (["--estimators", "softmax:tau=1,tau=2"], "tau is given twice"),
        (["--estimators", "softmax", "softmax"], "names softmax twice"),
        (["--seeds", "1", "1"], "names 1 twice"),
        (["--rows", "400000"], "rows must lie in 1 to 327,346"),
        (["--rows", "5"], "cannot hold out"),
    ],
)
def test_bad_arguments_are_refused_in_words(arguments, said, tmp_path, capsys):
    assert cli.main(["run", *SMALL, "--out", str(tmp_path), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("argument", ["--steps", "--encoder-steps", "--rows"])
@pytest.mark.parametrize("number", ["0", "-1", "1e99", "1" * 5000, "", "ten"])
def test_numbers_out_of_range_are_refused(argument, number, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["run", argument, number])
    assert stop.value.code == 2
    assert f"{argument}: must be a whole number from 1 to" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["-1", "99999999999999999999"])
def test_seeds_out_of_range_are_refused(number, capsys):
    with pytest.raises(SystemExit):
        cli.main(["run", "--seeds", number])
    assert "must be a whole number from 0 to 4,294,967,295" in capsys.readouterr().err


@pytest.mark.parametrize("device", ["gpu", "meta", "cuda:99", ""])
def test_a_device_that_is_not_here_is_refused(device, capsys):
    assert cli.main(["run", "--device", device]) == 2
    assert f"--device: {device!r} is no device here, take cpu" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "compare", "recommend"])
def test_a_folder_that_cannot_be_is_refused_before_anything_trains(command, tmp_path, capsys):
    (tmp_path / "file").touch()
    call = [command, "--encoder-steps", "999999", "--out", str(tmp_path / "file" / "x")]
    assert cli.main(call) == 2
    assert "file/x lies in a file, or is one: name a folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "recommend"])
def test_a_table_without_a_name_is_none(command, capsys):
    assert cli.main([command, "--table", ""]) == 2
    assert "neither CSV nor Parquet" in capsys.readouterr().err


def test_a_folder_of_another_run_is_not_overwritten(folder, capsys):
    assert cli.main(["run", *SMALL, "--out", str(folder)]) == 2
    assert "holds another run" in capsys.readouterr().err


def test_an_interrupted_run_is_picked_up_by_the_same_call(folder, tmp_path, monkeypatch, capsys):
    """Ctrl-C in the second net0: the same call finishes, with the table that one run gives."""
    train, calls = compare.train_and_score, iter(range(99))

    def interrupted(*arguments, **knobs):
        if next(calls) == 1:
            raise KeyboardInterrupt
        return train(*arguments, **knobs)

    monkeypatch.setattr(compare, "train_and_score", interrupted)
    assert run(tmp_path) == 130
    assert "picks up" in capsys.readouterr().err
    assert len(pd.read_csv(tmp_path / "results.csv")) == 1
    assert run(tmp_path) == 0
    a, b = (pd.read_csv(f / "results.csv").filter(regex="^(?!seconds)") for f in (folder, tmp_path))
    pd.testing.assert_frame_equal(a, b, check_exact=True)


def test_a_full_disk_is_a_sentence_and_the_same_call_goes_on(tmp_path, monkeypatch, capsys):
    out = tmp_path / "run"
    with monkeypatch.context() as full:
        full.setattr(store.os, "fsync", Mock(side_effect=OSError(errno.ENOSPC, "disk is full")))
        assert run(out) == 2
        assert "configuration.json: disk is full" in capsys.readouterr().err
        assert not any(out.iterdir())
    out.joinpath(f"{store.PARTIAL}killed-while-it-was-written").touch()
    assert run(out) == 0


COMPARE = ["compare", "--quick", "--data", "planted", "--seeds", "0", "1"]
TINY = ["--steps", "2", "--encoder-steps", "2", "--batch", "64", "--jobs", "1"]


def test_the_comparison_writes_and_prints_its_table(tmp_path, capsys):
    names = ["softmax:tau=cosine/2/1", "leave_one_out"]
    call = [*COMPARE, *TINY, "--out", str(tmp_path), "--estimators", *names]
    assert cli.main(call) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in names)
    assert "equal evaluations" in said
    cells = pd.read_csv(tmp_path / "cells.csv")
    assert len(cells) == 2 * (1 + 1 + 2)  # the limit, and two budgets
    summary = pd.read_csv(tmp_path / "comparison.csv")
    assert set(summary["estimator"]) == set(names)
    assert (tmp_path / "comparison_planted.png").read_bytes().startswith(b"\x89PNG")
    assert cli.main(call) == 0  # nothing is trained again
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "cells.csv"), cells)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--estimators", "softmx"], "no estimator is called"),
        (["--estimators", "exact"], "more than limit"),
        (["--estimators", "zgr", "zgr"], "names zgr twice"),
        (["--seeds", "1", "1"], "names 1 twice"),
        (["--scheduler", "nowhere"], "nowhere"),
    ],
)
def test_a_comparison_that_cannot_run_is_refused_in_words(arguments, said, tmp_path, capsys):
    assert cli.main([*COMPARE, *TINY, "--out", str(tmp_path), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("jobs", ["0", "-2", "two"])
def test_jobs_are_a_number_of_processes(jobs, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*COMPARE, "--jobs", jobs])
    assert stop.value.code == 2
    assert "--jobs" in capsys.readouterr().err


RECOMMEND = ["recommend", "--rows", "2000", "--encoder-steps", "3", "--minutes", "0.3"]


def test_the_recommendation_is_printed_and_kept(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(compare.recommending, "SEEDS", 1)
    monkeypatch.setattr(compare.recommending, "MOST", 100)  # steps
    call = [*RECOMMEND, "--out", str(tmp_path / "new"), "--estimators", "softmax", "cross_entropy"]
    assert cli.main(call) == 0
    said = capsys.readouterr().out
    assert "Train through softmax, decode by" in said
    assert "For reference, cross_entropy" in said
    table = pd.read_csv(tmp_path / "new" / "recommendation.csv")
    assert set(table["decoder"]) >= {"argmax", "table", "first_layer"}
    assert (tmp_path / "new" / "recommendation.png").read_bytes().startswith(b"\x89PNG")


def test_the_recommendation_is_made_for_a_table_of_ones_own(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(compare.recommending, "SEEDS", 1)
    monkeypatch.setattr(
        compare.recommending, "MOST", 100
    )  # steps: far fewer than there is time for
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"make": draw.choice(["a", "b", "c"], 300), "power": draw.normal(size=300)}
    )
    frame.to_csv(tmp_path / "cars.csv", index=False)
    call = ["recommend", "--table", str(tmp_path / "cars.csv"), "--categorical", "make"]
    call += ["--continuous", "power", "--estimators", "softmax", "--encoder-steps", "3"]
    assert cli.main([*call, "--minutes", "0.3", "--out", str(tmp_path / "new")]) == 0
    said = capsys.readouterr().out
    assert "Train through softmax, decode by" in said
    assert "make" in said and "300" in said  # the table's report
    assert (tmp_path / "new" / "recommendation.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--minutes", "0"], "minutes must be above 0"),
        (["--estimators", "softmx"], "no estimator is called"),
        (["--estimators", "zgr", "zgr"], "names zgr twice"),
        (["--table", "missing.csv"], "--rows takes a subset of the flights"),
    ],
)
def test_a_recommendation_that_cannot_be_is_refused_in_words(arguments, said, tmp_path, capsys):
    """Before net1 trains."""
    call = [*RECOMMEND, "--encoder-steps", "999999", "--out", str(tmp_path), *arguments]
    assert cli.main(call) == 2
    assert said in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["run", "compare"])
def test_help_names_every_estimator(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    text = "".join(capsys.readouterr().out.split())
    assert all(name in text for name in estimators.names())
