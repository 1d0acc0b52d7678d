"""What is inspected: points with names, the categories of a column or whole rows."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.data import Dataset
from tabkit.nets import ask, cardinalities_of, encode_rows, first_layer_metrics
from tabkit.schema import Categorical, DataError, Rows
from tabkit.store import write_whole

NEEDS = {"table": ["embedding"], "first_layer": ["embedding", "first_layer"], "output": []}
TITLES = dict(zip(NEEDS, ("embedding table", "after the first layer", "behind net1"), strict=True))
VIEWS = tuple(NEEDS)  # by what net1 must have for them
OUTPUT_ROWS = 256
BREAKS = re.compile(r"[\t\r\n]")

Points = Float[np.ndarray, "n W"]


@dataclass(frozen=True, eq=False)
class Vectors:
    """Points with names and with what is known of them.

    Attributes
    ----------
    title : what they are
    values : (n, W), finite
    facts : one row a point, indexed by its name; for categories with their `code`, their `count`
        in the training rows, and what the data set's truth says of them

    Raises
    ------
    DataError, ValueError
        If a value is not finite, or a name stands twice; if the facts are not as many.

    Examples
    --------
    >>> facts = pd.DataFrame({"count": [5, 9]}, index=["JFK", "LGA"])
    >>> len(Vectors("origin", np.eye(2, dtype="float32"), facts))
    2
    """

    title: str
    values: Points
    facts: pd.DataFrame

    def __post_init__(self) -> None:
        if len(self.values) != len(self.facts):
            raise ValueError(f"{len(self.values)} points, but facts of {len(self.facts)}")
        broken = ~np.isfinite(self.values).all(axis=1)
        if broken.any():
            at = int(broken.argmax())
            first = f"the first that of {self.names[at]!r}"
            problem = f"{broken.sum()} of {len(self)} vectors are not finite, {first}"
            remedy = "look for a training that diverged; inspect an earlier checkpoint"
            raise DataError(problem, remedy, column=self.title, row=at)
        names = pd.Index(self.names)
        for name in names[names.duplicated()]:
            at = {"column": self.title, "value": name}
            raise DataError("is the name of two points", "name each once", **at)

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The points' names, in their order."""
        return tuple(map(str, self.facts.index))

    def position(self, name: object) -> int:
        """Where a name stands; a category that is a number is found by it, too.

        Raises
        ------
        DataError
            If there is none of that name.
        """
        if str(name) in self.names:
            return self.names.index(str(name))
        raise DataError("names no point", choose_of(self.names), column=self.title, value=name)

    def frame(self) -> pd.DataFrame:
        """Names (the index), facts and vectors (columns `v000`, `v001`, ...) as one table.

        ``vectors.frame().to_parquet(path)`` keeps everything.

        Raises
        ------
        DataError
            If a fact has the name of a vector's column.
        """
        axes = [f"v{i:03d}" for i in range(self.values.shape[1])]
        for name in self.facts.columns.intersection(axes):
            raise DataError("is a fact named like a part of the vector", "rename it", column=name)
        return self.facts.join(pd.DataFrame(self.values, self.facts.index, axes))

    def keep(self, mask: Sequence[bool] | np.ndarray) -> "Vectors":
        """The points where the mask is true."""
        chosen = np.asarray(mask, dtype=bool)
        return Vectors(self.title, self.values[chosen], self.facts[chosen])


def find_column(dataset: Dataset, column: str) -> tuple[int, Categorical]:
    """Number and description of a categorical column; raises DataError if there is none."""
    columns = {spec.name: (number, spec) for number, spec in enumerate(dataset.schema.categorical)}
    if column not in columns:
        remedy = f"choose one of {', '.join(columns)}"
        raise DataError("is no categorical column of the data", remedy, column=column)
    return columns[column]


def choose_of(names: Sequence[str]) -> str:
    """The remedy for an unknown name: the first eight that there are."""
    return f"choose one of {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"


@torch.no_grad()
def category_vectors(
    net1: Any, dataset: Dataset, column: str, *, view: str = "table", rows: int = OUTPUT_ROWS
) -> Vectors:
    """The categories of a column as vectors, in one of three views.

    - ``"table"``: the embedding table as it is, (K, D).
    - ``"first_layer"``: (K, D), turned and stretched so that Euclidean distances are those of what
      net1's first linear layer makes of the categories.
    - ``"output"``: (K, rows * Z). net1's outputs for so many test rows, each with its category in
      this column replaced by every category in turn. The Euclidean distance of two categories is
      the root mean square of how far net1's output moves when one takes the other's place.

    Raises
    ------
    DataError, ValueError
        If the column does not exist, or a vector is not finite; if there is no such view.

    Examples
    --------
    >>> from tabkit import RowEncoder, planted
    >>> data = planted(300, categorical=2, continuous=1, cardinality=(6, 6))
    >>> category_vectors(RowEncoder(data.schema), data, "c00").values.shape
    (6, 8)
    """
    if view not in VIEWS:
        raise ValueError(f"view must be one of {', '.join(VIEWS)}, not {view!r}")
    number, spec = find_column(dataset, column)
    if view == "output":
        values = replaced_outputs(net1, dataset.rows[dataset.test[:rows]], number)
    else:
        values = ask(net1, "embedding", f"the view {view!r}").weights[number].detach()
    if view == "first_layer":
        values = values @ first_layer_metrics(net1)[number].T
    # a copy: further training must not move what was kept of its start
    copied = values.cpu().numpy().copy()
    return Vectors(f"{column}, {TITLES[view]}", copied, category_facts(dataset, number, spec))


def replaced_outputs(net1: Any, rows: Rows, column: int) -> Float[Tensor, "K RZ"]:
    """net1's outputs with a column's category replaced by each in turn, over the root of R."""
    K, R = cardinalities_of(net1)[column], len(rows)
    codes = rows.codes.repeat(K, 1)
    codes[:, column] = torch.arange(K).repeat_interleave(R)
    outputs = encode_rows(net1, Rows(codes, rows.continuous.repeat(K, 1)))
    return outputs.reshape(K, -1) / R**0.5


def category_facts(dataset: Dataset, number: int, spec: Categorical) -> pd.DataFrame:
    """Code, count in the training rows, and truth of each category of a column."""
    codes = dataset.rows.codes[dataset.train, number]
    counts = torch.bincount(codes, minlength=spec.cardinality).numpy()
    columns = {"code": np.arange(spec.cardinality), "count": counts}
    facts = pd.DataFrame(columns, pd.Index(spec.labels, name=spec.name))
    truth = dataset.truth.get(spec.name)
    if truth is None:
        return facts
    known = truth.reindex(list(spec.categories)).set_axis(list(map(str, spec.categories)))
    return facts.join(known.rename(columns={c: f"{c} (truth)" for c in facts if c in known}))


def row_vectors(net1: Any, dataset: Dataset, index: Tensor) -> Vectors:
    """net1's outputs (n, Z) for the rows at `index`, with their values and outcomes.

    The outcomes are in standard deviations of the training rows, all else in its own unit. A row
    is named by its position in the data set.
    """
    values = encode_rows(net1, dataset.rows[index]).cpu().numpy()
    outcomes = pd.DataFrame(dataset.outcomes[index].numpy(), columns=list(dataset.outcome_names))
    facts = pd.concat([outcomes, dataset.frame(index).reset_index(drop=True)], axis=1)
    facts.index = pd.Index(map(str, index.tolist()), name="row")
    return Vectors(f"{len(index):,} rows of {dataset.name}, behind net1", values, facts)


def save_projector(vectors: Vectors, folder: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Writes ``vectors.tsv`` and ``metadata.tsv`` for TensorFlow's Embedding Projector.

    In the Projector (https://projector.tensorflow.org, or TensorBoard's own tab), *Load* takes
    the two, whose paths are returned. The vectors have no header. The metadata have one if there
    are facts besides the names, and none if there are only names, as the Projector expects. It
    knows no quotes: tabs and line breaks in names and facts become spaces.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "vectors.tsv", folder / "metadata.tsv"
    names = pd.Series(vectors.names, name=vectors.facts.index.name or "name")
    metadata = pd.concat([names, vectors.facts.reset_index(drop=True)], axis=1)
    cells = [metadata.columns, *metadata.itertuples(index=False)][metadata.shape[1] == 1 :]
    for path, lines in zip(paths, (vectors.values, cells), strict=True):
        rows = ["\t".join("" if pd.isna(x) else BREAKS.sub(" ", str(x)) for x in r) for r in lines]
        text = "\n".join(rows) + "\n"
        write_whole(path, lambda partial, text=text: partial.write_text(text, encoding="utf-8"))
    return paths
