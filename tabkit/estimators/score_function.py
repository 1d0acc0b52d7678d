"""Score-function estimators: sampled rows, their losses, and the gradient of their log-chance."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.estimators.registry import (
    Bias,
    LogitEstimator,
    Objective,
    attach_gradient,
    probabilities,
    register,
    sample_rows,
)
from tabkit.relaxations import (
    Knob,
    argmax_blocks,
    check_count,
    check_share,
    check_temperature,
    conditional_gumbels,
    perturb,
    softmax_blocks,
)
from tabkit.schema import map_blocks


@register("reinforce")
@dataclass(kw_only=True)
class Reinforce(LogitEstimator):
    """REINFORCE: one sampled row, its log-chance pushed by its loss less a moving baseline.

    The baseline is the running mean of earlier batches' losses, which no draw of this batch
    touches; it forgets by `decay` a call.

    Gradient
    --------
    Unbiased, of high variance.
    """

    decay: Knob = 0.9
    baseline: float | None = field(default=None, init=False, repr=False, compare=False)

    gradient: ClassVar[str] = "unbiased: (loss - moving mean) times the score"
    bias: ClassVar[Bias] = "unbiased"
    source: ClassVar[str] = "Williams 1992"

    def __post_init__(self) -> None:
        check_share(self.decay, "decay")

    def estimate(
        self,
        logits: Float[Tensor, "B F"],
        objective: Objective,
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, ""]:
        row = sample_rows(logits, cardinalities, generator)
        loss = objective(row)
        score = row - probabilities(logits, cardinalities)
        advantage = loss.detach() - (self.baseline or 0.0)
        if torch.is_grad_enabled() and len(loss):
            self._update(loss.detach().mean().item())
        return attach_gradient(loss.mean(), logits, advantage[:, None] * score)

    def _update(self, mean: float) -> None:
        before = mean if self.baseline is None else self.baseline
        self.baseline = self.decay * before + (1 - self.decay) * mean

    def state(self) -> dict[str, float]:
        return {} if self.baseline is None else {"baseline": self.baseline}

    def load(self, state: Mapping[str, float]) -> None:
        self.baseline = state.get("baseline")


@register("leave_one_out")
@dataclass(kw_only=True)
class LeaveOneOut(LogitEstimator):
    """REINFORCE with several sampled rows, each with the mean loss of the others as baseline.

    Gradient
    --------
    Unbiased.
    """

    samples: Knob = 4

    gradient: ClassVar[str] = "unbiased: (loss - mean of the other samples) times the score"
    bias: ClassVar[Bias] = "unbiased"
    source: ClassVar[str] = "Kool et al. 2019, ICLR workshop Deep RL meets structured prediction"

    def __post_init__(self) -> None:
        self.samples = check_count(self.samples, "samples", least=2)

    def evaluations(self, cardinalities: Sequence[int]) -> int:
        return self.samples

    def estimate(
        self,
        logits: Float[Tensor, "B F"],
        objective: Objective,
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, ""]:
        draws = self.samples
        rows = [sample_rows(logits, cardinalities, generator) for _ in range(draws)]
        losses = torch.stack([objective(row) for row in rows])  # (S, B)
        advantages = (losses - losses.mean(dim=0)).detach() / (draws - 1)
        pairs = zip(advantages, rows, strict=True)  # p cancels: the advantages sum to 0
        gradient = sum(advantage[:, None] * row for advantage, row in pairs)
        return attach_gradient(losses.mean(), logits, gradient)


@register("rebar")
@dataclass(kw_only=True)
class Rebar(LogitEstimator):
    """REINFORCE with the relaxed loss as control variate, whose own bias is taken out again.

    A row b is drawn by Gumbel noise; the objective is evaluated there, at the Gumbel-softmax of
    that noise and at that of a second noise which gives the same b. `tau` is the control variate's
    temperature; `eta` is its weight at first, which then follows the value that would have
    minimised the variance of earlier calls, with a memory of `decay`.

    Gradient
    --------
    Unbiased, if the objective also takes points inside the simplex.

    Deviations
    ----------
    The paper learns tau and eta by descent on the variance. Here tau is a knob, and eta is the
    least-squares solution from running means; ``decay = 1`` keeps it fixed.
    """

    tau: Knob = 0.5
    eta: Knob = 1.0
    decay: Knob = 0.99
    moments: tuple[float, float] | None = field(default=None, init=False, repr=False, compare=False)

    gradient: ClassVar[str] = "unbiased: the score with a relaxed control variate"
    bias: ClassVar[Bias] = "unbiased"
    source: ClassVar[str] = "Tucker et al. 2017, arXiv:1703.07370"

    def __post_init__(self) -> None:
        check_temperature(self.tau)
        if not abs(self.eta) < float("inf"):
            raise ValueError(f"eta must be a finite number, not {self.eta}")
        if self.decay != 1:
            check_share(self.decay, "decay, unless it is 1,")

    def evaluations(self, cardinalities: Sequence[int]) -> int:
        return 3

    def estimate(
        self,
        logits: Float[Tensor, "B F"],
        objective: Objective,
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> Float[Tensor, ""]:
        leaf = logits.detach().requires_grad_(torch.is_grad_enabled())
        row, free, tied = self._draw(leaf, cardinalities, generator)
        loss = objective(row)
        if not torch.is_grad_enabled():
            return loss.mean()
        score = row - probabilities(logits, cardinalities)
        plain = loss.detach()[:, None] * score
        control = self._control(leaf, objective(free), objective(tied), score)
        gradient = plain + self._weight() * control
        if len(loss):
            self._learn((plain * control).sum().item(), control.square().sum().item())
        return attach_gradient(loss.mean(), logits, gradient)

    def _draw(
        self,
        logits: Float[Tensor, "B F"],
        cardinalities: Sequence[int],
        generator: torch.Generator | None,
    ) -> tuple[Float[Tensor, "B F"], Float[Tensor, "B F"], Float[Tensor, "B F"]]:
        """A hard row, and the relaxed points of its own noise and of noise tied to that row."""
        tau = check_temperature(self.tau)
        log_p = map_blocks(lambda block: block.log_softmax(dim=1), cardinalities, logits)
        free = perturb(log_p, generator)
        row = argmax_blocks(free, cardinalities)

        def conditional(log_p: Tensor, vertex: Tensor) -> Tensor:
            return conditional_gumbels(log_p, vertex, generator)

        def relaxed(perturbed: Tensor) -> Float[Tensor, "B F"]:
            return softmax_blocks(perturbed / tau, cardinalities)

        tied = map_blocks(conditional, cardinalities, log_p, row)
        return row, relaxed(free), relaxed(tied)

    @staticmethod
    def _control(
        leaf: Tensor, free: Float[Tensor, " B"], tied: Float[Tensor, " B"], score: Tensor
    ) -> Float[Tensor, "B F"]:
        """The control variate, of mean 0: what is added to the plain score, times eta."""
        (difference,) = torch.autograd.grad((free - tied).sum(), leaf)
        return difference - tied.detach()[:, None] * score

    def _weight(self) -> float:
        if self.moments is None or self.moments[1] == 0:
            return self.eta
        return -self.moments[0] / self.moments[1]

    def _learn(self, product: float, square: float) -> None:
        if self.decay == 1:
            return
        before = self.moments or (0.0, 0.0)
        new = zip(before, (product, square), strict=True)
        self.moments = tuple(self.decay * old + (1 - self.decay) * now for old, now in new)

    def state(self) -> dict[str, float]:
        moments: Iterable[float] = self.moments or ()
        return dict(zip(("product", "square"), moments, strict=False))

    def load(self, state: Mapping[str, float]) -> None:
        self.moments = (state["product"], state["square"]) if state else None
