"""What a lookup finds for a simplex: the rows of its table, mixed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tabkit.soften.lookups import Lookup
from tabkit.soften.rules import Rule

Point = Sequence[Tensor]  # of each column a block of a simplex (B, K), or codes (B,)


def mix(lookup: Lookup, rule: Rule, point: Point) -> Tensor:
    """What the lookup finds, mixed from what it would find for each category.

    Exact at a vertex; linear in each column's block.
    """
    if lookup.index.dim() == 1 and lookup.table is not None and len(rule.columns) == 1:
        (column,), (begin,), (f,), table = rule.columns, rule.first, rule.maps, lookup.table
        whole = begin == 0 and len(f) == len(table)
        return mixed(table if whole else values_of(lookup, rule)[0], column, point)
    if lookup.hot is not None:
        return mixed_scatter(lookup, rule, point)
    if lookup.table is None and not rule.alone:
        return one_after_another(lookup, rule, point)
    pairs = zip(values_of(lookup, rule), rule.columns, strict=True)
    values = [mixed(V, c, point) for V, c in pairs]
    by_row = values[0].unsqueeze(1) if len(values) == 1 else torch.stack(values, dim=1)
    return arranged(lookup, rule, by_row)


def arranged(lookup: Lookup, rule: Rule, by_row: Tensor) -> Tensor:
    """What was found for each row and position, (B, m, tail, lead), as the lookup returns it."""
    found = rule.layout.back(by_row, lookup.index.shape)  # (index's axes, tail, lead)
    if lookup.reduce is not None:
        return lookup.reduce(found)
    return found.movedim(tuple(range(-lookup.lead, 0)), tuple(range(lookup.lead)))


def values_of(lookup: Lookup, rule: Rule) -> list[Tensor]:
    """Of each position, what is found for each category: (K, tail, lead).

    Where it reads no column, what is found for each row.
    """
    own = None if None not in rule.columns else rule.layout.by_row(lookup.index)
    if lookup.table is not None:
        table, values = lookup.table, []
        for j, (begin, f) in enumerate(zip(rule.first, rule.maps, strict=True)):
            if rule.columns[j] is None:
                values.append(table[own[:, j]])
            else:
                values.append(table[f] if begin is None else table[begin : begin + len(f)])
        return values
    most = max(len(f) for f in rule.maps)
    every = torch.arange(most, device=lookup.index.device)
    index = [
        own[:1, j].expand(most)
        if c is None
        else rule.maps[j][every.clamp(max=len(rule.maps[j]) - 1)]
        for j, c in enumerate(rule.columns)
    ]
    index = rule.layout.back(torch.stack(index, dim=1), rule.layout.shape(lookup.index.shape, most))
    by_row = found_by_row(lookup, rule, index)
    live = None if own is None else found_by_row(lookup, rule, lookup.index)
    return [
        live[:, j] if c is None else by_row[: len(rule.maps[j]), j]
        for j, c in enumerate(rule.columns)
    ]


def found_by_row(lookup: Lookup, rule: Rule, index: Tensor) -> Tensor:
    """What the lookup finds for an index: (rows, m, tail, lead)."""
    found = lookup.again(index)
    found = found.movedim(tuple(range(lookup.lead)), tuple(range(-lookup.lead, 0)))
    return rule.layout.by_row(found, index.dim())


def mixed(values: Tensor, column: int | None, point: Point) -> Tensor:
    """Values (K, ...) -> (B, ...); as they are if no column picks among them."""
    if column is None:
        return values
    block = point[column]
    if not block.is_floating_point():
        return values[block]
    if not values.is_floating_point():  # one-hots
        values = values.to(block.dtype)
    if torch.is_autocast_enabled(values.device.type):
        with torch.autocast(values.device.type, enabled=False):
            return mixed(values, column, point)
    if values.dim() == 2:
        return block.to(values.dtype) @ values
    found = block.to(values.dtype) @ values.reshape(len(values), -1)
    return found.reshape(len(found), *values.shape[1:])


def mixed_scatter(lookup: Lookup, rule: Rule, point: Point) -> Tensor:
    """Of a scatter of one code a row: written to each place with its category's share."""
    given, _, written = lookup.hot
    (column,), (f,) = rule.columns, rule.maps
    hot = (f[:, None] == torch.arange(given.shape[1], device=f.device)).to(given.dtype)  # (K, S)
    share = mixed(hot, column, point)
    if not lookup.in_place:
        return given * (1 - share) + written * share
    return given.copy_(given.clone() * (1 - share) + written * share)


def one_after_another(lookup: Lookup, rule: Rule, point: Point) -> Tensor:
    """The lookup for each category in turn, of all rows, weighted and summed."""
    rows, total = len(point[0]), 0
    pairs = list(zip(rule.layout.by_row(lookup.index).T, rule.columns, rule.maps, strict=True))
    for k in range(max(len(f) for f in rule.maps)):
        index = torch.stack(
            [own if c is None else f[min(k, len(f) - 1)].expand(rows) for own, c, f in pairs], dim=1
        )
        found = lookup.again(rule.layout.back(index, lookup.index.shape))
        weights = torch.stack([weight(c, k, point, found) for _, c, _ in pairs], dim=1)  # (B, m)
        weights = rule.layout.back(weights, lookup.index.shape)
        tail = found.dim() - lookup.lead - weights.dim()
        total = total + found * weights[(..., *(None,) * tail)]
    return total


def weight(column: int | None, k: int, point: Point, like: Tensor) -> Tensor:
    """The share (B,) of the k-th category in a column; all at the first if there is no column."""
    if column is None:
        return like.new_full((len(point[0]),), float(k == 0))
    block = point[column]
    if not block.is_floating_point():
        return (block == k).to(like.dtype)
    return block[:, k].to(like.dtype) if k < block.shape[1] else like.new_zeros(len(block))


def alone(lookup: Lookup, rule: Rule, codes: Tensor) -> bool:
    """Whether what is found depends on the index only, not on the row that asks."""
    if lookup.along not in (None, rule.layout.axis):
        return False
    try:
        values = values_of(lookup, rule)
        found = mix_codes(lookup, rule, values, codes)
    except (RuntimeError, IndexError, ValueError):
        return False
    return found.shape == lookup.found.shape and torch.equal(found, lookup.found)


def mix_codes(lookup: Lookup, rule: Rule, values: list[Tensor], codes: Tensor) -> Tensor:
    """What is found for codes, of such values."""
    picked = [V if c is None else V[codes[:, c]] for V, c in zip(values, rule.columns, strict=True)]
    return arranged(lookup, rule, torch.stack(picked, dim=1))


def put_in(lookup: Lookup, rule: Rule, point: Point) -> Tensor:
    """What a lookup of tables finds if the columns' embeddings are these."""
    parts = [
        V if c is None else point[c].unflatten(1, V.shape[1:])
        for V, c in zip(values_of(lookup, rule), rule.columns, strict=True)
    ]
    return arranged(lookup, rule, torch.stack(parts, dim=1))
