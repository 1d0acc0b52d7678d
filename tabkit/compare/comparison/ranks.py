"""Ranks over tables, nets and seeds, and which of them cannot be parted."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from tabkit.compare.comparison.tables import BLOCK, beside_the_limit
from tabkit.compare.specs import parse_spec
from tabkit.decoders import DECODERS
from tabkit.extras import imports_for

ALPHA = 0.05  # of the tests


@dataclass(frozen=True, eq=False)
class Ranks:
    """How ways of training and decoding rank over blocks, each a table, a net1 and a seed.

    Attributes
    ----------
    shares : a row for each block, a column for each way, best first: the share of the way from a
        random row to the limit
    mean : mean rank of each way, 1 for the best; in the same order
    friedman : p-value of Friedman's test, that all ways are alike
    pairs : p-values of Wilcoxon's signed-rank tests of all pairs, corrected by Holm's method
    """

    shares: pd.DataFrame
    mean: pd.Series
    friedman: float
    pairs: pd.DataFrame

    def tied(self, way: str) -> list[str]:
        """The ways that cannot be parted from this one, itself among them; best first."""
        if self.friedman > ALPHA:
            return list(self.mean.index)
        return [other for other in self.mean.index if self.pairs.loc[way, other] > ALPHA]

    @property
    def best(self) -> list[str]:
        """The way of the best mean rank, and what cannot be parted from it."""
        return self.tied(self.mean.index[0])

    def table(self) -> pd.DataFrame:
        """A row for each way: mean rank, median, mean and worst share, and what it is tied with."""
        found = self.shares.agg(["median", "mean", "min"]).T
        ties = [[other for other in self.tied(way) if other != way] for way in self.mean.index]
        return found.assign(rank=self.mean, tied=ties)[["rank", "median", "mean", "min", "tied"]]


def rank(results: pd.DataFrame, *, decoders: Sequence[str] = tuple(DECODERS)) -> Ranks:
    """Ranks the ways, an estimator with a decoder each, by what `sweep` returned.

    Only ways that are there in every block take part: filter `results` by net or by table for
    others. An estimator that hands over hard rows is decoded by argmax alone. The tests take the
    blocks as independent, so what they part holds for these tables and nets, over seeds; for other
    tables see how often a way is the better one (`Ranks.shares`). As in Demsar, "Statistical
    comparisons of classifiers over multiple data sets", JMLR 7 (2006), with Wilcoxon's test in
    place of Nemenyi's, so that a pair's verdict does not hang on the others.

    Raises
    ------
    ValueError
        If there are fewer than three ways or two blocks, or no limit.
    """
    with imports_for("ranks"):
        from scikit_posthocs import posthoc_wilcoxon  # noqa: PLC0415 - only ranks need them
        from scipy.stats import friedmanchisquare  # noqa: PLC0415
    shares = shares_of(results[results["budget"] == "steps"], decoders)
    if len(shares) < 2 or len(shares.columns) < 3:
        raise ValueError(
            f"{len(shares.columns)} ways in {len(shares)} blocks cannot be ranked: it takes three "
            "ways, in two blocks, with the limit of each"
        )
    mean = shares.rank(axis=1, ascending=False).mean().sort_values(kind="stable")
    shares = shares[mean.index]
    long = shares.melt(var_name="way", value_name="share")
    pairs = posthoc_wilcoxon(long, "share", "way", zero_method="zsplit", p_adjust="holm")
    friedman = friedmanchisquare(*(shares[way] for way in shares)).pvalue
    return Ranks(shares, mean, float(friedman), pairs)


def shares_of(results: pd.DataFrame, decoders: Sequence[str]) -> pd.DataFrame:
    """A row for each block, a column for each way that every block has, and none twice."""
    found = beside_the_limit(results).set_index([*BLOCK, "estimator"])
    columns = []
    for decoder in decoders:
        share = found[f"share_{decoder}"].unstack("estimator")
        if decoder != "argmax":
            share = share[[text for text in share if decodes(text)]]
        columns.append(share.rename(columns=lambda text, d=decoder: f"{text} by {d}"))
    every = pd.concat(columns, axis=1).dropna(axis=1)
    return every.loc[:, ~every.T.duplicated()]


def decodes(text: str) -> bool:
    """Whether other decoders than the argmax have anything to do: it hands over no hard rows."""
    estimator, logits = parse_spec(text).estimator, torch.zeros(1, 3)
    if estimator.head == "embedding" or not estimator.rule.relaxes:
        return estimator.head == "embedding" and not estimator.rule.snaps
    noise = torch.Generator().manual_seed(0)
    return bool(estimator.simplex(logits, cardinalities=(3,), generator=noise).amax() < 1)
