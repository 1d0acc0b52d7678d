"""One row by every decoder: what each makes of the same mixture, and what that costs."""

import html
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

import ipywidgets
import pandas as pd

from tabkit import compare, estimators, inspection, plots
from tabkit.data import Dataset
from tabkit.decoders import possible
from tabkit.inspection.rows import BY, DecodedRow, check_row
from tabkit.train import BackgroundRun
from tabkit.widgets.embedding import Later
from tabkit.widgets.explorer import Explorer, Twin, number_field
from tabkit.widgets.tables import CARD, Markup, beside, cut, table

ROWS = 200  # whose means stand beside the row
LEGEND = "The hard rows: ✓ the true category; bold, another one than the argmax's"


def decoder_explorer(
    net0: Any,
    net1: Any,
    dataset: Dataset,
    *,
    limit: Any = None,
    row: int = 0,
    estimator: str = "softmax",
) -> Explorer:
    """A widget: a test row decoded by argmax, table, first layer and search, each with its loss.

    Beside them stand the loss of the mixture that net0 hands over, the limit, and the means over
    200 test rows, measured aside; below, what each hard row has in place of the argmax's.

    `limit`: the net that `compare.fit_limit` trained; trained aside if not given. `row`: position
    among the test rows. `estimator`: what net0 was trained with.

    Raises ValueError if there is no such row or estimator.
    """
    check_row(dataset, row)
    offered = estimators.names(relaxations=True)
    if estimator not in offered:
        raise ValueError(f"estimator must be one of {', '.join(offered)}, not {estimator!r}")
    chosen = {"options": offered, "value": estimator, "description": "trained with"}
    controls = {
        "row": number_field("row", row, low=0, high=len(dataset.test) - 1),
        "estimator": ipywidgets.Dropdown(**chosen),
    }

    @lru_cache(64)
    def decoded(row: int, estimator: str) -> DecodedRow:
        return inspection.decoded_row(net0, net1, dataset, row, estimator=estimator)

    @cache
    def limit_net() -> Any:
        fit = compare.fit_limit(net1, dataset)
        run = BackgroundRun(fit)  # which the end of the program stops
        run.start()
        run.join()
        if run.error is not None:
            raise run.error
        return fit.modules["limit"]

    def least(index: Any) -> float:
        net = limit_net() if limit is None else limit
        return compare.limit_losses(net, net1, dataset, index).mean().item()

    def measured(estimator: str) -> dict[str, float]:
        made, ends = estimators.make(estimator), {"limit": least(dataset.test[:ROWS])}
        found = compare.by_decoder(net0, net1, dataset, made, rows=ROWS, decoders=able)
        names = {"mixture": "relaxed", **{name: name for name in able}}
        return ends | {name: found[f"decode_{kept}"] for name, kept in names.items()}

    count = min(ROWS, len(dataset.test))
    able = [name for name in BY if name in possible(net1)]
    means = Later(measured)

    def known(row: int, means: dict[str, float], found: DecodedRow) -> pd.Series:
        own = {"limit": least(dataset.test[row : row + 1])} if means else {}
        return pd.Series(own | found.losses.to_dict())

    def show(row: int, estimator: str) -> str:
        found, many = decoded(row, estimator), means.get(estimator) or {}
        losses = known(row, many, found)
        drawn = plots.decoded(losses, many, count).svg()
        said = "".join(f"<p>{html.escape(f'{n}: {why}')}.</p>" for n, why in found.missing.items())
        numbers = loss_table(losses, many, found)
        return f'<div style="{CARD}">{beside(drawn, numbers)}{hard_rows(found)}{said}</div>'

    def still(row: int, estimator: str) -> Twin:
        found, many = decoded(row, estimator), means.wait(estimator)
        return Twin(plots.decoded(known(row, many, found), many, count), found.labels)

    given = ["net0", "net1", "data"] + ["limit=limit"] * (limit is not None)
    widget = Explorer("decoder_explorer", given, controls, show, height=430, still=still)
    means.tell = widget.update
    widget.update()  # the means may have come before anyone could be told
    return widget


def loss_table(losses: pd.Series, means: Mapping[str, float], found: DecodedRow) -> str:
    """The losses of the row and their means, and how many categories differ from the argmax."""
    many, changed = {name: f"{mean:.3f}" for name, mean in means.items()}, found.changed
    rows = [
        (name.replace("_", " "), f"{loss:.3f}", many.get(name, "…"), str(changed.get(name, "")))
        for name, loss in losses.items()
    ]
    return table("Loss behind net1", ("", "row", "mean", "changed"), rows)


def hard_rows(found: DecodedRow) -> str:
    """The hard rows side by side: what is true, and what differs from the argmax."""
    rows = []
    for column, labels in found.labels.iterrows():
        cells = [cut(labels["true"])]
        for label in labels.drop("true"):
            word = cut(label) if label == labels["argmax"] else Markup(f"<b>{cut(label)}</b>")
            cells.append(Markup("✓ " * (label == labels["true"]) + word))
        rows.append([str(column), *cells])
    heads = ["column", *(name.replace("_", " ") for name in found.labels)]
    return table(LEGEND, heads, rows)
