"""Other ways to a better net0 behind a frozen net1: what was tried, and what it gave.

    python benchmarks/ways.py            # prints, and writes runs/ways/ways.csv

What a mixture lacks is a row behind it. So each way draws net0 to rows while it trains:

- *penalty*: as far as net1's first layer sees each column's mixture from the nearest category,
  squared, summed over columns, on top of the loss. Its weight counts in units in which two random
  training rows are as far apart as a random row is from the truth behind net1.
- *nearest*: net1 gets the nearest category of each column, as its first layer sees it, and the
  gradient goes straight through to the mixture: what `decode(decoder="first_layer")` will do.
- *nearest, noisy*: the same of logits with Gumbel noise.
- *then straight-through Gumbel*: the last third of the steps is taken through it.

Beside them the plain softmax and Gumbel-softmax, its temperature falling, at equal steps. Each net0
is a row of ``cells.csv`` in the folder, so an interrupted run goes on where it was; delete the
folder to measure afresh.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from cells import Cell, Record, picked_up, run
from torch import Tensor

from tabkit import (
    Dataset,
    RowEncoder,
    RowPredictor,
    SquaredDistance,
    compare,
    fit_encoder,
    fit_predictor,
    freeze,
    simplex,
)
from tabkit.compare.comparison import DATA_ROWS
from tabkit.estimators import Estimator
from tabkit.nets import Batch, folded
from tabkit.train import Distances

SEEDS = (0, 1, 2)
STEPS, BATCH = 600, 256  # of either net
TUNING, TUNING_RATE = 200, 1e-3  # of these steps, the last ones of a way that ends otherwise
SCORED = 400  # test rows
DECODERS = ("argmax", "first_layer", "search", "restarts")
OWN = ["data", "seed", "way"]  # what names a cell
KEYS = ["data", "way"]


class Way(NamedTuple):
    """An estimator, what its loss has beside the distance, and by what the last steps are taken."""

    estimator: str = "softmax"
    penalty: float = 0.0
    nearest: bool = False
    then: str | None = None


WAYS = {
    "softmax": Way(),
    "gumbel_softmax": Way("gumbel_softmax:tau=cosine/2/0.25"),
    "penalty 0.01": Way(penalty=0.01),
    "penalty 0.03": Way(penalty=0.03),
    "penalty 0.1": Way(penalty=0.1),
    "nearest": Way(nearest=True),
    "nearest, noisy": Way("gumbel_softmax:tau=1", nearest=True),
    "then straight-through Gumbel": Way(then="straight_through_gumbel:tau=1"),
}


class FirstLayer:
    """How far mixtures are from categories, column by column, as net1's first layer sees them."""

    def __init__(self, net1: RowEncoder) -> None:
        self.K, categories = net1.cardinalities, folded(net1).first.categories
        self.products = torch.block_diag(*(block @ block.T for block in categories.split(self.K)))
        self.squares = categories.square().sum(dim=1)

    def __call__(self, point: Tensor) -> Tensor:
        """Squared distances (B, F)."""
        along = point @ self.products
        own = simplex.each(
            lambda p, a: (p * a).sum(-1, keepdim=True).expand_as(p), self.K, point, along
        )
        return own - 2 * along + self.squares

    def nearest(self, point: Tensor) -> Tensor:
        """The vertices (B, F) of the nearest categories."""
        return simplex.argmax(-self(point), self.K)

    def apart(self, point: Tensor) -> Tensor:
        """How far (B,) a mixture is from them, squared, over all columns."""
        nearest = [block.amin(dim=1) for block in self(point).split(self.K, dim=1)]
        return torch.stack(nearest).clamp(min=0).sum(dim=0)

    def between(self, dataset: Dataset) -> float:
        """The same of a row from another: the mean over training rows and their neighbours."""
        codes = dataset.rows.codes[dataset.train[:10_001]]
        rows = simplex.one_hot(codes, self.K)
        return (self(rows[:-1]) * rows[1:]).sum(dim=1).mean().item()


class Loss:
    """The objective of a way, as `fit_predictor` takes it."""

    def __init__(self, way: Way, net1: RowEncoder, dataset: Dataset) -> None:
        self.way, self.layer = way, FirstLayer(net1)
        self.distances = Distances(folded(net1), dataset, all_at_once=True)
        random = compare.random_row_loss(net1, dataset, dataset.validation)
        self.weight = way.penalty * random / self.layer.between(dataset)

    def __call__(self, net1: RowEncoder, batch: Batch) -> Callable[[Tensor], Tensor]:
        distance = self.distances(net1, batch)
        return lambda point: self._loss(distance, point)

    def _loss(self, distance: SquaredDistance, point: Tensor) -> Tensor:
        if self.way.nearest:
            point = simplex.straight_through(self.layer.nearest(point), point)
        loss = distance(point)
        return loss + self.weight * self.layer.apart(point) if self.weight else loss


def cells() -> list[Cell]:
    """Table, seed and way of each."""
    return list(product(DATA_ROWS, SEEDS, WAYS))


@lru_cache(maxsize=1)
def behind(data: str, seed: int) -> tuple[Dataset, RowEncoder, dict[str, float]]:
    """A table, the net1 of a seed, and what the limit and a random row cost."""
    dataset = compare.load_data(data, DATA_ROWS[data])
    net1 = RowEncoder(dataset.schema, seed=seed)
    for _ in fit_encoder(net1, dataset, steps=STEPS, seed=seed):
        pass
    sizes = {"steps": STEPS, "batch": BATCH, "seed": seed}
    return dataset, freeze(net1), compare.ends_of(net1, dataset, rows=SCORED, **sizes)


def trained(
    dataset: Dataset, net1: RowEncoder, way: Way, seed: int
) -> tuple[RowPredictor, Estimator]:
    """net0 by a way, and what hands its rows over."""
    net0 = RowPredictor(dataset.signal.shape[1], net1, seed=seed)
    estimator, schedules = compare.parse_spec(way.estimator)
    loss = Loss(way, net1, dataset)
    options = {"objective": loss, "batch": BATCH, "seed": seed}
    steps = STEPS - TUNING if way.then else STEPS
    fits = [
        fit_predictor(net0, net1, dataset, estimator, schedules=schedules, steps=steps, **options)
    ]
    if way.then:
        estimator = compare.parse_spec(way.then).estimator
        options |= {"steps": TUNING, "lr": TUNING_RATE}
        fits.append(fit_predictor(net0, net1, dataset, estimator, **options))
    for fit in fits:
        for _ in fit:
            pass
    return net0, compare.parse_spec("softmax").estimator if way.nearest else estimator


def measured(cell: Cell) -> Iterator[Record]:
    """The record of a cell."""
    data, seed, name = cell
    dataset, net1, ends = behind(data, seed)
    net0, estimator = trained(dataset, net1, WAYS[name], seed)
    options = {"rows": SCORED, "seed": seed, "decoders": DECODERS}
    found = compare.by_decoder(net0, net1, dataset, estimator, **options)
    yield ends | {by: found[f"decode_{by}"] for by in ("relaxed", *DECODERS)}


def measure(folder: Path) -> pd.DataFrame:
    """One row a cell; what the folder has is not measured again."""
    return picked_up(folder / "cells.csv", cells(), OWN, measured)


if __name__ == "__main__":
    run("ways", __doc__.splitlines()[0], measure, KEYS)
