"""Steps as one graph are the same steps, and ask the device for nothing.

On a GPU they are captured. Without one the same code is rehearsed on a tape, which repeats a step's
operations at their places in memory, as a graph does, without the step's Python.
"""

import copy
import math
import pickle
import sys
import warnings
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import tabkit.train.fit
from tabkit import (
    RowEncoder,
    RowPredictor,
    SquaredDistance,
    decode,
    decoders,
    estimators,
    fit_encoder,
    fit_jointly,
    fit_predictor,
    freeze,
    planted,
)
from tabkit.capture import Graph, Ledger, Reads, steps
from tabkit.compare.limit import fit_limit
from tabkit.nets import encode_rows, folded
from tabkit.train import Cosine, captured
from tabkit.train.progress import Later, Step

CUDA = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
)
ONE_BY_ONE = ("exact", "adaptive_imle", "reinforce", "rebar")  # these read, or learn in Python
EVERY = captured.LOOK_EVERY
LOOK_EVERY = 10  # in its place: two looks, and what is left at the end, in a fifth of the steps
STEPS = 2 * LOOK_EVERY + 4


class Tape(TorchDispatchMode):
    """In place of `Graph`: notes what a function starts, and starts it again at the same places.

    To note it, it must run it, which capturing does not: the first start has happened then.
    """

    def __init__(self, function, device, generators=()):
        super().__init__()
        self.noted, self.started = [], False
        with self:
            function()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.noted.append((function, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def __call__(self):
        for function, args, kwargs, result in self.noted if self.started else ():
            again = function(*args, **kwargs)
            for place, values in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(place, torch.Tensor) and place is not values:
                    place.copy_(values)
        self.started = True


@pytest.fixture(params=["cpu", "as a gpu", CUDA])
def device(request, monkeypatch):
    """A GPU, or the CPU as if it could capture; once with the functions that a GPU takes, too."""
    monkeypatch.setattr(captured, "LOOK_EVERY", LOOK_EVERY)
    if request.param == "cuda":
        return "cuda"
    monkeypatch.setattr(tabkit.train.fit, "captures", lambda device: True)
    monkeypatch.setattr(steps, "Graph", Tape)
    if request.param == "as a gpu":
        for name, module in {**sys.modules}.items():
            for asked, answer in (("is_gpu", True), ("shares_memory", False)):
                watches = name == "tabkit.capture.reads"  # what the CPU does not wait for
                if name.startswith("tabkit.") and hasattr(module, asked) and not watches:
                    monkeypatch.setattr(module, asked, lambda device, answer=answer: answer)
    return "cpu"


@pytest.fixture(scope="module")
def data():
    return planted(600, categorical=4, continuous=2, cardinality=(3, 6))


@pytest.fixture
def net1(data, device):
    return freeze(encoder(data, device))


def encoder(data, device):
    """Of doubles, so that two ways stay together."""
    made = RowEncoder(data.schema, Z=3, width=16, depth=1, D=4, embedding_std=None, device=device)
    return made.double()


def predictor(net1, data, head="logits"):
    return RowPredictor(data.signal.shape[1], net1, width=16, head=head)


def taken(fit):
    """All steps of a fit, its losses and what it trained; a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = fit.run()
    weights = [p.detach().cpu() for net in fit.modules.values() for p in net.parameters()]
    return torch.tensor([s.loss for s in done], dtype=torch.float64), weights


def same(make):
    """The fits that `make` makes, as one graph and one by one, are the same."""
    graphs, begun = [], steps.Graph
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "Graph", lambda *given: graphs.append(begun(*given)) or graphs[-1])
        found = taken(make(capture=True))
    assert len(graphs) == 1
    torch.testing.assert_close(found, taken(make(capture=False)), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", [n for n in estimators.names() if n not in ONE_BY_ONE])
def test_net0_is_trained_by_the_same_steps(name, net1, data):
    estimator = estimators.make(name)

    def make(capture):
        net0, options = predictor(net1, data, estimator.head), {"steps": STEPS, "batch": 32}
        return fit_predictor(net0, net1, data, estimator, **options, capture=capture)

    same(make)


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_what_cannot_be_captured_goes_one_by_one_with_a_word(name, net1, data):
    estimator, found = estimators.make(name), []
    for capture in (True, False):
        options = {"steps": 6, "batch": 8, "capture": capture}
        fit = fit_predictor(predictor(net1, data), net1, data, estimator, **options)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found.append(torch.tensor([s.loss for s in fit.run()]))
        assert [name in str(w.message) and "one by one" in str(w.message) for w in said] == (
            [True] * capture
        )
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("name", ["straight_through_gumbel", "reinmax"])
def test_spoilt_weights_are_seen_though_the_sampled_rows_have_a_loss(name, device):
    """Without numbers of its own what net0 samples has a finite loss, whatever its weights are."""
    data = planted(600, categorical=4, continuous=0, cardinality=(3, 6))
    net1 = freeze(encoder(data, device))
    net0, estimator = predictor(net1, data), estimators.make(name)
    fit = fit_predictor(net0, net1, data, estimator, steps=STEPS, batch=32)
    for _ in range(LOOK_EVERY + 2):
        next(fit)
    with torch.no_grad():
        net0.mlp[0].weight[0, 0] = math.nan
    assert len(fit.run()) == STEPS  # from the last look, where it did not happen again
    assert all(p.isfinite().all() for p in net0.parameters())


def test_net1_both_nets_and_the_limit_are_trained_by_the_same_steps(data, net1, device):
    options = {"steps": STEPS, "batch": 32}
    blank = replace(data, outcomes=data.outcomes[:, :0], outcome_names=(), outcome_scale=())
    gumbel = estimators.make("straight_through_gumbel")

    def jointly(capture):
        both = encoder(data, device)
        net0 = predictor(both, data)
        return fit_jointly(net0, both, data, gumbel, **options, capture=capture)

    same(lambda capture: fit_encoder(encoder(data, device), data, **options, capture=capture))
    same(lambda capture: fit_encoder(encoder(data, device), blank, **options, capture=capture))
    same(jointly)
    same(lambda capture: fit_limit(net1, data, **options, capture=capture))


def test_schedules_move_parts_are_summed_and_rows_decoded_on_the_way(net1, data):
    found = []
    for capture in (True, False):
        estimator = estimators.make("gumbel_softmax", label_weight=0.1)
        net0, plans = predictor(net1, data), {"tau": Cosine(2, 0.2)}
        fit = fit_predictor(
            net0, net1, data, estimator, steps=STEPS, batch=32, micro_batch=20, decode_every=8,
            schedules=plans, fixed={data.schema.categorical[0].name: 0}, capture=capture,
        )  # fmt: skip
        done = fit.run()
        assert estimator.knobs["tau"] == pytest.approx(0.2) and not estimator.held
        found.append([(s.step, s.loss, s.decoded or 0.0) for s in done])
        assert sum(s.decoded is not None for s in done) == 1 + STEPS // 8
    torch.testing.assert_close(*map(torch.tensor, found), rtol=1e-5, atol=1e-7)


TURNS = {
    "gumbel_rao": {10: {"tau": 0.5}, 20: {"tau": 2.0}, 30: {"samples": 3}, 40: {"samples": 2}},
    "softmax": {
        **{8: {"tau": 0.5}, 16: {"entropy_penalty": 0.1}, 24: {"entropy_penalty": 0.3}},
        **{30: {"label_weight": 0.1, "tau": 1.0}, 36: {"label_weight": 0.2}},
        **{42: {"entropy_penalty": 0}, 50: {"tau": 2.0}, 58: {"entropy_penalty": -0.2}},
    },
}


@pytest.mark.parametrize("name", TURNS)
def test_a_knob_that_is_turned_on_the_way_acts_at_the_next_step(name, net1, data):
    found = []
    for capture in (True, False):
        estimator = estimators.make(name)
        options = {"steps": 70, "batch": 32, "capture": capture}
        fit = fit_predictor(predictor(net1, data), net1, data, estimator, **options)
        losses = []
        for step in fit:
            losses.append(step.loss)
            estimator.change(**TURNS[name].get(step.step, {}))
        found.append(torch.tensor(losses))
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-7)


class Fragile(nn.Module):
    """A net0 that gives no number at one weight, which its training passes."""

    def __init__(self, net0, at):
        super().__init__()
        self.net0, self.at = net0, at
        self.register_buffer("calls", torch.zeros((), device=net0.allowed.device))

    def forward(self, signal):
        self.calls += torch.is_grad_enabled()
        logits, numbers = self.net0(signal)
        return torch.where(self.calls == self.at, torch.nan, logits), numbers


@pytest.mark.parametrize("at", [3, LOOK_EVERY + 2, STEPS])
def test_what_is_not_finite_stops_at_its_step_and_is_named(at, net1, data):
    found = []
    for capture in (True, False):
        net0 = Fragile(predictor(net1, data), at)
        options = {"steps": STEPS, "batch": 32, "capture": capture}
        fit = fit_predictor(net0, net1, data, estimators.make("softmax"), **options)
        with pytest.raises(FloatingPointError, match=f"step {at}: ") as error:
            fit.run()
        assert len(fit.records) == at - 1
        weights = [p.detach() for p in net0.parameters()]
        assert all(w.isfinite().all() for w in weights), "as they were before that step"
        found.append((str(error.value), weights))
    assert "logit" in found[0][0]
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-6, atol=1e-9)


def test_a_checkpoint_is_picked_up_whichever_way_it_was_made(net1, data, tmp_path):
    def fit(file, capture):
        net0, options = predictor(net1, data), {"steps": STEPS, "batch": 32, "checkpoint": file}
        gumbel = estimators.make("straight_through_gumbel")
        return fit_predictor(net0, net1, data, gumbel, **options, capture=capture)

    expected = taken(fit(None, capture=False))
    for first, then in ((True, True), (True, False), (False, True)):
        file = tmp_path / f"{first}{then}.pt"
        left = fit(file, first)
        for step in left:
            if step.step == 13:
                left.close()
        assert len(left.records) == 13
        torch.testing.assert_close(taken(fit(file, then)), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["softmax", "straight_through_gumbel", "reinmax", "indecater"])
def test_at_most_one_read_of_the_device_from_look_to_look(name, net1, data):
    """Outside of the steps themselves, which have none: `Reads` would have said so."""
    assert EVERY == 50
    net0 = predictor(net1, data)
    options = {"steps": 4 * LOOK_EVERY, "batch": 32}
    fit = fit_predictor(net0, net1, data, estimators.make(name), **options)
    reads, read = [], Ledger._read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "_read", lambda self: reads.append(self.written) or read(self))
        done = list(fit)
    assert isinstance(done[0], Later) and isinstance(fit.records[0], Step)
    assert pickle.loads(pickle.dumps(done[3])) == fit.records[3] == copy.copy(done[3])
    assert reads == [LOOK_EVERY * n for n in (1, 2, 3, 4)]
    assert all(math.isfinite(step.loss) for step in done)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_is_waited_for_where_it_is_looked_at_and_nowhere_else(data):
    """CUDA itself counts: any wait between two looks would be an error."""
    net1 = freeze(encoder(data, "cuda"))
    softmax, options = estimators.make("gumbel_softmax"), {"steps": 200, "batch": 32}
    fit = fit_predictor(predictor(net1, data), net1, data, softmax, **options)
    for step in fit:
        inside = 5 < step.step % EVERY < EVERY - 1
        torch.cuda.set_sync_debug_mode("error" if inside else "default")
    torch.cuda.set_sync_debug_mode("default")


def test_the_steps_of_net1_and_of_both_read_nothing(data, device):
    """The first step says what it asked for; the fit would go on one by one."""
    both = encoder(data, device)
    net0 = predictor(both, data)
    for fit in (
        fit_encoder(both, data, steps=9, batch=32),
        fit_jointly(net0, both, data, estimators.make("reinmax"), steps=9, batch=32),
    ):
        for _ in range(4):
            next(fit)
        assert fit._captured._steps.reads == []
        fit.close()


def test_a_search_reads_once_a_round(data, net1):
    """And a little before the first; nothing inside of one."""
    signal = data.signal[:200]
    rounds = [1, 2, 4]
    behind, rows = folded(net1), data.rows[:200].to(net1.first_layer.weight.device, torch.float64)
    objective = SquaredDistance(behind, rows.continuous, encode_rows(net1, data.rows[200:400]))
    reads = []
    for count in rounds:
        with Reads() as found:
            decoders.local_search(rows.codes, objective, net1.cardinalities, rounds=count)
        reads.append(len(found.found))
    assert [b - a for a, b in pairwise(reads)] == [1, 2]
    with Reads() as found:
        decode(predictor(net1, data), signal, net1, decoder="search")
    assert len(found.found) < 40, found.found


def test_a_whole_step_is_one_graph_for_the_compiler(plain_torch):
    """No break from the drawn positions to the loss, and the same gradients."""
    found = plain_torch["steps"]
    assert {"softmax", "straight_through_gumbel", "reinmax"} <= found.keys()
    assert {verdict for ways in found.values() for verdict in ways.values()} == {"equal"}, found


def test_reads_are_seen_in_every_form():
    x, mask = torch.arange(4.0), torch.tensor([True, False, True, True])
    leaf = torch.ones(3, requires_grad=True)

    class Asking(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * float(gradient.sum())

    asking = {
        "a number": lambda: x.sum().item(),
        "a truth": lambda: bool(mask.any()),
        "a list": mask.nonzero,
        "masked": lambda: x[mask],
        "filled": lambda: x.clone().index_put_((mask,), torch.arange(3.0)),
        "equal": lambda: torch.equal(x, x),
        "made": lambda: torch.tensor([1.0, 2.0]),
        "repeated": lambda: x.repeat_interleave(torch.ones(4, dtype=torch.long)),
        "different": lambda: torch.unique(x),
        "backward": lambda: Asking.apply(leaf).sum().backward(),
    }
    for name, ask in asking.items():
        with Reads() as reads:
            ask()
        assert reads.found, name
    with Reads() as reads:
        y = torch.where(mask, x, 0.0).softmax(0).index_select(0, torch.arange(3))
        y[y == 0] = 0
        y.repeat_interleave(2).scatter(0, torch.arange(2), 1.0)
    assert reads.found == []


def test_a_graph_that_is_none_calls_the_function():
    calls = []
    graph = Graph(lambda: calls.append(1), torch.device("cpu"))
    assert calls == []
    graph()
    graph()
    assert calls == [1, 1]
