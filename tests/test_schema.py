"""`tabkit.schema`: frames, codes and simplexes survive the round trip; bad ones name themselves."""

import ast
import pickle
import re
from contextlib import contextmanager
from dataclasses import FrozenInstanceError
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from tabkit.schema import (
    Categorical,
    Continuous,
    DataError,
    Rows,
    Schema,
    as_frame,
    check_cardinalities,
    check_codes,
    check_names,
    check_simplex,
)
from tabkit.schema.frames import check_frame

FRAME = pd.DataFrame(
    {"port": ["JFK", "EWR", "JFK", "LGA"], "month": [1, 2, 12, 1], "temp": [39.0, 41.5, 40.0, 38.0]}
)
KINDS = {"categorical": ["port", "month"], "continuous": ["temp"]}
SCHEMA = Schema.infer(FRAME, **KINDS)
WIDTHS = (2, 1, 5)
CODES = torch.tensor([[0, 0, 4], [1, 0, 2]])
NAN, INF = float("nan"), float("inf")
quickly = settings(max_examples=25)


def infer(values, **knobs):
    return Schema.infer(pd.DataFrame({"c": values}), categorical=["c"], **knobs)


def round_trip(values):
    schema = infer(values)
    return schema.decode(schema.encode(pd.DataFrame({"c": values})))["c"]


@contextmanager
def refused(column=None, row=None, value=None, says=""):
    """The error carries column, row and value, and its text holds them, `says` and a remedy."""
    with pytest.raises(DataError) as caught:
        yield
    error, text = caught.value, str(caught.value)
    assert (error.column, error.row, repr(error.value)) == (column, row, repr(value))
    for name, held in {"column": column, "row": row, "value": value}.items():
        assert held is None or f"{name} {held!r}" in text
    assert says in text
    assert text.endswith(f"Remedy: {error.remedy}")


def objects(*values):
    return pd.Series(values, dtype=object)


def levels(*values):
    return pd.Series(values, dtype="category")


# ---- round trips

TEXT = st.text(max_size=4).filter(lambda text: text not in ("(missing)", "(other)"))
WHOLE = st.integers(-(2**62), 2**62)
COLUMNS = {dtype: TEXT | st.none() for dtype in ("object", "str", "string", "category")} | {
    "int64": WHOLE,
    "int8": st.integers(-128, 127),
    "uint64": st.integers(0, 2**64 - 1),
    "Int64": WHOLE | st.none(),
    "bool": st.booleans(),
    "boolean": st.booleans() | st.none(),
}


@pytest.mark.parametrize("dtype", COLUMNS)
@quickly
@given(data=st.data())
def test_any_column_comes_back_with_its_dtype(dtype, data):
    values = data.draw(st.lists(COLUMNS[dtype], min_size=1, max_size=12))
    series = pd.Series(values, dtype=dtype, name="c")
    assume(series.nunique(dropna=False) > 1)
    schema = infer(series, max_cardinality=99)
    rows = schema.encode(series.to_frame())
    pd.testing.assert_frame_equal(schema.decode(rows), series.to_frame())
    assert len(rows.codes.unique()) == schema.width, "each code stands for a category that occurs"


UNUSUAL = [
    pd.Series(pd.Categorical(list("bca"), categories=list("cba"), ordered=True)),
    pd.Series([1, 2, None], dtype="Int64").astype("category"),
    pd.Series([1, 2], dtype="int8").astype("category"),
    pd.Series(["a", None], dtype="string").astype("category"),
    pd.Series(["a", "b"], dtype="string[python]"),
    pd.Series(["a", None], dtype=pd.ArrowDtype(pa.string())),
    pd.Series([1, None], dtype=pd.ArrowDtype(pa.int64())),
    pd.Series([True, None], dtype=pd.ArrowDtype(pa.bool_())),
    pd.Series(["a", "b"], dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
    objects(True, None),
    objects(2**70, 1, None),
    pd.Series(["", " a", "a", "é", "e\u0301", "a\0", "🦉"]),
    pd.Series(["(missing)", "(other)"]),
]


@pytest.mark.parametrize("series", UNUSUAL, ids=lambda series: str(series.dtype))
def test_unusual_columns_come_back_exactly(series):
    pd.testing.assert_series_equal(round_trip(series), series, check_names=False)


def test_numpy_scalars_in_an_object_column_become_plain_categories():
    mixed = objects(np.int64(3), 1, np.int32(2))
    (column,) = infer(mixed).categorical
    assert [type(c) for c in column.categories] == [int, int, int]
    assert round_trip(mixed).tolist() == [3, 1, 2]


def test_levels_without_rows_get_no_code():
    series = levels("lo", "mid", 7, "hi")[[0, 3]]
    assert infer(series).cardinalities == (2,)
    assert round_trip(series).dtype == series.cat.remove_unused_categories().dtype


NUMBERS = st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=9).filter(lambda x: np.ptp(x) > 1e-6)


@pytest.mark.parametrize(("dtype", "eps"), [(torch.float64, 1e-15), (torch.float32, 6e-8)])
@quickly
@given(numbers=NUMBERS)
def test_numbers_are_standardised_and_come_back_to_float_precision(dtype, eps, numbers):
    frame = pd.DataFrame({"c": [0, 1] * len(numbers), "x": numbers * 2})
    schema = Schema.infer(frame, categorical=["c"], continuous=["x"])
    rows = schema.encode(frame, dtype=dtype)
    if dtype == torch.float64 and np.std(numbers) > 1e-6 * np.abs(numbers).max():
        assert rows.continuous.mean().abs() < 1e-6
        assert rows.continuous.std(correction=0).item() == pytest.approx(1, rel=1e-6)
    back = schema.decode(rows)["x"].to_numpy()
    bound = 4 * eps * np.abs(numbers).max() + 4e-16 * np.abs(schema.continuous[0].mean)
    assert np.abs(back - frame["x"]).max() <= bound


def numeric(dtype):
    """Values that the dtype holds, and that float32 tells apart in standard deviations."""
    if "float" in dtype.lower() or dtype.startswith("double"):
        return st.floats(-1e4, 1e4, width=16)
    limits = np.iinfo(dtype.lower().split("[")[0])
    return st.integers(max(limits.min, -100), min(limits.max, 10**6))


NUMERIC = ["int8", "uint8", "int64", "uint64", "Int16", "UInt32", "int32[pyarrow]"]
NUMERIC += ["float16", "float32", "float64", "Float32", "Float64", "double[pyarrow]"]


@pytest.mark.parametrize("dtype", NUMERIC)
@quickly
@given(data=st.data(), scale_on=st.sampled_from([None, [0, 1]]))
def test_any_numeric_column_comes_back_with_its_dtype(dtype, data, scale_on):
    """Also the rows that did not set the scale; whole numbers exactly, others to precision."""
    values = data.draw(st.lists(numeric(dtype), min_size=2, max_size=12))
    assume(np.ptp(values[:2]) > np.ptp(values) / 10 > 1e-4)
    frame = pd.DataFrame({"x": pd.Series(values, dtype=dtype), "c": np.arange(len(values)) % 2})
    schema = Schema.infer(frame, categorical=["c"], continuous=["x"], scale_on=scale_on)
    for clip in (True, False):
        back = schema.decode(schema.encode(frame), clip=clip)
        pd.testing.assert_frame_equal(back, frame, rtol=1e-6, atol=1e-6 * np.ptp(values))
        if pd.api.types.is_integer_dtype(frame["x"].dtype):
            assert back["x"].tolist() == values


@pytest.mark.parametrize("dtype", NUMERIC)
@quickly
@given(numbers=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=9))
def test_whatever_a_net_predicts_decodes_to_what_the_table_can_hold(dtype, numbers):
    frame = pd.DataFrame({"c": [0, 1, 0], "x": pd.Series([3, 1, 70], dtype=dtype)})
    schema = Schema.infer(frame, categorical=["c"], continuous=["x"], scale_on=[0, 1])
    rows = Rows(torch.zeros(len(numbers), 1, dtype=torch.int64), torch.tensor(numbers)[:, None])
    held, free = schema.decode(rows)["x"], schema.decode(rows, clip=False)["x"]
    assert held.dtype == free.dtype == frame["x"].dtype
    assert held.between(1, 70).all(), "70 was seen, if not among the rows that set the scale"
    raw = np.float64(numbers) * 1 + 2  # the rows that set the scale are 3 and 1
    kind = np.dtype(free.to_numpy().dtype)
    limits = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
    raw = np.clip(raw, float(limits.min), float(limits.max))
    np.testing.assert_allclose(
        free.astype(float), raw, atol=0.5 if kind.kind in "iu" else 1e-9, rtol=1e-3
    )
    inside = (raw > 1) & (raw < 70)
    assert held[inside].tolist() == free[inside].tolist()


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_the_ends_of_64_bits_do_not_wrap(dtype):
    ends = np.iinfo(dtype)
    frame = pd.DataFrame({"c": [0, 1], "x": np.array([ends.min, ends.max], dtype=dtype)})
    schema = Schema.infer(frame, categorical=["c"], continuous=["x"])
    far = Rows(torch.zeros(2, 1, dtype=torch.int64), torch.tensor([[-9.0], [9.0]]))
    for clip in (True, False):
        low, high = schema.decode(far, clip=clip)["x"].tolist()
        assert low == ends.min
        assert ends.max - high < 2048, "the next smaller number that float64 holds"


@pytest.mark.parametrize("number", [NAN, INF, -INF])
def test_what_is_no_number_is_not_decoded(number):
    rows = SCHEMA.encode(FRAME)
    rows.continuous[2] = number
    with refused("temp", 2, number, "diverged"):
        SCHEMA.decode(rows)


@quickly
@given(st.permutations(range(5)))
def test_decoded_columns_stand_in_the_frames_order(order):
    names = ["port", "month", "temp", "wind", "gate"]
    values = [list("abba"), [1, 2, 2, 1], [0.5, 1.5, 2.5, 1.0], [1, 2, 3, 4], [True, False] * 2]
    frame = pd.DataFrame(dict(zip(names, values, strict=True)))[[names[i] for i in order]]
    schema = Schema.infer(frame, categorical=["gate", "month", "port"], continuous=["wind", "temp"])
    assert schema.names == tuple(frame.columns)
    pd.testing.assert_frame_equal(schema.decode(schema.encode(frame)), frame)


def test_the_order_in_which_encode_is_given_the_columns_and_the_index_do_not_matter():
    odd = FRAME[["temp", "month", "port"]].set_axis([7, 7, 7, 0])
    assert SCHEMA.names == ("port", "month", "temp")
    assert (SCHEMA.cardinalities, SCHEMA.width) == ((3, 3), 6)
    assert SCHEMA.encode(odd) == SCHEMA.encode(FRAME)
    pd.testing.assert_frame_equal(SCHEMA.decode(SCHEMA.encode(odd)), FRAME)


def test_only_the_rows_of_scale_on_set_the_scale_and_all_the_range():
    schema = Schema.infer(FRAME, **KINDS, scale_on=[0, 2])
    known = Continuous("temp", mean=39.5, std=0.5, lowest=38.0, highest=41.5)
    assert schema.continuous == (known,)
    assert schema.categorical == SCHEMA.categorical


def test_names_given_as_an_index_a_tuple_or_an_iterator_are_names():
    for form in (pd.Index, tuple, iter):
        kinds = {role: form(names) for role, names in KINDS.items()}
        assert Schema.infer(FRAME, **kinds) == SCHEMA


# ---- missing and other: categories of their own, by choice


def test_missing_values_have_their_own_last_code_if_infer_saw_any():
    schema = infer(["a", None, "b"])
    assert schema.categorical[0].labels == ("a", "b", "(missing)")
    for missing in ([None, "a"], [NAN, NAN], pd.array([pd.NA, "b"], dtype="string")):
        assert schema.encode(pd.DataFrame({"c": missing})).codes[0] == 2


@pytest.mark.parametrize("values", [list("abbcc"), [1, 2, 2, 3, 3], [True, False, False]])
@pytest.mark.parametrize("dtype", [object, "category"])
def test_rare_and_unseen_values_share_other_and_its_code_comes_back(values, dtype):
    schema = infer(pd.Series(values, dtype=dtype), other={"c": 2})
    (column,) = schema.categorical
    assert values[0] not in column.categories
    assert column.labels[-1] == "(other)"
    rows = schema.encode(pd.DataFrame({"c": pd.Series(values, dtype=dtype)}))
    assert (rows.codes == schema.width - 1).flatten().tolist() == [v == values[0] for v in values]
    assert schema.encode(schema.decode(rows)) == rows


def test_with_zero_rows_every_seen_category_stays_and_only_unseen_ones_are_other():
    schema = infer(["a", "b", None], other={"c": 0})
    assert schema.encode(pd.DataFrame({"c": ["a", "z", None]})).codes.T.tolist() == [[0, 3, 2]]


def test_what_other_swallows_does_not_count_as_cardinality():
    assert infer([*range(1500), 1, 1, 2, 2], other={"c": 3}).cardinalities == (3,)


def test_max_cardinality_replaces_the_rule_of_thumb():
    assert infer(list(range(50)), max_cardinality=50).cardinalities == (50,)
    assert infer(list(range(21)) * 2).cardinalities == (21,)
    assert infer(list(range(20))).cardinalities == (20,)


# ---- bad columns


DATES = pd.date_range("2013-01-01", periods=3)
BAD_CATEGORICAL = {
    "a stray float among integers": ([*range(40), 7.25], 40, 7.25, "class of its own (41 here)"),
    "a stray float in an object column": (objects(1, 2.5, 2), 1, 2.5, "pandas.cut"),
    "a stray float32": (objects(1, np.float32(2.5)), 1, 2.5, "class of its own"),
    "a stray infinity": ([1.0, INF, 2.0], 1, INF, "replace what is infinite"),
    "a stray decimal": (objects(Decimal(1), Decimal("2.5")), 1, Decimal("2.5"), "floating"),
    "float levels": (levels(1.5, 2.0), 0, 1.5, "pandas.cut"),
    "whole floats": ([1.0, 2.0], 0, 1.0, "astype('Int64')"),
    "integers that a missing value made float": ([NAN, 3, 4], 1, 3.0, "astype('Int64')"),
    "whole float levels": (levels(None, 3.0, 4.0), 1, 3.0, "astype('Int64')"),
    "whole Float64": (pd.array([1, None], dtype="Float64"), 0, 1.0, "astype('Int64')"),
    "text among integers": (objects(1, 2, "x"), 2, "x", "mixed-integer"),
    "an integer among booleans": (objects(True, 2), 1, 2, "mixed-integer"),
    "a list": (objects("a", None, ["b"]), 2, ["b"], "make every value"),
    "tuples": (objects((1, 2), (3, 4)), 0, (1, 2), "mixed"),
    "bytes": (objects(b"a", b"b"), 0, b"a", "bytes"),
    "dates": (DATES, 0, DATES[0], "datetime"),
    "complex numbers": ([1j, 2], 0, 1j, "complex"),
    "an identifier": ([f"id{i}" for i in range(50)], 0, "id0", "max_cardinality=50"),
    "over 1,000 categories": (objects(None, *[*range(1001)] * 3), 1, 0, "1,001 categories"),
    "a constant": (["a", "a"], 0, "a", "constant"),
    "a single row": ([True], 0, True, "constant"),
    "nothing but missing floats": ([NAN, NAN], 0, NAN, "missing in every row"),
    "nothing but missing levels": (levels(None), 0, NAN, "missing in every row"),
    "a category named (missing)": (["(missing)", None], None, "(missing)", "rename"),
}


@pytest.mark.parametrize("name", BAD_CATEGORICAL)
def test_a_categorical_column_refuses(name):
    values, row, value, says = BAD_CATEGORICAL[name]
    with refused("c", row, value, says):
        infer(values)


def test_so_many_categories_are_still_categories():
    assert infer([*range(1000)] * 3).cardinalities == (1000,)
    assert infer([*range(20), 0]).cardinalities == (20,)
    with refused("c", 0, 0, "21 categories in 41 rows"):
        infer([*range(21), *range(20)])


@pytest.mark.parametrize("one", [SCHEMA, SCHEMA.encode(FRAME), SCHEMA.fix({"port": "JFK"})])
def test_what_is_known_of_a_table_cannot_be_set_anew(one):
    for name in vars(one):
        with pytest.raises(FrozenInstanceError):
            setattr(one, name, None)


def test_the_remedy_for_rare_categories_leaves_those_of_ten_rows_alone():
    values = [f"id{i}" for i in range(40)] + ["often"] * 12
    with refused("c", 0, "id0", "with other={'c': 10}"):
        infer(values)


def test_the_label_of_rare_categories_is_no_value_where_none_are_rare():
    schema = infer([1, 2, 1, 2])
    with refused("c", 1, "(other)"):
        schema.encode(pd.DataFrame({"c": objects(1, "(other)")}))


def test_where_more_columns_may_be_there_only_those_asked_for_must_be_there_once():
    frame = pd.DataFrame([[1, 2, 3]], columns=["c", "note", "note"])
    check_frame(frame, ["c"], exactly=False)
    with refused("note", says="the name of two columns"):
        check_frame(frame, ["c", "note"], exactly=False)


def test_a_number_stays_in_the_range_unless_told():
    column = Continuous("temp", mean=39.5, std=0.5, lowest=38.0, highest=41.5)
    assert column.decode(np.array([-9.0, 9.0])).tolist() == [38.0, 41.5]
    assert column.decode(np.array([-9.0, 9.0]), clip=False).tolist() == [35.0, 44.0]


BAD_OTHER = [
    (["a", "a"], 0, 0, "a", "constant"),
    (["a", "b"], 5, 0, "a", "fewer than 5 rows"),
    (["(other)", "b"], 0, None, "(other)", "tabkit's own label"),
    (["a", "b"], -1, None, -1, "at least 0"),
    (["a", "b"], True, None, True, "number of rows"),
]


@pytest.mark.parametrize(("values", "other", "row", "value", "says"), BAD_OTHER)
def test_other_refuses(values, other, row, value, says):
    with refused("c", row, value, says):
        infer(values, other={"c": other})


BAD_CONTINUOUS = {
    "a missing number": ([1.0, NAN, 2.0], 1, NAN, "not finite in 1 of 3 rows"),
    "a missing Float64": (pd.array([1, 2, None], dtype="Float64"), 2, NAN, "fill the gaps"),
    "a missing arrow number": (
        pd.array([1, None], dtype="double[pyarrow]"),
        1,
        NAN,
        "fill the gaps",
    ),
    "an infinity": ([1.0, 2.0, -INF], 2, -INF, "not finite"),
    "a constant": ([2.5, 2.5], 0, 2.5, "constant"),
    "text": (["1", "2", "n/a"], 2, "n/a", "to_numeric"),
    "text in an object column": (objects(1.0, "?"), 1, "?", "dtype object"),
    "booleans": ([True, False], 0, True, "dtype bool"),
    "dates": (DATES, 0, DATES[0], "datetime64"),
    "complex numbers": ([1j, 2], 0, 1j, "complex"),
    "numeric levels": (levels(1, 2), 0, 1, "dtype category"),
    "squares beyond float64": ([1e308, -1e308], None, None, "another unit"),
    "sums beyond float64": ([1e308, 1e308, -1e308, 1e308], None, None, "another unit"),
    "squares below float64": ([1e-200, 2e-200], None, None, "another unit"),
}


@pytest.mark.parametrize("name", BAD_CONTINUOUS)
def test_a_continuous_column_refuses(name):
    values, row, value, says = BAD_CONTINUOUS[name]
    frame = pd.DataFrame({"c": ([0, 1] * len(values))[: len(values)], "x": values})
    with refused("x", row, value, says):
        Schema.infer(frame, categorical=["c"], continuous=["x"])


BAD_ROWS = [([1, 2, 3, NAN], [0, 1], 3), ([1, NAN, 3, 2], [3, 1], 1), ([1, 2, 5, 5], [3, 2], 3)]


@pytest.mark.parametrize(("temp", "scale_on", "row"), BAD_ROWS)
def test_bad_rows_are_counted_in_the_frame_not_in_scale_on(temp, scale_on, row):
    with refused("temp", row, float(temp[row])):
        Schema.infer(FRAME.assign(temp=temp), **KINDS, scale_on=scale_on)
    with refused(says="scale_on"):
        Schema.infer(FRAME, **KINDS, scale_on=[])


def test_a_constant_says_whether_it_is_one_everywhere():
    where = "constant in the rows that set the scale (for training), which"
    for temp, scale_on, says in [
        ([5] * 4, [0, 1], "constant, which"),
        ([5, 5, 1, 2], [0, 1], where),
    ]:
        with refused("temp", 0, 5.0, says):
            Schema.infer(FRAME.assign(temp=temp), **KINDS, scale_on=scale_on)


# ---- bad frames


def renamed(*names):
    return FRAME.set_axis(list(names), axis=1)


BAD_FRAMES = {
    "a missing column": (FRAME.drop(columns="month"), "month", "is not in the frame"),
    "a misspelt column": (renamed("port", "Month", "temp"), "month", "did you mean 'Month'"),
    "an extra column": (FRAME.assign(note=1), "note", "frame.drop(columns=['note'])"),
    "a duplicated column": (renamed("port", "port", "temp"), "port", "duplicated()"),
    "no rows": (FRAME.iloc[:0], None, "no rows"),
    "a number for a name": (renamed("port", "month", 0), "0", "not a string"),
    "names of two levels": (renamed(*zip("abc", "xyz", strict=True)), "('a', 'x')", "not a string"),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_infer_and_encode_refuse_a_frame_with(name):
    frame, column, says = BAD_FRAMES[name]
    for read in (lambda: Schema.infer(frame, **KINDS), lambda: SCHEMA.encode(frame)):
        with refused(column, says=says):
            read()


BAD_NAMES = [
    ({"categorical": ["port", "port", "month"]}, "port", "named twice"),
    ({"continuous": ["temp", "month"]}, "month", "named twice"),
    ({"categorical": []}, "port", "name it as categorical or continuous"),
    ({"continuous": "temp"}, None, "write ['temp']"),
    ({"other": {"temp": 1}}, "temp", "not a categorical column"),
    ({"other": {"Port": 1}}, "Port", "correct the name"),
]


@pytest.mark.parametrize(("changed", "column", "says"), BAD_NAMES)
def test_infer_refuses_bad_names(changed, column, says):
    with refused(column, says=says):
        Schema.infer(FRAME, **(KINDS | changed))


BAD_AT_ENCODE = {
    "an unseen category": ({"port": [*"ab", "JFK", "c"]}, "port", 0, "a", "other={'port': 0}"),
    "an unseen integer": ({"month": [1, 2, 12, 13]}, "month", 3, 13, "3 categories"),
    "an unseen level": ({"port": levels("JFK", *"bcd")}, "port", 1, "b", "is not among"),
    "a missing category": ({"port": ["JFK", None, None, "LGA"]}, "port", 1, None, "is missing"),
    "nothing but missing": ({"port": [NAN] * 4}, "port", 0, None, "is missing"),
    "integers turned float": ({"month": [1, NAN, 12, 1]}, "month", 0, 1.0, "astype('Int64')"),
    "text for integers": ({"month": list("1211")}, "month", 0, "1", "astype('Int64')"),
    "integers for text": ({"port": [1, 2, 3, 4]}, "port", 0, 1, "astype(str)"),
    "booleans for integers": ({"month": [True] * 4}, "month", 0, True, "boolean values"),
    "a missing number": ({"temp": [1.0, 2.0, NAN, 4.0]}, "temp", 2, NAN, "not finite"),
    "text for numbers": ({"temp": ["1", "x", "y", "2"]}, "temp", 1, "x", "dtype"),
    "a number beyond float32": (
        {"temp": [1.0, 2.0, 3.0, 1e300]},
        "temp",
        3,
        1e300,
        "deviations from the mean",
    ),
}


@pytest.mark.parametrize("name", BAD_AT_ENCODE)
def test_encode_refuses(name):
    changed, column, row, value, says = BAD_AT_ENCODE[name]
    with refused(column, row, value, says):
        SCHEMA.encode(FRAME.assign(**changed))


# ---- remedies that are code work when they are followed

CUT = "pandas.cut(frame['c'].astype(float), 10).astype(str)"
TEXT, WHOLE_NUMBERS = "frame['c'].astype(str)", "frame['c'].astype(float).astype('Int64')"
FLOATS = "frame['c'].astype(float)"
DAYS = "(pandas.to_datetime(frame['c']) - pandas.to_datetime(frame['c']).min()).dt.days"
NUMBERS_OF_TEXT = "pandas.to_numeric(frame['c'], errors='coerce')"
AS_CATEGORICAL = {
    "floats": ([1.5, 2.0, NAN], CUT),
    "a stray float in an object column": (objects(1, 2.5, None, 2), CUT),
    "decimals": (objects(Decimal(1), Decimal("2.5")), CUT),
    "float levels": (levels(1.5, 2.0), CUT),
    "numbers beyond 64 bits": ([1e300, 2e300], CUT),
    "many numbers": ([*range(50)], CUT),
    "whole floats": ([NAN, 3, 4], WHOLE_NUMBERS),
    "whole floats beside integers": (objects(1, 2.0), WHOLE_NUMBERS),
    "whole float levels": (levels(None, 3.0, 4.0), WHOLE_NUMBERS),
    "whole Float64": (pd.array([1, 2, None], dtype="Float64"), WHOLE_NUMBERS),
    "whole decimals": (objects(Decimal(1), Decimal(2)), WHOLE_NUMBERS),
    "text among integers": (objects(1, 2, "x"), TEXT),
    "lists": (objects(["a"], ["b"]), TEXT),
    "bytes": (objects(b"a", b"b"), TEXT),
    "intervals": (pd.cut(pd.Series([1, 2, 3]), 2), TEXT),
    "dates": (
        pd.date_range("2013-01-01", periods=3),
        "pandas.to_datetime(frame['c']).dt.day_of_week",
    ),
    "dates as objects": (
        objects(*pd.date_range("2013", periods=2, freq="MS").date),
        "pandas.to_datetime(frame['c']).dt.month",
    ),
}
AS_CONTINUOUS = {
    "booleans": ([True, False, True], FLOATS),
    "booleans as objects": (objects(True, False), FLOATS),
    "numeric levels": (levels(1, 2), FLOATS),
    "numbers as objects": (objects(1, 2.5), FLOATS),
    "sparse dummies": (pd.get_dummies(pd.Series(list("ab")), sparse=True)["a"], FLOATS),
    "text": (["1", "2"], NUMBERS_OF_TEXT),
    "dates": (DATES, DAYS),
    "dates with a time zone": (DATES.tz_localize("UTC"), DAYS),
    "dates as objects": (objects(*DATES.date), DAYS),
    "complex numbers": ([1j, 2], "numpy.real(frame['c'])"),
}


def followed(code, frame):
    """What the code of a remedy makes of a frame."""
    return eval(code, {"frame": frame, "pandas": pd, "numpy": np})


def mended(frame, code, read):
    """The frame is refused, the remedy holds the code, and with its result it is taken."""
    with pytest.raises(DataError) as error:
        read(frame)
    assert code in error.value.remedy
    read(frame.assign(c=followed(code, frame)))


@pytest.mark.parametrize("name", AS_CATEGORICAL)
def test_the_remedy_of_a_categorical_column_works(name):
    values, code = AS_CATEGORICAL[name]
    mended(pd.DataFrame({"c": values}), code, lambda f: Schema.infer(f, categorical=["c"]))


@pytest.mark.parametrize("name", AS_CONTINUOUS)
def test_the_remedy_of_a_continuous_column_works(name):
    values, code = AS_CONTINUOUS[name]
    frame = pd.DataFrame({"c": values, "k": np.arange(len(values)) % 2})
    mended(frame, code, lambda f: Schema.infer(f, categorical=["k"], continuous=["c"]))


@pytest.mark.parametrize("values", [[1.5, 2.0, 2.5], objects(1, 2.5), levels(1.5, 2.0)])
def test_what_is_no_category_can_be_listed_as_continuous_as_the_remedy_says(values):
    frame = pd.DataFrame({"c": values, "k": np.arange(len(values)) % 2})
    with pytest.raises(DataError) as error:
        Schema.infer(frame, categorical=["c", "k"])
    assert f"list it as continuous, {FLOATS}" in error.value.remedy
    mended = frame.assign(c=followed(FLOATS, frame))
    Schema.infer(mended, categorical=["k"], continuous=["c"])


@pytest.mark.parametrize("gap", [NAN, INF, None])
@pytest.mark.parametrize("dtype", [float, "Float64", "Int64", "double[pyarrow]"])
def test_the_remedy_of_gaps_works(gap, dtype):
    if gap == INF and dtype == "Int64":
        return
    x = pd.Series([1, gap, 3], dtype=dtype)
    frame = pd.DataFrame({"k": [0, 1, 1], "x": x})
    with pytest.raises(DataError) as error:
        Schema.infer(frame, categorical=["k"], continuous=["x"])
    code = "frame[numpy.isfinite(frame['x'].astype(float))]"
    assert code in error.value.remedy
    Schema.infer(followed(code, frame), categorical=["k"], continuous=["x"])


CONVERTED = [
    (["1", "2", None], [1, 2, None], "Int64"),
    ([True, False, True], [1, 0, 1], "int64"),
    ([1, 2, 1], ["1", "2", "1"], "object"),
    ([True, False, True], ["True", "False", "True"], "str"),
    ([1, 0, 1], [True, False, True], "bool"),
    (["True", "False", None], [True, False, None], "boolean"),
]


@pytest.mark.parametrize(("given", "meant", "dtype"), CONVERTED)
def test_the_remedy_of_values_of_another_kind_works(given, meant, dtype):
    known = pd.DataFrame({"c": pd.Series(meant, dtype=dtype)})
    schema, frame = Schema.infer(known, categorical=["c"]), pd.DataFrame({"c": given})
    with pytest.raises(DataError, match="where the schema has") as error:
        schema.encode(frame)
    code = re.search(r"frame\['c'\].*", error.value.remedy)[0]
    assert schema.encode(frame.assign(c=followed(code, frame))) == schema.encode(known)


KNOBS = [
    ([f"id{i}" for i in range(50)], {}, {"max_cardinality"}),
    ([*range(40), *[40] * 12], {}, {"max_cardinality", "other"}),
    ([*range(1001)] * 11, {}, {"max_cardinality"}),
    ([*range(1001)] * 11 + [*range(9)], {}, {"max_cardinality", "other"}),
    ([*"abcde"] * 3 + ["a"] * 20, {"max_cardinality": 4}, {"max_cardinality", "other"}),
    ([*"aab"], {"other": {"c": 5}}, {"other"}),
]


@pytest.mark.parametrize(("values", "knobs", "named"), KNOBS)
def test_the_knobs_that_a_remedy_recommends_work(values, knobs, named):
    with pytest.raises(DataError) as error:
        infer(values, **knobs)
    found = re.findall(r"(max_cardinality|other)=(\d+|{.*?})", error.value.remedy)
    assert {name for name, _ in found} == named
    for name, value in found:
        infer(values, **(knobs | {name: ast.literal_eval(value)}))


def test_the_remedies_of_frames_work():
    twice = pd.concat([FRAME, FRAME["port"]], axis=1)
    for frame, code in [
        (twice, "frame.loc[:, ~frame.columns.duplicated()]"),
        (FRAME.assign(note=1), "frame.drop(columns=['note'])"),
    ]:
        with pytest.raises(DataError) as error:
            SCHEMA.encode(frame)
        assert code in error.value.remedy
        assert SCHEMA.encode(followed(code, frame)) == SCHEMA.encode(FRAME)
    numbered = renamed(0, 1, 2)
    with pytest.raises(DataError, match="not a string") as error:
        Schema.infer(numbered, categorical=["0", "1"], continuous=["2"])
    scope = {"frame": numbered}
    exec(error.value.remedy.removeprefix("rename: "), scope)
    Schema.infer(scope["frame"], categorical=["0", "1"], continuous=["2"])


COLUMNS_OF_ONE = {
    "a": [3, None, 4],
    "b": ["x", None, "y"],
    "t": [True, False, True],
    "x": [0.5, 1, 2],
}
READ = {
    "a dict": lambda: pd.DataFrame(COLUMNS_OF_ONE).astype({"a": "Int64"}).to_dict("series"),
    "polars": lambda: pl.DataFrame(COLUMNS_OF_ONE, strict=False),
    "lazy polars": lambda: pl.LazyFrame(COLUMNS_OF_ONE, strict=False),
    "pyarrow": lambda: pa.table(COLUMNS_OF_ONE),
}


@pytest.mark.parametrize("kind", READ)
def test_tables_of_other_libraries_are_read_as_the_frame_that_they_are(kind):
    frame, names = as_frame(READ[kind]()), {"categorical": list("abt"), "continuous": ["x"]}
    assert (frame["a"].dtype, frame["t"].dtype) == ("Int64", bool), "integers stay whole"
    schema, wanted = Schema.infer(READ[kind](), **names), pd.DataFrame(COLUMNS_OF_ONE)
    assert schema.cardinalities == (3, 3, 2)
    assert schema.encode(READ[kind]()) == schema.encode(wanted.astype({"a": "Int64"}))


def test_a_record_array_is_a_table():
    records = np.rec.array([(1, 0.5), (2, 1.5)], names="a,x")
    assert Schema.infer(records, categorical=["a"], continuous=["x"]).cardinalities == (2,)
    assert as_frame(FRAME) is FRAME


@pytest.mark.parametrize("table", [[[1, 2]], "cars.csv", np.eye(2), pd.Series([1]), None, 3])
def test_what_is_no_table_is_named_and_can_be_converted(table):
    with pytest.raises(DataError, match=f"not .*{type(table).__name__}.*pandas.DataFrame.table."):
        as_frame(table)
    with refused(says="same length"):
        as_frame({"a": [1, 2], "b": [1]})
    with refused(says="one name"):
        as_frame(pa.table([[1], [2]], names=["a", "a"]))


def test_a_wide_frame_is_checked_in_no_time():
    """One look per name: with a list in place of a set, these would be 4e9 comparisons."""
    names = [f"c{i}" for i in range(60_000)]
    check_names(names, "twice", "once")
    with refused("c7", says="twice"):
        check_names([*names, "c7"], "twice", "once")


def test_an_error_survives_the_way_from_another_process():
    error = DataError("is bad", "mend it", column="c", row=3, value=INF)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "column 'c', row 3, value inf: is bad. Remedy: mend it"
    assert vars(again) == vars(error)


# ---- hand-made schemas

HAND_MADE = [
    *({"categories": bad} for bad in (("a", "a"), (), ("a", 1))),
    {"categories": ("a", "(other)"), "other": True},
    {"categories": (1, 300), "dtype": np.dtype("uint8")},
    {"categories": (0, 1), "dtype": np.dtype(bool)},
    {"categories": (True, False), "dtype": np.dtype(bool), "missing": True},
]


@pytest.mark.parametrize("wrong", HAND_MADE, ids=str)
def test_a_column_that_cannot_be_is_refused(wrong):
    with pytest.raises(DataError, match="Remedy: "):
        Categorical("c", **wrong)


@pytest.mark.parametrize("wrong", [{"std": 0.0}, {"std": -1.0}, {"std": NAN}, {"mean": INF}])
def test_a_scale_that_cannot_be_is_refused(wrong):
    with pytest.raises(DataError, match="another unit"):
        Continuous("x", **({"mean": 0.0, "std": 1.0} | wrong))


@pytest.mark.parametrize("names", [("port",), ("port", "port"), ("port", "month", "temp", "x")])
def test_the_order_names_each_column_once(names):
    with pytest.raises(DataError, match="each column once"):
        Schema(SCHEMA.categorical, SCHEMA.continuous, names)
    with pytest.raises(DataError, match="two columns"):
        Schema(SCHEMA.categorical * 2)
    assert Schema(SCHEMA.categorical, SCHEMA.continuous) == SCHEMA


# ---- rows, codes and simplexes


def test_rows_have_matching_shapes_and_can_be_taken_apart():
    rows = SCHEMA.encode(FRAME)
    assert len(rows[1:]) == len(rows[[0, 1, 3]]) == len(rows[rows.codes[:, 0] > 0]) == 3
    assert len(SCHEMA.decode(rows[:0])) == 0
    assert dict(SCHEMA.decode(rows[:0]).dtypes) == dict(FRAME.dtypes)
    for codes, continuous in [
        (rows.codes, rows.continuous[1:]),
        (rows.codes.float(), rows.continuous),
        (rows.codes, rows.codes),
        (rows.codes[0], rows.continuous[0]),
    ]:
        with pytest.raises((ValueError, TypeCheckError), match="codes"):
            Rows(codes, continuous)
    with pytest.raises(ValueError, match=r"rows\[\[3\]\], not rows\[3\]"):
        rows[torch.tensor(2)]
    with pytest.raises(DataError, match="3 continuous columns, the schema 1"):
        SCHEMA.decode(Rows(rows.codes, torch.zeros(4, 3)))


def test_rows_are_equal_if_their_values_are():
    rows = SCHEMA.encode(FRAME)
    assert (
        rows == rows[:] == rows[[0, 1, 2, 3]] == rows.to("cpu") == pickle.loads(pickle.dumps(rows))
    )
    others = [rows[1:], Rows(rows.codes.flip(0), rows.continuous), rows.codes]
    assert not any(rows == other for other in [*others, Rows(rows.codes, -rows.continuous)])


def test_rows_go_to_another_dtype():
    rows = SCHEMA.encode(FRAME)
    assert rows.to("cpu", torch.float64).continuous.dtype == torch.float64
    assert rows.to("cpu", torch.float64).to("cpu", torch.float32) == rows
    with pytest.raises((ValueError, TypeCheckError), match="continuous"):
        rows.to("cpu", torch.int64)


@pytest.mark.parametrize(("code", "row", "column"), [(-1, 1, 0), (1, 0, 1), (5, 1, 2)])
def test_codes_out_of_range_name_themselves(code, row, column):
    codes = CODES.clone()
    codes[row, column] = code
    check_codes(CODES, WIDTHS)
    with refused(str(column), row, code, "lies in 0 to"):
        check_codes(codes, WIDTHS)


@pytest.mark.parametrize("codes", [CODES.float(), CODES.int(), CODES[0], CODES[:, :2], CODES[None]])
def test_codes_of_another_dtype_or_shape_are_refused(codes):
    with pytest.raises(DataError, match=r"codes are int64 of shape \(B, 3\)"):
        check_codes(codes, WIDTHS)


def softmax(logits):
    return torch.cat([block.softmax(dim=1) for block in logits.split(WIDTHS, dim=1)], dim=1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@quickly
@given(seed=st.integers(0, 2**31), batch=st.integers(0, 9), scale=st.floats(0, 100))
def test_softmax_of_any_logits_is_a_simplex_and_its_multiples_are_not(dtype, seed, batch, scale):
    noise = torch.randn(batch, sum(WIDTHS), generator=torch.Generator().manual_seed(seed))
    simplex = softmax((scale * noise).to(dtype))
    check_simplex(simplex, WIDTHS)
    for factor in (0.0, 0.9, 1.1, 3.0) if batch else ():
        with pytest.raises(DataError, match="sums to this, not to 1"):
            check_simplex(simplex * factor, WIDTHS)


@pytest.mark.parametrize("much", [0.01, 0.5])
def test_too_much_in_one_block_does_not_make_up_for_too_little_in_another(much):
    widths, simplex = (2,) * 40, torch.full((40, 80), 0.5)
    for first in (0, 17):
        wrong = simplex.clone()  # in row r, the blocks `first` and r
        wrong[:, 2 * first] += much
        wrong[torch.arange(40), 2 * torch.arange(40)] -= much
        for row in set(range(40)) - {first}:
            with pytest.raises(DataError, match=f"column '{min(first, row)}', row 1"):
                check_simplex(torch.stack([simplex[0], wrong[row]]), widths)


@quickly
@given(seed=st.integers(0, 2**31), error=st.floats(2e-4, 1))
def test_small_errors_in_every_row_are_found(seed, error):
    """Such as a softmax in half precision makes, of either sign."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(64, 3, generator=generator).clamp(-1, 1)
    simplex = torch.full((64, 6), 0.5) + (error / 2 * noise).repeat_interleave(2, dim=1)
    with pytest.raises(DataError, match="sums to this"):
        check_simplex(simplex, (2, 2, 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_wide_blocks_may_round(dtype):
    logits = torch.randn(20, 3000, generator=torch.Generator().manual_seed(0))
    check_simplex(logits.to(dtype).softmax(dim=1), (3000,))


BAD_BLOCKS = [
    ([1.5, -0.5], -0.5, "negative"),
    ([NAN, 1.0], NAN, "not finite"),
    ([INF, 0.0], INF, "not finite"),
    ([INF, -INF], NAN, "not finite"),
    ([0.5, 0.25], 0.75, "not to 1"),
    ([0.0, 0.0], 0.0, "not to 1"),
]


@pytest.mark.parametrize(("values", "value", "says"), BAD_BLOCKS)
def test_a_bad_simplex_names_its_column_and_row(values, value, says):
    simplex = torch.tensor([[1.0, 0.5, 0.5, 0.25, 0.75]]).repeat(4, 1)
    simplex[2, 1:3] = torch.tensor(values)
    with refused("1", 2, value, says):
        check_simplex(simplex, (1, 2, 2))
    simplex[2, 4] = simplex[3, 0] = 9.0  # the first one is named
    with refused("1", 2, value, says):
        check_simplex(simplex, (1, 2, 2))


@pytest.mark.parametrize("bad", [torch.ones(4), torch.ones(2, 7), torch.ones(1, 2, 8), CODES])
def test_a_simplex_of_another_dtype_or_shape_is_refused(bad):
    with pytest.raises(DataError, match=r"floating point of shape \(B, 8\)"):
        check_simplex(bad, WIDTHS)


def test_the_schema_names_the_column_of_a_bad_code():
    codes = SCHEMA.encode(FRAME).codes
    codes[1, 1] = 9
    with refused("month", 1, 9, "lies in 0 to 2"):
        SCHEMA.check_codes(codes)


@pytest.mark.parametrize("widths", [(), (0,), (3, -1), (2.5,), ("3",), (True, 3)])
def test_cardinalities_are_whole_and_positive(widths):
    with pytest.raises((ValueError, TypeCheckError)):
        check_cardinalities(widths)
