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
from tabkit.decoders import decoder_of, handed_over, possible
from tabkit.inspection.vectors import choose_of, find_column
from tabkit.nets import SquaredDistance, encode_rows
from tabkit.objective import Function
from tabkit.schema import Category, Continuous, DataError, Schema
from tabkit.simplex import argmax, blocks, softmax

BY = ("argmax", "table", "first_layer", "search")  # decoders of one row, each quick
JOINT_TABLE = 1_000  # rows, all of which an exact gradient tries: 0.3 s
Problem = tuple[Tensor, Function, tuple[int, ...], tuple[tuple[str, ...], ...]]


@dataclass(frozen=True, eq=False)
class PredictedRow:
    """What net0 makes of one row's signal, and how far from the true row it lies behind net1.

    All distances are squared.

    Attributes
    ----------
    signal : by name, what net0 sees: `deviations`, in standard deviations of the training rows,
        and `own`, in the unit of the column of that name; NaN where there is none
    columns : by categorical column, the labels `true` and `decoded`, whether they are the same
        (`hit`), and the shares that net0 gives to both (`true_share`, `decoded_share`)
    shares : for each column the softmax of the logits, by label
    mixture : distance of what net0 hands over: of those shares, or of the embedding it predicts
    decoded : distance of the decoded row
    overrulings : by column and category, the `distance` of the decoded row with that one category
        put in, and its `change` from `decoded`; 0 for the categories that are decoded
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
        others = self.overrulings.drop(index=list(self.columns["decoded"].items()))
        nearest = others.loc[others.groupby("column", sort=False)["distance"].idxmin()]
        return nearest.reset_index("category").sort_values("distance", kind="stable")


@torch.no_grad()
def predicted_row(net0: Any, net1: Any, dataset: Dataset, row: int = 0) -> PredictedRow:
    """What net0 predicts for a test row, by its position among them, and all single overrulings.

    The shares are softmax(logits) whatever net0 was trained with; of a net0 with the embedding
    head, the logits are minus the squared distances to the categories, and the mixture is the
    embedding that it predicts. Raises ValueError if there is no such test row.

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
    codes, K = decoder_of("argmax")(handed).codes, handed.cardinalities
    objective = SquaredDistance(net1, handed.continuous, encode_rows(net1, dataset.rows[index]))
    loss = objective.hard(codes, K)
    distances = objective.tried(codes, loss, K)[0].double().cpu().numpy()
    shares = shares_by_label(dataset.schema, softmax(handed.logits, K))
    pairs = [(name, label) for name, share in shares.items() for label in share.index]
    labels = pd.MultiIndex.from_tuples(pairs, names=["column", "category"])
    return PredictedRow(
        signal_frame(dataset, dataset.signal[index[0]]),
        column_frame(shares, dataset.rows.codes[index[0]], codes[0]),
        shares,
        objective.squared(handed.output).item(),
        loss.item(),
        pd.DataFrame({"distance": distances, "change": distances - loss.item()}, index=labels),
    )


@dataclass(frozen=True, eq=False)
class DecodedRow:
    """The hard rows that decoders make of what net0 hands over for one row.

    Attributes
    ----------
    labels : by categorical column, the category that is `true`, and that of each decoder
    losses : squared distance behind net1 to the true row, of the `mixture` and by decoder
    missing : by decoder that this net1 cannot do, why, in a sentence
    """

    labels: pd.DataFrame
    losses: pd.Series
    missing: Mapping[str, str]

    @property
    def changed(self) -> pd.Series:
        """By decoder, the number of categories that differ from those of the argmax."""
        hard = self.labels.drop(columns="true")
        return hard.ne(hard["argmax"], axis=0).sum()


@torch.no_grad()
def decoded_row(
    net0: Any, net1: Any, dataset: Dataset, row: int = 0, *, estimator: str = "softmax"
) -> DecodedRow:
    """A test row, by its position among them, decoded by argmax, table, first layer and search.

    `estimator`: what net0 was trained with, as in `tabkit.decode`. Raises ValueError if there is
    no such test row.

    Examples
    --------
    >>> from tabkit import RowEncoder, RowPredictor, freeze, planted
    >>> data = planted(300, categorical=2, continuous=1)
    >>> net1 = freeze(RowEncoder(data.schema))
    >>> decoded_row(RowPredictor(data.signal.shape[1], net1), net1, data).losses.index.tolist()
    ['mixture', 'argmax', 'table', 'first_layer', 'search']
    """
    index = check_row(dataset, row)
    truth = dataset.rows[index]
    handed = handed_over(net0, dataset.signal[index], net1, estimator=estimator)
    objective = SquaredDistance(net1, handed.continuous, encode_rows(net1, truth))
    found, missing = {"true": truth.codes}, {}
    losses = {"mixture": objective.squared(handed.output).item()}
    for name in BY:
        try:
            found[name] = decoder_of(name)(handed).codes
            losses[name] = objective.hard(found[name], handed.cardinalities).item()
        except TypeError as error:
            if name in possible(net1):
                raise
            missing[name] = str(error)
    specs = dataset.schema.categorical
    labels = {
        n: [c.labels[k] for c, k in zip(specs, codes[0].tolist(), strict=True)]
        for n, codes in found.items()
    }
    columns = pd.Index([spec.name for spec in specs], name="column")
    return DecodedRow(pd.DataFrame(labels, columns), pd.Series(losses, name="loss"), missing)


def check_row(dataset: Dataset, row: int) -> Int64[Tensor, "1"]:
    """The index of the test row at a position; raises ValueError if there is none."""
    last = len(dataset.test) - 1
    if not 0 <= row <= last:
        raise ValueError(f"row must lie in 0 to {last:,}, the test rows, not {row:,}")
    return dataset.test[row : row + 1]


def label_of(dataset: Dataset, column: str, category: Category) -> str:
    """The label of a category, given by it or by its value; DataError if the column has none."""
    labels = find_column(dataset, column)[1].labels
    if str(category) not in labels:
        raise DataError("is no category", choose_of(labels), column=column, value=category)
    return str(category)


def signal_frame(dataset: Dataset, signal: Float[Tensor, " S"]) -> pd.DataFrame:
    """A row's signal by name, in standard deviations, and in own units where they are known."""
    units = {spec.name: spec for spec in dataset.schema.continuous}
    named = list(zip(dataset.signal_names, signal.tolist(), strict=True))
    own = [in_own_unit(x, units[name]) if name in units else math.nan for name, x in named]
    index = pd.Index(dataset.signal_names, name="signal")
    return pd.DataFrame({"deviations": signal.tolist(), "own": own}, index=index)


def in_own_unit(deviations: float, spec: Continuous) -> float:
    """A value in its own unit, to the millionth of a standard deviation that float32 keeps."""
    digits = 6 - math.floor(math.log10(spec.std))
    return round(deviations * spec.std + spec.mean, digits)


def shares_by_label(schema: Schema, simplex: Float[Tensor, "1 F"]) -> dict[str, pd.Series]:
    """A row's simplex, by column and label."""
    shares = zip(schema.categorical, blocks(simplex[0].cpu(), schema.cardinalities), strict=True)
    return {
        spec.name: pd.Series(share.numpy(), pd.Index(spec.labels, name=spec.name), name="share")
        for spec, share in shares
    }


def column_frame(
    shares: Mapping[str, pd.Series], true: Int64[Tensor, " C"], decoded: Int64[Tensor, " C"]
) -> pd.DataFrame:
    """By column, the true and the decoded label, whether they agree, and their shares."""
    records = [
        (share.index[t], share.index[d], t == d, float(share.iloc[t]), float(share.iloc[d]))
        for share, t, d in zip(shares.values(), true.tolist(), decoded.tolist(), strict=True)
    ]
    names = ["true", "decoded", "hit", "true_share", "decoded_share"]
    return pd.DataFrame(records, pd.Index(list(shares), name="column"), names)


@torch.no_grad()
def doubtful(net0: Any, net1: Any, dataset: Dataset, *, rows: int = 2) -> tuple[str, ...]:
    """The columns of most entropy in the first test rows whose joint table is small."""
    handed = handed_over(net0, dataset.signal[dataset.test[:rows]], net1)
    shares = blocks(softmax(handed.logits, handed.cardinalities), handed.cardinalities)
    doubt = torch.stack([torch.special.entr(share).sum() for share in shares])
    kept, size = [], 1
    for c in doubt.argsort(descending=True, stable=True).tolist():
        column = dataset.schema.categorical[c]
        if size * column.cardinality <= JOINT_TABLE:
            size *= column.cardinality
            kept.append(column.name)
    return tuple(kept)


def problem_of(
    net0: Any, net1: Any, dataset: Dataset, columns: Sequence[str], *, rows: int = 2
) -> Problem:
    """net0's logits for the first test rows in some columns, and the loss that these lead to.

    The other columns stay as net0 decodes them. Logits, objective, cardinalities and labels are as
    `tabkit.widgets.gradient_explorer` takes them.
    """
    some = dataset.test[:rows]
    handed, truth = handed_over(net0, dataset.signal[some], net1), dataset.rows[some]
    logits, K, target = handed.logits, handed.cardinalities, encode_rows(net1, truth)
    whole = SquaredDistance(net1, handed.continuous, target, truth.codes.to(target.device))
    decoded = blocks(argmax(logits, K), K)
    kept, chosen = zip(*(find_column(dataset, name) for name in columns), strict=True)
    cardinalities = tuple(column.cardinality for column in chosen)

    def objective(simplex: Float[Tensor, "B _"]) -> Float[Tensor, " B"]:
        parts = list(decoded)
        for c, block in zip(kept, blocks(simplex, cardinalities), strict=True):
            parts[c] = block
        return whole(torch.cat(parts, dim=1))

    part = torch.cat([blocks(logits, K)[c] for c in kept], dim=1)
    return part, objective, cardinalities, tuple(column.labels for column in chosen)
