"""One row as net0 predicts it, and what overruling one of its categories changes behind net1."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tabkit.data import Dataset
from tabkit.inspection.mixtures import device_of
from tabkit.nets import RowEncoder, RowPredictor, SquaredDistance, encode_rows
from tabkit.relaxations import softmax_blocks
from tabkit.schema import Continuous, DataError, Schema, argmax_codes, split_blocks


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
def predicted_row(
    net0: RowPredictor, net1: RowEncoder, dataset: Dataset, row: int = 0
) -> PredictedRow:
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
    >>> from tabkit import freeze, planted
    >>> data = planted(300, categorical=2, continuous=1, cardinality=(3, 3))
    >>> net1 = freeze(RowEncoder(data.schema))
    >>> found = predicted_row(RowPredictor(data.signal.shape[1], net1), net1, data)
    >>> len(found.overrulings), found.columns.index.tolist()
    (6, ['c00', 'c01'])
    """
    index = check_row(dataset, row)
    device, cardinalities = device_of(net1), dataset.schema.cardinalities
    prediction = net0(dataset.signal[index].to(device))
    logits = net0.logits(prediction, net1)
    simplex = softmax_blocks(logits, cardinalities)
    codes = argmax_codes(logits, cardinalities)
    target = encode_rows(net1, dataset.rows[index])
    objective = SquaredDistance(net1, prediction.continuous, target)
    if net0.head == "embedding":
        mixture = objective.embedded(prediction.categorical)
    else:
        mixture = objective(simplex)
    decoded = objective(codes).item()
    distances = overruled(codes, objective, cardinalities).cpu()
    return PredictedRow(
        signal_frame(dataset, dataset.signal[index[0]]),
        column_frame(dataset.schema, dataset.rows.codes[index[0]], codes[0].cpu(), simplex.cpu()),
        dict(zip(labels_of(dataset.schema), share_series(dataset.schema, simplex), strict=True)),
        mixture.item(),
        decoded,
        overruling_frame(dataset.schema, codes[0].cpu(), distances, decoded),
    )


def check_row(dataset: Dataset, row: int) -> Int64[Tensor, "1"]:
    """The index of the test row at a position.

    Raises
    ------
    ValueError
        If there is no such test row.
    """
    last = len(dataset.test) - 1
    if not 0 <= row <= last:
        raise ValueError(f"row must lie in 0 to {last:,}, the test rows, not {row:,}")
    return dataset.test[row : row + 1]


def check_category(dataset: Dataset, column: str, category: str) -> None:
    """The column has a category of that label.

    Raises
    ------
    DataError
        Otherwise.
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
    place = 0
    for column, K in enumerate(cardinalities):
        every[place : place + K, column] = torch.arange(K, device=codes.device)
        place += K
    return objective.at(torch.zeros(len(every), dtype=torch.int64, device=codes.device))(every)


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
    blocks = split_blocks(simplex.cpu(), schema.cardinalities)
    return [
        pd.Series(block[0].numpy(), index=pd.Index(labels, name=name), name="share")
        for (name, labels), block in zip(labels_of(schema).items(), blocks, strict=True)
    ]


def column_frame(
    schema: Schema,
    true: Int64[Tensor, " C"],
    decoded: Int64[Tensor, " C"],
    simplex: Float[Tensor, "1 F"],
) -> pd.DataFrame:
    """By column, the true and the decoded label, whether they agree, and their shares."""
    labels, blocks = labels_of(schema), split_blocks(simplex, schema.cardinalities)
    records = [
        {
            "true": names[t],
            "decoded": names[d],
            "hit": t == d,
            "true_share": block[0, t].item(),
            "decoded_share": block[0, d].item(),
        }
        for names, block, t, d in zip(
            labels.values(), blocks, true.tolist(), decoded.tolist(), strict=True
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
    own = [code + sum(schema.cardinalities[:c]) for c, code in enumerate(codes.tolist())]
    frame.iloc[own, 0] = decoded  # to the digit, which a batch of another size may not keep
    return frame.assign(change=frame["distance"] - decoded)
