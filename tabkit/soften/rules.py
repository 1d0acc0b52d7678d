"""`Layout`: how an index follows the rows; `Rule`: which column a lookup reads, and how."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Int64
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Where the rows lie in an index: along `axis`, `times` for each, one after another or apart.

    An index of any shape becomes (B, m): a row's m positions; what was found there goes back.
    """

    axis: int
    times: int
    apart: bool  # (times, B) along the axis, in place of (B, times)

    def by_row(self, values: Tensor, axes: int | None = None) -> Tensor:
        """An index, or what was found at one of `axes` axes, row by row: (B, m, ...)."""
        axes, rows = axes or values.dim(), values.shape[self.axis] // self.times
        sizes = (self.times, rows) if self.apart else (rows, self.times)
        return (
            values.unflatten(self.axis, sizes).movedim(self.axis + self.apart, 0).flatten(1, axes)
        )

    def back(self, values: Tensor, shape: Sequence[int]) -> Tensor:
        """Values (B, m, ...) -> (*shape, ...), where `shape` is the index's."""
        sizes = [*shape[: self.axis], self.times, *shape[self.axis + 1 :]]
        apart = values.unflatten(1, sizes).movedim(0, self.axis + self.apart)
        return apart.flatten(self.axis, self.axis + 1)

    def shape(self, few: Sequence[int], rows: int) -> list[int]:
        """The index's shape for another number of rows."""
        return [*few[: self.axis], rows * self.times, *few[self.axis + 1 :]]


def layouts(few: Sequence[int], rows: int, more: Sequence[int], more_rows: int) -> Iterator[Layout]:
    """The ways in which an index can follow the rows, by its shapes for two numbers of them."""
    if len(few) != len(more):
        return
    for axis, (n, m) in enumerate(zip(few, more, strict=True)):
        others = all(a == b for i, (a, b) in enumerate(zip(few, more, strict=True)) if i != axis)
        if others and n % rows == 0 and m % more_rows == 0 and n // rows == m // more_rows > 0:
            yield Layout(axis, n // rows, apart=False)
            if n > rows:
                yield Layout(axis, n // rows, apart=True)


@dataclass
class Rule:
    """What is known of one lookup: nothing, if codes do not reach it.

    Attributes
    ----------
    kind, where, source : the function, its place in the code, the name of its table in net1
    layout : how its index follows the rows
    columns : of each position, the column that it reads, or None
    maps : of each position, the index for each category, (K,); none where it reads no column
    """

    kind: str
    where: str
    source: str = ""
    layout: Layout | None = None
    columns: list[int | None] = field(default_factory=list)
    maps: list[Int64[Tensor, " K"]] = field(default_factory=list)
    axes: int = 0  # of the index
    alone: bool = False  # whether what is found does not depend on the rows

    def follows(self, index: Tensor, codes: Int64[Tensor, "B C"]) -> bool:
        """Whether an index is what these codes lead to, at all positions that codes reach."""
        if (
            index.dim() != self.axes
            or index.shape[self.layout.axis] != len(codes) * self.layout.times
        ):
            return False
        by_row = self.layout.by_row(index)
        if by_row.shape[1] != len(self.columns):
            return False
        triples = zip(by_row.T, self.columns, self.maps, strict=True)
        return all(c is None or torch.equal(i, f[codes[:, c]]) for i, c, f in triples)

    @property
    def first(self) -> list[int | None]:
        """Of each position where its categories' indices begin, if they follow each other."""
        if not hasattr(self, "_first"):
            self._first = [
                int(f[0])
                if len(f) and f[0] >= 0 and torch.equal(f - f[0], torch.arange(len(f)).to(f))
                else None
                for f in self.maps
            ]
        return self._first

    def describe(self, names: Sequence[str]) -> str:
        """A line: the table, what reads it, where."""
        read = {c: f for c, f in zip(self.columns, self.maps, strict=True) if c is not None}
        rows = [f"{names[c]}: rows {f.min()}..{f.max()}" for c, f in read.items()]
        return f"{self.source or self.kind}: {', '.join(rows)}  [{self.where}]"


class StandIn:
    """Codes that a net gets in place of a simplex, and the indices that they must lead to."""

    def __init__(self, codes: Int64[Tensor, "B C"], rules: list[Rule]) -> None:
        self.codes, self.rules = codes, rules
        self.indices: list[Tensor | None] = [None] * len(rules)

    def leads_to(self, number: int, index: Tensor) -> bool:
        """Whether this is the index of the lookup of that number."""
        known, rule = self.indices[number], self.rules[number]
        if known is None or known.shape != index.shape:
            if not rule.follows(index, self.codes):
                return False
            known = self.indices[number] = index.clone()
        return torch.equal(index, known) or rule.follows(index, self.codes)
