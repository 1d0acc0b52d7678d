"""Exercises of notebook 09: somebody else's net, and advice."""

from collections.abc import Mapping
from typing import Any

import torch

from tabkit import decoders, estimators
from tabkit.lesson.asking import understood
from tabkit.lesson.checks import called, exercise
from tabkit.lesson.comparing import Wrong, same
from tabkit.lesson.exercises.codes import stream
from tabkit.nets import freeze
from tabkit.simplex import one_hot
from tabkit.soften import soften

ADVICE = {
    "a": {("leave_one_out", "argmax")},
    "b": {("softmax", "restarts"), ("softmax", "search")},
    "c": {("gumbel_softmax", "argmax"), ("straight_through_gumbel", "argmax")},
}
BECAUSE = {
    "a": "a black box gives no gradient",
    "b": "net1 may be asked when rows are made, and time is no matter",
    "c": "net1 is not there when rows are made",
}


@exercise("09.1", "In which order, and from which code on, does it take its columns?")
def call(answer: Any, net: Any, data: Any, net1: Any) -> None:
    """``call(net, codes, x)``: for codes and numbers what net1 gives, and it can be softened."""
    rows = data.rows[data.test[:200]]
    found = called(answer, net, rows.codes, rows.continuous)
    same(found, net1(rows.codes, rows.continuous), "what the net returns")
    hot = one_hot(rows.codes, data.schema.cardinalities)
    soft = soften(freeze(net), data.rows, data.schema, answer)
    wanted = net1(hot, rows.continuous)
    same(soft(hot, rows.continuous), wanted, "what the softened net returns")


@exercise("09.2", "Of the squared distance, not of its root; W times what arrives.")
def gradient(answer: Any) -> None:
    """``gradient(shares, W, wanted)``."""
    for K, D in ((3, 5), (4, 2)):
        W, wanted = torch.randn(K, D, generator=stream(K)), torch.ones(D)
        leaf = torch.rand(K, generator=stream(D)).requires_grad_()
        (right,) = torch.autograd.grad((leaf @ W - wanted).square().sum(), leaf)
        found = called(answer, leaf.detach().clone(), W.clone(), wanted.clone())
        same(found, right, f"for {K} shares, the answer")


@exercise("09.3", "The guide, from the top.")
def advice(answer: Any) -> None:
    """What to train through and decode by, for three readers."""
    if not isinstance(answer, Mapping) or set(answer) != set(ADVICE):
        raise Wrong("it should be a dict with the keys a, b and c.")
    for who, ways in ADVICE.items():
        way = answer[who]
        if isinstance(way, str) or len(way) != 2:
            raise Wrong(f"{who}: two words, what to train through and what to decode by.")
        names = [*estimators.names(), *decoders.names()]
        if tuple(understood(word, names) for word in way) not in ways:
            raise Wrong(f"{who}: not {way[0]} by {way[1]}; {BECAUSE[who]}.")
