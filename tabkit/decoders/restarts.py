"""The decoder `restarts`: searches from several starts, and numbers that move, too."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.decoders.handed import Handed
from tabkit.decoders.search import argmax, local_search, start_of
from tabkit.devices import is_gpu
from tabkit.objective import Codes, Objective
from tabkit.schema import Rows
from tabkit.simplex import blocks, softmax

DRAWN = 8  # starts beside the search's own and the argmax
STEPS, RATE = 20, 0.1  # of Adam, for the numbers; in standard deviations


def restarts(handed: Handed) -> Rows:
    """The best of ten searches, then searched again with other numbers.

    The searches begin where `search` begins, at the argmax, and at eight rows drawn from what was
    handed over, column by column (a Latin hypercube: the same quantiles for every row, so that the
    rows do not depend on each other). Then 20 steps of Adam move the numbers that net0 was free to
    choose, where that brings the row nearer to net1's output for what was handed over, and a last
    search begins there. With an objective of one's own the numbers stay. Where rows were handed
    over as they are, nothing is nearer, and one search is all.
    """
    return restarted(handed, lambda objective: objective)


@torch.no_grad()
def restarted(handed: Handed, seen: Callable[[Objective], Objective]) -> Rows:
    """The rows of `restarts`, by what `seen` makes of each objective."""
    objective, every = seen(handed.objective), starts(handed)
    found, loss = searched(handed, next(every), objective)
    if handed.wanted is None and bool(handed.hard.all()):
        return Rows(found, handed.continuous)
    for codes, reached in all_searched(handed, [*every], objective):
        nearer = reached < loss
        found, loss = torch.where(nearer[:, None], codes, found), torch.minimum(reached, loss)
    if handed.wanted is not None or not bool(handed.moves.any()):
        return Rows(found, handed.continuous)
    moved = replace(handed, continuous=descended(handed, found))
    moved.__dict__["output"] = handed.output  # the mixture's stays where net0 put it
    codes, reached = searched(moved, found, seen(moved.objective))
    nearer = (reached < loss)[:, None]
    numbers = torch.where(nearer, moved.continuous, handed.continuous)
    return Rows(torch.where(nearer, codes, found), numbers)


def searched(handed: Handed, start: Codes, objective: Objective) -> tuple[Codes, Tensor]:
    """A local search, and the losses that it reached."""
    options = {"allowed": handed.allowed, "dtype": handed.logits.dtype}
    return local_search(start, objective, handed.cardinalities, **options)


def all_searched(
    handed: Handed, every: list[Codes], objective: Objective
) -> Iterator[tuple[Codes, Tensor]]:
    """The same from several starts: on a GPU all at once, where the objective has rows."""
    rows = torch.arange(len(handed.logits), device=handed.logits.device).repeat(len(every))
    together = objective.at(rows) if is_gpu(rows.device) else None
    if together is None:
        yield from (searched(handed, start, objective) for start in every)
        return
    options = {"allowed": handed.allowed[rows], "dtype": handed.logits.dtype}
    found, loss = local_search(torch.cat(every), together, handed.cardinalities, **options)
    yield from zip(found.chunk(len(every)), loss.chunk(len(every)), strict=True)


def starts(handed: Handed) -> Iterator[Codes]:
    """Where the searches begin."""
    yield start_of(handed)
    yield argmax(handed)
    K = handed.cardinalities
    point = softmax(handed.logits, K) if handed.simplex is None else handed.simplex
    generator = torch.Generator().manual_seed(0)
    ranks = torch.stack([torch.randperm(DRAWN, generator=generator) for _ in K], dim=1)
    for quantiles in ((ranks + 0.5) / DRAWN).to(point):
        yield drawn(point, K, quantiles)


def drawn(point: Float[Tensor, "B F"], K: tuple[int, ...], quantiles: Float[Tensor, " C"]) -> Codes:
    """The category at a quantile of each column's block: one whose share is not 0."""
    columns = []
    for block, quantile in zip(blocks(point, K), quantiles, strict=True):
        sums = block.cumsum(dim=-1)
        columns.append((sums <= quantile * sums[:, -1:]).sum(dim=-1))
    return torch.stack(columns, dim=-1)


@torch.enable_grad()
def descended(handed: Handed, codes: Codes) -> Float[Tensor, "B N"]:
    """The numbers after some steps towards net1's output for what was handed over."""
    numbers, wanted = handed.continuous.clone().requires_grad_(), handed.output.detach()
    adam = torch.optim.Adam([numbers], lr=RATE)
    for _ in range(STEPS):
        loss = (handed.net1(codes, numbers) - wanted).square().sum()
        (slope,) = torch.autograd.grad(loss, numbers)  # net1's own gradients stay as they are
        numbers.grad = slope.masked_fill(~handed.moves, 0.0)
        adam.step()
    return numbers.detach()
