"""`soften`: any trained net that takes integer codes, made to take simplexes, without touching it.

A net reads codes by lookups: an embedding, a one-hot, ``W[codes]``, a gather. `soften` watches
them (`lookups`), changes one column at a time to see which lookup reads which column, by which map
(`probing`, `rules`), answers each by the mixture of what it holds for each category (`mixing`),
and proves itself on real rows (`proving`).
"""

from collections.abc import Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from tabkit.schema import Rows, Schema, check_codes
from tabkit.soften.errors import NotFollowed
from tabkit.soften.probing import Call, Probe, explain
from tabkit.soften.proving import prove
from tabkit.soften.softened import STAND, Softened

MOST = 4096  # of the given rows those that are tried


def soften(
    net1: nn.Module, rows: Rows, schema: Schema | Sequence[int], call: Call | None = None
) -> Softened:
    """A module that takes simplexes where net1 took codes.

    Nothing of net1 is changed or copied: not its code, not its state, not a weight. By codes the
    result is net1; by a one-hot simplex it gives the same to float precision; between, each lookup
    gives the mixture of its rows, which is differentiable. It proves that on `rows` before it
    returns, and is a net1 like any other then.

    Parameters
    ----------
    net1
        Trained and frozen (`tabkit.freeze`).
    rows
        Real rows, as net1 knows them; a few hundred or more. The proof tries the first 4,096.
    schema
        A `Schema`, or the cardinality K of each categorical column.
    call
        ``call(net1, codes, continuous)`` returns the output, a tensor, from codes (B, C), 0 to
        K - 1 in each column, and numbers (B, N). ``net1(codes, continuous)`` if not given, or
        ``net1(codes)`` where there are no numbers. Codes may be shifted, split, cast and joined
        with the numbers on the way.

    Gradient
    --------
    Exact, of the mixture: for a table W that a column reads by its map, ``W[map] g``, summed over
    its lookups. Where a net multiplies two lookups of the same column, vertices agree and what lies
    between is this product of mixtures.

    Raises
    ------
    NotFollowed
        If codes reach the output in any other way (as numbers, by comparison, as a count, crossed
        with another column, by a branch), by an operation that torch's functions do not show
        (``torch.jit.script``, numpy, an ``autograd.Function``), or no gradient comes back. It says
        what, which column, where, and what to do.
    TypeError, ValueError
        If net1 is no module, still trains, or the rows do not fit the schema.

    Warns
    -----
    UserWarning
        If the output does not depend on a column.

    Notes
    -----
    What it cannot see: a condition on two columns at once, or on a code and a number (``if a == 3
    and x > 2``), that none of the rows meets; so give it many. Nor a condition on a certain number
    of rows, or on a certain one of them. Where torch compiles or maps it, that the net looks up as
    it did is not checked. A gradient that is right but for a thousandth passes.

    Examples
    --------
    >>> net = nn.Embedding(3, 2).requires_grad_(False).eval()
    >>> rows = Rows(torch.tensor([[0], [2], [1]]), torch.zeros(3, 0))
    >>> soft = soften(net, rows, [3], lambda net, codes, _: net(codes[:, 0]))
    >>> half = torch.tensor([[0.5, 0.5, 0.0]])
    >>> torch.allclose(soft(half, torch.zeros(1, 0)), net.weight[:2].mean(0))
    True
    """
    if not isinstance(net1, nn.Module):
        raise TypeError(f"net1 is a torch.nn.Module, not {type(net1).__name__}")
    trains = [name for name, p in net1.named_parameters() if p.requires_grad]
    if trains or any(m.training for m in net1.modules()):
        what = f"{trains[0]!r} has a gradient" if trains else "a module of it is in training mode"
        raise NotFollowed(f"net1 still trains: {what}. Remedy: tabkit.freeze(net1)")
    names, cardinalities = columns_of(schema)
    if not cardinalities:
        raise ValueError("there is no categorical column to soften")
    if len(rows) == 0 or rows.codes.shape[1] != len(cardinalities):
        raise ValueError(f"rows have codes (B, {len(cardinalities)}), B at least 1")
    check_codes(rows.codes, cardinalities)
    floats = [p for p in (*net1.parameters(), *net1.buffers()) if p.is_floating_point()]
    some = rows[:MOST].to(floats[0].device, floats[0].dtype) if floats else rows[:MOST]
    call = call or plain_call(some)
    before = {name: t.clone() for name, t in state_of(net1)}
    with torch.inference_mode(False), torch.enable_grad():
        soft = softened(net1, call, names, cardinalities, some)
    for name, t in state_of(net1):
        if name not in before or not torch.equal(before[name].nan_to_num(), t.nan_to_num()):
            raise NotFollowed(f"a call changes {name!r}: net1 is not frozen by freeze()")
    return soft


def softened(
    net1: nn.Module, call: Call, names: Sequence[str], cardinalities: Sequence[int], rows: Rows
) -> Softened:
    """What `soften` returns, explained and proved."""
    probe = Probe(net1, call, names, cardinalities, rows.continuous)
    check_output(probe, rows)
    try:
        rules, standing = explain(probe), probe.every(STAND)
        soft = Softened(net1, call, rules, names, cardinalities, standing, probe.numbers(STAND))
        prove(soft, probe, rows.codes)
    except NotFollowed:
        raise
    except Exception as error:
        raise NotFollowed(
            f"it fails on some codes or mixtures, {error!r}. Are all categories ones that net1 "
            "knows, and does it use what it looks up as numbers, in batches of any size?"
        ) from error
    return soft


def state_of(net: nn.Module) -> list[tuple[str, Tensor]]:
    """Parameters and buffers, by name."""
    return [*net.named_parameters(), *net.named_buffers()]


def columns_of(schema: Schema | Sequence[int]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names and cardinalities of the categorical columns."""
    if isinstance(schema, Schema):
        return tuple(c.name for c in schema.categorical), schema.cardinalities
    return tuple(f"column {c}" for c in range(len(schema))), tuple(map(int, schema))


def plain_call(rows: Rows) -> Call:
    """``net1(codes, continuous)``, or ``net1(codes)`` where there are no numbers."""
    return call_with_numbers if rows.continuous.shape[1] else call_without


def call_with_numbers(net: Any, codes: Tensor, continuous: Tensor) -> Any:
    """``net(codes, continuous)``."""
    return net(codes, continuous)


def call_without(net: Any, codes: Tensor, continuous: Tensor) -> Any:
    """``net(codes)``."""
    return net(codes)


def check_output(probe: Probe, rows: Rows) -> None:
    """Raises NotFollowed if net1 cannot be called like that, or returns no tensor of floats."""
    net1 = probe.net
    try:
        output = probe.record(rows.codes)[1]
    except Exception as error:
        wants = f"{type(net1).__name__}.forward{signature(net1.forward)}"
        raise NotFollowed(
            f"net1 does not take codes (B, C) and numbers (B, N) so: {error!r}. Remedy: give "
            f"call=, such as lambda net, codes, x: net(x, codes); {wants}"
        ) from error
    if not isinstance(output, Tensor) or not output.is_floating_point():
        raise NotFollowed(
            f"net1 returns {kind(output)}, not a tensor of floats. Remedy: pick one in call=, such "
            "as lambda net, codes, x: net(codes, x)[0]"
        )
    if len(output) != len(rows):
        raise NotFollowed(f"net1 returns {tuple(output.shape)} for {len(rows)} rows, not one each")


def kind(output: Any) -> str:
    return f"a {type(output).__name__}" if not isinstance(output, Tensor) else f"{output.dtype}"


__all__ = ["NotFollowed", "Softened", "soften"]
