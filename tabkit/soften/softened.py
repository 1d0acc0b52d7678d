"""`Softened`: a trained net that takes simplexes where it took codes."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from tabkit.embedding import SoftEmbedding
from tabkit.schema import check_codes
from tabkit.simplex import blocks
from tabkit.soften.errors import NotFollowed, place
from tabkit.soften.layers import Linears, layer_of
from tabkit.soften.lookups import Lookup, Watched
from tabkit.soften.mixing import Point, mix, values_of
from tabkit.soften.probing import Call
from tabkit.soften.rules import Rule

KEPT, STAND = 8, 13  # numbers of rows for which the stand-ins are kept; rows that stand in


class StandIn:
    """Codes that a net gets in place of a simplex, and the indices that they must lead to."""

    def __init__(self, codes: Int64[Tensor, "B C"], rules: list[Rule]) -> None:
        self.codes, self.rules = codes, rules
        self.indices: list[Tensor | None] = [None] * len(rules)

    def leads_to(self, number: int, index: Tensor) -> bool:
        """Whether this is the index of the lookup of that number."""
        known = self.indices[number]
        if known is None or known.shape != index.shape:
            rule = self.rules[number]
            if not torch.equal(rule.layout.by_row(index), rule.expected(self.codes)):
                return False
            known = self.indices[number] = index.clone()
        return torch.equal(index, known)


class Softened(nn.Module):
    """A net1 that takes codes (B, C) *or* a simplex (B, F), made by `soften`.

    By codes it is the net itself. By a simplex the net runs on other codes, which stand in, and
    each lookup that they lead to is answered by the mixture of what it holds for each category.
    That the net looks up as it did when it was softened is checked in every call, but where torch
    compiles or transforms it.

    Attributes
    ----------
    net : the net, as it is
    cardinalities, continuous_features : as the net1 of this table
    rules : what reads which column, by which map

    Raises
    ------
    NotFollowed
        When called, if the net looks up otherwise than when it was softened, or it still trains.
    """

    def __init__(
        self,
        net: nn.Module,
        call: Call,
        rules: list[Rule],
        names: Sequence[str],
        cardinalities: Sequence[int],
        standing: Int64[Tensor, "S C"],
        numbers: Float[Tensor, "S N"],
    ) -> None:
        super().__init__()
        self.net, self.call, self.rules, self.names = net, call, rules, tuple(names)
        self.cardinalities, self.continuous_features = tuple(cardinalities), numbers.shape[1]
        self.standing, self.numbers, self._kept = standing, numbers, {}
        self.eval()

    def extra_repr(self) -> str:
        return "\n".join(rule.describe(self.names) for rule in self.rules if rule.layout)

    def forward(
        self,
        categorical: Int64[Tensor, "B C"] | Float[Tensor, "B F"],
        continuous: Float[Tensor, "B N"] | None = None,
    ) -> Tensor:
        if continuous is None:
            continuous = self.numbers.new_zeros(len(categorical), self.continuous_features)
        if categorical.is_floating_point():
            return self.answered(blocks(categorical, self.cardinalities), continuous)
        check_codes(categorical, self.cardinalities)
        return self.call(self.net, categorical, continuous)

    def embedded(self, e: Float[Tensor, "B CD"], continuous: Float[Tensor, "B N"]) -> Tensor:
        """The output from the columns' embeddings; TypeError if a column has not one table."""
        if self.embedding is None:
            raise TypeError(f"what takes embeddings needs one table a column: {self._no_tables}")
        return self.answered(e.split(self.embedding.widths, dim=1), continuous, embedded=True)

    def answered(
        self,
        point: Point,
        continuous: Float[Tensor, "B N"],
        standing: Int64[Tensor, "B C"] | None = None,
        *,
        embedded: bool = False,
    ) -> Tensor:
        """The output for a point, a block (B, K) or codes (B,) of each column.

        `standing` are the codes that the net gets meanwhile, of its own choice if not given.
        """
        stand = self._standing(len(point[0]), point[0].device)
        stand = stand if standing is None else StandIn(standing, self.rules)
        still, seen = torch.compiler.is_compiling() or transforming(), 0

        def handler(lookup: Lookup) -> Any:
            nonlocal seen
            rule = self.rules[seen] if seen < len(self.rules) else None
            if rule is None or rule.kind != lookup.kind:
                raise NotFollowed(f"it looks up otherwise than when it was softened, at {place()}")
            seen += 1
            if rule.layout is None:
                return lookup.plain()
            if not still and not stand.leads_to(seen - 1, lookup.index):
                raise NotFollowed(
                    f"it looks up otherwise than when it was softened, at {rule.where}: has it "
                    "changed since? Remedy: soften it again"
                )
            return put_in(lookup, rule, point) if embedded else mix(lookup, rule, point)

        if not still:
            self._check_frozen()
        given = stand.codes.clone(), continuous  # some nets write into what they get
        with Watched(handler):
            output = self.call(self.net, *given)
        if seen != len(self.rules):
            raise NotFollowed(f"it makes {seen} lookups, not {len(self.rules)} as when softened")
        return output

    def _check_frozen(self) -> None:
        if self.net.training or any(p.requires_grad for p in self.net.parameters()):
            raise NotFollowed("it trains: call tabkit.freeze(net1)")

    def _standing(self, rows: int, device: torch.device) -> "StandIn":
        """The codes that stand in for so many rows."""
        key = rows, device
        if torch.compiler.is_compiling() or key not in self._kept:
            codes = self.standing.to(device)[torch.arange(rows, device=device) % len(self.standing)]
            if torch.compiler.is_compiling():
                return StandIn(codes, self.rules)
            for rule in self.rules:
                rule.maps = [f.to(device) for f in rule.maps]
            while len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[key] = StandIn(codes, self.rules)
        return self._kept[key]

    def behind(self, hidden: Float[Tensor, "*B R"]) -> Tensor:
        """The output from the first layer's; TypeError if there is no such layer."""
        if self._first is None:
            raise TypeError(f"what asks for behind() needs net1.first_layer: {self.why_not}")
        number, flat = self._first[0], hidden.flatten(0, -2)
        calls = iter(range(number + 1))
        numbers = flat.new_zeros(len(flat), self.continuous_features)
        codes = self._standing(len(flat), flat.device).codes.clone()
        with Linears(lambda *_: flat if next(calls, -1) == number else None):
            return self.call(self.net, codes, numbers).unflatten(0, hidden.shape[:-1])

    @property
    def first_layer(self) -> nn.Linear | None:
        """The linear layer that takes all tables and all numbers, put into this order.

        None if there is no such layer, or something passes it by.
        """
        return None if self._first is None else self._first[1]

    @cached_property
    @torch.no_grad()
    def _first(self) -> tuple[int, nn.Linear] | None:
        """How manieth linear layer it is, and the layer; proved on points."""
        if self.embedding is None:
            return None
        generator = torch.Generator().manual_seed(0)
        sizes = (STAND, self.embedding.out_features), (STAND, self.continuous_features)
        e, x = (
            torch.randn(size, generator=generator).to(self.embedding.weights[0]) for size in sizes
        )
        layers: list[nn.Linear | None] = []
        given = torch.cat([e, x], dim=1)
        with Linears(lambda *layer: layers.append(layer_of(*(*layer, None)[:3], given))):
            wanted = self.embedded(e, x)
        for number, layer in enumerate(layers):
            if layer is not None:
                self.__dict__["_first"] = number, layer
                found = self.behind(layer(given))
                if torch.allclose(found, wanted, rtol=1e-4, atol=1e-5):
                    return number, layer
        return None

    @property
    def why_not(self) -> str:
        """Why it has no tables, or no first layer."""
        return self._no_tables or "no linear layer takes all tables and numbers as they are"

    @property
    def _readers(self) -> list[list[tuple[Rule, int]]]:
        """Of each column, the rules and positions that read it."""
        return [
            [(r, j) for r in self.rules for j, column in enumerate(r.columns) if column == c]
            for c in range(len(self.cardinalities))
        ]

    @property
    def _no_tables(self) -> str:
        """Which columns have not exactly one table, and what they have."""
        lines = []
        for name, readers in zip(self.names, self._readers, strict=True):
            if len(readers) != 1 or not readers[0][0].source:
                places = ", ".join(f"{r.source or r.kind} at {r.where}" for r, _ in readers)
                lines.append(f"{name!r} is read by {places or 'nothing'}")
        return "; ".join(lines)

    @cached_property
    def embedding(self) -> SoftEmbedding | None:
        """The tables, frozen, as they are now; None unless each column has exactly one."""
        if self._no_tables:
            return None
        tables: dict[int, Tensor] = {}
        rules = iter(self.rules)

        def handler(lookup: Lookup) -> Any:
            rule = next(rules)
            if rule.layout is not None:
                for c, values in zip(rule.columns, values_of(lookup, rule), strict=True):
                    if c is not None:
                        tables[c] = values.flatten(1)
            return lookup.plain()

        device = next(self.net.parameters()).device
        given = [x.to(device, copy=True) for x in (self.standing, self.numbers)]
        with torch.no_grad(), Watched(handler):
            self.call(self.net, *given)
        made = [nn.Embedding.from_pretrained(tables[c]) for c in range(len(self.cardinalities))]
        return SoftEmbedding.from_embeddings(made).requires_grad_(False).eval()


def put_in(lookup: Lookup, rule: Rule, point: Point) -> Tensor:
    """What a lookup of tables finds if the columns' embeddings are these."""
    shape = values_of(lookup, rule)[0].shape[1:]
    parts = [point[c].unflatten(1, shape) for c in rule.columns]
    found = rule.layout.back(torch.stack(parts, dim=1), lookup.index.shape)
    return lookup.reduce(found) if lookup.reduce is not None else found


def transforming() -> bool:
    """Whether `torch.func` is at work, where numbers cannot be looked at."""
    return torch._C._are_functorch_transforms_active()
