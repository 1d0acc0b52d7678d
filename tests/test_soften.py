"""`soften`: nets that read codes are followed exactly, or refused by a sentence; nothing between.

By hand, what real libraries' nets do with codes; the libraries themselves are in
test_soften_libraries.py.
"""

import copy
import pickle
import threading
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import jacrev, jvp, vmap
from torch.nn import functional

import tabkit
from tabkit import NotFollowed, Rows, freeze, soften
from tabkit.simplex import blocks, one_hot
from tabkit.soften.probing import Probe

K, N = (5, 3, 7, 4), 2
C, F = len(K), sum(K)
STARTS = torch.tensor([0, *K[:-1]]).cumsum(0)


def rows_of(count, seed=0, dtype=torch.float64, cardinalities=K):
    drawn = torch.Generator().manual_seed(seed)
    codes = [torch.randint(k, (count,), generator=drawn) for k in cardinalities]
    return Rows(torch.stack(codes, dim=1), torch.randn(count, N, generator=drawn).to(dtype))


def points(count, seed=0):
    drawn = torch.Generator().manual_seed(seed)
    parts = [torch.randn(count, k, generator=drawn).double().softmax(1) for k in K]
    return torch.cat(parts, dim=1)


class Net(nn.Module):
    """Tables of 3 features a column, and what stands behind them."""

    def __init__(self, inputs=3 * C + N, **options):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(k, 3, **options) for k in K)
        self.body = nn.Sequential(nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, 2))

    def embeddings(self, q):
        return torch.cat([table(q[:, c]) for c, table in enumerate(self.tables)], dim=1)

    def forward(self, q, x):
        return self.body(torch.cat([self.read(q), x], dim=1))

    def read(self, q):
        return self.embeddings(q)

    def mixed(self, z, x):
        """What a simplex gives, by hand."""
        pairs = zip(z.split(K, dim=1), self.tables, strict=True)
        return self.body(torch.cat([*(block @ t.weight for block, t in pairs), x], dim=1))


def net_of(read, inputs=3 * C + N, made=None, **options):
    """A frozen net that reads codes in some way."""
    torch.manual_seed(0)
    net = Net(inputs, **options)
    for name, value in (made or {}).items():
        setattr(net, name, value)
    net.read = read.__get__(net)
    return freeze(net.double())


FOLLOWED = {
    "a table a column": lambda s, q: s.embeddings(q),
    "one table with offsets": lambda s, q: s.wide(q + s.starts).flatten(1),
    "offsets made on the fly": lambda s, q: s.wide(
        q + torch.tensor([0, *K[:-1]]).cumsum(0)
    ).flatten(1),
    "flattened over rows and columns": lambda s, q: s.wide((q + s.starts).reshape(-1)).view(
        len(q), -1
    ),
    "columns first": lambda s, q: s.wide((q + s.starts).T).movedim(0, 1).flatten(1),
    "a bag": lambda s, q: s.bag(q + s.starts).repeat(1, C),
    "a mean bag": lambda s, q: functional.embedding_bag(
        q + s.starts, s.wide.weight, mode="mean"
    ).repeat(1, C),
    "one-hot": lambda s, q: torch.cat(
        [functional.one_hot(q[:, c], 7).double() @ s.hot for c in range(C)], 1
    ),
    "rows of the identity": lambda s, q: torch.cat([s.eye[q[:, c]] @ s.hot for c in range(C)], 1),
    "W[codes]": lambda s, q: torch.cat([t.weight[q[:, c]] for c, t in enumerate(s.tables)], 1),
    "W[arange, codes]": lambda s, q: s.stacked[torch.arange(C), q].flatten(1),
    "W[0, codes]": lambda s, q: torch.cat([s.stacked[c, q[:, c]] for c in range(C)], 1),
    "W[:, codes]": lambda s, q: torch.cat([s.hot.T[:, q[:, c]].T for c in range(C)], 1),
    "W[..., codes]": lambda s, q: torch.cat([s.hot.T[..., q[:, c]].T for c in range(C)], 1),
    "index_select": lambda s, q: torch.cat(
        [t.weight.index_select(0, q[:, c]) for c, t in enumerate(s.tables)], 1
    ),
    "index_select of columns": lambda s, q: torch.cat(
        [s.hot.T.index_select(1, q[:, c]).T for c in range(C)], 1
    ),
    "gather of a table": lambda s, q: torch.cat(
        [s.hot.gather(0, q[:, c, None].expand(-1, 3)) for c in range(C)], 1
    ),
    "gather of each row's own": lambda s, q: torch.cat(
        [s.hot.T.expand(len(q), 3, 7).gather(2, q[:, c, None, None].expand(-1, 3, 1))[:, :, 0]
         for c in range(C)], 1
    ),
    "gather of each row's own, of all columns": lambda s, q: s.hot.T.expand(len(q), 3, 7).gather(
        2, q[:, None].expand(-1, 3, -1)
    ).flatten(1),
    "take_along_dim": lambda s, q: torch.cat(
        [torch.take_along_dim(s.hot, q[:, c, None], 0) for c in range(C)], 1
    ),
    "take": lambda s, q: torch.cat(
        [torch.take(s.hot, 3 * q[:, c, None] + torch.arange(3)) for c in range(C)], 1
    ),
    "scatter": lambda s, q: torch.cat(
        [torch.zeros(len(q), 7).double().scatter_(1, q[:, c, None], 1.0) @ s.hot
         for c in range(C)], 1
    ),
    "a scatter out of place": lambda s, q: torch.cat(
        [torch.zeros(len(q), 7).double().scatter(1, q[:, c, None], torch.ones(len(q), 1).double())
         @ s.hot for c in range(C)], 1
    ),
    "a scatter over what is there": lambda s, q: torch.cat(
        [s.shares.repeat(len(q), 2)[:, :7].scatter(1, q[:, c, None], 2.0) @ s.hot
         for c in range(C)], 1
    ),
    "codes + 1 with a padding row": lambda s, q: s.padded(q + 1).flatten(1),
    "a buffer between": lambda s, q: s.wide(s.shuffle[q + s.starts]).flatten(1),
    "rare ones hashed together": lambda s, q: s.wide(q % 2 + s.starts).flatten(1),
    "clamped": lambda s, q: s.wide(q.clamp(max=1) + s.starts).flatten(1),
    "only one category differs": lambda s, q: s.wide((q == 2).long() + s.starts).flatten(1),
    "codes from the end": lambda s, q: torch.cat([s.hot[q[:, c] - 7] for c in range(C)], 1),
    "W[list, codes]": lambda s, q: s.stacked[list(range(C)), q].flatten(1),
    "W[array, codes]": lambda s, q: s.stacked[np.arange(C), q].flatten(1),
    "W[0, :, codes]": lambda s, q: torch.cat(
        [s.stacked.mT[c, :, q[:, c]].T for c in range(C)], 1
    ),
    "W[list, :, codes]": lambda s, q: s.stacked.mT[list(range(C)), :, q].flatten(1),
    "of each row's own, as many as rows": lambda s, q: torch.cat(
        [s.hot.expand(len(q), 7, 3)[torch.arange(len(q)), q[:, c]] for c in range(C)], 1
    ),
    "of each row's own, behind an axis": lambda s, q: torch.cat(
        [s.hot.T[:, None].expand(3, len(q), 7)[:, torch.arange(len(q)), q[:, c]].T
         for c in range(C)], 1
    ),
    "a token before the codes": lambda s, q: s.wide(
        torch.cat([torch.full_like(q[:, :1], 18), q[:, 1:] + s.starts[1:]], 1)
    ).flatten(1) + s.tables[0](q[:, 0]).repeat(1, C),
    "a token among the codes, where there is no table": lambda s, q: s.hot.T[
        :, torch.cat([torch.full_like(q[:, :1], 6), q], 1)
    ].movedim(0, 2)[:, :C].flatten(1) + s.tables[3](q[:, 3]).repeat(1, C),
    "two reads of a column": lambda s, q: s.embeddings(q) + s.wide(q + s.starts).flatten(1),
    "a product of two reads": lambda s, q: s.embeddings(q) * s.wide(q + s.starts).flatten(1),
    "a factorisation machine": lambda s, q: (
        s.wide(q + s.starts).sum(1).square() - s.wide(q + s.starts).square().sum(1)
    ).repeat(1, C),
    "twice over": lambda s, q: torch.cat([s.tables[0](q[:, 0].repeat(2)).view(2, len(q), 3)[c % 2]
                                          + t(q[:, c]) for c, t in enumerate(s.tables)], 1),
    "tables of low rank": lambda s, q: torch.cat(
        [functional.embedding(q[:, c], s.hot @ s.square) for c in range(C)], 1
    ),
    "sorted afterwards": lambda s, q: s.embeddings(q).sort(dim=1).values,
    "torch's own embedding": lambda s, q: torch.cat(
        [torch.embedding(t.weight, q[:, c]) for c, t in enumerate(s.tables)], 1
    ),
    "bags of one code each": lambda s, q: torch.cat(
        [functional.embedding_bag(q[:, c], t.weight, torch.arange(len(q)), mode="sum")
         for c, t in enumerate(s.tables)], 1
    ),
    "bags that end where the last offset says": lambda s, q: torch.cat(
        [functional.embedding_bag(
            q[:, c], t.weight, torch.arange(len(q) + 1), mode="mean", include_last_offset=True
        ) for c, t in enumerate(s.tables)], 1
    ),
    "whole numbers by index_select": lambda s, q: s.wide(
        s.shuffle.index_select(0, (q + s.starts).flatten()).view_as(q)
    ).flatten(1),
    "whole numbers by gather": lambda s, q: s.wide(
        s.shuffle.expand(len(q), F).gather(1, q + s.starts)
    ).flatten(1),
    "whole numbers by take_along_dim": lambda s, q: s.wide(
        torch.take_along_dim(s.shuffle.expand(len(q), F), q + s.starts, 1)
    ).flatten(1),
    "whole numbers by take": lambda s, q: s.wide(s.shuffle.take(q + s.starts)).flatten(1),
    "a lookup of its own": lambda s, q: s.embeddings(q) + s.bins(torch.tensor([1])).repeat(1, C),
}  # fmt: skip


def extras():
    torch.manual_seed(1)
    return {
        "wide": nn.Embedding(F, 3),
        "bag": nn.EmbeddingBag(F, 3, mode="sum"),
        "starts": STARTS,
        "hot": nn.Parameter(torch.randn(7, 3)),
        "square": nn.Parameter(torch.randn(3, 3)),
        "eye": torch.eye(7).double(),
        "stacked": nn.Parameter(torch.randn(C, 7, 3)),
        "padded": nn.Embedding(9, 3, padding_idx=0),
        "shuffle": torch.randperm(F),
        "bins": nn.Embedding(3, 3),
        "shares": torch.tensor([4.0, 3.0, 2.0, 1.0, 0.0]).double(),
    }


def slope(soft, z, x):
    """The gradient, and the differences that it must be, in a few directions."""
    z = z.clone().requires_grad_()
    weights = torch.randn(soft(z, x).shape, generator=torch.Generator().manual_seed(3)).double()
    (gradient,) = torch.autograd.grad((soft(z, x) * weights).sum(), z)
    ways = torch.randn(5, *z.shape, generator=torch.Generator().manual_seed(4)).double()
    with torch.no_grad():
        rises = [((soft(z + 1e-6 * w, x) - soft(z - 1e-6 * w, x)) * weights).sum() for w in ways]
    return (ways * gradient).sum(dim=(1, 2)), torch.stack(rises) / 2e-6


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_vertex_gives_what_its_code_gives_and_the_gradient_is_the_slope(name):
    net = net_of(FOLLOWED[name], made=extras())
    state = copy.deepcopy(net.state_dict())
    soft = soften(net, rows_of(200), K)
    for count, seed in ((1, 1), (2, 2), (13, 3), (300, 4)):
        rows = rows_of(count, seed)
        expected = net(rows.codes, rows.continuous)
        torch.testing.assert_close(
            soft(one_hot(rows.codes, K, torch.float64), rows.continuous), expected
        )
        assert torch.equal(soft(rows.codes, rows.continuous), expected)
    found, expected = slope(soft, points(6), rows_of(6).continuous)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(net.state_dict()[key], value) for key, value in state.items())
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("name", ["a table a column", "W[codes]", "index_select"])
def test_between_the_vertices_each_table_is_mixed(name):
    net = net_of(FOLLOWED[name])
    soft, x = soften(net, rows_of(99), K), rows_of(6).continuous
    torch.testing.assert_close(soft(points(6), x), net.mixed(points(6), x))


def test_a_table_that_codes_share_with_numbers_in_bins_is_followed():
    net = frozen()

    def forward(q, x):
        bins = (x[:, :1] > 0).long() + 17
        both = net.wide(torch.cat([q[:, :3] + STARTS[:3], bins], dim=1)).flatten(1)
        return net.body(torch.cat([both * net.tables[3](q[:, 3]).repeat(1, C), x], dim=1))

    net.forward = forward
    soft = soften(net, rows_of(99), K)
    for count in (1, 2, 50):
        rows = rows_of(count, seed=5)
        found = soft(one_hot(rows.codes, K, torch.float64), rows.continuous)
        torch.testing.assert_close(found, net(rows.codes, rows.continuous))
    found, expected = slope(soft, points(6), rows_of(6).continuous)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def branch(s, q):
    return s.embeddings(q) + (s.wide(q[:, 2])[:, :1] if q.max() > 5 else 0)


def unseen(s, q):
    with torch.no_grad():
        return s.embeddings(q)


def scripted(s, q):
    return s.script(q)


def where(condition):
    """A net that reads otherwise if something holds of the batch."""
    return lambda s, q: s.embeddings(q) * (1.5 if condition(q) else 1.0)


def whole(find):
    """A net that makes whole numbers of what it finds, beside its tables."""
    return lambda s, q: s.embeddings(q) + s.hot[find(s, q[:, 0])].repeat(1, C)


def beside(hot):
    return hot[:, :1] + (hot == 1)[:, :1]


REFUSED = {
    "a branch on a maximum": (where(lambda q: q.max() == 6), "another output than the code"),
    "a branch on any": (where(lambda q: (q == 0).any()), "another output than the code"),
    "a branch on all": (where(lambda q: (q[:, 0] < 4).all()), "another output than the code"),
    "a branch on how many": (
        where(lambda q: len(q[:, 0].unique()) < 3),
        "depends on the codes|another output",
    ),
    "a lookup by numbers that were looked up": (
        whole(lambda s, q: s.shares[q].long()),
        "no gradient reaches column|jumps",
    ),
    "a lookup by the largest of a one-hot": (
        whole(lambda s, q: functional.one_hot(q, 5).argmax(-1)),
        "no gradient reaches column",
    ),
    "a one-hot compared": (
        lambda s, q: (
            s.embeddings(q) * (functional.one_hot(q[:, 0], 5) == 1).any(1, keepdim=True)
            + (functional.one_hot(q[:, 0], 5) == 1)[:, :1]
        ),
        "no gradient reaches column|jumps",
    ),
    "a one-hot compared beside its mixture": (
        lambda s, q: s.embeddings(q) + beside(functional.one_hot(q[:, 0], 5)),
        "jumps",
    ),
    "the same where all numbers are small": (
        lambda s, q: 1e-3 * (s.embeddings(q) + beside(functional.one_hot(q[:, 0], 5))),
        "jumps",
    ),
    "codes as numbers": (
        lambda s, q: s.embeddings(q) + q[:, :1] / 50,
        "past the 4.*: column 'column 0', first by div at.*py:",
    ),
    "a code of one category counts": (
        lambda s, q: s.embeddings(q) + 1e-3 * (q[:, :1] == 3),
        r"past the 4 lookups.*: column 'column 0'.*test_soften\.py:",
    ),
    "masked by a comparison": (
        lambda s, q: s.embeddings(q) * (q != 0).repeat_interleave(3, dim=1),
        "past the 4.*: column 'column 0' and .*'column 3', first by mul at",
    ),
    "crossed columns": (
        lambda s, q: s.embeddings(q) + s.wide(q[:, 0] * 3 + q[:, 1]).repeat(1, C),
        "columns 'column 0' and 'column 1' meet",
    ),
    "crossed columns beside one that is not": (
        lambda s, q: (
            s.wide(torch.stack([q[:, 3], q[:, 0] * 3 + q[:, 1]], 1)).repeat(1, 2, 1).flatten(1)
        ),
        "columns 'column 0' and 'column 1' meet",
    ),
    "a branch on codes": (branch, "branches on codes.*test_soften.py"),
    "a lookup under no_grad": (unseen, "no gradient comes back"),
    "a lookup detached": (lambda s, q: s.embeddings(q).detach(), "no gradient comes back"),
    "one column detached": (
        lambda s, q: torch.cat([s.tables[0](q[:, 0]).detach(), s.embeddings(q)[:, 3:]], dim=1),
        "no gradient reaches column 'column 0'",
    ),
    "noise": (lambda s, q: functional.dropout(s.embeddings(q), 0.5, True), "two calls"),
    "a maximum over a bag": (
        lambda s, q: functional.embedding_bag(q, s.padded.weight, mode="max").repeat(1, C),
        "takes a maximum",
    ),
    "bags of several codes": (
        lambda s, q: functional.embedding_bag(
            (q + s.starts).flatten(), s.wide.weight, C * torch.arange(len(q)), mode="sum"
        ).repeat(1, C),
        "do not hold one code each",
    ),
    "a bag with weights": (
        lambda s, q: functional.embedding_bag(
            q, s.padded.weight, mode="sum", per_sample_weights=torch.ones(q.shape).double()
        ).repeat(1, C),
        "per_sample_weights",
    ),
    "a bag that leaves a code out": (
        lambda s, q: functional.embedding_bag(q, s.padded.weight, padding_idx=0).repeat(1, C),
        "padding_idx",
    ),
    "take_along_dim of all that there is": (
        lambda s, q: s.embeddings(q) + torch.take_along_dim(s.hot, q[:, 0])[:, None],
        "take_along_dim without dim",
    ),
    "a scatter of many axes": (
        lambda s, q: (
            torch.zeros(len(q), 7, C).double().scatter(1, q[:, None], 1.0).sum(1).repeat(1, 3)
        ),
        "only one code a row",
    ),
    "a scatter of whole numbers": (
        lambda s, q: (
            s.embeddings(q)
            + (torch.zeros(len(q), 7).long().scatter_(1, q[:, :1], 1) @ torch.arange(7))[:, None]
        ),
        "past the 4 lookups",
    ),
    "an index as long as there are other codes": (
        lambda s, q: s.embeddings(q) + s.wide(q[:, 0].unique()).mean(0).repeat(C),
        "does not follow the rows",
    ),
    "no numbers": (lambda s, q: s.embeddings(q) * float("nan"), "its output is NaN"),
    "one_hot without a width": (
        lambda s, q: s.embeddings(q) + functional.one_hot(q[:, 1])[:, :1],
        "as wide as the largest code",
    ),
    "scripted": (scripted, "no lookup by the codes was seen"),
    "counted": (
        lambda s, q: s.embeddings(q) + torch.bincount(q[:, 0], minlength=5)[q[:, 0], None],
        "past the 4 lookups",
    ),
}


def jit_script(module):
    with warnings.catch_warnings(action="ignore"):  # it is deprecated
        return torch.jit.script(module)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_followed_is_refused_by_a_sentence(name):
    read, message = REFUSED[name]
    made = extras()
    if name == "scripted":
        made["script"] = jit_script(nn.Sequential(nn.Embedding(9, 3), nn.Flatten()).double())
    net = net_of(read, made=made)
    with pytest.raises(NotFollowed, match=message):
        soften(net, rows_of(300), K)


def test_a_column_that_net1_ignores_is_a_warning():
    net = net_of(lambda s, q: torch.cat([s.embeddings(q)[:, :9], s.embeddings(q)[:, :3]], 1))
    with pytest.warns(UserWarning, match="does not depend on column 'column 3'"):
        soft = soften(net, rows_of(99), K)
    assert soft(points(4), rows_of(4).continuous).shape == (4, 2)


CALLS = {
    "the numbers first": lambda net, q, x: net.swapped(x, q),
    "columns apart": lambda net, q, x: net.apart(*q.unbind(1), x),
    "a dict": lambda net, q, x: net.named({"x": x, **{str(c): q[:, c] for c in range(C)}}),
    "one tensor of floats": lambda net, q, x: net.floats(torch.cat([q.to(x.dtype), x], dim=1)),
    "codes from 1, missing as -1": lambda net, q, x: net.missing(torch.where(q == 0, -1, q), x),
}


class Called(Net):
    def swapped(self, x, q):
        return self(q, x)

    def apart(self, a, b, c, d, x):
        return self(torch.stack([a, b, c, d], dim=1), x)

    def named(self, frame):
        return self(torch.stack([frame[str(c)] for c in range(C)], dim=1), frame["x"])

    def floats(self, both):
        return self(both[:, :C].long(), both[:, C:])

    def missing(self, q, x):
        q[q < 0] = 0  # in place
        return self(q, x)


@pytest.mark.parametrize("name", CALLS)
def test_a_net_is_called_as_it_wants_to_be_called(name):
    net, rows = freeze(Called().double()), rows_of(50)
    soft = soften(net, rows, K, CALLS[name])
    x = rows.continuous
    torch.testing.assert_close(soft(one_hot(rows.codes, K, x.dtype), x), net(rows.codes, x))
    torch.testing.assert_close(soft(points(50), x), net.mixed(points(50), x))
    assert torch.equal(soft(rows.codes, x), net(rows.codes, x))


def test_a_net_that_takes_no_numbers_gets_none():
    net = freeze(nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(3, 2)).double())
    rows = Rows(torch.arange(7)[:, None], torch.zeros(7, 0))
    soft = soften(net, rows, [7])
    torch.testing.assert_close(soft(torch.eye(7).double()), net(rows.codes))


def test_max_norm_leaves_the_table_as_it_is():
    net = net_of(lambda s, q: s.embeddings(q), max_norm=0.7)
    before = copy.deepcopy(net.state_dict())
    soft, rows = soften(net, rows_of(60), K), rows_of(9)
    found = soft(one_hot(rows.codes, K, torch.float64), rows.continuous)
    assert all(torch.equal(net.state_dict()[key], value) for key, value in before.items())
    torch.testing.assert_close(found, net(rows.codes, rows.continuous))


def test_many_categories_need_no_square_of_them():
    many = 200_000
    net = freeze(nn.Sequential(nn.Embedding(many, 2), nn.Flatten(), nn.Linear(2, 1)))
    rows = Rows(torch.randint(many, (500, 1), generator=torch.Generator().manual_seed(0)),
                torch.zeros(500, 0))  # fmt: skip
    soft = soften(net, rows, [many])
    torch.testing.assert_close(
        soft(torch.full((1, many), 1 / many)), net[2](net[0].weight.mean(0))[None]
    )


def frozen(name="a table a column"):
    return net_of(FOLLOWED[name], made=extras())


@pytest.fixture
def softened():
    return soften(frozen(), rows_of(99), K)


def test_it_behaves_as_any_module(softened):
    """That it compiles is seen outside of pytest: tests/plain_torch.py."""
    z, x = points(6), rows_of(6).continuous
    expected = softened(z, x)
    close = torch.testing.assert_close
    close(vmap(lambda z, x: softened(z[None], x[None])[0])(z, x), expected)
    with warnings.catch_warnings(action="ignore"):  # of what torch itself scripts
        close(jvp(lambda z: softened(z, x), (z,), (z,))[0], expected)
    assert jacrev(lambda z: softened(z, x).sum(0))(z).shape == (2, 6, F)
    close(copy.deepcopy(softened)(z, x), expected)
    with torch.inference_mode():
        close(softened(z, x), expected)
    close(softened.double()(z, x), expected)


def test_in_threads_each_call_gets_its_own_rows(softened):
    found, rows = [None] * 4, [(points(9, seed), rows_of(9, seed).continuous) for seed in range(4)]
    expected = [softened(*row) for row in rows]

    def work(number):
        for _ in range(20):
            found[number] = softened(*rows[number])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    torch.testing.assert_close(found, expected)


def test_tables_are_mixed_in_their_own_type_under_autocast():
    net = freeze(Net().float())
    soft, x = soften(net, rows_of(99, dtype=torch.float32), K), rows_of(6).continuous.float()
    z, seen = points(6).float(), []
    net.body[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.autocast("cpu", torch.bfloat16):
        soft(z, x)
    (given,) = seen
    expected = torch.cat([b @ t.weight for b, t in zip(z.split(K, 1), net.tables, strict=True)], 1)
    assert given.dtype == torch.float32
    torch.testing.assert_close(given[:, : 3 * C], expected)


def test_the_tables_are_live_and_what_changed_too_much_is_refused(softened):
    z, x = points(6), rows_of(6).continuous
    net, before = softened.net, softened(z, x)
    net.tables[0].weight.mul_(2)
    torch.testing.assert_close(softened(z, x), net.mixed(z, x))
    assert not torch.allclose(softened(z, x), before)
    net.read = (lambda s, q: s.embeddings((q + 1) % 3)).__get__(net)
    with pytest.raises(NotFollowed, match="otherwise than when it was softened"):
        softened(z, x)
    net.requires_grad_(True)
    with pytest.raises(NotFollowed, match=r"it trains: call tabkit\.freeze"):
        softened(z, x)


def test_what_is_made_of_the_weights_is_made_again_when_they_change(softened):
    z, x = points(6), rows_of(6).continuous
    assert softened.first_layer is not None
    net = softened.net
    net.tables[0].weight.mul_(2)
    net.body[0].weight.mul_(0.5)
    hidden = softened.first_layer(torch.cat([softened.embedding(z), x], dim=1))
    torch.testing.assert_close(softened.behind(hidden), net.mixed(z, x))


def test_other_whole_numbers_are_refused_and_the_same_again_are_not():
    net = frozen("a buffer between")
    net.register_buffer("map", net.shuffle.clone())
    net.read = (lambda s, q: s.wide(s.map[q + s.starts]).flatten(1)).__get__(net)
    soft, z, x = soften(net, rows_of(99), K), points(6), rows_of(6).continuous
    before, state = soft(z, x), copy.deepcopy(net.state_dict())
    net.load_state_dict(state)
    torch.testing.assert_close(soft(z, x), before)
    net.map[[0, 1]] = net.map[[1, 0]].clone()
    with pytest.raises(NotFollowed, match="its 'map' has changed"):
        soft(z, x)


@pytest.mark.parametrize("use", ["codes", "simplex", "behind"])
def test_a_part_that_trains_again_is_refused(softened, use):
    z, rows = points(6), rows_of(6)
    hidden = softened.first_layer(torch.cat([softened.embedding(z), rows.continuous], dim=1))
    softened.net.body.train()
    given = {"codes": rows.codes, "simplex": z}
    with pytest.raises(NotFollowed, match="it trains"):
        softened.behind(hidden) if use == "behind" else softened(given[use], rows.continuous)


def test_a_part_past_the_first_layer_that_few_numbers_show_forbids_it():
    net = net_of(lambda s, q: s.embeddings(q))
    net.forward = lambda q, x: net.body(torch.cat([net.read(q), x], dim=1)) + (x - 4).relu()
    soft = soften(net, rows_of(99), K)
    assert soft.first_layer is None


@pytest.mark.parametrize("leak", [1e-4, 1e-6])
def test_a_small_leak_in_a_net_of_narrow_floats_is_no_rounding(leak):
    net = freeze(Net().float())
    net.read = (lambda s, q: s.embeddings(q) + q[:, :1] * leak).__get__(net)
    with pytest.raises(NotFollowed, match="past the 4 lookups"):
        soften(net, rows_of(300, dtype=torch.float32), K)


def test_a_small_output_is_not_hidden_by_a_large_one():
    net = net_of(lambda s, q: s.embeddings(q))
    net.forward = lambda q, x: torch.stack(
        [
            1e9 * net.body(torch.cat([net.read(q), x], dim=1))[:, 0],
            net.read(q)[:, 0] + 0.1 * q[:, 1],
        ],
        dim=1,
    )
    with pytest.raises(NotFollowed, match="another output than the code"):
        soften(net, rows_of(300), K)


def test_a_call_that_changes_the_net_is_refused():
    net = net_of(lambda s, q: s.embeddings(q))
    net.register_buffer("calls", torch.zeros(()))

    def forward(q, x):
        net.calls = net.calls + 1
        return net.body(torch.cat([net.read(q), x], dim=1))

    net.forward = forward
    with pytest.raises(NotFollowed, match="changes 'calls'"):
        soften(net, rows_of(99), K)


def test_a_net_that_returns_fewer_rows_is_refused():
    net = net_of(lambda s, q: s.embeddings(q))
    net.forward = lambda q, x: net.body(torch.cat([net.read(q), x], dim=1))[1:]
    with pytest.raises(NotFollowed, match=r"returns \(98, 2\) for 99 rows, not one each"):
        soften(net, rows_of(99), K)


def test_what_is_tried_in_place_of_a_code_is_another_one_wherever_there_is_another():
    K = (1, 2, 3, 50)
    probe = Probe(nn.Identity(), lambda *_: None, "abcd", K, torch.zeros(300, 0))
    codes = rows_of(300, cardinalities=K).codes
    others = probe.others(codes)
    assert torch.equal(others == codes, torch.tensor([True, False, False, False]).expand(300, 4))
    assert ((others >= 0) & (others < torch.tensor(K))).all()
    every = probe.every(51)
    assert [len(every[:, c].unique()) for c in range(4)] == [1, 2, 3, 50]


def test_a_net_that_fails_on_codes_that_no_row_has_is_refused():
    net, rows = net_of(lambda s, q: s.embeddings(q.where(q != 6, 99))), rows_of(300)
    rows.codes.clamp_(max=5)
    with pytest.raises(NotFollowed, match=r"fails on some codes.*out of range"):
        soften(net, rows, K)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda s, q: s.embeddings(q) + s.wide(q).sum(1).repeat(1, C), "looks up otherwise"),
        (lambda s, q: torch.cat([s.embeddings(q)[:, :9], s.tables[0](q[:, 0])], 1), "otherwise"),
        (lambda s, q: s.tables[0](q[:, 0]).repeat(1, C), "makes 1 lookups, not 4"),
        (lambda s, q: s.bag(q + s.starts).repeat(1, C), "looks up otherwise"),
    ],
)
def test_a_net_that_looks_up_more_or_less_than_it_did_is_refused(softened, read, message):
    softened.net.read = read.__get__(softened.net)
    with pytest.raises(NotFollowed, match=message):
        softened(points(6), rows_of(6).continuous)


def test_what_a_net_has_not_is_told_where_it_is_asked_for():
    soft, x = soften(frozen("one-hot"), rows_of(99), K), rows_of(6).continuous
    with pytest.raises(TypeError, match="one table a column: 'column 0' is read by one_hot"):
        soft.embedded(torch.zeros(6, 3 * C).double(), x)
    with pytest.raises(TypeError, match=r"needs net1\.first_layer: 'column 0' is read by one_hot"):
        soft.behind(torch.zeros(6, 8).double())
    with pytest.raises(ValueError, match="no categorical column"):
        soften(frozen(), Rows(torch.zeros(9, 0).long(), rows_of(9).continuous), [])


class Twice(torch.autograd.Function):
    """A way back of its own, that is not the function's."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, slope):
        return 2 * slope


class Never(Twice):
    @staticmethod
    def backward(context, slope):
        raise RuntimeError("there is no way back")


@pytest.mark.parametrize(
    ("part", "message"),
    [(Twice, "the gradient is not the slope"), (Never, "the way back fails, there is no way back")],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gradient_of_its_own_that_is_not_the_slope_is_refused(part, message, dtype):
    net = net_of(lambda s, q: part.apply(s.embeddings(q))).to(dtype)
    with pytest.raises(NotFollowed, match=message):
        soften(net, rows_of(300, dtype=dtype), K)


def test_no_rows_give_no_rows(softened):
    assert softened(points(0), torch.zeros(0, N).double()).shape == (0, 2)


def test_it_is_made_under_no_grad_and_kept_by_pickle():
    with torch.no_grad():
        soft = soften(freeze(Net().double()), rows_of(99), K)
    x = rows_of(6).continuous
    torch.testing.assert_close(pickle.loads(pickle.dumps(soft))(points(6), x), soft(points(6), x))


def test_its_tables_and_first_layer_are_shown_where_it_has_them(softened):
    z, x = points(6), rows_of(6).continuous
    net, e = softened.net, softened.embedding(z)
    expected = torch.cat([b @ t.weight for b, t in zip(blocks(z, K), net.tables, strict=True)], 1)
    torch.testing.assert_close(e, expected)
    torch.testing.assert_close(softened.embedded(e, x), net.mixed(z, x))
    hidden = softened.first_layer(torch.cat([e, x], dim=1))
    torch.testing.assert_close(hidden, net.body[0](torch.cat([e, x], dim=1)))
    torch.testing.assert_close(softened.behind(hidden), net.mixed(z, x))
    torch.testing.assert_close(softened.behind(hidden[:, None]), net.mixed(z, x)[:, None])
    text = repr(softened)
    assert "tables.2.weight: column 2: rows 0..6  [" in text


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("one-hot", "is read by one_hot at"),
        ("two reads of a column", "'column 0' is read by tables.0.weight at .*, wide.weight at"),
    ],
)
def test_a_column_that_has_not_one_table_is_told_where_one_is_needed(name, why):
    soft = soften(frozen(name), rows_of(99), K)
    assert soft.embedding is None
    assert soft.first_layer is None
    data = tabkit.planted(60, categorical=2, continuous=1)
    with pytest.raises(TypeError, match=why):
        tabkit.RowPredictor(data.signal.shape[1], soft, head="embedding")


def test_the_first_layer_need_not_be_the_first_linear_one():
    net = net_of(lambda s, q: s.embeddings(q), made={"aside": nn.Linear(N, 3)})
    net.forward = lambda q, x: (net.aside(x), net.body(torch.cat([net.read(q), x], dim=1)))[1]
    soft = soften(net, rows_of(99), K)
    assert torch.equal(soft.first_layer.weight, net.body[0].weight)


def test_a_first_layer_without_bias_has_none():
    net = net_of(lambda s, q: s.embeddings(q))
    net.body[0] = freeze(nn.Linear(3 * C + N, 8, bias=False).double())
    soft = soften(net, rows_of(99), K)
    assert soft.first_layer.bias is None
    x = rows_of(6).continuous
    hidden = soft.first_layer(torch.cat([soft.embedding(points(6)), x], dim=1))
    torch.testing.assert_close(soft.behind(hidden), net.mixed(points(6), x))


def test_something_that_passes_the_first_layer_by_forbids_it():
    net = net_of(lambda s, q: s.embeddings(q))
    net.forward = lambda q, x: net.body(torch.cat([net.read(q), x], dim=1)) + x
    soft = soften(net, rows_of(99), K)
    assert soft.embedding is not None
    assert soft.first_layer is None


BAD = {
    "no module": (lambda: abs, rows_of(9), K, TypeError, "Module"),
    "it trains": (lambda: Net().double(), rows_of(9), K, NotFollowed, "tabkit.freeze"),
    "a part of it is in training mode": (
        lambda: freeze(Net().double()).apply(nn.Module.train), rows_of(9), K, NotFollowed,
        "still trains: a module of it is in training mode",
    ),
    "other columns": (frozen, rows_of(9), K[:3], ValueError, r"codes \(B, 3\)"),
    "a code too large": (frozen, rows_of(99), (5, 3, 6, 4), ValueError, "lies in 0 to 5"),
    "no rows": (frozen, rows_of(9)[:0], K, ValueError, "at least 1"),
    "another call": (
        lambda: freeze(nn.Bilinear(2, 2, 2)), rows_of(9), K, NotFollowed, "give call="
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_told_at_once(name):
    make, rows, cardinalities, error, message = BAD[name]
    with pytest.raises(error, match=message):
        soften(make(), rows, cardinalities)


def test_a_net_that_returns_several_is_told_to_pick_one():
    net = net_of(lambda s, q: s.embeddings(q))
    net.forward = lambda q, x: (net.body(torch.cat([net.read(q), x], dim=1)), q)
    with pytest.raises(NotFollowed, match=r"returns a tuple.*call="):
        soften(net, rows_of(9), K)
    soft = soften(net, rows_of(9), K, lambda net, q, x: net(q, x)[0])
    assert soft(points(2), rows_of(2).continuous).shape == (2, 2)


def test_columns_are_called_by_their_names(dataset):
    class Crossed(nn.Module):
        def __init__(self, cardinalities):
            super().__init__()
            self.table = nn.Embedding(cardinalities[0] * cardinalities[1], 2)

        def forward(self, q, x):
            return self.table(q[:, 0] * cardinalities[1] + q[:, 1])

    cardinalities = dataset.schema.cardinalities
    net = freeze(Crossed(cardinalities))
    with pytest.raises(
        NotFollowed, match="columns 'c00' and 'c01' meet in one index, in embedding"
    ):
        soften(net, dataset.rows, dataset.schema)
