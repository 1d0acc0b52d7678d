"""Decoders: the argmax, the nearest category, and local search, which asks net1."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from tabkit.decoders.handed import Handed
from tabkit.nets import ask, first_layer_metrics, has
from tabkit.objective import Codes, Function, Objective
from tabkit.schema import check_codes
from tabkit.simplex import argmax_codes


def argmax(handed: Handed) -> Codes:
    """The category of the largest logit in each column."""
    return argmax_codes(handed.logits, handed.cardinalities)


def table(handed: Handed) -> Codes:
    """The category whose embedding is nearest to what was handed over, column by column."""
    return nearest(handed, None)


def first_layer(handed: Handed) -> Codes:
    """The same, with distances as net1's first linear layer sees them."""
    return nearest(handed, first_layer_metrics(handed.net1))


def nearest(handed: Handed, metrics: list[Float[Tensor, "R D"]] | None) -> Codes:
    """The nearest of the allowed categories, by the given metrics."""
    tables = ask(handed.net1, "embedding", "the nearest category")
    near = tables.negative_distances(handed.embedding, metrics)
    return argmax_codes(near.masked_fill(~handed.allowed, -torch.inf), handed.cardinalities)


def search(handed: Handed) -> Codes:
    """The row whose output behind net1 is nearest to the output for what was handed over.

    From the choice of `first_layer`, where net1 shows one, else from the argmax; a row that was
    handed over as it is, from itself.
    """
    return search_by(handed, handed.objective)


def search_by(handed: Handed, objective: Objective) -> Codes:
    """The search of `search`, by its objective or one that stands for it."""
    options = {"allowed": handed.allowed, "dtype": handed.logits.dtype}
    return local_search(start_of(handed), objective, handed.cardinalities, **options)[0]


def start_of(handed: Handed) -> Codes:
    """Where a search begins."""
    if handed.wanted is not None:
        return argmax(handed)
    shown = has(handed.net1, "embedding", "first_layer")
    start, hard = first_layer(handed) if shown else argmax(handed), handed.hard
    if not bool(hard.any()):
        return start
    return torch.where(hard[:, None], argmax_codes(handed.simplex, handed.cardinalities), start)


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
    objective ``F`` times a row, or a shortlist's times behind a net1 that folds; rows that have
    arrived are left out of it if the objective can be restricted to rows (`Objective.at`).

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
    objective, found = Objective.of(objective), codes.clone()
    objective = objective if dtype is None else objective.typed(dtype)
    loss = objective.hard(codes, cardinalities).clone()
    everyone = active = torch.arange(len(codes), device=codes.device)
    every = [(c, k) for c, K in enumerate(cardinalities) for k in range(K)]
    column, code = torch.tensor(every, device=codes.device).T  # of each place of a simplex
    if allowed is None:
        allowed = torch.ones(len(codes), len(code), dtype=torch.bool, device=codes.device)
    for _ in range(rounds):
        part = objective.at(active)
        looked, cost = (everyone, objective) if part is None else (active, part)
        best, place = cost.best_exchange(
            found[looked], loss[looked], cardinalities, allowed[looked]
        )
        better = (best < loss[looked]).nonzero()[:, 0]  # the round's only read of the device
        if not len(better):
            break
        active, place = looked[better], place[better]
        found[active, column[place]] = code[place]
        loss[active] = best[better]
    return found, loss
