"""How near hard rows come to the mixtures, and what lies between two of them."""

import pytest
import torch

from tabkit import RowPredictor, estimators, inspection
from tabkit.simplex import one_hot


@pytest.fixture
def net0(dataset, net1):
    return RowPredictor(dataset.signal.shape[1], net1, width=16)


def test_the_search_comes_nearer_to_the_mixture_than_the_argmax(net0, net1, dataset):
    found = inspection.reach(net0, net1, dataset, estimators.make("softmax"), dataset.test[:40])
    assert 0 <= found["search"] < 0.9 * found["argmax"]
    vertex = inspection.reach(
        net0, net1, dataset, estimators.make("hard_argmax"), dataset.test[:40]
    )
    assert vertex["argmax"] == pytest.approx(0, abs=1e-10)


def test_the_walk_goes_from_one_hard_row_to_the_other(net1, dataset):
    rows = dataset.rows[dataset.test[:1]]
    path = inspection.walk(net1, rows, 1, 0, 2, points=5)
    first, second = path.iloc[0], path.iloc[-1]
    assert [first.to_first, second.to_second] == pytest.approx([0, 0], abs=1e-3)
    assert (first.nearest, second.nearest) == (0, 2)
    assert (path["to_nearest"] <= path[["to_first", "to_second"]].min(axis=1) + 1e-6).all()
    cardinalities = dataset.schema.cardinalities
    ends = rows.codes.repeat(2, 1)
    ends[:, 1] = torch.tensor([0, 2])
    outputs = net1(one_hot(ends, cardinalities), rows.continuous.expand(2, -1))
    apart = (outputs[0] - outputs[1]).norm().item()
    assert first.to_second == pytest.approx(apart, rel=1e-3)
