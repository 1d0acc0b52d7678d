"""A recommendation says what is true of the nets that it trained, and keeps to its budget."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import Bare
from torch import nn

import tabkit
from tabkit import (
    RowPredictor,
    SquaredDistance,
    compare,
    decode,
    decoders,
    fit_predictor,
    freeze,
    planted,
    plots,
)
from tabkit.compare import parse_spec, recommending
from tabkit.compare.advice import difference, no_better
from tabkit.compare.trials import LIMIT, Setting, Trial
from tabkit.nets import encode_rows

STEPS, ROWS = 15, 20
QUICK = {"steps": STEPS, "rows": ROWS, "batch": 64, "progress": False}
GUMBEL = "gumbel_softmax:tau=cosine/2/0.25"


@pytest.fixture(autouse=True)
def one_seed(monkeypatch):
    monkeypatch.setattr(recommending, "SEEDS", 1)


@pytest.fixture
def unhurried(monkeypatch):
    """No decoder is too slow, on however busy a machine."""
    monkeypatch.setattr(recommending, "DECODING", 1e6)


@pytest.fixture(scope="module")
def net(dataset):
    """A frozen net1 with tables, as it was made."""
    return freeze(
        tabkit.RowEncoder(dataset.schema, Z=3, width=16, depth=1, D=4, embedding_std=None)
    )


@pytest.fixture(scope="module")
def found(dataset, net):
    """One seed of all, as the clock allows no second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recommending, "SEEDS", 1)
        patch.setattr(recommending, "DECODING", 1e6)
        return tabkit.recommend(net, dataset, 1, **QUICK)


def by_hand(found, **changed):
    return replace(found, **changed)


def trial(name, seed, decoded, *, relaxed=0.0, decoding=1e-4):
    """One of equal losses in all rows, but for a noise that is the same for all."""
    noise = torch.linspace(-1, 1, 50)
    losses = {decoder: loss + 0.1 * noise for decoder, loss in decoded.items()}
    seconds = dict.fromkeys(decoded, decoding)
    zeros = dict.fromkeys(decoded, 0.0)
    return Trial(name, seed, torch.full([50], relaxed), losses, seconds, zeros, 1.0)


def made(*trials, random=4.0, constant=3.0, **changed):
    """A recommendation from trials of one's own."""
    ends = torch.stack([torch.full([50], 2 * random - constant), torch.full([50], constant)])
    return compare.Recommendation(trials, ends, 1000, 10_000, 300.0, 290.0, **changed)


def end(loss, *seeds):
    return [trial(LIMIT, seed, {}, relaxed=loss) for seed in seeds]


def test_every_estimator_meets_every_decoder_that_net1_can_have(found, net):
    pairs = set(zip(found.table["estimator"], found.table["decoder"], strict=True))
    every = decoders.possible(net)
    assert len(every) == 5
    everywhere = ("softmax", GUMBEL, "straight_through_gumbel", "direct_embedding")
    expected = {(name, decoder) for name in everywhere for decoder in every}
    assert pairs == expected | {("cross_entropy", "argmax")}
    assert found.missing == found.skipped == ()


@pytest.mark.parametrize("name", ["softmax", GUMBEL, "direct_embedding"])
@pytest.mark.parametrize("decoder", ["argmax", "search"])
def test_its_losses_are_those_of_the_same_net0_trained_by_hand(found, dataset, net, name, decoder):
    estimator, schedules = parse_spec(name)
    net0 = RowPredictor(dataset.signal.shape[1], net, head=estimator.head)
    options = {"schedules": schedules, "steps": STEPS, "batch": 64}
    fit_predictor(net0, net, dataset, estimator, **options).run()
    index = dataset.test[:ROWS]
    rows = decode(net0, dataset.signal[index], net, decoder=decoder, estimator=estimator)
    truth = SquaredDistance(net, rows.continuous, encode_rows(net, dataset.rows[index]))
    expected = truth(rows.codes)
    (losses,) = found.losses(name, decoder).values()
    torch.testing.assert_close(losses, expected, rtol=1e-3, atol=1e-4)
    table = found.table.set_index(["estimator", "decoder"])
    assert table.loc[(name, decoder), "loss"] == pytest.approx(expected.mean().item(), rel=1e-3)


def test_the_limit_is_a_net_that_outputs_net1s_output(found, dataset, net):
    fit = compare.fit_limit(net, dataset, steps=STEPS, batch=64)
    fit.run()
    index = dataset.test[:ROWS]
    apart = fit.modules["limit"](dataset.signal[index]) - encode_rows(net, dataset.rows[index])
    assert found.limit == pytest.approx(apart.square().sum(dim=1).mean().item(), rel=1e-3)
    longer = compare.fit_limit(net, dataset, steps=300, batch=64).run()
    assert longer[-1].loss < 0.5 * longer[0].loss


def test_the_ends_are_random_rows_predicted_for_all(found, dataset, net):
    outputs = encode_rows(net, dataset.rows[dataset.train])
    target = encode_rows(net, dataset.rows[dataset.test[:ROWS]])
    expected = torch.cdist(target, outputs).square().mean().item()
    assert found.random_row == pytest.approx(expected, rel=0.3)
    assert found.constant_row < found.random_row
    assert found.share(found.random_row) == 0
    assert found.share(found.limit) == 1


def test_a_softened_net_with_tables_and_no_first_layer_takes_embeddings(dataset):
    class Theirs(nn.Module):
        """Its numbers pass through a layer of their own."""

        def __init__(self):
            super().__init__()
            self.tables = nn.ModuleList(nn.Embedding(K, 2) for K in dataset.schema.cardinalities)
            self.numbers = nn.Linear(2, 8)
            self.body = nn.Sequential(nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3))

        def forward(self, q, x):
            found = [table(q[:, c]) for c, table in enumerate(self.tables)]
            return self.body(torch.cat([*found, self.numbers(x).tanh()], dim=1))

    theirs = tabkit.soften(tabkit.freeze(Theirs()), dataset.rows, dataset.schema)
    assert theirs.first_layer is None
    setting = Setting(theirs, dataset, None, 64, dataset.test[:ROWS])
    assert "direct_embedding" in set(recommending.usual(setting, None))
    found = tabkit.recommend(theirs, dataset, 2, **QUICK, estimators=["direct_embedding"])
    assert set(found.table["decoder"]) >= {"argmax", "table", "search"}


def test_a_net_without_tables_is_an_equal(dataset, bare, monkeypatch, unhurried):
    monkeypatch.setattr(recommending, "SEEDS", 2)
    found = tabkit.recommend(bare, dataset, 2, **QUICK)
    assert set(found.table["decoder"]) == {"argmax", "search", "restarts"}
    assert "direct_embedding" not in set(found.table["estimator"])
    assert set(found.table["seeds"]) == {2}
    assert found.sentences[0].startswith("Train through ")


def test_the_same_seed_gives_the_same_and_touches_nothing_global(found, dataset, net, unhurried):
    before = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    again = tabkit.recommend(net, dataset, 1, estimators=[GUMBEL], **QUICK)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    for decoder in decoders.possible(net):
        (one,), (other,) = (f.losses(GUMBEL, decoder).values() for f in (found, again))
        assert torch.equal(one, other)


def score_of(K, seed=0):
    """A linear price of categories, with what each costs beside what it would cost at best."""
    price = torch.randn(sum(K), generator=torch.Generator().manual_seed(seed))
    return lambda net1, batch: lambda simplex: simplex @ price


def test_by_an_objective_the_end_is_the_best_row_found(dataset, bare):
    K = dataset.schema.cardinalities
    found = tabkit.recommend(bare, dataset, 1, objective=score_of(K), **QUICK)
    price = score_of(K)(None, None)(torch.eye(sum(K)))
    best = sum(part.min() for part in price.split(list(K))).item()
    assert found.limit == pytest.approx(best, abs=1e-5)  # a search is exact where columns add up
    table = found.table.set_index(["estimator", "decoder"])
    assert table.loc[("softmax", "search"), "loss"] == pytest.approx(best, abs=1e-5)
    assert not {"cross_entropy", LIMIT} & {trial.estimator for trial in found.trials}
    assert "the best row that was found" in found.sentences[0]


def test_an_objective_that_reads_true_rows_is_decoded_without_them(dataset, bare):
    def near(net1, batch):
        return SquaredDistance(net1, batch.continuous, encode_rows(net1, batch.rows))

    options = {"estimators": ["softmax"], **QUICK}
    ours = tabkit.recommend(bare, dataset, 1, objective=near, **options)
    default = tabkit.recommend(bare, dataset, 1, **options)
    for decoder in ("argmax", "search"):
        (a,), (b,) = (f.losses("softmax", decoder).values() for f in (ours, default))
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


class Steps(Bare):
    """Answers by the largest share of each column: no gradient passes."""

    def forward(self, categorical, continuous):
        if categorical.is_floating_point():
            parts = categorical.split(list(self.cardinalities), 1)
            categorical = torch.stack([part.argmax(dim=1) for part in parts], dim=1)
        return super().forward(categorical, continuous)


class Flat(Bare):
    """Reads no category."""

    def forward(self, categorical, continuous):
        return super().forward(0 * categorical, continuous)


class Misleading(Bare):
    """The gradient points the other way: training through it finds the worst rows."""

    def forward(self, categorical, continuous):
        right = super().forward(categorical, continuous)
        return 2 * right.detach() - right


@pytest.mark.parametrize(("kind", "said"), [(Steps, "there is none"), (Flat, "it is zero")])
def test_without_a_gradient_only_what_needs_none_is_tried(dataset, kind, said):
    net1 = freeze(kind(dataset.schema.cardinalities, 2))
    found = tabkit.recommend(net1, dataset, 1, **QUICK)
    assert {t.estimator for t in found.trials} == {
        LIMIT,
        "leave_one_out:samples=4",
        "cross_entropy",
    }
    assert any(f"of no use: {said}" in sentence for sentence in found.sentences)


def test_a_gradient_that_is_not_finite_is_told(dataset):
    net1 = freeze(Bare(dataset.schema.cardinalities, 2))
    index = dataset.test[:ROWS]

    def steep(net1, batch):
        return lambda simplex: (simplex.amin(dim=1) * 0).sqrt()

    setting = Setting(net1, dataset, steep, 64, index)
    assert "not finite for 100%" in setting.gradient_problem()
    assert Setting(net1, dataset, None, 64, index).gradient_problem() is None


def test_a_gradient_that_misleads_calls_for_one_that_needs_none(dataset):
    net1 = freeze(Misleading(dataset.schema.cardinalities, 2))
    options = {"estimators": ["softmax"], **QUICK, "steps": 60}
    found = tabkit.recommend(net1, dataset, 1, **options)
    names = [t.estimator for t in found.trials]
    assert names == [LIMIT, "softmax", "leave_one_out:samples=4"]
    assert any("of no use here" in sentence for sentence in found.sentences)


def test_a_mixture_with_no_row_behind_it_is_told(dataset, bare):
    """The middle of every column is free, each row costs: the softmax finds what is no row."""

    def middle(net1, batch):
        def loss(simplex):
            parts = simplex.split(list(dataset.schema.cardinalities), 1)
            price = torch.arange(1.0, 1 + simplex.shape[1])
            spread = sum((p - 1 / p.shape[1]).square().sum(dim=1) for p in parts)
            return spread + 0.001 * simplex @ price

        return loss

    options = {"objective": middle, "estimators": ["softmax"], **QUICK}
    found = tabkit.recommend(bare, dataset, 1, **options)
    assert any(s.startswith("What softmax hands over has no row") for s in found.sentences)


def test_a_mixture_as_good_as_its_row_is_not_accused():
    good = made(*end(1.0, 0), trial("softmax", 0, {"search": 1.05, "argmax": 3.9}, relaxed=1.0))
    assert not any("no row behind" in s for s in good.sentences)
    unsearched = made(*end(1.0, 0), trial("softmax", 0, {"argmax": 3.9}, relaxed=1.0))
    assert not any("no row behind" in s for s in unsearched.sentences)
    bad = made(*end(1.0, 0), trial("softmax", 0, {"search": 1.4, "argmax": 3.9}, relaxed=1.0))
    assert any("it costs 1, the best row decoded from it (search) 1.4" in s for s in bad.sentences)


def test_an_interrupt_gives_what_there_is(dataset, bare, monkeypatch):
    whole, calls = Setting.trial, iter(range(99))

    def interrupted(self, *arguments, **options):
        if next(calls) == at:
            raise KeyboardInterrupt
        return whole(self, *arguments, **options)

    monkeypatch.setattr(Setting, "trial", interrupted)
    at = 2
    found = tabkit.recommend(bare, dataset, 1, **QUICK)
    assert [t.estimator for t in found.trials] == [LIMIT, "softmax"]
    assert found.interrupted
    assert "It was interrupted: this is what there was." in found.sentences
    assert any("did not reach gumbel_softmax" in s for s in found.sentences)
    at, calls = 1, iter(range(99))
    with pytest.raises(KeyboardInterrupt):
        tabkit.recommend(bare, dataset, 1, **QUICK)


@pytest.fixture
def timed(monkeypatch):
    """A clock that only trainings move: a step of each net takes 10 ms, decoding a row 1 ms."""
    now = [0.0]
    monkeypatch.setattr(recommending, "SEEDS", 10)
    monkeypatch.setattr(recommending.Clock, "spent", property(lambda self: now[0]))
    monkeypatch.setattr(recommending, "pilot", lambda *_: (0.01, {"argmax": 0.001}))

    def quick(self, name, drive, *, steps, seed):
        now[0] += 0.01 * steps * slower[0]
        if now[0] > 63:  # where `Clock.drive` stops it
            now[0] = 63
            raise TimeoutError
        return replace(trial(name, seed, {"argmax": 1.0}), seconds=0.01 * steps * slower[0])

    monkeypatch.setattr(Setting, "trial", quick)
    monkeypatch.setattr(Setting, "alone", lambda *_: made().ends)
    slower = [1.0]
    return now, slower


def test_steps_leave_room_for_three_seeds(timed, dataset, bare):
    """60 s, five nets of 10 ms a step; decoding 30 rows costs each 30 ms."""
    now, _ = timed
    found = tabkit.recommend(bare, dataset, 1, rows=30, progress=False)
    assert found.steps == int((0.85 * 60 / 3 - 5 * 0.03) / 0.05)
    assert {t.seed for t in found.trials} == {0, 1, 2, 3}
    assert 54 <= now[0] <= 63


@pytest.mark.parametrize("factor", [0.5, 1.3, 3.0])
def test_the_budget_holds_where_the_machine_is_slower_or_faster_than_it_was(
    timed, dataset, bare, factor
):
    now, slower = timed
    slower[0] = factor
    found = tabkit.recommend(bare, dataset, 1, rows=30, progress=False)
    assert 54 <= now[0] <= 66
    assert len(found.trials) >= 4


def test_a_second_seed_begins_with_those_that_lead(timed, dataset, bare, monkeypatch):
    order, losses = [], {"softmax": 3.0, "cross_entropy": 2.0}

    def quick(self, name, drive, *, steps, seed):
        order.append(name)
        found = trial(name, seed, {} if name == LIMIT else {"argmax": losses.get(name, 1.0)})
        return replace(found, seconds=1.0)

    monkeypatch.setattr(Setting, "trial", quick)
    monkeypatch.setattr(recommending, "SEEDS", 2)
    tabkit.recommend(bare, dataset, 1, progress=False)
    first, second = order[:5], order[5:]
    assert first == [LIMIT, "softmax", GUMBEL, "straight_through_gumbel", "cross_entropy"]
    assert second == [LIMIT, GUMBEL, "straight_through_gumbel", "cross_entropy", "softmax"]


def test_what_cannot_be_trained_is_told_and_the_others_go_on(dataset, bare, monkeypatch):
    whole = Setting.trial

    def breaking(self, name, *arguments, **options):
        if name in broken:
            raise FloatingPointError("step 3: the loss is nan")
        return whole(self, name, *arguments, **options)

    monkeypatch.setattr(Setting, "trial", breaking)
    broken, chosen = {"softmax"}, {"estimators": ["softmax", GUMBEL], **QUICK}
    found = tabkit.recommend(bare, dataset, 1, **chosen)
    assert found.best[0] == GUMBEL
    assert "softmax could not be trained: step 3: the loss is nan." in found.sentences
    assert found.missing == ()
    broken = {LIMIT, "softmax", GUMBEL, "leave_one_out:samples=4"}
    with pytest.raises(FloatingPointError, match="softmax: step 3"):
        tabkit.recommend(bare, dataset, 1, **chosen)


def test_what_still_trains_past_the_budget_is_abandoned(dataset, bare):
    clock = recommending.Clock(0.0, progress=False)
    fit = compare.fit_limit(bare, dataset, steps=50)
    with pytest.raises(TimeoutError, match="give more minutes"):
        clock.drive(fit, "limit")
    assert len(fit.records) == 1


def test_a_search_that_would_eat_the_budget_is_left_out(dataset, bare, monkeypatch):
    for slow in ({"search": 9.0, "restarts": 90.0}, {"restarts": 1.0}):
        pilot = (0.001, {"argmax": 0.0, "search": 0.0} | slow)
        monkeypatch.setattr(recommending, "pilot", lambda *_, found=pilot: found)
        found = tabkit.recommend(bare, dataset, 1, **QUICK)
        assert set(found.table["decoder"]) == {"argmax", "search"} - set(slow)
        for decoder in slow:
            assert any(s.startswith(f"{decoder} was left out") for s in found.sentences)


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ([0], {}, "minutes must be above 0"),
        ([math.nan], {}, "minutes must be above 0"),
        ([1], {"estimators": ["softmx"]}, "no estimator is called 'softmx'"),
        ([1], {"rows": 0}, "rows must be at least 1"),
        ([1], {"steps": 0}, "steps must be at least 1"),
        ([1e-4], {}, "give minutes="),
    ],
)
def test_what_cannot_be_is_refused_before_any_training(dataset, bare, arguments, options, said):
    with pytest.raises(ValueError, match=said):
        tabkit.recommend(bare, dataset, *arguments, progress=False, **options)


def test_a_net1_that_trains_or_is_of_other_columns_is_refused(dataset, bare):
    with pytest.raises(ValueError, match="freeze"):
        tabkit.recommend(bare.train(), dataset)
    with pytest.raises(ValueError, match="cardinalities"):
        tabkit.recommend(freeze(bare), planted(300, categorical=2, continuous=1))


def test_a_difference_is_paired_and_its_error_the_larger_of_two():
    rows = torch.randn(200, generator=torch.Generator().manual_seed(0))
    one = {0: rows, 1: 5 + rows, 2: rows}
    other = {0: rows + 1.0, 1: 5 + rows + 1.2, 3: rows}
    found = difference(one, other)
    assert found.mean == pytest.approx(1.1)
    assert found.error == pytest.approx(0.1, rel=1e-4)  # 0.2 / sqrt(2) / sqrt(2)
    assert (found.seeds, found.over, found.is_tie) == (2, "seeds", False)
    noisy = difference({0: rows}, {0: rows.flip(0) + 0.05})
    expected = (rows.flip(0) - rows).std() / math.sqrt(200)
    assert noisy.error == pytest.approx(expected.item(), rel=1e-4)
    assert (noisy.over, noisy.is_tie) == ("rows", True)
    assert difference({0: rows}, {0: rows}).is_tie


def test_ties_are_named_and_others_are_not():
    best = [trial("softmax", seed, {"search": 1.0 + 0.01 * seed}) for seed in (0, 1)]
    near = [trial("near", seed, {"argmax": 1.03 - 0.02 * seed}) for seed in (0, 1)]
    far = [trial("far", seed, {"argmax": 2.0}) for seed in (0, 1)]
    found = made(*end(0.5, 0, 1), *best, *near, *far)
    assert found.best == ("softmax", "search")
    assert found.ties == [("near", "argmax")]
    assert "It ties with near by argmax (+0.015" in found.sentences[1]
    assert "far" not in found.sentences[1]
    assert "86% of the way from a random row (4) to the limit (0.5)" in found.sentences[0]
    alone = made(*end(1.0, 0, 1), *best, *far)
    assert "Next comes far by argmax (+0.995" in alone.sentences[1]
    assert "over 2 seeds" in alone.sentences[1]
    once = made(*end(1.0, 0, 1), *best, far[0])  # only one seed is of both
    assert once.sentences[1].endswith("of the paired difference, over rows.")


def test_the_reference_is_not_advised_but_told():
    found = made(
        *end(1.0, 0),
        trial("softmax", 0, {"argmax": 2.0}),
        trial("cross_entropy", 0, {"argmax": 1.0}),
    )
    assert found.best == ("softmax", "argmax")
    (said,) = [s for s in found.sentences if s.startswith("For reference")]
    assert "better: with true rows to train on" in said
    assert found.table["estimator"].tolist() == ["cross_entropy", "softmax"]


def test_a_decoder_too_slow_for_the_rows_is_told():
    """10,000 rows of 40 ms are 400 s, more than the 300 that were given; of 20 ms, 200 s."""
    for each, told in ((0.04, True), (0.02, False)):
        found = made(*end(1.0, 0), trial("softmax", 0, {"search": 1.0}, decoding=each))
        assert any("search is too slow for all 10,000 rows" in s for s in found.sentences) == told
        assert found.table["seconds"].item() == pytest.approx(20_000 * each)
    quick = trial("near", 0, {"argmax": 1.5}, decoding=0.001)
    slow = trial("softmax", 0, {"search": 1.0}, decoding=0.04)
    worse = trial("far", 0, {"search": 1.2}, decoding=0.01)  # not where search serves best
    said = str(made(*end(1.0, 0), slow, quick, worse))
    assert "about 6.7 minutes, more than the 5 that you gave" in said
    assert "Of what is quick enough, the best is far by search: 1.2." in said


def test_what_more_time_would_settle_is_told():
    pair = {"a": (1.0, 1.2, 1.1), "b": (1.3, 1.1, 1.25)}  # differences 0.3, -0.1, 0.15
    many = [
        trial(n, s, {"argmax": loss}) for n, every in pair.items() for s, loss in enumerate(every)
    ]
    found = made(*end(0.9, 0, 1, 2), *many)
    apart = np.array([0.3, -0.1, 0.15])
    seeds = math.ceil((2 * apart.std(ddof=1) / apart.mean()) ** 2)
    assert any(f"About {seeds} seeds of the two" in s for s in found.sentences)
    even = {
        "a": (1.0, 1.2, 1.1),
        "b": (1.2, 1.0, 1.1),
    }  # of the same mean: no number of seeds would
    equal = [
        trial(n, s, {"argmax": loss}) for n, every in even.items() for s, loss in enumerate(every)
    ]
    assert any("would take over" in s for s in made(*end(0.9, 0, 1, 2), *equal).sentences)
    one = made(*end(0.9, 0), *[t for t in many if t.seed == 1], trial("c", 1, {"argmax": 1.1}))
    assert any("a second seed" in s for s in one.sentences)
    assert not any("steps; minutes=" in s for s in found.sentences)
    short = by_hand(found, steps=400)
    assert any("minutes=12.5 would give 1,000" in s for s in short.sentences)


def test_no_better_means_no_better_than_the_best_constant_row():
    worse, better = trial("softmax", 0, {"argmax": 3.2}), trial("softmax", 0, {"argmax": 2.0})
    reference = trial("cross_entropy", 0, {"argmax": 0.0})
    ends = made(worse).ends
    assert no_better([worse, reference], ends)
    assert not no_better([worse, better], ends)
    assert not no_better([reference], ends)


def test_evaluations_are_counted_exactly_where_nothing_is_folded(dataset, bare):
    asked = []

    def watched(net1, batch):
        def loss(simplex):
            asked.append(len(simplex))
            return SquaredDistance(
                net1, batch.continuous, batch.continuous.new_zeros(len(simplex), 3)
            )(simplex)

        return loss

    setting = Setting(bare, dataset, watched, 64, dataset.test[:ROWS])
    net0 = RowPredictor(dataset.signal.shape[1], bare)
    options = {"objective": setting.lowered}
    handed = decoders.handed_over(net0, dataset.signal[:ROWS], bare, **options)
    for name in ("search", "restarts"):
        asked.clear()
        found, evaluations = setting._decode(name, handed)
        assert sum(asked) == pytest.approx(evaluations * ROWS)
        assert torch.equal(found.codes, decoders.decoder_of(name)(handed).codes)
    assert setting._decode("argmax", handed)[1] == 0


def test_it_prints_and_draws_all_that_it_has(found):
    for text in (str(found), found._repr_html_()):
        assert "cross_entropy" in text
        assert found.sentences[0].split(",")[0] in text
    picture = plots.recommendation(found)
    (ax,) = picture.figure.axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == list(dict.fromkeys(found.table["estimator"]))[::-1]
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert set(lines["the limit"].get_xdata()) == {found.limit}
    assert set(lines["a random training row"].get_xdata()) == {found.random_row}
    for r in found.table.itertuples():
        assert f"{r.estimator} by {r.decoder} {r.loss:.3g}" in picture.alt


def test_it_is_there_without_loading_what_it_needs():
    assert tabkit.recommend is compare.recommend
    assert "recommend" in tabkit.__all__
