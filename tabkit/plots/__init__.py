"""Figures of results.

Each is a `Picture`, a matplotlib figure with its description in words, or `Interactive`, which has
such a picture as its twin. `__init__.pyi` lists where each is made; what it needs (matplotlib,
plotly, scikit-learn) loads when it is first asked for.
"""

import lazy_loader

from tabkit.extras import need

need("plots")
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
