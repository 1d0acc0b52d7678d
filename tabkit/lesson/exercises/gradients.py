"""Exercises of notebook 05: baselines, noise, an estimator of one's own."""

from typing import Any

import pandas as pd
import torch

from tabkit import simplex
from tabkit.lesson.checks import called, exercise
from tabkit.lesson.comparing import Wrong, is_same, same
from tabkit.lesson.exercises.codes import stream


@exercise("05.1", "Does a sample's own loss take part in its baseline?")
def advantages(answer: Any) -> None:
    """``advantages(losses)``."""
    for S, B in ((4, 5), (2, 3)):
        losses = torch.rand(S, B, generator=stream(S))
        found = called(answer, losses.clone())
        means = [torch.cat([losses[:s], losses[s + 1 :]]).mean(dim=0) for s in range(S)]
        right = losses - torch.stack(means)
        if is_same(found, losses - losses.mean(dim=0)):
            raise Wrong("the baseline is the mean of all; a sample's own loss must stay out.")
        same(found, right, f"with {S} samples, the answer")


@exercise("05.2", "1 sample and 50, on the toy's logits and objective.")
def more_noise(answer: Any) -> None:
    """The ruler's table of two."""
    if not isinstance(answer, pd.DataFrame) or "variance" not in answer:
        raise Wrong("ruler.measure returns a table with a column `variance`.")
    same(len(answer), 2, "the number of rows")
    few, many = answer.iloc[0]["variance"], answer.iloc[1]["variance"]
    if many > few:
        raise Wrong("the first row scatters less: the one with fewer samples comes first.")
    if many > 0.9 * few:
        raise Wrong(f"the variances are {few:.2f} and {many:.2f}: is the second with 50 samples?")


@exercise("05.3", "Half the noise, then the softmax at tau.")
def half_noisy(answer: Any) -> float:
    """A relaxation with half the noise."""
    logits, K = torch.randn(500, 7, generator=stream(1)), [3, 4]
    for tau in (1.0, 0.5):
        leaf = logits.clone().requires_grad_()
        found = called(answer, leaf, K, tau=tau, generator=stream(2))
        noise = simplex.gumbel_noise(logits, stream(2))
        known = {"all of the noise": noise, "no noise": 0 * noise, "minus half of it": -noise / 2}
        right = simplex.softmax(logits + noise / 2, K, tau)
        for what, other in known.items():
            wrong = simplex.softmax(logits + other, K, tau)
            if is_same(found, wrong):
                raise Wrong(f"that is the softmax with {what}.")
        off = same(found, right, f"at tau {tau}, the answer")
        if not getattr(found, "requires_grad", False):
            raise Wrong("the values are right, but no gradient comes back to the logits.")
    return off
