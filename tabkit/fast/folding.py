"""A frozen embedding and the linear layer behind it, multiplied out.

**Formula:** ``linear(cat([embed(simplex, tables), continuous]))``.
**Faster:** a mixture of embeddings times a weight is the same mixture of the products, so tables
and weight need be multiplied only once: one matrix product a row, and no embedding. With many
categories to few embedded features that product is wider than what it saves; where grouped tables
and the layer take fewer multiplications, a simplex goes through them, on the CPU.
**Pays:** always, for weights that are frozen: 0.51 to 0.66 of the time of a lookup a column that
trains tables and layer, and 0.71 to 0.88 of that of one product (10 and 50 columns, one thread).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from tabkit.devices import is_gpu, shares_memory, wide
from tabkit.fast.products import embed

CATEGORIES, FEATURES = 64, 40  # of a group of columns: large enough for two threads to share


class FoldedLinear(nn.Module):
    """Tables and the linear layer behind them as one linear map of the simplex.

    The values are those at the time of folding.

    Parameters
    ----------
    tables
        (K, D) of each column.
    linear
        The layer that takes the embeddings, and after them N continuous columns.

    Attributes
    ----------
    multiplications : of a row, ``"folded"`` and ``"apart"``, the continuous columns aside
    apart : whether a simplex goes through grouped tables, then the layer
    joins : whether simplex and numbers go through one product, which saves a GPU some kernels

    Shape
    -----
    Input: codes (B, C) or a simplex (B, F); continuous (B, N). Output: (B, out_features).

    Gradient
    --------
    Exact, for the simplex and the continuous columns.

    Raises
    ------
    ValueError
        If the linear layer is too narrow for the embeddings, or a weight still trains.

    Examples
    --------
    >>> tables, linear = [torch.randn(3, 4), torch.randn(2, 4)], nn.Linear(8 + 1, 5)
    >>> folded = FoldedLinear(tables, linear.requires_grad_(False))
    >>> folded(torch.tensor([[2, 0]]), torch.ones(1, 1)).shape
    torch.Size([1, 5])
    """

    matrix: Float[Tensor, "F+N R"]
    bias: Float[Tensor, " R"]
    starts: Int64[Tensor, " C"]
    columns: Int64[Tensor, " F"]

    def __init__(self, tables: Sequence[Float[Tensor, "_ _"]], linear: nn.Linear) -> None:
        super().__init__()
        widths = [W.shape[1] for W in tables]
        inputs = linear.in_features - sum(widths)
        if inputs < 0:
            wide = f"the embeddings are {sum(widths)} wide"
            raise ValueError(f"{wide}, more than the linear layer's {linear.in_features} inputs")
        if any(w.requires_grad for w in (*tables, *linear.parameters())):
            raise ValueError("what still trains cannot be folded: call tabkit.freeze(net1) first")
        *parts, rest = linear.weight.split([*widths, inputs], dim=1)
        bias = torch.zeros_like(rest[:, 0]) if linear.bias is None else linear.bias
        self.cardinalities = tuple(map(len, tables))
        sizes = torch.tensor(self.cardinalities, device=rest.device)
        self.register_buffer("matrix", torch.cat([products(tables, parts), rest.T]))
        self.register_buffer("bias", bias.clone())
        self.register_buffer("starts", sizes.cumsum(0) - sizes)
        every = torch.arange(len(sizes), device=rest.device)
        self.register_buffer("columns", every.repeat_interleave(sizes))
        self.joins = is_gpu(rest.device)
        self._keep_apart(tables, torch.cat(parts, dim=1).T.contiguous())

    @property
    def categories(self) -> Float[Tensor, "F R"]:
        """What each category adds to the output."""
        return self.matrix[: len(self.columns)]

    @property
    def continuous(self) -> Float[Tensor, "N R"]:
        """What a unit of each number adds to it."""
        return self.matrix[len(self.columns) :]

    def _keep_apart(self, tables: Sequence[Tensor], weight: Float[Tensor, "CD R"]) -> None:
        """Keeps grouped tables and the weight, too, if they are the cheaper way for a simplex."""
        groups = grouped(tables, features=FEATURES, categories=CATEGORIES)
        whole, apart = self.categories.numel(), sum(x.numel() for x in (*groups, weight))
        self.multiplications = {"folded": whole, "apart": apart}
        self.apart = apart < whole and shares_memory(weight.device)
        self.groups = len(groups) if self.apart else 0
        for number, group in enumerate(groups[: self.groups]):
            self.register_buffer(f"group_{number}", group.clone())
        self.register_buffer("embedded", weight if self.apart else None)

    def forward(
        self,
        categorical: Int64[Tensor, "B C"] | Float[Tensor, "B F"],
        continuous: Float[Tensor, "B N"],
    ) -> Float[Tensor, "B R"]:
        if self.joins and categorical.is_floating_point():
            return torch.addmm(self.bias, joined(categorical, continuous), self.matrix)
        rest = torch.addmm(self.bias, continuous, self.continuous)
        if not categorical.is_floating_point():
            return rest + embedding_bag(categorical + self.starts, self.categories, mode="sum")
        if not self.apart:
            return torch.addmm(rest, categorical, self.categories)
        groups = [getattr(self, f"group_{number}") for number in range(self.groups)]
        return torch.addmm(rest, embed(categorical, groups), self.embedded)


def joined(simplex: Float[Tensor, "B F"], numbers: Float[Tensor, "B N"]) -> Float[Tensor, "B F+N"]:
    """Both side by side, in the memory order of the simplex."""
    if simplex.is_contiguous():
        return torch.cat([simplex, numbers], dim=1)
    return torch.cat([simplex.T, numbers.T]).T


def products(tables: Sequence[Tensor], parts: Sequence[Tensor]) -> Float[Tensor, "F R"]:
    """Each table times its part of the weight; in float64 where there is one, for one rounding."""
    widest = wide(tables[0].device)
    pairs = zip(tables, parts, strict=True)
    return torch.cat([W.to(widest) @ A.to(widest).T for W, A in pairs]).to(parts[0].dtype)


def grouped(
    tables: Sequence[Float[Tensor, "_ _"]], *, features: int, categories: int
) -> list[Float[Tensor, "_ _"]]:
    """Neighbouring tables as block-diagonal ones: at most so many features and categories each.

    A table that is larger is alone.

    Examples
    --------
    >>> [tuple(g.shape) for g in grouped([torch.ones(3, 2)] * 3, features=4, categories=99)]
    [(6, 4), (3, 2)]
    """
    groups: list[list[Tensor]] = [[]]
    for table in tables:
        K, D = (sum(W.shape[i] for W in (*groups[-1], table)) for i in (0, 1))
        if groups[-1] and (features < D or categories < K):
            groups.append([])
        groups[-1].append(table)
    return [torch.block_diag(*g) if len(g) > 1 else g[0] for g in groups]
