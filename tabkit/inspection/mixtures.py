"""Where mixtures land: in the embedding, and behind net1."""

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from tabkit.nets import RowEncoder
from tabkit.schema import Rows, one_hot_simplex


def device_of(net: nn.Module) -> torch.device:
    """Where a net's parameters are."""
    return next(net.parameters()).device


def spacing(table: Float[Tensor, "K D"]) -> float:
    """Mean distance from a row of the table to the nearest other row; 1 if there is only one."""
    if len(table) < 2:
        return 1.0
    distances = torch.cdist(table, table).fill_diagonal_(torch.inf)
    return distances.amin(dim=1).mean().item()


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
