"""`FoldedLinear`: embedding tables and the linear layer behind them, multiplied out."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from tabkit.embedding import layouts
from tabkit.embedding.soft import SoftEmbedding
from tabkit.schema import check_codes, check_simplex

CATEGORIES, FEATURES = 64, 40  # of a group of columns: large enough for two threads to share


class FoldedLinear(nn.Module):
    """A `SoftEmbedding` and the linear layer behind it as one linear map of the simplex.

    A mixture of embeddings times a weight is the same mixture of the products, so the tables need
    be multiplied with the weight only once. A row then costs one matrix product, and no embedding.
    With many categories to few embedded features the product is wider than what it saves: where
    grouped tables and the linear layer take fewer multiplications, a simplex goes through them (on
    the CPU; on a GPU the number of kernels decides). The values are those at the time of folding:
    fold nets that are frozen.

    Parameters
    ----------
    embedding
        The tables.
    linear
        The layer that takes the embeddings, and after them N continuous columns.
    validate_args
        Check codes and simplexes on every call.

    Attributes
    ----------
    multiplications : of a row, ``"folded"`` and ``"apart"``, the continuous columns aside

    Shape
    -----
    Input: codes (B, C) or a simplex (B, F); continuous (B, N). Output: (B, out_features).

    Gradient
    --------
    Exact, for the simplex and the continuous columns; the folded weights have none.

    Raises
    ------
    ValueError
        If the linear layer is too narrow for the embeddings.
    DataError
        If a code is out of range, or a block is not a simplex.

    Examples
    --------
    >>> embedding, linear = SoftEmbedding((3, 2), D=4), nn.Linear(8 + 1, 5)
    >>> folded = FoldedLinear(embedding, linear)
    >>> codes, continuous = torch.tensor([[2, 0]]), torch.ones(1, 1)
    >>> whole = linear(torch.cat([embedding(codes), continuous], dim=1))
    >>> torch.allclose(folded(codes, continuous), whole, atol=1e-6)
    True
    """

    categories: Float[Tensor, "F R"]
    continuous: Float[Tensor, "N R"]
    bias: Float[Tensor, " R"]
    offsets: Int64[Tensor, " C"]

    def __init__(
        self, embedding: SoftEmbedding, linear: nn.Linear, *, validate_args: bool = True
    ) -> None:
        super().__init__()
        inputs = linear.in_features - embedding.out_features
        if inputs < 0:
            raise ValueError(
                f"the embeddings are {embedding.out_features} wide, more than the linear layer's "
                f"{linear.in_features} inputs"
            )
        self.cardinalities, self.validate_args = embedding.cardinalities, validate_args
        weight, tables = linear.weight.detach(), [t.weight.detach() for t in embedding.tables]
        *parts, rest = weight.split([*embedding.widths, inputs], dim=1)
        bias = torch.zeros_like(weight[:, 0]) if linear.bias is None else linear.bias.detach()
        widths = torch.tensor(self.cardinalities, device=weight.device)
        self.register_buffer("categories", _products(tables, parts).to(weight.dtype))
        self.register_buffer("continuous", rest.T.clone(memory_format=torch.contiguous_format))
        self.register_buffer("bias", bias.clone())
        self.register_buffer("offsets", widths.cumsum(0) - widths)
        self._split(embedding, torch.cat(parts, dim=1).T, tables)

    def _split(
        self, embedding: SoftEmbedding, weight: Float[Tensor, "CD R"], tables: Sequence[Tensor]
    ) -> None:
        """Keeps tables and weight apart, too, if that is the cheaper way for a simplex."""
        layout = layouts.GroupedBlockDiagonal(
            embedding.cardinalities,
            embedding.widths,
            columns=max(1, FEATURES * len(embedding.widths) // len(weight)),
            features=CATEGORIES,
        )
        operand = layout.prepare(tables)
        self.multiplications = {
            "folded": self.categories.numel(),
            "apart": sum(w.numel() for w in operand) + weight.numel(),
        }
        fewest = min(self.multiplications, key=self.multiplications.__getitem__)
        apart = weight.device.type == "cpu" and fewest == "apart"
        self.layout = layout if apart else None
        self.parts = len(operand) if apart else 0
        if apart:
            self.register_buffer("embedded", weight.contiguous())
            for number, part in enumerate(operand):
                self.register_buffer(f"operand_{number}", part.clone())

    def forward(
        self,
        categorical: Int64[Tensor, "B C"] | Float[Tensor, "B F"],
        continuous: Float[Tensor, "B N"],
    ) -> Float[Tensor, "B R"]:
        rest = torch.addmm(self.bias, continuous, self.continuous)
        if not categorical.is_floating_point():
            return rest.add_(self.summed(categorical))
        if self.validate_args:
            check_simplex(categorical, self.cardinalities)
        if self.layout is None:
            return torch.addmm(rest, categorical, self.categories)
        operand = tuple(getattr(self, f"operand_{number}") for number in range(self.parts))
        return torch.addmm(rest, self.layout.mix(categorical, operand), self.embedded)

    def summed(self, codes: Int64[Tensor, "B C"]) -> Float[Tensor, "B R"]:
        """The sum of the categories' rows."""
        if self.validate_args:
            check_codes(codes, self.cardinalities)
        return embedding_bag(codes + self.offsets, self.categories, mode="sum")

    def exchanged(
        self,
        output: Float[Tensor, "B R"],
        codes: Int64[Tensor, "B C"],
        column: int,
        categories: Int64[Tensor, "B M"] | None = None,
    ) -> Float[Tensor, "B M R"]:
        """The outputs of hard rows in which one column's category is exchanged.

        Parameters
        ----------
        output
            The output for the rows as they are.
        codes
            The rows.
        column
            Where the category is exchanged.
        categories
            What comes in, M for each row; if not given, every category of the column in turn.
        """
        start, width = int(self.offsets[column]), self.cardinalities[column]
        table = self.categories[start : start + width]
        others = (output - table[codes[:, column]])[:, None, :]
        return others + (table if categories is None else table[categories])


def _products(tables: Sequence[Tensor], parts: Sequence[Tensor]) -> Float[Tensor, "F R"]:
    """Each table times its part of the weight, in float64, so that folding costs one rounding."""
    pairs = zip(tables, parts, strict=True)
    return torch.cat([table.double() @ part.double().T for table, part in pairs])
