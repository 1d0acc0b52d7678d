"""Gumbel noise, free and conditional, samples, and how a hard point borrows a soft gradient."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def gumbel_noise(
    logits: Float[Tensor, "*S"], generator: torch.Generator | None
) -> Float[Tensor, "*S"]:
    """Standard Gumbel noise of the shape, dtype and device of `logits`.

    Drawn in float32 at least: half precision would cut off its tail.
    """
    return log_exponential(logits, generator).neg_().to(logits.dtype)


def perturb(logits: Float[Tensor, "*S"], generator: torch.Generator | None) -> Float[Tensor, "*S"]:
    """Logits plus standard Gumbel noise, whose argmax is a draw from softmax(logits)."""
    return logits - log_exponential(logits, generator).to(logits.dtype)


def log_exponential(
    logits: Float[Tensor, "*S"], generator: torch.Generator | None
) -> Float[Tensor, "*S"]:
    """The logarithm of unit exponential draws, that is, minus Gumbel noise."""
    dtype = torch.promote_types(logits.dtype, torch.float32)
    uniform = torch.empty(logits.shape, dtype=dtype, device=logits.device)
    uniform.uniform_(torch.finfo(dtype).tiny, 1.0, generator=generator)  # never 0
    return uniform.log_().neg_().log_()


def one_hot_argmax(values: Float[Tensor, "*S K"]) -> Float[Tensor, "*S K"]:
    """The vertex of the largest value; the argmax has no gradient, so neither has this."""
    top = values.detach().argmax(dim=-1, keepdim=True)
    return torch.zeros_like(values).scatter_(-1, top, 1.0)


def sample_one_hot(
    logits: Float[Tensor, "*S K"], generator: torch.Generator | None
) -> Float[Tensor, "*S K"]:
    """A vertex drawn from softmax(logits): the argmax of logits plus Gumbel noise."""
    return one_hot_argmax(perturb(logits.detach(), generator))


def conditional_gumbels(
    logits: Float[Tensor, "*S K"],
    vertex: Float[Tensor, "*S K"],
    generator: torch.Generator | None,
) -> Float[Tensor, "*S K"]:
    """Logits plus Gumbel noise, drawn given that their argmax is at `vertex`.

    The largest of all has location ``logsumexp(logits)``; the others are Gumbels cut off below it.
    Everything stays a logarithm, so it is finite for logits of any size.

    Gradient
    --------
    Exact, of the draws in the logits at fixed noise.

    Source
    ------
    Maddison, Tarlow and Minka 2014, arXiv:1411.0030; Paulus et al. 2021, arXiv:2010.04838.
    """
    noise = log_exponential(logits, generator)
    top = (vertex * noise).sum(dim=-1, keepdim=True)
    largest = logits.logsumexp(dim=-1, keepdim=True) - top
    others = -torch.logaddexp(noise - logits, -largest)
    return torch.where(vertex > 0, largest, others)


def straight_through(hard: Float[Tensor, "*S"], soft: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """Forward `hard`, to the last bit, backward `soft`."""
    return _StraightThrough.apply(hard.detach(), soft)


class _StraightThrough(torch.autograd.Function):
    """``hard + soft - soft.detach()`` without its roundings and its three passes over memory."""

    @staticmethod
    def forward(
        ctx: Any, hard: Float[Tensor, "*S"], soft: Float[Tensor, "*S"]
    ) -> Float[Tensor, "*S"]:
        return hard.view_as(hard)

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "*S"]) -> tuple[None, Float[Tensor, "*S"]]:
        return None, gradient


def through_jacobian(
    p: Float[Tensor, "*S K"], logits: Float[Tensor, "*S K"]
) -> Float[Tensor, "*S K"]:
    """Forward 0, backward the softmax's Jacobian at the point `p`, ``diag(p) - p p^T``."""
    p, step = p.detach(), logits - logits.detach()
    return p * (step - (p * step).sum(dim=-1, keepdim=True))
