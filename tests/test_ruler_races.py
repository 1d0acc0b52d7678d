"""Races: turns in shuffled order, ratios within rounds, and contestants that do what they say."""

import pandas as pd
import pytest
import torch
from torch import nn

from tabkit import RowEncoder, freeze, planted, ruler
from tabkit.nets import encode_rows
from tabkit.ruler import contestants, timing
from tabkit.simplex import blocks, softmax

DATA = planted(100, categorical=3, continuous=2, cardinality=(3, 5))


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
    found = timing.race_summary(times)
    columns = ["ms", "ratio", "ratio_q1", "ratio_q3"]
    assert found.loc["b", columns].tolist() == [4.0, 2.0, 2.0, 3.0]  # ratios 3, 2, 2, 1, 5
    assert found.loc["a", columns[1:]].tolist() == [1] * 3


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


@pytest.fixture
def net1():
    return freeze(RowEncoder(DATA.schema, Z=2, width=8, D=4, embedding_std=None))


def test_there_and_back_returns_the_gradients_and_keeps_none():
    x, y = torch.tensor([2.0, 3.0]).requires_grad_(), torch.tensor(5.0).requires_grad_()
    dx, dy = ruler.there_and_back(lambda: y * x * x, x, y)()
    assert (dx.tolist(), dy.item()) == ([20.0, 30.0], 13.0)
    assert x.grad is None


def test_a_training_step_lowers_the_loss_that_it_returns():
    net = nn.Linear(1, 1)
    for parameter in net.parameters():  # a start near 0 would be overshot
        nn.init.ones_(parameter)
    step = ruler.training_step(net, lambda: net(torch.ones(1, 1)).square().sum())
    losses = [step().item() for _ in range(20)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


def soft(rows=6):
    logits = torch.randn(rows, DATA.schema.width, generator=torch.Generator().manual_seed(0))
    return softmax(logits, DATA.schema.cardinalities)


def test_all_layouts_race_to_the_same_gradient_and_index_to_the_tables(net1):
    works = ruler.embedding_works(net1, DATA, soft())
    assert list(works) == ["index", *ruler.LAYOUTS]
    for name in ruler.LAYOUTS:
        (gradient,) = works[name]()
        rows = torch.cat(net1.embedding.weights).sum(dim=1)
        torch.testing.assert_close(gradient, rows.expand_as(gradient))
    for gradient, codes, k in zip(
        works["index"](), DATA.rows.codes[:6].T, DATA.schema.cardinalities, strict=True
    ):
        counts = torch.bincount(codes, minlength=k)
        torch.testing.assert_close(gradient, counts[:, None].float().expand_as(gradient))


def test_the_first_layer_has_one_gradient_folded_or_not(net1):
    as_it_is, folded = ruler.first_layer_works(net1, DATA, soft()).values()
    torch.testing.assert_close(as_it_is()[0], folded()[0])


def test_the_loop_and_the_formulas_start_at_the_estimators_loss_and_net1_stays(net1):
    before = [p.clone() for p in net1.parameters()]
    works = ruler.step_works(net1, DATA, rows=20, width=8)
    assert next(iter(works)) == "plain MLP"
    losses = {name: [step().item() for _ in range(30)] for name, step in works.items()}
    assert losses["loop: softmax"][0] == pytest.approx(losses["softmax"][0], rel=1e-5)
    for name in contestants.STEPS:
        assert losses[f"plain: {name}"] == pytest.approx(losses[name], rel=1e-3)
    for name in ("plain MLP", "softmax", "loop: softmax"):  # the noise of the others may hide it
        assert losses[name][-1] < losses[name][0]
    assert all(map(torch.equal, before, net1.parameters()))


def test_the_plain_mlp_has_the_matrices_of_net0_and_the_folded_net1(net1, monkeypatch):
    shapes = []
    made = contestants.mlp

    def noted(*sizes, **knobs):
        net = made(*sizes, **knobs)
        shapes.extend(layer.weight.shape for layer in net if isinstance(layer, nn.Linear))
        return net

    monkeypatch.setattr(contestants, "mlp", noted)
    target = encode_rows(net1, DATA.rows[:5])
    contestants.plain_loss(net1, DATA.signal[:5], target, 8)
    between = DATA.schema.width + 2
    signal = DATA.signal.shape[1]
    assert shapes == [(8, signal), (8, 8), (between, 8), (8, between), (8, 8), (2, 8)]


COLUMNS = {  # of one width, which two of the layouts need
    "alike": (4, 4, 4),
    "unlike": (5, 2, 7, 2, 1, 7),
    "one column": (6,),
    "all of one category": (1, 1, 1),
    "one large": (2, 150, 3),
}


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("name", ruler.LAYOUTS)
def test_a_layout_is_the_products_of_the_columns_and_so_is_its_gradient(name, columns, generator):
    """Also at shares of 0, which torch's own sparse product would leave without a gradient."""
    C, layout = COLUMNS[columns], ruler.LAYOUTS[name]
    tables = [torch.randn(k, 3, generator=generator, dtype=torch.float64) for k in C]
    logits = 2 * torch.randn(9, sum(C), generator=generator, dtype=torch.float64)
    shares = softmax(logits, C)
    shares[::2] = (shares[::2] == shares[::2].amax(1, keepdim=True)).double()
    for values in (shares, shares.T.contiguous().T, torch.cat([shares, shares], 1)[:, : sum(C)]):
        leaf = values.detach().requires_grad_()
        found = layout(leaf, tables)
        pairs = zip(blocks(leaf, C), tables, strict=True)
        expected = torch.cat([block @ W for block, W in pairs], 1)
        torch.testing.assert_close(found, expected)
        slope = torch.randn(found.shape, generator=generator, dtype=torch.float64)
        torch.testing.assert_close(
            torch.autograd.grad(found, leaf, slope), torch.autograd.grad(expected, leaf, slope)
        )


def test_a_node_is_counted_once_however_many_ways_lead_to_it():
    x = torch.ones(2, requires_grad=True)
    y = x.exp()
    assert ruler.graph_nodes(x.exp()) == 2
    assert ruler.graph_nodes(y * y + y) == 4  # x, exp, mul, add
    assert ruler.graph_nodes(torch.ones(2)) == 0


def test_bytes_are_counted_once_a_piece_of_memory_and_weights_can_be_left_out():
    x, weight = torch.ones(10, 4, requires_grad=True), torch.ones(4, 3, requires_grad=True)
    assert ruler.kept_bytes(lambda: x @ weight) == 4 * (40 + 12)
    assert ruler.kept_bytes(lambda: x @ weight, but=[weight]) == 4 * 40
    assert ruler.kept_bytes(lambda: x.exp() * x.exp()) == 4 * 80  # two results
    assert ruler.kept_bytes(lambda: torch.ones(5).exp()) == 0
