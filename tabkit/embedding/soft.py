"""`SoftEmbedding`: an embedding layer that takes integer codes *or* a simplex."""

import math
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from tabkit import fast
from tabkit.fast.products import looked_up, looked_up_pays
from tabkit.schema import Schema, check_cardinalities, check_codes, check_simplex


class SoftEmbedding(nn.Module):
    """One embedding table per categorical column, read by code or by simplex.

    A code picks a row of the table; a simplex mixes the rows, ``simplex @ table``, which for a
    one-hot simplex is the same row. The mixture is differentiable in the simplex, a code is not.

    Parameters
    ----------
    columns
        A `Schema`, or the cardinality K of each column.
    D
        Width of one column's embedding.
    validate_args
        Check codes and simplexes on every call, as `torch.distributions` does; not where torch
        compiles, exports or transforms.
    std
        Standard deviation of the initial tables' normal distribution. If not given, that of a
        variance of 1/D, so that a row has unit length on average.
    generator
        Source of the initial tables; torch's global stream if not given.

    Shape
    -----
    Input: codes (B, C) int64, or a simplex (B, F) in the tables' dtype.
    Output: (B, C*D).

    Gradient
    --------
    Exact, for the tables and for a simplex: the gradient of a simplex block is ``W g``, for the
    table ``W`` (K, D) and the gradient ``g`` (D,) of that column's embedding.

    Raises
    ------
    DataError
        If a code is out of range, or a block is not a simplex.
    TypeError
        If a simplex is of another dtype than the tables.

    Examples
    --------
    >>> layer = SoftEmbedding((3, 2), D=4)
    >>> codes = torch.tensor([[2, 0]])
    >>> simplex = torch.tensor([[0.0, 0.0, 1.0, 1.0, 0.0]])
    >>> torch.equal(layer(codes), layer(simplex))
    True
    """

    def __init__(
        self,
        columns: Schema | Sequence[int],
        D: int,
        *,
        validate_args: bool = True,
        std: float | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if D < 1:
            raise ValueError(f"D must be at least 1, not {D}")
        std = D**-0.5 if std is None else std
        if not 0 < std < math.inf:
            raise ValueError(f"std must be positive and finite, not {std}")
        own = columns.cardinalities if isinstance(columns, Schema) else columns
        sizes = check_cardinalities(own)
        drawn = (torch.empty(k, D).normal_(0, std, generator=generator) for k in sizes)
        self._hold([nn.Embedding.from_pretrained(w, freeze=False) for w in drawn], validate_args)

    def _hold(self, tables: Sequence[nn.Embedding], validate_args: bool) -> None:
        self.tables, self.validate_args = nn.ModuleList(tables), validate_args
        self.cardinalities = check_cardinalities([t.num_embeddings for t in tables])
        self.widths = tuple(t.embedding_dim for t in tables)

    @classmethod
    def from_embeddings(
        cls, embeddings: Iterable[nn.Embedding], *, validate_args: bool = True
    ) -> "SoftEmbedding":
        """Wraps trained `nn.Embedding`s, one per column; the tables are shared, not copied.

        The tables may differ in width; the output is then as wide as their sum. The row of a
        `padding_idx` is a category like the others; only its lookup gets no gradient.

        Raises
        ------
        TypeError
            If one is not an `nn.Embedding`.
        ValueError
            If there is none, or one has `max_norm` or `scale_grad_by_freq`, which a matrix
            product with the table does not reproduce.
        """
        tables = list(embeddings)
        for column, embedding in enumerate(tables):
            if not isinstance(embedding, nn.Embedding):
                raise TypeError(
                    f"embedding {column} is {type(embedding).__name__}, not nn.Embedding: take its "
                    "table, nn.Embedding.from_pretrained(layer.weight)"
                )
            if embedding.max_norm is not None or embedding.scale_grad_by_freq:
                raise ValueError(
                    f"embedding {column} uses max_norm or scale_grad_by_freq: its lookup is not "
                    "a product with its table. Renormalise the table once and unset them"
                )
        layer = cls.__new__(cls)  # not by __init__, which would draw tables
        nn.Module.__init__(layer)
        layer._hold(tables, validate_args)
        return layer

    @property
    def out_features(self) -> int:
        """Width of the output, the sum of `widths`: C*D."""
        return sum(self.widths)

    @property
    def weights(self) -> list[Float[Tensor, "_ _"]]:
        """The table (K, D) of each column."""
        return [table.weight for table in self.tables]

    def extra_repr(self) -> str:
        return f"cardinalities={self.cardinalities}, out_features={self.out_features}"

    def forward(
        self, categorical: Int64[Tensor, "B C"] | Float[Tensor, "B F"]
    ) -> Float[Tensor, "B CD"]:
        soft = categorical.is_floating_point()
        if self.validate_args and fast.looks():
            (check_simplex if soft else check_codes)(categorical, self.cardinalities)
        if soft:
            own, given = self.weights[0].dtype, categorical.dtype
            if given != own and not torch.is_autocast_enabled(categorical.device.type):
                raise TypeError(f"the simplex is {given}, the tables {own}: simplex.to({own})")
            return fast.embed(categorical, self.weights)
        if fast.eager() and looked_up_pays(categorical, self.widths) and self._plain():
            return looked_up(categorical, self.weights)
        return torch.cat([t(categorical[:, c]) for c, t in enumerate(self.tables)], dim=1)

    def _plain(self) -> bool:
        """Whether a lookup is nothing but that: no padding, nobody who watches a table."""
        return not any(
            t.padding_idx is not None or t.sparse or t._forward_hooks or t._forward_pre_hooks
            or t._backward_hooks or t._backward_pre_hooks
            for t in self.tables
        )  # fmt: skip

    def negative_distances(
        self, embedded: Float[Tensor, "B CD"], metrics: Sequence[Float[Tensor, "R D"]] | None = None
    ) -> Float[Tensor, "B F"]:
        """``-|e - W_k|^2`` to every row of every table: logits whose argmax is the nearest row.

        Parameters
        ----------
        metrics
            For each column a matrix M, to measure ``|M (e - W_k)|`` in place of ``|e - W_k|``.

        Shape
        -----
        Input (B, C*D), output (B, F), in squared units of the tables.

        Examples
        --------
        >>> layer = SoftEmbedding((3, 2), D=4)
        >>> codes = torch.tensor([[2, 0]])
        >>> layer.negative_distances(layer(codes)).argmax(dim=1)  # code 2 lies at distance 0
        tensor([2])
        """
        if embedded.shape[1:] != (self.out_features,):
            raise ValueError(
                f"embeddings are (B, {self.out_features}), not of the shape {tuple(embedded.shape)}"
            )
        points, tables = embedded.split(self.widths, dim=1), self.weights
        if metrics is not None:
            points = [e @ m.T for e, m in zip(points, metrics, strict=True)]
            tables = [w @ m.T for w, m in zip(tables, metrics, strict=True)]
        # by differences: the faster dot products lose the digits of near points
        apart = (e[:, None] - w for e, w in zip(points, tables, strict=True))
        far = torch.finfo(embedded.dtype).max  # what overflows is no mask
        return -torch.cat([d.square().sum(dim=2) for d in apart], dim=1).clamp(max=far)
