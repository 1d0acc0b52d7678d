"""Relaxations: maps from logits to a simplex with a useful gradient.

Every relaxation is called in the same way, ``relaxation(logits, cardinalities=..., generator=...)``
with logits (B, F) in nats, and returns a simplex (B, F). Each is made by name with its knobs,
`make("gumbel_softmax", tau=0.5)`, and `names` lists them.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from tabkit.schema import split_blocks

Kind = TypeVar("Kind")

_REGISTRY: dict[str, type["Relaxation"]] = {}


class Tunable:
    """Something with knobs: the fields of its dataclass, which may change between calls."""

    @property
    def knobs(self) -> dict[str, float]:
        """The knobs and their values.

        Examples
        --------
        >>> make("softmax", tau=0.5).knobs
        {'tau': 0.5}
        """
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def change(self, **knobs: float) -> None:
        """Changes knobs, all or, if one is unknown or has a bad value, none.

        Raises
        ------
        ValueError
            If a knob is unknown or has a bad value.
        """
        changed = construct(type(self).__name__, type(self), self.knobs | knobs)
        vars(self).update(changed.knobs)


class Relaxation(Tunable, ABC):
    """A map from logits to a simplex, block by block.

    Class attributes
    ----------------
    gradient : what the backward pass computes
    source : where the relaxation comes from
    """

    gradient: ClassVar[str]
    source: ClassVar[str]

    def __call__(
        self,
        logits: Float[Tensor, "B F"],
        *,
        cardinalities: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B F"]:
        """Relaxes each column's block.

        Raises
        ------
        ValueError
            If the blocks do not sum to F, or a temperature is not a finite number above 0.
        """
        blocks = split_blocks(logits, cardinalities)
        return torch.cat([self.block(b, generator) for b in blocks], dim=1)

    @abstractmethod
    def block(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        """Relaxes one column: logits (B, K) -> simplex (B, K)."""


def register(name: str) -> Callable[[type[Relaxation]], type[Relaxation]]:
    """Class decorator that files a relaxation under a name."""

    def file(relaxation: type[Relaxation]) -> type[Relaxation]:
        _REGISTRY[name] = relaxation
        return relaxation

    return file


def names() -> tuple[str, ...]:
    """The names that `make` knows."""
    return tuple(_REGISTRY)


def make(name: str, **knobs: float) -> Relaxation:
    """A relaxation by name.

    Raises
    ------
    ValueError
        If the name or a knob is unknown, or a knob has a bad value.

    Examples
    --------
    >>> make("softmax", tau=0.5)
    Softmax(tau=0.5)
    """
    if name not in _REGISTRY:
        raise ValueError(f"no relaxation is called {name!r}; there are {', '.join(names())}")
    return construct(name, _REGISTRY[name], knobs)


def construct(name: str, kind: type[Kind], knobs: dict[str, float]) -> Kind:
    """Builds a registered class, and says which knobs it has if one is unknown."""
    known = [field.name for field in fields(kind)]
    for knob in knobs:
        if knob not in known:
            has = ", ".join(known) if known else "no knobs"
            raise ValueError(f"{name} has no knob {knob!r}; it has: {has}")
    return kind(**knobs)


def check_temperature(tau: float, name: str = "tau") -> float:
    """A temperature is dimensionless, finite and above 0.

    Raises
    ------
    ValueError
        Otherwise.
    """
    if not (math.isfinite(tau) and tau > 0):
        raise ValueError(f"{name} must be a finite number above 0, not {tau}")
    return tau


def gumbel_noise(
    logits: Float[Tensor, "*S"], generator: torch.Generator | None
) -> Float[Tensor, "*S"]:
    """Standard Gumbel noise of the shape, dtype and device of `logits`.

    Drawn in float32 at least: in half precision the uniform draws would reach 0 and 1.
    """
    dtype = torch.promote_types(logits.dtype, torch.float32)
    uniform = torch.rand(logits.shape, generator=generator, dtype=dtype, device=logits.device)
    uniform.clamp_(min=torch.finfo(dtype).tiny)
    return uniform.log_().neg_().log_().neg_().to(logits.dtype)


def one_hot_argmax(values: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
    """The vertex of the largest value; the argmax has no gradient, so neither has this."""
    return one_hot(values.argmax(dim=1), values.shape[1]).to(values.dtype)


def straight_through(
    hard: Float[Tensor, "B K"], soft: Float[Tensor, "B K"]
) -> Float[Tensor, "B K"]:
    """Forward `hard`, backward `soft`.

    Added in this order because ``soft - soft.detach()`` is exactly 0, which leaves `hard` intact
    to the last bit; ``hard + soft - soft.detach()`` would not.
    """
    return hard + (soft - soft.detach())


@dataclass(kw_only=True)
class Tempered(Relaxation):
    """A relaxation with one temperature `tau`."""

    tau: float = 1.0

    def __post_init__(self) -> None:
        check_temperature(self.tau)

    def soft(self, logits: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        """Softmax at temperature tau."""
        return (logits / check_temperature(self.tau)).softmax(dim=1)


@register("softmax")
@dataclass(kw_only=True)
class Softmax(Tempered):
    """Softmax at temperature tau: a mixture of categories, the more mixed the larger tau.

    It maximises ``<x, logits> + tau * H(x)`` over the simplex, H the Shannon entropy.

    Gradient
    --------
    Exact, of the loss of the mixture; the decoded row is another point.

    Examples
    --------
    >>> Softmax(tau=0.5)(torch.tensor([[0.0, 0.0, 5.0]]), cardinalities=[2, 1])
    tensor([[0.5000, 0.5000, 1.0000]])
    """

    gradient: ClassVar[str] = "exact, of the mixture's loss"
    source: ClassVar[str] = "Bridle 1990"

    def block(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        return self.soft(logits)


@register("hard_argmax")
@dataclass(kw_only=True)
class HardArgmax(Relaxation):
    """The vertex of the largest logit: what decoding does.

    Gradient
    --------
    None for the logits: the argmax is piecewise constant. The continuous outputs still get
    theirs, so this is the "no gradient for the categories" reference.

    Examples
    --------
    >>> HardArgmax()(torch.tensor([[0.1, 0.2, 0.0]]), cardinalities=[3])
    tensor([[0., 1., 0.]])
    """

    gradient: ClassVar[str] = "none for the logits"
    source: ClassVar[str] = "the decoding rule itself"

    def block(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        return one_hot_argmax(logits)


@register("straight_through_argmax")
@dataclass(kw_only=True)
class StraightThroughArgmax(Tempered):
    """Forward the vertex of the largest logit, backward the softmax at temperature tau.

    Gradient
    --------
    Biased towards the surrogate that is linear in the simplex, with the softmax's Jacobian.

    Source
    ------
    Bengio, Leonard and Courville 2013, arXiv:1308.3432 (there for binary units and samples).
    """

    gradient: ClassVar[str] = "biased: the softmax's Jacobian at the vertex's loss gradient"
    source: ClassVar[str] = "Bengio et al. 2013, arXiv:1308.3432"

    def block(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        return straight_through(one_hot_argmax(logits), self.soft(logits))


@register("gumbel_softmax")
@dataclass(kw_only=True)
class GumbelSoftmax(Tempered):
    """A random point of the simplex: softmax of logits plus Gumbel noise, at temperature tau.

    As tau falls to 0 the points become samples of the categories; as it grows they become the
    uniform mixture.

    Gradient
    --------
    Unbiased for the expected loss of the relaxed points, biased for that of the categories.

    Source
    ------
    Jang, Gu and Poole 2017, arXiv:1611.01144; Maddison, Mnih and Teh 2017, arXiv:1611.00712.
    """

    gradient: ClassVar[str] = "unbiased for the relaxed points, biased for the categories"
    source: ClassVar[str] = "Jang et al. 2017, arXiv:1611.01144"

    def block(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        return self.soft(logits + gumbel_noise(logits, generator))


@register("straight_through_gumbel")
@dataclass(kw_only=True)
class StraightThroughGumbel(Tempered):
    """Forward a sampled category, backward the Gumbel-softmax of the same noise.

    The forward sample does not depend on tau: it is an exact draw from softmax(logits).

    Gradient
    --------
    Biased: the Gumbel-softmax's Jacobian at the sampled vertex's loss gradient.

    Source
    ------
    Jang, Gu and Poole 2017, arXiv:1611.01144, section 2.2.
    """

    gradient: ClassVar[str] = "biased: the Gumbel-softmax's Jacobian at the vertex's loss gradient"
    source: ClassVar[str] = "Jang et al. 2017, arXiv:1611.01144"

    def block(
        self, logits: Float[Tensor, "B K"], generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        perturbed = logits + gumbel_noise(logits, generator)
        return straight_through(one_hot_argmax(perturbed), self.soft(perturbed))
