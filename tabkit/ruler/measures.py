"""The ruler: how far an estimator's gradient lies from the exact one of the expected loss."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.estimators import Estimator
from tabkit.objective import Function, Objective
from tabkit.ruler.reference import Reference, check_head, draw, draw_many, exact_gradient

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

    Columns
    -------
    squared_bias
        ``|E g - g*|^2 / |g*|^2``, g* the reference: estimated without bias, so it may fall a
        little below 0.
    variance
        Sum of the variances of g, over ``|g*|^2``.
    cosine
        Mean cosine of one draw with g*: how well a single step points.
    mean_cosine
        Cosine of the mean of all draws with g*: what is left when noise averages out.
    signal_to_noise
        ``|E g|`` over the square root of the summed variances; infinite without noise.
    evaluations
        Of the objective, a row and call.
    milliseconds
        Median of a call, forward and backward; noisy, and of this machine.

    A column NAME_se is the standard error by the jackknife over groups of draws, those of a sampled
    reference included; it says how well these rows' gradients are measured, not how other rows'
    would come out. Where there is no bias, that of the squared bias is too large, as jackknives of
    squares are. The noise of a sampled reference is taken out of the squared bias, but it lowers
    both cosines a little.

    Parameters
    ----------
    chosen
        Estimators by the names under which they shall be listed.
    reference
        The exact gradient if not given, which needs a joint table of at most 10,000 rows.
    warm_up
        Calls that do not count, for an estimator that learns from call to call.

    Raises
    ------
    ValueError
        If there are fewer than 40 draws, an estimator takes embeddings, the objective does not
        return one loss per row, the joint table is too big and no reference is given, or the
        reference is little but noise.
    TypeError
        If the objective lacks what an estimator needs.

    Source
    ------
    Jackknife: Efron and Stein 1981, The Annals of Statistics 9(3).
    """
    if draws < 2 * GROUPS:
        raise ValueError(f"draws must be at least {2 * GROUPS}, not {draws}")
    for estimator in chosen.values():
        check_head(estimator)
        draw(estimator.fresh(), logits, objective, cardinalities, None)
    if reference is None:
        reference = exact_gradient(logits, objective, cardinalities)
    if reference.variance.sum() > reference.gradient.square().sum() / 4:
        raise ValueError("the reference is little but noise: give sampled_gradient more draws")
    rows = []
    for name, estimator in chosen.items():
        found = estimate(
            estimator,
            logits,
            objective,
            cardinalities,
            reference=reference,
            draws=draws,
            seed=seed,
            warm_up=warm_up,
        )
        alone = estimator.fresh()
        cost = {
            "evaluations": estimator.evaluations(cardinalities),
            "milliseconds": 1e3 * seconds_a_call(alone, logits, objective, cardinalities),
        }
        rows.append({"estimator": name, **found.measures, **cost})
    return pd.DataFrame(rows).set_index("estimator")


@dataclass(frozen=True, eq=False)
class Gradients:
    """Many estimates of one gradient, and how they compare with the reference.

    Attributes
    ----------
    draws : Tensor
        (M, B, F).
    reference : Reference
    measures : dict
        As the columns of `measure`, cost left out.
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
    seed: int = 0,
    warm_up: int = 200,
) -> Gradients:
    """What `measure` measures, for one estimator, with the estimates themselves.

    Raises
    ------
    ValueError
        If there are fewer than 2 draws, or the estimator takes embeddings.
    """
    if draws < 2:
        raise ValueError(f"draws must be at least 2, not {draws}")
    found = draw_many(
        estimator, logits, objective, cardinalities, draws=draws, seed=seed, warm_up=warm_up
    )
    return Gradients(found, reference, against(found, reference))


def against(found: Float[Tensor, "M B F"], reference: Reference) -> dict[str, float]:
    """The measures of many estimates, and their standard errors."""
    whole = measures(found, reference)
    variances = dict.fromkeys(whole, 0.0)
    for left_out in (
        [measures(rest, reference) for rest in without_each_group(found)],
        [measures(found, Reference(rest)) for rest in without_each_group(reference.draws)],
    ):
        for name in whole:
            variances[name] += jackknife([m[name] for m in left_out])
    columns = {}
    for name, value in whole.items():
        columns |= {name: value, f"{name}_se": variances[name] ** 0.5}
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


def seconds_a_call(
    estimator: Estimator,
    logits: Float[Tensor, "B F"],
    objective: Function | Objective,
    cardinalities: Sequence[int],
    *,
    calls: int = 11,
) -> float:
    """The median time of a call with its backward pass; of its launch only, on a GPU."""
    generator = torch.Generator(logits.device).manual_seed(0)

    def timed(call: Callable[[], object]) -> float:
        started = time.perf_counter()
        call()
        return time.perf_counter() - started

    return median(
        timed(lambda: draw(estimator, logits, objective, cardinalities, generator))
        for _ in range(calls)
    )
