"""The ruler: how far an estimator's gradient lies from the exact one of the expected loss.

All gradients here are those of a *row's* expected loss in its logits, (B, F): the expectation over
the hard rows that softmax(logits) draws, columns independent.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from tabkit import estimators
from tabkit.estimators import Estimator, Objective

GROUPS = 20  # of draws, left out one at a time for the standard errors
WARM_UP = 20  # calls before the first draw that counts, for what learns from call to call


@dataclass(frozen=True)
class Reference:
    """What estimators are measured against.

    Attributes
    ----------
    gradient : (B, F), of each row's expected loss in its logits
    variance : (B, F), of that gradient's own error; 0 if it is exact
    """

    gradient: Float[Tensor, "B F"]
    variance: Float[Tensor, "B F"]

    @property
    def standard_error(self) -> Float[Tensor, "B F"]:
        """The reference's own error bar."""
        return self.variance.sqrt()


def exact_gradient(
    logits: Float[Tensor, "B F"],
    objective: Objective,
    cardinalities: Sequence[int],
    *,
    limit: int = 10_000,
) -> Reference:
    """The exact gradient, by every row of the joint table.

    Raises
    ------
    ValueError
        If the joint table has more than `limit` rows; `sampled_gradient` has no such limit.

    Examples
    --------
    >>> exact_gradient(torch.zeros(1, 2), lambda s: s @ torch.tensor([0.0, 4.0]), [2]).gradient
    tensor([[-1.,  1.]])
    """
    exact = estimators.make("exact", limit=limit)
    gradient = draw(exact, logits, objective, cardinalities, None)
    return Reference(gradient, torch.zeros_like(gradient))


def sampled_gradient(
    logits: Float[Tensor, "B F"],
    objective: Objective,
    cardinalities: Sequence[int],
    *,
    draws: int = 100,
    seed: int = 0,
) -> Reference:
    """An unbiased estimate of low variance where the joint table is too big, with its error bar.

    The mean of `draws` calls of IndeCateR, each of which tries every category of every column:
    ``1 + F - C`` evaluations a row and draw.

    Raises
    ------
    ValueError
        If `draws` is below 2.
    """
    if draws < 2:
        raise ValueError(f"draws must be at least 2, not {draws}")
    found = draw_many(
        estimators.make("indecater"), logits, objective, cardinalities, draws=draws, seed=seed
    )
    return Reference(found.mean(dim=0), found.var(dim=0) / draws)


def draw(
    estimator: Estimator,
    logits: Float[Tensor, "B F"],
    objective: Objective,
    cardinalities: Sequence[int],
    generator: torch.Generator | None,
) -> Float[Tensor, "B F"]:
    """One estimate of the gradient of each row's loss; 0 if the logits get none."""
    leaf = logits.detach().clone().requires_grad_()
    loss = estimator(leaf, objective, cardinalities=cardinalities, generator=generator)
    if not loss.requires_grad:
        return torch.zeros_like(logits)
    (gradient,) = torch.autograd.grad(loss, leaf, allow_unused=True)
    return torch.zeros_like(logits) if gradient is None else gradient * len(logits)


def draw_many(
    estimator: Estimator,
    logits: Float[Tensor, "B F"],
    objective: Objective,
    cardinalities: Sequence[int],
    *,
    draws: int,
    seed: int = 0,
) -> Float[Tensor, "M B F"]:
    """Many estimates by one seed, after a few unused ones if the estimator learns on the way.

    Raises
    ------
    ValueError
        If the estimator takes embeddings: its gradient is not one for logits.
    """
    if estimator.head != "logits":
        raise ValueError(f"{estimator!r} has no gradient for logits: it takes an embedding")
    generator = torch.Generator(logits.device).manual_seed(seed)

    def once() -> Float[Tensor, "B F"]:
        return draw(estimator, logits, objective, cardinalities, generator)

    once()
    for _ in range(WARM_UP if estimator.state() else 0):
        once()
    return torch.stack([once() for _ in range(draws)])


def measure(
    chosen: Mapping[str, Estimator],
    logits: Float[Tensor, "B F"],
    objective: Objective,
    cardinalities: Sequence[int],
    *,
    reference: Reference | None = None,
    draws: int = 1000,
    seed: int = 0,
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

    A column NAME_se is the standard error by the jackknife over groups of draws (not over rows,
    nor seeds); it holds the draws' error only.

    Parameters
    ----------
    chosen
        Estimators by the names under which they shall be listed.
    reference
        The exact gradient if not given, which needs a joint table of at most 10,000 rows.

    Raises
    ------
    ValueError
        If there are fewer than 40 draws, an estimator takes embeddings, or the joint table is too
        big and no reference is given.
    """
    if draws < 2 * GROUPS:
        raise ValueError(f"draws must be at least {2 * GROUPS}, not {draws}")
    if reference is None:
        reference = exact_gradient(logits, objective, cardinalities)
    rows = []
    for name, estimator in chosen.items():
        found = draw_many(estimator, logits, objective, cardinalities, draws=draws, seed=seed)
        cost = {
            "evaluations": estimator.evaluations(cardinalities),
            "milliseconds": 1e3 * seconds_a_call(estimator, logits, objective, cardinalities),
        }
        rows.append({"estimator": name, **against(found, reference), **cost})
    return pd.DataFrame(rows).set_index("estimator")


def against(found: Float[Tensor, "M B F"], reference: Reference) -> dict[str, float]:
    """The measures of many estimates, and their standard errors."""
    flat = found.flatten(start_dim=1).double()
    groups = flat.tensor_split(GROUPS)
    rest = [torch.cat([*groups[:i], *groups[i + 1 :]]) for i in range(GROUPS)]
    whole, left_out = measures(flat, reference), [measures(part, reference) for part in rest]
    errors = {name: jackknife([m[name] for m in left_out]) for name in whole}
    return {k: v for name in whole for k, v in ((name, whole[name]), (f"{name}_se", errors[name]))}


def measures(flat: Float[Tensor, "M BF"], reference: Reference) -> dict[str, float]:
    """The measures of estimates (M, B*F) against the reference."""
    truth = reference.gradient.flatten().double()
    mean, noise = flat.mean(dim=0), flat.var(dim=0).sum()
    own = noise / len(flat)  # the mean's own error, which squares would count as bias
    scale = truth.square().sum() - reference.variance.sum()
    bias = (mean - truth).square().sum() - own - reference.variance.sum()
    signal = (mean.square().sum() - own).clamp(min=0)
    return {
        "squared_bias": (bias / scale).item(),
        "variance": (noise / scale).item(),
        "cosine": torch.cosine_similarity(flat, truth[None], dim=1).mean().item(),
        "mean_cosine": torch.cosine_similarity(mean, truth, dim=0).item(),
        "signal_to_noise": (signal / noise).sqrt().item() if noise > 0 else math.inf,
    }


def jackknife(left_out: Sequence[float]) -> float:
    """The standard error of a statistic from its values with one group left out each."""
    values = torch.tensor(left_out, dtype=torch.float64)
    if not values.isfinite().all():
        return 0.0
    return ((len(values) - 1) * values.var(correction=0)).sqrt().item()


def seconds_a_call(
    estimator: Estimator,
    logits: Float[Tensor, "B F"],
    objective: Objective,
    cardinalities: Sequence[int],
    *,
    calls: int = 11,
) -> float:
    """The median time of a call with its backward pass."""
    generator = torch.Generator(logits.device).manual_seed(0)

    def timed(call: Callable[[], object]) -> float:
        started = time.perf_counter()
        call()
        return time.perf_counter() - started

    return median(
        timed(lambda: draw(estimator, logits, objective, cardinalities, generator))
        for _ in range(calls)
    )
