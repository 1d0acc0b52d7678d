"""`counterfactual`: the smallest change of a row's categories that turns a frozen net's verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from tabkit.objective import Function, Objective
from tabkit.schema import check_cardinalities, check_codes, check_mask
from tabkit.simplex import one_hot, slices

WAYS = ("search", "gradient")
Row = Int64[Tensor, " C"]
Many = Int64[Tensor, "M C"]
Exchange = tuple[int, int]  # a column, and the category that comes in


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """A changed row, and how it was found.

    Attributes
    ----------
    columns : those that were changed, in order
    codes : (C,), of the changed row; of the one that came nearest if none turned the verdict
    before, after : the score of the row and of the changed one
    turned : whether the two lie on different sides of the threshold
    smallest : whether it is known that no change of fewer columns turns it
    evaluations : of rows; a gradient counts as one
    """

    columns: tuple[int, ...]
    codes: Row
    before: float
    after: float
    turned: bool
    smallest: bool
    evaluations: int


def counterfactual(
    score: Function | Objective,
    codes: Row,
    cardinalities: tuple[int, ...],
    *,
    by: str = "search",
    threshold: float | int = 0.0,
    allowed: Bool[Tensor, " F"] | None = None,
    affordable: int = 20_000,
) -> Counterfactual:
    """The smallest change of categories after which a score lies on the other side of a threshold.

    The verdict is ``score > threshold``. Of changes of equally many columns, the one that goes
    farthest.

    Parameters
    ----------
    score
        Simplex (B, F) -> a score per row (B,), such as a frozen net's with this row's numbers:
        ``lambda s: net1(s, numbers.expand(len(s), -1)).squeeze(1)``.
    by
        ``"search"``: all exchanges of one category, then of two if there are not more than
        about `affordable`, then one after the other, each the best of its round, until the verdict
        turns. ``"gradient"``: one gradient at the row ranks the exchanges by what they would change
        if the score were linear; the best of each column are made one after the other, and
        evaluated. Either way, what proves needless is taken back.
    allowed
        (F,), the categories that may come in; all if not given.

    Raises
    ------
    DataError
        If a code is out of range.
    ValueError
        If there is no such way, the threshold or the row's score is not finite, that of a changed
        row is NaN, the score has no gradient where one is needed, or it does not return one score
        per row.
    TypeError
        If `allowed` is no tensor of bool.

    Examples
    --------
    >>> price = torch.tensor([0.0, 3.0, 0.0, 1.0, 2.0])
    >>> found = counterfactual(lambda s: s @ price - 2.5, torch.tensor([0, 0]), (2, 3))
    >>> found.columns, found.codes, found.after
    ((0,), tensor([1, 0]), 0.5)
    """
    if by not in WAYS:
        raise ValueError(f"by must be one of {', '.join(WAYS)}, not {by!r}")
    if not math.isfinite(threshold):
        raise ValueError(f"the threshold must be a finite number, not {threshold}")
    check_codes(codes[None], check_cardinalities(cardinalities))
    if allowed is None:
        allowed = torch.ones(sum(cardinalities), dtype=torch.bool, device=codes.device)
    check_mask(allowed, sum(cardinalities))
    asked = _Asked(score, codes, cardinalities, threshold)
    exchanges = [
        (column, k)
        for column, place in enumerate(slices(cardinalities))
        for k in allowed[place].nonzero().flatten().tolist()
        if k != codes[column]
    ]
    if by == "search":
        found, below = _search(asked, exchanges, affordable)
    else:
        found, below = _by_gradient(asked, exchanges), 0
    found, after = _taken_back(asked, found)
    columns = tuple((found != codes).nonzero().flatten().tolist())
    turned = (after > threshold) != (asked.before > threshold)
    proven = turned and len(columns) <= below + 1
    return Counterfactual(columns, found, asked.before, after, turned, proven, asked.count)


class _Asked:
    """The score of rows, counted; `gain` is how far it goes towards the other side."""

    def __init__(
        self, score: Function | Objective, codes: Row, K: tuple[int, ...], threshold: float | int
    ) -> None:
        self.score, self.codes, self.K, self.threshold = Objective.of(score), codes, K, threshold
        self.sign, self.count = 1.0, 0
        self.before = self.gain(codes[None])[0].item()
        if not math.isfinite(self.before):
            raise ValueError(f"the row's score is {self.before}: there is no verdict to turn")
        self.sign = -1.0 if self.before > threshold else 1.0

    @torch.no_grad()
    def gain(self, rows: Many) -> Float[Tensor, " M"]:
        self.count += len(rows)
        scores = self.score.hard(rows, self.K)
        for row in scores.isnan().nonzero()[:1, 0].tolist():
            raise ValueError(f"the score of the row {rows[row].tolist()} is NaN: it has no verdict")
        return self.sign * scores

    def turns(self, gain: float) -> bool:
        return (self.sign * gain > self.threshold) != (self.before > self.threshold)

    def best(self, row: Row, changes: Sequence[Sequence[Exchange]]) -> tuple[Row, float]:
        """The row with one of the changes that goes farthest, and how far."""
        columns, codes = torch.tensor(changes, device=row.device).unbind(dim=2)
        rows = row.repeat(len(changes), 1).scatter_(1, columns, codes)
        gain, place = self.gain(rows).max(dim=0)
        return rows[place], gain.item()


def _search(asked: _Asked, exchanges: list[Exchange], affordable: int) -> tuple[Row, int]:
    """A row, and how many changed columns are known not to be enough."""
    few = len(exchanges) ** 2 <= 2 * affordable
    pairs = combinations(exchanges, 2) if few else ()
    singles, row = [(one,) for one in exchanges], asked.codes
    gain, known = asked.sign * asked.before, 0
    for changes in (singles, [(a, b) for a, b in pairs if a[0] != b[0]]):
        if changes:
            row, gain = asked.best(asked.codes, changes)
            if asked.turns(gain):
                break
            known += 1
    while singles and not asked.turns(gain):
        after, more = asked.best(row, singles)
        if not more > gain:
            break
        row, gain = after, more
    return row, known


def _by_gradient(asked: _Asked, exchanges: list[Exchange]) -> Row:
    """The first row that turns it, of the best exchange, the best two in two columns, and so on."""
    point = one_hot(asked.codes[None], asked.K, asked.score.dtype).requires_grad_()
    score = asked.score(point)
    asked.count += 1
    if not score.requires_grad:
        raise ValueError('the score has no gradient: take by="search"')
    slope = torch.autograd.grad(score.sum(), point)[0][0].split(list(asked.K))
    own = [block[k] for block, k in zip(slope, asked.codes.tolist(), strict=True)]
    promised = {(c, k): asked.sign * (slope[c][k] - own[c]).item() for c, k in exchanges}
    rising = sorted(exchanges, key=promised.get)
    best = sorted({c: (c, k) for c, k in rising}.values(), key=promised.get, reverse=True)
    row, most = asked.codes, asked.sign * asked.before
    for count in range(1, len(best) + 1):
        tried, gain = asked.best(asked.codes, [best[:count]])
        if gain > most:
            row, most = tried, gain
        if asked.turns(gain):
            break
    return row


def _taken_back(asked: _Asked, row: Row) -> tuple[Row, float]:
    """The row without the changes that it does not need to turn the verdict; its score."""
    gain = asked.gain(row[None])[0].item()
    while asked.turns(gain):
        changed = (row != asked.codes).nonzero().flatten().tolist()
        fewer, left = asked.best(row, [((c, int(asked.codes[c])),) for c in changed])
        if not asked.turns(left):
            break
        row, gain = fewer, left
    return row, asked.sign * gain
