"""`SquaredDistance`: the loss behind net1 that trains net0."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tabkit import simplex
from tabkit.devices import shares_memory
from tabkit.fast.exchanges import AT_ONCE, BACKWARD, SHORTLIST, TOGETHER, Exchanges
from tabkit.nets import interface
from tabkit.nets.folded import FoldedEncoder, folded
from tabkit.objective import Codes, Exchange, Function, Losses, Objective, Simplex
from tabkit.schema import Rows


@dataclass(frozen=True, eq=False)
class Batch:
    """Some rows, as an objective is made for them.

    Attributes
    ----------
    signal : (B, S), what net0 saw
    continuous : (B, N), the numbers that net0 predicts for them, in standard deviations
    rows : the true rows, where they are known
    index : their positions in the data set, where they have some
    """

    signal: Float[Tensor, "B S"]
    continuous: Float[Tensor, "B N"]
    rows: Rows | None = None
    index: Int64[Tensor, " B"] | None = None


ObjectiveOf = Callable[[Any, Batch], Function | Objective]  # as `fit_predictor` takes it


class SquaredDistance(Objective):
    """Squared distance behind net1 between a predicted row and its target.

    An objective for the estimators, simplex (B, F) -> loss per row (B,), which also takes codes and
    embeddings, finds the nearest categories, and knows what an exchange of one category costs.

    Parameters
    ----------
    net1
        The frozen encoder, folded or not.
    continuous
        (B, N), net0's continuous outputs, in standard deviations.
    target
        (B, Z), net1's output for the true row.
    codes
        (B, C), the true codes, which only cross-entropy reads: the reference, or a `label_weight`.
    """

    def __init__(
        self,
        net1: Any,
        continuous: Float[Tensor, "B N"],
        target: Float[Tensor, "B Z"],
        codes: Codes | None = None,
    ) -> None:
        self.net1, self.continuous, self.target, self.codes = net1, continuous, target, codes
        self.any_order, self.dtype = isinstance(net1, FoldedEncoder), continuous.dtype

    def loss(self, categorical: Codes | Simplex) -> Losses:
        return self.squared(self.net1(categorical, self.continuous))

    def hard(self, codes: Codes, cardinalities: tuple[int, ...]) -> Losses:
        return self.loss(codes)

    def at(self, index: Int64[Tensor, " A"]) -> "SquaredDistance":
        codes = None if self.codes is None else self.codes[index]
        return SquaredDistance(self.net1, self.continuous[index], self.target[index], codes)

    def embedded(self, e: Float[Tensor, "B CD"]) -> Losses:
        return self.squared(interface.embedded(self.net1, e, self.continuous))

    def squared(self, output: Float[Tensor, "B Z"]) -> Losses:
        """The loss of net1's outputs."""
        return (output - self.target).pow(2).sum(dim=1)

    @torch.no_grad()
    def exchanges(self, codes: Codes, cardinalities: tuple[int, ...]) -> Exchange:
        net1 = folded(self.net1)
        if not isinstance(net1, FoldedEncoder):
            return lambda column, categories: self._exchanged(codes, column, categories)
        hidden = net1.first(codes, self.continuous)
        return Exchanges(net1.first, net1.behind, codes, hidden, self.target)

    @torch.no_grad()
    def _exchanged(
        self, codes: Codes, column: int, categories: Int64[Tensor, "B M"]
    ) -> Float[Tensor, "B M"]:
        """The losses of whole rows with `categories` put into a column, by their codes."""
        M, losses = categories.shape[1], []
        many = TOGETHER if shares_memory(codes.device) else AT_ONCE // max(1, codes.shape[1])
        for rows in torch.arange(len(codes), device=codes.device).split(max(1, many // M)):
            changed = codes[rows].repeat_interleave(M, dim=0)
            changed[:, column] = categories[rows].flatten()
            part = self.at(rows.repeat_interleave(M))
            losses.append(part.loss(changed).view(-1, M))
        return torch.cat(losses)

    @torch.no_grad()
    def tried(self, codes: Codes, loss: Losses, cardinalities: tuple[int, ...]) -> Simplex:
        known = self.exchanges(codes, cardinalities)
        if not isinstance(known, Exchanges):
            return super().tried(codes, loss, cardinalities)
        losses = torch.cat([known(column) for column in range(len(cardinalities))], dim=1)
        own = simplex.one_hot(codes, cardinalities) > 0
        return torch.where(own, loss[:, None], losses.to(loss.dtype))

    def best_exchange(
        self, codes: Codes, loss: Losses, cardinalities: tuple[int, ...], allowed: Any
    ) -> tuple[Losses, Int64[Tensor, " B"]]:
        known = self.exchanges(codes, cardinalities)
        few = BACKWARD * self.target.shape[1] + SHORTLIST < sum(cardinalities)
        if few and isinstance(known, Exchanges):
            return known.best(allowed)
        return super().best_exchange(codes, loss, cardinalities, allowed)

    @property
    def widths(self) -> tuple[int, ...]:
        """D of each column's embedding."""
        return self._tables.widths

    @property
    def _tables(self) -> Any:
        return interface.ask(self.net1, "embedding", "the nearest category's embedding")

    def distances(self, e: Float[Tensor, "B CD"]) -> Simplex:
        return self._tables.negative_distances(e)

    def snap(self, e: Float[Tensor, "B CD"]) -> Float[Tensor, "B CD"]:
        return self._tables(self.nearest(e))

    def nearest(self, e: Float[Tensor, "B CD"], *, first_layer: bool = False) -> Codes:
        """The nearest category in each column: in the table, or behind net1's first layer."""
        metrics = interface.first_layer_metrics(self.net1) if first_layer else None
        logits = self._tables.negative_distances(e, metrics)
        return simplex.argmax_codes(logits, interface.cardinalities_of(self.net1))
