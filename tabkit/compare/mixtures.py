"""Where mixtures land: in the embedding, and behind net1."""

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from tabkit.compare.scores import handed_over
from tabkit.compare.search import local_search
from tabkit.data import Dataset
from tabkit.estimators import Estimator
from tabkit.nets import RowEncoder, RowPredictor, SquaredDistance
from tabkit.schema import Rows, argmax_codes, one_hot_simplex, split_blocks


def device_of(net: nn.Module) -> torch.device:
    """Where a net's parameters are."""
    return next(net.parameters()).device


@torch.no_grad()
def mixture_distances(
    net0: RowPredictor, net1: RowEncoder, dataset: Dataset, index: Tensor
) -> pd.DataFrame:
    """How far the soft embeddings of net0's softmax lie from the categories' own, by column.

    Columns
    -------
    largest_share
        Mean of the largest probability.
    to_nearest
        Mean distance from the soft embedding to the nearest category's embedding, in units of
        `spacing`.
    nearest_is_argmax
        Share of rows whose nearest category is that of the largest probability.
    spacing
        Mean distance from a category's embedding to the nearest other one.
    """
    cardinalities = dataset.schema.cardinalities
    logits = net0.logits(net0(dataset.signal[index].to(device_of(net1))), net1)
    shares = [b.softmax(dim=1) for b in split_blocks(logits, cardinalities)]
    rows = []
    for column, table, p in zip(
        dataset.schema.categorical, net1.embedding.tables, shares, strict=True
    ):
        distance, nearest = torch.cdist(p @ table.weight, table.weight).min(dim=1)
        gap = spacing(table.weight)
        rows.append(
            {
                "column": column.name,
                "largest_share": p.amax(dim=1).mean().item(),
                "to_nearest": distance.mean().item() / gap,
                "nearest_is_argmax": (nearest == p.argmax(dim=1)).double().mean().item(),
                "spacing": gap,
            }
        )
    return pd.DataFrame(rows).set_index("column")


def spacing(table: Float[Tensor, "K D"]) -> float:
    """Mean distance from a row of the table to the nearest other row; 1 if there is only one."""
    if len(table) < 2:
        return 1.0
    distances = torch.cdist(table, table).fill_diagonal_(torch.inf)
    return distances.amin(dim=1).mean().item()


@torch.no_grad()
def reach(
    net0: RowPredictor,
    net1: RowEncoder,
    dataset: Dataset,
    estimator: Estimator,
    index: Tensor,
    *,
    seed: int = 0,
) -> dict[str, float]:
    """How near hard rows come to net1's output for what net0 hands over (squared distances).

    Returns
    -------
    dict
        ``argmax``, from that output to the decoded row's; ``search``, to that of the row that a
        local search finds. If the second is small, net1 reads the mixture as a row that there is,
        and the argmax picks another one.
    """
    device = device_of(net1)
    prediction = net0(dataset.signal[index].to(device))
    handed = handed_over(estimator, prediction, net1, torch.Generator(device).manual_seed(seed))
    output = net1.embedded(handed, prediction.continuous)
    objective = SquaredDistance(net1, prediction.continuous, output)
    cardinalities = dataset.schema.cardinalities
    codes = argmax_codes(net0.logits(prediction, net1), cardinalities)
    _, found = local_search(codes, objective, cardinalities)
    return {"argmax": objective(codes).mean().item(), "search": found.mean().item()}


@torch.no_grad()
def walk(
    net1: RowEncoder, rows: Rows, column: int, first: int, second: int, *, points: int = 41
) -> pd.DataFrame:
    """From one category of a column to another through their mixtures, as net1 sees it.

    Parameters
    ----------
    rows
        One row, whose other columns stay as they are.

    Returns
    -------
    DataFrame
        Indexed by the share of the second category, the distances behind net1 from the mixture to
        the row with the first category, with the second, and with the nearest of all (`to_first`,
        `to_second`, `to_nearest`), and that one's code (`nearest`).

    Raises
    ------
    ValueError
        If there is not exactly one row.
    """
    if len(rows) != 1:
        raise ValueError(f"a walk starts from one row, not from {len(rows)}")
    device, cardinalities = device_of(net1), net1.embedding.cardinalities
    rows, width = rows.to(device), cardinalities[column]
    every = rows.codes.expand(width, -1).clone()
    every[:, column] = torch.arange(width, device=device)
    hard = one_hot_simplex(every, cardinalities)
    share = torch.linspace(0, 1, points, device=device)[:, None]
    mixed = (1 - share) * hard[first] + share * hard[second]
    outputs = net1(mixed, rows.continuous.expand(points, -1))
    corners = net1(hard, rows.continuous.expand(width, -1))
    distances = torch.cdist(outputs, corners)
    nearest = distances.min(dim=1)
    return pd.DataFrame(
        {
            "to_first": distances[:, first].cpu(),
            "to_second": distances[:, second].cpu(),
            "to_nearest": nearest.values.cpu(),
            "nearest": nearest.indices.cpu(),
        },
        index=pd.Index(share.squeeze(1).tolist(), name="share"),
    )
