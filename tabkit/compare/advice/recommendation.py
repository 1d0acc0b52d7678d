"""`Recommendation`: what a budgeted comparison found, as a table and in sentences."""

import html
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from tabkit.compare.advice.sentences import said
from tabkit.compare.advice.ties import REFERENCE, difference, standard_error
from tabkit.compare.trials import LIMIT, MANY, PerRow, Trial


@dataclass(frozen=True, eq=False, repr=False)
class Recommendation:
    """What `recommend` found, as a table and sentences; printing it shows both.

    Losses are means over the R test rows that were decoded: squared distances behind net1 if
    `distance`, else by the objective that was given. Two are a *tie* if their mean paired
    difference is less than 2 standard errors from 0 (see `difference`).

    Attributes
    ----------
    trials : every net0, with its losses row by row
    ends : (A, R), the losses of A random training rows, each predicted for all test rows
    steps : of each training
    data_rows : rows of the whole table
    budget, seconds : what was given, and what it took
    skipped : decoders for which there was no time
    missing : estimators that the budget did not reach
    failed : estimators whose training broke off, with the error
    gradient : what is wrong with net1's gradient, if anything is
    interrupted : by Ctrl-C
    """

    trials: tuple[Trial, ...]
    ends: Float[Tensor, "A R"]
    steps: int
    data_rows: int
    budget: float
    seconds: float
    skipped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    gradient: str | None = None
    interrupted: bool = False
    distance: bool = True

    @property
    def random_row(self) -> float:
        """The loss of a random training row."""
        return self.ends.mean().item()

    @property
    def constant_row(self) -> float:
        """The loss of the best of `ends`, predicted for every row."""
        return self.ends.mean(dim=1).min().item()

    @cached_property
    def limit(self) -> float:
        """The lowest loss to hope for; NaN if its net was not trained."""
        own = [trial.relaxed for trial in self.trials if trial.estimator == LIMIT]
        if self.distance:
            return torch.stack(own).mean().item() if own else math.nan
        every = [losses for trial in self.trials for losses in trial.decoded.values()]
        return torch.stack(every).amin(dim=0).mean().item()

    def share(self, loss: float) -> float:
        """The part of the way from a random row to the limit."""
        return (self.random_row - loss) / (self.random_row - self.limit)

    def losses(self, estimator: str, decoder: str) -> dict[int, PerRow]:
        """By seed, the decoded loss of each row."""
        own = (trial for trial in self.trials if trial.estimator == estimator)
        return {trial.seed: trial.decoded[decoder] for trial in own if decoder in trial.decoded}

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per estimator and decoder, lowest decoded loss first.

        `loss`, the decoded one, mean over seeds and rows; `spread`, its standard deviation over
        seeds; `error`, its standard error; `share` of the way from a random row to the limit;
        `relaxed`, the loss of what was handed over; `seconds`, for decoding 20,000 rows;
        `evaluations` of net1 that decoding took, a row; `seeds`; `tie`, with the best.
        """
        pairs = dict.fromkeys((t.estimator, d) for t in self.trials for d in t.decoded)
        records = [self._record(*pair) for pair in pairs]
        table = pd.DataFrame(records).sort_values("loss", ignore_index=True)
        best = self.losses(*_pair(self._own(table).iloc[0]))
        ties = [difference(best, self.losses(e, d)).is_tie for e, d in _pairs(table)]
        return table.assign(tie=ties)

    def _record(self, estimator: str, decoder: str) -> dict[str, object]:
        own = [t for t in self.trials if t.estimator == estimator and decoder in t.decoded]
        losses = torch.stack([t.decoded[decoder] for t in own]).double()  # (S, R)
        by_seed, loss = losses.mean(dim=1), losses.mean().item()
        mean = {
            "relaxed": sum(t.relaxed.mean().item() for t in own) / len(own),
            "seconds": MANY * sum(t.decoding[decoder] for t in own) / len(own),
            "evaluations": sum(t.evaluations[decoder] for t in own) / len(own),
        }
        return {
            **{"estimator": estimator, "decoder": decoder, "loss": loss},
            "spread": by_seed.std().item() if len(own) > 1 else math.nan,
            "error": max(standard_error(by_seed), standard_error(losses.mean(dim=0))),
            **{"share": self.share(loss), **mean, "seeds": len(own)},
        }

    @staticmethod
    def _own(table: pd.DataFrame) -> pd.DataFrame:
        """What was trained behind net1; the reference if there is nothing else."""
        behind = table[table["estimator"] != REFERENCE]
        return table if behind.empty else behind

    @property
    def best(self) -> tuple[str, str]:
        """The estimator to train through, and the decoder to decode by."""
        return self.pairs[0]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Estimators with decoders, of what was trained behind net1, lowest decoded loss first."""
        return list(_pairs(self._own(self.table)))

    @property
    def ties(self) -> list[tuple[str, str]]:
        """Those that cannot be told from the best."""
        table = self._own(self.table)
        return [pair for pair in _pairs(table[table["tie"]]) if pair != self.best]

    @property
    def sentences(self) -> list[str]:
        """What to do, what it is worth, what cannot be told, and what more time would settle."""
        return list(said(self))

    def __str__(self) -> str:
        shown = self.table.drop(columns="tie").round({"evaluations": 0})
        look = {"float_format": "{:.3g}".format, "index": False, "na_rep": "-"}
        return "\n".join([*self.sentences, "", shown.to_string(**look)])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in self.sentences)
        return said + self.table.to_html(float_format="{:.3g}".format, index=False, na_rep="-")


def _pairs(table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    return zip(table["estimator"], table["decoder"], strict=True)


def _pair(row: pd.Series) -> tuple[str, str]:
    return row["estimator"], row["decoder"]
