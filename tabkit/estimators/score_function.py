"""Score-function estimators: sampled rows, their losses, and the gradient of their log-chance."""

from typing import Any

import torch

from tabkit.devices import wide
from tabkit.estimators.door import (
    Finite,
    Memory,
    Noise,
    Several,
    Share,
    Temperature,
    slope_of,
    with_gradient,
)
from tabkit.estimators.gumbel import conditional_gumbels
from tabkit.estimators.registry import estimator
from tabkit.estimators.sampled import drawn
from tabkit.estimators.soft import Logits, Scalar
from tabkit.fast import argmax, gumbel_noise, softmax
from tabkit.objective import Objective
from tabkit.simplex import Cardinalities, each, log_softmax


@estimator(
    gradient="unbiased: (loss - moving mean) times the score",
    bias="unbiased",
    source="Williams 1992",
)
def reinforce(
    logits: Logits,
    objective: Objective,
    cardinalities: Cardinalities,
    *,
    decay: Share = 0.9,
    state: dict[str, Any],
    generator: Noise = None,
) -> Scalar:
    """REINFORCE: one sampled row, its log-chance pushed by its loss less a moving baseline.

    The baseline is the running mean of earlier batches' losses, which no draw of this batch
    touches; it forgets by `decay` a call. Unbiased, of high variance.
    """
    row = drawn(logits, cardinalities, generator)
    loss, score = objective(row), row - softmax(logits.detach(), cardinalities)
    advantage = loss.detach() - state.get("baseline", 0.0)
    if torch.is_grad_enabled():
        mean = loss.detach().mean().item()
        state["baseline"] = decay * state.get("baseline", mean) + (1 - decay) * mean
    return with_gradient(loss.mean(), logits, advantage[:, None] * score)


@estimator(
    gradient="unbiased: (loss - mean of the other samples) times the score",
    bias="unbiased",
    source="Kool et al. 2019, ICLR workshop Deep RL meets structured prediction",
    evaluations=lambda cardinalities, samples: samples,
)
def leave_one_out(
    logits: Logits,
    objective: Objective,
    cardinalities: Cardinalities,
    *,
    samples: Several = 4,
    generator: Noise = None,
) -> Scalar:
    """REINFORCE with several sampled rows, each with the mean loss of the others as baseline."""
    rows = [drawn(logits, cardinalities, generator) for _ in range(samples)]
    losses = torch.stack([objective(row) for row in rows])  # (S, B)
    advantages = (losses - losses.mean(dim=0)).detach() / (samples - 1)  # sum 0: p cancels
    gradient = sum(a[:, None] * row for a, row in zip(advantages, rows, strict=True))
    return with_gradient(losses.mean(), logits, gradient)


@estimator(
    gradient="unbiased: the score with a relaxed control variate",
    bias="unbiased",
    source="Tucker et al. 2017, arXiv:1703.07370",
    evaluations=lambda cardinalities, **knobs: 3,
)
def rebar(
    logits: Logits,
    objective: Objective,
    cardinalities: Cardinalities,
    *,
    tau: Temperature = 0.5,
    eta: Finite = 1.0,
    decay: Memory = 0.99,
    state: dict[str, Any],
    generator: Noise = None,
) -> Scalar:
    """REINFORCE with the relaxed loss as control variate, whose own bias is taken out again.

    A row is drawn by Gumbel noise; the objective is evaluated there, at the Gumbel-softmax of that
    noise and at that of a second noise which gives the same row. `tau` is the control variate's
    temperature; `eta` is its weight at first, which then follows the value that would have
    minimised the variance of earlier calls, with a memory of `decay`. Unbiased, if the objective
    also takes points inside the simplex.

    Deviations: the paper learns tau and eta by descent on the variance. Here tau is a knob, and eta
    is the least-squares solution from running means; ``decay = 1`` keeps it fixed.
    """
    leaf = logits.detach().requires_grad_(torch.is_grad_enabled())
    log_p = log_softmax(leaf, cardinalities)
    free = log_p + gumbel_noise(log_p, generator)
    row = argmax(free, cardinalities)
    loss = objective(row)
    if not torch.is_grad_enabled():
        return loss.mean()
    tied = each(lambda z, b: conditional_gumbels(z, b, generator), cardinalities, log_p, row)
    at_free, at_tied = (objective(softmax(z, cardinalities, tau)) for z in (free, tied))
    slope = slope_of(at_free - at_tied, leaf)
    score = row - softmax(logits.detach(), cardinalities)
    plain = loss.detach()[:, None] * score
    control = slope - at_tied.detach()[:, None] * score  # of mean 0
    product, square = state.get("product", 0.0), state.get("square", 0.0)
    weight = -product / square if square else eta
    if decay != 1:
        large = control.to(wide(control.device))  # its square may be
        state["product"] = decay * product + (1 - decay) * (plain * large).sum().item()
        state["square"] = decay * square + (1 - decay) * large.square().sum().item()
    return with_gradient(loss.mean(), logits, plain + weight * control)
