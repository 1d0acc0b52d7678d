"""Relaxations that hand over a sampled category and differ in the gradient they pretend."""

import torch
from torch import Tensor

from tabkit.estimators.door import Count, Logits, Noise, Positive, Simplex, Temperature, far_below
from tabkit.estimators.registry import relaxation
from tabkit.fast import (
    argmax,
    gumbel_noise,
    jacobian_product,
    perturbed,
    pulled_back,
    softmax,
    straight_through,
)
from tabkit.simplex import Cardinalities, each


def drawn(logits: Logits, cardinalities: Cardinalities, generator: Noise) -> Simplex:
    """A hard row, each column drawn from its softmax: `simplex.sample`."""
    return argmax(perturbed(logits.detach(), generator), cardinalities)


@relaxation(
    gradient="biased: the softmax's Jacobian at the sampled vertex's loss gradient",
    source="Bengio et al. 2013, arXiv:1308.3432",
)
def straight_through_sample(
    logits: Logits, cardinalities: Cardinalities, *, tau: Temperature = 1.0, generator: Noise = None
) -> Simplex:
    """Forward a sampled category, backward the softmax at the surrogate temperature tau.

    Exact in expectation if the loss is linear in the simplex and tau = 1. The paper has binary
    units.
    """
    hard = drawn(logits, cardinalities, generator)
    return straight_through(hard, softmax(logits, cardinalities, tau))


@relaxation(
    gradient="biased: second-order (Heun) at the sampled vertex's loss gradient",
    source="Liu et al. 2023, arXiv:2304.08612",
)
def reinmax(
    logits: Logits, cardinalities: Cardinalities, *, tau: Temperature = 1.0, generator: Noise = None
) -> Simplex:
    """Forward a sampled category, backward a second-order (Heun) rule in place of straight-through.

    With p the softmax of the logits, D the sample and q halfway between D and the softmax at
    temperature tau, the gradient is ``2 J(q) g - J(p) g / 2``, where J is the softmax's Jacobian
    and g the loss's gradient at D. tau is a surrogate temperature; the authors use 1 or more.
    Exact in expectation if the loss of one column is quadratic in the simplex and tau = 1.
    """
    hard, p = drawn(logits, cardinalities, generator), softmax(logits, cardinalities).detach()
    q = (hard + softmax(logits, cardinalities, tau).detach()) / 2

    def pull(g: Simplex) -> Simplex:
        return 2 * jacobian_product(q, g, cardinalities) - jacobian_product(p, g, cardinalities) / 2

    return pulled_back(hard, logits, pull)


@relaxation(
    gradient="biased: the mean of straight-through and DARN, second-order",
    source="Shekhovtsov 2023, ICML, PMLR 202",
)
def zgr(logits: Logits, cardinalities: Cardinalities, *, generator: Noise = None) -> Simplex:
    """Zero-temperature limit of Gumbel-Rao, which has no temperature.

    Its gradient, ``(J(p) g + <g, D - p> grad log p(D)) / 2`` with p the softmax and g the loss's
    gradient at the sample D, is that of `reinmax` at tau = 1 for every draw.
    """
    return reinmax(logits, cardinalities, tau=1.0, generator=generator)


@relaxation(
    gradient="biased: the moved logits' softmax Jacobian at the sampled vertex",
    source="Fan et al. 2022, arXiv:2206.07235",
)
def gapped_straight_through(
    logits: Logits,
    cardinalities: Cardinalities,
    *,
    tau: Temperature = 1.0,
    gap: Positive = 1.0,
    generator: Noise = None,
) -> Simplex:
    """Straight-through Gumbel without its noise: logits are moved until the sample leads by a gap.

    Forward a sampled category D. Backward the softmax, at the surrogate temperature tau, of the
    logits after D's was lifted to the largest and all others within `gap` of it were pushed down to
    that distance.
    """
    hard = drawn(logits, cardinalities, generator)

    def moved(logits: Tensor, hard: Tensor) -> Tensor:
        below = logits - logits.amax(-1, keepdim=True)
        return torch.where(hard > 0, 0.0, below.clamp(max=-gap))

    led = each(moved, cardinalities, logits.detach(), hard) + (logits - logits.detach())
    return straight_through(hard, softmax(led, cardinalities, tau))


@relaxation(
    gradient="unbiased Jacobian of the mean argmax, at that mean's loss gradient",
    source="Berthet et al. 2020, arXiv:2002.08676",
)
def perturbed_argmax(
    logits: Logits,
    cardinalities: Cardinalities,
    *,
    sigma: Positive = 1.0,
    samples: Count = 10,
    generator: Noise = None,
) -> Simplex:
    """The mean of the argmaxes of `samples` noisy copies of the logits.

    The noise is Gumbel's, times sigma: as `samples` grows, the point tends to the softmax at
    temperature sigma. With one sample it is a vertex. The Jacobian comes from the argmaxes alone:
    each vertex times ``(1 - exp(-noise)) / sigma``.

    Deviations: the authors' code draws normal noise times 0.05, 1,000 times. From two samples on,
    the mean vertex is subtracted as a baseline, which leaves the mean as it is and takes out most
    of the variance.
    """
    noise = gumbel_noise(logits.detach().expand(samples, *logits.shape), generator)
    vertices = argmax(logits.detach() + sigma * noise, cardinalities)  # (S, B, F)
    masked = logits.detach() <= -far_below(logits.dtype)
    slope = -torch.expm1(-noise).masked_fill(masked, 0.0)  # the gradient of Gumbel's -log density
    step, mean = logits - logits.detach(), vertices.mean(0)
    others = (vertices - mean) * (samples / (samples - 1)) if samples > 1 else vertices

    def moved(vertices: Tensor, steps: Tensor) -> Tensor:
        return (vertices * steps.sum(-1, keepdim=True)).mean(0) / sigma

    return mean + each(moved, cardinalities, others, slope * step)
