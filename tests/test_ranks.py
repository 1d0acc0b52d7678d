"""Ranks over tables, nets and seeds: who takes part, what is parted, what is called a tie."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tabkit import compare
from tabkit.compare.comparison import ranks
from tabkit.decoders import DECODERS

WAYS = ("softmax:tau=1", "direct_embedding", "straight_through_gumbel:tau=1")
RANDOM, LIMIT = 4.0, 0.5


def swept(lost, *, seeds=8, without=()):
    """What `sweep` returns for two tables and two nets; `lost(way, decoder, noise)` is the loss.

    `without`: a net and a decoder, whose losses are missing.
    """
    draw, records = np.random.default_rng(0), []
    blocks = [(d, n, s) for d in ("a", "b") for n in ("plain", "deep") for s in range(seeds)]
    for data, net, seed in blocks:
        block = {"data": data, "net": net, "seed": seed, "budget": "steps"}
        ends = {"decode_relaxed": LIMIT, "random_row": RANDOM}
        records.append(block | {"estimator": "limit"} | ends)
        for way in WAYS:
            losses = {f"decode_{d}": lost(way, d, draw.standard_normal()) for d in DECODERS}
            if without and without[0] == net:
                losses[f"decode_{without[1]}"] = np.nan
            records.append(block | {"estimator": way} | losses)
    return pd.DataFrame(records)


def clear(way, decoder, noise):
    """By search softmax is best, and the free embedding; all the rest are alike."""
    best = decoder == "search" and not way.startswith("straight")
    return (0.6 if best else 1.0) + 0.01 * noise


def test_what_is_clear_is_parted_and_what_is_not_is_a_tie():
    found = compare.rank(swept(clear))
    assert len(found.shares) == 2 * 2 * 8
    assert found.friedman < 1e-6
    best = {"softmax:tau=1 by search", "direct_embedding by search"}
    assert set(found.best) == set(found.mean.index[:2]) == best
    assert found.mean.iloc[:2].sum() == pytest.approx(3)
    rest = set(found.mean.index) - best
    assert set(found.tied("softmax:tau=1 by argmax")) == rest
    table = found.table()
    assert table.loc[found.mean.index[0], "tied"] == [found.mean.index[1]]
    assert table["median"].iloc[0] == pytest.approx((RANDOM - 0.6) / (RANDOM - LIMIT), abs=0.01)


def test_a_small_difference_within_every_block_is_parted_and_shuffled_it_is_not():
    """The tests pair by block: the blocks themselves differ by far more."""
    draw, level = np.random.default_rng(1), iter(np.random.default_rng(2).uniform(1, 3, 999))
    table = swept(lambda way, decoder, noise: 0.0)
    losses = [f"decode_{name}" for name in DECODERS]
    for _, block in table.groupby(["data", "net", "seed"]):
        own = next(level)
        for at, way in block["estimator"].items():
            if way != "limit":
                table.loc[at, losses] = own + 0.02 * WAYS.index(way)
                table.loc[at, losses] += 0.005 * draw.standard_normal(len(losses))
    found = compare.rank(table, decoders=["argmax"])
    assert [way.partition(" by ")[0] for way in found.mean.index] == list(WAYS)
    assert found.best == [found.mean.index[0]]
    second = table["estimator"] == WAYS[1]
    table.loc[second, "decode_argmax"] = draw.permutation(table.loc[second, "decode_argmax"])
    mixed = compare.rank(table, decoders=["argmax"])
    assert len(mixed.tied(f"{WAYS[1]} by argmax")) == len(WAYS)


def test_where_nothing_differs_all_are_tied():
    found = compare.rank(swept(lambda way, decoder, noise: 1 + 0.01 * noise))
    assert found.friedman > 0.01
    assert found.best == list(found.mean.index)
    parted = compare.rank(swept(clear))
    assert replace(parted, friedman=2 * ranks.ALPHA).best == list(parted.mean.index)


def test_a_way_takes_part_if_every_block_has_it_and_no_other_is_the_same():
    ranked = compare.rank(swept(clear)).mean
    by = {way: {d for d in DECODERS if f"{way} by {d}" in ranked} for way in WAYS}
    assert by == {WAYS[0]: set(DECODERS), WAYS[1]: set(DECODERS), WAYS[2]: {"argmax"}}
    found = compare.rank(swept(clear, without=("deep", "restarts"))).mean
    assert not any(way.endswith("restarts") for way in found.index)
    assert len(found) == 2 * (len(DECODERS) - 1) + 1
    few = compare.rank(swept(clear), decoders=["argmax", "search"]).mean
    assert len(few) == 5

    def same(way, decoder, noise):
        return clear(way, decoder, noise if decoder == "search" else 0.0)

    assert "direct_embedding by table" not in compare.rank(swept(same)).mean


def test_one_block_or_two_ways_are_no_ranking():
    table = swept(clear)
    one = table[(table["data"] == "a") & (table["net"] == "plain") & (table["seed"] == 0)]
    for few in (one, table[table["estimator"] != "limit"]):
        with pytest.raises(ValueError, match="cannot be ranked"):
            compare.rank(few)
    with pytest.raises(ValueError, match="2 ways in 32 blocks"):
        compare.rank(table[table["estimator"] != WAYS[1]], decoders=["argmax"])
