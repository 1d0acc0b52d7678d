"""New rows on the scale of the training rows, outcomes in their own units, splits of one's own."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from tabkit import (
    DataError,
    RowEncoder,
    RowPredictor,
    Rows,
    Schema,
    decode,
    estimators,
    fit_predictor,
    freeze,
    from_frame,
    planted,
)

KINDS = {"categorical": ["port", "gate"], "continuous": ["wind"], "outcomes": ["delay"]}


def test_the_same_rows_have_the_same_signal_whatever_stands_beside_them(own, frame):
    """The trap: one's own scale of three rows, which is another."""
    few = own.test[:3]
    new = frame.iloc[few.numpy()].assign(note="?")[["note", "wind", "port", "delay"]]
    for table in (new, pl.from_pandas(new), pa.Table.from_pandas(new), new.to_dict("list")):
        torch.testing.assert_close(own.signal_of(table), own.signal[few], rtol=0, atol=0)
    own_scale = new[["delay", "wind"]]
    assert not np.allclose((own_scale - own_scale.mean()) / own_scale.std(), own.signal[few])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda f: f.drop(columns="wind"), "column 'wind': is not in the frame"),
        (lambda f: f.rename(columns={"wind": "Wind"}), "did you mean 'Wind'"),
        (lambda f: f.assign(wind="3"), "pandas.to_numeric"),
        (lambda f: f.assign(wind=float("nan")), "not finite"),
        (lambda f: f.head(0), "no rows"),
        (lambda f: [1.0, 2.0], "expected a table"),
    ],
)
def test_new_rows_that_do_not_fit_are_refused(own, frame, changed, said):
    with pytest.raises(DataError, match=said):
        own.signal_of(changed(frame))


@pytest.mark.parametrize("role", ["outcomes", "signal"])
def test_outcomes_and_signal_come_back_in_their_own_units(own, frame, role):
    found = getattr(own, f"{role}_in_units")(getattr(own, role))
    pd.testing.assert_frame_equal(found, frame[found.columns], rtol=1e-5, atol=1e-5)
    with pytest.raises(DataError, match="the rows have 7 continuous columns"):
        getattr(own, f"{role}_in_units")(torch.zeros(2, 7))


def test_planted_rows_have_scales_too():
    data = planted(300, categorical=2, continuous=1, latent=2)
    again = data.signal_of(data.signal_in_units(data.signal))
    torch.testing.assert_close(again, data.signal, rtol=1e-4, atol=1e-5)
    assert list(data.outcomes_in_units(data.outcomes)) == ["outcome0", "outcome1"]
    bare = replace(data, signal_scale=())
    with pytest.raises(DataError, match="does not know the scale of its signal"):
        bare.signal_of(pd.DataFrame())


def test_a_net_predicts_new_rows_as_it_predicted_them_among_the_others(own, frame):
    net1 = freeze(RowEncoder(own.schema, width=8, embedding_std=None))
    net0 = RowPredictor(own.signal.shape[1], net1, width=8)
    fit_predictor(net0, net1, own, estimators.make("softmax"), steps=2, batch=16).run()
    among = own.decode(decode(net0, own.signal[own.test], net1))
    new = frame.iloc[own.test.numpy()].sample(frac=1, random_state=0)
    alone = own.decode(decode(net0, own.signal_of(new), net1)).set_index(new.index)
    place = dict(zip(own.test.tolist(), range(len(among)), strict=True))
    pd.testing.assert_frame_equal(
        alone.reset_index(drop=True),
        among.iloc[[place[i] for i in new.index]].reset_index(drop=True),
    )


def test_decoded_rows_keep_to_the_range_that_was_seen_if_not_switched_off(own, frame):
    far = Rows(own.rows.codes[:2], torch.tensor([[-9.0], [9.0]]))
    assert own.decode(far)["wind"].tolist() == pytest.approx(
        [frame["wind"].min(), frame["wind"].max()]
    )
    assert own.decode(far, clip=False)["wind"][0] < frame["wind"].min()


# ---- splits


def parts(n):
    return np.arange(n - 20), np.arange(n - 20, n - 10), np.arange(n - 10, n)


@pytest.mark.parametrize("form", ["column", "arrays", "tensors", "lists", "categorical"])
def test_a_split_of_ones_own_is_taken_and_sets_the_scale(frame, form):
    given = parts(len(frame))
    said = np.repeat(["train", "validation", "test"], [280, 10, 10])
    table = frame.assign(part=said)
    split = {
        "column": "part",
        "categorical": "part",
        "arrays": given,
        "tensors": [torch.tensor(p) for p in given],
        "lists": [p.tolist() for p in given],
    }[form]
    table = table.astype({"part": "category"}) if form == "categorical" else table
    data = from_frame(table, **KINDS, split=split)
    for found, wanted in zip((data.train, data.validation, data.test), given, strict=True):
        assert found.tolist() == wanted.tolist()
    wind = frame["wind"].iloc[:280]
    assert data.schema.continuous[0].mean == pytest.approx(wind.mean())
    assert data.signal_scale[1].std == pytest.approx(wind.std(ddof=0))
    assert "part" not in data.schema.names


BAD_SPLITS = [
    ("parts", "did you mean 'part'"),
    ("port", "names no part of the split.*write train, validation, test"),
    (([0, 1], [2]), "has 2 parts"),
    (([0, 1], [], [2]), "no row in its validation part"),
    (([0, 1], [2], [2]), "a row for the second time in its test part"),
    (([0, 0, 1], [2], [3]), "second time in its train part"),
    (([0, 1], [2], [300]), "whole numbers from 0 to 299"),
    (([0, 1], [2], [-1]), "no position"),
    (([0, 1], [2], [0.5]), "no position"),
    ((["a"], [2], [1]), "no position"),
]


@pytest.mark.parametrize(("split", "said"), BAD_SPLITS)
def test_a_split_that_is_none_is_refused(frame, split, said):
    with pytest.raises(DataError, match=said):
        from_frame(frame.assign(part="train"), **KINDS, split=split)


def test_a_split_is_given_once_and_says_each_part(frame):
    with pytest.raises(DataError, match="both say which rows"):
        from_frame(frame, **KINDS, split=parts(300), held_out=3)
    with pytest.raises(DataError, match="no row in its validation part"):
        from_frame(frame.assign(part="train"), **KINDS, split="part")
    with pytest.raises(DataError, match="names no part") as error:
        from_frame(frame.assign(part=["train"] * 7 + [None] * 293), **KINDS, split="part")
    assert (error.value.column, error.value.row) == ("part", 7)


def test_no_old_scale_stays_silently_wrong(own, frame):
    """The remedies of the error work: split again, or say that the scale is kept."""
    given = tuple(torch.tensor(p) for p in parts(300))
    with pytest.raises(DataError, match="not those that set the scale"):
        replace(own, train=given[0])
    kept = replace(own, train=given[0], scaled_on=None)
    assert torch.equal(kept.signal, own.signal)
    again, wanted = own.with_split(given), from_frame(frame, **KINDS, split=given)
    for name in ("outcomes", "signal", "train", "validation", "test"):
        torch.testing.assert_close(getattr(again, name), getattr(wanted, name), rtol=0, atol=1e-5)
    torch.testing.assert_close(again.rows.continuous, wanted.rows.continuous, rtol=0, atol=1e-5)
    pd.testing.assert_frame_equal(again.frame(), frame[["port", "gate", "wind"]], atol=1e-4)
    torch.testing.assert_close(again.signal_of(frame), again.signal, rtol=0, atol=1e-5)
    same = np.flatnonzero(frame["port"] == "JFK")
    data = own.with_split((same, *[np.setdiff1d(range(300), same)[k::2] for k in (0, 1)]))
    with pytest.raises(DataError, match="column 'wind': is constant in the new training rows"):
        data.with_split(([0], [1], [2]))


# ---- fixed values


def test_fixed_values_are_codes_and_numbers_on_the_scale(own):
    fixed = own.schema.fix({"gate": 3, "wind": own.schema.continuous[0].mean})
    assert fixed.allowed.tolist() == [True] * 3 + [False, False, True, False]
    assert fixed.numbers.tolist() == [0.0]
    assert own.schema.fix({"gate": "3"}).allowed.equal(fixed.allowed), "by label"
    assert own.schema.fix({}).allowed.all()
    assert own.schema.fix({}).numbers.isinf().all()
    gaps = Schema.infer({"c": ["a", None, "b"]}, categorical=["c"])
    for value in (None, float("nan"), pd.NA, "(missing)"):
        assert gaps.fix({"c": value}).allowed.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"porte": "JFK"}, "not in the rows.*did you mean 'port'"),
        ({"port": "SFO"}, "is no category.*choose one of 'EWR', 'JFK', 'LGA'"),
        ({"port": None}, "is no category"),
        ({"wind": "fast"}, "is no finite number"),
        ({"wind": float("nan")}, "is no finite number"),
        ({"wind": None}, "is no finite number"),
        ({"wind": 1e300}, "is no finite number"),  # in float32
    ],
)
def test_what_cannot_be_fixed_is_refused(own, values, said):
    with pytest.raises(DataError, match=said):
        own.schema.fix(values)
