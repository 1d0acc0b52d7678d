"""Speed: the functions of `tabkit.simplex` once more, and what a frozen net1 lets one precompute.

Each file begins with the formula that it replaces, why it is faster, and where that pays; a test
holds every pair together in value, gradient and second gradient. `softmax`, `argmax`, `embed`,
`heads` and `straight_through` here are the formula or the faster function, whichever pays; `use`
lets a reader choose.
"""

from tabkit import simplex
from tabkit.fast import columns, linear, padded, products
from tabkit.fast.choice import PAIRS, chosen, eager, paired, use

softmax = paired(
    paired(simplex.softmax, padded.softmax, padded.pays), columns.softmax, columns.pays
)
argmax = paired(paired(simplex.argmax, padded.argmax, padded.pays), columns.argmax, columns.pays)
embed = paired(simplex.embed, products.embed, products.pays)
heads = paired(linear.plain, linear.heads, linear.pays)
straight_through = paired(simplex.straight_through, columns.straight_through, columns.pays)

__all__ = ["PAIRS", "argmax", "chosen", "eager", "embed", "heads", "softmax"]
__all__ += ["straight_through", "use"]
