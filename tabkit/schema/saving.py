"""A schema as plain values that JSON holds, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tabkit.schema.columns import FLOAT, OBJECT, Categorical, Continuous, Dtype
from tabkit.schema.scale import Scale
from tabkit.schema.table import Schema


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
