"""Which layout is fastest for some columns, by a rule that was measured."""

from collections.abc import Sequence

import torch

from tabkit.embedding.layouts.registry import Layout, make

FEW_ROWS = 64
MOST_PADDING = 4.0


def best(
    cardinalities: Sequence[int],
    widths: Sequence[int],
    *,
    kind: str = "simplex",
    device: torch.device | str = "cpu",
    rows: int | None = None,
) -> Layout:
    """The layout to use for a kind of input, where the tables are frozen and prepared once.

    For codes it is one lookup in one table, or a lookup a column if the widths differ. For a
    simplex on the CPU it is the grouped block-diagonal product, with groups of at most 64
    categories, or 128 where rows are few and so calls dear. Forward and backward on one core took
    .51 of the time of a product a column at 32 rows, .65 at 100, .81 at 1,000 and .96 at 20,000,
    where memory decides (geometric means over 10 and 50 columns, D = 8). Batched products took
    .9 to 4 times that of a product a column from 1,000 rows on, since they copy the simplex; bags
    and sparse products 3 to 26 times.

    On CUDA, where this was not measured, each kernel's launch costs what a small product does, so
    that the fewest kernels should win: one batched product, unless padding the columns to the
    widest would more than quadruple the simplex, or the widths differ; then one product a bucket.

    Parameters
    ----------
    kind
        What the layout will be given: ``"codes"`` or a ``"simplex"``.
    rows
        B, or none if it is not known.

    Raises
    ------
    ValueError
        If the kind is neither, or the layout cannot be made.

    Examples
    --------
    >>> best((3, 2), (4, 4), kind="codes").name
    'fused'
    >>> best((30, 20), (4, 4), rows=32)
    GroupedBlockDiagonal(cardinalities=(30, 20), widths=(4, 4), columns=5, features=128)
    """
    if kind == "codes":
        return make("fused" if len(set(widths)) == 1 else "index", cardinalities, widths)
    if kind != "simplex":
        raise ValueError(f"kind is 'codes' or 'simplex', not {kind!r}")
    if torch.device(device).type == "cpu":
        features = 128 if rows is not None and rows <= FEW_ROWS else 64
        return make("grouped_block_diagonal", cardinalities, widths, features=features)
    padding = len(cardinalities) * max(cardinalities) / sum(cardinalities)
    if len(set(widths)) == 1 and padding <= MOST_PADDING:
        return make("padded", cardinalities, widths)
    return make("bucketed", cardinalities, widths, spread=MOST_PADDING)
