"""`simplex.gumbel_noise`, alone or added, on a GPU by the exponential distribution.

**Formula:** ``-log(-log u)``, u uniform.
**Faster:** ``-log u`` is what torch draws as an exponential number: three kernels in place of six,
which take the noise off as it is where it would be added.
It is another stream of the same distribution, so that this is a choice of the device alone.
**Pays:** on a GPU.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit import simplex
from tabkit.devices import is_gpu


def gumbel_noise(
    logits: Float[Tensor, "*S"], generator: torch.Generator | None = None
) -> Float[Tensor, "*S"]:
    """As `simplex.gumbel_noise`."""
    if not is_gpu(logits.device):
        return simplex.gumbel_noise(logits, generator)
    return log_exponential(logits, generator).neg_()


def perturbed(
    logits: Float[Tensor, "*S"], generator: torch.Generator | None = None
) -> Float[Tensor, "*S"]:
    """Logits plus Gumbel noise."""
    if not is_gpu(logits.device):
        return logits + simplex.gumbel_noise(logits, generator)
    return logits - log_exponential(logits, generator)


def log_exponential(
    logits: Float[Tensor, "*S"], generator: torch.Generator | None = None
) -> Float[Tensor, "*S"]:
    """Minus Gumbel noise, in the memory order of the logits; drawn in float32 at least."""
    drawn = torch.empty_like(logits, dtype=torch.promote_types(logits.dtype, torch.float32))
    return drawn.exponential_(generator=generator).log_().to(logits.dtype)
