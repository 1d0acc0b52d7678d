"""Random numbers at the edge, through every simplex function, estimator and decoder.

    python -m tests.torture.numbers            # 100,000 cases; --cases, --minutes, --seed

Shapes, dtypes, extreme values, masks, temperatures and cardinalities are drawn, a fifth of them
wrong on purpose. A case ends in a right answer (simplexes, vertices, masks, finite gradients, an
oracle in float64 where there is one) or, if it is wrong, in a ValueError or TypeError that tabkit
itself raises. Case n of a seed is always the same.
"""

import argparse
import math
import time
import traceback
import warnings
from collections import Counter
from functools import cache
from itertools import starmap
from pathlib import Path
from random import Random

import torch

import tabkit
from tabkit import (
    Objective,
    RowEncoder,
    SoftEmbedding,
    decode,
    decoders,
    estimators,
    fast,
    freeze,
    planted,
    simplex,
)
from tabkit.decoders import counterfactual
from tabkit.embedding import SampledSoftEmbedding

CASES = 100_000
WRONG = 0.2
PACKAGE = str(Path(tabkit.__file__).parent)
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
TEMPERATURES = (1e-30, 1e-20, 1e-8, 1e-3, 0.3, 1.0, 1, 2.0, 1e3, 1e8, 1e20, 1e30)
NO_TEMPERATURES = (0.0, -1.0, math.nan, math.inf, 1e-31, 1e31)
COUNTS = ("samples", "k", "limit")
SHARES = ("decay", "eta", "commitment", "entropy_penalty", "label_weight")
HARD = {"hard_argmax", "straight_through_argmax", "straight_through_gumbel", "gumbel_rao", "zgr"}
HARD |= {"decoupled_straight_through_gumbel", "straight_through_sample", "reinmax"}
HARD |= {"gapped_straight_through"}


class Behind(Objective):
    """A price of each category, behind tables, which may be 0: a constant objective."""

    def __init__(self, draw, rows, K, dtype, *, scale):
        self.embedding = SoftEmbedding(K, 2, generator=draw).to(dtype).requires_grad_(False)
        self.prices = scale * torch.randn(2 * len(K), generator=draw).to(dtype)
        self.codes = torch.stack([torch.randint(k, (rows,), generator=draw) for k in K], 1)
        self.widths = self.embedding.widths

    def loss(self, point):
        if not (self.prices != 0).any():
            return torch.ones(len(point), dtype=point.dtype)
        return self.embedded(fast.embed(point, self.embedding.weights))

    def embedded(self, e):
        return e @ self.prices

    def distances(self, e):
        return self.embedding.negative_distances(e)

    def snap(self, e):
        return self.embedding(simplex.argmax_codes(self.distances(e), self.embedding.cardinalities))


def drawn_cardinalities(rng):
    return tuple(rng.choice((1, 1, 2, 3, 4, 5, 9, 40)) for _ in range(rng.choice((1, 2, 3, 4))))


def drawn_values(rng, draw, rows, width, dtype):
    """Usual numbers, numbers of any size, ties, and the ends of the dtype."""
    most, kind = torch.finfo(dtype).max, rng.randrange(5)
    values = torch.randn(rows, width, generator=draw, dtype=torch.float64)
    if kind == 1:
        values *= 10.0 ** rng.uniform(-30, 30)
    elif kind == 2:
        values = values.round() * 10.0 ** rng.choice((0, 4, 9, 30))
    elif kind == 3:
        ends = torch.tensor([0.0, 1.0, -1.0, most, -most, most / 2, 1e30, -1e30, 1e-30, 1e4])
        values = ends.double()[torch.randint(len(ends), (rows, width), generator=draw)]
    elif kind == 4:
        values = values + rng.choice((-1, 1)) * 10.0 ** rng.uniform(0, 40)
    return values.clamp(-most, most).to(dtype)


def mask_of(rng, draw, rows, K):
    """What is not allowed: of each block at most all but one."""
    mask = torch.rand(rows, sum(K), generator=draw) < rng.choice((0.0, 0.0, 0.3, 0.9))
    for block in mask.split(K, 1):
        block[torch.arange(rows), torch.randint(block.shape[1], (rows,), generator=draw)] = False
    return mask


def spoilt(rng, logits, K):
    """Logits and cardinalities of which one is wrong."""
    values = logits.clone()
    place = (0, rng.randrange(sum(K)))
    kinds = ["cardinalities"] + ["number"] * 2 * (len(logits) > 0) + ["form"]
    kind = rng.choice(kinds)
    if kind == "number":
        which = rng.choice((math.nan, math.inf, -math.inf))
        values[place if which != -math.inf else (0, simplex.slices(K)[0])] = which
        return values, K
    if kind == "form":
        forms = (values.long, values.bool, values[:0, 0].clone, values[None].clone, values.tolist)
        other = (lambda: torch.cat([values, values], 1), lambda: values.to(torch.complex64))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return rng.choice((*forms, *other))(), K
    bad = ((*K, 1), (*map(float, K),), (*K, 0), (-1, *K), (), (True,) * sum(K), (sum(K) + 1, -1))
    return values, rng.choice(bad)


def told(call):
    """The outcome of what is wrong: tabkit says so itself."""
    try:
        call()
    except (ValueError, TypeError) as error:
        innermost = traceback.extract_tb(error.__traceback__)[-1].filename
        assert innermost.startswith(PACKAGE), f"not said by tabkit: {error!r} in {innermost}"
        return "refused"
    raise AssertionError("what is wrong was taken")


def check_point(point, like, K, mask):
    """Each block is a point of the simplex, without a share of what is masked."""
    assert point.dtype == like.dtype and point.shape == like.shape, "its type or shape"
    assert not point.isnan().any(), "NaN in the simplex"
    assert (point >= 0).all(), "a negative share"
    assert (point[mask] == 0).all(), "a masked category has a share"
    sums = torch.stack([b.double().sum(1) for b in point.split(K, 1)])
    eps = torch.finfo(point.dtype).eps
    assert (sums - 1).abs().max() <= 16 * eps * max(K) if len(point) else True, "sums are not 1"


def check_gradient(gradient, logits, mask, size):
    """It is no NaN, and no infinity where its size lies within the type; 0 where masked."""
    assert gradient.dtype == logits.dtype and gradient.shape == logits.shape, "gradient's type"
    assert not gradient.isnan().any(), "NaN in the gradient"
    if size < torch.finfo(logits.dtype).max / 1e3:
        assert gradient.isfinite().all(), "an infinite gradient"
    assert mask is None or (gradient[mask] == 0).all(), "what is masked has a gradient"


def drawn_knobs(rng, name):
    knobs = {}
    for knob in estimators.make(name).knobs:
        if knob in COUNTS:
            knobs[knob] = {"limit": 10_000}.get(knob, rng.choice((2, 3)))
        elif knob in SHARES:
            knobs[knob] = rng.choice((0.0, 0.5, 0.9))
        else:
            knobs[knob] = rng.choice(TEMPERATURES)
    return knobs


def problem(rng, draw, *, rows=None):
    K, dtype = drawn_cardinalities(rng), rng.choice(DTYPES)
    rows = rng.choice((0, 1, 2, 4, 4)) if rows is None else rows
    mask = mask_of(rng, draw, rows, K)
    values = drawn_values(rng, draw, rows, sum(K), dtype)
    return values.masked_fill(mask, -math.inf), K, mask


def softmax_oracle(logits, K, tau):
    parts = (b.double() for b in logits.split(K, 1))
    return torch.cat([((b - b.amax(1, keepdim=True)) / tau).softmax(1) for b in parts], 1)


def check_softmax(point, logits, K, tau, eps, largest):
    """To some roundings of the shares, and of the logits up to a size, which are divided."""
    expected = softmax_oracle(logits, K, tau)
    if len(logits):
        size = min(logits[logits.isfinite()].double().abs().max().item(), largest)
        off = (point - expected).abs().max().item()
        near = 32 * torch.finfo(point.dtype).eps + 4 * eps * size / max(tau, 1.0)
        assert off <= near, f"the softmax is {off} from the oracle's"
    return expected


def formula(rng, draw):
    """The functions of `simplex`, plain and fast."""
    logits, K, mask = problem(rng, draw)
    tau, mode = rng.choice(TEMPERATURES), rng.choice(("plain", "fast"))
    if rng.random() < WRONG:
        if rng.random() < 0.5:
            return told(lambda: simplex.softmax(logits, K, rng.choice(NO_TEMPERATURES)))
        bad = rng.choice(((*K, 1), tuple(map(float, K)), (*K, 0), (), (True,) * sum(K)))
        name = rng.choice(("softmax", "argmax", "log_softmax", "argmax_codes", "sample"))
        return told(lambda: getattr(simplex, name)(logits, bad))
    leaf, eps = logits.clone().requires_grad_(), torch.finfo(logits.dtype).eps
    with fast.use(mode):
        point = fast.softmax(leaf, K, tau)
        hot = fast.argmax(logits, K)
        slope = torch.randn(point.shape, generator=draw).to(point.dtype)
        (gradient,) = torch.autograd.grad(point, leaf, slope)
    check_point(point.detach(), logits, K, mask)
    check_gradient(gradient, logits, mask, 10 / tau)
    expected = check_softmax(point.detach(), logits, K, tau, eps, math.inf)
    exact = simplex.jacobian_product(expected, slope.double(), K) / tau
    near = exact.abs() < torch.finfo(logits.dtype).max / 4
    off = (gradient.double() - exact).abs()[near & (logits.double().abs() < 1e4)]
    assert (off <= 1e5 * eps / tau + 1e-37).all(), "the gradient is not the oracle's"
    first = torch.cat([b.double().argmax(1, keepdim=True) for b in logits.split(K, 1)], 1)
    assert torch.equal(hot, simplex.one_hot(first, K, hot.dtype)), "not the first largest"
    assert torch.equal(simplex.argmax_codes(logits, K), first), "codes of the first largest"
    check_point(simplex.sample(logits, K, draw), logits, K, mask)
    assert not simplex.log_softmax(logits, K).isnan().any(), "NaN in the log-softmax"
    return "right"


def relaxation(rng, draw):
    """A relaxation's point and its gradient."""
    name = rng.choice(estimators.names())
    logits, K, mask = problem(rng, draw)
    knobs = drawn_knobs(rng, name)
    if rng.random() < WRONG:
        if knobs and rng.random() < 0.3:
            return told(lambda: estimators.make(name, **{rng.choice([*knobs]): math.nan}))
        values, K = spoilt(rng, logits, K)
        return told(lambda: estimators.make(name).simplex(values, cardinalities=K))
    leaf, made = logits.clone().requires_grad_(), estimators.make(name, **knobs)
    with fast.use(rng.choice(("plain", "fast"))):
        point = made.simplex(leaf, cardinalities=K, generator=draw)
        check_point(point.detach(), logits, K, mask)
        hard = name in HARD or not made.rule.relaxes
        assert not hard or ((point == 0) | (point == 1)).all(), "not a vertex"
        if point.requires_grad:
            slope = torch.randn(point.shape, generator=draw).to(point.dtype)
            (gradient,) = torch.autograd.grad(point, leaf, slope)
            check_gradient(gradient, logits, mask, 1e2 / min([1.0, *knobs.values()]))
    if name == "softmax":
        eps = torch.finfo(torch.promote_types(logits.dtype, torch.float32)).eps
        check_softmax(point.detach(), logits, K, knobs["tau"], eps, 1e4)
    return "right"


def estimator(rng, draw):
    """An estimator's value and gradient, twice, for those that learn."""
    name = rng.choice(estimators.names())
    made = estimators.make(name, **drawn_knobs(rng, name))
    logits, K, mask = problem(rng, draw)
    if name == "exact" and math.prod(K) > 60:
        K = (sum(K),)
        mask, logits = torch.zeros_like(mask), logits.masked_fill(mask, 0.0)
    if made.head == "embedding":
        logits, mask = drawn_values(rng, draw, len(logits), 2 * len(K), logits.dtype), None
    scale = rng.choice((0.0, 1e-3, 1.0, 1.0, 100.0))
    cost = Behind(draw, len(logits), K, logits.dtype, scale=scale)
    if rng.random() < WRONG:
        if made.head == "embedding":
            bad = (logits.long(), logits[0:0, 0], torch.cat([logits, logits], 1), logits.tolist())
            values = rng.choice(bad)
        else:
            values, K = spoilt(rng, logits, K)
        return told(lambda: made(values, cost, cardinalities=K))
    if rng.random() < 0.1:
        made.change(entropy_penalty=0.1, label_weight=0.1)
    least = min([1.0, *(v for n, v in made.knobs.items() if n not in (*COUNTS, *SHARES))])
    large = made.head == "embedding" and bool((logits.abs() > 100).any())  # the price overflows
    for _ in range(2):
        leaf = logits.clone().requires_grad_()
        with fast.use(rng.choice(("plain", "fast"))):
            loss = made(leaf, cost, cardinalities=K, generator=draw)
        (gradient,) = torch.autograd.grad(loss, leaf)
        assert large or loss.isfinite(), f"the loss is {loss.item()}"
        size = math.inf if large else 1e4 * max(scale, 1.0) / least
        if not large:
            check_gradient(gradient, logits, mask, size)
    return "right"


def embedding(rng, draw):
    """Soft embeddings, of all categories and of some."""
    logits, K, mask = problem(rng, draw)
    layer = SoftEmbedding(K, 3, generator=draw).to(logits.dtype).requires_grad_(False)
    few = SampledSoftEmbedding(K[0], 3, k=rng.randrange(3), m=1, generator=draw)
    few = few.to(logits.dtype).requires_grad_(False)
    if rng.random() < WRONG:
        if rng.random() < 0.5 or not len(logits):
            bad = [logits[:, :0], logits[None], logits.to(torch.int32), logits[:, :, None]]
            bad += [torch.full_like(logits, 2.0)] * len(logits)
            return told(lambda: layer(rng.choice(bad)))
        row = logits[:1, : K[0]].clone()
        row[0] = rng.choice((math.nan, math.inf, -math.inf))
        return told(lambda: few(row))
    point = estimators.make("softmax").simplex(logits, cardinalities=K)
    found = layer(point)
    parts = zip(point.split(K, 1), layer.weights, strict=True)
    exact = torch.cat([p.double() @ W.double() for p, W in parts], 1)
    scale = 64 * torch.finfo(logits.dtype).eps
    assert (found - exact).abs().max() <= scale * 4 if len(found) else True, "not the product"
    leaf = logits[:, : K[0]].clone().requires_grad_()
    sampled = few(leaf, draw)
    assert sampled.dtype == logits.dtype and sampled.isfinite().all(), "the sampled product"
    (gradient,) = torch.autograd.grad(sampled, leaf, torch.ones_like(sampled))
    check_gradient(gradient, leaf.detach(), mask[:, : K[0]], 1e3)
    return "right"


class Said(torch.nn.Module):
    """A net0 that says what it was told to."""

    def __init__(self, head, categorical, continuous):
        super().__init__()
        self.head, self.said = head, (categorical, continuous)

    def forward(self, signal):
        return tuple(values[: len(signal)] for values in self.said)


@cache
def net1_of(dtype):
    data = planted(300, categorical=3, continuous=2, cardinality=(3, 6), seed=1)
    return freeze(RowEncoder(data.schema, Z=2, width=4, depth=1, D=2).to(dtype))


def decoder(rng, draw):
    """What net0 says becomes a row that is allowed."""
    dtype, rows = rng.choice((*DTYPES[1:], torch.float32)), rng.choice((0, 1, 3))
    net1 = net1_of(dtype)
    K = net1.cardinalities
    name = rng.choice((*decoders.names()[:4] * 8, "restarts"))
    head = rng.choice(("logits", "logits", "embedding"))
    mask = mask_of(rng, draw, rows, K) if head == "logits" else torch.zeros(rows, sum(K)) > 0
    width = sum(K) if head == "logits" else net1.embedding.out_features
    values = drawn_values(rng, draw, rows, width, dtype)
    values = values.masked_fill(mask, -math.inf) if head == "logits" else values
    numbers = torch.randn(rows, 2, generator=draw).to(dtype)
    allowed = torch.ones(sum(K), dtype=torch.bool)
    signal = torch.randn(rows, 4, generator=draw)
    options = {"decoder": name, "allowed": None}
    if head == "embedding" or not mask.any():
        allowed = ~mask_of(rng, draw, 1, K)[0]
        options["allowed"] = allowed
    if head == "logits" and rng.random() < 0.5:
        options["estimator"] = rng.choice(estimators.names(relaxations=True))
    if rng.random() < WRONG:
        kind = rng.randrange(6)
        if kind == 0 and rows:
            signal[rng.randrange(rows), 2] = rng.choice((math.nan, math.inf))
        elif kind == 1:
            signal = rng.choice((signal.long(), signal[0:0, 0], signal[None], signal.tolist()))
        elif kind == 2:
            options["allowed"] = rng.choice((allowed.long(), allowed[1:], allowed.tolist()))
        elif kind == 3:
            options["fixed"] = {"a": 1}
        elif kind == 4 and rows:
            values = values.clone()
            values[0, 0] = math.nan
        else:
            values = rng.choice((values.long(), torch.cat([values, values], 1), values[:, :, None]))
        return told(lambda: decode(Said(head, values, numbers), signal, net1, **options))
    found = decode(Said(head, values, numbers), signal, net1, **options)
    hot = simplex.one_hot(found.codes, K)
    assert found.codes.shape == (rows, 3) and (hot.sum(1) == 3).all(), "codes out of range"
    assert not (hot[mask] > 0).any() and not (hot[:, ~allowed] > 0).any(), "a masked code"
    assert found.continuous.isfinite().all(), "numbers"
    if name == "argmax" and head == "logits":
        best = simplex.argmax_codes(values.double().masked_fill(~allowed, -math.inf), K)
        assert torch.equal(found.codes, best), "not the argmax"
    return "right"


def turned(rng, draw):
    """A counterfactual says of its row what is so."""
    K = tuple(rng.choice((1, 2, 3, 4)) for _ in range(rng.choice((1, 2, 3))))
    codes = torch.tensor([rng.randrange(k) for k in K])
    prices = torch.randn(sum(K), generator=draw) * 10.0 ** rng.uniform(-20, 20)
    price = rng.choice((prices, prices * 0, prices.sign()))
    options = {"by": rng.choice(("search", "gradient")), "threshold": rng.choice((0.0, 1e30, -1.0))}
    allowed = ~mask_of(rng, draw, 1, K)[0]
    score = lambda s: s @ price  # noqa: E731
    if rng.random() < WRONG:
        bad = {"threshold": math.nan}, {"allowed": allowed[1:]}, {"allowed": [True]}, {"by": "x"}
        options |= rng.choice(bad)
        given = rng.choice((codes, codes + 9, codes.float(), codes[None]))
        return told(lambda: counterfactual(score, given, K, **options))
    found = counterfactual(score, codes, K, allowed=allowed, **options)
    before, after = score(simplex.one_hot(torch.stack([codes, found.codes]), K)).tolist()
    over = [value > options["threshold"] for value in (before, after)]
    assert found.turned == (over[0] != over[1]), "it does not turn"
    hot = simplex.one_hot(found.codes[None], K)[0] > 0
    own = simplex.one_hot(codes[None], K)[0] > 0
    assert (hot & ~own & ~allowed).sum() == 0, "what is not allowed came in"
    return "right"


KINDS = {formula: 25, relaxation: 30, estimator: 30, embedding: 6, decoder: 6, turned: 3}


def outcome(seed, case):
    """What one case ends in; its kind, and the failure in words."""
    rng, draw = Random(f"{seed}/{case}"), torch.Generator()
    draw.manual_seed(rng.getrandbits(40))
    (kind,) = rng.choices([*KINDS], KINDS.values())
    try:
        return kind.__name__, kind(rng, draw), ""
    except Exception as error:  # whatever it is, it is a failure
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return kind.__name__, "failures", f"{error!r} at {frame.filename}:{frame.lineno}"


def run(seed: int = 0, minutes: float = 5.0, cases: int = CASES) -> dict[str, int | float | str]:
    """So many cases, or as many as the minutes allow; counts by kind and outcome."""
    began, counts = time.perf_counter(), Counter(failures=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for case in range(cases):
            if time.perf_counter() - began > 60 * minutes:
                break
            kind, ended, words = outcome(seed, case)
            counts["cases"] += 1
            counts[ended] += 1
            counts[f"{kind} {ended}"] += ended != "failures"
            if words:
                print(f"seed {seed}, case {case}, {kind}: {words}", flush=True)
    return {**counts, "seconds": round(time.perf_counter() - began, 1)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, default in {"seed": 0, "minutes": 5.0, "cases": CASES}.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    found = run(**vars(parser.parse_args()))
    print("\n".join(starmap("{}: {}".format, found.items())))
    raise SystemExit(found["failures"] > 0)
