"""A race runs every contestant once a round, in shuffled order, and reports ratios in a round."""

import pandas as pd
import pytest
import torch

from tabkit import ruler
from tabkit.ruler import timing


def test_every_contestant_runs_once_a_round_and_twice_to_warm_up():
    calls = []
    works = {name: lambda name=name: calls.append(name) for name in "abc"}
    found = ruler.race(works, rounds=4)
    assert calls[:6] == ["a", "b", "c"] * 2
    rounds = [calls[i : i + 3] for i in range(6, len(calls), 3)]
    assert len(rounds) == 4
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert found.index.tolist() == ["a", "b", "c"]
    assert found["rounds"].tolist() == [4, 4, 4]


def order(seed):
    calls = []
    works = {name: lambda name=name: calls.append(name) for name in "abc"}
    ruler.race(works, rounds=20, seed=seed)
    return calls[6:]


def test_the_order_changes_from_round_to_round_and_is_that_of_the_seed():
    rounds = {"".join(order(0)[i : i + 3]) for i in range(0, 60, 3)}
    assert len(rounds) > 3
    assert order(0) == order(0) != order(1)


def test_times_stand_in_the_contestants_columns_whatever_the_order(monkeypatch):
    known = {"a": 1.0, "b": 2.0, "c": 3.0}
    monkeypatch.setattr(timing, "milliseconds", lambda work, device: work())
    works = {name: lambda ms=ms: ms for name, ms in known.items()}
    times = timing.race_times(works, 8, torch.device("cpu"), 0)
    assert (times == pd.Series(known)).all(axis=None)


def test_a_ratio_is_the_median_of_ratios_within_rounds():
    times = pd.DataFrame({"a": [1.0, 2.0, 10.0, 4.0, 1.0], "b": [3.0, 4.0, 20.0, 4.0, 5.0]})
    found = timing.race_summary(times).loc["b"]  # ratios 3, 2, 2, 1, 5
    assert (found["ms"], found["ratio"]) == (4.0, 2.0)
    assert (found["ratio_q1"], found["ratio_q3"]) == (2.0, 3.0)
    assert (
        timing.race_summary(times).loc["a", ["ratio", "ratio_q1", "ratio_q3"]].tolist() == [1] * 3
    )


def test_a_slow_moment_moves_the_times_but_not_the_ratio():
    times = pd.DataFrame({"a": [1.0, 1.0, 50.0, 60.0, 70.0]})
    found = timing.race_summary(times.assign(b=2 * times["a"]))
    assert found.loc["b", "ratio"] == found.loc["b", "ratio_q3"] == 2.0
    assert found.loc["b", "ms"] == 100.0


def test_a_race_needs_contestants_and_rounds():
    with pytest.raises(ValueError, match="not 0 contestants"):
        ruler.race({})
    with pytest.raises(ValueError, match="0 rounds"):
        ruler.race({"a": lambda: None}, rounds=0)
