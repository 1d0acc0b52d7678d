"""The proof that a softened net is right: its value at vertices, its gradient, its stand-ins."""

import warnings

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tabkit.simplex import blocks, one_hot
from tabkit.soften.doubled import difference, doubled
from tabkit.soften.errors import NotFollowed, operations
from tabkit.soften.lookups import Lookup
from tabkit.soften.mixing import mix
from tabkit.soften.probing import Probe
from tabkit.soften.softened import Softened

TOGETHER, NUMBERS = 4096, 500_000  # rows in one call; numbers in the simplexes of one
SMALL = 24  # batches of one, of two and of three rows
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
    few = slice(max(2, min(64, NUMBERS // sum(probe.K))))
    every = probe.every(max(*probe.K, len(probe.K) + 1))
    twin = doubled(soft, probe, codes[few])
    proofs = [Proof(soft, probe, strict=twin is None)]
    proofs += [Proof(*twin, strict=True)] if twin else []
    for proof in proofs:
        proof.vertices(codes[few])
        real = proof.probe.continuous.split(TOGETHER)
        for part, numbers in zip(codes.split(TOGETHER), real, strict=True):
            proof.rows(part, numbers)
        for part in every.split(TOGETHER):
            proof.rows(part, proof.probe.numbers(len(part)))
        proof.inside(codes[few])
        proof.slopes(codes[few])
    proofs[-1].small_batches(codes)


class Proof:
    """What `prove` checks, one thing a method."""

    def __init__(self, soft: Softened, probe: Probe, *, strict: bool) -> None:
        self.soft, self.probe, self.strict = soft, probe, strict
        self.dtype = probe.continuous.dtype
        self.tolerance = 1e-9 if self.dtype == torch.float64 else 5e-5
        if torch.finfo(self.dtype).bits < 32:
            self.tolerance = 5e-2

    @torch.no_grad()
    def vertices(self, codes: Int64[Tensor, "B C"]) -> None:
        """One-hots give what codes give, whatever stands in, and nothing jumps beside them."""
        numbers, wanted = self.probe.continuous[: len(codes)], self.wanted(codes)
        hot, other = (
            one_hot(q, self.probe.K, self.dtype) for q in (codes, self.probe.others(codes))
        )
        for stand in (self.probe.others(codes), self.probe.others(codes)):
            found = self.soft.answered(blocks(hot, self.probe.K), numbers, stand)
            self._same(found, wanted, codes, "a one-hot simplex")
        if self.dtype != torch.float64:
            return
        near, far = (
            self.soft.answered(blocks(hot + t * (other - hot), self.probe.K), numbers)
            for t in (1e-7, 1.0)
        )
        if (near - found).abs().max() > 1e-2 * (far - found).abs().max() + self.tolerance:
            raise NotFollowed(
                "the output jumps beside a one-hot: is what a lookup finds compared (== 1, > 0) or "
                "cast to whole numbers or truth values? Remedy: look up where that is not done"
            )

    def wanted(self, codes: Int64[Tensor, "B C"], numbers: Tensor | None = None) -> Tensor:
        """The net's output for codes; raises NotFollowed if it is no number."""
        numbers = self.probe.continuous[: len(codes)] if numbers is None else numbers
        output = self.probe.record(codes, numbers=numbers)[1]
        if output.isnan().any():
            raise NotFollowed("its output is NaN for rows of the table: are the numbers right?")
        return output

    @torch.no_grad()
    def rows(self, codes: Int64[Tensor, "B C"], numbers: Float[Tensor, "B N"]) -> None:
        """Each code's own row gives what the code gives, without a one-hot as wide as K."""
        wanted = self.wanted(codes, numbers)
        for stand in (self.probe.others(codes), self.probe.others(codes)):
            found = self.soft.answered(list(codes.T), numbers, stand)
            self._same(found, wanted, codes, "some category's row")

    def small_batches(self, codes: Int64[Tensor, "B C"]) -> None:
        """The same for one, two and three rows, where what is asked of all rows is not all one."""
        for rows in (1, 2, 3):
            for _ in range(SMALL):
                drawn = torch.randint(len(codes), (rows,), generator=self.probe.generator)
                numbers = self.probe.continuous[drawn.to(self.probe.device)]
                self.rows(self.probe.random(rows), numbers)

    def _same(self, found: Tensor, wanted: Tensor, codes: Tensor, what: str) -> None:
        off = difference(found, wanted, by_column=self.strict)
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
        numbers = self.probe.numbers(len(z))
        return self.soft.answered(blocks(z, self.probe.K), numbers, stand)

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
        off = difference(two.detach(), one.detach(), by_column=self.strict)
        if not off <= self.tolerance:
            raise NotFollowed(
                f"the output depends on the codes that only stand in{self.leak(codes)}"
            )
        if not one.requires_grad:
            raise NotFollowed(
                "no gradient comes back from the output: is the lookup under torch.no_grad, or "
                "detached? Remedy: take that out, or hand over what stands behind it"
            )
        many = min(len(self.probe.continuous), max(len(codes), 4 * NUMBERS // sum(self.probe.K)))
        self.each_lookup(many)
        self.reached(self.slope(self.point(many))[0])

    def each_lookup(self, rows: int) -> None:
        """A gradient reaches each lookup that moves the output: it is not made whole on the way."""
        z, codes, answers = self.point(rows), self.probe.random(rows), {}

        def keep(number: int, lookup: Lookup, found: Tensor) -> Tensor:
            answers[number] = lookup, found
            return found

        numbers, point = self.probe.numbers(rows), blocks(z, self.probe.K)
        output = self.soft.answered(point, numbers, change=keep)
        weights = torch.randn(output.shape, generator=self.probe.generator, dtype=torch.float64)
        loss = (output * weights.to(output)).sum()
        given = [found for _, found in answers.values()]
        try:
            slopes = torch.autograd.grad(loss, given, allow_unused=True)
        except RuntimeError as error:
            raise NotFollowed(f"the way back fails, {error}. {RECOMPUTED}") from error
        for number, slope in zip(answers, slopes, strict=True):
            written = answers[number][0].in_place  # over which more may be written
            if not written and (slope is None or not slope.any()):
                self.matters_not(number, codes, numbers)

    @torch.no_grad()
    def matters_not(self, number: int, codes: Tensor, numbers: Tensor) -> None:
        """Raises NotFollowed if the output moves with a lookup that has no gradient."""
        rule, other = self.soft.rules[number], list(self.probe.others(codes).T)

        def change(n: int, lookup: Lookup, found: Tensor) -> Tensor:
            return mix(lookup, rule, other) if n == number else found

        still, moved = (
            self.soft.answered(list(codes.T), numbers, change=c) for c in (None, change)
        )
        if difference(moved, still, by_column=True) > self.tolerance:
            names = sorted({self.probe.names[c] for c in rule.columns if c is not None})
            raise NotFollowed(
                f"no gradient reaches column {' and '.join(map(repr, names))} at {rule.where}, "
                "though the output depends on it: is its lookup under torch.no_grad, detached, "
                "rounded, compared, or cast to whole numbers?"
            )

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
        one, two = (self.probe.record(q)[1] for q in (codes, other))
        return difference(one, two, by_column=True) > self.tolerance

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
        """Whose codes reach the output past the lookups, and the first operation that takes them.

        The operation is the first at which two runs differ that other codes stand in for.
        """
        leaking, before = self.leaking(codes), ""
        runs = [self.trace(codes, self.probe.random(len(codes))) for _ in range(2)]
        whose = f": column {' and '.join(map(repr, leaking))}" if leaking else ""
        for (name, one, where), (other, two, _) in zip(*runs, strict=False):
            if name != other:
                return f"{whose}; after {before}, other operations for other codes"
            if name not in MOVES and one.shape == two.shape and not torch.equal(one, two):
                remedy = "Remedy: leave it out, or hand over the rest"
                return f"{whose}, first by {name} at {where}. {remedy}"
            before = where
        return whose

    @torch.no_grad()
    def leaking(self, codes: Int64[Tensor, "B C"]) -> list[str]:
        """The columns whose stand-ins alone change what the same codes' rows lead to."""
        numbers, names = self.probe.numbers(len(codes)), []
        stand = self.probe.others(codes)
        other = self.probe.others(stand)
        try:
            one = self.soft.answered(list(codes.T), numbers, stand)
            for c, name in enumerate(self.probe.names):
                changed = stand.clone()
                changed[:, c] = other[:, c]
                two = self.soft.answered(list(codes.T), numbers, changed)
                if not difference(two, one, by_column=self.strict) <= self.tolerance:
                    names.append(name)
        except NotFollowed:
            pass
        return names

    def trace(
        self, codes: Int64[Tensor, "B C"], standing: Int64[Tensor, "B C"]
    ) -> list[tuple[str, Tensor, str]]:
        """All operations with floats, while other codes stand in."""
        numbers = self.probe.numbers(len(codes))
        return operations(lambda: self.soft.answered(list(codes.T), numbers, standing))
