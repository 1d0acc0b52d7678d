"""Fits learn, stop, pick up bitwise, and leave net1 and the global seed alone."""

import gc
import io
import itertools
import sys
from copy import deepcopy
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from tabkit import (
    RowEncoder,
    RowPredictor,
    Rows,
    compare,
    decode,
    decoders,
    estimators,
    fit_encoder,
    fit_jointly,
    fit_predictor,
    freeze,
    inspection,
    store,
)
from tabkit.train import Cosine, Distances, Predicting, encoder, encoder_loss, watch
from tabkit.train import fit as train_fit
from tabkit.train.checkpoint import digest_of_data
from tabkit.train.encoder import row_distances


def small_encoder(dataset, seed=0):
    return RowEncoder(dataset.schema, Z=3, width=16, depth=1, D=4, seed=seed, embedding_std=None)


def predictor(dataset, net1, name="softmax", seed=0):
    head = estimators.make(name).head
    return RowPredictor(dataset.signal.shape[1], net1, head=head, width=16, seed=seed)


def weights(*nets):
    return torch.cat([p.detach().flatten() for net in nets for p in net.parameters()]).clone()


def losses(steps):
    return [s.loss for s in steps]


def test_net1_learns_the_distances_between_outcomes(dataset):
    net1 = small_encoder(dataset)
    before = compare.distance_correlation(net1, dataset, dataset.test, count=2_000)
    steps = fit_encoder(net1, dataset, steps=150, batch=128).run()
    after = compare.distance_correlation(net1, dataset, dataset.test, count=2_000)
    assert sum(losses(steps)[-20:]) < 0.5 * sum(losses(steps)[:20])
    assert after > max(before, 0.5)


@pytest.mark.parametrize("name", estimators.names())
def test_net0_learns_through_a_net1_that_stays_bitwise_the_same(dataset, name):
    net1 = freeze(small_encoder(dataset))
    net0 = predictor(dataset, net1, name)
    frozen = weights(net1)
    sizes = {"steps": 60, "batch": 64, "lr": 0.01}
    if name == "exact":  # hundreds of evaluations a step
        sizes |= {"steps": 20, "batch": 16}
    steps = list(fit_predictor(net0, net1, dataset, estimators.make(name), **sizes))
    assert torch.equal(weights(net1), frozen)
    assert all(p.grad.isfinite().all() for p in net0.parameters())
    assert any((p.grad != 0).any() for p in net0.parameters())
    assert sum(losses(steps)[-10:]) < sum(losses(steps)[:10])


def test_joint_training_moves_both_nets_and_learns_both_tasks(dataset):
    net1 = small_encoder(dataset)
    net0 = predictor(dataset, net1)
    start = weights(net0), weights(net1)
    estimator = estimators.make("gumbel_softmax")
    steps = list(fit_jointly(net0, net1, dataset, estimator, steps=150, batch=128, decode_every=75))
    assert not torch.equal(weights(net0), start[0])
    assert not torch.equal(weights(net1), start[1])
    assert sum(losses(steps)[-20:]) < 0.7 * sum(losses(steps)[:20])
    assert compare.distance_correlation(net1, dataset, dataset.test, count=2_000) > 0.5
    assert [s.step for s in steps if s.decoded is not None] == [1, 75, 150]


def loops(dataset):
    """Each loop as a function of its checkpoint and steps, with the nets that it trains."""

    def encoder(**settings):
        net1 = small_encoder(dataset)
        return fit_encoder(net1, dataset, batch=32, **settings), (net1,)

    def behind(name="gumbel_softmax", **settings):
        net1 = freeze(small_encoder(dataset))
        net0 = predictor(dataset, net1)
        estimator = estimators.make(name)
        return fit_predictor(net0, net1, dataset, estimator, batch=32, **settings), (net0,)

    def joint(**settings):
        net1 = small_encoder(dataset)
        net0 = predictor(dataset, net1)
        estimator = estimators.make("gumbel_softmax")
        return fit_jointly(net0, net1, dataset, estimator, batch=32, **settings), (net0, net1)

    learners = {name: partial(behind, name) for name in LEARNERS}
    return {"encoder": encoder, "predictor": behind, "joint": joint, **learners}


LEARNERS = ["reinforce", "rebar", "adaptive_imle"]  # whose state must be saved and picked up too
KINDS = ["encoder", "predictor", "joint", *LEARNERS]


def comparable(steps):
    """Everything in the steps but the clock."""
    return [(s.step, s.steps, s.loss, s.decoded) for s in steps]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_stopped_picks_up_bitwise(dataset, kind, tmp_path):
    make = loops(dataset)[kind]
    whole, nets = make(steps=12)
    expected = comparable(whole), weights(*nets)

    file = tmp_path / "deep" / "loop.pt"
    first, _ = make(steps=12, checkpoint=file)
    list(itertools.islice(first, 5))
    first.close()
    second, nets = make(steps=12, checkpoint=file)
    assert comparable(second) == expected[0]
    assert torch.equal(weights(*nets), expected[1])


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupt_loses_no_step(dataset, kind, tmp_path, monkeypatch):
    """Ctrl-C falls into the middle of the sixth step: its draws are made again."""
    make = loops(dataset)[kind]
    whole, nets = make(steps=12)
    expected = comparable(whole), weights(*nets)

    draw, calls = train_fit.Fit.draw, iter(range(99))

    def interrupted(fit, *arguments):
        index = draw(fit, *arguments)
        if next(calls) == 5:
            raise KeyboardInterrupt
        return index

    monkeypatch.setattr(train_fit.Fit, "draw", interrupted)
    first, _ = make(steps=12, checkpoint=tmp_path / "loop.pt")
    with pytest.raises(KeyboardInterrupt):
        list(first)
    second, nets = make(steps=12, checkpoint=tmp_path / "loop.pt")
    assert comparable(second) == expected[0]
    assert torch.equal(weights(*nets), expected[1])


def test_a_killed_run_picks_up_from_its_last_regular_save(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(train_fit, "CHECKPOINT_EVERY", 4)
    monkeypatch.setattr(train_fit, "CHECKPOINT_APART", 0)
    make = loops(dataset)["predictor"]
    expected = comparable(make(steps=12)[0])
    file = tmp_path / "loop.pt"
    first, _ = make(steps=12, checkpoint=file)
    list(itertools.islice(first, 6))
    saved = file.read_bytes()  # what a kill leaves: no close, no interrupt
    first.close()
    file.write_bytes(saved)
    assert len(store.read(file, "checkpoint")[0]["records"]) == 4
    assert comparable(make(steps=12, checkpoint=file)[0]) == expected


def test_saves_are_not_nearer_to_each_other_than_a_second(dataset, tmp_path, monkeypatch):
    now, file = iter(range(10_000)), tmp_path / "loop.pt"
    monkeypatch.setattr(train_fit, "CHECKPOINT_EVERY", 2)
    monkeypatch.setattr(train_fit.time, "perf_counter", lambda: next(now) / 10_000)
    saved = []
    monkeypatch.setattr(train_fit.Fit, "_save", lambda fit, moment: saved.append(len(fit.records)))
    make = loops(dataset)["predictor"]
    make(steps=9, checkpoint=file)[0].run()
    assert saved == [9]
    monkeypatch.setattr(train_fit.time, "perf_counter", lambda: float(next(now)))
    make(steps=9, checkpoint=file)[0].run()
    assert saved == [9, 2, 4, 6, 8, 9]


def test_data_that_torch_changed_in_place_are_other_data(dataset):
    changed = moved(dataset)
    before = digest_of_data(changed)
    assert digest_of_data(changed) == before != digest_of_data(dataset)
    changed.rows.continuous.copy_(dataset.rows.continuous)
    assert digest_of_data(changed) == digest_of_data(dataset)


def test_an_abandoned_loop_does_not_overwrite_a_newer_checkpoint(dataset, tmp_path):
    make = loops(dataset)["encoder"]
    file = tmp_path / "loop.pt"
    old, _ = make(steps=6, checkpoint=file)
    next(old)
    list(make(steps=6, checkpoint=file)[0])
    finished = file.read_bytes()
    old.close()
    assert file.read_bytes() == finished


def test_an_annealed_run_picks_up_when_the_knob_follows_the_step(dataset, net1, tmp_path):
    def anneal(stop, checkpoint=None):
        estimator = estimators.make("gumbel_softmax")
        net0 = predictor(dataset, net1)
        loop = fit_predictor(
            net0, net1, dataset, estimator, steps=8, batch=32, checkpoint=checkpoint
        )
        found = []
        for step in itertools.islice(loop, stop):
            estimator.change(tau=1 / (1 + step.step))
            found.append(step)
        loop.close()
        return comparable(found)

    expected = anneal(8)
    anneal(3, tmp_path / "loop.pt")
    assert anneal(8, tmp_path / "loop.pt") == expected


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_is_bitwise_the_same_and_the_global_stream_is_left_alone(dataset, kind):
    make = loops(dataset)[kind]
    before = torch.random.get_rng_state()
    (a, _), (b, _), (c, _) = make(steps=4, seed=1), make(steps=4, seed=1), make(steps=4, seed=2)
    a, b, c = losses(a), losses(b), losses(c)
    assert a == b != c
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_finished_checkpoint_gives_back_the_net_and_its_steps(dataset, tmp_path):
    make = loops(dataset)["encoder"]
    loop, nets = make(steps=3, checkpoint=tmp_path / "loop.pt")
    steps = list(loop)
    again, same = make(steps=3, checkpoint=tmp_path / "loop.pt")
    assert list(again) == steps
    assert torch.equal(weights(*nets), weights(*same))


def moved(dataset):
    """The same but for one number of one row."""
    continuous = dataset.rows.continuous.clone()
    continuous[0, 0] += 1
    return replace(dataset, rows=Rows(dataset.rows.codes, continuous))


def test_a_checkpoint_of_another_run_is_refused_by_what_differs(dataset, tmp_path):
    def fit(data=dataset, net1=None, **settings):
        net1 = net1 or small_encoder(dataset)
        sizes = {"steps": 3, "batch": 32} | settings
        return fit_encoder(net1, data, checkpoint=tmp_path / "loop.pt", **sizes)

    fit().run()
    small = RowEncoder(dataset.schema, Z=3, width=16, depth=1, D=4)
    others = {
        r"lr=0\.003; now lr=0\.1": {"lr": 0.1},
        "batch=32; now batch=16": {"batch": 16},
        "data=": {"data": moved(dataset)},
        "net1's start=": {"net1": small_encoder(dataset, seed=1)},
        "net1's start='": {"net1": small},
    }
    for told, settings in others.items():
        with pytest.raises(ValueError, match=told):
            next(fit(**settings))
    assert len(fit().run()) == 3


def test_a_checkpoint_behind_another_net1_or_of_another_net0_is_refused(dataset, tmp_path):
    def fit(seed=0, seed0=0, objective=None):
        net1 = freeze(small_encoder(dataset, seed))
        softmax, file = estimators.make("softmax"), tmp_path / "a.pt"
        net0 = predictor(dataset, net1, seed=seed0)
        return fit_predictor(
            net0, net1, dataset, softmax, objective=objective, steps=2, checkpoint=file
        )

    fit().run()
    for told, settings in {
        "net1=": {"seed": 1},
        "net0's start=": {"seed0": 1},
        "objective=": {"objective": Distances(freeze(small_encoder(dataset)), dataset)},
    }.items():
        with pytest.raises(ValueError, match=told):
            next(fit(**settings))


def test_a_checkpoint_is_taken_up_by_the_net_that_was_left_there(dataset, tmp_path):
    """As in a notebook, whose cell is run again."""
    make = loops(dataset)["encoder"]
    whole, nets = make(steps=8)
    expected = comparable(whole), weights(*nets)
    net1, sizes = small_encoder(dataset), {"steps": 8, "batch": 32}
    for stop in (3, 6, 8, 8):
        fit = fit_encoder(net1, dataset, checkpoint=tmp_path / "loop.pt", **sizes)
        found = comparable(itertools.islice(fit, stop))
        assert found == expected[0][:stop]
        fit.close()
    assert torch.equal(weights(net1), expected[1])


def test_a_temperature_changed_between_steps_takes_effect_at_the_next(dataset, net1):
    """The same draws at another temperature give another loss, from the changed step on."""
    runs = []
    for change in (False, True):
        estimator = estimators.make("softmax")
        loop = fit_predictor(predictor(dataset, net1), net1, dataset, estimator, steps=4)
        found = []
        for step in loop:
            found.append(step.loss)
            if change and step.step == 2:
                estimator.change(tau=0.1)
        runs.append(found)
    assert runs[0][:2] == runs[1][:2]
    assert runs[0][2] != runs[1][2]


def test_mistakes_are_told_before_any_work(dataset, net1):
    net0, softmax = predictor(dataset, net1), estimators.make("softmax")
    with pytest.raises(ValueError, match=r"freeze\(net1\)"):
        fit_predictor(net0, small_encoder(dataset), dataset, softmax)
    with pytest.raises(ValueError, match="head='embedding'"):
        fit_predictor(net0, net1, dataset, estimators.make("direct_embedding"))
    with pytest.raises(ValueError, match="net1 is frozen"):
        fit_jointly(net0, net1, dataset, softmax)
    with pytest.raises(ValueError, match="net1 is frozen"):
        fit_encoder(net1, dataset)
    assert not net1.training
    with pytest.raises(ValueError, match="decode_every"):
        fit_predictor(net0, net1, dataset, softmax, decode_every=-1)
    with pytest.raises(ValueError, match="steps must be at least 1, not 0"):
        fit_encoder(net1, dataset, steps=0)
    trainable = small_encoder(dataset)
    with pytest.raises(ValueError, match="fewer than the rows"):
        fit_encoder(trainable, dataset, batch=8)
    with pytest.raises(ValueError, match="fewer than the rows"):
        fit_jointly(net0, trainable, dataset, softmax, batch=8)


def test_a_loss_that_is_not_finite_stops_the_loop_and_says_so(dataset):
    net1 = small_encoder(dataset)
    with torch.no_grad():
        net1.mlp[0].weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match=r"^step 1: the loss is nan: lower the learning"):
        next(fit_encoder(net1, dataset, steps=2))


@pytest.mark.parametrize("name", ["softmax", "leave_one_out", "direct_embedding"])
def test_a_net0_that_diverges_is_told_at_its_step(dataset, net1, name):
    """The logits, or the loss of an embedding: here after somebody has spoilt the weights."""
    net0 = predictor(dataset, net1, name)
    fit = fit_predictor(net0, net1, dataset, estimators.make(name), steps=5, batch=16)
    next(fit), next(fit)
    with torch.no_grad():
        net0.mlp[0].weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match=r"^step 3: .* lower the learning rate"):
        next(fit)


def test_the_siamese_loss_is_the_mean_over_all_pairs_that_it_names(dataset, monkeypatch):
    net1, index = small_encoder(dataset), dataset.train[:6]
    rows, outcomes = dataset.rows[index], dataset.outcomes[index]
    outputs = net1(rows.codes, rows.continuous)
    errors = [
        (outputs[i] - outputs[(i - k) % 6]).norm() - (outcomes[i] - outcomes[(i - k) % 6]).norm()
        for i in range(6)
        for k in (1, 2, 3)
    ]
    expected = torch.stack(errors).pow(2).mean()
    torch.testing.assert_close(encoder_loss(net1, dataset, index, partners=3), expected)
    monkeypatch.setattr(encoder, "is_gpu", lambda device: True)  # all partners at once
    torch.testing.assert_close(encoder_loss(net1, dataset, index, partners=3), expected)


def test_the_target_behind_net1_passes_no_gradient(dataset):
    """With the prediction held fixed, nothing of net0's loss reaches net1 but through the row."""
    net1 = small_encoder(dataset)
    net0, index = predictor(dataset, net1, "direct_embedding"), dataset.train[:8]
    direct = estimators.make("direct_embedding")
    loop = Predicting(net0, net1, dataset, direct)
    loss = loop.relaxed(*loop.asked(index, Distances(net1, dataset)), None)
    loss.backward()
    assert all(table.weight.grad is None for table in net1.embedding.tables)


def test_the_weight_scales_net0s_share_of_the_joint_loss(dataset):
    def first_loss(weight):
        net1 = small_encoder(dataset)
        net0, softmax = predictor(dataset, net1), estimators.make("softmax")
        return next(fit_jointly(net0, net1, dataset, softmax, batch=32, weight=weight)).loss

    none, one, three = (first_loss(w) for w in (0.0, 1.0, 3.0))
    assert one - none > 0.01
    assert three - none == pytest.approx(3 * (one - none), rel=1e-4)


def test_row_distance_has_a_finite_gradient_at_zero():
    point = torch.zeros(1, 3, requires_grad=True)
    row_distances(point, torch.zeros(1, 3)).sum().backward()
    assert point.grad.isfinite().all()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_progress_bar_shows_in_a_terminal_and_not_in_a_pipe(dataset, monkeypatch):
    for stream, shows in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
        list(watch(fit_encoder(small_encoder(dataset), dataset, steps=3, batch=32), "net1"))
        assert ("net1" in stream.getvalue()) == shows
        assert ("3/3" in stream.getvalue()) == shows


def states(*objects):
    """All that a fit could change before it is driven."""
    nets = [o for o in objects if isinstance(o, nn.Module)]
    tuned = [o for o in objects if not isinstance(o, nn.Module)]
    return (
        [(name, value.tolist()) for net in nets for name, value in net.state_dict().items()],
        [(net.training, [p.requires_grad for p in net.parameters()]) for net in nets],
        [(repr(o), dict(o.knobs), dict(o.state)) for o in tuned],
        torch.random.get_rng_state().tolist(),
    )


@pytest.mark.parametrize("kind", ["encoder", "predictor", "joint"])
def test_making_a_fit_changes_nothing_and_says_that_it_has_not_started(dataset, kind, tmp_path):
    """Not the weights, what net0 allows, modes, an estimator's knobs and memory, files, streams."""
    few = dataset.train[:2]  # so that some categories are not seen
    rare = replace(dataset, train=few, scaled_on=None)
    net1 = small_encoder(dataset)
    net0, estimator = predictor(dataset, net1).eval(), estimators.make("reinforce", decay=0.5)
    estimator.state["baseline"] = 7.0
    settings = {"steps": 3, "batch": 16, "checkpoint": tmp_path / "new" / "a.pt"}
    steered = settings | {"schedules": {"decay": Cosine(0.2, 0.3)}}
    nets = (net0, net1 if kind != "predictor" else freeze(net1))
    before = states(*nets, estimator)
    fit = {
        "encoder": lambda: fit_encoder(net1, rare, **settings),
        "predictor": lambda: fit_predictor(net0, net1, rare, estimator, **steered),
        "joint": lambda: fit_jointly(net0, net1, rare, estimator, **steered),
    }[kind]()
    assert states(*nets, estimator) == before
    assert not any(tmp_path.iterdir())
    name = {"encoder": "fit_encoder", "joint": "fit_jointly"}.get(kind, "fit_predictor")
    assert repr(fit) == f"{name}: 3 steps, not started. Call .run(), or iterate over it"
    next(fit)
    assert repr(fit) == f"{name}: 3 steps, 1 done"
    fit.close()
    assert states(*nets, estimator) != before


def test_a_fit_that_was_never_driven_says_so_when_it_is_dropped(dataset):
    with pytest.warns(
        UserWarning, match=r"fit_encoder was called, and nothing trained: call \.run"
    ):
        fit_encoder(small_encoder(dataset), dataset)
        gc.collect()
    for drive in (next, lambda fit: fit.close()):
        fit = fit_encoder(small_encoder(dataset), dataset, steps=2, batch=16)
        drive(fit)
        del fit
        gc.collect()  # a warning would be an error


def test_a_fit_is_iterated_left_and_gone_on_with(dataset):
    """Whoever takes the steps, they are the same; `run` returns all of them."""
    make = loops(dataset)["predictor"]
    expected = comparable(make(steps=6)[0].run())
    fit, _ = make(steps=6)
    for step in fit:
        if step.step == 2:
            break
    assert comparable([next(fit)]) == expected[2:3]
    assert comparable(fit.run()) == comparable(fit.run()) == expected
    assert list(fit) == []
    fit, _ = make(steps=6)
    next(fit)
    fit.close()
    assert comparable(fit.run()) == expected[:1]


@pytest.mark.parametrize("name", ["softmax", "cross_entropy", "gumbel_softmax"])
def test_micro_batches_train_as_the_whole_batch(dataset, net1, name):
    """Of 20 rows in parts of 8, 8 and 4, to float precision."""

    def trained(micro_batch):
        net0 = predictor(dataset, net1, name)
        fit = fit_predictor(
            net0,
            net1,
            dataset,
            estimators.make(name),
            steps=5,
            batch=20,
            micro_batch=micro_batch,
            decode_every=1,
        )
        losses = torch.tensor([(step.loss, step.decoded) for step in fit])
        return losses, weights(net0)

    (losses, found), (expected, whole) = trained(8), trained(None)
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found, whole, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="micro_batch must be at least 1"):
        trained(-1)


@pytest.fixture(params=["default", "double"])
def doubled(request, dataset, net1):
    """net1 in float64, data in float32: torch's default, or that of one net alone."""
    before = torch.get_default_dtype()
    if request.param == "default":
        torch.set_default_dtype(torch.float64)
        yield freeze(small_encoder(dataset))
    else:
        yield deepcopy(net1).double()
    torch.set_default_dtype(before)


@pytest.mark.parametrize(
    "name", ["softmax", "indecater", "top_k_sample", "cross_entropy", "rotation_trick"]
)
def test_nets_of_float64_train_and_decode_data_of_float32(doubled, dataset, name):
    assert dataset.signal.dtype == torch.float32 != doubled.embedding.weights[0].dtype
    estimator = estimators.make(name)
    head = estimator.head
    net0 = RowPredictor(dataset.signal.shape[1], doubled, head=head, width=16)
    options = {"steps": 2, "batch": 16, "decode_every": 1}
    fit_predictor(net0, doubled, dataset, estimator, **options).run()
    for decoder in decoders.names():
        rows = decode(net0, dataset.signal, doubled, decoder=decoder, estimator=estimator)
        assert rows.continuous.dtype == torch.float64
    found = compare.by_decoder(net0, doubled, dataset, estimator)
    score = compare.score(net0, doubled, dataset, estimator, dataset.test[:200])
    assert score.decoded == pytest.approx(found["decode_argmax"])
    assert inspection.predicted_row(net0, doubled, dataset).decoded > 0


def test_a_net_of_float64_trains_by_codes_jointly_and_by_functions(doubled, dataset):
    """A function gets simplexes of the net's own type, in training and in a search."""

    def objective(net1, batch):
        return lambda simplex: net1(simplex, batch.continuous).square().sum(dim=1)

    net0, softmax = predictor(dataset, doubled), estimators.make("straight_through_gumbel")
    options = {"steps": 2, "batch": 16, "decode_every": 1}
    fit_predictor(net0, doubled, dataset, softmax, objective=objective, **options).run()
    decode(net0, dataset.signal[:9], doubled, decoder="search", objective=objective)
    net1 = doubled.requires_grad_(True)
    fit_encoder(net1, dataset, steps=2, batch=16).run()
    fit_jointly(net0, net1, dataset, softmax, **options).run()
    assert {p.dtype for net in (net0, net1) for p in net.parameters()} == {torch.float64}


class Known(nn.Module):
    """Any module from a signal to logits and numbers; where it knows a category it says so."""

    def __init__(self, dataset):
        super().__init__()
        self.cardinalities = dataset.schema.cardinalities
        self.inner = nn.Linear(dataset.signal.shape[1], sum(self.cardinalities) + 2)

    def known(self, signal):
        """The first column's category, which the signal tells."""
        return (signal[:, 0] > 0).long() + 1

    def forward(self, signal):
        logits, numbers = self.inner(signal).split([sum(self.cardinalities), 2], dim=1)
        hot = nn.functional.one_hot(self.known(signal), self.cardinalities[0]).bool()
        first = logits[:, : hot.shape[1]].masked_fill(~hot, -torch.inf)
        return torch.cat([first, logits[:, hot.shape[1] :]], dim=1), numbers


@pytest.mark.parametrize(
    "name", [n for n in estimators.names() if estimators.make(n).head == "logits"]
)
def test_a_net0_that_rules_categories_out_itself_trains_and_decodes(dataset, net1, name):
    net0, estimator = Known(dataset), estimators.make(name)
    options = {"steps": 3, "batch": 16, "decode_every": 1}
    fit_predictor(net0, net1, dataset, estimator, **options).run()
    assert all(p.grad.isfinite().all() for p in net0.parameters())
    signal = dataset.signal[dataset.test]
    for decoder in decoders.names():
        rows = decode(net0, signal, net1, decoder=decoder, estimator=estimator)
        assert torch.equal(rows.codes[:, 0], net0.known(signal))
    compare.score(net0, net1, dataset, estimator, dataset.test)
    compare.by_decoder(net0, net1, dataset, estimator)


def test_on_another_number_of_threads_the_first_losses_are_nearly_the_same(dataset):
    """Sums are taken in another order; docs/reliability.md states the tolerance."""
    found, before = [], torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        net1 = RowEncoder(dataset.schema, seed=0)
        found.append(losses(fit_encoder(net1, dataset, steps=60, batch=512)))
    torch.set_num_threads(before)
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_a_checkpoint_of_other_versions_or_threads_is_refused_while_steps_are_left(
    dataset, tmp_path, monkeypatch
):
    file, options = tmp_path / "loop.safetensors", {"steps": 6, "batch": 32}
    first = fit_encoder(small_encoder(dataset), dataset, checkpoint=file, **options)
    next(first)
    first.close()
    now = store.made_by()

    def again():
        return len(fit_encoder(small_encoder(dataset), dataset, checkpoint=file, **options).run())

    for changed in ({"torch": "1.0"}, {"tabkit": "0.0"}, {"threads": 99}):
        monkeypatch.setattr(store, "made_by", lambda changed=changed: now | changed)
        with pytest.raises(store.FileError, match=next(iter(changed))):
            again()
    monkeypatch.setattr(store, "made_by", lambda: now)
    assert again() == 6
    monkeypatch.setattr(store, "made_by", lambda: now | {"threads": 99})
    assert again() == 6  # nothing is left to compute


def test_where_no_checkpoint_can_be_kept_no_step_is_taken(dataset, tmp_path):
    (tmp_path / "file").touch()
    fit = fit_encoder(small_encoder(dataset), dataset, steps=2, checkpoint=tmp_path / "file" / "a")
    with pytest.raises(OSError, match="file"):
        next(fit)
    assert fit.records == []
