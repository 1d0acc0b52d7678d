"""What comes from a stranger as JSON is plain values, or refused in a sentence."""

import copy
import json

import pandas as pd
import pytest

from tabkit.schema import Continuous, DataError, Schema
from tabkit.schema.saving import (
    DEEPEST,
    LONGEST,
    loads,
    plain_scale,
    plain_schema,
    scale_of,
    schema_of,
)


@pytest.mark.parametrize("value", [{"a": [1, -2.5, "ü", None, True]}, [], "x", 3, {"": {}}])
def test_plain_values_come_back(value):
    assert loads(json.dumps(value)) == value
    assert loads(json.dumps(value, ensure_ascii=False).encode()) == value


def test_as_much_as_is_allowed_is_read():
    assert loads(" " * (LONGEST - 1) + "1") == 1


def nested(depth):
    """Lists and objects by turns, the innermost an empty list."""
    text = "[]"
    for level in range(depth - 1):
        text = f"[{text}]" if level % 2 else f'{{"a":{text}}}'
    return text


def test_it_may_be_so_deep_and_no_deeper():
    loads(nested(DEEPEST))
    for depth in (DEEPEST + 1, 100_000):
        with pytest.raises(ValueError, match=f"more than {DEEPEST} lists and objects deep"):
            loads(nested(depth))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 1}}', "'c' is there twice"),
        ('{"a": 1, "\\u0061": 1}', "'a' is there twice"),
        ("[NaN]", "NaN is not finite"),
        ("-Infinity", "-Infinity is not finite"),
        ("[1e999]", "1e999 is not finite"),
        ('{"a": ["\\ud800"]}', "half a character"),
        ('{"\\udc80": 1}', "half a character"),
        ("9" * 5000, "4300 digits"),
        (" " * (LONGEST + 1), "more than 16,777,216"),
        (b'"\xff"', "invalid start byte"),
        ("{'a': 1}", "line 1 column 2"),
        ("", "Expecting value"),
    ],
)
def test_json_that_is_not_plain_is_refused(text, says):
    with pytest.raises(ValueError, match=says):
        loads(text)


FRAME = pd.DataFrame(
    {
        "port": pd.Categorical(["JFK", "LGA", "JFK"]),
        "gate": pd.Series([1, 2, None], dtype="Int64"),
        "wind": [1.0, 2.5, 4.0],
    }
)
SCHEMA = Schema.infer(FRAME, categorical=["port", "gate"], continuous=["wind"], other={"gate": 0})


def test_a_schema_comes_back_from_its_plain_values():
    plain = plain_schema(SCHEMA)
    assert schema_of(plain) == SCHEMA
    assert loads(json.dumps(plain)) == plain


def test_a_range_without_an_end_is_kept_as_json_can():
    scale = (Continuous("x", 0.0, 1.0), Continuous("y", 0.0, 1.0, lowest=-2.0))
    assert scale_of(loads(json.dumps(plain_scale(scale)))) == scale


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("categorical", 1, "missing"), 100_000_000, r"categorical\[1\].missing is 100000000, not"),
        (("categorical", 1, "other"), 0, "not true or false"),
        (("categorical", 0, "name"), 3, r"categorical\[0\].name is 3, not text"),
        (("categorical", 0, "categories"), "ab", "is 'ab', not a list"),
        (("categorical", 0, "categories"), [["JFK"], []], r"categories is \['JFK'\], not text, a"),
        (("categorical", 1, "categories"), [1, 1.5], "categories is 1.5, not text, a whole"),
        (("categorical", 1, "categories"), [1, True], "not distinct"),
        (("categorical", 1, "categories"), [1, 1], "not distinct"),
        (("categorical", 1, "categories"), [], "not distinct"),
        (("categorical", 0, "dtype", "levels"), "int64", "does not hold the categories"),
        (("categorical", 0, "dtype", "levels"), "S1000000000", "not for this column"),
        (("categorical", 0, "dtype", "levels"), "category", "not for this column"),
        (("categorical", 0, "dtype", "ordered"), None, "not true or false"),
        (("categorical", 0, "dtype"), ["object"], "not text or an object"),
        (("categorical", 1, "dtype"), "decimal128(5, 2)[pyarrow]", "names no dtype"),
        (("categorical", 1, "dtype"), "l", "not for this column"),
        (("categorical", 1, "dtype"), "float64", "not for this column"),
        (("categorical",), [], "at least one categorical"),
        (("categorical",), {}, "categorical is {}, not a list"),
        (("continuous", 0, "mean"), True, r"continuous\[0\].mean is True, not a number"),
        (("continuous", 0, "mean"), 10**400, "not a number"),
        (("continuous", 0, "mean"), None, "not a number"),
        (("continuous", 0, "std"), -1.0, "cannot be standardised"),
        (("continuous", 0, "lowest"), 9.0, "has no values from 9.0 to 4.0"),
        (("continuous", 0, "dtype"), "object", "not for this column"),
        (("continuous", 0, "more"), 1, "has the fields .*'more'.*, not name"),
        (("names",), [], "names are an empty list"),
        (("names", 0), 3, "names is 3, not text"),
        (("names", 0), "wind", "name of two columns|name each column once"),
    ],
)
def test_what_is_no_schema_is_refused_where_it_is_not(path, value, says):
    plain = copy.deepcopy(plain_schema(SCHEMA))
    inner = plain
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(DataError, match=says):
        schema_of(plain)


def test_whole_numbers_are_numbers_in_json():
    plain = plain_scale((Continuous("x", 0.0, 2.0),))
    (column,) = scale_of([plain[0] | {"std": 2, "highest": 5}])
    assert (column.std, column.highest) == (2.0, 5.0)


@pytest.mark.filterwarnings("default::DeprecationWarning")  # that none is said is what is tested
def test_an_old_name_of_a_dtype_says_nothing_of_numpys(recwarn):
    (column, _) = plain_schema(SCHEMA)["categorical"]
    with pytest.raises(DataError, match="not for this column"):
        schema_of({"categorical": [column | {"dtype": "a7"}], "continuous": [], "names": ["port"]})
    assert not recwarn.list


@pytest.mark.parametrize(("name", "value"), [("c", "a\udc80"), ("c\udc80", "a")])
def test_text_that_no_file_can_hold_is_refused_before_anything_is_trained(name, value):
    columns = pd.Index([name], dtype=object)
    frame = pd.DataFrame([[value], ["b"]], columns=columns, dtype=object)
    with pytest.raises(DataError, match="half a character"):
        Schema.infer(frame, categorical=[name])
