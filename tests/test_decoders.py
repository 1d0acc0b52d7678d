"""What net0 hands over becomes a hard row: by name, within what is allowed, never worse."""

import itertools
from dataclasses import replace
from importlib import import_module

import pytest
import torch

from tabkit import (
    DataError,
    RowEncoder,
    RowPredictor,
    SquaredDistance,
    compare,
    decode,
    decoders,
    estimators,
    fit_encoder,
    freeze,
    inspection,
    planted,
)
from tabkit.fast.exchanges import BACKWARD, SHORTLIST
from tabkit.nets import encode_rows
from tabkit.objective import Objective
from tabkit.simplex import argmax_codes, one_hot

restarting = import_module("tabkit.decoders.restarts")


@pytest.fixture(scope="module")
def wide():
    """Planted rows with many categories, behind a net1 that was trained a little."""
    data = planted(1_500, categorical=6, continuous=2, cardinality=(5, 16))
    net1 = RowEncoder(data.schema, Z=3, width=32, D=3, embedding_std=None)
    fit_encoder(net1, data, steps=150, batch=64).run()
    return data, freeze(net1)


def untrained(net1, data, head="logits"):
    return RowPredictor(data.signal.shape[1], net1, head=head, width=16)


def loss_by(decoder, net0, net1, signal, **options):
    """Per row, of what a decoder finds: its distance from net1's output for what is handed over."""
    handed = decoders.handed_over(net0, signal, net1, **options)
    rows = decoders.decoder_of(decoder)(handed)
    return SquaredDistance(net1, rows.continuous, handed.output)(rows.codes)


@pytest.mark.parametrize("name", ["softmax", "straight_through_gumbel", "direct_embedding"])
def test_the_search_is_never_worse_than_where_it_starts_and_mostly_better(wide, name):
    data, net1 = wide
    estimator = estimators.make(name)
    net0 = untrained(net1, data, estimator.head)
    losses = {
        decoder: loss_by(decoder, net0, net1, data.signal[data.test], estimator=estimator)
        for decoder in decoders.names()
    }
    assert (losses["search"] <= losses["first_layer"] + 1e-5).all()
    assert (losses["restarts"] <= losses["search"] + 1e-5).all()
    if name == "straight_through_gumbel":  # a sampled row is handed over: it is found again
        torch.testing.assert_close(losses["search"], torch.zeros_like(losses["search"]))
        torch.testing.assert_close(losses["table"], torch.zeros_like(losses["table"]))
        return
    for worse in ("first_layer", "table", "argmax"):
        assert losses["search"].mean() < 0.9 * losses[worse].mean()
    assert losses["restarts"].mean() < 0.9 * losses["search"].mean()


def test_restarts_search_from_rows_that_the_mixture_allows_and_move_the_numbers_that_are_free(wide):
    data, net1 = wide
    net0, signal = untrained(net1, data), data.signal[data.test]
    net0.fix(torch.tensor([0.5, torch.inf]))
    options = {"estimator": "softmax", "decoder": "restarts"}
    found, searched = (
        decode(net0, signal, net1, **options | {"decoder": d}) for d in ("restarts", "search")
    )
    assert (found.continuous[:, 0] == 0.5).all()  # given in training
    moved = (found.continuous[:, 1] - searched.continuous[:, 1]).abs()
    assert moved.max() > 0.05
    given = data.schema.fix({data.schema.continuous[1].name: 0.0})
    held = decode(net0, signal, net1, **options, fixed=given)  # and when they are decoded
    assert held.continuous.unique(dim=0).shape == (1, 2)
    sharp = 50 * one_hot(searched.codes, net1.cardinalities)
    point = restarting.softmax(sharp, net1.cardinalities)
    quantiles = torch.full((len(net1.cardinalities),), 0.99)
    assert torch.equal(restarting.drawn(point, net1.cardinalities, quantiles), searched.codes)


@pytest.mark.parametrize("tables", [True, False])
def test_a_row_that_is_handed_over_is_decoded_as_itself_whatever_else_is_in_the_batch(
    tables, wide, bare, dataset
):
    data, net1 = wide if tables else (dataset, bare)
    net0, signal = untrained(net1, data), data.signal[data.test[:40]]
    mixed = decoders.handed_over(net0, signal, net1, estimator="softmax")
    rows = decoders.handed_over(net0, signal, net1, estimator="straight_through_sample", seed=1)
    assert rows.hard.all() and not mixed.hard.any()
    first = torch.arange(40) < 20
    both = replace(mixed, simplex=torch.where(first[:, None], rows.simplex, mixed.simplex))
    assert torch.equal(both.hard, first)
    drawn = argmax_codes(rows.simplex, net1.cardinalities)
    assert (drawn != argmax_codes(rows.logits, net1.cardinalities)).any()
    for name in ("search", "restarts"):
        found = decoders.decoder_of(name)(both)
        assert torch.equal(found.codes[:20], drawn[:20])
        assert torch.equal(found.codes[20:], decoders.decoder_of(name)(mixed).codes[20:])
        assert torch.equal(decoders.decoder_of(name)(rows).codes, drawn)


def test_restarts_of_all_starts_at_once_are_the_same(wide, monkeypatch):
    """As on a GPU; and where the objective cannot be parted, one after the other."""
    data, net1 = wide
    net0, signal = untrained(net1, data), data.signal[data.test[:60]]
    for options in ({}, {"objective": lambda net1, batch: lambda x: x.square().sum(1)}):
        expected = decode(net0, signal, net1, decoder="restarts", **options)
        with monkeypatch.context() as patch:
            patch.setattr(restarting, "is_gpu", lambda device: True)
            found = decode(net0, signal, net1, decoder="restarts", **options)
        assert found == expected


def test_restarts_leave_the_gradients_of_a_net_that_still_trains(dataset):
    net1 = RowEncoder(dataset.schema, Z=3, width=16, depth=1, D=4, embedding_std=None)
    decode(untrained(net1, dataset), dataset.signal[:20], net1, decoder="restarts")
    assert all(weight.grad is None for weight in net1.parameters())


def test_restarts_draw_no_category_without_a_share(dataset):
    K, draws = dataset.schema.cardinalities, torch.Generator().manual_seed(0)
    point = torch.rand(500, sum(K), generator=draws)
    point = point * (torch.rand(point.shape, generator=draws) < 0.5)
    for block in point.split(K, dim=1):
        block[block.sum(dim=1) == 0, -1] = 1.0
    for quantile in (0.0, 0.3, 1 - 1e-7):
        codes = restarting.drawn(point, K, torch.full((len(K),), quantile))
        assert (point.gather(1, codes + torch.tensor([0, *K[:-1]]).cumsum(0)) > 0).all()


def test_restarts_with_an_objective_of_ones_own_leave_the_numbers(net1, dataset):
    net0, signal, C = untrained(net1, dataset), dataset.signal[:30], dataset.schema.cardinalities
    costs = torch.rand(sum(C), generator=torch.Generator().manual_seed(0))
    options = {"objective": lambda net1, batch: lambda simplex: simplex @ costs}
    found = decode(net0, signal, net1, decoder="restarts", **options)
    torch.testing.assert_close(found.continuous, net0(signal)[1].detach())
    best = torch.stack([block.argmin() for block in costs.split(C)])
    assert (found.codes == best).all()


def test_a_shortlist_ends_within_a_fifth_of_a_percent_of_all_exchanges(wide):
    data, net1 = wide
    rows, others = data.rows[data.test[:100]], data.rows[data.train[:100]]
    distance = SquaredDistance(net1, rows.continuous, encode_rows(net1, others))
    C = net1.cardinalities
    assert sum(C) > BACKWARD * 3 + SHORTLIST  # so that there is one
    by_few = decoders.local_search(rows.codes, distance, C)
    by_all = decoders.local_search(rows.codes, Objective(distance.__call__), C)
    for codes, loss in (by_few, by_all):
        torch.testing.assert_close(distance(codes), loss, rtol=1e-4, atol=1e-5)
    assert by_few[1].mean() < 1.002 * by_all[1].mean()
    assert by_all[1].mean() < 0.2 * distance(rows.codes).mean()


SCORED = {  # what rows cost, and what is lowered from the argmax by one exchange after another
    "separable": lambda s: s @ torch.arange(float(s.shape[1])).sin(),
    "of two columns": lambda s: -(s[:, 1] * s[:, 5] + 2 * s[:, 0] * s[:, 4]) + s[:, -1],
}


@pytest.mark.parametrize("name", SCORED)
def test_a_given_score_is_lowered_to_the_best_of_all_rows(net1, dataset, name):
    """All rows of the table are tried; the second score needs two columns to move together."""
    net0, signal = untrained(net1, dataset), dataset.signal[:30]
    cost, C = SCORED[name], dataset.schema.cardinalities
    every = torch.tensor(list(itertools.product(*map(range, C))))
    best = cost(one_hot(every, C)).min()
    found = decode(net0, signal, net1, decoder="search", objective=lambda net1, batch: cost)
    losses = cost(one_hot(found.codes, C))
    start = cost(one_hot(decode(net0, signal, net1).codes, C))
    assert (losses <= start).all()
    if name == "separable":
        torch.testing.assert_close(losses, best.expand(30))
    else:  # from some rows one exchange alone does not help
        assert losses.min() == best


class Masked(torch.nn.Module):
    """A net0 of one's own that rules out another category in each row: minus infinity."""

    def __init__(self, net0, ruled_out):
        super().__init__()
        self.net0, self.ruled_out = net0, ruled_out

    def forward(self, signal):
        logits, continuous = self.net0(signal)
        return logits.masked_fill(self.ruled_out, -torch.inf), continuous


@pytest.mark.parametrize("decoder", decoders.names())
def test_what_a_rows_own_mask_rules_out_is_not_decoded(net1, dataset, decoder):
    net0, signal = untrained(net1, dataset), dataset.signal[:40]
    C = dataset.schema.cardinalities
    free = decode(net0, signal, net1, decoder=decoder)
    ruled_out = one_hot(free.codes, C) > 0  # in each row the very ones that would be decoded
    found = decode(Masked(net0, ruled_out), signal, net1, decoder=decoder, estimator="softmax")
    assert not (one_hot(found.codes, C)[ruled_out] > 0).any()


@pytest.mark.parametrize("head", ["logits", "embedding"])
@pytest.mark.parametrize("decoder", decoders.names())
def test_only_what_is_allowed_is_decoded_from_either_head(net1, dataset, decoder, head):
    """Here one category of each column: there is no choice, also for an objective that hates it."""
    net0, signal, C = (
        untrained(net1, dataset, head),
        dataset.signal[:10],
        dataset.schema.cardinalities,
    )
    only = torch.tensor([[K - 1 for K in C]])
    allowed = one_hot(only, C)[0] > 0
    options = {"decoder": decoder, "allowed": allowed}
    assert (decode(net0, signal, net1, **options).codes == only).all()
    hated = lambda net1, batch: lambda simplex: simplex @ allowed.float()  # noqa: E731
    assert (decode(net0, signal, net1, objective=hated, **options).codes == only).all()


@pytest.mark.parametrize("head", ["logits", "embedding"])
@pytest.mark.parametrize("decoder", decoders.names())
def test_a_column_that_allows_nothing_is_told(net1, dataset, decoder, head):
    net0, allowed = (
        untrained(net1, dataset, head),
        torch.ones(dataset.schema.width, dtype=torch.bool),
    )
    allowed[: dataset.schema.cardinalities[0]] = False
    with pytest.raises(ValueError, match="no allowed category"):
        decode(net0, dataset.signal[:3], net1, decoder=decoder, allowed=allowed)


def test_a_decoder_of_no_name_is_refused_with_the_names(net1, dataset):
    with pytest.raises(ValueError, match=r"'nearest'.*argmax, table, first_layer, search"):
        decode(untrained(net1, dataset), dataset.signal[:3], net1, decoder="nearest")


@pytest.mark.parametrize("head", ["logits", "embedding"])
@pytest.mark.parametrize("decoder", decoders.names())
def test_rows_are_decoded_in_batches_as_at_once(net1, dataset, decoder, head):
    net0 = untrained(net1, dataset, head)
    whole, parts = (
        decode(net0, dataset.signal[:50], net1, decoder=decoder, batch=b) for b in (10_000, 7)
    )
    assert torch.equal(parts.codes, whole.codes)
    torch.testing.assert_close(parts.continuous, whole.continuous)
    assert not whole.continuous.requires_grad


def test_of_what_samples_one_draw_is_decoded_that_of_the_seed(net1, dataset):
    net0, C = untrained(net1, dataset), dataset.schema.cardinalities
    options = {"decoder": "table", "estimator": "straight_through_gumbel"}
    first, again, other = (
        decode(net0, dataset.signal, net1, seed=s, **options).codes for s in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    handed = decoders.handed_over(net0, dataset.signal, net1, estimator=options["estimator"])
    assert torch.equal(argmax_codes(handed.simplex, C), first)


@pytest.fixture
def objective(dataset, net1):
    rows, other = dataset.rows[dataset.test[:20]], dataset.rows[dataset.train[:20]]
    return SquaredDistance(net1, rows.continuous, encode_rows(net1, other))


def neighbours(codes, cardinalities):
    """Every row that differs from one row in one category."""
    for c, width in enumerate(cardinalities):
        for k in range(width):
            other = codes.clone()
            other[c] = k
            yield other


def test_the_search_ends_where_no_neighbour_is_better(dataset, objective):
    cardinalities = dataset.schema.cardinalities
    start = dataset.rows.codes[dataset.test[:20]]
    found, loss = decoders.local_search(start, objective, cardinalities)
    torch.testing.assert_close(loss, objective(found))
    assert (loss <= objective(start) + 1e-6).all()
    assert (loss < objective(start) - 1e-3).any()
    for row in range(20):
        around = torch.stack(list(neighbours(found[row], cardinalities)))
        one = objective.at(torch.full((len(around),), row))
        assert (one(around) >= loss[row] - 1e-5).all()


def test_the_search_finds_the_optimum_of_a_separable_loss(dataset, generator):
    cardinalities = dataset.schema.cardinalities
    weights = torch.randn(sum(cardinalities), generator=generator)
    start = dataset.rows.codes[:50]
    _, loss = decoders.local_search(start, lambda simplex: simplex @ weights, cardinalities)
    best = sum(block.min() for block in weights.split(cardinalities))
    torch.testing.assert_close(loss, best.expand(50))


def test_leaving_out_rows_that_have_arrived_changes_nothing(dataset, objective):
    cardinalities, start = dataset.schema.cardinalities, dataset.rows.codes[:20]
    a = decoders.local_search(start, objective, cardinalities)
    b = decoders.local_search(start, Objective(objective.__call__), cardinalities)
    assert torch.equal(a[0], b[0])


def test_the_search_takes_only_what_is_allowed(dataset, objective):
    """With all but the row's own categories and one more forbidden, only that one may come in."""
    cardinalities, start = dataset.schema.cardinalities, dataset.rows.codes[:20]
    allowed = one_hot(start, cardinalities).bool()
    kept, loss = decoders.local_search(start, objective, cardinalities, allowed=allowed)
    assert torch.equal(kept, start)
    allowed[:, 0] = True
    found, better = decoders.local_search(start, objective, cardinalities, allowed=allowed)
    assert torch.equal(found[:, 1:], start[:, 1:])
    assert ((found[:, 0] == start[:, 0]) | (found[:, 0] == 0)).all()
    assert (found[:, 0] != start[:, 0]).any()
    assert (better <= loss).all()


def test_the_objective_gets_simplexes_of_the_wanted_type(dataset, objective):
    seen = []

    def typed(simplex):
        seen.append(simplex.dtype)
        return simplex.sum(dim=1)

    cardinalities, start = dataset.schema.cardinalities, dataset.rows.codes[:5]
    decoders.local_search(start, typed, cardinalities, dtype=torch.float64)
    assert set(seen) == {torch.float64}
    with pytest.raises(ValueError, match=r"of shape \(5,\)"):
        decoders.local_search(start, lambda simplex: simplex.sum(), cardinalities)


def test_no_round_leaves_the_rows_as_they_are(dataset, objective):
    start = dataset.rows.codes[:20]
    found, loss = decoders.local_search(start, objective, dataset.schema.cardinalities, rounds=0)
    assert torch.equal(found, start)
    torch.testing.assert_close(loss, objective(start))


@pytest.mark.parametrize(
    "name", ["softmax", "straight_through_argmax", "direct_embedding", "rotation_trick"]
)
def test_decoders_stand_in_their_order(name, net1, dataset):
    estimator = estimators.make(name)
    net0 = RowPredictor(dataset.signal.shape[1], net1, head=estimator.head, width=16)
    found = compare.by_decoder(net0, net1, dataset, estimator, rows=40)
    assert found["decode_best"] < found["decode_argmax"]
    rows = decode(net0, dataset.signal[dataset.test[:40]], net1)
    target = encode_rows(net1, dataset.rows[dataset.test[:40]])
    by_hand = SquaredDistance(net1, rows.continuous, target)(rows.codes).mean().item()
    assert found["decode_argmax"] == pytest.approx(by_hand, rel=1e-5)
    if name != "softmax":  # a hard row is nearest to itself; an embedding is decoded by snapping
        assert found["decode_table"] == pytest.approx(by_hand, rel=1e-5)
    handed = inspection.landing(net0, net1, dataset, estimator, dataset.test[:40])
    seen = zip(handed.points(first_layer=True), handed.tables(first_layer=True), strict=True)
    codes = torch.stack([torch.cdist(p, t).argmin(dim=1) for p, t in seen], dim=1)
    snapped = SquaredDistance(net1, rows.continuous, target)(codes).mean().item()
    assert found["decode_first_layer"] == pytest.approx(snapped, rel=1e-5)
    assert found["decode_best"] < found["decode_first_layer"]
    if name in ("straight_through_argmax", "rotation_trick"):
        assert found["decode_first_layer"] == pytest.approx(by_hand, rel=1e-5)
        assert found["decode_search"] == pytest.approx(by_hand, rel=1e-5)
    else:
        assert found["decode_first_layer"] != pytest.approx(by_hand, rel=1e-5)


class Says(torch.nn.Module):
    """A net0 that says what it was told to."""

    def __init__(self, *said, head="logits"):
        super().__init__()
        self.said, self.head = said, head

    def forward(self, signal):
        return self.said


def said(dataset, rows=3):
    return torch.zeros(rows, dataset.schema.width), torch.zeros(rows, 2)


@pytest.mark.parametrize("decoder", decoders.names())
def test_a_signal_that_is_none_is_refused_before_any_work(net1, dataset, decoder):
    asked, net0 = [], untrained(net1, dataset)
    net0.register_forward_hook(lambda *_: asked.append(1))
    signal = dataset.signal[:9].clone()
    wide = signal.double()
    signal[8, 1], wide[8, 1] = torch.nan, 1e300  # a number, but none of net1's type
    for wrong, told in ((signal, "column '1', row 8, value nan"), (wide, "value inf: the signal")):
        with pytest.raises(DataError, match=told):
            decode(net0, wrong, net1, decoder=decoder, batch=4)
    for wrong in (signal.long(), dataset.frame(), None):
        with pytest.raises(TypeError):
            decode(net0, wrong, net1, decoder=decoder)
    assert not asked
    with pytest.raises(ValueError, match="wide, but net0 takes"):
        decode(net0, dataset.signal[:9, 1:], net1, decoder=decoder)


@pytest.mark.parametrize("decoder", decoders.names())
def test_what_net0_says_is_checked_whoever_decodes(net1, dataset, decoder):
    logits, numbers = said(dataset)
    bad, off = logits.clone(), numbers.clone()
    bad[1, 2], off[2, 0] = torch.nan, torch.inf
    for output, told in (
        ((logits,), "must return two tensors"),
        ((logits.long(), numbers), "must return floats, not torch.int64"),
        ((logits[:, 1:], numbers), "columns ask for"),
        ((logits, numbers[:, 1:]), "columns ask for"),
        ((bad, numbers), "NaN or plus infinity, in row 1, column 0"),
        ((logits, off), "a number that net0 predicts is not finite"),
    ):
        with pytest.raises((ValueError, TypeError), match=told):
            decode(Says(*output), dataset.signal[:3], net1, decoder=decoder)


def test_masks_fixed_values_and_batches_that_are_none_are_refused(net1, dataset):
    net0, every = untrained(net1, dataset), torch.ones(dataset.schema.width, dtype=torch.bool)
    given = net0, dataset.signal[:3], net1
    with pytest.raises(ValueError, match="allowed has the shape"):
        decode(*given, allowed=every[1:])
    for options in ({"allowed": every.long()}, {"fixed": {"a": 1}}):
        with pytest.raises(TypeError):
            decode(*given, **options)
    nothing = dataset.schema.fix({})
    with pytest.raises(ValueError, match="NaN"):
        decode(*given, fixed=replace(nothing, numbers=torch.full((2,), torch.nan)))
    hidden, (logits, numbers) = every.clone(), said(dataset)
    hidden[0], logits[1, 0] = False, torch.nan  # which a mask does not make a number
    with pytest.raises(ValueError, match="NaN or plus infinity, in row 1"):
        decode(Says(logits, numbers), dataset.signal[:3], net1, allowed=hidden)
    with pytest.raises(ValueError, match="batch must be at least 1"):
        decode(*given, batch=0)


@pytest.mark.parametrize("head", ["logits", "embedding"])
@pytest.mark.parametrize("decoder", decoders.names())
def test_no_rows_are_decoded_as_no_rows(net1, dataset, decoder, head):
    found = decode(untrained(net1, dataset, head), dataset.signal[:0], net1, decoder=decoder)
    assert found.codes.shape == (0, len(dataset.schema.categorical))


@pytest.mark.parametrize("decoder", decoders.names())
def test_an_embedding_so_far_that_its_distances_overflow_keeps_to_what_is_allowed(
    net1, dataset, decoder
):
    K, rows = dataset.schema.cardinalities, 3
    only = one_hot(torch.tensor([[k - 1 for k in K]]), K)[0] > 0
    far = torch.full((rows, net1.embedding.out_features), 1e30)
    net0 = Says(far, torch.zeros(rows, 2), head="embedding")
    found = decode(net0, dataset.signal[:rows], net1, decoder=decoder, allowed=only)
    assert (one_hot(found.codes, K)[:, ~only] == 0).all()


@pytest.mark.parametrize("decoder", decoders.names())
def test_a_net1_of_half_floats_decodes(dataset, decoder):
    net1 = freeze(RowEncoder(dataset.schema, Z=3, width=8, D=4).to(torch.bfloat16))
    found = decode(untrained(net1, dataset), dataset.signal[:3], net1, decoder=decoder)
    assert found.continuous.dtype == torch.bfloat16
