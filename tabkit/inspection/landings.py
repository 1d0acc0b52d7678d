"""Where net0's predictions land among the categories, and what that costs when they are decoded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tabkit.data import Dataset
from tabkit.decoders import Handed, decoder_of, handed_over, local_search, possible
from tabkit.embedding import SoftEmbedding
from tabkit.estimators import Estimator
from tabkit.inspection.mixtures import spacing
from tabkit.nets import SquaredDistance, ask, encode_rows, first_layer_metrics
from tabkit.simplex import blocks


@dataclass(frozen=True, eq=False)
class Landing:
    """What net0 hands to net1 for some rows, and the rows that are decoded from it.

    Distances are measured in the embedding tables, or (`first_layer`) as net1's first linear layer
    sees them, which stretches some directions of a table more than others.

    Attributes
    ----------
    columns : the categorical columns
    handed : what net1 gets for the rows
    objective : the loss of the same rows
    """

    columns: tuple[str, ...]
    handed: Handed
    objective: SquaredDistance

    @property
    def decoded(self) -> Int64[Tensor, "B C"]:
        """The categories that are decoded by argmax."""
        return decoder_of("argmax")(self.handed).codes

    def points(self, *, first_layer: bool = False) -> list[Float[Tensor, "B D"]]:
        """What is handed over, by column."""
        return self._seen(self.handed.embedding.split(self._embedding.widths, 1), first_layer)

    def tables(self, *, first_layer: bool = False) -> list[Float[Tensor, "K D"]]:
        """The categories' own embeddings, by column."""
        return self._seen([W.detach() for W in self._embedding.weights], first_layer)

    @property
    def _embedding(self) -> SoftEmbedding:
        return ask(self.handed.net1, "embedding", "where predictions land")

    @torch.no_grad()
    def _seen(self, parts: Sequence[Tensor], first_layer: bool) -> list[Tensor]:
        if not first_layer:
            return list(parts)
        metrics = first_layer_metrics(self.handed.net1)
        return [x @ m.T for x, m in zip(parts, metrics, strict=True)]

    @property
    def relaxed(self) -> Float[Tensor, " B"]:
        """The loss per row of what was handed over."""
        return self.objective.squared(self.handed.output)

    @torch.no_grad()
    def losses(self) -> dict[str, float]:
        """The loss of what was handed over (`relaxed`), and of hard rows by decoder.

        Those that need no search: ``decode_argmax``, ``decode_table`` and ``decode_first_layer``;
        NaN where net1 lacks what one needs.
        """
        losses = {f"decode_{name}": math.nan for name in ("argmax", "table", "first_layer")}
        for name in possible(self.handed.net1):
            if f"decode_{name}" in losses:
                codes = decoder_of(name)(self.handed).codes
                losses[f"decode_{name}"] = self.objective(codes).mean().item()
        return {"relaxed": self.relaxed.mean().item()} | losses

    @torch.no_grad()
    def distances(self, *, first_layer: bool = False) -> pd.DataFrame:
        """How far what is handed over lies from the categories, by column: means over rows.

        `largest_share`, of softmax(logits); `to_nearest` and `to_decoded`, the distances to the
        nearest category and to the decoded one, in units of `spacing`; `nearest_is_decoded`, the
        share of rows in which the two are one; `spacing`, the mean distance from a category to the
        nearest other one.
        """
        parts = (
            self.points(first_layer=first_layer),
            self.tables(first_layer=first_layer),
            blocks(self.handed.logits, self.handed.cardinalities),
        )
        records = []
        for points, table, logits in zip(*parts, strict=True):
            every = torch.cdist(points, table, compute_mode="donot_use_mm_for_euclid_dist")
            decoded, gap = logits.argmax(dim=1), spacing(table)
            to_nearest, nearest = every.min(dim=1)
            means = {
                "largest_share": logits.softmax(dim=1).amax(dim=1),
                "to_nearest": to_nearest / gap,
                "to_decoded": every.gather(1, decoded[:, None]) / gap,
                "nearest_is_decoded": (nearest == decoded).double(),
            }
            record = {name: values.mean().item() for name, values in means.items()}
            records.append(record | {"spacing": gap})
        return pd.DataFrame(records, index=pd.Index(self.columns, name="column"))

    @torch.no_grad()
    def rows(self) -> pd.DataFrame:
        """Row by row, the gap and how far the decoded row lies from what was handed over.

        `gap`, decoded minus relaxed loss; `to_nearest` and `to_decoded`, as the first layer sees
        them: the root of the sum over columns of squared distances.
        """
        points, tables = self.points(first_layer=True), self.tables(first_layer=True)
        chosen = {
            "to_nearest": decoder_of("first_layer")(self.handed).codes,
            "to_decoded": self.decoded,
        }
        losses = {"gap": self.objective(self.decoded) - self.relaxed}
        for name, codes in chosen.items():
            apart = [p - t[c] for p, t, c in zip(points, tables, codes.T, strict=True)]
            losses[name] = torch.cat(apart, dim=1).norm(dim=1)
        return pd.DataFrame({name: values.cpu().numpy() for name, values in losses.items()})

    @torch.no_grad()
    def gap_by_column(self) -> pd.Series:
        """By how much the decoded loss falls if one column is snapped, and all others decoded.

        Snapped means: the category nearest to what was handed over, as net1's first layer sees it.
        """
        decoded, loss = self.decoded, self.objective(self.decoded).mean()
        snapped = decoder_of("first_layer")(self.handed).codes
        columns = torch.arange(len(self.columns), device=decoded.device)
        mixed = (torch.where(columns == c, snapped, decoded) for c in columns)
        falls = [(loss - self.objective(codes).mean()).item() for codes in mixed]
        return pd.Series(falls, index=pd.Index(self.columns, name="column"), name="fall")


@torch.no_grad()
def landing(
    net0: Any, net1: Any, dataset: Dataset, estimator: Estimator, index: Tensor, *, seed: int = 0
) -> Landing:
    """Where net0's predictions for the rows at `index` land.

    Of the relaxations that sample, one draw from `seed`; of estimators that are no relaxation, the
    decoded row itself.
    """
    handed = handed_over(net0, dataset.signal[index], net1, estimator=estimator, seed=seed)
    target = encode_rows(net1, dataset.rows[index])
    columns = tuple(c.name for c in dataset.schema.categorical)
    return Landing(columns, handed, SquaredDistance(net1, handed.continuous, target))


@torch.no_grad()
def reach(
    net0: Any, net1: Any, dataset: Dataset, estimator: Estimator, index: Tensor, *, seed: int = 0
) -> dict[str, float]:
    """How near hard rows come to net1's output for what net0 hands over (squared distances).

    ``argmax``, from that output to the decoded row's; ``search``, to that of the row that a local
    search finds. If the second is small, net1 reads the mixture as a row that there is, and the
    argmax picks another one.
    """
    handed = handed_over(net0, dataset.signal[index], net1, estimator=estimator, seed=seed)
    decoded, K = decoder_of("argmax")(handed).codes, handed.cardinalities
    _, found = local_search(decoded, handed.objective, K, allowed=handed.allowed)
    argmax = handed.objective.hard(decoded, K)
    return {"argmax": argmax.mean().item(), "search": found.mean().item()}
