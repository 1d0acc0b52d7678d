"""Relaxations by Gumbel noise: soft, straight-through, decoupled, Rao-Blackwellised."""

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.estimators.door import Count, Logits, Noise, Simplex, Temperature
from tabkit.estimators.registry import relaxation
from tabkit.fast import argmax, gumbel_noise, hard_softmax, perturbed, softmax, straight_through
from tabkit.simplex import Cardinalities, each, tempered

AT_THE_VERTEX = "biased: the Gumbel-softmax's Jacobian at the vertex's loss gradient"


@relaxation(
    gradient="unbiased for the relaxed points, biased for the categories",
    masks=True,
    source="Jang et al. 2017, arXiv:1611.01144; Maddison et al. 2017, arXiv:1611.00712",
)
def gumbel_softmax(
    logits: Logits, cardinalities: Cardinalities, *, tau: Temperature = 1.0, generator: Noise = None
) -> Simplex:
    """A random point of the simplex: the softmax of logits plus Gumbel noise, at temperature tau.

    As tau falls to 0 the points become samples of the categories; as it grows, the uniform mixture.
    """
    return softmax(perturbed(logits, generator), cardinalities, tau)


@relaxation(gradient=AT_THE_VERTEX, source="Jang et al. 2017, arXiv:1611.01144", masks=True)
def straight_through_gumbel(
    logits: Logits, cardinalities: Cardinalities, *, tau: Temperature = 1.0, generator: Noise = None
) -> Simplex:
    """Forward a sampled category, backward the Gumbel-softmax of the same noise.

    The sample is an exact draw from softmax(logits), whatever tau is: a surrogate temperature.
    """
    return hard_softmax(perturbed(logits, generator), cardinalities, tau)


@relaxation(gradient=AT_THE_VERTEX, source="Shah et al. 2024, arXiv:2410.13331")
def decoupled_straight_through_gumbel(
    logits: Logits,
    cardinalities: Cardinalities,
    *,
    sampling_tau: Temperature = 0.5,
    surrogate_tau: Temperature = 1.0,
    generator: Noise = None,
) -> Simplex:
    """Straight-through Gumbel with one temperature for the sample and one for the gradient.

    Forward a draw from softmax(logits / sampling_tau), so that the temperature, unlike in
    `straight_through_gumbel`, changes what is drawn; backward softmax(logits / surrogate_tau +
    noise) of the same noise, which is not divided. With a sampling temperature below 1 it trains
    nearer to what decoding does. The paper names no default.
    """
    noise = gumbel_noise(logits, generator)
    near = each(lambda block: block - block.detach().amax(-1, keepdim=True), cardinalities, logits)
    hard = argmax(near / sampling_tau + noise, cardinalities)
    return straight_through(hard, softmax(near / surrogate_tau + noise, cardinalities))


@relaxation(
    gradient="biased: the mean Gumbel-softmax Jacobian, given the sampled vertex",
    source="Paulus et al. 2021, arXiv:2010.04838",
)
def gumbel_rao(
    logits: Logits,
    cardinalities: Cardinalities,
    *,
    tau: Temperature = 1.0,
    samples: Count = 10,
    generator: Noise = None,
) -> Simplex:
    """Straight-through Gumbel whose Jacobian is averaged over noise that gives the same sample.

    Forward a sampled category; backward the mean of the Gumbel-softmax's Jacobians over `samples`
    draws of the noise, given that category. The more draws, the less variance; net1 is still
    evaluated once. In expectation it is `straight_through_gumbel` at the same tau.
    """
    hard = argmax(perturbed(logits, generator), cardinalities)

    def mean(logits: Tensor, hard: Tensor) -> Float[Tensor, "B K"]:
        fixed, vertices = (x.detach().expand(samples, *x.shape) for x in (logits, hard))
        noisy = conditional_gumbels(fixed, vertices, generator) + (logits - logits.detach())
        return tempered(noisy, tau).softmax(-1).mean(0)

    return straight_through(hard, each(mean, cardinalities, logits, hard))


def conditional_gumbels(
    logits: Float[Tensor, "*S K"], vertex: Float[Tensor, "*S K"], generator: Noise
) -> Float[Tensor, "*S K"]:
    """Logits plus Gumbel noise, drawn given that their argmax is at `vertex`.

    The largest of all has location ``logsumexp(logits)``; the others are Gumbels cut off below it.
    Everything stays a logarithm, so it is finite for logits of any size. The gradient is exact, of
    the draws at fixed noise. Maddison, Tarlow and Minka 2014, arXiv:1411.0030; Paulus et al. 2021.
    """
    noise = gumbel_noise(logits, generator)
    top = (vertex * noise).sum(dim=-1, keepdim=True)
    largest = logits.logsumexp(dim=-1, keepdim=True) + top
    others = -torch.logaddexp(-noise - logits, -largest)
    return torch.where(vertex > 0, largest, others)
