"""A recommendation in words, sentence by sentence."""

import math
from collections.abc import Iterator
from typing import Any

from tabkit.compare.advice.ties import REFERENCE, TIE, Difference, difference, no_better
from tabkit.compare.trials import LIMIT, MANY

FAR, AT = 0.1, 0.001  # of the way from a random row to the limit
FULL = 1000  # steps, the usual length of a training
BEYOND = 100  # seeds that nobody would wait for
NAMED = 4  # ties, at most


def said(found: Any) -> Iterator[str]:
    """All that a `Recommendation` has to say, the advice first."""
    yield _advice(found)
    yield _ties(found)
    yield from _cheaper(found)
    yield from _reference(found)
    yield from _no_row(found)
    yield from _gradient(found)
    yield from _too_slow(found)
    yield from _more_time(found)
    yield from _cut_short(found)
    yield _measured(found)


def _row(found: Any, estimator: str, decoder: str) -> Any:
    table = found.table
    return table[(table["estimator"] == estimator) & (table["decoder"] == decoder)].iloc[0]


def _apart(found: Any, one: tuple[str, str], other: tuple[str, str]) -> Difference:
    return difference(found.losses(*one), found.losses(*other))


def _advice(found: Any) -> str:
    row = _row(found, *found.best)
    way = "" if math.isnan(found.limit) else f", {_way(found, row.loss)}"
    return (
        f"Train through {row.estimator}, decode by {row.decoder}: decoded loss {row.loss:.3g} ± "
        f"{row.error:.2g}{way}."
    )


def _way(found: Any, loss: float) -> str:
    """Where a loss lies between a random row and the limit."""
    end = "the limit" if found.distance else "the best row that was found for each"
    above, whole = loss - found.limit, found.random_row - found.limit
    part = f" ({abs(above / found.limit):.0%})" if found.distance and found.limit > 0 else ""
    near = f"{abs(above):.2g}{part} {'above' if above > 0 else 'below'} it"
    return (
        f"{found.share(loss):.0%} of the way from a random row ({found.random_row:.3g}) to {end} "
        f"({found.limit:.3g}), {'as good as it' if abs(above) < AT * abs(whole) else near}"
    )


def _ties(found: Any) -> str:
    others = [pair for pair in found.pairs if pair != found.best]
    if not others:
        return "There is nothing to compare it with."
    apart = {pair: _apart(found, found.best, pair) for pair in found.ties or others[:1]}
    seeds = min(each.seeds for each in apart.values())
    over = f"the larger of those over {seeds} seeds and over rows" if seeds > 1 else "over rows"
    rule = f"a tie is under {TIE:g} standard errors of the paired difference, {over}"
    told = [f"{' by '.join(pair)} ({each})" for pair, each in apart.items()]
    if not found.ties:
        return f"Next comes {told[0]}, no tie; {rule}."
    more = f" and {len(told) - NAMED} more" if len(told) > NAMED else ""
    return f"It ties with {', '.join(told[:NAMED])}{more}; {rule}."


def _cheaper(found: Any) -> Iterator[str]:
    """The best that decodes without net1, if the best of all does not."""
    free = [pair for pair in found.pairs if pair[1] == "argmax"]
    if found.best[1] != "argmax" and free:
        apart, loss = _apart(found, found.best, free[0]), _row(found, *free[0]).loss
        what = "a tie" if apart.is_tie else "no tie"
        yield f"If it must be the argmax, train through {free[0][0]}: {loss:.3g} ({apart}, {what})."


def _reference(found: Any) -> Iterator[str]:
    known = found.losses(REFERENCE, "argmax")
    if not known or found.best[0] == REFERENCE:
        return
    apart, loss = (
        difference(found.losses(*found.best), known),
        _row(found, REFERENCE, "argmax").loss,
    )
    what = "worse" if apart.mean > 0 else "better: with true rows to train on, take it"
    if apart.is_tie:
        what = "a tie: with true rows to train on, it needs neither net1 nor a search"
    yield f"For reference, {REFERENCE} on the true categories: {loss:.3g} ({apart}), {what}."


def _no_row(found: Any) -> Iterator[str]:
    """Mixtures that lie far below every row, a search's too, that was decoded from them."""
    for name, rows in found.table.groupby("estimator", sort=False):
        row, searched = rows.iloc[0], "search" in set(rows["decoder"])
        if searched and row.share < found.share(row.relaxed) - FAR:
            yield (
                f"What {name} hands over has no row behind it: it costs {row.relaxed:.3g}, the "
                f"best row decoded from it ({row.decoder}) {row.loss:.3g}. Its training loss "
                "promises too much."
            )


def _gradient(found: Any) -> Iterator[str]:
    if found.gradient is not None:
        yield f"net1's gradient is of no use: {found.gradient}."
    elif no_better(found.trials, found.ends):
        yield (
            f"net1's gradient was of no use here, in {found.steps} steps: no net0 trained through "
            f"it beats one constant row ({found.constant_row:.3g}; a random one costs "
            f"{found.random_row:.3g}) by {TIE:g} standard errors."
        )


def _too_slow(found: Any) -> Iterator[str]:
    """Of each decoder, where it serves best."""
    given, serves = found.budget / 60, {d: (e, d) for e, d in reversed(found.pairs)}
    minutes = {
        pair: _row(found, *pair).seconds / MANY * found.data_rows / 60 for pair in found.pairs
    }
    for decoder, pair in serves.items():
        if minutes[pair] > given:
            yield (
                f"{decoder} is too slow for all {found.data_rows:,} rows: about "
                f"{minutes[pair]:.2g} minutes, more than the {given:g} that you gave."
            )
    quick = [pair for pair in found.pairs if minutes[pair] <= given]
    if minutes[found.best] > given and quick:
        loss = _row(found, *quick[0]).loss
        yield f"Of what is quick enough, the best is {' by '.join(quick[0])}: {loss:.3g}."
    for decoder in found.skipped:
        yield f"{decoder} was left out: decoding by it takes too much of the budget."


def _more_time(found: Any) -> Iterator[str]:
    for pair in found.ties[:1]:
        yield _settle(found, pair)
    if found.steps < FULL:
        times = math.ceil(FULL / found.steps * 10) / 10
        minutes = times * found.budget / 60
        yield (
            f"Each net0 had {found.steps} steps; minutes={minutes:.3g} would give {FULL:,} to as "
            "many seeds."
        )


def _settle(found: Any, pair: tuple[str, str]) -> str:
    apart, name = _apart(found, found.best, pair), f"{pair[0]} by {pair[1]}"
    factor = (TIE * apart.error / abs(apart.mean)) ** 2 if apart.mean else math.inf
    if apart.over == "rows" and apart.seeds > 1:
        return f"More test rows, not more time, could tell it from {name} (rows=)."
    if apart.seeds == 1:
        return f"More time would bring a second seed, which could tell it from {name}."
    if factor * apart.seeds > BEYOND:  # without end, if their means are the same
        return f"To tell it from {name} would take over {BEYOND} seeds: take either."
    seeds = math.ceil(factor * apart.seeds)
    names = (found.best[0], pair[0])
    each = [t.seconds for t in found.trials if t.estimator in names]
    minutes = seeds * sum(each) / len(each) * len(set(names)) / 60
    return f"About {seeds} seeds of the two, {minutes:.2g} minutes, would tell it from {name}."


def _cut_short(found: Any) -> Iterator[str]:
    if found.interrupted:
        yield "It was interrupted: this is what there was."
    for name, error in found.failed.items():
        yield f"{name} could not be trained: {error}."
    own = [name for name in found.missing if name != LIMIT]
    if own:
        yield f"The budget did not reach {', '.join(own)}: give more minutes."


def _measured(found: Any) -> str:
    seeds = len({trial.seed for trial in found.trials})
    return (
        f"Measured on {found.ends.shape[1]} test rows, {len(found.trials)} trainings of "
        f"{found.steps:,} steps, {seeds} seed{'s' if seeds > 1 else ''} at most, in "
        f"{found.seconds / 60:.3g} minutes."
    )
