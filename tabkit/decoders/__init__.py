"""Decoders: what net0 hands over -> a hard row.

By name: ``argmax``, the largest logit in each column; ``table``, the category nearest to the soft
embedding; ``first_layer``, the nearest as net1's first layer sees it; ``search``, the row whose
output behind net1 is nearest to the output for what was handed over, by local search;
``restarts``, the best of ten such searches, which then moves the numbers, too, and searches again.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tabkit.decoders.counterfactuals import Counterfactual, counterfactual
from tabkit.decoders.handed import Handed, handed_over, sent
from tabkit.decoders.restarts import restarts
from tabkit.decoders.search import argmax, first_layer, local_search, search, table
from tabkit.estimators import Estimator
from tabkit.nets import ObjectiveOf, has
from tabkit.objective import Codes
from tabkit.schema import Fixed, Rows

DECODERS: dict[str, Callable[[Handed], Codes | Rows]] = {
    decoder.__name__: decoder for decoder in (argmax, table, first_layer, search, restarts)
}


def names() -> tuple[str, ...]:
    """The names that `decode` knows."""
    return tuple(DECODERS)


def possible(net1: Any) -> tuple[str, ...]:
    """The names of the decoders that this net1 has all for: its call, its tables, its first layer.

    Examples
    --------
    >>> possible(lambda categorical, continuous: continuous)
    ('argmax', 'search', 'restarts')
    """
    needs = {"table": ("embedding",), "first_layer": ("embedding", "first_layer")}
    return tuple(name for name in DECODERS if has(net1, *needs.get(name, ())))


def decoder_of(name: str) -> Callable[[Handed], Rows]:
    """A decoder by name; raises ValueError if there is none of that name."""
    if name not in DECODERS:
        raise ValueError(f"no decoder is called {name!r}; there are {', '.join(names())}")

    def decoder(handed: Handed) -> Rows:
        found = DECODERS[name](handed)
        return found if isinstance(found, Rows) else Rows(found, handed.continuous)

    return decoder


@torch.no_grad()
def decode(
    net0: Any,
    signal: Float[Tensor, "B S"],
    net1: Any,
    *,
    decoder: str = "argmax",
    estimator: Estimator | str | None = None,
    objective: ObjectiveOf | None = None,
    allowed: Bool[Tensor, " F"] | None = None,
    fixed: Fixed | None = None,
    seed: int = 0,
    batch: int = 4_096,
) -> Rows:
    """The hard rows that net0 predicts.

    Many rows are decoded in batches, so that their logits need not fit into memory at once. A
    category that net0 does not allow (a logit of minus infinity) is never decoded.

    Parameters
    ----------
    decoder
        One of `names`.
    estimator
        What net0 was trained with, which says what net1 got: the decoders but argmax go by that.
        If not given, the softmax of the logits, or the embedding as it is. Of relaxations that
        sample, one draw from `seed`.
    objective
        As `fit_predictor` takes it; a search then lowers it, from the argmax, in place of the
        distance to net1's output for what was handed over.
    allowed
        (F,), the categories that may be decoded, of those that net0 allows; all if not given.
    fixed
        Values that all rows shall have, as the schema encodes them:
        ``data.schema.fix({"origin": "JFK"})``. What net0 was trained to keep, it keeps anyway.

    Raises
    ------
    DataError
        If a number of the signal is not finite: which row and column.
    ValueError
        If there is no such decoder, the signal is not (B, S), a block allows no category, or what
        net0 predicts is not finite.
    TypeError
        If net1 lacks what the decoder needs, or the signal, net0's output or a mask is of another
        type.

    Examples
    --------
    >>> from tabkit import RowEncoder, RowPredictor, freeze, planted
    >>> data = planted(300, categorical=2, continuous=1)
    >>> net1 = freeze(RowEncoder(data.schema))
    >>> rows = decode(RowPredictor(data.signal.shape[1], net1), data.signal, net1)
    >>> rows.codes.shape
    torch.Size([300, 2])
    """
    chosen, signal = decoder_of(decoder), sent(signal, net1)
    if batch < 1:
        raise ValueError(f"batch must be at least 1, not {batch}")
    options = {"estimator": estimator, "objective": objective, "allowed": allowed, "seed": seed}
    options["fixed"] = fixed
    every = (handed_over(net0, part, net1, **options) for part in signal.split(batch))
    parts = [chosen(handed) for handed in every]
    codes, numbers = [part.codes for part in parts], [part.continuous for part in parts]
    return Rows(torch.cat(codes), torch.cat(numbers))


__all__ = [
    "DECODERS",
    "Counterfactual",
    "Handed",
    "counterfactual",
    "decode",
    "decoder_of",
    "handed_over",
    "local_search",
    "names",
    "possible",
    "restarts",
    "search",
]
