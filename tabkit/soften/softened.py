"""`Softened`: a trained net that takes simplexes where it took codes."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from tabkit.embedding import SoftEmbedding
from tabkit.schema import check_codes
from tabkit.simplex import blocks
from tabkit.soften.errors import NotFollowed, place
from tabkit.soften.layers import Linears, layer_of
from tabkit.soften.lookups import Lookup, Watched, integers
from tabkit.soften.mixing import Point, mix, put_in, values_of
from tabkit.soften.probing import Call
from tabkit.soften.rules import Rule, StandIn

Change = Callable[[int, Lookup, Tensor], Tensor]
KEPT, STAND = 8, 13  # numbers of rows for which the stand-ins are kept; rows that stand in


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
        self.standing, self.numbers = standing, numbers
        self._kept: dict[Any, StandIn] = {}
        self._found: dict[str, tuple[Any, Any]] = {}  # what was made of the weights, and of which
        self._modules_of_net = [*net.modules()]
        self._whole = {n: (t, t._version, t.clone()) for n, t in whole_numbers(net)}
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
            if categorical.dim() != 2:
                raise ValueError(f"a simplex is (B, F), not {tuple(categorical.shape)}")
            return self.answered(blocks(categorical, self.cardinalities), continuous)
        check_codes(categorical, self.cardinalities)
        self._check_same()
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
        change: Change | None = None,
    ) -> Tensor:
        """The output for a point, a block (B, K) or codes (B,) of each column.

        `standing` are the codes that the net gets meanwhile, of its own choice if not given;
        `change` may put something else in the place of an answer.
        """
        if len(point[0]) == 0:  # some nets cannot do it with none
            row = [torch.cat([block, block.new_zeros(1, *block.shape[1:])]) for block in point]
            numbers = torch.cat([continuous, continuous.new_zeros(1, continuous.shape[1])])
            return self.answered(row, numbers, embedded=embedded)[:0]
        stand = self._standing(len(point[0]), point[0].device)
        stand = stand if standing is None else StandIn(standing, self.rules)
        still, seen = torch.compiler.is_compiling() or transforming(), count()
        follow, put = partial(self._followed, stand=stand, still=still), put_in if embedded else mix
        if not still:
            self._check_same()
        given = stand.codes.clone(), continuous.clone()  # some nets write into what they get
        with Watched(lambda lookup: follow(next(seen), lookup, put, point, change)):
            output = self.call(self.net, *given)
        if (made := next(seen)) != len(self.rules):
            raise NotFollowed(f"it makes {made} lookups, not {len(self.rules)} as when softened")
        return output

    def _followed(
        self, number: int, lookup: Lookup, put: Any, point: Any, change: Any, *, stand: StandIn,
        still: bool,
    ) -> Any:  # fmt: skip
        """What one lookup gives: `put` in its place, if it is the one that was followed."""
        rule = self.rules[number] if number < len(self.rules) else None
        if rule is None or rule.kind != lookup.kind:
            raise NotFollowed(f"it looks up otherwise than when it was softened, at {place()}")
        if rule.layout is None:
            return lookup.plain()
        if not still and not stand.leads_to(number, lookup.index):
            raise NotFollowed(
                f"it looks up otherwise than when it was softened, at {rule.where}: has it "
                "changed since, or does the index depend on numbers or on how many rows there "
                "are? Remedy: soften it again, on rows such as these"
            )
        found = put(lookup, rule, point)
        return found if change is None else change(number, lookup, found)

    def _check_same(self) -> None:
        """Raises NotFollowed if the net trains, or reads codes through other whole numbers."""
        if torch.compiler.is_compiling():
            return
        for module in self._modules_of_net:  # quicker than to walk the net
            weights = module._parameters.values()
            if module.training or any(p is not None and p.requires_grad for p in weights):
                raise NotFollowed("it trains: call tabkit.freeze(net1)")
        for name, tensor in whole_numbers(self.net) if self._whole else ():
            known = self._whole.get(name)
            if known is None or tensor is not known[0] or tensor._version != known[1]:
                if known is None or not torch.equal(tensor, known[2].to(tensor.device)):
                    raise NotFollowed(f"its {name!r} has changed. Remedy: soften it again")
                self._whole[name] = tensor, tensor._version, known[2]

    def _standing(self, rows: int, device: torch.device) -> "StandIn":
        """The codes that stand in for so many rows."""
        kept = None if torch.compiler.is_compiling() else self._kept.get((rows, device))
        if kept is not None:
            return kept
        codes = self.standing.to(device)[torch.arange(rows, device=device) % len(self.standing)]
        made = StandIn(codes, self.rules)
        if not torch.compiler.is_compiling():
            for rule in self.rules:
                rule.maps = [f.to(device) for f in rule.maps]
            self._kept = dict([*self._kept.items()][1 - KEPT :]) | {(rows, device): made}
        return made

    def _of_now(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` makes of the weights as they are; made again if they have changed."""
        tensors = [*self.net.parameters(), *self.net.buffers()]
        key = [(t.data_ptr(), t._version, t.dtype) for t in tensors]
        if name not in self._found or self._found[name][0] != key:
            with torch.inference_mode(False), torch.no_grad():
                self._found[name] = key, make()
        return self._found[name][1]

    def behind(self, hidden: Float[Tensor, "*B R"]) -> Tensor:
        """The output from the first layer's; TypeError if there is no such layer."""
        if self._first is None:
            raise TypeError(f"what asks for behind() needs net1.first_layer: {self.why_not}")
        self._check_same()
        return self._behind(self._first[0], hidden)

    def _behind(self, number: int, hidden: Float[Tensor, "*B R"]) -> Tensor:
        """The output if this is that of the linear layer of some number."""
        flat, calls = hidden.flatten(0, -2), iter(range(number + 1))
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

    @property
    def _first(self) -> tuple[int, nn.Linear] | None:
        """How manieth linear layer it is, and the layer."""
        return self._of_now("first", self._find_first)

    def _find_first(self) -> tuple[int, nn.Linear] | None:
        """The layer whose inputs are the tables and the numbers, if nothing passes it by."""
        tables = self.embedding
        if tables is None:
            return None
        generator, like = torch.Generator().manual_seed(0), tables.weights[0]
        e = torch.randn(STAND, tables.out_features, generator=generator).to(like)
        x = torch.randn(STAND, self.continuous_features, generator=generator).to(like)
        layers: list[nn.Linear | None] = []
        given = torch.cat([e, x], dim=1)
        with Linears(lambda *layer: layers.append(layer_of(*(*layer, None)[:3], given))):
            self.embedded(e, x)
        real = tables(self.standing.to(like.device)), self.numbers.to(like)
        for number, layer in enumerate(layers):
            if layer is not None:
                tried = [(e, x), (10 * e, 10 * x), (e, 100 * x), real, (e, real[1])]
                if all(self._passes_nothing_by(number, layer, *pair) for pair in tried):
                    return number, layer
        return None

    def _passes_nothing_by(self, number: int, layer: nn.Linear, e: Tensor, x: Tensor) -> bool:
        """Whether the layer's output is all that the rest of the net needs."""
        wanted = self.embedded(e, x)
        found = self._behind(number, layer(torch.cat([e, x], dim=1)))
        return torch.allclose(found, wanted, rtol=1e-4, atol=1e-5)

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

    @property
    def embedding(self) -> SoftEmbedding | None:
        """The tables, frozen, as they are now; None unless each column has exactly one."""
        return None if self._no_tables else self._of_now("embedding", self._find_tables)

    def _find_tables(self) -> SoftEmbedding:
        """What each column's lookup holds for its categories."""
        tables: dict[int, Tensor] = {}
        rules = iter(self.rules)

        def handler(lookup: Lookup) -> Any:
            rule = next(rules)
            if rule.layout is not None:
                for c, values in zip(rule.columns, values_of(lookup, rule), strict=True):
                    if c is not None:
                        tables[c] = values.flatten(1)
            return lookup.plain()

        like = next((p for p in self.net.parameters() if p.is_floating_point()), self.numbers)
        given = self.standing.to(like.device, copy=True), self.numbers.to(like, copy=True)
        with Watched(handler):
            self.call(self.net, *given)
        made = [nn.Embedding.from_pretrained(tables[c]) for c in range(len(self.cardinalities))]
        return SoftEmbedding.from_embeddings(made).requires_grad_(False).eval()


def whole_numbers(net: nn.Module) -> list[tuple[str, Tensor]]:
    """The net's tensors of integers, by name."""
    return [(name, t) for name, t in net.named_buffers() if integers(t)]


def transforming() -> bool:
    """Whether `torch.func` is at work, where numbers cannot be looked at."""
    return torch._C._are_functorch_transforms_active()
