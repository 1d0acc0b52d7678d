"""Eight ways to lay out many columns for their soft embedding, as people propose them.

Contestants of a race: each prepares the tables once (they are frozen) and then mixes a simplex
(B, F) to (B, C*D). All give the same numbers. The package itself uses `simplex.embed` and what
`tabkit.fast` puts in its place.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, pad

from tabkit.fast import products
from tabkit.fast.folding import grouped
from tabkit.simplex import blocks, embed

Tables = Sequence[Tensor]


class Layout(NamedTuple):
    """Tables to operands, once; simplex and operands to embeddings."""

    prepare: Callable[[Tables], tuple[Tensor, ...]]
    mix: Callable[[Tensor, tuple[Tensor, ...]], Tensor]

    def __call__(self, simplex: Tensor, tables: Tables) -> Tensor:
        """Both in one."""
        return self.mix(simplex, self.prepare(tables))


def one_by_one(simplex: Tensor, tables: tuple[Tensor, ...]) -> Tensor:
    """A tensor of its own for each column."""
    alone = [block.contiguous() for block in blocks(simplex, list(map(len, tables)))]
    return torch.cat([block @ W for block, W in zip(alone, tables, strict=True)], dim=1)


def block_diagonal(tables: Tables) -> tuple[Tensor, ...]:
    """One matrix (F, C*D) that has the tables on its diagonal."""
    return (torch.block_diag(*tables),)


def groups(tables: Tables) -> tuple[Tensor, ...]:
    """Neighbouring tables as small block-diagonal ones, up to 16 numbers wide."""
    return tuple(grouped(tables, features=16, categories=2**31))


def padded(tables: Tables) -> tuple[Tensor, ...]:
    """All tables padded to the longest, (C, K, D), and where each padded place reads."""
    sizes, longest = [len(W) for W in tables], max(map(len, tables))
    reads = [min(k, K - 1) + sum(sizes[:c]) for c, K in enumerate(sizes) for k in range(longest)]
    stacked = torch.stack([pad(W, (0, 0, 0, longest - len(W))) for W in tables])
    return stacked, torch.tensor(reads, device=stacked.device)


def batched(simplex: Tensor, operands: tuple[Tensor, ...]) -> Tensor:
    """One batched product; the padding repeats the last share, and meets zeros."""
    stacked, reads = operands
    columns = simplex[:, reads].unflatten(1, stacked.shape[:2]).transpose(0, 1)  # (C, B, K)
    return torch.bmm(columns, stacked).transpose(0, 1).flatten(1)


def buckets(tables: Tables) -> tuple[Tensor, ...]:
    """The tables of each cardinality stacked, and the columns that they belong to."""
    alike: dict[int, list[int]] = {}
    for c, W in enumerate(tables):
        alike.setdefault(len(W), []).append(c)
    stacks = [torch.stack([tables[c] for c in bucket]) for bucket in alike.values()]
    return *stacks, torch.tensor([c for bucket in alike.values() for c in bucket])


def by_bucket(simplex: Tensor, operands: tuple[Tensor, ...]) -> Tensor:
    """A batched product for all columns of one cardinality."""
    *stacks, order = operands
    sizes = torch.cat([torch.full((len(s),), s.shape[1]) for s in stacks])
    columns = blocks(simplex, sizes[order.argsort()].tolist())
    alike = zip(order.split(list(map(len, stacks))), stacks, strict=True)
    found = [torch.stack([columns[c] for c in bucket]) @ stack for bucket, stack in alike]
    return torch.cat(found)[order.argsort()].transpose(0, 1).flatten(1)  # of (n, B, D) each


def bags(simplex: Tensor, operands: tuple[Tensor, ...]) -> Tensor:
    """One bag a row and column of one long table: its rows, weighted by the shares, are summed."""
    long, starts = operands
    B, F = simplex.shape
    rows = torch.arange(F, device=simplex.device).repeat(B)
    begins = (F * torch.arange(B, device=simplex.device)[:, None] + starts).flatten()
    found = embedding_bag(rows, long, begins, mode="sum", per_sample_weights=simplex.reshape(-1))
    return found.reshape(B, -1)


def long_table(tables: Tables) -> tuple[Tensor, ...]:
    """The tables end to end, and where each begins."""
    sizes = torch.tensor([len(W) for W in tables], device=tables[0].device)
    return torch.cat(list(tables)), sizes.cumsum(0) - sizes


LAYOUTS = {
    "list": Layout(tuple, one_by_one),
    "slices": Layout(tuple, embed),
    "block_diagonal": Layout(block_diagonal, lambda simplex, operands: simplex @ operands[0]),
    "grouped_block_diagonal": Layout(groups, products.embed),
    "padded": Layout(padded, batched),
    "bucketed": Layout(buckets, by_bucket),
    "sparse": Layout(block_diagonal, lambda simplex, operands: simplex.to_sparse() @ operands[0]),
    "embedding_bag": Layout(long_table, bags),
}
