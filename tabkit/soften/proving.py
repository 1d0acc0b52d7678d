"""The proof that a softened net is right: its value at vertices, its gradient, its stand-ins."""

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tabkit.simplex import blocks, one_hot
from tabkit.soften.errors import NotFollowed, place
from tabkit.soften.probing import Probe, tensors
from tabkit.soften.softened import Softened

TOGETHER, NUMBERS = 4096, 500_000  # rows in one call; numbers in the simplexes of one
DIRECTIONS, SLACK = 12, 1e-3  # in which slopes are measured; of the slope, by which they may miss
MOVES = {  # what takes numbers elsewhere without making others of them
    "_to_copy", "cat", "stack", "slice", "select", "view", "_unsafe_view", "reshape", "index",
    "clone", "copy", "copy_", "t", "transpose", "permute", "expand", "squeeze", "unsqueeze",
    "alias", "detach", "split", "split_with_sizes", "unbind", "lift_fresh", "lift_fresh_copy",
    "empty_like", "new_empty", "new_empty_strided", "empty", "index_put", "index_put_", "to",
}  # fmt: skip
RECOMPUTED = (
    "Is a part recomputed on the way back (torch.utils.checkpoint), or has it a gradient of its "
    "own (autograd.Function)? Remedy: switch that off for the frozen net"
)


def prove(soft: Softened, probe: Probe, codes: Int64[Tensor, "B C"]) -> None:
    """Checks a softened net on real rows, all categories, points inside, slopes.

    Warns if the output does not depend on a column.

    Raises
    ------
    NotFollowed
        Saying what differs and, if codes reach the output another way, by which operation, where.
    """
    few = codes[: max(2, min(64, NUMBERS // sum(probe.K)))]
    every = probe.every(max(*probe.K, len(probe.K) + 1))
    for proof in (Proof(soft, probe), doubled(soft, probe, few)):
        if proof is None:
            continue
        proof.vertices(few)
        for part in (*codes.split(TOGETHER), *every.split(TOGETHER)):
            proof.rows(part)
        proof.inside(few)
        proof.slopes(few)


def doubled(soft: Softened, probe: Probe, codes: Int64[Tensor, "B C"]) -> "Proof | None":
    """The proof of a copy in float64, where a small leak is no rounding; None if there is none."""
    if probe.continuous.dtype == torch.float64 or probe.device.type == "mps":
        return None
    try:
        net, narrow = copy.deepcopy(soft.net).double(), Narrow()
        twin = Probe(net, soft.call, probe.names, probe.K, probe.continuous.double())
        with narrow:
            twin.record(codes)
    except Exception:  # it cannot be copied, or its own code knows no float64
        return None
    given = soft.rules, soft.names, soft.cardinalities, soft.standing, soft.numbers.double()
    return None if narrow.seen else Proof(Softened(net, soft.call, *given), twin)


class Narrow(TorchDispatchMode):
    """Sees whether something is worked out in less than float64."""

    seen = False

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple = (), options: dict | None = None
    ) -> Any:
        result = operation(*args, **(options or {}))
        if isinstance(result, Tensor) and result.is_floating_point():
            self.seen |= result.dtype != torch.float64
        return result


class Proof:
    """What `prove` checks, one thing a method."""

    def __init__(self, soft: Softened, probe: Probe) -> None:
        self.soft, self.probe = soft, probe
        self.dtype = probe.continuous.dtype
        self.tolerance = 1e-9 if self.dtype == torch.float64 else 5e-5
        if torch.finfo(self.dtype).bits < 32:
            self.tolerance = 5e-2

    @torch.no_grad()
    def vertices(self, codes: Int64[Tensor, "B C"]) -> None:
        """One-hots give what codes give, whatever stands in."""
        numbers, wanted = self.probe.numbers(len(codes)), self.probe.record(codes)[1]
        if any(t.isnan().any() for t in tensors(wanted)):
            raise NotFollowed("its output is NaN for rows of the table: are the numbers right?")
        point = blocks(one_hot(codes, self.probe.K, self.dtype), self.probe.K)
        for stand in (self.probe.random(len(codes)), self.probe.every(len(codes))):
            self._same(
                self.soft.answered(point, numbers, stand), wanted, codes, "a one-hot simplex"
            )

    @torch.no_grad()
    def rows(self, codes: Int64[Tensor, "B C"]) -> None:
        """Each category's own row gives what its code gives, without a one-hot as wide as K."""
        numbers, wanted = self.probe.numbers(len(codes)), self.probe.record(codes)[1]
        found = self.soft.answered(list(codes.T), numbers, self.probe.every(len(codes)))
        self._same(found, wanted, codes, "some category's row")

    def _same(self, found: Tensor, wanted: Tensor, codes: Tensor, what: str) -> None:
        off = difference(found, wanted)
        if not off <= self.tolerance:
            followed = sum(rule.layout is not None for rule in self.soft.rules)
            raise NotFollowed(
                f"{what} gives another output than the code (by {off:.2g}): codes reach it past "
                f"the {followed} lookups that were followed{self.leak(codes)}"
            )

    def point(self, rows: int) -> Float[Tensor, "B F"]:
        """A point inside the simplex for each of some rows."""
        z = torch.rand(rows, sum(self.probe.K), generator=self.probe.generator, dtype=torch.float64)
        parts = [b / b.sum(dim=1, keepdim=True) for b in blocks(z + 0.1, self.probe.K)]
        return torch.cat(parts, dim=1).to(self.probe.device, self.dtype).requires_grad_()

    def value(self, z: Tensor, stand: Tensor | None = None) -> Tensor:
        """The output at points, of real rows' numbers."""
        return self.soft.answered(blocks(z, self.probe.K), self.probe.numbers(len(z)), stand)

    def slope(self, z: Tensor, stand: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The gradient of a weighted sum of the outputs, and the weights."""
        output = self.value(z, stand)
        weights = torch.randn(output.shape, generator=self.probe.generator, dtype=torch.float64)
        weights = weights.to(output)
        try:
            (slope,) = torch.autograd.grad((output * weights).sum(), z, allow_unused=True)
        except RuntimeError as error:
            raise NotFollowed(f"the way back fails, {error}. {RECOMPUTED}") from error
        return torch.zeros_like(z) if slope is None else slope, weights

    def inside(self, codes: Int64[Tensor, "B C"]) -> None:
        """Inside the simplex nothing depends on the stand-ins, and a gradient comes back."""
        z, stands = (
            self.point(len(codes)),
            (self.probe.random(len(codes)), self.probe.every(len(codes))),
        )
        one, two = (self.value(z, stand) for stand in stands)
        if not difference(two.detach(), one.detach()) <= self.tolerance:
            raise NotFollowed(
                f"the output depends on the codes that only stand in{self.leak(codes)}"
            )
        if not one.requires_grad:
            raise NotFollowed(
                "no gradient comes back from the output: is the lookup under torch.no_grad, or "
                "detached? Remedy: take that out, or hand over what stands behind it"
            )
        self.reached(self.slope(z, stands[0])[0])

    def reached(self, slope: Float[Tensor, "B F"]) -> None:
        """Each column that matters has a gradient; of one that does not, a warning tells."""
        for c, block in enumerate(blocks(slope, self.probe.K)):
            spread = (block - block.mean(dim=1, keepdim=True)).abs().max()
            if spread > 0 or self.probe.K[c] == 1:
                continue
            name = self.probe.names[c]
            if self.matters(c):
                raise NotFollowed(
                    f"no gradient reaches column {name!r}, though the output depends on it: is its "
                    "lookup under torch.no_grad, detached, or rounded?"
                )
            warnings.warn(f"net1's output does not depend on column {name!r}", stacklevel=5)

    def matters(self, column: int) -> bool:
        """Whether the output moves with a column's code."""
        codes = self.probe.every(max(64, min(self.probe.K[column], TOGETHER)))
        other = codes.clone()
        other[:, column] = (codes[:, column] + 1) % self.probe.K[column]
        return difference(self.probe.record(codes)[1], self.probe.record(other)[1]) > 0

    def slopes(self, codes: Int64[Tensor, "B C"]) -> None:
        """The gradient against differences of values, over two widths, which tell the noise."""
        if self.dtype.itemsize < 4:
            return
        z = self.point(len(codes))
        slope, weights = self.slope(z)
        widths = (1e-6, 1e-5) if self.dtype == torch.float64 else (1e-3, 3e-3)
        found: list[list[float]] = []
        with torch.no_grad():
            for _ in range(DIRECTIONS):
                way = torch.randn(z.shape, generator=self.probe.generator, dtype=torch.float64)
                way = way.to(z)
                ends = [(self.value(z + h * way), self.value(z - h * way)) for h in widths]
                rises = [((a - b).double() * weights).sum() for a, b in ends]
                each = [float(r) / (2 * h) for r, h in zip(rises, widths, strict=True)]
                found.append([float((slope.double() * way).sum()), *each])
        expected, narrow, wide = torch.tensor(found, dtype=torch.float64).T
        noise, size = (narrow - wide).square().mean().sqrt(), narrow.square().mean().sqrt()
        if (narrow - expected).square().mean().sqrt() > 5 * noise + SLACK * size + 1e-6:
            raise NotFollowed(f"the gradient is not the slope of the output. {RECOMPUTED}")

    def leak(self, codes: Int64[Tensor, "B C"]) -> str:
        """The first operation that makes numbers of codes past the lookups: two runs, compared."""
        runs = [self.trace(codes, self.probe.random(len(codes))) for _ in range(2)]
        before = ""
        for (name, one, where), (other, two, _) in zip(*runs, strict=False):
            if name != other:
                return f"; after {before}, other operations for other codes"
            if name not in MOVES and one.shape == two.shape and not torch.equal(one, two):
                return f", first by {name} at {where}. Remedy: leave it out, or hand over the rest"
            before = where
        return ""

    @torch.no_grad()
    def trace(
        self, codes: Int64[Tensor, "B C"], standing: Int64[Tensor, "B C"]
    ) -> list[tuple[str, Tensor, str]]:
        """All operations with floats, their results and places, while other codes stand in."""
        log: list[tuple[str, Tensor, str]] = []

        class Log(TorchDispatchMode):
            def __torch_dispatch__(
                self,
                operation: object,
                types: object,
                args: tuple = (),
                options: dict | None = None,
            ) -> object:
                result = operation(*args, **(options or {}))
                name = operation.__name__.split(".")[0]
                if isinstance(result, Tensor) and result.is_floating_point():
                    log.append((name, result.detach().clone(), place()))
                return result

        try:
            with Log():
                self.soft.answered(list(codes.T), self.probe.numbers(len(codes)), standing)
        except NotFollowed:
            pass
        return log


def difference(one: object, two: object) -> float:
    """The largest difference of two outputs, relative to the size of the second."""
    pairs: Iterator[tuple[Tensor, Tensor]] = zip(tensors(one), tensors(two), strict=True)
    offs = [
        float((a.double() - b.double()).abs().max() / (1 + b.double().abs().max()))
        for a, b in pairs
        if b.numel()
    ]
    return max(offs, default=0.0)
