"""What comes from a stranger as JSON is plain values, or refused in a sentence."""

import json

import pytest

from tabkit.schema.saving import DEEPEST, LONGEST, loads


@pytest.mark.parametrize("value", [{"a": [1, -2.5, "ü", None, True]}, [], "x", 3, {"": {}}])
def test_plain_values_come_back(value):
    assert loads(json.dumps(value)) == value
    assert loads(json.dumps(value, ensure_ascii=False).encode()) == value


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
