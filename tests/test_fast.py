"""Plain and fast are one: in value, gradient and second gradient, and to whoever looks on."""

import threading
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from tabkit import (
    Objective,
    RowEncoder,
    RowPredictor,
    SoftEmbedding,
    SquaredDistance,
    estimators,
    fast,
    fit_predictor,
    freeze,
    simplex,
)
from tabkit.fast import choice, exchanges, noise, products
from tabkit.fast.choice import Pair
from tabkit.fast.folding import FoldedLinear
from tabkit.nets import FoldedEncoder, encode_rows, folded, is_frozen

BLOCKWISE = ("softmax", "argmax", "embed", "diagonal", "hard_softmax", "jacobian_product")
COLUMNS = {
    "unlike": (3, 1, 4, 2, 4),
    "alike": (4, 4, 4),
    "one column": (6,),
    "one category": (1,),
    "all of one category": (1, 1, 1),
    "one large": (2, 150, 3),
    "fifty": (2, 3, 5, 7, 4) * 10,
}
ORDERS = {
    "by row": torch.Tensor.contiguous,
    "by feature": lambda x: x.T.contiguous().T,
    "part of a wider": lambda x: torch.cat([x, x], -1)[..., : x.shape[-1]],
}
LOGIT_NAMES = [n for n in estimators.names() if estimators.make(n).head == "logits"]


def normal(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def layers(C, D, outputs=7, N=2, bias=True):
    """Tables and the linear layer behind them, frozen."""
    tables = [normal(k, D, seed=k) for k in C]
    linear = nn.Linear(D * len(C) + N, outputs, bias=bias).double()
    for seed, weight in enumerate(linear.parameters()):
        weight.data = normal(*weight.shape, seed=seed)
    return tables, linear.requires_grad_(False)


def one_after_the_other(categorical, continuous, tables, linear):
    return linear(torch.cat([simplex.embed(categorical, tables), continuous], 1))


def multiplied_out(categorical, continuous, tables, linear):
    return FoldedLinear(tables, linear)(categorical, continuous)


def multiplied_out_at_once(categorical, continuous, tables, linear):
    """As on a GPU."""
    layer = FoldedLinear(tables, linear)
    layer.joins = True
    return layer(categorical, continuous)


JOINED = Pair(one_after_the_other, multiplied_out_at_once, lambda *_: True)
FOLDING = Pair(one_after_the_other, multiplied_out, lambda *_: True)


def cases(pair, C, rows):
    """What a pair is called with: leaves, and how the function is called with them."""
    values, F = normal(rows, sum(C)), sum(C)
    match pair.fast.__name__:
        case "softmax":
            yield [values], lambda f, x: f(x, C)
            yield [1e3 * values], lambda f, x: f(x, C, 0.7)
        case "hard_softmax":
            yield [values], lambda f, x: f(x, C) * x
            yield [values], lambda f, x: f(x, C, 0.7) * x
        case "argmax":
            yield [values], lambda f, x: f(x, C)
            yield [values.round()], lambda f, x: f(x, C)  # full of ties
        case "jacobian_product":
            yield [values, normal(rows, F, seed=1)], lambda f, p, v: f(p, v, C)
        case "pulled_back":
            p = values.abs()
            yield (
                [values],
                lambda f, x: f(2 * x, x, lambda v: simplex.jacobian_product(p.to(v), v, C)) * x,
            )
        case "straight_through":
            yield [values], lambda f, x: f(2 * x, x) * x  # no gradient flows to the first
        case "embed" | "diagonal":
            tables = [normal(k, 1 + c % 3, seed=c) for c, k in enumerate(C)]
            yield [values, *tables], lambda f, x, *tables: f(x, tables)
            yield [values], lambda f, x: f(x, [W.to(x.dtype) for W in tables])  # frozen
            alike = [normal(k, 2, seed=c) for c, k in enumerate(C)]
            yield [values, *alike], lambda f, x, *tables: f(x, tables)
        case "heads":
            weights = normal(F + 2, 3, seed=1), normal(F + 2, seed=2)
            yield (
                [normal(rows, 3), *weights],
                lambda f, x, W, b: torch.cat([*f(x, W, b, F)], 1) ** 2,
            )
        case "multiplied_out" | "multiplied_out_at_once":
            for D, bias in ((1, True), (8, False)):
                given = layers(C, D, bias=bias)
                yield [values, normal(rows, 2)], lambda f, s, x, given=given: f(s, x, *given)


def derivatives(call, leaves, order):
    """The value, the gradient without and with a graph of its own, and the second gradient."""
    leaves = [order(x).requires_grad_() if x.dim() == 2 else x.requires_grad_() for x in leaves]
    value = call(*leaves)
    if not value.requires_grad:
        return [value]
    slope = order(normal(*value.shape, seed=7, dtype=value.dtype)).requires_grad_()
    once = torch.autograd.grad(value, leaves, slope, retain_graph=True)
    first = torch.autograd.grad(value, leaves, slope, create_graph=True)
    total = sum((g * normal(*g.shape, seed=i, dtype=g.dtype)).sum() for i, g in enumerate(first))
    second = torch.autograd.grad(total, [*leaves, slope], materialize_grads=True, allow_unused=True)
    return [value, *once, *first, *second]


def label(pair):
    return f"{pair.fast.__module__.rpartition('.')[2]}.{pair.fast.__name__}"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("pair", [*fast.PAIRS, FOLDING, JOINED], ids=label)
def test_plain_and_fast_are_equal_in_value_gradient_and_second_gradient(pair, columns, order):
    for rows in (0, 1, 9) if columns == "unlike" else (9,):
        for leaves, call in cases(pair, COLUMNS[columns], rows):
            with fast.use("plain"):
                expected = derivatives(partial(call, pair.plain), leaves, torch.clone)
            found = derivatives(partial(call, pair.fast), leaves, ORDERS[order])
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("pair", fast.PAIRS, ids=label)
def test_plain_and_fast_are_equal_in_narrow_types(pair, dtype):
    for leaves, call in cases(pair, COLUMNS["unlike"], 9):
        narrow = [x.to(dtype) for x in leaves]
        with fast.use("plain"):
            expected = derivatives(partial(call, pair.plain), narrow, torch.clone)
        found = derivatives(partial(call, pair.fast), narrow, torch.clone)
        assert all(x.dtype == dtype for x in found)
        eps = 8 * torch.finfo(dtype).eps
        scale = max(x.abs().max().item() for x in expected)
        torch.testing.assert_close(found, expected, rtol=eps, atol=eps * scale)


@pytest.mark.parametrize("pair", [p for p in fast.PAIRS if p.fast.__name__ in BLOCKWISE], ids=label)
def test_the_fast_one_refuses_blocks_that_do_not_sum_to_the_row(pair):
    tables = pair.fast.__name__ in ("embed", "diagonal")
    more = [normal(2, 8)] if pair.fast.__name__ == "jacobian_product" else []
    more.append([normal(3, 2), normal(4, 2)] if tables else (3, 4))
    with pytest.raises(ValueError, match=r"8 wide.*\(3, 4\) sum to 7"):
        pair.fast(normal(2, 8), *more)


@pytest.mark.parametrize(
    "name", sorted({*BLOCKWISE, "heads", "straight_through", "pulled_back"} - {"diagonal"})
)
def test_what_torch_compiles_exports_or_transforms_is_plain(name, plain_torch):
    """There the fast ones are forced, and broken: without torch at work, they raise."""
    found = dict(plain_torch["fast"][name])
    assert "the fast one ran" in found.pop("eager")
    assert set(found.values()) == {"equal"}, found


@pytest.mark.parametrize(
    "file", sorted(Path(fast.__file__).parent.glob("*.py")), ids=lambda f: f.name
)
def test_a_fast_file_names_its_formula_why_it_is_faster_and_where_it_pays(file):
    if file.name in ("__init__.py", "choice.py"):
        return
    head = file.read_text().split('"""')[1]
    places = [head.index(word) for word in ("**Formula:**", "**Faster:**", "**Pays:**")]
    assert places == sorted(places)


@pytest.fixture
def either(monkeypatch):
    """A pair of functions that say which of them runs."""
    monkeypatch.setattr(choice, "PAIRS", [])
    return lambda pays: choice.paired(lambda x: "plain", lambda x: "fast", lambda x: pays)


@pytest.mark.parametrize(
    ("mode", "pays", "runs"),
    [
        ("auto", True, "fast"),
        ("auto", False, "plain"),
        ("plain", True, "plain"),
        ("fast", False, "fast"),
    ],
)
def test_a_reader_chooses_for_all_threads_and_only_within(either, mode, pays, runs):
    function, x, found = either(pays), normal(2, 3), []
    before = function(x)
    with fast.use("plain" if mode != "plain" else "fast"), fast.use(mode):
        other = threading.Thread(target=lambda: found.append(function(x)))
        other.start()
        other.join()
        assert [function(x)] == found == [runs]
        assert function(normal(2, 3, 4)) == "plain"  # not rows
    with pytest.raises(ZeroDivisionError), fast.use(mode):
        1 / 0  # noqa: B018
    assert function(x) == before


def test_an_unknown_mode_is_refused():
    with pytest.raises((ValueError, TypeError), match="slow"), fast.use("slow"):
        pass


@pytest.mark.parametrize("mode", ["plain", "fast"])
@pytest.mark.parametrize("rows", [1, 6])
@pytest.mark.parametrize("name", LOGIT_NAMES)
def test_an_objective_may_view_its_simplex_and_change_it_in_place(name, rows, mode):
    C, into = (4, 4), normal(8, 5)
    seen = []

    def doubled(point, change):
        seen.append(point.view(-1, 4).shape)
        point = change(point)
        return (point @ into).tanh().square().sum(1)

    def gradient(change):
        cost = Objective(lambda point: doubled(point, change))
        cost.codes = torch.zeros(rows, 2, dtype=torch.int64)
        estimator, noise = estimators.make(name), torch.Generator().manual_seed(0)
        logits = normal(rows, 8).requires_grad_()
        for _ in range(3):  # some learn from call to call
            loss = estimator(logits, cost, cardinalities=C, generator=noise)
        return loss.detach(), torch.autograd.grad(loss, logits)[0]

    with fast.use(mode):
        expected = gradient(lambda point: point * 2)
        torch.testing.assert_close(gradient(lambda point: point.mul_(2)), expected)
    assert set(seen) == {(2 * rows, 4)}


HOOKS = {
    "register_forward_hook": "forward",
    "register_forward_pre_hook": "forward",
    "register_full_backward_hook": "backward",
    "register_full_backward_pre_hook": "backward",
}


@pytest.mark.parametrize("mode", ["plain", "auto", "fast"])
@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_on_any_layer_of_either_net_fire(hook, mode, net1, dataset):
    net0, behind = RowPredictor(dataset.signal.shape[1], net1, width=16), folded(net1)
    assert isinstance(behind, FoldedEncoder)
    seen, layers = [], [*net0.mlp, net1.embedding, *net1.mlp]
    signal = dataset.signal[:5].requires_grad_()  # or torch warns of the first layer's inputs

    def step():
        logits, continuous = net0(signal)
        point = fast.softmax(logits, net1.cardinalities)
        behind(point, continuous).square().sum().backward()

    handles = [
        getattr(layer, hook)(lambda *_, i=i: seen.append(i)) for i, layer in enumerate(layers)
    ]
    with fast.use(mode):
        step()
        assert sorted(seen) == list(range(len(layers)))
        for handle in handles[len(net0.mlp) :]:
            handle.remove()
        seen.clear()
        step()
    assert sorted(seen) == list(range(len(net0.mlp)))


@pytest.fixture
def rows(dataset):
    return dataset.rows[dataset.test[:9]]


def test_a_folded_net1_is_net1_and_frozen_and_folded_once(net1, dataset, rows):
    behind = folded(net1)
    point = simplex.one_hot(rows.codes, dataset.schema.cardinalities)
    expected = net1(rows.codes, rows.continuous)
    for again in (behind, folded(behind), FoldedEncoder(behind)):
        assert is_frozen(again)
        torch.testing.assert_close(again(rows.codes, rows.continuous), expected)
        torch.testing.assert_close(again(point, rows.continuous), expected)
    assert folded(behind) is behind
    assert isinstance(behind, FoldedEncoder)
    assert behind.cardinalities == net1.cardinalities
    with fast.use("plain"):
        assert folded(net1) is net1
    net0 = RowPredictor(dataset.signal.shape[1], behind, width=8)
    assert fit_predictor(net0, behind, dataset, estimators.make("softmax"), steps=1).run()


def test_what_still_trains_is_not_folded(net1, dataset):
    trains = RowEncoder(dataset.schema, width=8, embedding_std=None)
    assert folded(trains) is trains
    half = freeze(RowEncoder(dataset.schema, width=8, embedding_std=None))
    half.mlp[-1].requires_grad_(True)  # behind what is folded
    for net in (trains, half, net1.train()):
        before = net.training
        with pytest.raises(ValueError, match=r"still trains.*freeze"):
            FoldedEncoder(net)
        assert net.training == before
    tables, linear = layers((3, 2), 4)
    for given in (
        (tables, linear.requires_grad_()),
        ([W.requires_grad_() for W in tables], linear),
    ):
        with pytest.raises(ValueError, match="still trains"):
            FoldedLinear(*given)


def test_a_net1_without_tables_is_left_as_it_is(bare):
    assert folded(bare) is bare
    with pytest.raises(TypeError, match=r"folding needs net1\.embedding.*Bare has none"):
        FoldedEncoder(bare)


@pytest.mark.parametrize(("D", "outputs"), [(1, 1), (1, 40), (8, 1), (32, 40)])
def test_folding_takes_weights_as_they_are_now_and_shares_no_memory(D, outputs):
    tables, linear = layers((70, 2, 90), D, outputs, N=1)
    first = FoldedLinear(tables, linear)
    own = {b.untyped_storage().data_ptr() for b in first.buffers()}
    given = [*tables, *linear.parameters()]
    assert not own & {w.untyped_storage().data_ptr() for w in given}
    assert not [*first.parameters()]


@pytest.mark.parametrize("D", [2, 64])
def test_the_fewer_multiplications_are_taken(D):
    first = FoldedLinear(*layers((30, 20), D, 10, N=0))
    groups = [group.numel() for name, group in first.named_buffers() if name.startswith("group")]
    assert first.multiplications["folded"] == 50 * 10
    assert first.apart == bool(groups) == (D == 2)
    if D == 2:
        assert first.multiplications["apart"] == sum(groups) + 2 * D * 10


def test_folded_codes_are_their_vertices_and_bad_input_is_refused_if_asked(net1, rows):
    tables, linear = layers((3, 1, 4), 3)
    codes, continuous = torch.tensor([[0, 0, 3], [2, 0, 0]]), normal(2, 2)
    point = simplex.one_hot(codes, (3, 1, 4), torch.float64)
    first = FoldedLinear(tables, linear)
    torch.testing.assert_close(first(codes, continuous), first(point, continuous))
    off = rows.codes + 99
    with pytest.raises(ValueError, match="lies in 0 to"):
        FoldedEncoder(net1)(off, rows.continuous)
    twice = 2 * simplex.one_hot(rows.codes, net1.cardinalities)
    with pytest.raises(ValueError, match="not to 1"):
        FoldedEncoder(net1)(twice, rows.continuous)
    assert folded(net1)(twice, rows.continuous).isfinite().all()
    with pytest.raises(ValueError, match=r"9 wide.*8 inputs"):
        FoldedLinear([normal(3, 9)], nn.Linear(8, 2))


@pytest.mark.parametrize("mode", ["plain", "fast"])
@pytest.mark.parametrize("D", [2, 64])
@pytest.mark.parametrize("name", ["softmax", "straight_through_gumbel"])
def test_autocast_trains_nearly_the_same(D, name, mode, dataset):
    net1 = freeze(RowEncoder(dataset.schema, D=D, embedding_std=None))
    net0 = RowPredictor(dataset.signal.shape[1], net1, width=32)
    target, gradients = encode_rows(net1, dataset.rows), []
    for on in (False, True):
        net0.zero_grad()
        with fast.use(mode), torch.autocast("cpu", torch.bfloat16, enabled=on):
            logits, continuous = net0(dataset.signal)
            objective = SquaredDistance(folded(net1), continuous, target)
            noise = torch.Generator().manual_seed(0)
            loss = estimators.make(name)(
                logits, objective, cardinalities=net1.cardinalities, generator=noise
            )
        assert logits.dtype == (torch.bfloat16 if on else torch.float32)
        loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in net0.parameters()]))
    assert torch.cosine_similarity(*gradients, dim=0) > 0.98


@pytest.fixture
def distance(dataset, net1, rows):
    """Of nine rows to other rows' outputs."""
    other = dataset.rows[dataset.train[:9]]
    return SquaredDistance(net1, rows.continuous, encode_rows(net1, other))


def by_whole_rows(distance):
    """The same objective, of which no more is known than its loss."""
    return Objective(distance.__call__)


@pytest.mark.parametrize("together", [1, 7, 10_000])
def test_an_exchange_costs_what_the_whole_row_costs(distance, rows, together, monkeypatch):
    monkeypatch.setattr(exchanges, "TOGETHER", together)
    C, loss = distance.net1.cardinalities, distance(rows.codes)
    known, plain = (
        distance.exchanges(rows.codes, C),
        by_whole_rows(distance).exchanges(rows.codes, C),
    )
    assert isinstance(known, exchanges.Exchanges)
    assert not isinstance(plain, exchanges.Exchanges)
    some, none = torch.tensor([[1, 0]]).expand(9, 2), torch.empty(9, 0, dtype=torch.int64)
    for column, K in enumerate(C):
        every = torch.arange(K).expand(9, K)
        torch.testing.assert_close(known(column), plain(column, every))
        torch.testing.assert_close(known(column, some), plain(column, some))
        assert known(column, none).shape == (9, 0)
    tried = distance.tried(rows.codes, loss, C)
    torch.testing.assert_close(tried, by_whole_rows(distance).tried(rows.codes, loss, C))
    own = simplex.one_hot(rows.codes, C).bool()
    torch.testing.assert_close(tried[own], loss.repeat_interleave(len(C)))


@pytest.mark.parametrize("name", ["indecater", "top_k_sample", "leave_one_out"])
def test_estimators_that_exchange_have_the_gradient_of_those_that_do_not(name, distance):
    C = distance.net1.cardinalities
    logits = normal(9, sum(C), dtype=torch.float32).requires_grad_()
    found = []
    for cost in (distance, by_whole_rows(distance)):
        noise = torch.Generator().manual_seed(1)
        loss = estimators.make(name)(logits, cost, cardinalities=C, generator=noise)
        found.append((loss.detach(), torch.autograd.grad(loss, logits)[0]))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


def allowed_of(distance, rows):
    """All but some: the first category of each column in the first rows, most in the last."""
    allowed = torch.ones(9, sum(distance.net1.cardinalities), dtype=torch.bool)
    allowed[:3, 0] = False
    allowed[8, 1:] = False
    return allowed


def test_of_all_exchanges_the_best_is_found_and_of_few_the_best_of_the_shortlist(distance, rows):
    C, allowed = distance.net1.cardinalities, allowed_of(distance, rows)
    loss = distance(rows.codes)
    plain = by_whole_rows(distance).best_exchange(rows.codes, loss, C, allowed)
    known, every = distance.exchanges(rows.codes, C), sum(C)
    losses, places = known.best(allowed, shortlist=every)
    better = plain[0] < loss  # where none is, staying is the plain one's best
    torch.testing.assert_close(losses[better], plain[0][better])
    assert torch.equal(places[better], plain[1][better])
    few = [known.best(allowed, shortlist=count)[0] for count in (1, 3, every)]
    assert (few[0] >= few[1]).all() and (few[1] >= few[2]).all()
    tried = distance.tried(rows.codes, loss, C)
    for shortlist in (1, 3):
        losses, places = known.best(allowed, shortlist=shortlist)
        found = losses.isfinite()
        assert allowed.gather(1, places[:, None])[found].all()
        torch.testing.assert_close(losses[found], tried.gather(1, places[:, None])[found, 0])


def test_behind_a_linear_rest_the_prediction_is_the_loss(dataset, rows):
    """So that a shortlist of one is enough."""
    net1 = freeze(
        RowEncoder(dataset.schema, Z=3, width=16, depth=1, D=4, embedding_std=None)
    ).double()
    net1.mlp[1] = nn.Identity()  # in place of the ReLU
    target = normal(9, 3)
    distance = SquaredDistance(net1, rows.continuous.double(), target)
    known = distance.exchanges(rows.codes, net1.cardinalities)
    allowed = torch.ones(9, sum(net1.cardinalities), dtype=torch.bool)
    one, every = (known.best(allowed, shortlist=n) for n in (1, 99))
    torch.testing.assert_close(one[0], every[0])
    assert torch.equal(one[1], every[1])


@pytest.mark.parametrize("D", [1, 4])
def test_one_lookup_in_all_tables_is_a_lookup_in_each(D):
    layer = SoftEmbedding((3, 1, 5), D, generator=torch.Generator().manual_seed(0)).double()
    codes = torch.tensor([[2, 0, 4], [0, 0, 0], [2, 0, 4]])
    assert layer._plain()
    found = products.looked_up(codes, layer.weights)
    torch.testing.assert_close(found, layer(codes), rtol=0, atol=0)
    slope = normal(*found.shape)
    gradients = [torch.autograd.grad(x, layer.weights, slope) for x in (found, layer(codes))]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("watch", ["hook", "padding", "sparse"])
def test_a_table_that_is_more_than_a_lookup_is_asked_itself(watch):
    tables = [nn.Embedding(3, 2, padding_idx=0 if watch == "padding" else None) for _ in range(2)]
    if watch == "hook":
        tables[1].register_forward_hook(lambda *_: None)
    if watch == "sparse":
        tables[0].sparse = True
    assert not SoftEmbedding.from_embeddings(tables)._plain()


def test_the_slopes_of_an_exchange_are_the_same_at_once(dataset, net1):
    twin = folded(net1)
    codes, numbers = dataset.rows.codes[:30], dataset.rows.continuous[:30]
    hidden, target = twin.first(codes, numbers), encode_rows(net1, dataset.rows[30:60])
    known = exchanges.Exchanges(twin.first, twin.behind, codes, hidden, target)
    torch.testing.assert_close(known.slopes_in_turn(hidden), known.slopes_at_once(hidden))


def test_gumbel_noise_by_exponentials_is_gumbel_noise():
    """Its distribution function is exp(-exp(-x)): the largest difference of 100,000 draws."""
    drawn = torch.Generator().manual_seed(0)
    found = -noise.log_exponential(torch.zeros(100_000), drawn)
    sorted_, steps = found.sort().values, torch.arange(1, 100_001) / 100_000
    assert ((-(-sorted_).exp()).exp() - steps).abs().max() < 1.63 / 100_000**0.5  # at 1%
