"""Which layout is fastest for some columns, by a rule that was measured."""

from collections.abc import Sequence

import torch

from tabkit.embedding.layouts.products import GroupedBlockDiagonal
from tabkit.embedding.layouts.registry import Layout, make

FEW_ROWS = 128
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

    For codes it is one lookup in one table, or a lookup a column if the widths differ or there are
    more categories than codes, where laying the tables end to end costs more than it saves. For a
    simplex on the CPU it is the grouped block-diagonal product, whose groups give about 16 numbers
    a row, the width at which a product of few columns is fastest: 4 columns of D = 4, 2 of 8, one
    of 16 or more. Where rows are few, and so calls dear, groups are up to 40 wide. Of the others,
    batched products copy the simplex, and bags and the sparse product carry an index for each
    share. `ruler.embedding_works` gives all of them to `ruler.race`, for columns of your own.

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
    >>> best((3000, 2), (4, 4), kind="codes", rows=100).name
    'index'
    >>> best((30, 20), (8, 8))
    GroupedBlockDiagonal(cardinalities=(30, 20), widths=(8, 8), columns=2, features=None)
    """
    if kind == "codes":
        small = rows is None or sum(cardinalities) <= rows * len(cardinalities)
        fused = small and len(set(widths)) == 1
        return make("fused" if fused else "index", cardinalities, widths)
    if kind != "simplex":
        raise ValueError(f"kind is 'codes' or 'simplex', not {kind!r}")
    if torch.device(device).type == "cpu":
        few = rows is not None and rows <= FEW_ROWS
        columns = (40 if few else 16) * len(widths) // sum(widths)
        features = 128 if few else None
        return GroupedBlockDiagonal(
            cardinalities, widths, columns=max(1, columns), features=features
        )
    padding = len(cardinalities) * max(cardinalities) / sum(cardinalities)
    if len(set(widths)) == 1 and padding <= MOST_PADDING:
        return make("padded", cardinalities, widths)
    return make("bucketed", cardinalities, widths, spread=MOST_PADDING)
