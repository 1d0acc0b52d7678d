"""The limit: what a net reaches that outputs net1's output itself, no row at all."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.data import Dataset
from tabkit.nets import Batch, SquaredDistance, device_of, dtype_of, encode_rows
from tabkit.nets.mlp import mlp
from tabkit.train import Distances, Fit
from tabkit.train.fit import Part, Work


def fit_limit(
    net1: Any,
    dataset: Dataset,
    *,
    targets: Distances | None = None,
    width: int = 256,
    depth: int = 2,
    steps: int = 1000,
    batch: int = 512,
    lr: float = 3e-3,
    seed: int = 0,
    capture: bool = True,
) -> Fit:
    """Trains a net of net0's size to output net1's output for the true row, (B, S) -> (B, Z).

    By the squared distance, in the steps, batches and learning rates of `fit_predictor` with the
    same seed: about the least that a net0 of that size can reach behind net1, whatever it hands
    over. It is a trained net, too, so that rows have been seen to end some per cent below it.

    Parameters
    ----------
    targets
        Where net1's outputs come from, if they are kept already.

    Returns
    -------
    Fit
        Trains when it is driven; the net is its ``modules["limit"]``.
    """
    where, Z = (device_of(net1), dtype_of(net1)), encode_rows(net1, dataset.rows[:1]).shape[1]
    generator = torch.Generator().manual_seed(seed)
    net = mlp(dataset.signal.shape[1], Z, width=width, depth=depth, generator=generator).to(*where)
    data = dataset.to(*where)
    make = targets or Distances(net1, data)

    def prepare(fit: Fit) -> Work:
        def parts(index: Tensor) -> Iterator[Part]:
            signal, distance = distance_at(make, net1, data, index)
            yield Part(distance.squared(net(signal)).mean())

        return Work(lambda: (fit.draw(batch),), parts)

    run = {"steps": steps, "lr": lr, "seed": seed, "checkpoint": None, "capture": capture}
    return Fit("fit_limit", {"limit": net}, dataset, prepare, {"batch": batch}, **run)


@torch.no_grad()
def limit_losses(limit: Any, net1: Any, dataset: Dataset, index: Tensor) -> Float[Tensor, " R"]:
    """What the net that `fit_limit` trained loses at the rows of `index`."""
    signal, distance = distance_at(Distances(net1, dataset), net1, dataset, index)
    return distance.squared(limit(signal))


def distance_at(
    make: Distances, net1: Any, dataset: Dataset, index: Tensor
) -> tuple[Tensor, SquaredDistance]:
    """The signals (B, S) of the rows at `index`, and the distance behind net1 to them."""
    where = device_of(net1), dtype_of(net1)
    signal, rows = dataset.signal[index].to(*where), dataset.rows[index].to(*where)
    return signal, make(net1, Batch(signal, rows.continuous, rows, index))
