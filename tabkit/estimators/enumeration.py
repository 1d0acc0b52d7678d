"""Estimators that try categories out: the whole joint table, or one column at a time."""

import itertools
import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.estimators.door import Count, Logits, Noise, Scalar, Simplex, with_gradient
from tabkit.estimators.registry import estimator
from tabkit.estimators.sampled import drawn
from tabkit.fast import jacobian_product, softmax
from tabkit.objective import Objective
from tabkit.simplex import Cardinalities, argmax_codes, blocks, log_softmax, one_hot, sample


def joint_table(cardinalities: Cardinalities, *, limit: int) -> int:
    """How many rows there can be; raises ValueError if there are more than `limit`."""
    count = math.prod(cardinalities)
    if count > limit:
        raise ValueError(
            f"the joint table of these {len(cardinalities)} columns has {count:,} rows, more "
            f"than limit={limit:,}: choose indecater, which is unbiased, or raise it"
        )
    return count


@estimator(
    gradient="exact, of the expected loss",
    bias="exact",
    source="enumeration",
    evaluations=lambda cardinalities, limit: joint_table(cardinalities, limit=limit),
)
def exact(
    logits: Logits, objective: Objective, cardinalities: Cardinalities, *, limit: Count = 10_000
) -> Scalar:
    """The expected loss itself, summed over every row that there can be.

    Its value is that expectation under softmax(logits), columns independent. A joint table, the
    product of the cardinalities, of more than `limit` rows is refused.
    """
    joint_table(cardinalities, limit=limit)
    expected = torch.zeros_like(logits[:, 0])
    for row, log_chance in joint_rows(logits, cardinalities):
        expected = expected + log_chance.exp() * objective(row)
    return expected.mean()


def joint_rows(
    logits: Logits, cardinalities: Cardinalities
) -> Iterator[tuple[Simplex, Float[Tensor, " B"]]]:
    """Every row of the joint table, as a one-hot for all B, with its log-chance in each."""
    log_p = log_softmax(logits, cardinalities)
    for codes in itertools.product(*map(range, cardinalities)):
        row = one_hot(torch.tensor([codes], device=logits.device), cardinalities, logits.dtype)
        yield row.expand_as(logits), log_p[:, row[0] > 0].sum(dim=1)


@estimator(
    gradient="unbiased: exact in each column, the others sampled",
    bias="unbiased",
    source="De Smet et al. 2023, arXiv:2311.12569; Titsias and Lazaro-Gredilla 2015, NeurIPS",
    evaluations=lambda cardinalities, samples: (
        samples * (1 + sum(cardinalities) - len(cardinalities))
    ),
)
def indecater(
    logits: Logits,
    objective: Objective,
    cardinalities: Cardinalities,
    *,
    samples: Count = 1,
    generator: Noise = None,
) -> Scalar:
    """Exact over one column at a time, the other columns sampled (local expectation gradients).

    A row is drawn; then, for each column, each of its other categories is put in its place. Several
    `samples` are averaged. Unbiased, of low variance; exact for one column, and for a sum of losses
    of single columns.
    """
    losses, gradients = [], []
    p = softmax(logits.detach(), cardinalities)
    for _ in range(samples):
        row = drawn(logits, cardinalities, generator)
        losses.append(objective(row))
        if torch.is_grad_enabled():
            codes, loss = argmax_codes(row, cardinalities), losses[-1].detach()
            tried = objective.tried(codes, loss, cardinalities)
            gradients.append(jacobian_product(p, tried.to(p.dtype), cardinalities))
    loss = torch.stack(losses).mean()
    if not gradients:
        return loss
    return with_gradient(loss, logits, torch.stack(gradients).mean(dim=0))


@estimator(
    gradient="unbiased: the top k of each column and one sample of the rest",
    bias="unbiased",
    source="Liu et al. 2019, arXiv:1810.04777",
    evaluations=lambda cardinalities, k: 1 + sum(min(k + 1, K) for K in cardinalities if K > 1),
)
def top_k_sample(
    logits: Logits,
    objective: Objective,
    cardinalities: Cardinalities,
    *,
    k: Count = 1,
    generator: Noise = None,
) -> Scalar:
    """In each column the k likeliest categories are tried, and one sample of the rest.

    The other columns keep a sampled row's categories, as in `indecater`, and that row's loss is the
    baseline. The rest's sample stands for the rest's whole chance.

    Deviations: the paper treats one categorical variable; here each column is one, given the
    others' sample.
    """
    row = drawn(logits, cardinalities, generator)
    loss = objective(row)
    if not torch.is_grad_enabled():
        return loss.mean()
    exchange = objective.exchanges(argmax_codes(row, cardinalities), cardinalities)
    parts = []
    for column, block in enumerate(blocks(logits.detach(), cardinalities)):
        chances, tried = top_and_rest(block, k, generator)
        p = block.softmax(dim=1)
        excess = exchange(column, tried) - loss.detach()[:, None] if tried.shape[1] else chances
        scores = one_hot(tried[..., None], block.shape[1:], p.dtype) - p[:, None]  # (B, M, K)
        parts.append(((chances * excess)[:, :, None] * scores).sum(dim=1))
    return with_gradient(loss.mean(), logits, torch.cat(parts, dim=1))


def top_and_rest(
    logits: Float[Tensor, "B K"], k: int, generator: Noise
) -> tuple[Float[Tensor, "B M"], Tensor]:
    """The k likeliest categories (B, M) of a column and one of the rest, with what each stands for.

    A column of one category has none to try.
    """
    p, K = logits.softmax(dim=1), logits.shape[1]
    top = logits.topk(min(k, K) if K > 1 else 0, dim=1).indices
    if top.shape[1] in (0, K):
        return p.gather(1, top), top
    rest = logits.scatter(1, top, -torch.inf)
    one = sample(rest, [K], generator).argmax(dim=1, keepdim=True)
    left = p.scatter(1, top, 0.0).sum(dim=1, keepdim=True)
    return torch.cat([p.gather(1, top), left], dim=1), torch.cat([top, one], dim=1)
