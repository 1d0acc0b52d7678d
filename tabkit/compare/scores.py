"""What a trained net0 is worth: relaxed and decoded loss, the gap, and accuracy by column."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tabkit.data import Dataset, pairs
from tabkit.decoders import DECODERS, decoder_of, handed_over, local_search, possible
from tabkit.estimators import Estimator, entropy
from tabkit.nets import RowPredictor, SquaredDistance, device_of, dtype_of, encode_rows, logits_of
from tabkit.objective import Objective
from tabkit.simplex import argmax_codes
from tabkit.train import Distances, Predicting, Step, fit_predictor

PAIRS = 100_000
SCORED_ROWS = 20_000
DECODE_EVERY = 20  # steps
SEARCHED_ROWS = 200


@dataclass(frozen=True)
class Score:
    """What one net0 reached on some rows.

    Attributes
    ----------
    relaxed, decoded : mean squared distance behind net1 of the simplexes it is trained by, and of
        its hard rows
    accuracy : share of rows whose predicted category is the true one, by categorical column
    entropy : of softmax(logits), in nats, mean over rows and columns: how undecided net0 is
    """

    relaxed: float
    decoded: float
    accuracy: Mapping[str, float]
    entropy: float

    @property
    def gap(self) -> float:
        """The decoding gap, decoded minus relaxed."""
        return self.decoded - self.relaxed


@torch.no_grad()
def score(
    net0: Any, net1: Any, dataset: Dataset, estimator: Estimator, index: Tensor, *, seed: int = 0
) -> Score:
    """Scores net0 on the rows at `index`; noise, if the estimator has any, comes from `seed`."""
    noise = torch.Generator(device_of(net1)).manual_seed(seed)
    loop = Predicting(net0, net1, dataset, estimator, unseen=True)
    prediction, batch = loop.predict(index)
    objective = Objective.of(Distances(net1, dataset)(net1, batch))
    relaxed = loop.relaxed(prediction, objective, noise).item()
    logits = logits_of(net0, net1, prediction)
    accuracy = accuracy_of(dataset, index, argmax_codes(logits, loop.cardinalities).cpu())
    nats = entropy(logits, loop.cardinalities).mean().item() / len(loop.cardinalities)
    return Score(relaxed, loop.decoded(prediction, objective), accuracy, nats)


def accuracy_of(dataset: Dataset, index: Tensor, codes: Int64[Tensor, "_ C"]) -> dict[str, float]:
    """Share of the rows at `index` that have these codes, by categorical column."""
    hits = (codes == dataset.rows.codes[index]).double().mean(dim=0).tolist()
    return dict(zip((c.name for c in dataset.schema.categorical), hits, strict=True))


@torch.no_grad()
def by_decoder(
    net0: Any,
    net1: Any,
    dataset: Dataset,
    estimator: Estimator,
    *,
    rows: int = SEARCHED_ROWS,
    seed: int = 0,
) -> dict[str, float]:
    """The loss of the first `rows` test rows, by the decoder that makes hard rows of net0's output.

    ``decode_argmax``, ``decode_table``, ``decode_first_layer`` and ``decode_search``, as
    `tabkit.decode` names them, and ``decode_best``: a search for the row nearest to the *true*
    output, which no decoder knows: about what is left to gain. NaN where net1 lacks what a decoder
    needs.

    What is handed over is, for the relaxations that sample, one draw, so their search looks for
    that draw's row and is of little use; for estimators that are no relaxation, the hard row, which
    the search returns as it is.
    """
    index = dataset.test[:rows]
    target = encode_rows(net1, dataset.rows[index])
    handed = handed_over(net0, dataset.signal[index], net1, estimator=estimator, seed=seed)
    truth = SquaredDistance(net1, handed.continuous, target)
    losses = dict.fromkeys([f"decode_{name}" for name in DECODERS], math.nan)
    for name in possible(net1):
        codes = decoder_of(name)(handed)
        losses[f"decode_{name}"] = truth.hard(codes, handed.cardinalities).mean().item()
    start = decoder_of("argmax")(handed)
    _, best = local_search(start, truth, handed.cardinalities, allowed=handed.allowed)
    return losses | {"decode_best": best.mean().item()}


@torch.no_grad()
def random_row_loss(net1: Any, dataset: Dataset, index: Tensor, *, seed: int = 0) -> float:
    """The decoded loss of predicting a random training row: the scale on which to read losses."""
    generator = torch.Generator().manual_seed(seed)
    picked = dataset.train[torch.randint(len(dataset.train), (len(index),), generator=generator)]
    target = encode_rows(net1, dataset.rows[index])
    drawn = dataset.rows[picked].to(target.device, dtype_of(net1))
    return SquaredDistance(net1, drawn.continuous, target)(drawn.codes).mean().item()


def majority_accuracy(dataset: Dataset, index: Tensor) -> dict[str, float]:
    """Accuracy of always predicting each column's most frequent training category."""
    modes = dataset.rows.codes[dataset.train].mode(dim=0, keepdim=True).values
    return accuracy_of(dataset, index, modes)


@torch.no_grad()
def pair_distances(
    net1: Any, dataset: Dataset, index: Tensor, *, count: int = PAIRS, seed: int = 0
) -> tuple[Float[Tensor, " P"], Float[Tensor, " P"]]:
    """Distances behind net1 and between outcomes, for `count` random pairs of rows at `index`.

    Raises ValueError if the data set has no outcomes.
    """
    if not dataset.outcomes.shape[1]:
        raise ValueError(f"{dataset.name} has no outcomes, so no distances that net1 should match")
    a, b = pairs(torch.arange(len(index)), count, seed=seed)
    outputs = encode_rows(net1, dataset.rows[index]).cpu()
    outcomes = dataset.outcomes[index]
    return (outputs[a] - outputs[b]).norm(dim=1), (outcomes[a] - outcomes[b]).norm(dim=1)


def distance_correlation(
    net1: Any, dataset: Dataset, index: Tensor, *, count: int = PAIRS, seed: int = 0
) -> float:
    """Pearson correlation of distances behind net1 with distances between outcomes."""
    distances = pair_distances(net1, dataset, index, count=count, seed=seed)
    return torch.corrcoef(torch.stack(distances))[0, 1].item()


@dataclass(frozen=True)
class Trained:
    """One trained net0: its estimator's name, its seed, its steps and its scores."""

    estimator: str
    seed: int
    net0: RowPredictor
    steps: Sequence[Step]
    train: Score
    test: Score

    @property
    def seconds(self) -> float:
        """What its training took."""
        return self.steps[-1].seconds

    @property
    def losses(self) -> dict[str, float]:
        """The losses and the gap."""
        train, test = self.train, self.test
        own = {"train_relaxed": train.relaxed, "test_relaxed": test.relaxed}
        return own | {"test_decoded": test.decoded, "gap": test.gap}


def train_and_score(
    estimator: Estimator,
    net1: Any,
    dataset: Dataset,
    *,
    name: str,
    seed: int = 0,
    progress: bool = True,
    **options: Any,
) -> Trained:
    """Trains a new net0 through an estimator, under a progress bar, and scores it.

    The scores are on up to 20,000 training rows and on the test rows. `options` go to
    `fit_predictor`: steps, batch, lr, schedules, checkpoint, decode_every (20). Raises as that.
    """
    net0 = RowPredictor(dataset.signal.shape[1], net1, head=estimator.head, seed=seed)
    options = {"decode_every": DECODE_EVERY} | options
    fit = fit_predictor(net0, net1, dataset, estimator, seed=seed, **options)
    history = fit.run(name) if progress else list(fit)
    indices = dataset.train[:SCORED_ROWS], dataset.test
    scores = (score(net0, net1, dataset, estimator, index, seed=seed) for index in indices)
    return Trained(name, seed, net0, history, *scores)


def table(results: Iterable[Trained]) -> pd.DataFrame:
    """One row per net0: the losses, the gap, seconds, then the accuracy of each column."""
    records = [
        {"estimator": found.estimator, "seed": found.seed, **found.losses, "seconds": found.seconds}
        | {f"accuracy_{name}": share for name, share in found.test.accuracy.items()}
        for found in results
    ]
    return pd.DataFrame(records)


def summary(results: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds by estimator, best decoded loss first; standard errors from two seeds on."""
    groups = results.drop(columns="seed").groupby("estimator", sort=False)
    means = groups.mean()
    if groups.size().max() > 1:
        means.insert(3, "test_decoded_se", groups["test_decoded"].sem())
    return means.sort_values("test_decoded")


def to_text(summary: pd.DataFrame, *, random_row: float, majority: Mapping[str, float]) -> str:
    """The summary as two tables for a terminal: the losses, then the accuracy of each column."""
    is_accuracy = summary.columns.str.startswith("accuracy_")
    losses, accuracy = summary.loc[:, ~is_accuracy], summary.loc[:, is_accuracy]
    accuracy = accuracy.rename(columns=lambda name: name.removeprefix("accuracy_"))
    accuracy.loc["(most frequent category)"] = majority
    return (
        "\nSquared distance behind net1, best decoded first "
        f"(a random training row: {random_row:.2f})\n"
        f"{losses.to_string(float_format='{:.3f}'.format)}\n\n"
        "Accuracy on test rows, by column\n"
        f"{accuracy.to_string(float_format='{:.2f}'.format)}"
    )


def decoded_curve(steps: Iterable[Step]) -> Iterator[tuple[int, float]]:
    """The steps at which the decoded loss was measured, with it."""
    return ((s.step, s.decoded) for s in steps if s.decoded is not None)
