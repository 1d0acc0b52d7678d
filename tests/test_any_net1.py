"""Any net1 is an equal: the same function in other clothes gives what `RowEncoder` gives.

What a net lacks (tables, a first layer) is named in a sentence where it is needed.
"""

import math
import re
from functools import cache

import pytest
import torch
from torch import nn

import tabkit
from tabkit import (
    RowEncoder,
    RowPredictor,
    Rows,
    SoftEmbedding,
    SquaredDistance,
    compare,
    decoders,
    estimators,
    fit_encoder,
    fit_jointly,
    fit_predictor,
    freeze,
    inspection,
    ruler,
    soften,
    widgets,
)
from tabkit.nets import FoldedEncoder, encode_rows, folded

NEEDS = {"table": "net1.embedding", "first_layer": "net1.(embedding|first_layer)"}
ABLE = {
    "one_hot": (),
    "function": (),
    "other_kinds": (),
    "tables": ("table",),
    "shown": ("table", "first_layer"),
    "softened": ("table", "first_layer"),
    "softened_one_hot": (),
}
SHOWS = ("shown", "softened")
KINDS = list(ABLE)


class OneHot(nn.Module):
    """One-hot inside: no table, no first layer, nothing but its call and its sizes."""

    def __init__(self, cardinalities, first, rest):
        super().__init__()
        self.cardinalities = cardinalities
        self.continuous_features = first.in_features - sum(cardinalities)
        self.first, self.rest = first, rest

    def forward(self, categorical, continuous):
        if not categorical.is_floating_point():
            columns = zip(categorical.T, self.cardinalities, strict=True)
            hot = [nn.functional.one_hot(codes, K) for codes, K in columns]
            categorical = torch.cat(hot, dim=1).to(continuous.dtype)
        return self.rest(self.first(torch.cat([categorical, continuous], dim=1)))


class OtherKinds(OneHot):
    """As many call their own parts: other kinds of things under the names that tabkit asks for."""

    def __init__(self, *parts):
        super().__init__(*parts)
        self.embedding = nn.ModuleList(nn.Embedding(K, 2) for K in self.cardinalities)
        self.first_layer = nn.Identity()


class Tables(nn.Module):
    """Their tables, wrapped as the README says, and their body; the sizes are the tables'."""

    def __init__(self, tables, body):
        super().__init__()
        self.embedding = SoftEmbedding.from_embeddings(tables)
        self.body, self.continuous_features = body, 2

    def forward(self, categorical, continuous):
        return self.body(torch.cat([self.embedding(categorical), continuous], dim=1))


class Shown(Tables):
    """The same, which shows what stands where."""

    @property
    def first_layer(self):
        return self.body[0]

    def behind(self, hidden):
        return self.body[1:](hidden)


class Codes(nn.Module):
    """Takes integer codes, and nothing else."""

    def __init__(self, tables, body):
        super().__init__()
        self.tables, self.body = nn.ModuleList(tables), body

    def forward(self, x, *codes):
        found = [table(column) for table, column in zip(self.tables, codes, strict=True)]
        return self.body(torch.cat([*found, x], dim=1))


class HotCodes(nn.Module):
    """The same, which makes one-hots of them."""

    def __init__(self, cardinalities, body):
        super().__init__()
        self.cardinalities, self.body = cardinalities, body

    def forward(self, x, *codes):
        columns = zip(codes, self.cardinalities, strict=True)
        hot = [nn.functional.one_hot(column, K) for column, K in columns]
        return self.body(torch.cat([torch.cat(hot, dim=1).to(x), x], dim=1))


def softened(net, cardinalities):
    """What takes codes only, made a net1."""
    codes = torch.stack([torch.arange(60) % K for K in cardinalities], dim=1)
    rows = Rows(codes, torch.randn(60, 2, generator=torch.Generator().manual_seed(0)))
    return soften(freeze(net), rows, cardinalities, lambda net, codes, x: net(x, *codes.T))


def product_layer(net1):
    """Tables and first layer as one layer from one-hots and numbers."""
    tables, layer = net1.embedding.weights, net1.first_layer
    parts = layer.weight.detach().split([*net1.embedding.widths, 2], dim=1)
    whole = torch.cat([*(A @ W.T for A, W in zip(parts, tables, strict=False)), parts[-1]], dim=1)
    found = nn.Linear(whole.shape[1], whole.shape[0], dtype=whole.dtype)
    found.weight.data, found.bias.data = whole.detach().clone(), layer.bias.detach().clone()
    return found


def as_function(module):
    """A plain function, which knows its sizes."""

    def net1(categorical, continuous):
        return module(categorical, continuous)

    net1.cardinalities, net1.continuous_features = module.cardinalities, 2
    return net1


def clothed(kind, net1):
    """net1's function as a net of another kind; it trains where net1 does."""
    if kind == "softened":
        return softened(Codes(net1.embedding.tables, net1.mlp), net1.cardinalities)
    if kind == "softened_one_hot":
        body = nn.Sequential(product_layer(net1), *net1.mlp[1:])
        return softened(HotCodes(net1.cardinalities, body), net1.cardinalities)
    if kind in ("tables", "shown"):
        net = {"tables": Tables, "shown": Shown}[kind](net1.embedding.tables, net1.mlp)
    else:
        cls = OtherKinds if kind == "other_kinds" else OneHot
        net = cls(net1.cardinalities, product_layer(net1), net1.mlp[1:])
    net = net if net1.training else freeze(net)
    return as_function(net) if kind == "function" else net


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def net1(dataset):
    """That of `conftest`, for all: nothing here changes what is frozen."""
    return freeze(RowEncoder(dataset.schema, Z=3, width=16, depth=1, D=4, embedding_std=None))


@pytest.fixture(scope="module")
def wardrobe(net1):
    """net1 by kind, each made once: to soften a net takes a third of a second."""
    return cache(lambda kind: clothed(kind, net1))


@pytest.fixture
def theirs(kind, wardrobe):
    return wardrobe(kind)


@pytest.fixture
def net0(dataset, net1):
    found = RowPredictor(dataset.signal.shape[1], net1, width=16)
    with torch.no_grad():
        found.mlp[-1].weight *= 4  # so that rows differ
    return found


def predictor(dataset, net1, name="softmax"):
    head = estimators.make(name).head
    return RowPredictor(dataset.signal.shape[1], net1, head=head, width=16)


def objective_of(net1, dataset, index):
    rows = dataset.rows[index]
    return SquaredDistance(net1, rows.continuous.roll(1, 0), encode_rows(net1, rows), rows.codes)


def close(ours, other, rtol=1e-3, atol=1e-4, kind="net1"):
    torch.testing.assert_close(
        ours, other, rtol=rtol, atol=atol, msg=lambda found: f"{kind}: {found}"
    )


def test_the_clothes_do_not_change_the_function(theirs, net1, dataset):
    rows = dataset.rows[:50]
    close(theirs(rows.codes, rows.continuous), net1(rows.codes, rows.continuous))
    assert isinstance(folded(theirs), FoldedEncoder) == (
        theirs.first_layer is not None if hasattr(theirs, "why_not") else isinstance(theirs, Shown)
    )


FEW = ["softmax", "straight_through_gumbel", "indecater", "cross_entropy", "direct_embedding"]
EVERY = [n for n in estimators.names() if n != "exact"]  # which is slow, and is in the ruler's test
MAIN = ["one_hot", "shown", "softened"]  # who meet every estimator


@pytest.mark.parametrize("name", EVERY)
def test_net0_learns_behind_each_as_behind_a_row_encoder(net1, wardrobe, dataset, name):
    """The losses step by step; an estimator that needs more says what."""

    def losses(net1):
        net0, estimator = predictor(dataset, net1, name), estimators.make(name)
        fit = fit_predictor(
            net0, net1, dataset, estimator, steps=4, batch=32, decode_every=2, lr=1e-3
        )
        steps = fit.run()
        return torch.tensor([[s.loss, s.decoded or 0.0] for s in steps])

    own = losses(net1)
    for kind in KINDS if name in FEW else MAIN:
        theirs = wardrobe(kind)
        if estimators.make(name).head == "embedding" and kind not in SHOWS:
            missing = "net1.first_layer" if kind == "tables" else "net1.embedding"
            with pytest.raises(TypeError, match=missing):
                losses(theirs)
        else:
            close(losses(theirs), own, rtol=0.02, atol=1e-3, kind=kind)


def trainable(kind, dataset):
    return clothed(
        kind, RowEncoder(dataset.schema, Z=3, width=16, depth=1, D=4, embedding_std=None)
    )


def test_it_trains_as_a_siamese_net_and_together_with_net0(kind, dataset):
    if kind == "function" or kind.startswith("softened"):
        net1 = trainable(kind, dataset)
        assert freeze(net1) is net1
        with pytest.raises(ValueError, match="net1 is frozen, or a function"):
            fit_encoder(net1, dataset)
        with pytest.raises(ValueError, match="net1 is frozen, or a function"):
            fit_jointly(predictor(dataset, net1), net1, dataset, estimators.make("softmax"))
        return
    net1 = trainable(kind, dataset)
    losses = [s.loss for s in fit_encoder(net1, dataset, steps=60, batch=64)]
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    net0, estimator = predictor(dataset, net1), estimators.make("gumbel_softmax")
    losses = [s.loss for s in fit_jointly(net0, net1, dataset, estimator, steps=60, batch=64)]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_the_ruler_measures_behind_it(theirs, net1, dataset):
    logits = torch.randn(2, dataset.schema.width, generator=torch.Generator().manual_seed(0))
    index, K = dataset.test[:2], dataset.schema.cardinalities
    ours, own = (objective_of(net, dataset, index) for net in (theirs, net1))
    exact = ruler.exact_gradient(logits, ours, K)
    close(exact.gradient, ruler.exact_gradient(logits, own, K).gradient)
    sampled = ruler.sampled_gradient(logits, ours, K, draws=30)
    error = (sampled.gradient - exact.gradient).abs() / sampled.standard_error
    assert error.max() < 5
    softmax = {"softmax": estimators.make("softmax")}
    found, other = (
        ruler.measure(softmax, logits, objective, K, reference=exact, draws=40)
        for objective in (ours, own)
    )
    for name in ("squared_bias", "variance", "cosine"):
        assert found[name].item() == pytest.approx(other[name].item(), abs=1e-3)


def test_exchanges_of_one_category_cost_what_the_changed_rows_cost(theirs, dataset):
    """Where it folds and where it does not, by a loop over rows."""
    index, K = dataset.test[:5], dataset.schema.cardinalities
    objective, codes = objective_of(theirs, dataset, index), dataset.rows.codes[index.roll(1)]
    tried, place = objective.tried(codes, objective(codes), K), 0
    for column, width in enumerate(K):
        for code in range(width):
            changed = codes.clone()
            changed[:, column] = code
            close(tried[:, place], objective(changed))
            place += 1


@pytest.mark.parametrize("decoder", decoders.names())
def test_every_decoder_decodes_as_behind_a_row_encoder(net1, wardrobe, net0, dataset, decoder):
    signal, searches = dataset.signal[dataset.test], decoder in ("search", "restarts")
    own = None if searches else tabkit.decode(net0, signal, net1, decoder=decoder)
    for kind in KINDS:
        theirs = wardrobe(kind)
        assert set(decoders.possible(theirs)) == {"argmax", "search", "restarts", *ABLE[kind]}
        if decoder in NEEDS and decoder not in ABLE[kind]:
            with pytest.raises(TypeError, match=NEEDS[decoder]):
                tabkit.decode(net0, signal, theirs, decoder=decoder)
            continue
        ours = tabkit.decode(net0, signal, theirs, decoder=decoder)
        if searches:  # these start, and may end, elsewhere without tables
            no_exchange_is_better(ours, net0, signal, net1)
        else:
            assert torch.equal(ours.codes, own.codes), kind


def no_exchange_is_better(rows, net0, signal, net1):
    """And the rows found are much better than the argmax."""
    handed = decoders.handed_over(net0, signal, net1)
    argmax, K = decoders.decoder_of("argmax")(handed).codes, handed.cardinalities
    distance = SquaredDistance(net1, rows.continuous, handed.output)
    found = distance(rows.codes)
    assert found.mean() < 0.5 * handed.objective(argmax).mean()
    assert (distance.tried(rows.codes, found, K) > found[:, None] - 1e-5).all()


def test_comparison_gives_what_it_gives_behind_a_row_encoder(theirs, net1, net0, dataset, kind):
    softmax, index = estimators.make("softmax"), dataset.test
    ours, own = (
        [
            *(s.relaxed, s.decoded, s.entropy, *s.accuracy.values()),
            compare.random_row_loss(net, dataset, index),
            compare.distance_correlation(net, dataset, index, count=500),
        ]
        for net in (theirs, net1)
        for s in [compare.score(net0, net, dataset, softmax, index)]
    )
    assert ours == pytest.approx(own, rel=1e-3)
    found, known = (
        compare.by_decoder(net0, net, dataset, softmax, rows=20) for net in (theirs, net1)
    )
    for name in ("argmax", "table", "first_layer"):
        able = name == "argmax" or name in ABLE[kind]
        expected = known[f"decode_{name}"] if able else math.nan
        assert found[f"decode_{name}"] == pytest.approx(expected, rel=1e-3, nan_ok=True)
    trained = compare.train_and_score(
        softmax, theirs, dataset, name="softmax", steps=3, progress=False
    )
    assert math.isfinite(trained.test.decoded)


def made(net, schema, seed):
    """An untrained net1 of one's own, for a sweep."""
    return clothed(
        "one_hot", RowEncoder(schema, Z=3, width=16, depth=1, D=4, seed=seed, embedding_std=None)
    )


def test_a_sweep_trains_and_freezes_nets_of_ones_own(dataset, tmp_path):
    def load(name, rows):
        return dataset

    cells = compare.cells(
        ["softmax", "indecater"],
        [0],
        rows={"mine": 0},
        steps=3,
        batch=32,
        encoder_steps=3,
        load=load,
    )
    results = compare.sweep(cells, tmp_path, jobs=1, load=load, encoder=made, progress=False)
    trained = results[results["estimator"] != "limit"]
    assert trained[["decode_argmax", "decode_search", "decode_best"]].notna().all(axis=None)
    assert results["decode_table"].isna().all()
    summary = compare.sweep_summary(results)
    assert "softmax" in compare.sweep_text(summary)
    cells = compare.cells(["direct_embedding"], [0], rows={"mine": 0}, encoder_steps=3, load=load)
    with pytest.raises(TypeError, match=r"Cell\(data='mine'.*net1.embedding"):
        compare.sweep(cells, tmp_path, jobs=1, load=load, encoder=made, progress=False)


def test_inspection_shows_what_it_shows_of_a_row_encoder(theirs, net1, net0, dataset, kind):
    views = {"output", *ABLE[kind]}
    for view in inspection.VIEWS:
        if view not in views:
            with pytest.raises(TypeError, match=NEEDS[view]):
                inspection.category_vectors(theirs, dataset, "c01", view=view)
            continue
        ours, own = (
            inspection.category_vectors(n, dataset, "c01", view=view) for n in (theirs, net1)
        )
        close(*(torch.tensor(inspection.distances(v)) for v in (ours, own)))
    ours, own = (inspection.row_vectors(n, dataset, dataset.test) for n in (theirs, net1))
    close(*(torch.tensor(v.values) for v in (ours, own)))
    ours, own = (
        inspection.walk(n, dataset.rows[dataset.test[:1]], 1, 0, 2, points=5)
        for n in (theirs, net1)
    )
    close(*(torch.tensor(w.to_numpy(dtype=float)) for w in (ours, own)), atol=2e-3)


def test_predictions_land_where_they_land_behind_a_row_encoder(theirs, net1, net0, dataset, kind):
    softmax, index = estimators.make("softmax"), dataset.test[:20]
    ours, own = (inspection.landing(net0, n, dataset, softmax, index) for n in (theirs, net1))
    for name, loss in ours.losses().items():
        able = name.removeprefix("decode_") in ("relaxed", "argmax", *ABLE[kind])
        expected = own.losses()[name] if able else math.nan
        assert loss == pytest.approx(expected, rel=1e-3, nan_ok=True)
    if "table" not in ABLE[kind]:
        with pytest.raises(TypeError, match=r"net1\.embedding"):
            ours.distances()
    ours, own = (inspection.reach(net0, n, dataset, softmax, index) for n in (theirs, net1))
    assert ours["argmax"] == pytest.approx(own["argmax"], rel=1e-3)
    assert ours["search"] <= ours["argmax"]
    ours, own = (inspection.predicted_row(net0, n, dataset, 3) for n in (theirs, net1))
    assert (ours.mixture, ours.decoded) == pytest.approx((own.mixture, own.decoded), rel=1e-3)
    close(*(torch.tensor(r.overrulings["distance"].to_numpy()) for r in (ours, own)))


def said(widget):
    """What a widget tells in its alerts."""
    return re.sub(r"<[^>]*>", " ", widget.message.value)


def test_the_simplex_explorer_shows_shares_and_says_what_is_missing(theirs, net0, dataset, kind):
    widget = widgets.simplex_explorer(net0, theirs, dataset)
    twin = widget.twin()
    assert said(widget) == ""
    shows_tables = "table" in ABLE[kind]
    for shown in (widget.picture.value, twin.picture.alt):
        assert "entropy" in shown
        assert ("nearest category" in shown) == shows_tables
        assert ("net1 shows no tables" in shown) != shows_tables
    assert list(twin.table) == ["entropy (nats)", "distance"][: 1 + shows_tables]
    widget.controls["logits"].value = "1, 2"
    assert "categories, but 2 logits" in said(widget)


def test_the_gradient_explorer_measures_behind_it(theirs, net0, dataset):
    columns = inspection.doubtful(net0, theirs, dataset)
    logits, objective, K, labels = inspection.problem_of(net0, theirs, dataset, columns)
    widget = widgets.gradient_explorer(logits, objective, K, labels=labels, draws=20)
    assert said(widget) == ""
    assert len(widget.twin().table) == 3


def test_the_cockpit_offers_what_can_train_behind_it_and_trains(theirs, dataset, kind):
    widget = widgets.training_cockpit(theirs, dataset, steps=3, batch=16)
    offered = set(widget.controls["estimator"].options)
    missing = {n for n in estimators.names() if estimators.make(n).head == "embedding"}
    assert set(estimators.names()) - offered == (set() if kind in SHOWS else missing)
    assert widget.twin().table["steps"].tolist() == [3]
    widget.close()


def test_the_embedding_explorer_shows_the_views_that_there_are(theirs, dataset, kind):
    widget = widgets.embedding_explorer(theirs, dataset)
    assert widget.state["view"] == ("first_layer" if kind in SHOWS else "output")
    widget = widgets.embedding_explorer(theirs, dataset, view="output")
    assert said(widget) == ""
    assert "Nearest to" in widget.picture.value
    twin = widget.twin()
    views = [v for v in inspection.VIEWS if v in ("output", *ABLE[kind])]
    assert list(dict.fromkeys(twin.table.index.get_level_values("view"))) == views
    for view in inspection.VIEWS:
        widget.controls["view"].value = view
        if view in views:
            assert said(widget) == ""
        else:
            assert re.search(NEEDS[view], said(widget))
            assert "AttributeError" not in said(widget)


def test_the_row_explorer_shows_the_row(theirs, net0, dataset):
    widget = widgets.row_explorer(net0, theirs, dataset, row=2)
    widget.controls["category"].value = "1"
    assert said(widget) == ""
    assert len(widget.twin().table) == len(dataset.schema.categorical)


def test_an_objective_gets_the_net_that_was_given_with_all_that_it_has(dataset, net1):
    """Also where net1 is folded for speed."""

    class Rated(Shown):
        def rate(self, simplex, continuous):
            return self(simplex, continuous).square().sum(dim=1)

    theirs = freeze(Rated(net1.embedding.tables, net1.mlp))
    net0, softmax = predictor(dataset, theirs), estimators.make("softmax")
    fit = fit_predictor(
        net0,
        theirs,
        dataset,
        softmax,
        objective=lambda net1, batch: lambda simplex: net1.rate(simplex, batch.continuous),
        steps=40,
        batch=32,
    )
    losses = [step.loss for step in fit]
    assert losses[-1] < 0.8 * losses[0]


def test_a_net_that_does_not_know_its_sizes_is_told_what_to_say(dataset):
    function = as_function(
        clothed("one_hot", RowEncoder(dataset.schema, Z=3, width=16, depth=1, embedding_std=None))
    )
    del function.continuous_features
    with pytest.raises(TypeError, match=r"net1.continuous_features, the number of continuous"):
        RowPredictor(4, function)
    del function.cardinalities
    with pytest.raises(TypeError, match=r"net1.cardinalities, the number of categories"):
        RowPredictor(4, function)
