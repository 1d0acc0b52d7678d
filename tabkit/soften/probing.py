"""Which column each lookup of a net reads, and by which map: found by changing one at a time."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tabkit.soften.errors import NotFollowed, place
from tabkit.soften.lookups import Lookup, Watched
from tabkit.soften.mixing import alone
from tabkit.soften.rules import Layout, Rule, layouts

Call = Callable[[Any, Int64[Tensor, "B C"], Float[Tensor, "B N"]], Tensor]
FEW, MORE, MANY = 11, 17, 64  # rows of probes
TOGETHER = 1024  # categories that are tried in one call
LOOP = 1024  # categories of a column that is read at each of its codes in turn


class Probe:
    """A net, and rows to try it on: codes of any kind, numbers of real rows.

    Parameters
    ----------
    net, call
        ``call(net, codes, continuous)`` is its output.
    names, cardinalities
        Of the categorical columns.
    continuous
        (B, N), of real rows.
    """

    def __init__(
        self,
        net: Any,
        call: Call,
        names: Sequence[str],
        cardinalities: Sequence[int],
        continuous: Float[Tensor, "B N"],
    ) -> None:
        self.net, self.call, self.names, self.K = net, call, names, tuple(cardinalities)
        self.continuous, self.device = continuous, continuous.device
        self.generator = torch.Generator().manual_seed(0)

    def random(self, rows: int) -> Int64[Tensor, "B C"]:
        """Codes, each column's uniform."""
        columns = [torch.randint(K, (rows,), generator=self.generator) for K in self.K]
        return torch.stack(columns, dim=1).to(self.device)

    def others(self, codes: Int64[Tensor, "B C"]) -> Int64[Tensor, "B C"]:
        """Codes that differ from these wherever a column has several categories."""
        K = torch.tensor(self.K, device=self.device)
        drawn = torch.rand(codes.shape, generator=self.generator, dtype=torch.float64)
        step = 1 + (drawn.to(self.device) * (K - 1).clamp(min=1)).long()
        return torch.where(K > 1, (codes + step) % K, 0)

    def every(self, rows: int) -> Int64[Tensor, "B C"]:
        """Codes in which each category comes up as often as there is room for, shuffled."""
        columns = [torch.randperm(rows, generator=self.generator) % K for K in self.K]
        return torch.stack(columns, dim=1).to(self.device)

    def numbers(self, rows: int) -> Float[Tensor, "B N"]:
        """The numbers of as many rows, the real ones again and again."""
        return self.continuous[torch.arange(rows, device=self.device) % len(self.continuous)]

    @torch.no_grad()
    def record(
        self,
        codes: Int64[Tensor, "B C"],
        like: list[Lookup] | None = None,
        numbers: Float[Tensor, "B N"] | None = None,
    ) -> tuple[list[Lookup], Any]:
        """The lookups that codes lead to, and the output.

        Each that reads other places than in `like`, an earlier record, finds what it found there:
        what comes behind it then only moves if codes reach it by another way.
        """
        seen: list[Lookup] = []
        numbers = self.numbers(len(codes)) if numbers is None else numbers
        given = codes.clone(), numbers.clone()  # some nets write into what they get
        with Watched(partial(noted, seen, like or [])):
            output = self.call(self.net, *given)
        return seen, output


def noted(seen: list[Lookup], like: list[Lookup], lookup: Lookup) -> Any:
    """What a lookup gives, which is noted; or what the one of an earlier record gave."""
    lookup.where, lookup.index = place(), lookup.index.clone()
    before = like[len(seen)] if len(seen) < len(like) else None
    seen.append(lookup)
    if before is not None and moved(before, lookup):
        lookup.found = before.found
        return lookup.hot[0].copy_(before.found) if lookup.in_place else before.found.clone()
    found = lookup.plain()
    lookup.found = found.clone()
    return found


def moved(before: Lookup, lookup: Lookup) -> bool:
    """Whether a lookup is the same but for what it reads."""
    same = before.kind == lookup.kind and before.index.shape == lookup.index.shape
    return same and not torch.equal(before.index, lookup.index)


def explain(probe: Probe) -> list[Rule]:
    """The rule of each lookup, in the order in which the net makes them.

    Raises
    ------
    NotFollowed
        If two equal calls differ, other codes lead to other lookups, no lookup is reached by codes,
        or an index is no function of one column's code.
    """
    probe.record(probe.random(FEW))  # what a net keeps from its first call is there now
    some = probe.random(FEW)
    (first, one), (second, two) = probe.record(some), probe.record(some)
    if trail(first) != trail(second) or not same(one, two):
        raise NotFollowed(
            "two calls with the same rows differ: is there noise in it (dropout outside of "
            "modules?), or does it remember? Remedy: give call= a way to call it that repeats"
        )
    tried = {
        len(codes): (codes, probe.record(codes)[0]) for codes in map(probe.random, (MORE, MANY))
    }
    tried[FEW] = some, first
    start, columns = enumerate_columns(probe)
    for _, lookups in [*tried.values(), *(run for runs in columns for run in runs)]:
        compare_trails(first, lookups)
    compare_trails(first, start)
    rules = [
        rule_of(probe, n, tried, start, [[run[n] for _, run in runs] for runs in columns])
        for n in range(len(first))
    ]
    if not any(rule.layout for rule in rules):
        raise NotFollowed(
            "no lookup by the codes was seen: are they used as numbers, or looked up where torch's "
            "functions cannot be watched (torch.jit.script, a compiled net, numpy)? Remedy: hand "
            "over the net as it was before it was compiled or scripted"
        )
    return rules


def enumerate_columns(probe: Probe) -> tuple[list[Lookup], list[list[tuple[Tensor, list[Lookup]]]]]:
    """The lookups for one row again and again, and for each column those for all its categories."""
    rows = min(max(probe.K), TOGETHER)
    still = probe.random(1).repeat(rows, 1)
    start = probe.record(still)[0]
    columns = []
    for c, K in enumerate(probe.K):
        runs = []
        for begin in range(0, K, rows):
            codes = still.clone()
            codes[:, c] = torch.arange(begin, begin + rows, device=probe.device).clamp(max=K - 1)
            runs.append((codes, probe.record(codes, start)[0]))
        columns.append(runs)
    return start, columns


def trail(lookups: list[Lookup]) -> list[tuple[str, str]]:
    """What is looked up, where, in order."""
    return [(lookup.kind, lookup.where) for lookup in lookups]


def compare_trails(first: list[Lookup], second: list[Lookup]) -> None:
    """Raises NotFollowed, with the place, if other codes lead to other lookups."""
    if trail(first) == trail(second):
        return
    pairs = zip([*trail(first), ("", "its end")], [*trail(second), ("", "its end")], strict=False)
    here = next(b if a[1] == "its end" else a for a, b in pairs if a != b)
    raise NotFollowed(
        f"it branches on codes, or on the number of rows: others lead to other lookups, first at "
        f"{here[1]}. Remedy: hand over the branch that you need"
    )


def rule_of(
    probe: Probe,
    n: int,
    tried: dict[int, tuple[Tensor, list[Lookup]]],
    start: list[Lookup],
    columns: list[list[Lookup]],
) -> Rule:
    """The rule of the n-th lookup."""
    runs = {rows: (codes, lookups[n]) for rows, (codes, lookups) in tried.items()}
    lookup, still = runs[FEW][1], start[n].index
    rule = Rule(lookup.kind, lookup.where, name_of(probe.net, lookup.source))
    rule.axes = lookup.index.dim()
    changed = [run.index for column in columns for run in column]
    if all(index.shape == still.shape and torch.equal(index, still) for index in changed):
        return rule  # codes do not reach it
    if lookup.refuse:
        raise NotFollowed(
            f"codes reach {lookup.kind} at {lookup.where}: {lookup.refuse}. Remedy: leave it out, "
            "or soften what stands behind it"
        )
    problem = f"the index, {tuple(lookup.index.shape)} for {FEW} rows, does not follow the rows"
    for layout in layouts(lookup.index.shape, FEW, runs[MORE][1].index.shape, MORE):
        try:
            rule.columns, rule.maps = maps_of(probe, layout, still, columns)
        except NotFollowed as error:
            problem = str(error)
            continue
        rule.layout = layout
        if all(rule.follows(found.index, codes) for codes, found in runs.values()):
            return checked(probe, rule, [runs[MANY], runs[MORE]])
        problem = "an index is no function of one column's code"
    raise NotFollowed(
        f"{problem}, in {lookup.kind} at {lookup.where}. Remedy: make one column of those that "
        "meet, or leave the part out"
    )


def maps_of(
    probe: Probe, layout: Layout, still: Tensor, columns: list[list[Lookup]]
) -> tuple[list[int | None], list[Tensor]]:
    """Of each position, the column that moves it and the index for each of its categories."""
    if any(run.index.shape != still.shape for column in columns for run in column):
        raise NotFollowed("the index has another shape for other codes")
    still = layout.by_row(still)
    every = [[layout.by_row(run.index) for run in runs] for runs in columns]
    moves = [[(found != still).any(dim=0) for found in runs] for runs in every]
    moves = torch.stack([torch.stack(runs).any(dim=0) for runs in moves])  # (C, m)
    if (moves.sum(dim=0) > 1).any():
        position = int((moves.sum(dim=0) > 1).nonzero()[0])
        meeting = [probe.names[c] for c in moves[:, position].nonzero().flatten().tolist()]
        raise NotFollowed(f"columns {' and '.join(map(repr, meeting))} meet in one index")
    readers = [int(m.nonzero()[0]) if m.any() else None for m in moves.T]
    maps = [torch.cat(runs)[:K] for K, runs in zip(probe.K, every, strict=True)]
    return readers, [still[:0, j] if c is None else maps[c][:, j] for j, c in enumerate(readers)]


def checked(probe: Probe, rule: Rule, runs: list[tuple[Tensor, Lookup]]) -> Rule:
    """The rule, with how its values are to be had; raises if that would take too long."""
    lookup = runs[0][1]
    if lookup.table is None and lookup.hot is None:
        rule.alone = all(alone(lookup, rule, codes) for codes, lookup in runs)
        most = max(len(f) for f in rule.maps)
        if not rule.alone and most > LOOP:
            raise NotFollowed(
                f"{lookup.kind} at {lookup.where} reads values of each row's own at one of "
                f"{most:,} categories, more than {LOOP:,}"
            )
    return rule


def name_of(net: Any, table: Tensor | None) -> str:
    """Which parameter or buffer of the net a table is."""
    if table is None:
        return ""
    named = [*net.named_parameters(), *net.named_buffers()]
    try:
        return next((n for n, w in named if w is table or w.data_ptr() == table.data_ptr()), "")
    except RuntimeError:  # no storage of its own, such as under vmap
        return ""


def tensors(output: Any) -> list[Tensor]:
    """All tensors of an output."""
    if isinstance(output, Tensor):
        return [output]
    values = output.values() if isinstance(output, dict) else output
    return (
        [t for v in values for t in tensors(v)] if isinstance(output, dict | list | tuple) else []
    )


def same(one: Any, two: Any) -> bool:
    """Whether two outputs are equal."""
    pairs = zip(tensors(one), tensors(two), strict=True)
    return all(torch.allclose(a, b, rtol=0, atol=0, equal_nan=True) for a, b in pairs)
