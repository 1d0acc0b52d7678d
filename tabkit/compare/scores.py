"""What a trained net0 is worth: relaxed and decoded loss, the gap, and accuracy by column."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tabkit.compare.trials import LIMIT, MANY, Setting
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
ENDS = ("limit", "random_row")


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
    return Score(relaxed, loop.decoded(prediction, objective).item(), accuracy, nats)


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
    decoders: Iterable[str] | None = None,
) -> dict[str, float]:
    """What net0's first `rows` test rows cost, by the decoder that makes hard rows of its output.

    Of each decoder of `tabkit.decode`, such as the argmax: ``decode_argmax``, the mean loss;
    ``evaluations_argmax`` of net1, a row; ``seconds_argmax`` for 20,000 rows at this speed, net0's
    included. NaN where net1 lacks what a decoder needs, or it is not among `decoders`.
    ``decode_relaxed``, the loss of what was handed over, and ``decode_best``: a search for the row
    nearest to the *true* output, which no decoder knows: about what is left to gain.

    What is handed over is, for the relaxations that sample, one draw, so their search looks for
    that draw's row and is of little use; for estimators that are no relaxation, the hard row, which
    the search returns as it is.
    """
    setting = Setting(net1, dataset, None, rows, dataset.test[:rows])
    chosen = possible(net1) if decoders is None else decoders
    relaxed, losses, seconds, asked = setting.decoded(net0, estimator, chosen, seed=seed)
    found = {}
    for name in DECODERS:
        found[f"decode_{name}"] = losses[name].mean().item() if name in losses else math.nan
        found[f"evaluations_{name}"] = asked.get(name, math.nan)
        found[f"seconds_{name}"] = MANY * seconds.get(name, math.nan)
    handed = handed_over(net0, dataset.signal[setting.index], net1, estimator=estimator, seed=seed)
    start, truth = decoder_of("argmax")(handed).codes, setting.truth(handed.continuous)
    _, best = local_search(start, truth, handed.cardinalities, allowed=handed.allowed)
    ends = {"decode_relaxed": relaxed.mean().item(), "decode_best": best.mean().item()}
    return found | ends


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
    """One trained net0: its estimator's name, its seed, its steps and its scores.

    `decoders`: what `by_decoder` found, if it was asked.
    """

    estimator: str
    seed: int
    net0: RowPredictor
    steps: Sequence[Step]
    train: Score
    test: Score
    decoders: Mapping[str, float] = field(default_factory=dict)

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
    decode_rows: int = 0,
    decoders: Iterable[str] | None = None,
    progress: bool = True,
    **options: Any,
) -> Trained:
    """Trains a new net0 through an estimator, under a progress bar, and scores it.

    The scores are on up to 20,000 training rows and on the test rows, of which the first
    `decode_rows` are decoded by every decoder, or by these `decoders`. `options` go to
    `fit_predictor`: steps, batch, lr, schedules, checkpoint, decode_every (20). Raises as that.
    """
    net0 = RowPredictor(dataset.signal.shape[1], net1, head=estimator.head, seed=seed)
    options = {"decode_every": DECODE_EVERY} | options
    fit = fit_predictor(net0, net1, dataset, estimator, seed=seed, **options)
    history = fit.run(name) if progress else list(fit)
    indices = dataset.train[:SCORED_ROWS], dataset.test
    scores = (score(net0, net1, dataset, estimator, index, seed=seed) for index in indices)
    every = {"rows": decode_rows, "seed": seed, "decoders": decoders}
    found = by_decoder(net0, net1, dataset, estimator, **every) if decode_rows else {}
    return Trained(name, seed, net0, history, *scores, found)


def table(results: Iterable[Trained]) -> pd.DataFrame:
    """One row per net0: losses, gap, seconds, by decoder, then the accuracy of each column."""
    records = [
        {"estimator": found.estimator, "seed": found.seed, **found.losses, "seconds": found.seconds}
        | found.decoders
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


def ends_of(
    net1: Any, dataset: Dataset, *, rows: int, steps: int, batch: int = 512, seed: int = 0
) -> dict[str, float]:
    """The two ends between which losses lie: ``limit`` and ``random_row``.

    On the first `rows` test rows: of the net of `fit_limit`, trained so many steps, and of random
    training rows, each predicted for all of them.
    """
    setting = Setting(net1, dataset, None, batch, dataset.test[:rows])
    fit = setting.fit(LIMIT, steps=steps, seed=seed)
    fit.run(LIMIT)
    at_limit = setting.reached(LIMIT, fit, seed)[0].mean().item()
    return {"limit": at_limit, "random_row": setting.alone(seed).mean().item()}


def with_shares(table: pd.DataFrame) -> pd.DataFrame:
    """The table with ``share_argmax`` and so on: of the way from a random row to the limit."""
    way = table["random_row"] - table["limit"]
    every = {
        f"share_{name}": (table["random_row"] - table[f"decode_{name}"]) / way
        for name in DECODERS
        if f"decode_{name}" in table
    }
    return table.assign(**every)


def to_text(summary: pd.DataFrame, *, random_row: float, majority: Mapping[str, float]) -> str:
    """The summary as tables for a terminal: losses, decoders and their cost, accuracy by column."""
    number = {"float_format": "{:.3f}".format, "na_rep": "-"}
    names = [name for name in DECODERS if f"decode_{name}" in summary]
    accuracy = summary.filter(regex="^accuracy_")
    apart = summary.filter(regex="^(accuracy|decode|evaluations|seconds|share)_")
    losses = summary.drop(columns=[*apart.columns, *ENDS], errors="ignore")
    parts = [
        "\nSquared distance behind net1, best by argmax first "
        f"(a random training row: {random_row:.2f})\n{losses.to_string(**number)}"
    ]
    if names:
        decoded = summary[["decode_relaxed", *(f"decode_{n}" for n in names)]]
        decoded = decoded.rename(columns=lambda name: name.removeprefix("decode_"))
        decoded = decoded.assign(best_share=with_shares(summary).filter(like="share_").max(axis=1))
        ends = f"a random row {summary.random_row.mean():.2f}, the limit {summary.limit.mean():.3f}"
        parts.append(
            f"By decoder, on the first test rows ({ends}; best_share: of the way between them)\n"
            f"{decoded.loc[decoded[names].min(axis=1).sort_values().index].to_string(**number)}"
        )
        cost = {n: summary[[f"evaluations_{n}", f"seconds_{n}"]].max().to_list() for n in names}
        cost = pd.DataFrame(cost, index=["evaluations of net1 a row", "seconds for 20,000 rows"]).T
        parts.append(
            f"What decoding costs, at most\n{cost.to_string(float_format='{:.1f}'.format)}"
        )
    accuracy = accuracy.rename(columns=lambda name: name.removeprefix("accuracy_"))
    accuracy.loc["(most frequent category)"] = majority
    shares = accuracy.to_string(float_format="{:.2f}".format)
    return "\n\n".join([*parts, f"Accuracy on test rows, by column, by argmax\n{shares}"])


def decoded_curve(steps: Iterable[Step]) -> Iterator[tuple[int, float]]:
    """The steps at which the decoded loss was measured, with it."""
    return ((s.step, s.decoded) for s in steps if s.decoded is not None)
