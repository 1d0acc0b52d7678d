"""What races measure does what it says: the same functions, the same losses, net1 left alone."""

import pytest
import torch
from torch import nn

from tabkit import RowEncoder, freeze, planted, ruler
from tabkit.nets import encode_rows
from tabkit.ruler import contestants
from tabkit.simplex import softmax

DATA = planted(100, categorical=3, continuous=2, cardinality=(3, 5))


@pytest.fixture
def net1():
    return freeze(RowEncoder(DATA.schema, Z=2, width=8, D=4))


def simplex(rows=6):
    logits = torch.randn(rows, DATA.schema.width, generator=torch.Generator().manual_seed(0))
    return softmax(logits, DATA.schema.cardinalities)


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


def test_all_layouts_race_to_the_same_gradient_and_index_to_the_tables(net1):
    works = ruler.embedding_works(net1, DATA, simplex())
    assert list(works) == ["index", *ruler.LAYOUTS]
    for name in ruler.LAYOUTS:
        (gradient,) = works[name]()
        rows = torch.cat(list(net1.embedding.weights)).sum(dim=1)
        torch.testing.assert_close(gradient, rows.expand_as(gradient))
    for gradient, codes, k in zip(
        works["index"](), DATA.rows.codes[:6].T, DATA.schema.cardinalities, strict=True
    ):
        counts = torch.bincount(codes, minlength=k)
        torch.testing.assert_close(gradient, counts[:, None].float().expand_as(gradient))


def test_the_first_layer_has_one_gradient_folded_or_not(net1):
    as_it_is, folded = ruler.first_layer_works(net1, DATA, simplex()).values()
    torch.testing.assert_close(as_it_is()[0], folded()[0])


def test_the_loop_starts_at_the_estimators_loss_and_net1_stays_as_it_is(net1):
    before = [p.clone() for p in net1.parameters()]
    works = ruler.step_works(net1, DATA, rows=20, width=8)
    assert next(iter(works)) == "plain MLP"
    losses = {name: [step().item() for _ in range(30)] for name, step in works.items()}
    assert losses["loop: softmax"][0] == pytest.approx(losses["softmax"][0], rel=1e-5)
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
    contestants.plain_step(net1, DATA.signal[:5], target, 8)
    between = DATA.schema.width + 2
    signal = DATA.signal.shape[1]
    assert shapes == [(8, signal), (8, 8), (between, 8), (8, between), (8, 8), (2, 8)]
