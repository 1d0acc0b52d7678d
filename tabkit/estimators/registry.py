"""What every estimator is: a rule with a name, its knobs, its call."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any, Literal, get_type_hints

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit import fast
from tabkit.estimators import door
from tabkit.estimators.door import Held, Kind, Knob, Logits, Noise, Scalar, Simplex
from tabkit.objective import Function, Objective
from tabkit.simplex import Cardinalities

Head = Literal["logits", "embedding"]
Bias = Literal["exact", "unbiased", "biased", "other"]
Evaluations = Callable[..., int]

_RULES: dict[str, "Rule"] = {}
# Knobs of every estimator, and what each puts into the gradient's words.
ADDED = {
    "entropy_penalty": (door.Finite, "the entropy penalty's"),
    "label_weight": (door.Weight, "that of the true codes' cross-entropy"),
}


@dataclass(frozen=True)
class Rule:
    """A function that is filed as an estimator, and what it declares.

    Its `bias` is how its gradient for the logits stands to that of the expected loss of the rows
    that softmax(logits) draws; ``"other"`` if it is the gradient of something else.
    """

    function: Callable[..., Tensor]
    gradient: str  # what the backward pass computes
    source: str  # where it comes from
    bias: Bias = "biased"
    relaxes: bool = False  # whether it maps logits to a simplex, and the objective does the rest
    head: Head = "logits"  # what it takes from net0: logits (B, F) or an embedding (B, C*D)
    evaluations: Evaluations = lambda cardinalities, **knobs: 1  # of the objective, a row and call
    snaps: bool = False  # whether net1 gets the nearest category's embedding
    masks: bool = False  # whether the function itself leaves out a logit of minus infinity

    @property
    def defaults(self) -> dict[str, Knob]:
        """The knobs: the function's keyword-only arguments that have a kind."""
        parameters = signature(self.function).parameters
        return {name: parameters[name].default for name in self.kinds}

    @property
    def kinds(self) -> dict[str, Kind]:
        """What each knob may be, by its annotation."""
        hints = get_type_hints(self.function, include_extras=True)
        kinds = {name: getattr(hint, "__metadata__", (None,))[0] for name, hint in hints.items()}
        return {name: kind for name, kind in kinds.items() if isinstance(kind, Kind)}


class Estimator:
    """One way to train net0 through an objective, made by `make`.

    Attributes
    ----------
    rule : the function and what it declares
    name : by which `make` knows it
    head : what it takes from net0, ``"logits"`` (B, F) or an ``"embedding"`` (B, C*D)
    source : where it comes from
    knobs : the knobs and their values
    state : what it has learnt from earlier calls, such as a baseline; empty for most
    held : knobs that are tensors of no dimension, in place of their values: of a captured step
    """

    def __init__(self, rule: Rule, knobs: dict[str, Knob]) -> None:
        self.rule, self.name, self.head = rule, rule.function.__name__, rule.head
        self.source, self.state, self.knobs, self.held = rule.source, {}, {}, {}
        self.change(**(rule.defaults | knobs))
        self._takes = {"generator", "state"} & signature(rule.function).parameters.keys()

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v}' for k, v in self.knobs.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Estimator) and repr(self) == repr(other)

    __hash__ = None

    @property
    def bias(self) -> Bias:
        """As `Rule.bias`; what is added makes it the gradient of something else."""
        return "other" if self._added else self.rule.bias

    @property
    def gradient(self) -> str:
        """What the backward pass computes."""
        return "; plus ".join([self.rule.gradient, *(ADDED[name][1] for name in self._added)])

    def change(self, **knobs: Knob) -> None:
        """Changes knobs; if one is unknown or a value bad, raises ValueError and changes none."""
        kinds = self.rule.kinds | {n: hint.__metadata__[0] for n, (hint, _) in ADDED.items()}
        unknown, has = [n for n in knobs if n not in kinds], ", ".join(self.rule.defaults)
        if unknown:
            raise ValueError(f"{self.name} has no knob {unknown[0]!r}; it has: {has or 'no knobs'}")
        self.knobs = self.knobs | {n: kinds[n].check(n, value) for n, value in knobs.items()}

    def whole(self, name: str) -> bool:
        """Whether a knob counts something, such as draws."""
        return name in self.rule.kinds and self.rule.kinds[name].whole

    def fresh(self) -> "Estimator":
        """The same, which has learnt nothing."""
        found = copy.copy(self)
        found.knobs, found.state, found.held = dict(self.knobs), {}, {}
        return found

    def evaluations(self, cardinalities: Cardinalities) -> int:
        """Evaluations of the objective a row and call; backward passes are not counted."""
        return self.rule.evaluations(cardinalities, **self._own)

    def __call__(
        self,
        logits: Float[Tensor, "B _"],
        objective: Function | Objective,
        *,
        cardinalities: Cardinalities,
        generator: Noise = None,
    ) -> Scalar:
        """The relaxed loss (mean over rows; of none 0), whose backward is the gradient estimate.

        A logit of minus infinity is a category that is not allowed. Half types are worked on in
        float32; the objective gets simplexes in the type of the logits.

        Raises
        ------
        ValueError
            If the logits are not (B, F), a cardinality is no whole number from 1 on, the blocks do
            not sum to F, a logit is NaN or plus infinity, a block allows no category, or the
            objective does not return one loss per row.
        TypeError
            If the logits are no floats, or the objective lacks what the estimator needs.
        """
        objective, embeds = Objective.of(objective), self.head == "embedding"
        values = logits if embeds else self._values(logits, cardinalities)
        if embeds:
            door.check_embedding(logits, getattr(objective, "widths", None))
        if not len(logits):
            return logits.sum()  # 0, with a graph
        if embeds:
            loss = self.rule.function(values, objective, **self._own)
        elif self.rule.relaxes:
            loss = objective(self._point(values, logits.dtype, cardinalities, generator)).mean()
        else:
            given, options = objective.typed(logits.dtype), self._given(generator)
            loss = self.rule.function(values, given, cardinalities, **options)
        if self._added:
            wanted = objective.distances(logits) if embeds else logits
            more = self._more(wanted, objective, cardinalities)
            loss = loss + (more - more.detach())
        return loss if loss.requires_grad else loss + logits[:0].sum()  # of a constant, a graph too

    def _more(self, logits: Logits, objective: Objective, cardinalities: Cardinalities) -> Scalar:
        """What is added to the gradient, as a loss."""
        parts = {
            "entropy_penalty": lambda: door.entropy(logits, cardinalities).mean(),
            "label_weight": lambda: door.label_nats(logits, objective, cardinalities),
        }
        return sum(weight * parts[name]() for name, weight in self._added.items())

    def simplex(
        self, logits: Logits, *, cardinalities: Cardinalities, generator: Noise = None
    ) -> Simplex:
        """What net1 gets in training: a relaxation's point; of other estimators, the argmax."""
        values = self._values(logits, cardinalities)
        if not self.rule.relaxes:
            return fast.argmax(values, cardinalities).to(logits.dtype)
        return self._point(values, logits.dtype, cardinalities, generator)

    def _values(self, logits: Logits, cardinalities: Cardinalities) -> Logits:
        return door.allowed_logits(logits, cardinalities, finite=not self.rule.masks)

    def _point(
        self, values: Logits, dtype: torch.dtype, cardinalities: Cardinalities, generator: Noise
    ) -> Simplex:
        return self.rule.function(values, cardinalities, **self._given(generator)).to(dtype)

    @property
    def _own(self) -> dict[str, Held]:
        return {n: self.held.get(n, knob) for n, knob in self.knobs.items() if n not in ADDED}

    @property
    def _added(self) -> dict[str, Held]:
        return {n: self.held.get(n, self.knobs[n]) for n in ADDED if self.knobs.get(n)}

    def _given(self, generator: Noise) -> dict[str, Any]:
        options = {"generator": generator, "state": self.state}
        return self._own | {name: options[name] for name in self._takes}


def relaxation(**declared: Any) -> Callable[[Callable], Callable]:
    """Files a function ``(logits, cardinalities, *, KNOBS, generator) -> simplex`` by its name.

    Its logits are finite, float32 at least. Its knobs are the keyword-only arguments that are
    annotated by a kind of `tabkit.estimators.door`; `generator` is only handed to one that has it.
    Declare its `gradient` and `source`, and its `bias` if it is not ``"biased"``.
    """
    return estimator(relaxes=True, **declared)


def estimator(**declared: Any) -> Callable[[Callable], Callable]:
    """Files a function ``(logits, objective, cardinalities, *, KNOBS, generator, state) -> loss``.

    As `relaxation`; what it puts into the dict `state` it finds there at the next call. With the
    embedding head it is ``(embedding, objective, *, KNOBS) -> loss``. Declare as well, where they
    are not the usual ones, its `head`, its `evaluations` of the objective, a row and call, by
    cardinalities and knobs, and that it `snaps`, so that net1 gets the nearest category's
    embedding.
    """

    def file(function: Callable) -> Callable:
        _RULES[function.__name__] = Rule(function, **declared)
        return function

    return file


def names(*, relaxations: bool = False) -> tuple[str, ...]:
    """The names that `make` knows, those of the relaxations first; or those alone."""
    found = tuple(name for name, rule in _RULES.items() if rule.relaxes)
    return found if relaxations else found + tuple(n for n in _RULES if n not in found)


def make(name: str, **knobs: Knob) -> Estimator:
    """An estimator by name; any takes an `entropy_penalty` and a `label_weight` as well.

    ``entropy_penalty * entropy(logits)`` and ``label_weight * cross_entropy(logits, true codes)``,
    both in nats summed over columns, mean over rows, are added to the gradient; the value stays the
    relaxed loss, so that runs compare. With an embedding head, the logits are minus the squared
    distances to the categories. A label whose category is not allowed is left out. The true codes
    are the objective's `codes`; the loops give them to any.

    Raises
    ------
    ValueError
        If the name or a knob is unknown, or a knob has a bad value.

    Examples
    --------
    >>> make("gumbel_softmax", tau=0.5)
    gumbel_softmax(tau=0.5)
    """
    if name not in _RULES:
        knobs_go = " (knobs are keywords here: make('softmax', tau=0.5))" if ":" in name else ""
        listed = ", ".join(names())
        raise ValueError(f"no estimator is called {name!r}{knobs_go}; there are {listed}")
    return Estimator(_RULES[name], {k: v for k, v in knobs.items() if v is not None})
