"""What net0 hands over for some rows, before a hard row is made of it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tabkit import fast, nets
from tabkit.estimators import Estimator, make
from tabkit.estimators.door import NotFiniteError, allowed_logits, check_embedding
from tabkit.nets import SquaredDistance
from tabkit.objective import Objective
from tabkit.schema import Fixed, check_mask, check_signal
from tabkit.simplex import blocks


@dataclass(frozen=True, eq=False)
class Handed:
    """What net0 hands to net1: a mixture, a sample, a hard row, or a free embedding.

    Attributes
    ----------
    net1 : the frozen encoder
    logits : (B, F), minus infinity where a category is not allowed
    continuous : (B, N), net0's numbers
    simplex : (B, F), or None where net0 outputs embeddings
    free : (B, C*D), the embedding that it outputs, or None
    wanted : what the rows cost, if not their distance from net1's output for what was handed over
    held : (N,), the numbers that are given, so that no decoder may move them; None if none is
    """

    net1: Any
    logits: Float[Tensor, "B F"]
    continuous: Float[Tensor, "B N"]
    simplex: Float[Tensor, "B F"] | None
    free: Float[Tensor, "B CD"] | None
    wanted: Objective | None = None
    held: Bool[Tensor, " N"] | None = None

    @property
    def moves(self) -> Bool[Tensor, " N"]:
        """The numbers that net0 was free to choose."""
        every = self.continuous.new_ones(self.continuous.shape[1], dtype=torch.bool)
        return every if self.held is None else ~self.held

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """K of each column."""
        return nets.cardinalities_of(self.net1)

    @property
    def allowed(self) -> Bool[Tensor, "B F"]:
        """The categories that may be decoded."""
        return ~self.logits.isneginf()

    @cached_property
    def hard(self) -> Bool[Tensor, " B"]:
        """Which of what was handed over are rows already: one-hot in every column."""
        if self.simplex is None:
            return torch.zeros(len(self.logits), dtype=torch.bool, device=self.logits.device)
        most = [block.amax(dim=1) == 1 for block in blocks(self.simplex, self.cardinalities)]
        return torch.stack(most).all(dim=0)

    @cached_property
    def embedding(self) -> Float[Tensor, "B CD"]:
        """What was handed over, as embeddings; asks net1 for its tables."""
        if self.free is not None:
            return self.free
        return nets.ask(self.net1, "embedding", "to see what was handed over")(self.simplex)

    @cached_property
    def output(self) -> Float[Tensor, "B Z"]:
        """net1's output for it."""
        if self.free is None:
            return self.net1(self.simplex, self.continuous)
        return nets.embedded(self.net1, self.free, self.continuous)

    @property
    def objective(self) -> Objective:
        """What a search lowers."""
        if self.wanted is not None:
            return self.wanted
        return SquaredDistance(nets.folded(self.net1), self.continuous, self.output)


@torch.no_grad()
def handed_over(
    net0: Any,
    signal: Float[Tensor, "B S"],
    net1: Any,
    *,
    estimator: Estimator | str | None = None,
    objective: nets.ObjectiveOf | None = None,
    allowed: Bool[Tensor, " F"] | None = None,
    fixed: Fixed | None = None,
    seed: int = 0,
) -> Handed:
    """What net0 hands over for some signals; the parameters are those of `decode`."""
    K, masks = nets.cardinalities_of(net1), [] if allowed is None else [allowed]
    if fixed is not None:
        masks.append(checked(fixed).allowed)
    for mask in masks:
        check_mask(mask, sum(K))
    signal = sent(signal, net1)
    prediction = nets.predicted(net0, signal, net1)
    free, continuous = prediction[0], nets.numbers_of(net0, prediction)
    given = [values for values in (getattr(net0, "fixed", None),) if values is not None]
    if fixed is not None:
        continuous = nets.hold(continuous, fixed.numbers)
        given.append(fixed.numbers.to(continuous.device))
    if not bool(continuous.isfinite().all()):
        raise NotFiniteError("a number that net0 predicts is not finite: it has diverged")
    embeds = nets.head_of(net0) == "embedding"
    with fast.look(True):  # decoding waits for the device anyway
        check_embedding(free, None) if embeds else allowed_logits(free, K, finite=False)
    logits = nets.logits_of(net0, net1, prediction)
    held = torch.stack([values.isfinite() for values in given]).any(dim=0) if given else None
    for mask in masks:
        logits = logits.masked_fill(~mask.to(logits.device), -torch.inf)
    chosen, wanted = make(estimator) if isinstance(estimator, str) else estimator, None
    if objective is not None:
        wanted = Objective.of(objective(net1, nets.Batch(signal, continuous)))
    with fast.look(True):
        allowed_logits(logits, K, finite=False)  # says so if a column allows nothing
    if embeds:
        if chosen is not None and chosen.rule.snaps:
            free = SquaredDistance(net1, continuous, continuous).snap(free)
        return Handed(net1, logits, continuous, None, free, wanted, held)
    options = {"generator": torch.Generator(logits.device).manual_seed(seed)}
    point = (chosen or make("softmax")).simplex(logits, cardinalities=K, **options)
    return Handed(net1, logits, continuous, point, None, wanted, held)


def sent(signal: Float[Tensor, "B S"], net1: Any) -> Float[Tensor, "B S"]:
    """The signal, checked, where and in the type in which net1 works."""
    check_signal(signal)
    moved = signal.to(nets.device_of(net1), nets.dtype_of(net1))
    if moved.dtype != signal.dtype:  # which may not hold its numbers
        check_signal(moved)
    return moved


def checked(fixed: Any) -> Fixed:
    """Raises TypeError if these are no fixed values, ValueError if one is NaN."""
    if not isinstance(fixed, Fixed):
        raise TypeError(f"fixed={fixed!r}: give it as data.schema.fix({fixed!r})")
    if bool(fixed.numbers.isnan().any()):
        raise ValueError(f"a fixed number is NaN: {dict(fixed.values)}")
    return fixed
