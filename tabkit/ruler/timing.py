"""`race`: how long pieces of work take beside each other, in one process."""

import time
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import torch

from tabkit.devices import wait

Work = Callable[[], object]


def race(
    works: Mapping[str, Work],
    rounds: int = 20,
    *,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> pd.DataFrame:
    """Times contestants that take turns; the first is the one that the others are compared with.

    A slow moment of the machine hits whole rounds, so a ratio is taken within each round, and its
    median over the rounds is reported, with the quartiles that say how far to trust it. Each round
    has an order of its own, drawn from `seed`: in a fixed order a contestant would always find the
    caches as its neighbour left them. Two rounds before the first warm up and are not counted.

    `works` are functions without arguments, by name. On CUDA the clock waits until each is done.
    Returned are, by contestant, its median time `ms` in milliseconds, its `ratio` to the first, the
    ratio's quartiles `ratio_q1` and `ratio_q3`, and the number of `rounds`.

    Raises
    ------
    ValueError
        If there is no contestant or no round.

    Examples
    --------
    >>> times = race({"a": lambda: sum(range(9)), "b": lambda: sum(range(9_000))}, rounds=5)
    >>> times.index.tolist(), float(times["ratio"]["a"]), times["rounds"].tolist()
    (['a', 'b'], 1.0, [5, 5])
    """
    if not works or rounds < 1:
        raise ValueError(
            f"a race needs contestants and rounds, not {len(works)} contestants and {rounds} rounds"
        )
    return race_summary(race_times(works, rounds, torch.device(device), seed))


def race_times(
    works: Mapping[str, Work], rounds: int, device: torch.device, seed: int
) -> pd.DataFrame:
    """Milliseconds of each round (rows) and contestant (columns)."""
    names, order = list(works), np.random.default_rng(seed)
    for work in (*works.values(), *works.values()):
        work()
    found = [
        {names[i]: milliseconds(works[names[i]], device) for i in order.permutation(len(names))}
        for _ in range(rounds)
    ]
    return pd.DataFrame(found, columns=names)


def race_summary(times: pd.DataFrame) -> pd.DataFrame:
    """What `race` returns, from what `race_times` does."""
    ratios = times.div(times.iloc[:, 0], axis=0).quantile([0.25, 0.5, 0.75])
    ratios.index = ["ratio_q1", "ratio", "ratio_q3"]
    table = ratios.T[["ratio", "ratio_q1", "ratio_q3"]].assign(rounds=len(times))
    table.insert(0, "ms", times.median())
    return table.rename_axis("contestant")


def milliseconds(work: Work, device: torch.device) -> float:
    """How long one call takes."""
    wait(device)
    started = time.perf_counter()
    work()
    wait(device)
    return 1e3 * (time.perf_counter() - started)
