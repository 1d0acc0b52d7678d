"""What `fast.padded` is made of, by kernels of our own: Triton, which torch brings for CUDA.

**Formula:** ``softmax(logits / tau)``, the vertex of the largest, ``p * (v - (p * v).sum())``, of
each block.
**Faster:** one kernel in place of five to eight, which reads a block where it lies; nothing is
padded, laid out or kept for the way back but the shares.
**Pays:** on CUDA, for blocks of up to some thousand categories in float32 or narrower.
"""

from functools import cache
from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int32
from torch import Tensor

from tabkit.simplex import Tau, tempered

ROWS, MOST = 32, 4096  # of a tile; categories of a block, over which a program goes one by one
COLUMNS = 65_535  # programs side by side
TYPES = (torch.float32, torch.float16, torch.bfloat16)


def pays(values: Tensor, cardinalities: tuple[int, ...]) -> bool:
    """For what is as narrow as that; the rest is padded."""
    small = max(cardinalities) <= MOST and len(cardinalities) <= COLUMNS
    return values.dtype in TYPES and small and values.numel() > 0


def relaxed(
    values: Float[Tensor, "B F"],
    cardinalities: tuple[int, ...],
    tau: Tau = 1.0,
    *,
    soft: bool = True,
    hard: bool = True,
) -> tuple[Float[Tensor, "B F"] | None, Float[Tensor, "B F"] | None]:
    """Each block's softmax at temperature tau, and the vertex of its largest value; or one."""
    shares, vertices = (values.new_empty(values.shape[::-1]).T if x else None for x in (soft, hard))
    held = isinstance(tau, Tensor)
    tempered(values[:0], tau)  # refuses what is out of range
    launch, options = _launch(values, cardinalities)
    given = [values, shares, vertices, options.pop("starts")]
    given.append(tau.to(values.device) if held else float(tau))
    with torch.cuda.device_of(values):
        _relax[launch](*given, len(values), *values.T.stride(), soft, hard, held, **options)
    return shares, vertices


def product(
    p: Float[Tensor, "B F"], v: Float[Tensor, "B F"], cardinalities: tuple[int, ...]
) -> Float[Tensor, "B F"]:
    """The softmax's Jacobian at p times v, in each block."""
    found = v.new_empty(v.shape[::-1]).T
    launch, options = _launch(v, cardinalities)
    given = [p, v, found, options.pop("starts"), len(v), *p.T.stride(), *v.T.stride()]
    with torch.cuda.device_of(v):
        _multiply[launch](*given, **options)
    return found


def _launch(
    values: Float[Tensor, "B F"], cardinalities: tuple[int, ...]
) -> tuple[tuple[int, int], dict[str, Any]]:
    """A program for some rows of a column, and the sizes of its tile."""
    most = max(cardinalities)
    K = min(64, triton.next_power_of_2(most))
    sizes = {"K": K, "TILES": triton.cdiv(most, K), "ROWS": ROWS}
    sizes["starts"] = _starts(cardinalities, values.device)
    return (triton.cdiv(len(values), ROWS), len(cardinalities)), sizes


@cache  # a graph may hold its place
def _starts(cardinalities: tuple[int, ...], device: torch.device) -> Int32[Tensor, " _"]:
    """Where each block begins, and the end."""
    return torch.tensor((0, *cardinalities)).cumsum(0).int().to(device)


@triton.jit
@no_type_check  # or jaxtyping's import hook would wrap what Triton reads
def _tile(start, end, rows, B, K: tl.constexpr):
    """Its features, its rows, and which of them there are."""
    f = start + tl.arange(0, K).to(tl.int64)[:, None]
    return f, rows[None, :], (f < end) & (rows[None, :] < B)


@triton.jit
@no_type_check
def _read(values, f, row, inside, by_feature, by_row, other):
    place = values + f * by_feature + row * by_row
    return tl.load(place, mask=inside, other=other).to(tl.float32)


@triton.jit(do_not_specialize=["B", "by_feature"])  # or each size would be compiled anew
@no_type_check
def _relax(
    values,
    shares,
    vertices,
    starts,
    tau,
    B,
    by_feature,
    by_row,
    SOFT: tl.constexpr,
    HARD: tl.constexpr,
    HELD: tl.constexpr,
    K: tl.constexpr,
    TILES: tl.constexpr,
    ROWS: tl.constexpr,
):
    first, end = tl.load(starts + tl.program_id(1)), tl.load(starts + tl.program_id(1) + 1)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS).to(tl.int64)
    top = tl.full((ROWS,), -float("inf"), tl.float32)
    best = tl.zeros((ROWS,), tl.int64) + first
    for tile in range(TILES):
        f, row, inside = _tile(first + tile * K, end, rows, B, K)
        x = _read(values, f, row, inside, by_feature, by_row, -float("inf"))
        largest, at = tl.max(x, axis=0, return_indices=True)
        best = tl.where(largest > top, first + tile * K + at, best)
        top = tl.maximum(top, largest)
    warmth = tl.load(tau).to(tl.float32) if HELD else tau
    total = tl.zeros((ROWS,), tl.float32)
    for tile in range(TILES if SOFT else 0):
        f, row, inside = _tile(first + tile * K, end, rows, B, K)
        x = _read(values, f, row, inside, by_feature, by_row, -float("inf"))
        total += tl.sum(tl.exp((x - top[None, :]) / warmth), axis=0)
    for tile in range(TILES):
        f, row, inside = _tile(first + tile * K, end, rows, B, K)
        if SOFT:
            x = _read(values, f, row, inside, by_feature, by_row, -float("inf"))
            share = tl.exp((x - top[None, :]) / warmth) / total[None, :]
            tl.store(shares + f * B + row, share, mask=inside)
        if HARD:
            tl.store(vertices + f * B + row, (f == best[None, :]).to(tl.float32), mask=inside)


@triton.jit(do_not_specialize=["B", "pf", "vf"])
@no_type_check
def _multiply(
    p, v, found, starts, B, pf, pr, vf, vr, K: tl.constexpr, TILES: tl.constexpr, ROWS: tl.constexpr
):
    first, end = tl.load(starts + tl.program_id(1)), tl.load(starts + tl.program_id(1) + 1)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS).to(tl.int64)
    mean = tl.zeros((ROWS,), tl.float32)
    for tile in range(TILES):
        f, row, inside = _tile(first + tile * K, end, rows, B, K)
        share = _read(p, f, row, inside, pf, pr, 0.0)
        mean += tl.sum(share * _read(v, f, row, inside, vf, vr, 0.0), axis=0)
    for tile in range(TILES):
        f, row, inside = _tile(first + tile * K, end, rows, B, K)
        share, value = _read(p, f, row, inside, pf, pr, 0.0), _read(v, f, row, inside, vf, vr, 0.0)
        tl.store(found + f * B + row, share * (value - mean[None, :]), mask=inside)
