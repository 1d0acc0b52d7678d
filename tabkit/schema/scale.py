"""A scale: means and standard deviations of some columns, and numbers on it and off it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.schema.columns import Continuous
from tabkit.schema.errors import DataError
from tabkit.schema.frames import check_overflow

Scale = tuple[Continuous, ...]


def numbers_of(
    frame: pd.DataFrame, scale: Sequence[Continuous], *, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "B N"]:
    """Columns in standard deviations.

    Raises DataError if a column does not hold finite numbers, or the dtype does not hold them.
    """
    columns = [spec.encode(frame[spec.name]) for spec in scale]
    stacked = np.stack(columns, axis=1) if columns else np.empty((len(frame), 0))
    numbers = torch.tensor(stacked, dtype=dtype)
    check_overflow(numbers, frame, [spec.name for spec in scale])
    return numbers


def in_units(
    numbers: Float[Tensor, "B N"], scale: Sequence[Continuous], *, clip: bool = True
) -> pd.DataFrame:
    """Standard deviations -> own units and dtypes; `clip` as in `Schema.decode`.

    Raises DataError if a number is not finite, or there are not N numbers in a row.
    """
    if numbers.dim() != 2 or numbers.shape[1] != len(scale):
        raise DataError(
            f"the rows have {numbers.shape[-1]} continuous columns, the schema {len(scale)}",
            "encode and decode with the same schema",
        )
    values = numbers.detach().cpu().double().numpy()
    for row, column in np.argwhere(~np.isfinite(values))[:1].tolist():
        raise DataError(
            "is not finite, so it is no number of a row",
            "look whether the net that predicted it has diverged",
            column=scale[column].name,
            row=row,
            value=float(values[row, column]),
        )
    decoded = {s.name: s.decode(values[:, i], clip=clip) for i, s in enumerate(scale)}
    return pd.DataFrame(decoded, index=pd.RangeIndex(len(values)))


def rescaled(
    numbers: Float[Tensor, "B N"], scale: Sequence[Continuous], index: Tensor
) -> tuple[Float[Tensor, "B N"], Scale]:
    """Numbers on the scale of the rows at `index`, and that scale.

    Raises DataError if a column is constant there.
    """
    sample = numbers[index].double()
    means, stds = sample.mean(dim=0), sample.std(dim=0, correction=0)
    for column in (stds < 1e-6).nonzero()[:1].flatten().tolist():
        raise DataError(
            "is constant in the new training rows", "give it others", column=scale[column].name
        )
    moved = [
        replace(spec, mean=spec.mean + spec.std * mean, std=spec.std * std)
        for spec, mean, std in zip(scale, means.tolist(), stds.tolist(), strict=True)
    ]
    return ((numbers.double() - means) / stds).to(numbers.dtype), tuple(moved)
