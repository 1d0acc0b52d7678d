"""All columns at once give what each gives alone; oracles are torch's own, column by column."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tabkit import relaxations
from tabkit.relaxations import argmax_blocks, softmax_blocks
from tabkit.relaxations.ragged import pad, unpad

CARDINALITIES = (3, 1, 4, 2, 4)
F = sum(CARDINALITIES)
WHOLE = [n for n in relaxations.names() if isinstance(relaxations.make(n), relaxations.WholeRow)]


def normal(*shape, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


def by_column(function, values):
    return torch.cat([function(block) for block in values.split(CARDINALITIES, 1)], 1)


def vertex(block):
    return torch.nn.functional.one_hot(block.argmax(1), block.shape[1]).to(block.dtype)


def feature_major(values):
    """The same values, column after column in memory."""
    return values.T.contiguous().T


@given(scale=st.sampled_from([1e-3, 1.0, 1e3, 1e150]), seed=st.integers(0, 2**31))
def test_softmax_and_its_gradient_are_those_of_each_column(scale, seed):
    logits = normal(7, F, seed=seed, scale=scale).requires_grad_()
    found, expected = (
        softmax_blocks(logits, CARDINALITIES),
        by_column(lambda b: b.softmax(1), logits),
    )
    torch.testing.assert_close(found, expected)
    slope = normal(7, F, seed=1)
    torch.testing.assert_close(
        torch.autograd.grad(found, logits, slope), torch.autograd.grad(expected, logits, slope)
    )


def test_softmax_can_be_differentiated_twice():
    logits = normal(2, F).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: softmax_blocks(x, CARDINALITIES), logits)
    assert torch.autograd.gradgradcheck(lambda x: softmax_blocks(x, CARDINALITIES), logits)


@pytest.mark.parametrize("function", [softmax_blocks, argmax_blocks])
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_the_order_in_memory_makes_no_difference(function, rows):
    values = normal(rows, F)
    found = function(values, CARDINALITIES), function(feature_major(values), CARDINALITIES)
    assert torch.equal(*found)
    assert found[0].shape == (rows, F)


def test_the_argmax_is_that_of_each_column():
    values = normal(50, F)
    assert torch.equal(argmax_blocks(values, CARDINALITIES), by_column(vertex, values))


def test_of_equal_values_one_is_taken():
    values = normal(50, F).round()  # full of ties
    hot = argmax_blocks(values, CARDINALITIES)
    for block, place in zip(
        values.split(CARDINALITIES, 1), hot.split(CARDINALITIES, 1), strict=True
    ):
        assert ((place == 0) | (place == 1)).all() and (place.sum(1) == 1).all()
        assert torch.equal((block * place).sum(1), block.amax(1))


@pytest.mark.parametrize("function", [softmax_blocks, argmax_blocks])
def test_blocks_that_do_not_sum_to_the_row_are_refused(function):
    with pytest.raises(ValueError, match=r"14 wide.*sum to 13"):
        function(normal(2, F), (13,))


def test_padding_side_by_side_is_what_a_gpu_computes():
    values = normal(6, F)
    padded = pad(values, CARDINALITIES, -torch.inf)
    assert padded.shape == (6, len(CARDINALITIES), 4)
    assert torch.equal(unpad(padded, CARDINALITIES), values)
    found = unpad(padded.softmax(2), CARDINALITIES)
    torch.testing.assert_close(found, softmax_blocks(values, CARDINALITIES))


@pytest.mark.parametrize("name", WHOLE)
def test_a_batch_in_parts_gets_the_noise_of_the_whole(name):
    logits, relaxation = normal(9, F), relaxations.make(name)
    whole, parts = (torch.Generator().manual_seed(3) for _ in range(2))
    at_once = relaxation(logits, cardinalities=CARDINALITIES, generator=whole)
    in_parts = [
        relaxation(part, cardinalities=CARDINALITIES, generator=parts) for part in logits.split(4)
    ]
    torch.testing.assert_close(torch.cat(in_parts), at_once)


def test_the_whole_row_relaxations_are_those_that_training_uses_most():
    assert {"softmax", "gumbel_softmax", "straight_through_gumbel"} < set(WHOLE)
