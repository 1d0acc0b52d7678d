"""One column's logits under any relaxation, temperature and seed."""

from typing import Any

import ipywidgets
import pandas as pd
import torch
from torch import Tensor

from tabkit import estimators, inspection, plots
from tabkit.data import Dataset
from tabkit.decoders import handed_over
from tabkit.nets import has
from tabkit.simplex import blocks
from tabkit.widgets.explorer import Explorer, Twin, log_slider, number_field

TAUS = (0.25, 1.0, 4.0)
SHOWN = ("softmax", "gumbel_softmax", "straight_through_gumbel")


def simplex_explorer(
    net0: Any,
    net1: Any,
    dataset: Dataset,
    *,
    column: str | None = None,
    row: int = 0,
    relaxation: str = "softmax",
    tau: float = 1.0,
    seed: int = 0,
    logits: str = "",
) -> Explorer:
    """A widget: the simplex of one column, from net0's logits for a test row or set by hand.

    Shows the shares, the entropy and, if net1 shows its tables, how far the soft embedding lies
    from the nearest category; for three categories also draws in the triangle.

    Parameters
    ----------
    column
        The first with three categories if not given, or the first of all.
    row
        Position among the test rows.
    logits
        Numbers with commas between, in place of net0's.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    columns = [c.name for c in dataset.schema.categorical]
    three = [c.name for c in dataset.schema.categorical if c.cardinality == 3]
    controls = {
        "column": ipywidgets.Dropdown(options=columns, value=column or [*three, columns[0]][0]),
        "row": number_field("row", row, low=0, high=len(dataset.test) - 1),
        "relaxation": ipywidgets.Dropdown(
            options=estimators.names(relaxations=True), value=relaxation
        ),
        "tau": log_slider("tau", tau, low=0.01, high=10.0, step=0.05),
        "seed": number_field("seed", seed, low=0, high=2**31 - 1),
        "logits": ipywidgets.Text(logits, placeholder="by hand: 1, 0, 2"),
    }

    def mixture(
        column: str, row: int, relaxation: str, tau: float, seed: int, logits: str
    ) -> tuple[inspection.Mixture, tuple[str, ...], int]:
        number = columns.index(column)
        own = typed(logits) if logits.strip() else row_logits(net0, net1, dataset, row)[number]
        chosen = tempered(relaxation, tau)
        table = net1.embedding.weights[number] if has(net1, "embedding") else None
        truth = dataset.rows.codes[dataset.test[row], number].item()
        labels = dataset.schema.categorical[number].labels
        if len(own) != len(labels):
            raise ValueError(f"there are {len(labels)} categories, but {len(own)} logits")
        return inspection.mix(own, chosen, table, seed=seed), labels, truth

    def show(**state: object) -> str:
        found, labels, truth = mixture(**state)
        return plots.simplex(found, labels, truth=truth).svg()

    def still() -> Twin:
        settings = [{"relaxation": name, "tau": t} for name in SHOWN for t in TAUS]
        drawn = [mixture(**widget.state | setting) for setting in settings]
        names = [f"{s['relaxation']}, tau {s['tau']:g}" for s in settings]
        found = {name: mixed for name, (mixed, _, _) in zip(names, drawn, strict=True)}
        _, labels, truth = drawn[0]
        rows = {n: {"entropy (nats)": m.entropy, "distance": m.distance} for n, m in found.items()}
        table = pd.DataFrame(rows, dtype=float).T.round(2).dropna(axis=1)
        return Twin(plots.simplexes(found, labels, truth=truth), table)

    given = ("net0", "net1", "dataset")
    widget = Explorer("simplex_explorer", given, controls, show, height=290, still=still)
    return widget


def tempered(name: str, tau: float) -> estimators.Estimator:
    """A relaxation by name, at a temperature if it has one."""
    made = estimators.make(name)
    if "tau" in made.knobs:
        made.change(tau=tau)
    return made


def typed(text: str) -> Tensor:
    """Logits from numbers with commas between.

    Raises
    ------
    ValueError
        If a part is no finite number.
    """
    parts = [part.strip() for part in text.split(",")]
    try:
        logits = torch.tensor([float(part) for part in parts])
    except ValueError:
        raise ValueError(f"{text!r} is not a list of numbers such as 1, 0, 2") from None
    if not logits.isfinite().all():
        raise ValueError(f"{text!r} has a logit that is not finite")
    return logits


@torch.no_grad()
def row_logits(net0: Any, net1: Any, dataset: Dataset, row: int) -> tuple[Tensor, ...]:
    """net0's logits for a test row, by column."""
    handed = handed_over(net0, dataset.signal[dataset.test[row : row + 1]], net1)
    return tuple(block[0] for block in blocks(handed.logits, handed.cardinalities))
