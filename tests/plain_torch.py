"""What torch makes of tabkit when it compiles, maps, differentiates and exports: a report.

A script, for these must run outside of pytest, whose run-time checks of shapes torch cannot trace.
It prints JSON, by section, name and way: ``"equal"``, or what was found in place of that.
"""

import json
import sys
from contextlib import ExitStack
from functools import partial
from unittest.mock import patch

import torch
from torch import nn
from torch.func import functional_call, grad, jacrev, jvp, vmap
from torch.nn.functional import embedding

from tabkit import RowEncoder, RowPredictor, estimators, fast, freeze, planted, simplex, soften
from tabkit.fast import columns, linear, padded, products
from tabkit.nets import folded
from tabkit.train import Distances, Predicting

CARDINALITIES = C = (3, 1, 4)
F = sum(C)
BACKENDS = ("aot_eager",)  # it takes the graph that "eager" would run, and differentiates it
COMPILED = (
    "softmax",
    "gumbel_softmax",
    "straight_through_gumbel",
    "straight_through_argmax",
    "reinmax",
)
LIBRARYS = ("sparsemax", "entmax15")  # entmax has autograd functions that torch cannot transform


def normal(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def points(rows, seed=0):
    return torch.cat([b.softmax(1) for b in normal(rows, F, seed=seed).split(C, 1)], 1)


TABLES = [normal(k, 2, seed=k) for k in C]
FORMULAS = {  # of tensors alone, and what they are called with
    "blocks": (lambda x: simplex.blocks(x, C)[2], normal(5, F)),
    "each": (lambda x, y: simplex.each(lambda a, b: a.sin() * b, C, x, y), *normal(2, 5, F)),
    "softmax": (lambda x: simplex.softmax(x, C, 0.7), normal(5, F)),
    "tempered": (lambda x: simplex.tempered(x, 0.7), normal(5, F)),
    "log_softmax": (lambda x: simplex.log_softmax(x, C), normal(5, F)),
    "jacobian_product": (lambda p, v: simplex.jacobian_product(p, v, C), points(5), normal(5, F)),
    "argmax": (lambda x: simplex.argmax(x, C), normal(5, F)),
    "argmax_codes": (lambda x: simplex.argmax_codes(x, C), normal(5, F)),
    "one_hot": (lambda c: simplex.one_hot(c, C, torch.float64), torch.tensor([[2, 0, 1]] * 5)),
    "gumbel_noise": (simplex.gumbel_noise, normal(5, F)),
    "sample": (lambda x: simplex.sample(x, C), normal(5, F)),
    "straight_through": (simplex.straight_through, *normal(2, 5, F)),
    "embed": (lambda x, *tables: simplex.embed(x, tables), points(5), *TABLES),
}


def verdict(attempt):
    """ "equal" if the pairs that an attempt returns are; else what differs or was raised."""
    try:
        for found, expected in attempt():
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    except Exception as error:  # whatever it is, it goes into the report
        return f"{type(error).__name__}: {error}"[:400]
    return "equal"


def seeded(function, *arguments):
    torch.manual_seed(0)
    return function(*arguments)


def value_and_gradients(function, *arguments):
    """The value, and the gradient of each argument that may have one."""
    leaves = [a.clone().requires_grad_(a.is_floating_point()) for a in arguments]
    value = seeded(function, *leaves)
    inputs = [leaf for leaf in leaves if leaf.requires_grad]
    if not value.requires_grad:
        return [value]
    slope = normal(*value.shape, seed=9).to(value.dtype)
    return [value.detach(), *torch.autograd.grad(value, inputs, slope, materialize_grads=True)]


def compiled(function, backend, *arguments):
    torch._dynamo.reset()
    whole = torch.compile(function, fullgraph=True, backend=backend)
    found = value_and_gradients(whole, *arguments)
    return zip(found, value_and_gradients(function, *arguments), strict=True)


def exported(module, *arguments, rows=False):
    """With `rows`, for batches of any size, also one for which the faster functions would pay."""
    sizes = [{0: torch.export.Dim("B")} for _ in arguments] if rows else None
    program = torch.export.export(module, arguments, dynamic_shapes=sizes).module()
    given = [torch.cat([a] * 20_000) for a in arguments] if rows else arguments
    return [(seeded(program, *given), seeded(module, *given))]


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *arguments):
        return self.function(*arguments)


def jacobian(function, first, *rest):
    """By backward passes, one number of the output at a time."""
    leaf = first.clone().requires_grad_()
    value = seeded(function, leaf, *rest)
    if not value.requires_grad:
        return torch.zeros(*value.shape, *first.shape, dtype=value.dtype)
    numbers = value.flatten()
    rows = [torch.autograd.grad(n, leaf, retain_graph=True)[0] for n in numbers]
    return torch.stack(rows).reshape(*value.shape, *first.shape)


def along(function, full, first, *rest):
    direction = normal(*first.shape, seed=8)
    forward = jvp(lambda x: function(x, *rest), (first,), (direction,))[1]
    return [(forward, torch.tensordot(full, direction, dims=first.dim()))]


def mapped(function, *arguments):
    own = [0 if len(a) == 5 else None for a in arguments]  # tables are for all rows
    return seeded(vmap(function, tuple(own), randomness="different"), *arguments)


def ways(function, *arguments):
    """Of one function of tensors, all that torch can do to it."""
    found = {f"compile {b}": verdict(partial(compiled, function, b, *arguments)) for b in BACKENDS}
    found["export"] = verdict(lambda: exported(Function(function), *arguments))
    found["vmap"] = verdict(lambda: [(mapped(function, *arguments), seeded(function, *arguments))])
    if arguments[0].is_floating_point() and function(*arguments).is_floating_point():
        full = jacobian(function, *arguments)
        found["jacrev"] = verdict(lambda: [(seeded(jacrev(function), *arguments), full)])
        found["jvp"] = verdict(lambda: along(function, full, *arguments))
    return found


class Logits(nn.Module):
    def __init__(self, net0):
        super().__init__()
        self.net0 = net0

    def forward(self, signal):
        return self.net0(signal).categorical


INTO, OUT = normal(F, 6, seed=1), normal(6, 3, seed=2)


def cost(point):
    return ((point @ INTO).tanh() @ OUT).square().sum(1)


def losses():
    """Whole losses, from logits through an estimator and the objective, and simplexes."""
    named = [n for n in estimators.names(relaxations=True) if n not in LIBRARYS]
    return {name: loss_ways(name, normal(5, F, seed=3)) for name in named}


def loss_ways(name, logits):
    made = estimators.make(name)
    if "samples" in made.knobs:
        made.change(samples=1)  # or a row mapped alone would meet other noise

    def loss(logits):
        return made(logits, cost, cardinalities=C)

    def point(logits):
        return made.simplex(logits, cardinalities=C)

    def row(logits):
        return cost(point(logits[None])).sum()

    by_row = 5 * jacobian(loss, logits)
    found = {
        "jacrev": verdict(lambda: [(seeded(jacrev(point), logits), jacobian(point, logits))]),
        "vmap(grad)": verdict(lambda: [(mapped(grad(row), logits), by_row)]),
    }
    for backend in BACKENDS if name in COMPILED else ():
        found[f"compile {backend}"] = verdict(partial(compiled, loss, backend, logits))
    return found


WRONG = {  # logits and cardinalities that are none
    "codes": (torch.zeros(2, F, dtype=torch.int64), C),
    "complex": (torch.zeros(2, F, dtype=torch.complex64), C),
    "a list": ([[0.0] * F], C),
    "one row": (torch.zeros(F), C),
    "too wide": (torch.zeros(2, F + 1), C),
    "a float": (torch.zeros(2, F), (3.0, 1, 4)),
    "a truth": (torch.zeros(2, F), (3, True, 4)),
    "nothing": (torch.zeros(2, F), (4, 0, 4)),
    "no column": (torch.zeros(2, 0), ()),
}


def refused():
    """What is said of each, outside of the run-time checks, which say so first."""
    report = {}
    for made in map(estimators.make, estimators.names()):
        for wrong, (logits, K) in WRONG.items() if made.head == "logits" else ():
            report.setdefault(wrong, {})[made.name] = {
                "loss": verdict(partial(made, logits, cost, cardinalities=K)),
                "simplex": verdict(partial(made.simplex, logits, cardinalities=K)),
            }
    return report


class Never:
    """In place of what the fast functions are made of."""

    def __getattr__(self, name):
        raise AssertionError("the fast one ran")

    def __call__(self, *args):
        raise AssertionError("the fast one ran")


BROKEN = (
    (columns, "simplex"),
    (columns, "_StraightThrough"),
    (columns, "_PulledBack"),
    (padded, "relaxed"),
    (padded, "moved"),
    (products, "simplex"),
    (linear, "_Heads"),
)


def pairs():
    """The fast functions, forced and broken: only the plain ones can have run."""
    weight, bias = normal(5, F, seed=6), normal(5, seed=7)
    chosen = {
        "softmax": lambda x: fast.softmax(x, C, 0.7),
        "argmax": lambda x: fast.argmax(x, C),
        "hard_softmax": lambda x: fast.hard_softmax(x, C, 0.7),
        "embed": lambda x: fast.embed(x, TABLES),
        "jacobian_product": lambda x: fast.jacobian_product(x, 2 * x, C),
        "heads": lambda x: fast.heads(x, weight, bias, 3)[0],
        "pulled_back": lambda x: fast.pulled_back(2 * x, x, lambda v: 3 * v),
        "straight_through": lambda x: fast.straight_through(2 * x, x),
    }
    return {name: pair_ways(function, normal(6, F)) for name, function in chosen.items()}


def pair_ways(function, x):
    with fast.use("plain"):
        value, slope = function(x), jacobian(function, x)

    def by_row(x):
        return vmap(lambda row: function(row[None])[0])(x)

    with ExitStack() as stack:
        stack.enter_context(fast.use("fast"))
        for module, name in BROKEN:
            stack.enter_context(patch.object(module, name, Never()))
        torch._dynamo.reset()
        whole = torch.compile(function, fullgraph=True, backend="eager")
        program = torch.export.export(Function(function), (x,)).module()
        return {
            "eager": verdict(lambda: [(function(x), value)]),
            "compile": verdict(lambda: [(whole(x), value)]),
            "export": verdict(lambda: [(program(x), value)]),
            "vmap": verdict(lambda: [(by_row(x), value)]),
            "jacrev": verdict(lambda: [(jacrev(function)(x), slope)]),
            "jvp": verdict(lambda: [(jvp(function, (x,), (x,))[1], torch.tensordot(slope, x, 2))]),
        }


class Reads(nn.Module):
    """A net that takes codes only, by some lookup."""

    def __init__(self, net1, read):
        super().__init__()
        self.net1, self.read = net1, read

    def forward(self, codes, continuous):
        found = self.read(self.net1.embedding.weights, codes)
        return self.net1.mlp(torch.cat([found, continuous], dim=1))


READ = {
    "embedding": lambda W, q: torch.cat([embedding(q[:, c], w) for c, w in enumerate(W)], 1),
    "[]": lambda W, q: torch.cat([w[q[:, c]] for c, w in enumerate(W)], 1),
    "[:, codes]": lambda W, q: torch.cat([w.T[:, q[:, c]].T for c, w in enumerate(W)], 1),
    "gather": lambda W, q: torch.cat(
        [w.gather(0, q[:, c, None].expand(-1, w.shape[1])) for c, w in enumerate(W)], 1
    ),
}


def softened(net1, data):
    """Nets that take codes, softened."""
    return {
        f"softened {name}": soften(freeze(Reads(net1, read)), data.rows, data.schema)
        for name, read in READ.items()
    }


def nets():
    """net1, as codes and as simplexes, folded or not, and net0."""
    data = planted(300, categorical=3, continuous=2, cardinality=(3, 5))
    net1 = freeze(RowEncoder(data.schema, Z=3, width=8, depth=1, D=4, embedding_std=None))
    net0, signal = RowPredictor(data.signal.shape[1], net1, width=8), data.signal[:5]
    rows = data.rows[:5]
    soft = simplex.one_hot(rows.codes, net1.cardinalities)
    inputs = {"codes": (rows.codes, rows.continuous), "simplex": (soft, rows.continuous)}
    report = {}
    for label, net in {"net1": net1, "folded": folded(net1)}.items():
        for kind, both in inputs.items():
            report[f"{label} {kind}"] = {
                "compile": verdict(partial(compiled, net, "aot_eager", *both)),
                "export": verdict(partial(exported, net, *both, rows=True)),
            }
    given = soft, rows.continuous
    for label, net in softened(net1, data).items():
        alone = vmap(lambda z, x, net=net: net(z[None], x[None])[0])
        report[label] = {
            "compile": verdict(partial(compiled, net, "aot_eager", *given)),
            "vmap": verdict(lambda alone=alone, net=net: [(alone(*given), net(*given))]),
        }
    weights, relax = dict(net0.named_parameters()), estimators.make("softmax").simplex

    def loss(weights, signal):
        logits, continuous = functional_call(net0, weights, (signal,))
        return net1(relax(logits, cardinalities=net1.cardinalities), continuous).square().sum()

    def apart():
        found = vmap(grad(lambda w, s: loss(w, s[None])), (None, 0))(weights, signal)
        together = torch.autograd.grad(loss(weights, signal), list(weights.values()))
        return [(g.sum(0), t) for g, t in zip(found.values(), together, strict=True)]

    report["net0"] = {
        "compile": verdict(lambda: compiled(lambda signal: net0(signal)[0], "aot_eager", signal)),
        "export": verdict(lambda: exported(Logits(net0), signal, rows=True)),
        "vmap(grad)": verdict(apart),
    }
    return report


def steps():
    """Whole steps of net0, from the drawn positions of rows to the loss, in one graph."""
    data = planted(300, categorical=3, continuous=2, cardinality=(3, 5))
    net1, report = freeze(RowEncoder(data.schema, Z=3, width=8, depth=1, D=4)), {}
    for name in (*COMPILED, "leave_one_out", "direct_embedding", "vq_straight_through"):
        estimator = estimators.make(name)
        net0 = RowPredictor(data.signal.shape[1], net1, width=8, head=estimator.head)
        loop = Predicting(net0, folded(net1), data, estimator)
        make = Distances(loop.net1, data, all_at_once=True)
        assert make.outputs is not None
        given = loop, make, data.train[:32]
        report[name] = {b: verdict(partial(whole_step, *given, backend=b)) for b in BACKENDS}
    return report


def whole_step(loop, make, index, backend):
    """The loss and net0's gradients, compiled as a whole and not."""
    torch._dynamo.reset()

    def step(index):
        return loop.relaxed(*loop.asked(index, make), None)

    found = []
    for function in (torch.compile(step, fullgraph=True, backend=backend), step):
        loss = seeded(function, index)
        found.append([loss, *torch.autograd.grad(loss, list(loop.net0.parameters()))])
    return zip(*found, strict=True)


if __name__ == "__main__":
    formulas = {name: ways(*given) for name, given in FORMULAS.items()}
    report = {"simplex": formulas, "losses": losses(), "refused": refused()}
    json.dump(report | {"fast": pairs(), "nets": nets(), "steps": steps()}, sys.stdout)
