"""Deterministic: softmax, sparse projections, the argmax itself; the reference with labels."""

import entmax

from tabkit.estimators.door import Logits, Scalar, Simplex, Temperature, label_nats
from tabkit.estimators.registry import estimator, relaxation
from tabkit.fast import argmax, hard_softmax, straight_through
from tabkit.fast import softmax as softmax_of
from tabkit.objective import Objective
from tabkit.simplex import Cardinalities, each, tempered


@relaxation(gradient="exact, of the mixture's loss", source="Bridle 1990", masks=True)
def softmax(logits: Logits, cardinalities: Cardinalities, *, tau: Temperature = 1.0) -> Simplex:
    """A mixture of categories, the more mixed the larger tau; the decoded row is another point.

    It maximises ``<x, logits> + tau * H(x)`` over the simplex, H the Shannon entropy.
    """
    return softmax_of(logits, cardinalities, tau)


@relaxation(
    gradient="exact, of the sparse mixture's loss; 0 at a vertex",
    source="Martins and Astudillo 2016, arXiv:1602.02068",
)
def sparsemax(logits: Logits, cardinalities: Cardinalities, *, tau: Temperature = 1.0) -> Simplex:
    """The point of the simplex nearest to logits / tau; most shares are exactly 0.

    It minimises ``|x - logits / tau|^2`` over the simplex. Once one category has the whole share
    its gradient is 0, so a net that has made up its mind, rightly or wrongly, learns no more.
    """
    return each(lambda block: entmax.sparsemax(tempered(block, tau)), cardinalities, logits)


@relaxation(
    gradient="exact, of the sparse mixture's loss; 0 at a vertex",
    source="Peters et al. 2019, arXiv:1905.05702",
)
def entmax15(logits: Logits, cardinalities: Cardinalities, *, tau: Temperature = 1.0) -> Simplex:
    """Entmax with alpha = 1.5, between softmax (1) and sparsemax (2).

    It maximises ``<x, logits / tau> + H(x)`` over the simplex, H the Tsallis entropy of order 1.5.
    """
    return each(lambda block: entmax.entmax15(tempered(block, tau)), cardinalities, logits)


@relaxation(gradient="none for the logits", source="the decoding rule itself")
def hard_argmax(logits: Logits, cardinalities: Cardinalities) -> Simplex:
    """The vertex of the largest logit: what decoding does.

    The argmax is piecewise constant, so the logits' gradient is 0; the continuous outputs still get
    theirs. This is the "no gradient for the categories" reference.
    """
    return straight_through(argmax(logits, cardinalities), 0 * logits)


@relaxation(
    gradient="biased: the softmax's Jacobian at the vertex's loss gradient",
    source="Bengio et al. 2013, arXiv:1308.3432",
    masks=True,
)
def straight_through_argmax(
    logits: Logits, cardinalities: Cardinalities, *, tau: Temperature = 1.0
) -> Simplex:
    """Forward the vertex of the largest logit, backward the softmax at temperature tau.

    The paper has binary units and samples.
    """
    return hard_softmax(logits, cardinalities, tau)


@estimator(
    gradient="exact, of the cross-entropy on the true codes",
    bias="other",
    source="maximum likelihood",
)
def cross_entropy(logits: Logits, objective: Objective, cardinalities: Cardinalities) -> Scalar:
    """Cross-entropy on the true codes, nothing through net1.

    The value is the objective at the decoded row, so that it compares with the others; the gradient
    for the logits is that of the cross-entropy (nats, summed over columns, mean over rows); the
    continuous outputs learn through the objective at the decoded row. A label whose category is not
    allowed is left out.
    """
    nats = label_nats(logits, objective, cardinalities)
    decoded = hard_argmax(logits, cardinalities)
    return objective(decoded).mean() + (nats - nats.detach())
