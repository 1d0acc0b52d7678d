"""Files for other tools: Parquet, and the two TSV files of TensorFlow's Embedding Projector."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from tabkit.extras import imports_for
from tabkit.inspection.vectors import Vectors
from tabkit.schema import DataError

TITLE = "tabkit_title"
AXIS = "v{:03d}"


def save_parquet(vectors: Vectors, path: str | os.PathLike[str]) -> None:
    """Writes names, facts and vectors (columns `v000`, `v001`, ...) as one Parquet file.

    Raises
    ------
    DataError
        If a fact has the name of a vector's column.
    """
    axes = [AXIS.format(i) for i in range(vectors.values.shape[1])]
    for name in vectors.facts.columns.intersection(axes):
        raise DataError("is a fact named like a part of the vector", "rename it", column=name)
    frame = vectors.facts.join(pd.DataFrame(vectors.values, vectors.facts.index, axes))
    frame.attrs = {TITLE: vectors.title, "facts": len(vectors.facts.columns)}
    with imports_for("parquet files"):
        frame.to_parquet(path)


def load_parquet(path: str | os.PathLike[str]) -> Vectors:
    """Reads what `save_parquet` wrote, bitwise.

    Raises
    ------
    DataError
        If the file was not written by it.
    """
    with imports_for("parquet files"):
        frame = pd.read_parquet(path)
    if TITLE not in frame.attrs:
        raise DataError(f"{path} holds no vectors of tabkit", "write it by save_parquet")
    facts, title = frame.attrs["facts"], frame.attrs[TITLE]
    frame.attrs = {}
    return Vectors(title, frame.iloc[:, facts:].to_numpy(), frame.iloc[:, :facts])


def save_projector(vectors: Vectors, folder: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Writes ``vectors.tsv`` and ``metadata.tsv`` for the Embedding Projector; returns the paths.

    In the Projector (https://projector.tensorflow.org, or TensorBoard's own tab), *Load* takes
    the two. The vectors have no header. The metadata have one if there are facts besides the
    names, and none if there are only names, as the Projector expects.

    Raises
    ------
    DataError
        If a name or fact, or the title of one, holds a tab or a line break, which the format
        cannot express.
    """
    folder = Path(folder)
    names = pd.Series(vectors.names, name=vectors.facts.index.name or "name")
    cells = pd.concat([names, vectors.facts.reset_index(drop=True)], axis=1).map(_cell)
    metadata = [list(map(str, cells.columns)), *cells.to_numpy().tolist()]
    for name, *column in zip(*metadata, strict=True):
        if any(re.search(r"[\t\r\n]", text) for text in (name, *column)):
            raise DataError("holds a tab or a line break", "replace it by a space", column=name)
    metadata = metadata[1:] if len(cells.columns) == 1 else metadata
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "vectors.tsv", folder / "metadata.tsv"
    for path, lines in zip(paths, (vectors.values, metadata), strict=True):
        text = "\n".join("\t".join(map(str, line)) for line in lines)
        path.write_text(text + "\n", encoding="utf-8")
    return paths


def _cell(value: object) -> str:
    return "" if pd.isna(value) else str(value)


def load_projector(folder: str | os.PathLike[str]) -> tuple[np.ndarray, pd.DataFrame]:
    """Reads the two files back: vectors, bitwise, and the metadata as text, names first."""
    folder = Path(folder)
    values = np.loadtxt(folder / "vectors.tsv", delimiter="\t", dtype=np.float32, ndmin=2)
    lines = (folder / "metadata.tsv").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    rows = [line.split("\t") for line in lines]
    if len(rows) == len(values):
        return values, pd.DataFrame({"name": [row[0] for row in rows]})
    return values, pd.DataFrame(rows[1:], columns=rows[0])
