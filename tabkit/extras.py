"""What is not installed is named, with the extra that brings it, when it is first used."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

DISTRIBUTION = "tabkit-softcodes"  # on PyPI, where `tabkit` is somebody else's
# What cannot do without which modules, and the extra that brings them.
NEEDS = {
    "a Dask cluster": ("cluster", ["distributed", "joblib"]),
    "an FT-Transformer": ("lab", ["rtdl_revisiting_models"]),
    "inspection": ("inspect", ["scipy", "sklearn", "umap"]),
    "other frames": ("data", ["pyarrow"]),
    "parquet files": ("data", ["pyarrow"]),
    "plots": ("plot", ["matplotlib", "plotly"]),
    "ranks": ("sweep", ["scipy", "scikit_posthocs"]),
    "sweeps": ("sweep", ["joblib"]),
    "the app": ("lab", ["ipywidgets", "voila"]),
    "two-sample tests": ("inspect", ["sklearn"]),
    "widgets": ("lab", ["ipywidgets"]),
}
# Where a module's name is another.
PROJECTS = {"scikit_posthocs": "scikit-posthocs", "sklearn": "scikit-learn", "umap": "umap-learn"}


def need(what: str) -> None:
    """What `what` needs can be imported; nothing is.

    Raises
    ------
    ModuleNotFoundError
        Otherwise; it says what to install.

    Examples
    --------
    >>> need("plots")
    """
    extra, modules = NEEDS[what]
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        names = " and ".join(PROJECTS.get(module, module) for module in missing)
        remedy = f"pip install '{DISTRIBUTION}[{extra}]'"
        raise ModuleNotFoundError(f"{what} cannot do without {names}: {remedy}", name=missing[0])


@contextmanager
def imports_for(what: str) -> Iterator[None]:
    """Where what is imported within is not installed, `need` says so.

    Examples
    --------
    >>> with imports_for("plots"):
    ...     import matplotlib
    """
    try:
        yield
    except ImportError:
        need(what)
        raise
