"""How a notebook is run: from which seed, and in full or in the quick mode."""

import os
from typing import Any

# The seed of the course: of splits, nets, batches and pairs. Do the claims hold from another?
SEED = int(os.environ.get("TABKIT_SEED") or 0)


def quick() -> bool:
    """Whether ``TABKIT_QUICK`` asks for the quick mode, for tests and for classes.

    In it every cell runs, and little is trained: no number means anything, and no claim is judged.
    """
    return os.environ.get("TABKIT_QUICK", "0") not in ("", "0")


def short(full: int | float, few: int | float | None = None) -> Any:
    """So many steps, rows or draws; in the quick mode `few`, a tenth if that is not said.

    Examples
    --------
    >>> short(600)
    600
    """
    return full if not quick() else full // 10 if few is None else few


def kept(name: str, suffix: str = ".safetensors") -> str:
    """Where a notebook keeps what the others take up: by seed, and apart in the quick mode.

    Examples
    --------
    >>> kept("net1")
    'runs/course/net1-seed0.safetensors'
    """
    return f"runs/course/{name}-seed{SEED}{'-quick' * quick()}{suffix}"
