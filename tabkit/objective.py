"""`Objective`: what a row costs. Any function of a simplex is one; some know more of their rows."""

import copy
from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from tabkit.simplex import one_hot, slices

Codes = Int64[Tensor, "B C"]
Simplex = Float[Tensor, "B F"]
Losses = Float[Tensor, " B"]
Function = Callable[[Simplex], Losses]
Exchange = Callable[..., Float[Tensor, "B M"]]


class Objective:
    """A loss per row: simplex (B, F) -> (B,).

    Wherever one is asked for, a plain function will do, and is wrapped by this class. A subclass
    (`tabkit.SquaredDistance`) may know more: the true codes of its rows, the loss of an embedding,
    what an exchange of one category costs. What it lacks is a sentence when it is needed.

    Attributes
    ----------
    codes : (B, C), the true codes, or None
    any_order : whether it takes simplexes as they are, of any memory order, and leaves them so;
        others get a copy of their own, row by row in memory, which they may change in place

    Raises
    ------
    ValueError
        When called, if the function does not return one loss per row.

    Examples
    --------
    >>> cost = Objective(lambda simplex: simplex @ torch.tensor([0.0, 4.0]))
    >>> cost(torch.tensor([[0.5, 0.5]]))
    tensor([2.])
    >>> cost.hard(torch.tensor([[1]]), [2])
    tensor([4.])
    """

    codes: Codes | None = None
    any_order: bool = False
    dtype: torch.dtype | None = None

    def __init__(self, function: Function) -> None:
        self.function = function

    @staticmethod
    def of(function: "Function | Objective") -> "Objective":
        """The objective itself, or a function as one."""
        return function if isinstance(function, Objective) else Objective(function)

    def __call__(self, simplex: Simplex | Int64[Tensor, "B C"]) -> Losses:
        given = simplex.to(self.dtype) if self.dtype and simplex.is_floating_point() else simplex
        if not self.any_order:  # a copy, row by row: whatever a function does to it is its own
            given = given.clone(memory_format=torch.contiguous_format)
        loss = self.loss(given)
        if loss.shape != simplex.shape[:1]:
            raise ValueError(
                f"an objective returns one loss per row, of shape ({len(simplex)},), not "
                f"{tuple(loss.shape)}: squeeze it, and do not average over rows"
            )
        return loss

    def loss(self, simplex: Simplex) -> Tensor:
        """The loss per row; a call checks that it is one."""
        return self.function(simplex)

    def typed(self, dtype: torch.dtype) -> "Objective":
        """The same, but simplexes reach it in a type."""
        found = copy.copy(self)
        found.dtype = dtype
        return found

    def hard(self, codes: Codes, cardinalities: Sequence[int]) -> Losses:
        """The loss of hard rows."""
        return self(one_hot(codes, cardinalities, self.dtype))

    def at(self, index: Int64[Tensor, " A"]) -> "Objective | None":
        """The same for some of the rows; None if it cannot be parted."""

    def embedded(self, embedded: Float[Tensor, "B CD"]) -> Losses:
        """The loss per row of embeddings (B, C*D)."""
        raise TypeError(
            f"{self.name} takes no embeddings: this needs an objective with a method "
            "embedded(e), such as tabkit.SquaredDistance"
        )

    def distances(self, embedded: Float[Tensor, "B CD"]) -> Simplex:
        """Minus the squared distances of embeddings to the categories' own."""
        raise TypeError(
            f"{self.name} knows no embedding tables: this needs an objective with a method "
            "distances(e), such as tabkit.SquaredDistance"
        )

    def snap(self, embedded: Float[Tensor, "B CD"]) -> Float[Tensor, "B CD"]:
        """The embedding of the nearest category in each column."""
        self.distances(embedded)
        raise TypeError(f"{self.name} has no method snap(e), which looks categories up")

    @torch.no_grad()
    def exchanges(self, codes: Codes, cardinalities: Sequence[int]) -> Exchange:
        """What it costs to exchange one category in hard rows.

        A function of a column and of the categories (B, M) that come in to the losses (B, M).
        """
        return partial(self._exchanged, one_hot(codes, cardinalities, self.dtype), cardinalities)

    @torch.no_grad()
    def _exchanged(
        self,
        row: Simplex,
        cardinalities: Sequence[int],
        column: int,
        categories: Int64[Tensor, "B M"],
    ) -> Float[Tensor, "B M"]:
        losses, changed, place = [], row.clone(), slices(cardinalities)[column]
        for category in categories.split(1, dim=1):
            changed[:, place] = one_hot(category, [cardinalities[column]], row.dtype)
            losses.append(self(changed))
        return torch.stack(losses, dim=1)

    @torch.no_grad()
    def tried(self, codes: Codes, loss: Losses, cardinalities: Sequence[int]) -> Simplex:
        """The loss of each hard row with one category exchanged, by the category that comes in.

        Where the category is the row's own it is `loss`.
        """
        tried, exchange = [], self.exchanges(codes, cardinalities)
        for column, K in enumerate(cardinalities):
            own = codes[:, column, None]
            others = torch.arange(K - 1, device=codes.device)
            others = others + (others >= own)  # (B, K - 1)
            losses = loss[:, None].repeat(1, K)
            if K > 1:
                losses.scatter_(1, others, exchange(column, others).to(losses))
            tried.append(losses)
        return torch.cat(tried, dim=1)

    def best_exchange(
        self, codes: Codes, loss: Losses, cardinalities: Sequence[int], allowed: Bool[Tensor, "B F"]
    ) -> tuple[Losses, Int64[Tensor, " B"]]:
        """The lowest loss that one exchange leads to, and its place, 0 to F - 1."""
        tried = self.tried(codes, loss, cardinalities).masked_fill(~allowed, torch.inf)
        return tuple(tried.min(dim=1))

    @property
    def name(self) -> str:
        """How messages call it."""
        own = type(self) is Objective
        return getattr(self.function, "__name__", "the function") if own else type(self).__name__
