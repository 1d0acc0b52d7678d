"""Implicit maximum likelihood: how the argmax would move if the logits took a step downhill."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.devices import wide
from tabkit.estimators.door import (
    Count,
    Noise,
    Positive,
    Share,
    Temperature,
    far_below,
    slope_of,
    with_gradient,
)
from tabkit.estimators.registry import estimator
from tabkit.estimators.soft import Logits, Scalar
from tabkit.fast import argmax, gumbel_noise
from tabkit.objective import Objective
from tabkit.simplex import Cardinalities


@estimator(
    gradient="biased: finite differences of the perturbed argmax",
    source="Niepert et al. 2021, arXiv:2106.01798",
    evaluations=lambda cardinalities, samples, **knobs: samples,
)
def imle(
    logits: Logits,
    objective: Objective,
    cardinalities: Cardinalities,
    *,
    noise_tau: Temperature = 1.0,
    samples: Count = 1,
    step: Positive = 0.1,
    generator: Noise = None,
) -> Scalar:
    """I-MLE: the perturbed argmax, less that after a step of size `step` against the gradient.

    The noise is Gumbel's, times noise_tau, and the same for both; the difference is divided by the
    step. The step multiplies the gradient of a *row's* loss, so it does not depend on the batch:
    the authors' 10, which multiplies that of the batch's mean, is 0.1 at a batch of 100. For small
    steps most rows get 0 and a few a large gradient.

    Deviations: for one of K categories the paper's sum-of-Gamma noise tends to Gumbel's, which is
    used. The authors' codes divide by the step in one experiment and not in another; Adam does not
    mind.
    """

    def difference(perturbed: Tensor, slope: Tensor) -> Float[Tensor, "B F"]:
        there = argmax(perturbed - step * slope, cardinalities)
        return (argmax(perturbed, cardinalities) - there) / step

    noises = (noise_tau * gumbel_noise(logits, generator) for _ in range(samples))
    return by_differences(logits, objective, cardinalities, noises, difference)


@estimator(
    gradient="biased: central differences of the perturbed argmax, adaptive step",
    source="Minervini et al. 2023, arXiv:2209.04862",
    evaluations=lambda cardinalities, samples, **knobs: samples,
)
def adaptive_imle(
    logits: Logits,
    objective: Objective,
    cardinalities: Cardinalities,
    *,
    noise_tau: Temperature = 1.0,
    samples: Count = 1,
    target: Positive = 1.0,
    rate: Positive = 1e-3,
    decay: Share = 0.9,
    state: dict[str, Any],
    generator: Noise = None,
) -> Scalar:
    """I-MLE by central differences, with a step that adapts until enough rows get a gradient.

    The step is ``scale * |logits| / |gradient|``, norms over the batch. The scale starts at 0 and
    moves by `rate` a call, up while fewer than `target` logits a row have a gradient, else down;
    that number is a running mean with a memory of `decay`. The first sample's gradient is 0.
    """

    def difference(perturbed: Tensor, slope: Tensor) -> Float[Tensor, "B F"]:
        slope = slope.to(wide(slope.device))  # a step of any size fits
        step = state.setdefault("scale", 0.0) * relative_size(logits, slope)
        uphill, downhill = (argmax(perturbed + s * slope, cardinalities) for s in (step, -step))
        change = (uphill - downhill) / 2
        moved = (change != 0).sum().item() / len(change)
        state["moved"] = decay * state.get("moved", 1.0) + (1 - decay) * moved
        rise = rate if state["moved"] < target else -rate
        state["scale"] = max(0.0, state["scale"] + rise)
        return (change / (step or 1.0)).to(logits.dtype)

    noises = [noise_tau * gumbel_noise(logits, generator) for _ in range(samples)]
    return by_differences(logits, objective, cardinalities, noises, difference)


def by_differences(
    logits: Logits,
    objective: Objective,
    cardinalities: Cardinalities,
    noises: Iterable[Float[Tensor, "B F"]],
    difference: Callable[[Tensor, Tensor], Float[Tensor, "B F"]],
) -> Scalar:
    """The loss at the perturbed argmax, whose gradient there is handed to `difference`."""
    losses, gradients = [], []
    for noise in noises:
        perturbed = logits.detach() + noise
        row = argmax(perturbed, cardinalities).requires_grad_(torch.is_grad_enabled())
        losses.append(objective(row))
        if torch.is_grad_enabled():
            gradients.append(difference(perturbed, slope_of(losses[-1], row)))
    loss = torch.cat(losses).mean()
    if not gradients:
        return loss
    return with_gradient(loss, logits, torch.stack(gradients).mean(dim=0))


def relative_size(logits: Float[Tensor, "B F"], slope: Float[Tensor, "B F"]) -> float:
    """``|logits| / |slope|``, of the logits that are allowed; 0 without a slope."""
    allowed = logits.detach()[logits > -far_below(logits.dtype)].to(slope.dtype)
    steepness = slope.norm().item()
    return allowed.norm().item() / steepness if steepness > 0 else 0.0
