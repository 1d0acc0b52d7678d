"""What it costs to exchange one category in hard rows, behind a folded first layer.

**Formula:** the squared distance of ``net1(one_hot(row with the category put in))``.
**Faster:** the first layer is evaluated once, for the rows as they are; an exchange moves its
output by the difference of two of its folded rows, two additions in place of a product.
Where only the best exchange is wanted, net1 behind its first layer is taken as linear about the row
to tell which few may be it, and only these are evaluated.
**Pays:** always, where net1 folds: `indecater` takes 0.52 and 0.24 of the time of whole rows
through the same folded net1 (10 and 50 columns, one thread), a local search less than a fifth of
that by all exchanges (flights), at losses that differ by less than a five-hundredth.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from tabkit.devices import shares_memory
from tabkit.fast.folding import FoldedLinear

TOGETHER = 1024  # rows that are evaluated together: their hidden layers stay in the cache
AT_ONCE = 2**26  # on a GPU, numbers that are: a quarter of a GiB
SHORTLIST, BACKWARD = 16, 3  # exchanges that are evaluated; a backward pass, in evaluations


@dataclass(frozen=True)
class Exchanges:
    """A function of a column and of the categories that come in to the losses; no gradient."""

    first: FoldedLinear
    behind: Callable[[Tensor], Tensor]  # net1's output from its first layer's
    codes: Int64[Tensor, "B C"]  # of the rows
    hidden: Float[Tensor, "B R"]  # the first layer's output for them
    target: Float[Tensor, "B Z"]  # where net1's output should be

    @torch.no_grad()
    def __call__(
        self, column: int, categories: Int64[Tensor, "B M"] | None = None
    ) -> Float[Tensor, "B M"]:
        """The losses (B, M) with `categories` put into a column; with each in turn if not given."""
        K = self.first.cardinalities[column]
        rows = self._rows(max(1, K if categories is None else categories.shape[1]))
        parts = [part.split(rows) for part in (self.codes, self.hidden, self.target)]
        given = repeat(None) if categories is None else categories.split(rows)
        return torch.cat([self._some(column, *part) for part in zip(given, *parts, strict=False)])

    def _rows(self, each: int, many: int | None = None) -> int:
        """How many rows are evaluated together, of so many exchanges each."""
        if shares_memory(self.hidden.device):
            return max(1, TOGETHER // each)
        return max(1, AT_ONCE // (each * self.hidden.shape[1]) if many is None else many)

    def _some(
        self, column: int, categories: Tensor | None, codes: Tensor, hidden: Tensor, target: Tensor
    ) -> Float[Tensor, "A M"]:
        table = self.first.categories.split(self.first.cardinalities)[column]
        others = (hidden - table[codes[:, column]])[:, None, :]
        outputs = self.behind(others + (table if categories is None else table[categories]))
        return (outputs - target[:, None]).pow(2).sum(dim=2)

    @torch.no_grad()
    def best(
        self, allowed: Bool[Tensor, "B F"], *, shortlist: int = SHORTLIST
    ) -> tuple[Float[Tensor, " B"], Int64[Tensor, " B"]]:
        """The lowest loss that one exchange leads to, and its place, 0 to F - 1.

        At most `shortlist` exchanges of each row are evaluated, of the categories that are allowed.
        """
        Z, F = self.target.shape[1], len(self.first.categories)
        rows = self._rows(1, AT_ONCE // (Z * F))
        parts = [x.split(rows) for x in (self.codes, self.hidden, self.target, allowed)]
        found = [self._best(*part, shortlist) for part in zip(*parts, strict=True)]
        losses, places = zip(*found, strict=True)
        return torch.cat(losses), torch.cat(places)

    def _best(
        self, codes: Tensor, hidden: Tensor, target: Tensor, allowed: Tensor, shortlist: int
    ) -> tuple[Float[Tensor, " A"], Int64[Tensor, " A"]]:
        own = codes + self.first.starts
        guessed = self._predicted(own, hidden, target)
        guessed = guessed.masked_fill(~allowed, torch.inf).scatter(1, own, torch.inf)
        guesses, places = guessed.topk(min(shortlist, guessed.shape[1]), dim=1, largest=False)
        leaving = own.gather(1, self.first.columns[places])  # the categories that make room
        rows = self._rows(8, AT_ONCE // (max(1, places.shape[1]) * hidden.shape[1]))
        few = zip(*(x.split(rows) for x in (places, leaving, hidden)), strict=True)
        outputs = torch.cat([self._moved(*some) for some in few]).view(*places.shape, -1)
        losses = (outputs - target[:, None]).square().sum(dim=2)
        best, which = losses.masked_fill(guesses.isinf(), torch.inf).min(dim=1)
        return best, places.gather(1, which[:, None])[:, 0]

    def _moved(self, come: Tensor, go: Tensor, hidden: Tensor) -> Float[Tensor, "AM Z"]:
        """net1's outputs with one category exchanged; what lies between stays in the cache."""
        moved = self.first.categories.index_select(0, come.flatten())
        moved.sub_(self.first.categories.index_select(0, go.flatten()))
        return self.behind(moved.view(*come.shape, -1).add_(hidden[:, None]).flatten(0, 1))

    def _predicted(
        self, own: Int64[Tensor, "A C"], hidden: Float[Tensor, "A R"], target: Float[Tensor, "A Z"]
    ) -> Float[Tensor, "A F"]:
        """The losses of all exchanges, if net1 behind its first layer were linear."""
        in_turn = shares_memory(hidden.device)
        output, slopes = (self.slopes_in_turn if in_turn else self.slopes_at_once)(hidden)
        moves = slopes @ self.first.categories.T  # (A, Z, F)
        gone = moves.gather(2, own[:, None].expand(-1, moves.shape[1], -1))  # (A, Z, C)
        gone -= (output - target)[:, :, None]
        return moves.sub_(gone.index_select(2, self.first.columns)).square_().sum(dim=1)

    @torch.enable_grad()
    def slopes_in_turn(
        self, hidden: Float[Tensor, "A R"]
    ) -> tuple[Float[Tensor, "A Z"], Float[Tensor, "A Z R"]]:
        """net1's output, and the gradient of each of its numbers, one way back for each."""
        leaf = hidden.detach().requires_grad_()
        output = self.behind(leaf)
        slopes = [torch.autograd.grad(z.sum(), leaf, retain_graph=True)[0] for z in output.T]
        return output.detach(), torch.stack(slopes, dim=1)

    @torch.enable_grad()
    def slopes_at_once(
        self, hidden: Float[Tensor, "A R"]
    ) -> tuple[Float[Tensor, "A Z"], Float[Tensor, "A Z R"]]:
        """The same by one way back of as many copies: more arithmetic, fewer kernels."""
        Z = self.target.shape[1]
        leaf = hidden.detach().repeat(Z, 1).requires_grad_()
        output = self.behind(leaf).unflatten(0, (Z, len(hidden)))  # (Z, A, Z)
        (slopes,) = torch.autograd.grad(output.diagonal(dim1=0, dim2=2).sum(), leaf)
        return output[0].detach(), slopes.unflatten(0, (Z, len(hidden))).transpose(0, 1)
