"""Local search over hard rows: decoding by asking net1, where the argmax asks only net0."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from tabkit.estimators import Objective, evaluate
from tabkit.estimators.enumeration import block_slices, try_columns
from tabkit.schema import argmax_codes, one_hot_simplex


@runtime_checkable
class RowwiseObjective(Protocol):
    """An objective that can be restricted to some of its rows."""

    def at(self, index: Int64[Tensor, " A"]) -> Objective: ...


@torch.no_grad()
def local_search(
    codes: Int64[Tensor, "B C"],
    objective: Objective,
    cardinalities: tuple[int, ...],
    *,
    allowed: Bool[Tensor, "B F"] | None = None,
    rounds: int = 20,
    dtype: torch.dtype | None = None,
) -> tuple[Int64[Tensor, "B C"], Float[Tensor, " B"]]:
    """Changes one category of each row at a time, the one that lowers its loss most.

    Stops when no row has a better neighbour, or after `rounds` changes. Each round evaluates the
    objective ``F - C`` times a row; rows that have arrived are left out of it if the objective can
    be restricted to rows (`RowwiseObjective`, as `SquaredDistance` is).

    Parameters
    ----------
    allowed
        Which categories may come in; all if not given.
    dtype
        Of the simplexes that the objective gets; torch's default if not given.

    Returns
    -------
    codes : (B, C), of the rows found
    loss : (B,), their losses, none above the start's

    Raises
    ------
    DataError
        If a code is out of range.
    ValueError
        If the objective does not return one loss per row.

    Examples
    --------
    >>> wanted = torch.tensor([0.0, 1.0, 1.0, 0.0])
    >>> local_search(torch.tensor([[0, 1]]), lambda s: ((s - wanted) ** 2).sum(1), (2, 2))
    (tensor([[1, 0]]), tensor([0.]))
    """
    row = one_hot_simplex(codes, cardinalities, dtype=dtype)
    loss = evaluate(objective, row).clone()
    restricted = isinstance(objective, RowwiseObjective)
    active = torch.arange(len(row), device=row.device)
    for _ in range(rounds):
        looked = active if restricted else torch.arange(len(row), device=row.device)
        cost = objective.at(looked) if restricted else objective
        tried = try_columns(row[looked], loss[looked], cost, cardinalities)
        if allowed is not None:
            tried = tried.masked_fill(~allowed[looked], torch.inf)
        best, place = tried.min(dim=1)
        better = best < loss[looked]
        active = looked[better]
        if not len(active):
            break
        row[active] = exchange(row[active], place[better], cardinalities)
        loss[active] = best[better]
    return argmax_codes(row, cardinalities), loss


def exchange(
    row: Float[Tensor, "A F"], place: Int64[Tensor, " A"], cardinalities: tuple[int, ...]
) -> Float[Tensor, "A F"]:
    """Hard rows with the category at `place`, 0 to F - 1, put in for its column's own."""
    new = row.clone()
    for block in block_slices(cardinalities):
        new[(place >= block.start) & (place < block.stop), block] = 0.0
    return new.scatter_(1, place[:, None], 1.0)
