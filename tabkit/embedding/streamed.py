"""Which categories of very many stand for all: the likeliest exactly, others by a weighted draw.

The logits are read in chunks of columns and kept as one number a *block* of neighbouring
categories. The likeliest k lie in the k blocks with the largest maxima, and a draw first draws its
block: afterwards only the blocks that matter are read again. So nothing here needs a probability,
a random number or even a logit for every category at once.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

PROPOSALS = ("probability", "uniform")
CHUNK = 2**20  # numbers that are worked on at once: fits the caches of most machines


@dataclass(frozen=True, eq=False)
class GivenLogits:
    """Logits of B rows over K categories that lie in memory, read in parts at temperature tau."""

    values: Float[Tensor, "B K"]
    tau: float

    @property
    def B(self) -> int:  # noqa: N802
        return self.values.shape[0]

    @property
    def K(self) -> int:  # noqa: N802
        return self.values.shape[1]

    def columns(self, start: int, stop: int) -> Float[Tensor, "B _"]:
        """Those of the categories from `start` to below `stop`."""
        return tempered(self.values[:, start:stop], self.tau)

    def at(self, codes: Int64[Tensor, "B n"]) -> Float[Tensor, "B n"]:
        """Those of each row's own categories."""
        return tempered(self.values.gather(1, codes), self.tau)


@dataclass(frozen=True, eq=False)
class LinearLogits:
    """Logits that a linear layer would give: worked out where they are asked for."""

    hidden: Float[Tensor, "B H"]
    linear: torch.nn.Linear
    tau: float

    @property
    def B(self) -> int:  # noqa: N802
        return len(self.hidden)

    @property
    def K(self) -> int:  # noqa: N802
        return self.linear.out_features

    def columns(self, start: int, stop: int) -> Float[Tensor, "B _"]:
        bias = None if self.linear.bias is None else self.linear.bias[start:stop]
        logits = functional.linear(self.hidden, self.linear.weight[start:stop], bias)
        return tempered(logits, self.tau)

    def at(self, codes: Int64[Tensor, "B n"]) -> Float[Tensor, "B n"]:
        rows = max(1, 4 * CHUNK // max(1, codes.shape[1] * self.hidden.shape[1]))
        pairs = zip(self.hidden.split(rows), codes.split(rows), strict=True)
        return torch.cat([self._at(hidden, part) for hidden, part in pairs])

    def _at(self, hidden: Float[Tensor, "b H"], codes: Int64[Tensor, "b n"]) -> Tensor:
        weight = functional.embedding(codes, self.linear.weight)  # (b, n, H)
        logits = torch.bmm(weight, hidden[:, :, None]).squeeze(2)
        if self.linear.bias is not None:
            logits = logits + self.linear.bias[codes]
        return tempered(logits, self.tau)


def tempered(logits: Float[Tensor, "B n"], tau: float) -> Float[Tensor, "B n"]:
    """Logits at temperature tau, in float32 at least."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return logits if tau == 1 else logits / tau


Logits = GivenLogits | LinearLogits


@dataclass(frozen=True, eq=False)
class Choice:
    """What stands for all categories of each row.

    Attributes
    ----------
    codes : (B, k + m), the likeliest k, then m draws among the others, with replacement
    weights : (B, k + m), the probabilities of the first, and for a draw its probability over the
        expected number of times that it is drawn: the sum of ``weight * f(code)`` has the
        expectation ``sum p f`` for every f
    log_normaliser : (B, 1), exact: the logsumexp over all K
    """

    codes: Int64[Tensor, "B n"]
    weights: Float[Tensor, "B n"]
    log_normaliser: Float[Tensor, "B 1"]


@torch.no_grad()
def choose(
    logits: Logits,
    k: int,
    m: int,
    *,
    proposal: str,
    stratified: bool,
    generator: torch.Generator | None,
    validate: bool = True,
) -> Choice:
    """The likeliest k categories of each row and m random others; k + m is below K.

    Stratified draws take one point of each m-th of the distribution function, in the order of the
    codes: every category is drawn as often as by independent draws, on average, and the variance
    is never larger; but two of them are not independent.

    Raises
    ------
    ValueError
        If a logit is NaN or plus infinity, or a row's logits are all minus infinity.
    """
    width = block_width(logits.K, k + m)
    largest, mass = block_statistics(logits, width)
    normaliser = mass.logsumexp(dim=1, keepdim=True)
    if validate:
        check_normaliser(normaliser)
    blocks = largest.topk(min(k, largest.shape[1]), dim=1).indices
    inside = read_blocks(logits, blocks, width)  # (B, blocks, width)
    top = inside.flatten(1).topk(k, dim=1)
    codes = (blocks[:, :, None] * width + torch.arange(width, device=blocks.device)).flatten(1)
    codes = codes.gather(1, top.indices)
    shares = (top.values - normaliser).exp()
    if not m:
        return Choice(codes, shares, normaliser)
    positions = unit_positions(shares, m, stratified, generator)
    if proposal == "uniform":
        drawn = uniform_others(codes, logits.K, positions)
        weights = (logits.at(drawn) - normaliser).exp() * ((logits.K - k) / m)
    else:
        others = inside.flatten(1).scatter(1, top.indices, -math.inf).unflatten(1, (-1, width))
        mass = mass.scatter(1, blocks, others.logsumexp(dim=2))
        drawn, rest = probable_others(logits, codes, mass - normaliser, width, positions)
        weights = (rest / m).to(shares.dtype).expand(-1, m)
    return Choice(torch.cat([codes, drawn], 1), torch.cat([shares, weights], 1), normaliser)


def block_width(K: int, n: int) -> int:
    """A power of two near ``sqrt(K / n)``: about as many blocks as categories in n of them.

    32 at least, which the processor takes at one go.
    """
    return 2 ** max(5, round(math.log2(K / n) / 2))


def block_statistics(
    logits: Logits, width: int
) -> tuple[Float[Tensor, "B blocks"], Float[Tensor, "B blocks"]]:
    """The largest logit of each block and its logsumexp."""
    step = max(1, CHUNK // max(1, logits.B) // width) * width
    largest, mass = [], []
    for start in range(0, logits.K, step):
        part = logits.columns(start, min(start + step, logits.K))
        if part.shape[1] % width:
            part = functional.pad(part, (0, -part.shape[1] % width), value=-math.inf)
        part = part.unflatten(1, (-1, width))
        top = part.amax(dim=2)
        shift = top.masked_fill(top.isneginf(), 0.0)  # of a block that allows nothing
        largest.append(top)
        mass.append((part - shift[:, :, None]).exp_().sum(dim=2).log_().add_(shift))
    return torch.cat(largest, 1), torch.cat(mass, 1)


def check_normaliser(normaliser: Float[Tensor, "B 1"]) -> None:
    """A logit that cannot be used leaves its trace here: B numbers to check in place of B K.

    Raises
    ------
    ValueError
        Naming the first bad row.
    """
    bad = ~normaliser.isfinite()
    if bad.any():
        row = int(bad.flatten().nonzero()[0])
        if normaliser[row].isneginf():
            raise ValueError(
                f"row {row} has no allowed category: all of its logits are minus infinity"
            )
        raise ValueError(f"row {row} has a logit that is NaN or plus infinity")


def read_blocks(
    logits: Logits, blocks: Int64[Tensor, "B n"], width: int
) -> Float[Tensor, "B n width"]:
    """The logits of whole blocks: the lowest number where not allowed, -inf beyond the last."""
    codes = blocks[:, :, None] * width + torch.arange(width, device=blocks.device)
    found = logits.at(codes.clamp(max=logits.K - 1).flatten(1)).view(codes.shape)
    found = found.clamp(min=torch.finfo(found.dtype).min)
    return found.masked_fill_(codes >= logits.K, -math.inf)


def unit_positions(
    like: Float[Tensor, "B _"], m: int, stratified: bool, generator: torch.Generator | None
) -> Float[Tensor, "B m"]:
    """Points of [0, 1), in double precision: float32 could not tell a million categories apart."""
    shape, device = (len(like), m), like.device
    points = torch.rand(shape, generator=generator, dtype=torch.float64, device=device)
    return (points + torch.arange(m, device=device)) / m if stratified else points


def uniform_others(
    top: Int64[Tensor, "B k"], K: int, positions: Float[Tensor, "B m"]
) -> Int64[Tensor, "B m"]:
    """Categories at `positions` among those that are not in `top`, each as likely: no rejection.

    The r-th of the others is r plus the number of top categories before it.
    """
    others = K - top.shape[1]
    rank = (positions * others).long().clamp_(max=others - 1)
    ahead = top.sort(dim=1).values - torch.arange(top.shape[1], device=top.device)
    return rank + torch.searchsorted(ahead, rank, right=True)


def probable_others(
    logits: Logits,
    top: Int64[Tensor, "B k"],
    log_mass: Float[Tensor, "B blocks"],
    width: int,
    positions: Float[Tensor, "B m"],
) -> tuple[Int64[Tensor, "B m"], Float[Tensor, "B 1"]]:
    """Categories drawn in proportion to their probability, none in `top`, and their joint mass.

    By the inverse distribution function, first of the blocks, then within one. `log_mass` is that
    of each block without `top`. If all mass lies in `top`, codes are arbitrary and the mass is 0.
    """
    mass = log_mass.double().exp()
    steps = mass.cumsum(dim=1)
    rest = steps[:, -1:]
    block = invert(steps, positions * rest)
    before = (steps - mass).gather(1, block)
    within = ((positions * rest - before) / mass.gather(1, block)).nan_to_num(0.0).clamp(min=0.0)
    inside = without(read_blocks(logits, block, width), top, block, width)
    inside = (inside - inside.amax(dim=2, keepdim=True)).double().exp()
    steps = inside.nan_to_num_(0.0).cumsum(dim=2)
    place = invert(steps, within[:, :, None] * steps[:, :, -1:]).squeeze(2)
    return (block * width + place).clamp_(max=logits.K - 1), rest


def invert(steps: Float[Tensor, "*S n"], position: Float[Tensor, "*S m"]) -> Int64[Tensor, "*S m"]:
    """Where a distribution function passes `position`: always at something that has mass."""
    below_all = torch.nextafter(steps[..., -1:], torch.zeros_like(steps[..., -1:]))
    found = torch.searchsorted(steps, torch.minimum(position, below_all), right=True)
    return found.clamp_(max=steps.shape[-1] - 1)


def without(
    inside: Float[Tensor, "B m width"],
    top: Int64[Tensor, "B k"],
    block: Int64[Tensor, "B m"],
    width: int,
) -> Float[Tensor, "B m width"]:
    """The logits of blocks, with -inf where a category is in `top`."""
    place = top[:, None, :] - block[:, :, None] * width  # (B, m, k)
    place = place.where((place >= 0) & (place < width), width)  # a spare place for the others
    return functional.pad(inside, (0, 1)).scatter_(2, place, -math.inf)[:, :, :-1]
