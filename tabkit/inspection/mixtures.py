"""Where mixtures of categories land: on the simplex, in the embedding, and behind net1."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.estimators import Estimator
from tabkit.nets import cardinalities_of, device_of, dtype_of
from tabkit.schema import Rows
from tabkit.simplex import one_hot


def spacing(table: Float[Tensor, "K D"]) -> float:
    """Mean distance from a row of the table to the nearest other row; 1 if there is only one."""
    if len(table) < 2:
        return 1.0
    distances = torch.cdist(table, table).fill_diagonal_(torch.inf)
    return distances.amin(dim=1).mean().item()


@torch.no_grad()
def walk(
    net1: Any, rows: Rows, column: int, first: int, second: int, *, points: int = 41
) -> pd.DataFrame:
    """From one category of a column to another through their mixtures, as net1 sees it.

    `rows` is one row, whose other columns stay as they are. Returned are, by the share of the
    second category, the distances behind net1 from the mixture to the row with the first category,
    with the second, and with the nearest of all (`to_first`, `to_second`, `to_nearest`), and that
    one's code (`nearest`). Raises ValueError if there is not exactly one row.
    """
    if len(rows) != 1:
        raise ValueError(f"a walk starts from one row, not from {len(rows)}")
    place, K = {"device": device_of(net1), "dtype": dtype_of(net1)}, cardinalities_of(net1)
    rows, width = rows.to(**place), K[column]
    every = rows.codes.repeat(width, 1)
    every[:, column] = torch.arange(width)
    hard = one_hot(every, K, place["dtype"])
    share = torch.linspace(0, 1, points, **place)[:, None]
    mixed = (1 - share) * hard[first] + share * hard[second]
    outputs = net1(mixed, rows.continuous.expand(points, -1))
    corners = net1(hard, rows.continuous.expand(width, -1))
    apart = pd.DataFrame(
        torch.cdist(outputs, corners).cpu().numpy(),
        pd.Index(share.flatten().tolist(), name="share"),
    )
    nearest = {"to_nearest": apart.min(axis=1), "nearest": apart.idxmin(axis=1)}
    return pd.DataFrame({"to_first": apart[first], "to_second": apart[second], **nearest})


@dataclass(frozen=True, eq=False)
class Mixture:
    """What a relaxation makes of one column's logits.

    Attributes
    ----------
    samples : one simplex a draw of the noise; all the same without noise
    entropy : of the first, in nats
    nearest : the category whose embedding is nearest to the first's soft embedding, if any
    distance : how far away it is, in units of the mean distance between neighbouring categories
    """

    samples: Float[Tensor, "S K"]
    entropy: float
    nearest: int | None = None
    distance: float | None = None

    @property
    def simplex(self) -> Float[Tensor, " K"]:
        """The first draw."""
        return self.samples[0]


@torch.no_grad()
def mix(
    logits: Float[Tensor, " K"],
    relaxation: Estimator,
    table: Float[Tensor, "_ D"] | None = None,
    *,
    seed: int = 0,
    samples: int = 200,
) -> Mixture:
    """Puts one column's logits through a relaxation, several times.

    Without the column's embedding table, only the shares and their entropy are known. Raises
    ValueError if it has not as many categories as there are logits.

    Examples
    --------
    >>> from tabkit import estimators
    >>> mixture = mix(torch.zeros(2), estimators.make("softmax"), torch.eye(2))
    >>> mixture.simplex.tolist(), round(mixture.entropy, 3), round(mixture.distance, 3)
    ([0.5, 0.5], 0.693, 0.5)
    """
    if table is not None and len(logits) != len(table):
        raise ValueError(f"there are {len(table)} categories, but {len(logits)} logits")
    noise = torch.Generator().manual_seed(seed)
    many = logits.detach().cpu().expand(samples, -1)
    drawn = relaxation.simplex(many, cardinalities=[len(logits)], generator=noise)
    entropy = torch.special.entr(drawn[0]).sum().item()
    if table is None:
        return Mixture(drawn, entropy)
    table = table.detach().cpu()
    distance, nearest = torch.cdist(drawn[:1] @ table, table).min(dim=1)
    return Mixture(drawn, entropy, nearest.item(), distance.item() / spacing(table))
