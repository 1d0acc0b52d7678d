"""`SampledSoftEmbedding`: the soft embedding of very many categories, from a few of them."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from tabkit.embedding.soft import SoftEmbedding
from tabkit.embedding.streamed import (
    PROPOSALS,
    Choice,
    GivenLogits,
    LinearLogits,
    Logits,
    choose,
    tempered,
)
from tabkit.embedding.weights import ExactWeights, estimated_weights
from tabkit.schema import allowed_logits, check_codes


class SampledSoftEmbedding(nn.Module):
    """One column's ``softmax(logits / tau) @ table``, from k + m of its K rows.

    The k likeliest categories of each row count with their exact probabilities. m others are drawn
    with replacement and weighted so that the expectation over the draws is the whole product, in
    value and gradient, whatever k and m. Worth it from tens of thousands of categories on; if k + m
    reaches K it is the product itself.

    Parameters
    ----------
    K, D
        Number of categories; width of the embedding.
    k
        Categories taken exactly.
    m
        Draws. With 0 the k likeliest are renormalised to sum to 1, as if no other were allowed:
        no noise, but biased by the mass left out times the distance between the mean embedding
        of what is left out and that of what is kept.
    proposal
        How the others are drawn: in proportion to their ``"probability"``, with equal weights; or
        ``"uniform"``, weighted by their probabilities: hardly faster, and scatters more.
    tau
        Temperature.
    validate_args
        Check codes and logits on every call.
    std, generator
        Of the initial table, as in `SoftEmbedding`.

    Shape
    -----
    Input: logits (B, K) in nats, minus infinity where a category is not allowed; or codes (B,)
    int64, which are looked up. Half types are worked out in float32.
    Output: (B, D), in the table's dtype.

    Gradient
    --------
    For logits and table unbiased: its expectation over the draws, at a fixed gradient g (B, D) of
    the output, is that of the whole product. A loss behind it that is not linear is itself biased,
    and so is its gradient, by as much as it curves over the noise. With ``m=0`` exact, but of the
    renormalised k; the other logits get none. From ``k + m >= K`` on exact.

    The normaliser is exact in `forward`: the logits' gradient is (B, K) and not sparse. The graph
    keeps the logits that came in, and nothing else of that size: not the probabilities.

    Raises
    ------
    ValueError
        If a knob has a bad value, the logits do not have K columns, a logit is NaN or plus
        infinity, or a row allows no category.
    DataError
        If a code is out of range.

    Source
    ------
    Categories by importance: Jean et al. 2015, arXiv:1412.2007 (who do not correct for the bias of
    a sampled normaliser; here it is exact). The likeliest by sum, the rest by draws, which never
    scatters more than draws alone: Liu et al. 2019, arXiv:1810.04777.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> layer = SampledSoftEmbedding(100_000, D=8, k=16, m=16, generator=generator)
    >>> logits = torch.randn(2, 100_000, generator=generator)
    >>> layer(logits, generator=generator).shape
    torch.Size([2, 8])
    >>> layer(torch.tensor([7, 99_999])).shape  # codes
    torch.Size([2, 8])
    """

    def __init__(
        self,
        K: int,
        D: int,
        *,
        k: int = 32,
        m: int = 32,
        proposal: str = "probability",
        tau: float = 1.0,
        validate_args: bool = True,
        std: float | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        table = SoftEmbedding((K,), D, std=std, generator=generator).tables[0]
        self._hold(table, k, m, proposal, tau, validate_args)

    def _hold(
        self, table: nn.Embedding, k: int, m: int, proposal: str, tau: float, validate_args: bool
    ) -> None:
        if k < 0 or m < 0 or k + m == 0:
            raise ValueError(f"k and m must be at least 0, and one of them 1, not k={k}, m={m}")
        if proposal not in PROPOSALS:
            raise ValueError(f"proposal must be one of {', '.join(PROPOSALS)}, not {proposal!r}")
        if not 0 < tau < float("inf"):
            raise ValueError(f"tau must be a finite number above 0, not {tau}")
        self.table, self.validate_args = table, validate_args
        self.k, self.m, self.proposal, self.tau = k, m, proposal, tau

    @classmethod
    def from_embedding(
        cls,
        embedding: nn.Embedding,
        *,
        k: int = 32,
        m: int = 32,
        proposal: str = "probability",
        tau: float = 1.0,
        validate_args: bool = True,
    ) -> "SampledSoftEmbedding":
        """Wraps a trained `nn.Embedding`; the table is shared, not copied.

        Raises
        ------
        ValueError
            As `SoftEmbedding.from_embeddings`.
        """
        SoftEmbedding.from_embeddings([embedding])  # which checks it
        layer = cls.__new__(cls)  # not by __init__, which would draw a table
        nn.Module.__init__(layer)
        layer._hold(embedding, k, m, proposal, tau, validate_args)
        return layer

    @property
    def K(self) -> int:  # noqa: N802
        """Number of categories."""
        return self.table.num_embeddings

    @property
    def D(self) -> int:  # noqa: N802
        """Width of the embedding."""
        return self.table.embedding_dim

    def extra_repr(self) -> str:
        return f"k={self.k}, m={self.m}, proposal={self.proposal!r}, tau={self.tau}"

    def forward(
        self,
        categorical: Int64[Tensor, " B"] | Float[Tensor, "B K"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B D"]:
        if not categorical.is_floating_point():
            return self._look_up(categorical)
        if categorical.dim() != 2 or categorical.shape[1] != self.K:
            raise ValueError(f"logits are (B, {self.K}), not {tuple(categorical.shape)}")
        if self.k + self.m >= self.K:
            return self._product(categorical)
        choice = self._choose(GivenLogits(categorical.detach(), self.tau), True, generator)
        if not self.m:
            return self._renormalised(choice, categorical.gather(1, choice.codes))
        weights = ExactWeights.apply(
            categorical, choice.codes, choice.weights, choice.log_normaliser, self.tau
        )
        return self._mix(choice, weights)

    def streamed(
        self,
        hidden: Float[Tensor, "B H"],
        linear: nn.Linear,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B D"]:
        """As ``forward(linear(hidden))``, where logits (B, K) would not fit into memory.

        The layer is run over chunks of its K outputs without a graph; of a block of 32 logits or
        more two numbers are kept, and those of the k + m chosen are worked out again with a
        gradient. Nothing of size (B, K) ever exists.

        Shape
        -----
        Input: hidden features (B, H), and a layer from H to K. Output: (B, D).

        Gradient
        --------
        Normaliser and top k are exact as in `forward`, and the value has the same expectation. The
        gradient for hidden features, layer and table is unbiased, and scatters more: its part
        through the normaliser is estimated too, for each draw from the others (the same draw in
        both places would bias the product). Hence m is 0 or at least 2, and draws are independent.
        The layer's gradient is 0 but for the chosen rows.

        Raises
        ------
        ValueError
            If the layer does not have K outputs, hidden is not (B, H), or m is 1.

        Examples
        --------
        >>> generator = torch.Generator().manual_seed(0)
        >>> layer = SampledSoftEmbedding(50_000, D=4, k=16, m=16, generator=generator)
        >>> hidden = torch.randn(2, 8, generator=generator)
        >>> layer.streamed(hidden, nn.Linear(8, 50_000), generator).shape
        torch.Size([2, 4])
        """
        if hidden.dim() != 2:
            raise ValueError(f"hidden features are (B, H), not {tuple(hidden.shape)}")
        if linear.out_features != self.K:
            raise ValueError(f"the layer must have {self.K} outputs, not {linear.out_features}")
        if self.m == 1:
            raise ValueError("streamed needs m=0 or at least 2 draws, not m=1")
        if self.k + self.m >= self.K:
            return self._product(linear(hidden))
        choice = self._choose(LinearLogits(hidden, linear, self.tau), False, generator)
        logits = LinearLogits(hidden, linear, tau=1.0).at(choice.codes)
        if not self.m:
            return self._renormalised(choice, logits)
        return self._mix(choice, estimated_weights(tempered(logits, self.tau), choice, self.k))

    def _look_up(self, codes: Int64[Tensor, " B"]) -> Float[Tensor, "B D"]:
        if codes.dim() != 1:
            raise ValueError(f"codes of one column are (B,), not {tuple(codes.shape)}")
        if self.validate_args:
            check_codes(codes[:, None], (self.K,))
        return self.table(codes)

    def _product(self, logits: Float[Tensor, "B K"]) -> Float[Tensor, "B D"]:
        allowed = allowed_logits(logits, (self.K,)) / self.tau
        return allowed.softmax(dim=1).to(self.table.weight.dtype) @ self.table.weight

    def _choose(
        self, logits: Logits, stratified: bool, generator: torch.Generator | None
    ) -> Choice:
        return choose(
            logits,
            self.k,
            self.m,
            proposal=self.proposal,
            stratified=stratified,
            generator=generator,
            validate=self.validate_args,
        )

    def _renormalised(self, choice: Choice, logits: Float[Tensor, "B k"]) -> Float[Tensor, "B D"]:
        return self._mix(choice, tempered(logits, self.tau).softmax(dim=1))

    def _mix(self, choice: Choice, weights: Float[Tensor, "B n"]) -> Float[Tensor, "B D"]:
        table = self.table.weight
        return functional.embedding_bag(
            choice.codes,
            table,
            per_sample_weights=weights.to(table.dtype),
            mode="sum",
            sparse=self.table.sparse,
        )
