"""One column's logits under a relaxation: the simplex, and where its embedding lies."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.inspection.mixtures import spacing
from tabkit.relaxations import Relaxation


@dataclass(frozen=True, eq=False)
class Mixture:
    """What a relaxation makes of one column's logits.

    Attributes
    ----------
    samples : Tensor
        (S, K): one simplex a draw of the noise; all the same without noise.
    entropy : float
        Of the first, in nats.
    nearest : int
        The category whose embedding is nearest to the first's soft embedding.
    distance : float
        How far away it is, in units of the mean distance between neighbouring categories.
    """

    samples: Float[Tensor, "S K"]
    entropy: float
    nearest: int
    distance: float

    @property
    def simplex(self) -> Float[Tensor, " K"]:
        """The first draw."""
        return self.samples[0]


@torch.no_grad()
def mix(
    logits: Float[Tensor, " K"],
    relaxation: Relaxation,
    table: Float[Tensor, "_ D"],
    *,
    seed: int = 0,
    samples: int = 200,
) -> Mixture:
    """Puts one column's logits through a relaxation, several times.

    Raises
    ------
    ValueError
        If there are not as many logits as categories.

    Examples
    --------
    >>> from tabkit import relaxations
    >>> mixture = mix(torch.zeros(2), relaxations.make("softmax"), torch.eye(2))
    >>> mixture.simplex.tolist(), round(mixture.entropy, 3), round(mixture.distance, 3)
    ([0.5, 0.5], 0.693, 0.5)
    """
    if len(logits) != len(table):
        raise ValueError(f"there are {len(table)} categories, but {len(logits)} logits")
    noise = torch.Generator().manual_seed(seed)
    many = logits.detach().cpu().expand(samples, -1)
    drawn = relaxation(many, cardinalities=[len(logits)], generator=noise)
    here = drawn[:1] @ table.detach().cpu()
    distance, nearest = torch.cdist(here, table.detach().cpu()).min(dim=1)
    entropy = torch.special.entr(drawn[0]).sum()
    return Mixture(drawn, entropy.item(), nearest.item(), distance.item() / spacing(table))
