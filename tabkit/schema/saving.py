"""A schema as plain values that JSON holds, and back; and JSON from a stranger."""

import json
import math
import reprlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tabkit.schema.columns import (
    FLOAT,
    OBJECT,
    Categorical,
    Category,
    Continuous,
    Dtype,
    numpy_dtype,
)
from tabkit.schema.errors import DataError
from tabkit.schema.scale import Scale
from tabkit.schema.table import Schema
from tabkit.schema.values import has_surrogate

LONGEST = 2**24  # characters of JSON: a million categories, or 600 MB if it is all empty lists
DEEPEST = 32  # lists and objects within each other
AGAIN = "take the file as tabkit wrote it"
ENDS = {"lowest": -math.inf, "highest": math.inf}
WORDS = {
    bool: "true or false",
    dict: "an object",
    float: "a number",
    float | None: "a number or null",
    list: "a list",
    str: "text",
    str | dict: "text or an object",
    Category: "text, a whole number, or true or false",
}


def loads(text: str | bytes) -> Any:
    """Plain values from JSON that anybody may have written.

    Raises
    ------
    ValueError
        If it is no JSON, longer than 16,777,216 characters, or more than 32 lists and objects deep;
        or holds a key twice, a number that is not finite, or half a character (a surrogate).

    Examples
    --------
    >>> loads('{"steps": 3}')
    {'steps': 3}
    >>> loads('{"steps": 3, "steps": 4}')
    Traceback (most recent call last):
    ValueError: the key 'steps' is there twice
    """
    if len(text) > LONGEST:
        raise ValueError(f"{len(text):,} characters of JSON are more than {LONGEST:,}")
    text = text.decode() if isinstance(text, bytes) else text
    hooks = {"parse_constant": _finite, "parse_float": _finite, "object_pairs_hook": unique_keys}
    try:
        found = json.loads(text, **hooks)
    except RecursionError:
        raise _too_deep() from None
    _check_tree(found)
    return found


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"the number {text} is not finite")
    return number


def unique_keys(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Of two equal keys one reader takes the first, and another the last."""
    found = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is there twice")
        found[key] = value
    return found


def _check_tree(root: Any) -> None:
    """Level by level: no depth is too much for the check itself."""
    level, depth = [root], 0
    while level:
        outer = [v for v in level if isinstance(v, dict | list)]
        if outer and depth == DEEPEST:
            raise _too_deep()
        for text in filter(has_surrogate, level):
            raise ValueError(f"the text {text!r} holds half a character (a surrogate)")
        level = [v for values in outer for v in _inside(values)]
        depth += 1


def _inside(values: Any) -> list[Any]:
    return [*values, *values.values()] if isinstance(values, dict) else values


def _too_deep() -> ValueError:
    return ValueError(f"it is more than {DEEPEST} lists and objects deep")


def plain_schema(schema: Schema) -> dict[str, Any]:
    """A schema as plain values.

    Examples
    --------
    >>> schema = Schema.infer({"port": ["a", "b"]}, categorical=["port"])
    >>> schema_of(plain_schema(schema)) == schema
    True
    """
    categorical = [
        vars(spec) | {"categories": [*spec.categories], "dtype": plain_dtype(spec.dtype)}
        for spec in schema.categorical
    ]
    numbers = plain_scale(schema.continuous)
    return {"categorical": categorical, "continuous": numbers, "names": [*schema.names]}


def schema_of(plain: Any) -> Schema:
    """The schema from its plain values; nobody need have checked them.

    Raises DataError that says where they are not what `plain_schema` makes.
    """
    parts = _fields(plain, {"categorical": list, "continuous": list, "names": list}, "the schema")
    categorical = [_categorical(c, f"categorical[{i}]") for i, c in enumerate(parts["categorical"])]
    scale = scale_of(parts["continuous"], "continuous")
    names = tuple(_check(name, str, "names") for name in parts["names"])
    if not names:
        raise DataError("the schema's names are an empty list", AGAIN)
    return Schema(tuple(categorical), scale, names)


def _categorical(plain: Any, where: str) -> Categorical:
    kinds = {"name": str, "categories": list, "dtype": str | dict, "missing": bool, "other": bool}
    fields = _fields(plain, kinds, where)
    categories = tuple(_check(v, Category, f"{where}.categories") for v in fields["categories"])
    dtype = dtype_of(fields["dtype"], categories, f"{where}.dtype")
    return Categorical(**fields | {"categories": categories, "dtype": dtype})


def plain_scale(scale: Scale) -> list[dict[str, Any]]:
    """The columns of a scale as plain values: a range without an end ends at None."""
    return [
        vars(spec)
        | {"dtype": plain_dtype(spec.dtype, FLOAT)}
        | {end: None for end in ENDS if math.isinf(getattr(spec, end))}
        for spec in scale
    ]


def scale_of(plain: Any, where: str = "the scale") -> Scale:
    """The scale from its plain values; raises DataError as `schema_of`."""
    return tuple(_continuous(c, f"{where}[{i}]") for i, c in enumerate(_check(plain, list, where)))


def _continuous(plain: Any, where: str) -> Continuous:
    numbers = dict.fromkeys(("mean", "std"), float) | dict.fromkeys(ENDS, float | None)
    fields = _fields(plain, {"name": str, "dtype": str} | numbers, where)
    ends = {end: value for end, value in ENDS.items() if fields[end] is None}
    dtype = _named(fields["dtype"], "iuf", f"{where}.dtype")
    return Continuous(**fields | ends | {"dtype": dtype})


def plain_dtype(dtype: Dtype, otherwise: Dtype = OBJECT) -> Any:
    """The name of a dtype; of one that no name brings back, that of `otherwise`."""
    if isinstance(dtype, pd.CategoricalDtype):
        return {"levels": plain_dtype(dtype.categories.dtype), "ordered": bool(dtype.ordered)}
    try:
        again = pd.api.types.pandas_dtype(str(dtype))
    except TypeError:
        again = None
    return str(dtype if again == dtype else otherwise)


def dtype_of(plain: Any, categories: Sequence[Any], where: str = "dtype") -> Dtype:
    """The dtype of categories from its name; raises DataError as `schema_of`."""
    if isinstance(plain, str):
        return _named(plain, "biuOU", where)
    fields = _fields(plain, {"levels": str, "ordered": bool}, where)
    levels = _named(fields["levels"], "biuOU", f"{where}.levels")
    try:
        return pd.CategoricalDtype(pd.Index(list(categories), dtype=levels), fields["ordered"])
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{where} does not hold the categories: {error}", AGAIN) from error


def _named(name: str, kinds: str, where: str) -> Dtype:
    """The dtype that is called so, if it is of numpy's `kinds` and no bigger than a number."""
    try:
        with warnings.catch_warnings(record=True):  # of numpy's old names, which are refused below
            dtype = pd.api.types.pandas_dtype(name)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise DataError(f"{where} names no dtype: {error}", AGAIN) from error
    if isinstance(dtype, np.dtype) and dtype == np.dtype(str):
        return OBJECT  # as pandas before 3 has text
    inner = numpy_dtype(dtype)
    fits = inner.kind in kinds and inner.itemsize <= 16 and str(dtype) == name
    if not fits or isinstance(dtype, pd.CategoricalDtype):
        raise DataError(f"{where} is {reprlib.repr(name)}, which is not for this column", AGAIN)
    return dtype


def _fields(plain: Any, kinds: Mapping[str, Any], where: str) -> dict[str, Any]:
    """An object with exactly these fields, each of its kind."""
    if _check(plain, dict, where).keys() != kinds.keys():
        found = ", ".join(map(reprlib.repr, plain))
        raise DataError(f"{where} has the fields {found}, not {', '.join(kinds)}", AGAIN)
    return {name: _check(plain[name], kind, f"{where}.{name}") for name, kind in kinds.items()}


def _check(value: Any, kind: Any, where: str) -> Any:
    """The value, if it is of the kind."""
    if kind in (float, float | None) and type(value) is int and abs(value) < 1e300:
        value = float(value)  # as some writers of JSON shorten 3.0
    if not isinstance(value, kind) or (isinstance(value, bool) and kind not in (bool, Category)):
        raise DataError(f"{where} is {reprlib.repr(value)}, not {WORDS[kind]}", AGAIN)
    return value
