"""`recommend`: a comparison on the reader's own net and table, within minutes."""

import math
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from tabkit.compare.advice import REFERENCE, Recommendation, best_of, no_better
from tabkit.compare.specs import parse_spec
from tabkit.compare.trials import LIMIT, Setting, Trial
from tabkit.data import Dataset
from tabkit.decoders import possible
from tabkit.nets import ObjectiveOf, cardinalities_of, encode_rows, is_frozen
from tabkit.train import Fit
from tabkit.train.fit import check_sizes
from tabkit.train.progress import silent
from tabkit.train.schedules import check_schedules

CHOSEN = (
    *("softmax", "gumbel_softmax:tau=cosine/2/0.25", "straight_through_gumbel"),
    *("direct_embedding", REFERENCE),
)
NO_GRADIENT = "leave_one_out:samples=4"  # asks net1 for values only
LEAST, ENOUGH, MOST = 20, 300, 2000  # steps
SEEDS = 10  # at most
PILOT, PILOT_ROWS, FEWEST = 8, (4, 64), 30  # steps, rows decoded, and rows decoded at last
LATE = 0.05  # of the budget, past which what still trains is abandoned
CAUTION = 0.85  # steps take longer than at first, when others use the machine too
DECODING, ENCODING = 0.3, 0.05  # of a round, and of the budget, at most


class Clock:
    """What is left of the budget, on a bar."""

    def __init__(self, seconds: float | int, *, progress: bool = True) -> None:
        self.seconds, self.started = float(seconds), time.perf_counter()
        look = "{desc}{percentage:3.0f}%|{bar}| {elapsed} of " + f"{seconds / 60:g} min"
        hide = not progress or silent()
        self.bar = tqdm(total=seconds, bar_format=look, disable=hide, mininterval=0.3)

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self.started

    def fits(self, seconds: float) -> bool:
        """Whether so much more can be begun."""
        return self.spent + seconds < self.seconds * (1 + LATE / 2)

    def drive(self, fit: Fit, name: str) -> None:
        """Takes a fit's steps; raises TimeoutError where the budget is over."""
        self.bar.set_description(name, refresh=False)
        for _ in fit:
            self.bar.update(min(self.spent, self.seconds) - self.bar.n)
            if self.spent > self.seconds * (1 + LATE):
                fit.close()
                told = f"the {self.seconds / 60:g} minutes ended before one net0 was trained"
                raise TimeoutError(f"{told}: give more minutes=, or fewer steps=")


def recommend(
    net1: Any,
    dataset: Dataset,
    minutes: float | int = 5,
    *,
    objective: ObjectiveOf | None = None,
    estimators: Sequence[str] | None = None,
    batch: int = 512,
    steps: int | None = None,
    rows: int = 500,
    seed: int = 0,
    progress: bool = True,
) -> Recommendation:
    """Which estimator to train net0 through, and which decoder to decode by, for *this* net1.

    A comparison that keeps to a budget: net0s of the usual size are trained through a few
    estimators, decoded by every decoder that this net1 can have, and set between two ends: a random
    row, and the *limit*, a net of the same size and steps that outputs net1's output itself. First
    one seed of all, then a second of those that lead, and so on. Ctrl-C gives what there is.

    Parameters
    ----------
    net1
        Any frozen net of `tabkit.nets.interface`.
    minutes
        Kept to about a tenth. Steps are chosen by the measured time of a step, so that three seeds
        fit if that leaves 300 steps, else fewer; at most 2,000 steps and 10 seeds.
    objective
        As `fit_predictor` takes it. The limit is then the best row that anything here found for
        each test row, as a score has no row to be near to; a search lowers the loss itself, if it
        can do without the true rows.
    estimators
        Specs, such as ``"softmax:tau=0.25"``; a few usual ones that net1 and the loss allow if not
        given. Where net1's gradient turns out to be of no use, one that needs none comes on top.
    steps
        Of each training, if you want to say.
    rows
        Test rows that are decoded, at most; fewer where a decoder is slow.

    Returns
    -------
    Recommendation
        Prints as sentences and a table; `tabkit.plots.recommendation` draws it.

    Raises
    ------
    ValueError
        If net1 is not frozen or of other columns, a size or a spec is bad, or the budget is too
        short for this net (it says how long it must be).
    FloatingPointError
        If no training stays finite; of one that does not, the result tells.

    Examples
    --------
    >>> from tabkit import RowEncoder, freeze, planted
    >>> data = planted(300, categorical=2, continuous=1)
    >>> options = {"estimators": ["softmax"], "steps": 20, "rows": 20, "batch": 64}
    >>> found = recommend(freeze(RowEncoder(data.schema)), data, 0.05, **options)
    >>> found.best[0]
    'softmax'
    """
    check_sizes(batch=batch, rows=rows, steps=MOST if steps is None else steps)
    check_budget(minutes, estimators or (), steps or MOST)
    check_net(net1, dataset)
    clock = Clock(60 * minutes, progress=progress)
    with clock.bar:
        setting = set_up(net1, dataset, objective, batch, rows, clock)
        problem = setting.gradient_problem()
        names = list(estimators or usual(setting, problem))
        names = names if objective else [LIMIT, *names]
        setting, steps, costs = plan(setting, names, steps, clock)
        ends, trials, failed, whole = setting.alone(seed), [], {}, True
        try:
            for trial in taken(setting, names, costs, steps, seed, clock, ends, failed):
                trials.append(trial)
        except (KeyboardInterrupt, TimeoutError) as stop:
            whole = isinstance(stop, TimeoutError)
            if not any(trial.decoded for trial in trials):
                raise
    if not any(trial.decoded for trial in trials):
        raise FloatingPointError("; ".join(f"{name}: {error}" for name, error in failed.items()))
    return Recommendation(
        tuple(trials),
        ends,
        steps,
        len(dataset),
        clock.seconds,
        clock.spent,
        skipped=tuple(d for d in possible(net1) if d not in setting.decoders),
        missing=tuple(n for n in names if n not in {t.estimator for t in trials}),
        failed=failed,
        gradient=problem,
        interrupted=not whole,
        distance=objective is None,
    )


def check_budget(minutes: float | int, estimators: Sequence[str], steps: int = MOST) -> None:
    """Raises ValueError before any work is done, if the minutes or a spec are bad."""
    if not 0 < minutes < math.inf:
        raise ValueError(f"minutes must be above 0 and finite, not {minutes}")
    for text in estimators:
        check_schedules(*parse_spec(text), steps)


def check_net(net1: Any, dataset: Dataset) -> None:
    """Raises ValueError if net1 is not frozen, or of other columns."""
    if not is_frozen(net1):
        raise ValueError("net1 still trains: call tabkit.freeze(net1) first")
    own, wanted = cardinalities_of(net1), tuple(dataset.schema.cardinalities)
    if own != wanted:
        raise ValueError(f"net1's cardinalities are {own}, those of the data {wanted}")


def set_up(
    net1: Any, dataset: Dataset, objective: ObjectiveOf | None, batch: int, rows: int, clock: Clock
) -> Setting:
    """The setting; all rows' outputs are kept at once if they are needed and quickly made."""
    started, some, keep = time.perf_counter(), dataset.rows[dataset.train[:batch]], False
    if objective is None:
        encode_rows(net1, some)
        every = (time.perf_counter() - started) * len(dataset) / len(some)
        keep = every < ENCODING * clock.seconds
    return Setting(net1, dataset, objective, batch, dataset.test[:rows], all_at_once=keep)


def usual(setting: Setting, problem: str | None) -> Iterator[str]:
    """The estimators that are tried if none is named."""
    for name in CHOSEN if problem is None else (NO_GRADIENT, REFERENCE):
        if setting.can(parse_spec(name).estimator):
            yield name


def plan(
    setting: Setting, names: Sequence[str], steps: int | None, clock: Clock
) -> tuple[Setting, int, dict[str, float]]:
    """Rows and decoders that there is time for, steps, and the seconds of each trial.

    Raises ValueError if not even `LEAST` steps fit.
    """
    found = {name: pilot(setting, name, clock) for name in names}
    left, per_step = clock.seconds - clock.spent, sum(step for step, _ in found.values())
    by_decoder = [seconds for _, decoding in found.values() for seconds in decoding.items()]
    for slow, rows in {"restarts": 3 * len(setting.index), "search": FEWEST}.items():
        if rows * sum(seconds for d, seconds in by_decoder if d == slow) > DECODING * left:
            setting = setting.narrowed(decoders=[d for d in setting.decoders if d != slow])
            by_decoder = [(d, seconds) for d, seconds in by_decoder if d != slow]
    per_row = sum(seconds for _, seconds in by_decoder)
    rows = max(FEWEST, int(DECODING * left / 3 / max(per_row, 1e-9)))
    setting = setting.narrowed(index=setting.index[:rows])
    decoding = per_row * len(setting.index)
    for seeds in (3, 2, 1):
        fitting = int((CAUTION * left / seeds - decoding) / per_step)
        if fitting >= ENOUGH:
            break
    if steps is None and fitting < LEAST:
        needed = (LEAST * per_step + decoding) / CAUTION + clock.spent
        raise ValueError(
            f"{clock.seconds / 60:g} minutes are {max(fitting, 0)} steps of each of {len(names)} "
            f"nets: give minutes={math.ceil(needed / 6) / 10:g} or more, a smaller batch= or fewer "
            "estimators="
        )
    steps = steps or min(fitting, MOST)
    rows = len(setting.index)
    costs = {
        name: steps * step + rows * sum(s for d, s in decoding.items() if d in setting.decoders)
        for name, (step, decoding) in found.items()
    }
    return setting, steps, costs


def pilot(setting: Setting, name: str, clock: Clock) -> tuple[float, dict[str, float]]:
    """Seconds of a step, and by decoder of decoding a row, of a net0 that knows nothing yet."""
    fit = setting.fit(name, steps=PILOT, seed=0)
    seconds = [0.0, *(step.seconds for step in fit)]
    for count in PILOT_ROWS:
        started = time.perf_counter()
        decoding = setting.narrowed(index=setting.index[:count]).reached(name, fit, 0)[2]
        took = time.perf_counter() - started
        if 8 * took > 0.02 * clock.seconds:
            break
    return median(b - a for a, b in pairwise(seconds[1:])), decoding


def taken(
    setting: Setting,
    names: list[str],
    costs: dict[str, float],
    steps: int,
    seed: int,
    clock: Clock,
    ends: Float[Tensor, "A R"],
    failed: dict[str, str],
) -> Iterator[Trial]:
    """Trials while they fit: one seed of all, then more seeds, those that lead first.

    Where no net0 that was trained by net1's gradient beats a constant row, `names` gets one that
    is trained without; what cannot be trained goes from there to `failed`.
    """
    trials: list[Trial] = []

    def one(name: str, seed: int) -> Iterator[Trial]:
        try:
            trials.append(setting.trial(name, clock.drive, steps=steps, seed=seed))
        except FloatingPointError as error:
            names.remove(name)
            failed[name] = str(error)
            return
        costs[name] = trials[-1].seconds
        yield trials[-1]

    for now in range(seed, seed + SEEDS):
        before = len(trials)
        for name in sorted(names, key=lambda name: best_of(trials, name)):
            if now == seed or clock.fits(costs[name]):
                yield from one(name, now)
        if now == seed and NO_GRADIENT not in names and no_better(trials, ends):
            names.append(NO_GRADIENT)
            costs[NO_GRADIENT] = max(costs.values()) * 4
            if clock.fits(costs[NO_GRADIENT]):
                yield from one(NO_GRADIENT, now)
        if len(trials) == before:
            return
