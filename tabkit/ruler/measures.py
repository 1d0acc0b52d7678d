"""The ruler: how far an estimator's gradient lies from the exact one of the expected loss."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.estimators import Estimator
from tabkit.objective import Function, Objective
from tabkit.ruler.reference import (
    Reference,
    check_head,
    check_reference,
    draw,
    draw_many,
    exact_gradient,
)
from tabkit.ruler.timing import milliseconds

GROUPS = 20  # of draws, left out one at a time for the standard errors


def measure(
    chosen: Mapping[str, Estimator],
    logits: Float[Tensor, "B F"],
    objective: Function | Objective,
    cardinalities: Sequence[int],
    *,
    reference: Reference | None = None,
    draws: int = 1000,
    seed: int = 0,
    warm_up: int = 200,
) -> pd.DataFrame:
    """Bias, variance, cosine, signal-to-noise and cost of estimators, with standard errors.

    One row per estimator. All rows of logits count together, as one long gradient.

    - `squared_bias`: ``|E g - g*|^2 / |g*|^2``, g* the reference: estimated without bias, so it may
      fall a little below 0
    - `variance`: sum of the variances of g, over ``|g*|^2``
    - `cosine`: mean cosine of one draw with g*: how well a single step points
    - `mean_cosine`: cosine of the mean of all draws with g*: what is left when noise averages out
    - `signal_to_noise`: ``|E g|`` over the root of the summed variances; infinite without noise
    - `evaluations`: of the objective, a row and call
    - `milliseconds`: median of a call, forward and backward; noisy, and of this machine

    A column NAME_se is the standard error by the jackknife over groups of draws, those of a sampled
    reference included; it says how well these rows' gradients are measured, not how other rows'
    would come out. Where there is no bias, that of the squared bias is too large, as jackknives of
    squares are. The noise of a sampled reference is taken out of the squared bias, but it lowers
    both cosines a little.

    Parameters
    ----------
    chosen : estimators by the names under which they shall be listed
    reference : the exact gradient if not given, which needs a joint table of at most 10,000 rows
    warm_up : calls that do not count, for an estimator that learns from call to call

    Raises
    ------
    ValueError, TypeError
        If there are fewer than 40 draws, an estimator takes embeddings, the objective does not
        return one loss per row or lacks what an estimator needs, the joint table is too big and no
        reference is given, or the reference is 0 or little but noise.

    Source
    ------
    Jackknife: Efron and Stein 1981, The Annals of Statistics 9(3).
    """
    if draws < 2 * GROUPS:
        raise ValueError(f"draws must be at least {2 * GROUPS}, not {draws}")
    given = logits, objective, cardinalities
    for estimator in chosen.values():
        check_head(estimator)
        draw(estimator.fresh(), *given, None)
    reference = reference or exact_gradient(*given)
    check_reference(reference, *given)
    if reference.variance.sum() > reference.gradient.square().sum() / 4:
        raise ValueError("the reference is little but noise: give sampled_gradient more draws")
    options, rows = {"draws": draws, "seed": seed, "warm_up": warm_up}, {}
    for name, estimator in chosen.items():
        rows[name] = against(draw_many(estimator, *given, **options), reference)
        rows[name]["evaluations"] = estimator.evaluations(cardinalities)
        rows[name]["milliseconds"] = milliseconds_a_call(estimator.fresh(), *given)
    return pd.DataFrame(rows.values(), pd.Index(list(rows), name="estimator"))


@dataclass(frozen=True, eq=False)
class Gradients:
    """Many estimates of one gradient, and how they compare with the reference.

    Attributes
    ----------
    draws : (M, B, F)
    reference : what they are compared with
    measures : as the columns of `measure`, cost left out
    """

    draws: Float[Tensor, "M B F"]
    reference: Reference
    measures: dict[str, float]


def estimate(
    estimator: Estimator,
    logits: Float[Tensor, "B F"],
    objective: Function | Objective,
    cardinalities: Sequence[int],
    *,
    reference: Reference,
    draws: int = 100,
    **options: int,
) -> Gradients:
    """What `measure` measures, for one estimator, with the estimates themselves.

    `options` are the seed and the calls to `warm_up`, as there.

    Raises
    ------
    ValueError
        If there are fewer than 2 draws, the estimator takes embeddings, or the reference is 0.
    """
    if draws < 2:
        raise ValueError(f"draws must be at least 2, not {draws}")
    check_reference(reference, logits, objective, cardinalities)
    found = draw_many(estimator, logits, objective, cardinalities, draws=draws, **options)
    return Gradients(found, reference, against(found, reference))


def against(found: Float[Tensor, "M B F"], reference: Reference) -> dict[str, float]:
    """The measures of many estimates, and their standard errors."""
    left_out = (
        [measures(rest, reference) for rest in without_each_group(found)],
        [measures(found, Reference(rest)) for rest in without_each_group(reference.draws)],
    )
    columns = {}
    for name, value in measures(found, reference).items():
        variance = sum(jackknife([m[name] for m in groups]) for groups in left_out)
        columns |= {name: value, f"{name}_se": variance**0.5}
    return columns


def without_each_group(draws: Float[Tensor, "M B F"]) -> Iterator[Float[Tensor, "_ B F"]]:
    """The draws without one group of neighbours, for each group; nothing for a single draw."""
    count = min(GROUPS, len(draws))
    groups = draws.tensor_split(count)
    for i in range(count if len(draws) > 1 else 0):
        yield torch.cat([*groups[:i], *groups[i + 1 :]])


def measures(found: Float[Tensor, "M B F"], reference: Reference) -> dict[str, float]:
    """The measures of estimates against the reference."""
    flat, truth = found.flatten(1).cpu().double(), reference.gradient.flatten().cpu().double()
    mean, noise = flat.mean(dim=0), flat.var(dim=0).sum()
    own = noise / len(flat)  # the mean's own error, which squares would count as bias
    error = reference.variance.cpu().sum()
    scale = truth.square().sum() - error
    bias = (mean - truth).square().sum() - own - error
    signal = (mean.square().sum() - own).clamp(min=0)
    return {
        "squared_bias": (bias / scale).item(),
        "variance": (noise / scale).item(),
        "cosine": torch.cosine_similarity(flat, truth[None], dim=1).mean().item(),
        "mean_cosine": torch.cosine_similarity(mean, truth, dim=0).item(),
        "signal_to_noise": (signal / noise).sqrt().item() if noise > 0 else math.inf,
    }


def jackknife(left_out: Sequence[float]) -> float:
    """The variance of a statistic from its values with one group left out each.

    0 without groups, or if the statistic is the same in all, infinite say; NaN if only some are.
    """
    values = torch.tensor(left_out, dtype=torch.float64)
    if not len(values) or (values == values[0]).all():
        return 0.0
    return ((len(values) - 1) * values.var(correction=0)).item()


def milliseconds_a_call(
    estimator: Estimator, logits: Float[Tensor, "B F"], *given: Any, calls: int = 11
) -> float:
    """The median time of a call with its backward pass."""
    work = partial(draw, estimator, logits, *given, torch.Generator(logits.device).manual_seed(0))
    return median(milliseconds(work, logits.device) for _ in range(calls))
