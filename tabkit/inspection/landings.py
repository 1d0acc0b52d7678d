"""Where net0's predictions land among the categories, and what that costs when they are decoded."""

from dataclasses import dataclass, replace

import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tabkit.compare.scores import handed_over
from tabkit.data import Dataset
from tabkit.decoders import local_search
from tabkit.estimators import Estimator
from tabkit.inspection.mixtures import device_of, spacing
from tabkit.nets import RowEncoder, RowPredictor, SquaredDistance, encode_rows
from tabkit.schema import argmax_codes, split_blocks

SEARCHED_ROWS = 200


@dataclass(frozen=True, eq=False)
class Landing:
    """What net0 hands to net1 for some rows, and the rows that are decoded from it.

    Distances are measured in the embedding tables, or (`first_layer`) as net1's first linear layer
    sees them, which stretches some directions of a table more than others.

    Attributes
    ----------
    columns : tuple of str
        The categorical columns.
    handed : Tensor
        Embeddings (B, C*D): of a mixture, a sample, a category, or free.
    logits : Tensor
        (B, F); what is decoded is their argmax.
    objective : SquaredDistance
        The loss of the same rows.
    """

    columns: tuple[str, ...]
    handed: Float[Tensor, "B CD"]
    logits: Float[Tensor, "B F"]
    objective: SquaredDistance

    @property
    def net1(self) -> RowEncoder:
        """The frozen encoder."""
        return self.objective.net1

    @property
    def decoded(self) -> Int64[Tensor, "B C"]:
        """The categories that are decoded."""
        return argmax_codes(self.logits, self.net1.embedding.cardinalities)

    @property
    def own(self) -> SquaredDistance:
        """The distance to net1's output for what was handed over, in place of the truth."""
        return replace(self.objective, target=self.output)

    @property
    def output(self) -> Float[Tensor, "B Z"]:
        """net1's output for what was handed over."""
        return self.net1.embedded(self.handed, self.objective.continuous)

    def points(self, *, first_layer: bool = False) -> list[Float[Tensor, "B D"]]:
        """What is handed over, by column."""
        return self._seen(list(self.handed.split(self.net1.embedding.widths, dim=1)), first_layer)

    def tables(self, *, first_layer: bool = False) -> list[Float[Tensor, "K D"]]:
        """The categories' own embeddings, by column."""
        return self._seen([t.weight.detach() for t in self.net1.embedding.tables], first_layer)

    @torch.no_grad()
    def _seen(self, parts: list[Tensor], first_layer: bool) -> list[Tensor]:
        if not first_layer:
            return parts
        return [x @ m.T for x, m in zip(parts, self.net1.first_layer_metrics(), strict=True)]

    @torch.no_grad()
    def losses(self) -> dict[str, float]:
        """The relaxed loss, and that of the hard rows by three decoders that need no search.

        Returns
        -------
        dict
            ``relaxed``: of what was handed over. ``decode_argmax``: the argmax of each column.
            ``decode_snap``: the category nearest to each column's handed-over embedding.
            ``decode_first_layer``: the same, with distances as net1's first linear layer sees them.
        """
        rows = {
            "decode_argmax": self.decoded,
            "decode_snap": self.objective.nearest(self.handed),
            "decode_first_layer": self.objective.nearest(self.handed, first_layer=True),
        }
        relaxed = {"relaxed": self.objective.embedded(self.handed).mean().item()}
        return relaxed | {name: self.objective(codes).mean().item() for name, codes in rows.items()}

    @torch.no_grad()
    def distances(self, *, first_layer: bool = False) -> pd.DataFrame:
        """How far what is handed over lies from the categories, by column: means over rows.

        Returns
        -------
        DataFrame
            `largest_share`, of softmax(logits); `to_nearest` and `to_decoded`, the distances to
            the nearest category and to the decoded one, in units of `spacing`;
            `nearest_is_decoded`, the share of rows in which the two are one; `spacing`, the mean
            distance from a category to the nearest other one.
        """
        shares = split_blocks(self.logits, self.net1.embedding.cardinalities)
        seen = zip(
            self.points(first_layer=first_layer), self.tables(first_layer=first_layer), strict=True
        )
        records = []
        for (points, table), logits in zip(seen, shares, strict=True):
            every = torch.cdist(points, table, compute_mode="donot_use_mm_for_euclid_dist")
            decoded, gap = logits.argmax(dim=1), spacing(table)
            to_nearest, nearest = every.min(dim=1)
            to_decoded = every.gather(1, decoded[:, None])
            records.append(
                {
                    "largest_share": logits.softmax(dim=1).amax(dim=1).mean().item(),
                    "to_nearest": to_nearest.mean().item() / gap,
                    "to_decoded": to_decoded.mean().item() / gap,
                    "nearest_is_decoded": (nearest == decoded).double().mean().item(),
                    "spacing": gap,
                }
            )
        return pd.DataFrame(records, index=pd.Index(self.columns, name="column"))

    @torch.no_grad()
    def rows(self) -> pd.DataFrame:
        """Row by row, the gap and how far the decoded row lies from what was handed over.

        Returns
        -------
        DataFrame
            `gap`, decoded minus relaxed loss; `to_nearest` and `to_decoded`, as the first layer
            sees them: the root of the sum over columns of squared distances.
        """
        points, tables = self.points(first_layer=True), self.tables(first_layer=True)
        chosen = {
            "to_nearest": self.objective.nearest(self.handed, first_layer=True),
            "to_decoded": self.decoded,
        }
        losses = {"gap": self.objective(self.decoded) - self.objective.embedded(self.handed)}
        for name, codes in chosen.items():
            apart = [
                p - t[codes[:, c]] for c, (p, t) in enumerate(zip(points, tables, strict=True))
            ]
            losses[name] = torch.cat(apart, dim=1).norm(dim=1)
        return pd.DataFrame({name: values.cpu().numpy() for name, values in losses.items()})

    @torch.no_grad()
    def gap_by_column(self) -> pd.Series:
        """By how much the decoded loss falls if one column is snapped, and all others decoded.

        Snapped means: the category nearest to what was handed over, as net1's first layer sees it.
        """
        decoded, loss = self.decoded, self.objective(self.decoded).mean()
        snapped = self.objective.nearest(self.handed, first_layer=True)
        falls = []
        for c in range(len(self.columns)):
            codes = decoded.clone()
            codes[:, c] = snapped[:, c]
            falls.append((loss - self.objective(codes).mean()).item())
        return pd.Series(falls, index=pd.Index(self.columns, name="column"), name="fall")


@torch.no_grad()
def landing(
    net0: RowPredictor,
    net1: RowEncoder,
    dataset: Dataset,
    estimator: Estimator,
    index: Tensor,
    *,
    seed: int = 0,
) -> Landing:
    """Where net0's predictions for the rows at `index` land.

    Of the relaxations that sample, one draw from `seed`; of estimators that are no relaxation, the
    decoded row itself.
    """
    device = device_of(net1)
    prediction = net0(dataset.signal[index].to(device))
    handed = handed_over(estimator, prediction, net1, torch.Generator(device).manual_seed(seed))
    target = encode_rows(net1, dataset.rows[index])
    return Landing(
        tuple(c.name for c in dataset.schema.categorical),
        handed,
        net0.logits(prediction, net1),
        SquaredDistance(net1, prediction.continuous, target),
    )


@torch.no_grad()
def decoders(
    net0: RowPredictor,
    net1: RowEncoder,
    dataset: Dataset,
    estimator: Estimator,
    *,
    rows: int = SEARCHED_ROWS,
    seed: int = 0,
) -> dict[str, float]:
    """The loss of the first `rows` test rows, by the way in which net0's output becomes hard rows.

    Returns
    -------
    dict
        ``decode_argmax``, ``decode_snap`` and ``decode_first_layer``, as `Landing.losses`.
        ``decode_search``: a local search for the row whose output is nearest to net1's output for
        what net0 handed over; slow, but it needs no truth. ``decode_best``: a local search for the
        row nearest to the *true* output, which no decoder knows: about what is left to gain.
        Searches start from the argmax and keep net0's continuous outputs.

    What is handed over is as in `landing`: for the relaxations that sample, one draw, so their
    search looks for that draw's row and is of little use; for estimators that are no relaxation,
    the hard row, which the search returns as it is.
    """
    landed = landing(net0, net1, dataset, estimator, dataset.test[:rows], seed=seed)
    codes, truth, cardinalities = landed.decoded, landed.objective, dataset.schema.cardinalities
    found, _ = local_search(codes, landed.own, cardinalities)
    losses = landed.losses()
    return {name: loss for name, loss in losses.items() if name != "relaxed"} | {
        "decode_search": truth(found).mean().item(),
        "decode_best": local_search(codes, truth, cardinalities)[1].mean().item(),
    }


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
    landed = landing(net0, net1, dataset, estimator, index, seed=seed)
    _, found = local_search(landed.decoded, landed.own, dataset.schema.cardinalities)
    return {"argmax": landed.own(landed.decoded).mean().item(), "search": found.mean().item()}
