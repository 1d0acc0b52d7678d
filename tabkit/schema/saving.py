"""A schema as plain values that JSON holds, and back; and JSON from a stranger."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from tabkit.schema.columns import FLOAT, OBJECT, Categorical, Continuous, Dtype
from tabkit.schema.scale import Scale
from tabkit.schema.table import Schema

LONGEST = 2**24  # characters of JSON: a million categories, or 600 MB if it is all empty lists
DEEPEST = 32  # lists and objects within each other
SURROGATE = re.compile("[\ud800-\udfff]")


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
    hooks = {"parse_constant": _finite, "parse_float": _finite, "object_pairs_hook": _unique}
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


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
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


def has_surrogate(value: Any) -> bool:
    """Whether it is text that no encoding can write."""
    return isinstance(value, str) and SURROGATE.search(value) is not None


def plain_schema(schema: Schema) -> dict[str, Any]:
    """A schema as plain values.

    Examples
    --------
    >>> schema = Schema.infer({"port": ["a", "b"]}, categorical=["port"])
    >>> schema_of(plain_schema(schema)) == schema
    True
    """
    categorical = [vars(spec) | {"dtype": plain_dtype(spec.dtype)} for spec in schema.categorical]
    numbers = plain_scale(schema.continuous)
    return {"categorical": categorical, "continuous": numbers, "names": [*schema.names]}


def schema_of(plain: Mapping[str, Any]) -> Schema:
    """The schema from its plain values."""
    categorical = [
        Categorical(
            **{
                **column,
                "categories": tuple(column["categories"]),
                "dtype": dtype_of(column["dtype"], column["categories"]),
            }
        )
        for column in plain["categorical"]
    ]
    return Schema(tuple(categorical), scale_of(plain["continuous"]), tuple(plain["names"]))


def plain_scale(scale: Scale) -> list[dict[str, Any]]:
    """The columns of a scale as plain values."""
    return [vars(spec) | {"dtype": plain_dtype(spec.dtype, FLOAT)} for spec in scale]


def scale_of(plain: Sequence[Mapping[str, Any]]) -> Scale:
    """The scale from its plain values."""
    return tuple(Continuous(**(dict(c) | {"dtype": dtype_of(c["dtype"], ())})) for c in plain)


def plain_dtype(dtype: Dtype, otherwise: Dtype = OBJECT) -> Any:
    """The name of a dtype; of one that no name brings back, that of `otherwise`."""
    if isinstance(dtype, pd.CategoricalDtype):
        return {"levels": plain_dtype(dtype.categories.dtype), "ordered": bool(dtype.ordered)}
    try:
        again = pd.api.types.pandas_dtype(str(dtype))
    except TypeError:
        again = None
    return str(dtype if again == dtype else otherwise)


def dtype_of(plain: Any, categories: Sequence[Any]) -> Dtype:
    """The dtype from its name."""
    if isinstance(plain, Mapping):
        levels = pd.Index(list(categories), dtype=plain["levels"])
        return pd.CategoricalDtype(levels, plain["ordered"])
    return pd.api.types.pandas_dtype(plain)
