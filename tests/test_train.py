"""The loops learn, stop, pick up bitwise, and leave net1 and the global seed alone."""

import io
import itertools
import sys
from functools import partial

import pytest
import torch
from tabkit.train.loop import write_atomically

from tabkit import (
    RowEncoder,
    RowPredictor,
    compare,
    estimators,
    fit_encoder,
    fit_jointly,
    fit_predictor,
    freeze,
    planted,
)
from tabkit.train import encoder_loss, predictor_loss, run, watch
from tabkit.train import loop as train_loop
from tabkit.train.encoder import row_distances


def small_encoder(dataset, seed=0):
    return RowEncoder(dataset.schema, Z=3, width=16, depth=1, D=4, seed=seed)


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
    steps = run(fit_encoder(net1, dataset, steps=150, batch=128))
    after = compare.distance_correlation(net1, dataset, dataset.test, count=2_000)
    assert sum(losses(steps)[-20:]) < 0.5 * sum(losses(steps)[:20])
    assert after > max(before, 0.5)


@pytest.mark.parametrize("name", estimators.names())
def test_net0_learns_through_a_net1_that_stays_bitwise_the_same(dataset, name):
    net1 = freeze(small_encoder(dataset))
    net0 = predictor(dataset, net1, name)
    frozen = weights(net1)
    count = 50 if name == "exact" else 120  # hundreds of evaluations a step
    steps = list(fit_predictor(net0, net1, dataset, estimators.make(name), steps=count, batch=64))
    assert torch.equal(weights(net1), frozen)
    assert all(p.grad.isfinite().all() for p in net0.parameters())
    assert any((p.grad != 0).any() for p in net0.parameters())
    assert sum(losses(steps)[-20:]) < sum(losses(steps)[:20])


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

    draw, calls = train_loop.Loop.draw, iter(range(99))

    def interrupted(loop, *arguments):
        index = draw(loop, *arguments)
        if next(calls) == 5:
            raise KeyboardInterrupt
        return index

    monkeypatch.setattr(train_loop.Loop, "draw", interrupted)
    first, _ = make(steps=12, checkpoint=tmp_path / "loop.pt")
    with pytest.raises(KeyboardInterrupt):
        list(first)
    second, nets = make(steps=12, checkpoint=tmp_path / "loop.pt")
    assert comparable(second) == expected[0]
    assert torch.equal(weights(*nets), expected[1])


def test_a_killed_run_picks_up_from_its_last_regular_save(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(train_loop, "CHECKPOINT_EVERY", 4)
    make = loops(dataset)["predictor"]
    expected = comparable(make(steps=12)[0])
    file = tmp_path / "loop.pt"
    first, _ = make(steps=12, checkpoint=file)
    list(itertools.islice(first, 6))
    saved = file.read_bytes()  # what a kill leaves: no close, no interrupt
    first.close()
    file.write_bytes(saved)
    assert len(torch.load(file, weights_only=True)["records"]) == 4
    assert comparable(make(steps=12, checkpoint=file)[0]) == expected


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


def test_a_checkpoint_of_another_run_is_refused_by_what_differs(dataset, tmp_path):
    file = tmp_path / "loop.pt"
    make = loops(dataset)["encoder"]
    list(make(steps=3, checkpoint=file)[0])
    with pytest.raises(ValueError, match=r"lr=0\.003; now lr=0\.1"):
        next(make(steps=3, lr=0.1, checkpoint=file)[0])
    with pytest.raises(ValueError, match="data="):
        next(fit_encoder(small_encoder(dataset), planted(600), steps=3, batch=32, checkpoint=file))


def test_a_checkpoint_behind_another_net1_is_refused(dataset, tmp_path):
    def loop(seed):
        net1 = freeze(small_encoder(dataset, seed))
        softmax = estimators.make("softmax")
        net0 = predictor(dataset, net1)
        return fit_predictor(net0, net1, dataset, softmax, steps=2, checkpoint=tmp_path / "a.pt")

    list(loop(seed=0))
    with pytest.raises(ValueError, match="net1="):
        next(loop(seed=1))


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "kept"
    file.write_text("old")

    def fail(path):
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(file, fail)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]
    assert file.read_text() == "old"


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
    with pytest.raises(FloatingPointError, match="learning rate"):
        next(fit_encoder(net1, dataset, steps=2))


def test_the_siamese_loss_is_the_mean_over_all_pairs_that_it_names(dataset):
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


def test_the_target_behind_net1_passes_no_gradient(dataset):
    """With the prediction held fixed, nothing of net0's loss reaches net1 but through the row."""
    net1 = small_encoder(dataset)
    net0, index = predictor(dataset, net1, "direct_embedding"), dataset.train[:8]
    direct = estimators.make("direct_embedding")
    loss, _ = predictor_loss(net0, net1, dataset, index, direct, None)
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
