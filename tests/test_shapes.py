"""The cheaper check of shapes refuses what jaxtyping's own refuses, and tabkit is checked by it."""

from collections.abc import Iterator
from dataclasses import dataclass

import jaxtyping
import pytest
import torch
from beartype import beartype
from jaxtyping import Float, TypeCheckError
from shapes import PLAIN, once
from torch import Tensor

from tabkit import simplex

Rows = Float[Tensor, "B F"]


@pytest.fixture(params=[once, PLAIN], ids=["once", "plain"])
def checked(request):
    return request.param(typechecker=beartype)


def test_tabkit_is_checked_by_it():
    assert jaxtyping.jaxtyped is once
    assert simplex.softmax.__code__.co_name == "wrapped"
    with pytest.raises(TypeCheckError):
        simplex.softmax(torch.zeros(2, 3, dtype=torch.int64), (3,))


def made_of(body):
    def function(x: Rows) -> Rows:
        return body(x)

    return function


GOOD, BAD = torch.zeros(2, 3), (torch.zeros(2), torch.zeros(2, 3).long(), "a")


def test_arguments_and_what_is_returned_are_of_their_kind(checked):
    whole, lost = checked(made_of(lambda x: x)), checked(made_of(lambda x: x[0]))
    assert whole(GOOD) is GOOD
    for bad in BAD:
        with pytest.raises(TypeCheckError, match="x"):
            whole(bad)
    with pytest.raises(TypeCheckError, match="return"):
        lost(GOOD)


def test_a_letter_is_one_size_in_a_call_and_free_in_the_next(checked):
    @checked
    def inner(x: Rows) -> Float[Tensor, " B"]:
        return x[:, 0]

    @checked
    def outer(x: Rows, y: Rows) -> Float[Tensor, "B F+1"]:
        inner(x.T)  # other letters than those of its caller
        return torch.cat([x, y[:, :1]], dim=1) if len(x) > 1 else x

    outer(GOOD, GOOD)
    outer(GOOD.T, GOOD.T)
    with pytest.raises(TypeCheckError):
        outer(GOOD, GOOD.T)
    with pytest.raises(TypeCheckError, match="return"):
        outer(GOOD[:1], GOOD[:1])
    assert inner(GOOD).shape == (2,)


def test_fields_methods_and_generators_are_checked_too(checked):
    @checked
    @dataclass
    class Pair:
        one: Rows
        other: Rows

    Pair(GOOD, GOOD)
    with pytest.raises(TypeCheckError):
        Pair(GOOD, GOOD.T)

    class Holder:
        @property
        @checked
        def size(self) -> int:
            return "two"

    with pytest.raises(TypeCheckError):
        _ = Holder().size

    @checked
    def each(x: Rows) -> Iterator[Rows]:
        yield x

    assert next(each(GOOD)) is GOOD
    with pytest.raises(TypeCheckError):  # before the first is asked for
        each(BAD[0])


def test_other_errors_come_through_as_they_are(checked):
    @checked
    def fails(x: Rows) -> Rows:
        raise KeyError("its own")

    with pytest.raises(KeyError, match="its own"):
        fails(GOOD)
