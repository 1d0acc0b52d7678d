"""One trial of a recommendation: a net0 trained through an estimator, decoded by every decoder."""

import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.compare.limit import distance_at, fit_limit
from tabkit.compare.specs import parse_spec
from tabkit.data import Dataset
from tabkit.decoders import Handed, decoder_of, handed_over, possible
from tabkit.decoders.restarts import DRAWN, STEPS, restarted
from tabkit.decoders.search import search_by
from tabkit.estimators import Estimator
from tabkit.fast.exchanges import BACKWARD, SHORTLIST
from tabkit.nets import (
    Batch,
    FoldedEncoder,
    ObjectiveOf,
    RowPredictor,
    SquaredDistance,
    cardinalities_of,
    device_of,
    dtype_of,
    encode_rows,
    folded,
    takes_embeddings,
)
from tabkit.objective import Codes, Losses, Objective
from tabkit.schema import Rows
from tabkit.train import Distances, Fit, fit_predictor

LIMIT = "limit"
MANY = 20_000  # rows, for which the seconds of decoding are told
ALONE = 64  # random rows that are each predicted for every test row
PerRow = Float[Tensor, " R"]
Drive = Callable[[Fit, str], None]  # takes a fit's steps
Reached = tuple[PerRow, dict[str, PerRow], dict[str, float], dict[str, float]]


@dataclass(frozen=True, eq=False)
class Trial:
    """What one net0 (or the limit's net) reached on the R test rows that are decoded.

    Attributes
    ----------
    relaxed : (R,), the loss of what it hands over; the limit's only loss
    decoded : by decoder, the loss of its hard rows
    decoding : by decoder, seconds a row, net0's included
    evaluations : by decoder, of net1, a row
    seconds : of training and decoding together
    """

    estimator: str
    seed: int
    relaxed: PerRow
    decoded: Mapping[str, PerRow]
    decoding: Mapping[str, float]
    evaluations: Mapping[str, float]
    seconds: float = 0.0


class Counted(Objective):
    """An objective that notes how many rows' exchanges a search asks for."""

    def __init__(self, inner: Objective, looked: list[int]) -> None:
        self.inner, self.looked = inner, looked

    def typed(self, dtype: torch.dtype) -> "Counted":
        found = copy.copy(self)
        found.inner = self.inner.typed(dtype)
        return found

    def at(self, index: Tensor) -> "Counted | None":
        found, part = copy.copy(self), self.inner.at(index)
        found.inner = part
        return None if part is None else found

    def hard(self, codes: Codes, cardinalities: tuple[int, ...]) -> Losses:
        return self.inner.hard(codes, cardinalities)

    def best_exchange(self, codes: Codes, *others: Any) -> tuple[Losses, Tensor]:
        self.looked.append(len(codes))
        return self.inner.best_exchange(codes, *others)


@dataclass(eq=False)
class Setting:
    """The reader's net, table and loss, and the sizes that all trials share."""

    net1: Any
    dataset: Dataset
    objective: ObjectiveOf | None
    batch: int
    index: Tensor  # the test rows that are decoded
    decoders: Sequence[str] = ()
    all_at_once: bool = False

    def __post_init__(self) -> None:
        self.K, self.where = (
            cardinalities_of(self.net1),
            (device_of(self.net1), dtype_of(self.net1)),
        )
        self.decoders = self.decoders or possible(self.net1)

    def narrowed(self, **changed: Any) -> "Setting":
        """The same with fewer rows or decoders; what net1 gave for the true rows is kept."""
        found = replace(self, **changed)
        found.targets = self.targets
        return found

    @cached_property
    def targets(self) -> Distances:
        """net1's outputs for the true rows."""
        return Distances(folded(self.net1), self.dataset, all_at_once=self.all_at_once)

    @cached_property
    def _rows(self) -> Rows:
        return self.dataset.rows[self.index].to(*self.where)

    @cached_property
    def _signal(self) -> Tensor:
        return self.dataset.signal[self.index].to(*self.where)

    @cached_property
    def _target(self) -> Tensor:
        return encode_rows(self.net1, self._rows)

    def truth(self, continuous: Float[Tensor, "R N"]) -> Objective:
        """What rows with these numbers cost: by the reader's loss, or their distance to the true.

        The true rows are there for it, which a decoder does not have.
        """
        if self.objective is None:
            return SquaredDistance(self.net1, continuous, self._target, self._rows.codes)
        batch = Batch(self._signal, continuous, self._rows, self.index)
        return Objective.of(self.objective(self.net1, batch))

    @cached_property
    def lowered(self) -> ObjectiveOf | None:
        """The reader's loss if it can do without the true rows: then a search lowers it."""
        try:
            if self.objective is not None:
                batch = Batch(self._signal[:1], self._rows.continuous[:1])
                Objective.of(self.objective(self.net1, batch)).hard(self._rows.codes[:1], self.K)
        except (AttributeError, TypeError):
            return None
        return self.objective

    def can(self, estimator: Estimator) -> bool:
        """Whether net1 and the loss have all that it asks for."""
        loss, needs = self.truth(self._rows.continuous), estimator.head == "embedding"
        if estimator.name == "cross_entropy":
            return loss.codes is not None
        if needs:
            embeds = type(loss).embedded is not Objective.embedded
            return embeds and takes_embeddings(self.net1)
        return True

    def fit(self, name: str, *, steps: int, seed: int) -> Fit:
        """The training of a trial, not started; `name` is an estimator's spec, or `LIMIT`."""
        sizes = {"steps": steps, "batch": self.batch, "seed": seed}
        if name == LIMIT:
            return fit_limit(folded(self.net1), self.dataset, targets=self.targets, **sizes)
        estimator, schedules = parse_spec(name)
        head, S = estimator.head, self.dataset.signal.shape[1]
        net0 = RowPredictor(S, self.net1, head=head, seed=seed)
        loss = self.objective or self.targets
        options = {"objective": loss, "schedules": schedules, **sizes}
        return fit_predictor(net0, self.net1, self.dataset, estimator, **options)

    def trial(self, name: str, drive: Drive, *, steps: int, seed: int) -> Trial:
        """Trains and decodes."""
        started, fit = time.perf_counter(), self.fit(name, steps=steps, seed=seed)
        drive(fit, f"{name}, seed {seed}")
        found = self.reached(name, fit, seed)
        return Trial(name, seed, *found, time.perf_counter() - started)

    @torch.no_grad()
    def reached(self, name: str, fit: Fit, seed: int) -> Reached:
        """What a training led to: the limit's loss, or all that `decoded` finds."""
        if name == LIMIT:
            signal, distance = distance_at(self.targets, self.net1, self.dataset, self.index)
            return distance.squared(fit.modules["limit"](signal)).cpu(), {}, {}, {}
        hands_rows = fit.estimator.head == "logits" and not fit.estimator.rule.relaxes
        chosen = ("argmax",) if hands_rows else self.decoders
        return self.decoded(fit.modules["net0"], fit.estimator, chosen, seed=seed)

    @torch.no_grad()
    def decoded(
        self, net0: Any, estimator: Estimator, chosen: Iterable[str], *, seed: int = 0
    ) -> Reached:
        """The relaxed loss; by decoder the loss, seconds a row, evaluations a row."""
        losses, seconds, asked = {}, {}, {}
        for decoder in chosen:
            started = time.perf_counter()
            options = {"estimator": estimator, "objective": self.lowered, "seed": seed}
            handed = handed_over(net0, self._signal, self.net1, **options)
            rows, asked[decoder] = self._decode(decoder, handed)
            rows.codes.cpu()  # waits for a device
            seconds[decoder] = (time.perf_counter() - started) / len(rows)
            losses[decoder] = self.truth(rows.continuous).hard(rows.codes, self.K).cpu()
        truth = self.truth(handed.continuous)
        relaxed = truth(handed.simplex) if handed.free is None else truth.embedded(handed.free)
        return relaxed.cpu(), losses, seconds, asked

    def _decode(self, decoder: str, handed: Handed) -> tuple[Rows, float]:
        """Hard rows, and net1's evaluations a row that they took."""
        looked: list[int] = []
        once = handed.wanted is None and bool(handed.hard.all())
        if decoder == "search":
            rows = Rows(search_by(handed, Counted(handed.objective, looked)), handed.continuous)
        elif decoder == "restarts":
            rows = restarted(handed, lambda objective: Counted(objective, looked))
        else:
            return decoder_of(decoder)(handed), 0.0
        a_round, moves = sum(self.K) - len(self.K), rows.continuous is not handed.continuous
        if handed.wanted is None and isinstance(folded(self.net1), FoldedEncoder):
            a_round = min(a_round, BACKWARD * handed.output.shape[1] + SHORTLIST)
        searches = DRAWN + 2 + moves if decoder == "restarts" and not once else 1
        steps = STEPS * (1 + BACKWARD) * moves
        return rows, searches + steps + sum(looked) * a_round / len(rows)

    @torch.no_grad()
    def alone(self, seed: int) -> Float[Tensor, "A R"]:
        """The loss of each of `ALONE` random training rows, predicted for every test row.

        Their mean is what a random row costs; the least of their means, a constant row.
        """
        train, R = self.dataset.train, len(self.index)
        drawn = torch.randint(len(train), (ALONE,), generator=torch.Generator().manual_seed(seed))
        rows = self.dataset.rows[train[drawn]].to(*self.where)
        each = zip(rows.codes.split(1), rows.continuous.split(1), strict=True)
        same = ((codes.expand(R, -1), numbers.expand(R, -1)) for codes, numbers in each)
        return torch.stack([self.truth(n).hard(c, self.K).cpu() for c, n in same])

    def gradient_problem(self) -> str | None:
        """What is wrong with the gradient for a fresh net0's mixtures, if anything is."""
        net0 = RowPredictor(self._signal.shape[1], self.net1)
        handed = handed_over(net0, self._signal, self.net1)
        point = handed.simplex.requires_grad_()
        loss = self.truth(handed.continuous)(point)
        slope = None
        if loss.requires_grad:
            (slope,) = torch.autograd.grad(loss.sum(), point, allow_unused=True)
        if slope is None:
            return "there is none: no differentiable step leads from the simplex to the loss"
        if not bool(slope.isfinite().all()):
            bad = (~slope.isfinite()).any(dim=1).double().mean()
            return f"it is not finite for {bad:.0%} of the rows"
        own = (block - block.mean(dim=1, keepdim=True) for block in slope.split(self.K, 1))
        flat = torch.cat(list(own), dim=1)
        return (
            None if bool(flat.abs().amax() > 0) else "it is zero: no category is told from another"
        )


def affordable(net1: Any) -> list[str]:
    """The decoders of a sweep: restarts only behind a net1 that folds.

    Behind an FT-Transformer they would take longer than all else together.
    """
    folds = isinstance(folded(net1), FoldedEncoder)
    return [name for name in possible(net1) if folds or name != "restarts"]
