"""A table of one's own through the command line; a saved run predicts, and holds no code."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from tabkit import Schema, read_table, store
from tabkit import __main__ as cli
from tabkit.decoders import names
from tabkit.runs import FILE, KIND, Run
from tabkit.schema.saving import plain_schema, schema_of

SIZES = ["--steps", "3", "--encoder-steps", "3"]


@pytest.fixture(scope="module")
def file(tmp_path_factory, frame):
    path = tmp_path_factory.mktemp("tables") / "gates.csv"
    sold = pd.date_range("2013-01-01", periods=len(frame), freq="D").strftime("%Y-%m-%d")
    wind = frame["wind"].map("{:.3f}".format).mask(frame.index < 4, "?")
    frame.assign(sold=sold, wind=wind).to_csv(path, index=False)
    return path


def arguments(file, out):
    said = ["--categorical", "port,gate", "--continuous", "wind", "--outcome", "delay"]
    said += ["--dates", "sold=weekday+days", "--unknown", "?", "--gaps", "wind=median"]
    return ["run", "--table", str(file), *said, *SIZES, "--out", str(out)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, file):
    out = tmp_path_factory.mktemp("runs") / "gates"
    assert cli.main(arguments(file, out)) == 0
    return out


def test_the_run_folder_holds_all_that_predicts(folder):
    facts = json.loads(store.read(folder / FILE, KIND)[0]["facts"])
    assert facts["estimator"] == "softmax"
    assert [c["name"] for c in facts["signal"]] == ["delay", "wind", "sold_days"]
    assert "sold: dates" in (folder / "report.txt").read_text()
    assert len(pd.read_csv(folder / "predicted.csv")) == 30
    kept = {path.suffix for path in folder.iterdir()}
    assert kept == {".json", ".safetensors", ".txt", ".csv"}, "no pickled code"
    assert store.read(folder / "configuration.json", "configuration")[0]["gaps"] == {
        "wind": "median"
    }


def test_a_finished_run_is_taken_as_it_is(folder, file, monkeypatch):
    """Killed after it was saved, say, and before its rows were written."""
    expected = (folder / "predicted.csv").read_bytes()
    (folder / "predicted.csv").unlink()
    monkeypatch.setattr(Run, "train", None)
    assert cli.main(arguments(file, folder)) == 0
    assert (folder / "predicted.csv").read_bytes() == expected


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_apply_predicts_new_rows_as_the_run_did(folder, file, tmp_path, suffix):
    choices = {"categorical": ["port", "gate"], "continuous": ["wind"], "outcomes": ["delay"]}
    choices |= {
        "dates": {"sold": ["weekday", "days"]},
        "unknown": ["?"],
        "gaps": {"wind": "median"},
    }
    data, raw = read_table(file, **choices).data(), pd.read_csv(file)
    new = raw.iloc[data.test.numpy()].drop(columns=["port", "gate"]).iloc[:, ::-1]
    signal, out = tmp_path / f"new.{suffix}", tmp_path / f"out.{suffix}"
    new.to_csv(signal, index=False) if suffix == "csv" else new.to_parquet(signal)
    assert cli.main(["apply", str(folder), "--signal", str(signal), "--out", str(out)]) == 0
    found = pd.read_csv(out) if suffix == "csv" else pd.read_parquet(out)
    was = pd.read_csv(folder / "predicted.csv")
    pd.testing.assert_frame_equal(found, was, check_dtype=False, rtol=1e-4)
    assert found["gate"].isin(range(1, 5)).all()


def test_what_does_not_fit_is_refused_in_words(folder, file, tmp_path, capsys):
    out, bad = tmp_path / "out.csv", tmp_path / "bad.csv"
    pd.DataFrame({"delay": [1.0], "wnd": [2.0]}).to_csv(bad, index=False)
    assert cli.main(["apply", str(folder), "--signal", str(bad), "--out", str(out)]) == 2
    assert "did you mean 'wnd'" in capsys.readouterr().err
    assert cli.main(["apply", str(tmp_path), "--signal", str(bad), "--out", str(out)]) == 2
    assert "holds no saved run" in capsys.readouterr().err
    runs = tmp_path / "runs"
    for changed, said in [
        (["--categorical", "port"], "categorical=['gate'] or continuous"),
        (["--categorical", "prt"], "did you mean 'port'"),
        (["--fixed", "port=SFO"], "choose one of 'EWR'"),
        (["--estimators", "softmax", "gumbel_softmax"], "one estimator"),
        (["--gaps", "wind=mean"], "choose category, median, drop"),
        (["--table", "nowhere.csv"], "nowhere.csv"),
    ]:
        assert cli.main([*arguments(file, runs), *changed]) == 2
        assert said in capsys.readouterr().err
        assert not runs.exists()
    with pytest.raises(SystemExit):
        cli.main([*arguments(file, runs), "--gaps", "wind"])
    assert "not of the form A=X,B=Y" in capsys.readouterr().err


def test_fixed_values_go_along_with_the_run(file, tmp_path):
    said = ["--fixed", "port=JFK,wind=11.5", "--decoder", "argmax"]
    assert cli.main([*arguments(file, tmp_path / "run"), *said]) == 0
    found = Run.load(tmp_path / "run").predict(pd.read_csv(file))
    assert set(found["port"]) == {"JFK"}
    np.testing.assert_allclose(found["wind"], 11.5, rtol=1e-5)


@pytest.mark.parametrize("estimator", ["gumbel_softmax:tau=cosine/2/0.5", "direct_embedding"])
@pytest.mark.parametrize("decoder", names())
def test_a_run_is_the_same_after_it_was_saved(own, frame, tmp_path, estimator, decoder):
    options = {"estimator": estimator, "decoder": decoder, "steps": 2, "encoder_steps": 2}
    nets = {"net1": {"Z": 3, "D": 4, "width": 8}, "net0": {"width": 8, "depth": 1}}
    run = Run.train(own, **options, nets=nets)
    run.save(tmp_path)
    pd.testing.assert_frame_equal(Run.load(tmp_path).predict(frame), run.predict(frame))


def test_a_run_without_outcomes_is_trained_by_contrast(file, tmp_path):
    said = [word.replace("--outcome", "--drop") for word in arguments(file, tmp_path / "run")]
    assert cli.main(said) == 0
    assert list(pd.read_csv(tmp_path / "run" / "predicted.csv"))[:2] == ["port", "gate"]


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code ran')",))


def forged(file, change):
    """Writes the run's file again, sealed, with another content."""
    content, _ = store.read(file, KIND)
    content["facts"] = json.loads(content["facts"])
    change(content)
    store.write(file, KIND, content | {"facts": json.dumps(content["facts"])})


def test_loading_runs_no_code_and_says_what_is_damaged(own, tmp_path):
    run = Run.train(
        own, steps=1, encoder_steps=1, nets={"net1": {"width": 4}, "net0": {"width": 4}}
    )
    file = tmp_path / FILE
    for break_it in (
        lambda: file.write_bytes(pickle.dumps(Bomb())),
        lambda: torch.save(Bomb(), file),
        lambda: file.write_bytes(file.read_bytes()[:99]),
        lambda: file.write_bytes(b""),
        lambda: file.write_bytes(file.read_bytes().replace(b"JFK", b"EWR")),
        lambda: store.write(file, "checkpoint", {}),
        lambda: store.write(file, KIND, {}),
        lambda: forged(file, lambda c: c["weights"]["net1"].popitem()),
        lambda: forged(file, lambda c: c["facts"].update(schema=3)),
        lambda: forged(file, lambda c: c["facts"]["nets"].update(net1={"code": 1})),
        lambda: forged(file, lambda c: c["facts"]["nets"]["net0"].update(depth=10**9)),
        lambda: forged(file, lambda c: c["facts"]["prepare"].pop("whole")),
        lambda: forged(file, lambda c: c["facts"]["prepare"].update(numbers="port")),
        lambda: forged(file, lambda c: c["facts"]["prepare"].update(medians={"wind": "x"})),
        lambda: forged(file, lambda c: c["facts"]["prepare"].update(dates={"x": ["second"]})),
    ):
        run.save(tmp_path)
        break_it()
        with pytest.raises(store.FileError, match=rf"{FILE} (is|has) .*train it again"):
            Run.load(tmp_path)


COLUMNS = {
    "object": ["a", "b", None],
    "str": ["a", "b", None],
    "string": ["a", "b", None],
    "category": ["a", "b", None],
    "int8": [1, 2, 2],
    "Int64": [1, 2, None],
    "bool": [True, False, True],
    "boolean": [True, False, None],
    "int64[pyarrow]": [1, 2, None],
}


@pytest.mark.parametrize("dtype", COLUMNS)
def test_a_schema_survives_json(dtype):
    frame = pd.DataFrame({"c": pd.Series(COLUMNS[dtype], dtype=dtype), "x": [0.1, 1 / 3, 3e9]})
    for other in ({}, {"c": 0}):
        schema = Schema.infer(frame, categorical=["c"], continuous=["x"], other=other)
        again = schema_of(json.loads(json.dumps(plain_schema(schema))))
        assert again == schema
        pd.testing.assert_frame_equal(
            again.decode(again.encode(frame)), schema.decode(schema.encode(frame))
        )
