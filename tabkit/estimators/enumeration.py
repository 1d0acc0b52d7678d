"""Estimators that try categories out: the whole joint table, or one column at a time."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.estimators.registry import (
    Bias,
    ExchangingObjective,
    LogitEstimator,
    Objective,
    attach_gradient,
    probabilities,
    register,
    sample_rows,
)
from tabkit.relaxations import Knob, check_count, sample_one_hot
from tabkit.schema import argmax_codes, map_blocks


@register("exact")
@dataclass(kw_only=True)
class Exact(LogitEstimator):
    """The expected loss itself, summed over every row that there can be.

    Its value is that expectation under softmax(logits), columns independent.

    Gradient
    --------
    Exact.

    Raises
    ------
    ValueError
        If the joint table, the product of the cardinalities, has more than `limit` rows.
    """

    limit: Knob = 10_000

    gradient: ClassVar[str] = "exact, of the expected loss"
    bias: ClassVar[Bias] = "exact"
    source: ClassVar[str] = "enumeration"

    def __post_init__(self) -> None:
        self.limit = check_count(self.limit, "limit")

    def evaluations(self, cardinalities: Sequence[int]) -> int:
        count = math.prod(cardinalities)
        if count > self.limit:
            raise ValueError(
                f"the joint table of these {len(cardinalities)} columns has {count:,} rows, more "
                f"than limit={self.limit:,}: choose indecater, which is unbiased, or raise it"
            )
        return count

    def estimate(
        self,
        logits: Float[Tensor, "B F"],
        objective: Objective,
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, ""]:
        self.evaluations(cardinalities)  # refuses a table that is too big
        expected = torch.zeros_like(logits[:, 0])
        for hot, log_chance in joint_rows(logits, cardinalities):
            expected = expected + log_chance.exp() * objective(hot)
        return expected.mean()


def joint_rows(
    logits: Float[Tensor, "B F"], cardinalities: Sequence[int]
) -> Iterator[tuple[Float[Tensor, "B F"], Float[Tensor, " B"]]]:
    """Every row of the joint table, as a one-hot for all B, with its log-chance in each."""
    log_p = map_blocks(lambda block: block.log_softmax(dim=1), cardinalities, logits)
    for codes in itertools.product(*(range(k) for k in cardinalities)):
        columns = zip(block_slices(cardinalities), codes, strict=True)
        places = [block.start + code for block, code in columns]
        hot = torch.zeros_like(logits)
        hot[:, places] = 1.0
        yield hot, log_p[:, places].sum(dim=1)


@register("indecater")
@dataclass(kw_only=True)
class IndeCateR(LogitEstimator):
    """Exact over one column at a time, the other columns sampled (local expectation gradients).

    A row is drawn; then, for each column, each of its other categories is put in its place. Several
    `samples` are averaged.

    Gradient
    --------
    Unbiased, of low variance; exact for one column, and for a sum of losses of single columns.

    Source
    ------
    Titsias and Lazaro-Gredilla 2015, NeurIPS, "Local expectation gradients for black box
    variational inference"; De Smet, Sansone and Zuidberg Dos Martires 2023, arXiv:2311.12569.
    """

    samples: Knob = 1

    gradient: ClassVar[str] = "unbiased: exact in each column, the others sampled"
    bias: ClassVar[Bias] = "unbiased"
    source: ClassVar[str] = "De Smet et al. 2023, arXiv:2311.12569; Titsias 2015"

    def __post_init__(self) -> None:
        self.samples = check_count(self.samples, "samples")

    def evaluations(self, cardinalities: Sequence[int]) -> int:
        return self.samples * (1 + sum(cardinalities) - len(cardinalities))

    def estimate(
        self,
        logits: Float[Tensor, "B F"],
        objective: Objective,
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, ""]:
        losses, gradients = [], []
        p = probabilities(logits, cardinalities)
        for _ in range(self.samples):
            row = sample_rows(logits, cardinalities, generator)
            losses.append(objective(row))
            if torch.is_grad_enabled():
                tried = try_columns(row, losses[-1].detach(), objective, cardinalities)
                gradients.append(softmax_gradient(p, tried, cardinalities))
        loss = torch.stack(losses).mean()
        if not gradients:
            return loss
        return attach_gradient(loss, logits, torch.stack(gradients).mean(dim=0))


@torch.no_grad()
def try_columns(
    row: Float[Tensor, "B F"],
    loss: Float[Tensor, " B"],
    objective: Objective,
    cardinalities: Sequence[int],
) -> Float[Tensor, "B F"]:
    """The loss of each hard row with one category exchanged, by the category that comes in.

    Where the category is the row's own it is `loss`, which is not evaluated again. An
    `ExchangingObjective` is asked for exchanges, which is faster than whole rows.
    """
    if isinstance(objective, ExchangingObjective):
        exchange = objective.exchanges(argmax_codes(row, cardinalities))
        losses = torch.cat([exchange(c) for c in range(len(cardinalities))], dim=1)
        return torch.where(row > 0, loss[:, None], losses.to(row.dtype))
    tried = row * loss[:, None]
    for place in block_slices(cardinalities):
        block, changed = row[:, place], row.clone()
        for shift in range(1, block.shape[1]):
            changed[:, place] = block.roll(shift, dims=1)
            tried[:, place] += changed[:, place] * objective(changed)[:, None]
    return tried


def exchanger(
    row: Float[Tensor, "B F"], objective: Objective, cardinalities: Sequence[int]
) -> Callable[[int, Float[Tensor, "B K"]], Float[Tensor, " B"]]:
    """A function of a column and a vertex (B, K) to the losses of the rows with that put in."""
    if isinstance(objective, ExchangingObjective):
        exchange = objective.exchanges(argmax_codes(row, cardinalities))
        return lambda column, hot: exchange(column, hot.argmax(dim=1, keepdim=True))[:, 0]
    places = block_slices(cardinalities)

    def replaced(column: int, hot: Float[Tensor, "B K"]) -> Float[Tensor, " B"]:
        changed = row.clone()
        changed[:, places[column]] = hot
        return objective(changed)

    return replaced


def block_slices(cardinalities: Sequence[int]) -> list[slice]:
    """Where each column's block lies."""
    return [
        slice(end - k, end)
        for end, k in zip(itertools.accumulate(cardinalities), cardinalities, strict=True)
    ]


def softmax_gradient(
    p: Float[Tensor, "B F"], values: Float[Tensor, "B F"], cardinalities: Sequence[int]
) -> Float[Tensor, "B F"]:
    """The softmax's Jacobian times values, block by block: ``p (v - <p, v>)``."""

    def product(p: Tensor, v: Tensor) -> Tensor:
        return p * (v - (p * v).sum(dim=1, keepdim=True))

    return map_blocks(product, cardinalities, p, values)


@register("top_k_sample")
@dataclass(kw_only=True)
class TopKSample(LogitEstimator):
    """In each column the k likeliest categories are tried, and one sample of the rest.

    The other columns keep a sampled row's categories, as in `IndeCateR`, and that row's loss is the
    baseline. The rest's sample stands for the rest's whole chance.

    Gradient
    --------
    Unbiased.

    Deviations
    ----------
    The paper treats one categorical variable; here each column is one, given the others' sample.
    """

    k: Knob = 1

    gradient: ClassVar[str] = "unbiased: the top k of each column and one sample of the rest"
    bias: ClassVar[Bias] = "unbiased"
    source: ClassVar[str] = "Liu et al. 2019, arXiv:1810.04777"

    def __post_init__(self) -> None:
        self.k = check_count(self.k, "k")

    def evaluations(self, cardinalities: Sequence[int]) -> int:
        return 1 + sum(min(self.k + 1, width) for width in cardinalities if width > 1)

    def estimate(
        self,
        logits: Float[Tensor, "B F"],
        objective: Objective,
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, ""]:
        row = sample_rows(logits, cardinalities, generator)
        loss = objective(row)
        if not torch.is_grad_enabled():
            return loss.mean()
        replaced = exchanger(row, objective, cardinalities)
        parts = []
        for column, place in enumerate(block_slices(cardinalities)):

            def excess(hot: Tensor, column: int = column) -> Float[Tensor, " B"]:
                return replaced(column, hot) - loss

            parts.append(self._column(logits.detach()[:, place], excess, generator))
        return attach_gradient(loss.mean(), logits, torch.cat(parts, dim=1))

    @torch.no_grad()
    def _column(
        self, logits: Float[Tensor, "B K"], excess: Objective, generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        """Chance times score times excess loss, summed over what is tried in one column."""
        p, width = logits.softmax(dim=1), logits.shape[1]
        gradient, rest = torch.zeros_like(p), torch.ones_like(p)
        if width == 1:
            return gradient
        k = min(self.k, width)
        for place in logits.topk(k, dim=1).indices.split(1, dim=1):
            hot = torch.zeros_like(p).scatter_(1, place, 1.0)
            chance = (p * hot).sum(dim=1, keepdim=True)
            gradient += chance * (hot - p) * excess(hot)[:, None]
            rest -= hot
        if k < width:
            chance = (p * rest).sum(dim=1, keepdim=True)
            lowered = torch.where(rest > 0, logits, -torch.inf)
            hot = sample_one_hot(lowered, generator)
            gradient += chance * (hot - p) * excess(hot)[:, None]
        return gradient
