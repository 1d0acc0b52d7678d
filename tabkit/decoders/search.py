"""Local search over hard rows: decoding by asking net1, where the argmax asks only net0."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from tabkit.decoders import nearest
from tabkit.decoders.handed import Handed
from tabkit.estimators.enumeration import try_columns
from tabkit.nets import Codes, has
from tabkit.objective import Function, Objective
from tabkit.schema import check_codes
from tabkit.simplex import argmax_codes, one_hot, slices


def search(handed: Handed) -> Codes:
    """The row whose output behind net1 is nearest to the output for what was handed over.

    From the choice of `first_layer`, where net1 shows one, else from the argmax.
    """
    shown = has(handed.net1, "embedding", "first_layer") and handed.wanted is None
    start = nearest.first_layer(handed) if shown else nearest.argmax(handed)
    found, _ = local_search(start, handed.objective, handed.cardinalities, allowed=handed.allowed)
    return found


@torch.no_grad()
def local_search(
    codes: Int64[Tensor, "B C"],
    objective: Function | Objective,
    cardinalities: tuple[int, ...],
    *,
    allowed: Bool[Tensor, "B F"] | None = None,
    rounds: int = 20,
    dtype: torch.dtype | None = None,
) -> tuple[Int64[Tensor, "B C"], Float[Tensor, " B"]]:
    """Changes one category of each row at a time, the one that lowers its loss most.

    Stops when no row has a better neighbour, or after `rounds` changes. Each round evaluates the
    objective ``F`` times a row; rows that have arrived are left out of it if the objective can be
    restricted to rows (`Objective.at`, as `SquaredDistance` does).

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
    check_codes(codes, cardinalities)
    objective = Objective.of(objective)
    row = one_hot(codes, cardinalities, dtype)
    loss = objective.hard(codes, cardinalities).clone()
    everyone = active = torch.arange(len(row), device=row.device)
    for _ in range(rounds):
        part = objective.at(active)
        looked, cost = (everyone, objective) if part is None else (active, part)
        tried = try_columns(row[looked], loss[looked], cost, cardinalities)
        if allowed is not None:
            tried = tried.masked_fill(~allowed[looked], torch.inf)
        best, place = tried.min(dim=1)
        better = best < loss[looked]
        active = looked[better]
        if not len(active):
            break
        row[active] = exchanged(row[active], place[better], cardinalities)
        loss[active] = best[better]
    return argmax_codes(row, cardinalities), loss


def exchanged(
    row: Float[Tensor, "A F"], place: Int64[Tensor, " A"], cardinalities: tuple[int, ...]
) -> Float[Tensor, "A F"]:
    """Hard rows with the category at `place`, 0 to F - 1, put in for its column's own."""
    new = row.clone()
    for block in slices(cardinalities):
        new[(place >= block.start) & (place < block.stop), block] = 0.0
    return new.scatter_(1, place[:, None], 1.0)
