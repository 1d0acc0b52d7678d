"""The course, executed to be read: the solved notebooks with their outputs, from seed 0.

A notebook is executed again if its code has changed since; all are, nets and all, if the package
has. Later notebooks take up what earlier ones kept. ``make html`` makes pages of them.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import nbformat
from build import FOLDER, generate, sources
from nbclient import NotebookClient
from nbformat import NotebookNode

PACKAGE = FOLDER.parent / "tabkit"
TIMEOUT = 1800  # seconds a cell; only a stalled kernel meets it


def execute(notebook: NotebookNode, folder: Path, env: Mapping[str, str]) -> float:
    """Runs all cells in a folder, and returns the seconds that it took."""
    started = time.perf_counter()
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=TIMEOUT, resources=resources).execute(env=os.environ | env)
    return time.perf_counter() - started


def code_digest(notebook: NotebookNode) -> str:
    """A fingerprint of a notebook's code, whatever its prose."""
    return digest(cell.source.encode() for cell in notebook.cells if cell.cell_type == "code")


def package_digest() -> str:
    """A fingerprint of the package's code."""
    return digest(file.read_bytes() for file in sorted(PACKAGE.rglob("*.py")))


def digest(parts: Iterable[bytes]) -> str:
    """A fingerprint of texts in their order."""
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


def course(folder: Path, *, quick: bool) -> None:
    """Executes the solved notebooks that have changed since they were executed in that folder."""
    made_by, package = folder / "package", package_digest()
    if folder.exists() and not (made_by.exists() and made_by.read_text() == package):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made_by.write_text(package)
    for source in sources():
        solved(source, folder, quick=quick)


def solved(source: Path, folder: Path, *, quick: bool) -> None:
    """Executes one solved notebook, unless the folder has it as it is."""
    notebook = nbformat.reads(generate(source, solved=True), as_version=4)
    file, own = folder / f"{source.stem}.ipynb", code_digest(notebook)
    if file.exists() and nbformat.read(file, as_version=4).metadata.tabkit.digest == own:
        return
    env = {"TABKIT_SEED": "0", "TABKIT_QUICK": "1" if quick else ""}
    seconds = execute(notebook, folder, env)
    notebook.metadata.tabkit = {"digest": own, "quick": quick}
    nbformat.write(notebook, file)
    print(f"{source.stem}: {seconds:.0f} s", flush=True)
