"""Speed: the functions of `tabkit.simplex` once more, and what a frozen net1 lets one precompute.

Each file begins with the formula that it replaces, why it is faster, and where that pays; a test
holds every pair together in value, gradient and second gradient. The functions here are the formula
or a faster one, whichever pays on the device at hand; `use` lets a reader choose.
"""

from collections.abc import Callable, Sequence

from torch import Tensor

from tabkit import simplex
from tabkit.fast import columns, linear, padded, products
from tabkit.fast.choice import PAIRS, chosen, eager, look, looks, paired, use
from tabkit.fast.noise import gumbel_noise, perturbed

softmax = paired(
    paired(simplex.softmax, padded.softmax, padded.pays), columns.softmax, columns.pays
)
argmax = paired(paired(simplex.argmax, padded.argmax, padded.pays), columns.argmax, columns.pays)
embed = paired(
    paired(simplex.embed, products.diagonal, products.pays_as_one), products.embed, products.pays
)
heads = paired(linear.plain, linear.heads, linear.pays)
straight_through = paired(simplex.straight_through, columns.straight_through, columns.passes)


def _pulled_back(hard: Tensor, logits: Tensor, pull: Callable[[Tensor], Tensor]) -> Tensor:
    """Forward `hard`, backward the loss's gradient by `pull`: a linear map, its own transpose."""
    return hard.detach() + pull(logits - logits.detach())


pulled_back = paired(_pulled_back, columns.pulled_back, lambda *_: True)


def _hard_softmax(values: Tensor, cardinalities: Sequence[int], tau: float = 1.0) -> Tensor:
    """Forward the vertex of each block's largest value, backward the softmax at temperature tau."""
    return straight_through(argmax(values, cardinalities), softmax(values, cardinalities, tau))


hard_softmax = paired(_hard_softmax, padded.hard_softmax, padded.pays)
jacobian_product = paired(simplex.jacobian_product, padded.jacobian_product, padded.pays_twice)

__all__ = ["PAIRS", "argmax", "chosen", "eager", "embed", "gumbel_noise", "hard_softmax", "heads"]
__all__ += ["jacobian_product", "look", "looks", "perturbed", "pulled_back"]
__all__ += ["softmax", "straight_through", "use"]
