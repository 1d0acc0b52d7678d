"""`SampledSoftEmbedding`: the soft embedding of very many categories, from a few of them."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from tabkit.embedding.soft import SoftEmbedding


class SampledSoftEmbedding(nn.Module):
    """One column's ``softmax(logits) @ table``, from k + m of its K rows.

    The k likeliest categories of each row count with their probabilities. m others are drawn in
    proportion to theirs, and share the rest of the probability equally: the mean over draws is the
    whole product, whatever k and m. If k + m reaches K it is that product itself.

    Every logit must be there, and its exponential: what is saved is the product, which pays for
    many categories and wide embeddings (``benchmarks/many_categories.py``).

    Parameters
    ----------
    K, D
        Number of categories; width of the embedding.
    k
        Categories taken exactly.
    m
        Draws, with replacement. With 0 the k likeliest are made to sum to 1, as if no other were
        allowed: no noise, but a bias of the probability left out times the distance between the
        mean embeddings of what is left out and of what is kept.
    std, generator
        Of the initial `table`, an `nn.Embedding`, as in `SoftEmbedding`.

    Shape
    -----
    Input: logits (B, K) in nats, minus infinity where a category is not allowed; half types are
    worked out in float32. Output: (B, D), in the table's dtype.

    Gradient
    --------
    Unbiased for logits and table: at a fixed gradient of the output its mean over draws is that of
    the whole product. A loss behind it that is not linear is itself biased, and so is its gradient,
    by as much as it curves over the noise. With ``m=0`` exact, but of the renormalised k.

    Raises
    ------
    ValueError
        If k or m has a bad value, the logits do not have K columns, or a row has a logit that is
        NaN or plus infinity, or none but minus infinity.

    Source
    ------
    Categories by importance: Jean et al. 2015, arXiv:1412.2007 (who do not correct for the bias of
    a sampled normaliser; here it is exact). The likeliest by sum, the rest by draws, which never
    scatters more than draws alone: Liu et al. 2019, arXiv:1810.04777.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> layer = SampledSoftEmbedding(100_000, D=8, k=16, m=16, generator=generator)
    >>> layer(torch.randn(2, 100_000, generator=generator), generator).shape
    torch.Size([2, 8])
    """

    def __init__(
        self,
        K: int,
        D: int,
        *,
        k: int = 32,
        m: int = 32,
        std: float | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if k < 0 or m < 0 or k + m == 0:
            raise ValueError(f"k and m must be at least 0, and one of them 1, not k={k}, m={m}")
        self.k, self.m = k, m
        self.table = SoftEmbedding((K,), D, std=std, generator=generator).tables[0]

    @classmethod
    def from_embedding(
        cls, table: nn.Embedding, *, k: int = 32, m: int = 32
    ) -> "SampledSoftEmbedding":
        """Wraps a table, shared and not copied; raises as `SoftEmbedding.from_embeddings`."""
        SoftEmbedding.from_embeddings([table])  # which checks it
        layer = cls(1, 1, k=k, m=m, generator=torch.Generator())  # whose table goes
        layer.table = table
        return layer

    def extra_repr(self) -> str:
        return f"k={self.k}, m={self.m}"

    def forward(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "B D"]:
        table, K = self.table.weight, self.table.num_embeddings
        if logits.dim() != 2 or logits.shape[1] != K:
            raise ValueError(f"logits are (B, {K}), not {tuple(logits.shape)}")
        if self.k + self.m >= K:
            return probabilities(logits).to(table.dtype) @ table
        codes, weights = choose(logits, self.k, self.m, generator)
        options = {"mode": "sum", "sparse": self.table.sparse}
        weights = weights.to(table.dtype)
        return functional.embedding_bag(codes, table, per_sample_weights=weights, **options)


def choose(
    logits: Float[Tensor, "B K"], k: int, m: int, generator: torch.Generator | None
) -> tuple[Int64[Tensor, "B n"], Float[Tensor, "B n"]]:
    """Codes of each row's k likeliest categories and m others, and what they count; k + m < K."""
    if m == 0:
        codes = logits.detach().topk(k, dim=1).indices
        return codes, probabilities(logits.gather(1, codes))
    p = probabilities(logits)
    top = p.detach().topk(k, dim=1)
    drawn, rest = draw(p.detach().scatter(1, top.indices, 0.0), m, generator)
    codes = torch.cat([top.indices, drawn], dim=1)
    value = torch.cat([top.values, rest.expand(-1, m) / m], dim=1)
    chosen = p.gather(1, codes)
    one = chosen / chosen.detach().clamp(min=torch.finfo(p.dtype).tiny)  # with log p's gradient
    return codes, value * one


def draw(
    others: Float[Tensor, "B K"], m: int, generator: torch.Generator | None
) -> tuple[Int64[Tensor, "B m"], Float[Tensor, "B 1"]]:
    """Codes in proportion to `others`, which become their running sums, and the sum of all.

    One draw from each m-th part of the sum: each code as often as by independent draws, on average,
    and never with more scatter. Where all are 0, the first code.
    """
    steps, device = others.cumsum_(dim=1), others.device
    point = 1 - torch.rand(len(steps), m, generator=generator, dtype=steps.dtype, device=device)
    point = (point + torch.arange(m, device=device)) / m  # above 0, so that it lies in a step
    return torch.searchsorted(steps, point * steps[:, -1:]), steps[:, -1:]


def probabilities(logits: Float[Tensor, "B n"]) -> Float[Tensor, "B n"]:
    """The softmax, in float32 at least."""
    p = logits.softmax(dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))
    bad = p.detach()[:, 0].isnan()  # such a logit makes the whole row NaN
    if bad.any():
        raise ValueError(
            f"row {int(bad.nonzero()[0])} has a logit that is NaN or plus infinity, or no allowed "
            "category: all of its logits are minus infinity"
        )
    return p
