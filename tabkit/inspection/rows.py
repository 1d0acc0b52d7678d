"""One row as net0 predicts it, and what overruling one of its categories changes behind net1."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tabkit.data import Dataset
from tabkit.decoders import decoder_of, handed_over
from tabkit.nets import SquaredDistance, encode_rows
from tabkit.objective import Function
from tabkit.schema import Continuous, DataError, Schema
from tabkit.simplex import argmax_codes, blocks, one_hot, slices, softmax

JOINT_TABLE = 1_000  # rows, all of which an exact gradient tries: 0.3 s
Problem = tuple[Tensor, Function, tuple[int, ...], tuple[tuple[str, ...], ...]]


@dataclass(frozen=True, eq=False)
class PredictedRow:
    """What net0 makes of one row's signal, and how far from the true row it lies behind net1.

    All distances are squared.

    Attributes
    ----------
    signal : DataFrame
        By name, what net0 sees: `deviations`, in standard deviations of the training rows, and
        `own`, in the unit of the column of that name; NaN where there is none.
    columns : DataFrame
        By categorical column, the labels `true` and `decoded`, whether they are the same (`hit`),
        and the shares that net0 gives to both (`true_share`, `decoded_share`).
    shares : Mapping[str, Series]
        For each column the softmax of the logits, by label.
    mixture : float
        Distance of what net0 hands over: of those shares, or of the embedding that it predicts.
    decoded : float
        Distance of the decoded row.
    overrulings : DataFrame
        By column and category, the `distance` of the decoded row with that one category put in,
        and its `change` from `decoded`; 0 for the categories that are decoded.
    """

    signal: pd.DataFrame
    columns: pd.DataFrame
    shares: Mapping[str, pd.Series]
    mixture: float
    decoded: float
    overrulings: pd.DataFrame

    @property
    def best(self) -> pd.DataFrame:
        """By column, the `category` that brings the row nearest if it overrules, and its change.

        The column that gains most comes first.
        """
        own = [(name, label) for name, label in self.columns["decoded"].items()]
        others = self.overrulings.drop(index=own)
        nearest = others.loc[others.groupby("column", sort=False)["distance"].idxmin()]
        return nearest.reset_index("category").sort_values("distance", kind="stable")


@torch.no_grad()
def predicted_row(net0: Any, net1: Any, dataset: Dataset, row: int = 0) -> PredictedRow:
    """What net0 predicts for a test row, and all F - C single overrulings, in one batch.

    The shares are softmax(logits) whatever net0 was trained with; of a net0 with the embedding
    head, the logits are minus the squared distances to the categories, and the mixture is the
    embedding that it predicts.

    Parameters
    ----------
    row
        Position among the test rows.

    Raises
    ------
    ValueError
        If there is no such test row.

    Examples
    --------
    >>> from tabkit import RowEncoder, RowPredictor, freeze, planted
    >>> data = planted(300, categorical=2, continuous=1, cardinality=(3, 3))
    >>> net1 = freeze(RowEncoder(data.schema))
    >>> found = predicted_row(RowPredictor(data.signal.shape[1], net1), net1, data)
    >>> len(found.overrulings), found.columns.index.tolist()
    (6, ['c00', 'c01'])
    """
    index = check_row(dataset, row)
    handed = handed_over(net0, dataset.signal[index], net1)
    codes, K = decoder_of("argmax")(handed), handed.cardinalities
    simplex = softmax(handed.logits, K)
    objective = SquaredDistance(net1, handed.continuous, encode_rows(net1, dataset.rows[index]))
    decoded = objective.hard(codes, K).item()
    distances = overruled(codes, objective, K).cpu()
    return PredictedRow(
        signal_frame(dataset, dataset.signal[index[0]]),
        column_frame(dataset.schema, dataset.rows.codes[index[0]], codes[0].cpu(), simplex.cpu()),
        dict(zip(labels_of(dataset.schema), share_series(dataset.schema, simplex), strict=True)),
        objective.squared(handed.output).item(),
        decoded,
        overruling_frame(dataset.schema, codes[0].cpu(), distances, decoded),
    )


def check_row(dataset: Dataset, row: int) -> Int64[Tensor, "1"]:
    """The index of the test row at a position.

    Raises ValueError if there is no such test row.
    """
    last = len(dataset.test) - 1
    if not 0 <= row <= last:
        raise ValueError(f"row must lie in 0 to {last:,}, the test rows, not {row:,}")
    return dataset.test[row : row + 1]


def check_category(dataset: Dataset, column: str, category: str) -> None:
    """The column has a category of that label.

    Raises DataError otherwise.
    """
    known = labels_of(dataset.schema)
    if column not in known:
        remedy = f"choose one of {', '.join(known)}"
        raise DataError("is no categorical column of the data", remedy, column=column)
    if category not in known[column]:
        few = ", ".join(known[column][:8]) + (", ..." if len(known[column]) > 8 else "")
        raise DataError("is no category", f"choose one of {few}", column=column, value=category)


def overruled(
    codes: Int64[Tensor, "1 C"], objective: SquaredDistance, cardinalities: tuple[int, ...]
) -> Float[Tensor, " F"]:
    """The loss of a row with each category of each column put in, one at a time."""
    every = codes.repeat(sum(cardinalities), 1)
    for column, block in enumerate(slices(cardinalities)):
        every[block, column] = torch.arange(cardinalities[column], device=codes.device)
    repeated = torch.zeros(len(every), dtype=torch.int64, device=codes.device)
    return objective.at(repeated).hard(every, cardinalities)


def signal_frame(dataset: Dataset, signal: Float[Tensor, " S"]) -> pd.DataFrame:
    """A row's signal by name, in standard deviations, and in own units where they are known."""
    units = {spec.name: spec for spec in dataset.schema.continuous}
    index = pd.Index(dataset.signal_names, name="signal")
    frame = pd.DataFrame({"deviations": signal.double().numpy()}, index=index)
    own = [
        in_own_unit(value, units[name]) if name in units else math.nan
        for name, value in frame["deviations"].items()
    ]
    return frame.assign(own=own)


def in_own_unit(deviations: float, spec: Continuous) -> float:
    """A value in its own unit, to the millionth of a standard deviation that float32 keeps."""
    digits = 6 - math.floor(math.log10(spec.std))
    return round(deviations * spec.std + spec.mean, digits)


def labels_of(schema: Schema) -> dict[str, tuple[str, ...]]:
    """The labels of each categorical column."""
    return {spec.name: spec.labels for spec in schema.categorical}


def share_series(schema: Schema, simplex: Float[Tensor, "1 F"]) -> list[pd.Series]:
    """A row's simplex, by column and label."""
    shares = blocks(simplex.cpu(), schema.cardinalities)
    return [
        pd.Series(block[0].numpy(), index=pd.Index(labels, name=name), name="share")
        for (name, labels), block in zip(labels_of(schema).items(), shares, strict=True)
    ]


def column_frame(
    schema: Schema,
    true: Int64[Tensor, " C"],
    decoded: Int64[Tensor, " C"],
    simplex: Float[Tensor, "1 F"],
) -> pd.DataFrame:
    """By column, the true and the decoded label, whether they agree, and their shares."""
    labels, shares = labels_of(schema), blocks(simplex, schema.cardinalities)
    records = [
        {
            "true": names[t],
            "decoded": names[d],
            "hit": t == d,
            "true_share": block[0, t].item(),
            "decoded_share": block[0, d].item(),
        }
        for names, block, t, d in zip(
            labels.values(), shares, true.tolist(), decoded.tolist(), strict=True
        )
    ]
    return pd.DataFrame(records, index=pd.Index(list(labels), name="column"))


def overruling_frame(
    schema: Schema, codes: Int64[Tensor, " C"], distances: Float[Tensor, " F"], decoded: float
) -> pd.DataFrame:
    """Distances by column and category, and their change from the decoded row's."""
    pairs = [(name, label) for name, labels in labels_of(schema).items() for label in labels]
    index = pd.MultiIndex.from_tuples(pairs, names=["column", "category"])
    frame = pd.DataFrame({"distance": distances.double().numpy()}, index=index)
    starts = [block.start for block in slices(schema.cardinalities)]
    own = [start + code for start, code in zip(starts, codes.tolist(), strict=True)]
    frame.iloc[own, 0] = decoded  # to the digit, which a batch of another size may not keep
    return frame.assign(change=frame["distance"] - decoded)


@torch.no_grad()
def doubtful(net0: Any, net1: Any, dataset: Dataset, *, rows: int = 2) -> tuple[str, ...]:
    """The columns of most entropy in the first test rows whose joint table is small."""
    handed = handed_over(net0, dataset.signal[dataset.test[:rows]], net1)
    shares = blocks(softmax(handed.logits, handed.cardinalities), handed.cardinalities)
    doubt = [torch.special.entr(share).sum().item() for share in shares]
    kept, size = [], 1
    for c in sorted(range(len(doubt)), key=doubt.__getitem__, reverse=True):
        column = dataset.schema.categorical[c]
        if size * column.cardinality <= JOINT_TABLE:
            size *= column.cardinality
            kept.append(column.name)
    return tuple(kept)


def problem_of(
    net0: Any, net1: Any, dataset: Dataset, columns: Sequence[str], *, rows: int = 2
) -> Problem:
    """net0's logits for the first test rows in some columns, and the loss that these lead to.

    The other columns stay as net0 decodes them.

    Returns
    -------
    logits, objective, cardinalities, labels
        As `tabkit.widgets.gradient_explorer` takes them.
    """
    some = dataset.test[:rows]
    handed, truth = handed_over(net0, dataset.signal[some], net1), dataset.rows[some]
    logits, K = handed.logits, handed.cardinalities
    target = encode_rows(net1, truth)
    whole = SquaredDistance(net1, handed.continuous, target, truth.codes.to(target.device))
    decoded = blocks(one_hot(argmax_codes(logits, K), K, logits.dtype), K)
    names = [column.name for column in dataset.schema.categorical]
    kept = [names.index(name) for name in columns]
    chosen = [dataset.schema.categorical[c] for c in kept]
    cardinalities = tuple(column.cardinality for column in chosen)

    def objective(simplex: Float[Tensor, "B _"]) -> Float[Tensor, " B"]:
        parts = list(decoded)
        for c, block in zip(kept, blocks(simplex, cardinalities), strict=True):
            parts[c] = block
        return whole(torch.cat(parts, dim=1))

    part = torch.cat([blocks(logits, K)[c] for c in kept], dim=1)
    return part, objective, cardinalities, tuple(column.labels for column in chosen)
