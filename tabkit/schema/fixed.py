"""`Fixed`: values that are given, and that net0 shall therefore not choose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tabkit.schema.columns import Categorical, Continuous
from tabkit.schema.errors import DataError
from tabkit.schema.frames import missing_column


@dataclass(frozen=True, eq=False)
class Fixed:
    """Values of some columns that every predicted row shall have; `Schema.fix` makes one.

    Attributes
    ----------
    values : by column, as they were given
    allowed : (F,), in a fixed column the one category, elsewhere all
    numbers : (N,), in standard deviations; infinity where the column is not
    """

    values: Mapping[str, Any]
    allowed: Bool[Tensor, " F"]
    numbers: Float[Tensor, " N"]

    @classmethod
    def of(
        cls,
        values: Mapping[str, Any],
        categorical: Sequence[Categorical],
        continuous: Sequence[Continuous],
    ) -> "Fixed":
        """Raises DataError if there is no such column, or the column has no such value."""
        names = [spec.name for spec in (*categorical, *continuous)]
        for name in values:
            if name not in names:
                raise missing_column(str(name), names, "the rows")
        blocks = [torch.ones(spec.cardinality, dtype=torch.bool) for spec in categorical]
        for spec, block in zip(categorical, blocks, strict=True):
            if spec.name in values:
                block[:] = torch.arange(len(block)) == _code(spec, values[spec.name])
        numbers = [
            _number(spec, values[spec.name]) if spec.name in values else np.inf
            for spec in continuous
        ]
        return cls(dict(values), torch.cat(blocks), torch.tensor(numbers, dtype=torch.float32))


def _code(spec: Categorical, value: Any) -> int:
    """The code of a value or of a label, which are the same for text."""
    absent = pd.api.types.is_scalar(value) and pd.isna(value)
    if absent and spec.missing:
        return len(spec.categories)
    for known in () if absent else (spec.categories, spec.labels):
        if value in known:
            return known.index(value)
    shown = ", ".join(map(repr, spec.categories[:8])) + (
        ", ..." if len(spec.categories) > 8 else ""
    )
    raise DataError("is no category", f"choose one of {shown}", column=spec.name, value=value)


def _number(spec: Continuous, value: Any) -> float:
    """A number in its own unit -> standard deviations."""
    wrong = DataError("is no finite number", "fix it at a number", column=spec.name, value=value)
    try:
        number = float(spec.encode(pd.Series([value], name=spec.name))[0])
    except DataError as error:
        raise wrong from error
    if not abs(number) <= torch.finfo(torch.float32).max:  # infinity would be no value at all
        raise wrong
    return number
