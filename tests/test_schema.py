"""`tabkit.schema`: frames, codes and simplexes survive the round trip; bad ones name themselves."""

import json
from contextlib import contextmanager
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from tabkit.schema import (
    Continuous,
    DataError,
    Rows,
    Schema,
    allowed_logits,
    argmax_codes,
    check_cardinalities,
    check_codes,
    check_simplex,
    one_hot_simplex,
    split_blocks,
)

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
def test_any_column_comes_back_with_its_dtype_also_through_json(dtype, data):
    values = data.draw(st.lists(COLUMNS[dtype], min_size=1, max_size=12))
    series = pd.Series(values, dtype=dtype, name="c")
    assume(series.nunique(dropna=False) > 1)
    schema = infer(series, max_cardinality=99)
    assert Schema.from_json(schema.to_json()) == schema
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


@pytest.mark.parametrize("dtype", ["float16", "uint8", "Float64", "int64[pyarrow]", "float32"])
def test_every_numeric_dtype_can_be_continuous(dtype):
    assert Continuous.infer(pd.Series([1, 2, 3], dtype=dtype, name="c")).mean == 2


def test_the_order_of_columns_and_the_index_do_not_matter():
    schema = Schema.infer(FRAME, **KINDS)
    odd = FRAME[["temp", "month", "port"]].set_axis([7, 7, 7, 0])
    assert schema.names == ("port", "month", "temp")
    assert (schema.cardinalities, schema.width) == ((3, 3), 6)
    assert torch.equal(schema.encode(odd).codes, schema.encode(FRAME).codes)
    pd.testing.assert_frame_equal(schema.decode(schema.encode(odd)), FRAME)


def test_only_the_rows_of_scale_on_set_the_scale():
    schema = Schema.infer(FRAME, **KINDS, scale_on=[0, 2])
    assert schema.continuous == (Continuous("temp", mean=39.5, std=0.5),)
    assert schema.categorical == Schema.infer(FRAME, **KINDS).categorical


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
    assert torch.equal(schema.encode(schema.decode(rows)).codes, rows.codes)
    assert Schema.from_json(schema.to_json()) == schema


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
    "a stray infinity": ([1.0, INF, 2.0], 1, INF, "class of its own"),
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


def test_a_dtype_that_has_no_name_is_refused_before_work_is_lost():
    series = pd.Series(["a", "b"]).astype(pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string())))
    with refused("c", says="has dtype dictionary"):
        infer(series)


BAD_CONTINUOUS = {
    "a missing number": ([1.0, NAN, 2.0], 1, NAN, "not finite in 1 of 3 rows"),
    "a missing Float64": (pd.array([1, 2, None], dtype="Float64"), 2, NAN, "fill it"),
    "a missing arrow number": (pd.array([1, None], dtype="double[pyarrow]"), 1, NAN, "fill it"),
    "an infinity": ([1.0, 2.0, -INF], 2, -INF, "not finite"),
    "a constant": ([2.5, 2.5], 0, 2.5, "constant"),
    "text": (["1", "2", "n/a"], 2, "n/a", "to_numeric"),
    "text in an object column": (objects(1.0, "?"), 1, "?", "dtype object"),
    "booleans": ([True, False], 0, True, "dtype bool"),
    "dates": (DATES, 0, DATES[0], "datetime64"),
    "complex numbers": ([1j, 2], 0, 1j, "complex"),
    "numeric levels": (levels(1, 2), 0, 1, "dtype category"),
    "squares beyond float64": ([1e308, -1e308], None, None, "another unit"),
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
    "text for integers": ({"month": list("1211")}, "month", 0, "1", "convert the column to int64"),
    "integers for text": ({"port": [1, 2, 3, 4]}, "port", 0, 1, "convert the column to"),
    "booleans for integers": ({"month": [True] * 4}, "month", 0, True, "boolean values"),
    "a missing number": ({"temp": [1.0, 2.0, NAN, 4.0]}, "temp", 2, NAN, "not finite"),
    "text for numbers": ({"temp": ["1", "x", "y", "2"]}, "temp", 1, "x", "dtype"),
    "a number beyond float32": ({"temp": [1.0, 2.0, 3.0, 1e300]}, "temp", 3, 1e300, "wider dtype"),
}


@pytest.mark.parametrize("name", BAD_AT_ENCODE)
def test_encode_refuses(name):
    changed, column, row, value, says = BAD_AT_ENCODE[name]
    with refused(column, row, value, says):
        SCHEMA.encode(FRAME.assign(**changed))


# ---- JSON and hand-made schemas


@pytest.mark.parametrize("text", ["", "null", "[]", "3", "{", "{}", SCHEMA.to_json()[:-9]])
def test_text_that_is_no_schema_is_refused(text):
    with pytest.raises(DataError, match=r"not a schema.*Remedy: pass text that Schema\.to_json"):
        Schema.from_json(text)


CORRUPTIONS = [
    *({"categories": bad} for bad in (["a", "a"], [], [1.5, 2.5], ["a", 1], ["a", None], [["a"]])),
    *({"dtype": bad} for bad in ("banana", "int64", "category[x]")),
    *({"name": bad} for bad in ("month", 3)),
    *({"std": bad} for bad in (0.0, -1.0, NAN, "1")),
    *({"mean": bad} for bad in (INF, None)),
    {"categories": ["a", "(other)"], "other": True},
    {"categories": [1, 300], "dtype": "uint8"},
    {"categories": [0, 1], "dtype": "bool"},
    {"categories": [True, False], "dtype": "bool", "missing": True},
    {"missing": "no"},
    {"colour": "red"},
]


@pytest.mark.parametrize("edit", CORRUPTIONS, ids=str)
def test_a_corrupted_schema_is_refused(edit):
    spec = json.loads(SCHEMA.to_json())
    spec["continuous" if edit.keys() & {"mean", "std"} else "categorical"][0] |= edit
    with pytest.raises(DataError, match="Remedy: "):
        Schema.from_json(json.dumps(spec))


@pytest.mark.parametrize("edit", [{"format": 2}, {"more": 1}, {"categorical": []}])
def test_json_of_another_format_is_refused(edit):
    with pytest.raises(DataError):
        Schema.from_json(json.dumps(json.loads(SCHEMA.to_json()) | edit))


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
    with pytest.raises(DataError, match="3 continuous columns, the schema 1"):
        SCHEMA.decode(Rows(rows.codes, torch.zeros(4, 3)))


@pytest.mark.parametrize(("code", "row", "column"), [(-1, 1, 0), (1, 0, 1), (5, 1, 2)])
def test_codes_out_of_range_name_themselves(code, row, column):
    codes = CODES.clone()
    codes[row, column] = code
    for check in (check_codes, one_hot_simplex):
        with refused(str(column), row, code, "lies in 0 to"):
            check(codes, WIDTHS)


@pytest.mark.parametrize("codes", [CODES.float(), CODES.int(), CODES[0], CODES[:, :2], CODES[None]])
def test_codes_of_another_dtype_or_shape_are_refused(codes):
    with pytest.raises(DataError, match=r"codes are int64 of shape \(B, 3\)"):
        check_codes(codes, WIDTHS)


def softmax(logits):
    return torch.cat([block.softmax(dim=1) for block in split_blocks(logits, WIDTHS)], dim=1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@quickly
@given(seed=st.integers(0, 2**31), batch=st.integers(0, 9), scale=st.floats(0, 100))
def test_softmax_of_any_logits_is_a_simplex_and_its_multiples_are_not(dtype, seed, batch, scale):
    noise = torch.randn(batch, sum(WIDTHS), generator=torch.Generator().manual_seed(seed))
    simplex = softmax((scale * noise).to(dtype))
    check_simplex(simplex, WIDTHS)
    assert torch.equal(argmax_codes(one_hot_simplex(CODES, WIDTHS, dtype=dtype), WIDTHS), CODES)
    for factor in (0.0, 0.9, 1.1, 3.0) if batch else ():
        with pytest.raises(DataError, match="sums to this, not to 1"):
            check_simplex(simplex * factor, WIDTHS)


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
    simplex = softmax(torch.zeros(4, 8))
    simplex[2, :2] = torch.tensor(values)
    with refused("port", 2, value, says):
        check_simplex(simplex, WIDTHS, ["port", "month", "day"])


@pytest.mark.parametrize("bad", [torch.ones(4), torch.ones(2, 7), torch.ones(1, 2, 8), CODES])
def test_a_simplex_of_another_dtype_or_shape_is_refused(bad):
    with pytest.raises(DataError, match=r"floating point of shape \(B, 8\)"):
        check_simplex(bad, WIDTHS)


def test_the_schema_decodes_a_simplex_by_argmax_and_checks_it_by_name():
    codes = SCHEMA.encode(FRAME).codes
    simplex = one_hot_simplex(codes, SCHEMA.cardinalities)
    assert torch.equal(SCHEMA.to_codes(0.9 * simplex + 0.1 / 3), codes)
    with pytest.raises(DataError, match="column 'port', row 0"):
        SCHEMA.to_codes(simplex - 0.1)
    with pytest.raises(DataError, match="column 'month', row 1"):
        SCHEMA.check_codes(codes + torch.tensor([[0, 0], [0, 9], [0, 0], [0, 0]]))


@pytest.mark.parametrize("widths", [(), (0,), (3, -1), (2.5,), ("3",)])
def test_cardinalities_are_whole_and_positive(widths):
    with pytest.raises((ValueError, TypeCheckError)):
        check_cardinalities(widths)


def test_blocks_of_another_width_cannot_be_split():
    with pytest.raises(ValueError, match="sum to 8"):
        split_blocks(torch.ones(2, 7), WIDTHS)


@pytest.mark.parametrize("top", [0.0, 5.0, 1e20, 1e27, -1e30, 3e38, -3e38])
def test_what_is_not_allowed_has_no_share_however_large_the_logits(top):
    allowed = allowed_logits(torch.tensor([[top, -INF, top]]), (3,))
    assert torch.equal(allowed.softmax(dim=1), torch.tensor([[0.5, 0.0, 0.5]]))
    assert allowed.isfinite().all()


@pytest.mark.parametrize("hidden", [[INF, -INF, 0.0], [NAN, 0.0, 0.0], [INF, 0.0, 0.0]])
def test_a_sum_does_not_hide_what_is_not_finite(hidden):
    with pytest.raises(ValueError, match="NaN or plus infinity"):
        allowed_logits(torch.tensor([hidden]), (3,))


def test_finite_logits_whose_sum_overflows_are_taken_as_they_are():
    logits = torch.full((1, 3), 3e38)
    assert torch.equal(allowed_logits(logits, (3,)), logits)
