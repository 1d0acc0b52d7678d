"""Every exercise takes right answers in any form, and tells wrong ones what is wrong with them."""

import copy
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from answers import RIGHT, WRONG
from torch import nn

from tabkit import RowEncoder, compare, decoders, estimators, freeze, inspection, planted, simplex
from tabkit.lesson import check
from tabkit.lesson.checks import EXERCISES

SOURCES = Path(__file__).parents[1] / "notebooks" / "_source"
STUDENTS = sorted(EXERCISES)


def test_every_exercise_of_the_notebooks_is_judged_and_no_other():
    called = [
        name
        for source in sorted(SOURCES.glob("*.py"))
        for name in re.findall(r'\bcheck\("([\d.]+)"', source.read_text())
    ]
    assert sorted(called) == STUDENTS == sorted(WRONG) == sorted(RIGHT)
    assert min(map(len, WRONG.values())) >= 8
    assert min(map(len, RIGHT.values())) >= 3


# What the notebooks have at hand when they ask, as small as can be.


@pytest.fixture(scope="module")
def scored():
    """`scored(name, ...)`: a net0 of an estimator, trained for a moment on planted rows."""
    data = planted(300, categorical=2, continuous=1)
    net1 = freeze(RowEncoder(data.schema, width=4))
    usual = {"steps": 2, "batch": 16, "decode_rows": 4, "decoders": ["argmax", "search"]}

    def train(name, **options):
        estimator, options = estimators.make(name), usual | options
        return compare.train_and_score(estimator, net1, data, name=name, **options)

    return train


def with_accuracy(found, share):
    """The same, its carriers right so often."""
    found = copy.copy(found)
    test = copy.copy(found.test)
    object.__setattr__(test, "accuracy", {"carrier": share})
    object.__setattr__(found, "test", test)
    return found


def noise(shape, generator):
    return -torch.log(-torch.log(torch.rand(shape, generator=generator)))


def trained_logits(W, wanted, steps=200, sign=1):
    logits = torch.zeros(len(W), dtype=W.dtype, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(steps):
        loss = sign * (logits.softmax(dim=0) @ W - wanted).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return logits.detach()


def candidates(codes, K):
    rows = torch.cartesian_prod(*map(torch.arange, K))
    return rows[(rows != codes).sum(dim=1) <= 1]


def exchanged(codes, loss, K):
    rows = candidates(codes, K)
    return rows[loss(rows).argmin()]


def best_of_all(codes, loss, K):
    rows = torch.cartesian_prod(*map(torch.arange, K))
    return rows[loss(rows).argmin()]


def worst(codes, loss, K):
    rows = candidates(codes, K)
    return rows[loss(rows).argmax()]


def one_after_the_other(codes, loss, K):
    for column, k in enumerate(K):
        rows = codes.repeat(k, 1)
        rows[:, column] = torch.arange(k)
        codes = rows[loss(rows).argmin()]
    return codes


def first_that_helps(codes, loss, K):
    rows = candidates(codes, K)
    better = rows[loss(rows) < loss(codes[None])]
    return better[0] if len(better) else codes


def kept_near(a, b, k, *, own=False, largest=False, same_place=False):
    near = []
    for table in (a, b):
        apart = torch.cdist(table, table)
        if not own:
            apart.fill_diagonal_(-torch.inf if largest else torch.inf)
        near.append(apart.topk(k, largest=largest).indices)
    if same_place:
        return (near[0] == near[1]).double().mean().item()
    pairs = zip(*(n.tolist() for n in near), strict=True)
    shares = [len({*one} & {*other}) / k for one, other in pairs]
    return sum(shares) / len(shares)


def zeroed(p, exact):
    p = p.clone()
    p[exact] = 0
    return p


def exact(column):
    return (column - column.round()).abs().max() <= 0.1


def relaxed(formula):
    def relaxation(logits, cardinalities, *, tau=1.0, generator=None):
        return formula(logits, simplex.gumbel_noise(logits, generator), cardinalities, tau)

    return relaxation


class Cost:
    """An objective of two columns of three categories: the sum of what each costs."""

    def __init__(self, costs):
        self.costs = torch.tensor(costs)

    def __call__(self, rows):
        if rows.is_floating_point():
            rows = torch.stack([block.argmax(dim=1) for block in rows.split([3, 3], dim=1)], dim=1)
        return self.costs[rows].sum(dim=1)


@pytest.fixture(scope="module")
def world(scored):
    """By exercise, what `check` is given beside the answer, and the names that answers may use."""
    names = {k: v for k, v in globals().items() if not k.startswith("_")}
    names |= {"scored": scored, "math": math, "np": np, "pd": pd, "torch": torch}
    found = scored("cross_entropy")
    blind, labelled = with_accuracy(found, 0.1), with_accuracy(found, 0.6)
    start, K = torch.zeros(2, 2, dtype=torch.int64), (3, 3)
    to_mixture, to_truth = Cost([0.3, 0.1, 0.2]), Cost([9.0, 1.5, 4.0])
    ended, _ = decoders.local_search(start, to_mixture, K)
    both = pd.DataFrame({"variance": [1.0, 0.5], "cosine": [0.4, 0.6]})
    return SimpleNamespace(**locals())


def given(name, world):  # noqa: PLR0911 - one for each
    """The further arguments of `check`, and names, fresh for each answer."""
    names = dict(world.names)
    names |= {n: getattr(world, n) for n in ("blind", "labelled", "start", "ended", "both")}
    names |= {"to_mixture": world.to_mixture, "to_truth": world.to_truth}
    match name:
        case "00.3":
            return (["softmax", "hard_argmax"],), names
        case "01.3":
            return (
                ["hour", "month", "weekday", "dest", "carrier", "origin", "manufacturer"],
            ), names
        case "02.4":
            shared = nn.Embedding.from_pretrained(torch.randn(4, 3, generator=torch.manual_seed(0)))
            twin = nn.Linear(4, 3, bias=False)
            twin.weight = nn.Parameter(shared.weight.T)
            before = shared.weight.detach().clone()

            def changed(column):
                shared.weight.data[2 if column == 0 else slice(None), column] += 1

            return (shared, twin, before), names | {"changed": changed}
        case "03.4":
            return (world.blind,), names
        case "04.3":
            return (world.start, world.to_mixture, world.to_truth, world.K), names
        case "06.3":
            return seen(names)
        case "07.2":
            return landed(names)
        case "07.3":
            losses = pd.Series({"net1 first": 0.2, "weight 1": 0.15, "weight 10": 0.14})
            return (pd.DataFrame({"loss": losses}),), names
        case "09.1":
            return softened(names)
        case "09.3":
            good = {who: RIGHT_ADVICE[who] for who in "abc"}
            return (), names | {"good": good}
    return (), names


RIGHT_ADVICE = {
    "a": ("leave_one_out", "argmax"),
    "b": ("softmax", "restarts"),
    "c": ("gumbel_softmax", "argmax"),
}


def seen(names):
    """Vectors of categories whose first number is a latitude, and a distance from home."""
    draw = np.random.default_rng(0)
    north, east = draw.normal(size=(2, 30))
    vectors = np.stack([north + 0.3 * east, east, draw.normal(size=30)], axis=1)
    facts = pd.DataFrame({"dest_lat": north}, index=[str(k) for k in range(30)])
    behind = inspection.Vectors("dest", vectors.astype("float32"), facts)
    home, line = inspection.line(east), inspection.line(north)
    return (behind, home), names | {"behind": behind, "home": home, "north": line}


def landed(names):
    """Something that landed: an objective whose nearest codes hang on the distances."""
    objective = Landed()
    decoded = torch.tensor([[2], [2]])
    embedding = torch.zeros(2, 1)
    handed = SimpleNamespace(embedding=embedding)
    found = SimpleNamespace(objective=objective, handed=handed, decoded=decoded)
    names |= {"objective": objective, "decoded": decoded}
    names |= {"snapped": lambda first: objective.nearest(embedding, first_layer=first)}
    return (found,), names


class Landed:
    def nearest(self, embedded, *, first_layer):
        return torch.full((len(embedded), 1), int(not first_layer))

    def __call__(self, codes):
        return torch.tensor([0.5, 0.8, 3.0])[codes[:, 0]]


class Net(nn.Module):
    """A net of five columns that wants one tensor, the codes from 1 on, first."""

    def __init__(self, cardinalities):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.tables = nn.ModuleList(
            nn.Embedding.from_pretrained(torch.randn(k, 2, generator=draw)) for k in cardinalities
        )
        self.out = nn.Parameter(torch.randn(11, 2, generator=draw))

    def forward(self, both):
        codes = both[:, :5].long() - 1
        columns = [table(codes[:, c]) for c, table in enumerate(self.tables)]
        return torch.cat([*columns, both[:, 5:]], dim=1) @ self.out


def softened(names):
    data = planted(300, categorical=5, continuous=1, cardinality=(3, 5))
    net = freeze(Net(data.schema.cardinalities))

    def call(net, codes, x):
        return net(torch.cat([codes + 1, x], dim=1))

    from tabkit import soften

    return (net, data, soften(net, data.rows, data.schema, call)), names


ANSWERS = [(name, text, told) for name, texts in WRONG.items() for text, told in texts.items()]


@pytest.mark.parametrize(("name", "text", "told"), ANSWERS)
def test_a_wrong_answer_is_told_what_is_wrong(name, text, told, world, capsys):
    others, names = given(name, world)
    answer = eval(text, names)
    capsys.readouterr()
    assert not check(name, answer, *others)
    said = capsys.readouterr().out
    assert told in said
    assert said.startswith(("Not right: ", "Not done yet: ")), said
    assert said.endswith(f"{EXERCISES[name].hint}\n") or said.startswith("Not done")


@pytest.mark.parametrize(
    ("name", "text"), [(n, text) for n, texts in RIGHT.items() for text in texts]
)
def test_a_right_answer_is_taken_in_any_form(name, text, world, capsys):
    others, names = given(name, world)
    answer = eval(text, names)
    capsys.readouterr()
    right = check(name, answer, *others)
    said = capsys.readouterr().out
    assert right, said
    assert re.fullmatch(r"Right(, to \de-\d\d)?\.\n", said)


@pytest.mark.parametrize("name", STUDENTS)
def test_what_is_not_done_is_no_mistake(name, world, capsys):
    others, _ = given(name, world)
    capsys.readouterr()
    assert not check(name, None, *others)
    assert capsys.readouterr().out == "Not done yet: the answer is still None.\n"
    if RIGHT[name][0].startswith("lambda"):
        assert not check(name, lambda *all, **more: None, *others)
        assert capsys.readouterr().out == "Not done yet: the function still returns None.\n"
