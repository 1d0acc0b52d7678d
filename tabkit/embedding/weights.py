"""Weights of chosen categories that have the gradient of their probabilities."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from tabkit.embedding.streamed import CHUNK, Choice, GivenLogits


class ExactWeights(torch.autograd.Function):
    """The weights of the chosen categories, with the gradient of their probabilities.

    A weight is a probability times a number without gradient, so that its derivative is
    ``weight * (onehot(code) - p)``. p is worked out from the logits again, not kept.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        logits: Float[Tensor, "B K"],
        codes: Int64[Tensor, "B n"],
        weights: Float[Tensor, "B n"],
        log_normaliser: Float[Tensor, "B 1"],
        tau: float,
    ) -> Float[Tensor, "B n"]:
        ctx.save_for_backward(logits, codes, weights, log_normaliser)
        ctx.tau = tau
        return weights.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Float[Tensor, "B n"]) -> tuple[Tensor | None, ...]:
        logits, codes, weights, log_normaliser = ctx.saved_tensors
        own = grad * weights / ctx.tau
        result = torch.empty_like(logits)
        scale, read = -own.sum(dim=1, keepdim=True), GivenLogits(logits, ctx.tau)
        step = max(1, CHUNK // max(1, len(logits)))
        for start in range(0, logits.shape[1], step):
            part = read.columns(start, start + step) - log_normaliser
            result[:, start : start + step] = part.exp_().mul_(scale)
        return result.scatter_add_(1, codes, own.to(result.dtype)), None, None, None, None


def estimated_weights(logits: Float[Tensor, "B n"], choice: Choice, k: int) -> Float[Tensor, "B n"]:
    """The weights of the chosen categories, whose gradient needs no other logits than theirs.

    A weight's derivative is ``weight * (d logit - sum p d logit)``; the sum over all K categories
    is estimated by the chosen ones' weights. A draw leaves itself out there: then the estimate is
    independent of the weight, and the expectation of the product is the product's.
    """
    weights, m = choice.weights, logits.shape[1] - k
    logits = logits.masked_fill(weights == 0, 0.0)  # not allowed, or negligible
    step = logits - logits.detach()  # 0, with a gradient
    top, drawn = (weights * step).split([k, m], dim=1)
    certain, others = top.sum(dim=1, keepdim=True), drawn.sum(dim=1, keepdim=True)
    left_out = certain + (others - drawn) * (m / (m - 1))
    normaliser = torch.cat([(certain + others).expand(-1, k), left_out], dim=1)
    return weights * (1 + step - normaliser)
