"""`SquaredDistance`: the loss behind net1 that trains net0."""

from dataclasses import dataclass
from itertools import repeat

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tabkit.nets.encoder import Codes, FoldedEncoder, RowEncoder, Simplex
from tabkit.schema import argmax_codes

EXCHANGES = 1024  # rows that are evaluated together: their hidden layers stay in the cache


@dataclass(frozen=True)
class Exchanges:
    """What it costs to exchange one category in hard rows, behind a folded net1; no gradient.

    The first layer is evaluated once, for the rows as they are; an exchange moves its output by the
    difference of two of its folded rows.

    Attributes
    ----------
    net1 : the folded encoder
    codes : (B, C), the rows
    hidden : (B, R), the first layer's output for them
    target : (B, Z), where net1's output should be
    """

    net1: FoldedEncoder
    codes: Codes
    hidden: Float[Tensor, "B R"]
    target: Float[Tensor, "B Z"]

    @torch.no_grad()
    def __call__(
        self, column: int, categories: Int64[Tensor, "B M"] | None = None
    ) -> Float[Tensor, "B M"]:
        """The losses (B, M) with `categories` put into a column; with each in turn if not given."""
        width = self.net1.embedding.cardinalities[column]
        trials = width if categories is None else categories.shape[1]
        rows = max(1, EXCHANGES // max(1, trials))
        parts = [part.split(rows) for part in (self.codes, self.hidden, self.target)]
        given = repeat(None) if categories is None else categories.split(rows)
        return torch.cat([self._some(column, *part) for part in zip(given, *parts, strict=False)])

    def _some(
        self,
        column: int,
        categories: Int64[Tensor, "A M"] | None,
        codes: Codes,
        hidden: Float[Tensor, "A R"],
        target: Float[Tensor, "A Z"],
    ) -> Float[Tensor, "A M"]:
        outputs = self.net1.behind(self.net1.first.exchanged(hidden, codes, column, categories))
        return (outputs - target[:, None]).pow(2).sum(dim=2)


@dataclass(frozen=True)
class SquaredDistance:
    """Squared distance behind net1 between a predicted row and its target.

    An objective for the estimators: simplex (B, F) -> loss per row (B,). It also takes
    embeddings, by `embedded`, and codes, for the decoded loss; `snap` finds the nearest categories.

    Attributes
    ----------
    net1 : the frozen encoder, folded or not
    continuous : (B, N), net0's continuous outputs, in standard deviations
    target : (B, Z), net1's output for the true row
    codes : (B, C), the true codes, which only the cross-entropy reference reads
    """

    net1: RowEncoder | FoldedEncoder
    continuous: Float[Tensor, "B N"]
    target: Float[Tensor, "B Z"]
    codes: Codes | None = None

    def __call__(self, categorical: Codes | Simplex) -> Float[Tensor, " B"]:
        return self._squared_distance(self.net1(categorical, self.continuous))

    def at(self, index: Int64[Tensor, " A"]) -> "SquaredDistance":
        """The same for some of the rows."""
        codes = None if self.codes is None else self.codes[index]
        return SquaredDistance(self.net1, self.continuous[index], self.target[index], codes)

    def embedded(self, embedded: Float[Tensor, "B CD"]) -> Float[Tensor, " B"]:
        """The loss per row of embeddings (B, C*D)."""
        return self._squared_distance(self.net1.embedded(embedded, self.continuous))

    @torch.no_grad()
    def exchanges(self, codes: Codes) -> Exchanges:
        """What it costs to exchange one category in each of the hard rows."""
        net1 = self.net1.folded()
        return Exchanges(net1, codes, net1.first(codes, self.continuous), self.target)

    @property
    def widths(self) -> tuple[int, ...]:
        """D of each column's embedding."""
        return self.net1.embedding.widths

    def logits(self, embedded: Float[Tensor, "B CD"]) -> Simplex:
        """Minus the squared distances of embeddings to the categories' own."""
        return self.net1.embedding.negative_distances(embedded)

    def snap(self, embedded: Float[Tensor, "B CD"]) -> Float[Tensor, "B CD"]:
        """The embedding of the nearest category in each column."""
        return self.net1.embedding(self.nearest(embedded))

    def nearest(self, embedded: Float[Tensor, "B CD"], *, first_layer: bool = False) -> Codes:
        """The nearest category in each column: in the table, or behind net1's first layer."""
        metrics = self.net1.first_layer_metrics() if first_layer else None
        logits = self.net1.embedding.negative_distances(embedded, metrics)
        return argmax_codes(logits, self.net1.embedding.cardinalities)

    def _squared_distance(self, output: Float[Tensor, "B Z"]) -> Float[Tensor, " B"]:
        return (output - self.target).pow(2).sum(dim=1)
