"""What takes long and comes later: computed aside, and shown when it is there."""

import threading
from collections.abc import Callable
from typing import Any


class Later:
    """Results of a slow function, each computed once, aside, one at a time.

    UMAP's compiled code may not run twice at once, so that all wait for each other.

    Attributes
    ----------
    tell : Callable
        Called by another thread when a result is there.
    """

    one = threading.Lock()

    def __init__(self, compute: Callable[..., Any]) -> None:
        self.compute = compute
        self.tell: Callable[[], None] = lambda: None
        self.found: dict[tuple[str, ...], Any] = {}

    def get(self, *key: str) -> Any:
        """The result, or None while it is computed; `tell` is called when that is over.

        Raises
        ------
        Exception
            What the function raised.
        """
        if key not in self.found:
            self.found[key] = None
            threading.Thread(target=self._work, args=key, daemon=True).start()
        found = self.found[key]
        if isinstance(found, Exception):
            raise found
        return found

    def _work(self, *key: str) -> None:
        try:
            with self.one:
                found = self.compute(*key)
        except Exception as error:
            found = error
        self.found[key] = found
        self.tell()
