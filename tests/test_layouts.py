"""All layouts are one embedding: the lookup for codes, the product for a simplex, to rounding."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from tabkit.embedding import layouts
from tabkit.schema import DataError, argmax_codes, one_hot_simplex, split_blocks

COLUMNS = {  # cardinalities and widths
    "alike": ((4, 4, 4), (3, 3, 3)),
    "unlike": ((5, 2, 7, 2, 1, 7), (3, 3, 3, 3, 3, 3)),
    "one column": ((6,), (2,)),
    "one category": ((1,), (2,)),
    "all of one category": ((1, 1, 1), (2, 2, 2)),
    "one large": ((2, 150, 3), (4, 4, 4)),
    "unequal widths": ((5, 2, 5, 3, 2), (3, 1, 2, 3, 1)),
}
KNOBS = {
    "bucketed": [{"spread": 1.5}, {"spread": 100.0}],
    "grouped_block_diagonal": [{"columns": 1}, {"columns": 9}, {"columns": 9, "features": 7}],
}
ONE_WIDTH = ["padded", "embedding_bag", "fused"]
CODES_ONLY = ["index", "fused"]
B = 9


def cases(kind=None):
    """Every layout with every set of its knobs, on every set of columns that it can hold."""
    for name in layouts.names():
        for columns, (cardinalities, widths) in COLUMNS.items():
            if (kind == "simplex" and name in CODES_ONLY) or (
                name in ONE_WIDTH and len(set(widths)) > 1
            ):
                continue
            for knobs in [{}, *KNOBS.get(name, [])]:
                label = "-".join([name, *(f"{k}={v}" for k, v in knobs.items()), columns])
                yield pytest.param(layouts.make(name, cardinalities, widths, **knobs), id=label)


every_layout = pytest.mark.parametrize("layout", list(cases()))
soft_layout = pytest.mark.parametrize("layout", list(cases("simplex")))


def tables_of(layout, *, dtype=torch.float64, seed=1):
    generator = torch.Generator().manual_seed(seed)
    shapes = zip(layout.cardinalities, layout.widths, strict=True)
    drawn = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [table.to(dtype).requires_grad_() for table in drawn]


def codes_of(layout, rows=B):
    """Every code of a column occurs, if there are rows enough."""
    columns = [(torch.arange(rows) * 3 + c) % k for c, k in enumerate(layout.cardinalities)]
    return torch.stack(columns, dim=1)


def simplex_of(layout, rows=B, *, dtype=torch.float64, zeros=False):
    generator = torch.Generator().manual_seed(2)
    F = sum(layout.cardinalities)
    logits = 2 * torch.randn(rows, F, generator=generator, dtype=torch.float64)
    if zeros:  # all but the largest share of a block, in every second row
        logits[::2] = one_hot_simplex(argmax_codes(logits, layout.cardinalities)[::2],
                                      layout.cardinalities, dtype=logits.dtype).log()  # fmt: skip
    blocks = split_blocks(logits, layout.cardinalities)
    return torch.cat([b.softmax(dim=1) for b in blocks], dim=1).to(dtype)


def feature_major(simplex):
    """The same simplex, as the transposed view of a contiguous (F, B) tensor."""
    return simplex.T.contiguous().T


def part_of_wider(simplex):
    """The same simplex, as some columns of a wider tensor."""
    return torch.cat([simplex, simplex], dim=1)[:, : simplex.shape[1]]


def by_column(layout, simplex, tables):
    """The oracle: per-column products in float64."""
    blocks = simplex.double().split(layout.cardinalities, dim=1)
    return torch.cat([b @ t.double() for b, t in zip(blocks, tables, strict=True)], dim=1)


def loss_of(embedded):
    """Not linear, so that gradients differ between rows and columns."""
    return (embedded.double().sin() * torch.arange(1.0, 1 + embedded.shape[1])).sum()


def tolerance(dtype):
    return {"rtol": 30 * torch.finfo(dtype).eps, "atol": 30 * torch.finfo(dtype).eps}


@every_layout
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_codes_give_the_rows_of_the_tables_bitwise(layout, dtype):
    """A one-hot's product is exact, for the other terms are 0."""
    tables, codes = tables_of(layout, dtype=dtype), codes_of(layout)
    looked_up = torch.cat([t[codes[:, c]] for c, t in enumerate(tables)], dim=1)
    assert torch.equal(layout(codes, tables), looked_up)


@soft_layout
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_one_hot_simplex_gives_the_rows_of_the_tables_bitwise(layout, dtype):
    tables, codes = tables_of(layout, dtype=dtype), codes_of(layout)
    hot = one_hot_simplex(codes, layout.cardinalities, dtype=dtype)
    assert torch.equal(layout(hot, tables), layout(codes, tables))


@soft_layout
@pytest.mark.parametrize("in_memory", [torch.clone, feature_major, part_of_wider])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_simplex_gives_the_products_of_the_columns(layout, in_memory, dtype):
    tables = tables_of(layout, dtype=dtype)
    simplex = in_memory(simplex_of(layout, dtype=dtype))
    mixed = layout(simplex, tables)
    assert mixed.dtype == dtype
    expected = by_column(layout, simplex, tables)
    torch.testing.assert_close(mixed.double(), expected, **tolerance(dtype))


@soft_layout
@pytest.mark.parametrize("in_memory", [torch.clone, feature_major, part_of_wider])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_those_of_the_products_shares_of_0_included(layout, in_memory, dtype):
    tables = tables_of(layout, dtype=dtype)
    simplex = in_memory(simplex_of(layout, dtype=dtype, zeros=True)).requires_grad_()
    given = torch.autograd.grad(loss_of(layout(simplex, tables)), [simplex, *tables])
    expected = torch.autograd.grad(loss_of(by_column(layout, simplex, tables)), [simplex, *tables])
    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e3 * torch.finfo(dtype).eps,
                                   atol=1e3 * torch.finfo(dtype).eps)  # fmt: skip


@every_layout
def test_tables_get_the_lookups_gradient_from_codes(layout):
    tables, codes = tables_of(layout), codes_of(layout)
    looked_up = torch.cat([t[codes[:, c]] for c, t in enumerate(tables)], dim=1)
    given = torch.autograd.grad(loss_of(layout(codes, tables)), tables)
    for one, other in zip(given, torch.autograd.grad(loss_of(looked_up), tables), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@soft_layout
def test_gradients_pass_gradcheck(layout):
    if sum(layout.cardinalities) > 50:
        pytest.skip("a finite difference for each of 1,000 numbers")
    simplex = simplex_of(layout, rows=2).requires_grad_()
    assert gradcheck(lambda s, *tables: layout(s, tables), (simplex, *tables_of(layout)))


@soft_layout
def test_frozen_tables_are_prepared_once(layout):
    """And every batch then has its own gradient, as with tables prepared anew."""
    frozen = [table.detach() for table in tables_of(layout)]
    operand = layout.prepare(frozen)
    for rows in (B, 1, 4):
        simplex = simplex_of(layout, rows).requires_grad_()
        once = layout.mix(layout.pack(simplex), operand)
        assert torch.equal(once, layout(simplex, frozen))
        (given,) = torch.autograd.grad(loss_of(once), simplex)
        (expected,) = torch.autograd.grad(loss_of(by_column(layout, simplex, frozen)), simplex)
        torch.testing.assert_close(given, expected, rtol=0, atol=1e-12)


@every_layout
def test_an_empty_batch_is_embedded(layout):
    tables = tables_of(layout)
    assert layout(codes_of(layout, 0), tables).shape == (0, sum(layout.widths))
    if "simplex" in layout.takes:
        simplex = simplex_of(layout, 0).requires_grad_()
        mixed = layout(simplex, tables)
        assert mixed.shape == (0, sum(layout.widths))
        (gradient,) = torch.autograd.grad(mixed.sum(), simplex)
        assert gradient.shape == simplex.shape


@soft_layout
def test_a_column_that_is_not_finite_spoils_no_other(layout):
    """Padding is no way from column to column. Matrices with zeros are one: NaN times 0 is NaN."""
    if layout.name in ("block_diagonal", "grouped_block_diagonal", "sparse"):
        pytest.skip("multiplies other columns' shares with 0")
    simplex = simplex_of(layout)
    simplex[:, : layout.cardinalities[0]] = math.nan
    mixed = layout(simplex, tables_of(layout))
    assert mixed[:, : layout.widths[0]].isnan().all()
    assert mixed[:, layout.widths[0] :].isfinite().all()


@pytest.mark.parametrize("name", ["sparse", "embedding_bag"])
def test_codes_are_packed_sparsely(name):
    """A code costs one entry, however many categories there are."""
    layout = layouts.make(name, (1_000_000, 3), (2, 2))
    packed = layout.pack(torch.tensor([[999_999, 2]]))
    assert (packed._nnz() if name == "sparse" else len(packed[0])) == 2


def test_torchs_own_sparse_product_loses_the_gradient_of_shares_of_0():
    """Why `sparse` does not use it; if this fails, torch has changed."""
    simplex = torch.tensor([[0.0, 1.0]], requires_grad=True)
    table = torch.ones(2, 1)
    (lost,) = torch.autograd.grad(torch.sparse.mm(simplex.to_sparse(), table).sum(), simplex)
    (kept,) = torch.autograd.grad((simplex.to_sparse() @ table).sum(), simplex)
    assert lost.tolist() == [[0.0, 1.0]]
    assert kept.tolist() == [[1.0, 1.0]]


def test_knobs_decide_which_columns_share_a_product():
    cardinalities, widths = (4, 9, 4, 5), (2, 2, 2, 2)

    def shapes(name, **knobs):
        layout = layouts.make(name, cardinalities, widths, **knobs)
        return [tuple(w.shape) for w in layout.prepare(tables_of(layout))]

    assert shapes("padded") == [(4, 9, 2)]
    assert shapes("bucketed") == [(2, 4, 2), (1, 5, 2), (1, 9, 2)]
    assert shapes("bucketed", spread=1.25) == [(3, 5, 2), (1, 9, 2)]
    assert shapes("grouped_block_diagonal") == [(13, 4), (9, 4)]
    assert shapes("grouped_block_diagonal", columns=9) == [(22, 8)]
    assert shapes("grouped_block_diagonal", columns=3) == [(17, 6), (5, 2)]
    assert shapes("grouped_block_diagonal", columns=9, features=17) == [(17, 6), (5, 2)]
    assert shapes("grouped_block_diagonal", columns=9, features=16) == [(13, 4), (9, 4)]
    assert shapes("grouped_block_diagonal", features=1) == shapes("slices")
    assert shapes("grouped_block_diagonal", columns=1) == shapes("slices")


def test_columns_in_place_are_not_copied():
    simplex = torch.rand(3, 8)
    for name in ("slices", "padded", "bucketed", "block_diagonal", "grouped_block_diagonal"):
        assert layouts.make(name, (4, 4), (2, 2)).pack(simplex) is simplex


def test_an_index_is_copied_to_a_device_once():
    index = layouts.DeviceIndex([2, 0])
    there = index.on(torch.device("meta"))
    assert there.device.type == "meta"
    assert index.on(torch.device("meta")) is there


@pytest.mark.parametrize("name", CODES_ONLY)
def test_a_simplex_where_codes_belong_is_refused(name):
    layout = layouts.make(name, (2, 3), (2, 2))
    with pytest.raises(TypeError, match=f"'{name}' takes codes, not a simplex; .*'slices'"):
        layout.pack(torch.rand(1, 5))


@pytest.mark.parametrize("name", ONE_WIDTH)
def test_columns_of_many_widths_are_refused_where_one_is_needed(name):
    with pytest.raises(ValueError, match=rf"'{name}' needs .* not \(2, 4\); .*'slices'"):
        layouts.make(name, (2, 3), (2, 4))


@pytest.mark.parametrize(
    ("name", "knobs", "message"),
    [
        ("lists", {}, "no layout is called 'lists'; there are .*slices"),
        ("padded", {"spread": 2}, "padded has no knob 'spread'; it has: no knobs"),
        ("bucketed", {"spred": 2}, "bucketed has no knob 'spred'; it has: spread"),
        ("bucketed", {"spread": 0.5}, "spread .* not 0.5"),
        ("bucketed", {"spread": math.nan}, "spread .* not nan"),
        ("grouped_block_diagonal", {"columns": 0}, "columns .* not 0"),
        ("grouped_block_diagonal", {"features": 0}, "features .* not 0"),
    ],
)
def test_bad_names_and_knobs_are_refused(name, knobs, message):
    with pytest.raises(ValueError, match=message):
        layouts.make(name, (2, 3), (2, 2), **knobs)


@pytest.mark.parametrize("name", layouts.names())
def test_what_is_not_of_the_columns_is_refused(name):
    with pytest.raises(ValueError, match=r"cardinalities .* not \(2, 0\)"):
        layouts.make(name, (2, 0), (2, 2))
    with pytest.raises(ValueError, match=r"2 columns need as many widths >= 1, not \(2,\)"):
        layouts.make(name, (2, 3), (2,))
    layout = layouts.make(name, (2, 3), (2, 2))
    with pytest.raises(ValueError, match=r"shapes are \(\(3, 2\), \(2, 2\)\), not"):
        layout.prepare([torch.ones(3, 2), torch.ones(2, 2)])
    with pytest.raises(ValueError, match=r"simplex .* \(B, 5\), not \(4, 6\)"):
        layout.pack(torch.rand(4, 6))
    with pytest.raises(ValueError, match=r"codes .* \(B, 2\), not \(4, 3\)"):
        layout.pack(torch.zeros(4, 3, dtype=torch.int64))


def test_codes_that_become_one_hots_are_checked():
    with pytest.raises(DataError, match="lies in 0 to 2"):
        layouts.make("slices", (2, 3), (2, 2)).pack(torch.tensor([[0, 3]]))


def test_the_best_layout_takes_what_it_is_for():
    for cardinalities, widths in COLUMNS.values():
        for device in ("cpu", "cuda"):  # it need not be there
            for rows in (None, 1, 100_000):
                for kind in ("codes", "simplex"):
                    layout = layouts.best(
                        cardinalities, widths, kind=kind, device=device, rows=rows
                    )
                    assert kind in layout.takes
                    assert (layout.cardinalities, layout.widths) == (cardinalities, widths)


def test_the_best_layout_is_the_one_that_was_measured():
    def best(*columns, **where):
        layout = layouts.best(*columns, **where)
        return layout.name, getattr(layout, "columns", None)

    alike, large = (5, 8, 6), (2, 2, 2, 2, 2, 1000)
    assert best(alike, (2, 2, 2), kind="codes") == ("fused", None)
    assert best(alike, (2, 2, 3), kind="codes") == ("index", None)
    assert best(alike, (8, 8, 8)) == ("grouped_block_diagonal", 2)
    assert best(alike, (4, 8, 12)) == ("grouped_block_diagonal", 2)
    assert best(alike, (32, 32, 32)) == ("grouped_block_diagonal", 1)
    assert best(alike, (8, 8, 8), rows=32) == ("grouped_block_diagonal", 5)
    assert best(alike, (2, 2, 2), device="cuda") == ("padded", None)
    assert best(alike, (2, 2, 3), device="cuda") == ("bucketed", None)
    assert best(large, (2,) * 6, device="cuda") == ("bucketed", None)
    with pytest.raises(ValueError, match="not 'one_hot'"):
        layouts.best(alike, (2, 2, 2), kind="one_hot")
