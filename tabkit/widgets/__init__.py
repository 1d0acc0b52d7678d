"""Widgets: thin over the functions of the other modules; each function returns one.

`__init__.pyi` lists where each is made; its module loads when it is first asked for.
"""

import lazy_loader

from tabkit.extras import need

need("widgets")
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
