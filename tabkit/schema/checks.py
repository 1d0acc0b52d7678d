"""Checks of tensors that hold categories: cardinalities, codes (B, C), simplexes (B, F)."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from tabkit.schema.errors import DataError

MAX_TOLERANCE = 0.05


def check_cardinalities(cardinalities: Sequence[int]) -> tuple[int, ...]:
    """The block widths as a tuple; each must be a whole number of at least 1.

    Raises ValueError if there is none, or one is below 1.
    """
    widths = tuple(cardinalities)
    if not widths or not all(isinstance(k, Integral) and k is not True and k > 0 for k in widths):
        raise ValueError(f"cardinalities must be one or more integers >= 1, not {widths}")
    return tuple(int(k) for k in widths)


def check_codes(
    codes: Tensor, cardinalities: Sequence[int], names: Sequence[str] | None = None
) -> None:
    """Checks that codes are int64 of shape (B, C), each in [0, K) of its column.

    Raises
    ------
    DataError
        Naming the column (its number, if it has no name), the row and the code.
    """
    if codes.dtype != torch.int64 or codes.dim() != 2 or codes.shape[1] != len(cardinalities):
        raise DataError(
            f"codes are int64 of shape (B, {len(cardinalities)}), "
            f"not {codes.dtype} of shape {tuple(codes.shape)}",
            "encode the frame with the schema; floats belong to a simplex (B, F)",
        )
    bad = (codes < 0) | (codes >= torch.tensor(cardinalities, device=codes.device))
    if bad.any():
        row, column = bad.nonzero()[0].tolist()
        raise DataError(
            f"a code of this column lies in 0 to {cardinalities[column] - 1}",
            "encode the frame with the same schema",
            column=names[column] if names else str(column),
            row=row,
            value=int(codes[row, column]),
        )


def check_simplex(simplex: Tensor, cardinalities: Sequence[int]) -> None:
    """Checks that each block is finite, non-negative and sums to 1.

    Sums may be off by 1,000 roundings of the dtype (1.2e-4 in float32), at most 5% (half types).

    Raises
    ------
    DataError
        Naming the column's number, the row and the value.
    """
    width = sum(cardinalities)
    if not simplex.is_floating_point() or simplex.dim() != 2 or simplex.shape[1] != width:
        raise DataError(
            f"a simplex is floating point of shape (B, {width}), "
            f"not {simplex.dtype} of shape {tuple(simplex.shape)}",
            "pass codes as int64 of shape (B, C), or logits through a relaxation",
        )
    tolerance = min(1000 * torch.finfo(simplex.dtype).eps, MAX_TOLERANCE)
    simplex = simplex.detach()
    blocks = simplex.split(tuple(cardinalities), dim=1)
    sums = torch.stack([b.sum(dim=1) for b in blocks], dim=1)  # (B, C)
    fits = ((sums - 1).abs() <= tolerance).all(dim=1) & (simplex >= 0).all(dim=1)
    for row in fits.logical_not().nonzero()[:1].flatten().tolist():
        _refuse_row(row, [b[row] for b in blocks], sums[row].tolist(), tolerance)


def check_signal(signal: Any) -> None:
    """Checks that a signal is (B, S), of finite floats.

    Raises TypeError if it is no tensor of floats, else DataError, which names column and row.
    """
    if not (isinstance(signal, Tensor) and signal.is_floating_point()):
        given = signal.dtype if isinstance(signal, Tensor) else type(signal).__name__
        raise TypeError(
            f"a signal is a tensor of floats, not {given}: data.signal_of(table) makes one"
        )
    if signal.dim() != 2:
        raise DataError(
            f"a signal is (B, S), not of the shape {tuple(signal.shape)}",
            "give a row of it as signal[None]",
        )
    for row, column in (~signal.isfinite()).nonzero()[:1].tolist():
        raise DataError(
            "the signal is not finite",
            "fill or drop what is missing; data.signal_of(table) checks it by name",
            column=str(column),
            row=row,
            value=float(signal[row, column]),
        )


def check_mask(mask: Any, width: int) -> None:
    """Checks that a mask of categories is (F,), of truths; raises TypeError or ValueError."""
    if not (isinstance(mask, Tensor) and mask.dtype == torch.bool):
        given = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"allowed is a tensor of bool, one for each category, not {given}")
    if mask.shape != (width,):
        raise ValueError(f"allowed has the shape {tuple(mask.shape)}, not ({width},)")


def _refuse_row(
    row: int, blocks: Sequence[Tensor], sums: Sequence[float], tolerance: float
) -> None:
    """The error for the first block that does not fit."""
    for column, (block, total) in enumerate(zip(blocks, sums, strict=True)):
        least = float(block.min())
        if not block.isfinite().all():
            problem, value = "a simplex is not finite", total
        elif least < 0:
            problem, value = "a simplex is negative", least
        elif abs(total - 1) > tolerance:
            problem, value = "a simplex block sums to this, not to 1", total
        else:
            continue
        raise DataError(
            problem,
            "logits become a simplex through a relaxation, such as a softmax in each block",
            column=str(column),
            row=row,
            value=value,
        )
