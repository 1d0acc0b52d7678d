"""One row: its signal, what net0 predicts, and what overruling it by hand changes."""

import html
from functools import lru_cache
from typing import Any

import ipywidgets
import pandas as pd

from tabkit.data import Dataset
from tabkit.inspection.rows import PredictedRow, check_row, label_of, predicted_row
from tabkit.inspection.vectors import find_column
from tabkit.plots.mixtures import distance_bars, row_twin
from tabkit.plots.palette import BLUE, ORANGE
from tabkit.schema import Category
from tabkit.widgets.explorer import Explorer, Twin
from tabkit.widgets.tables import CARD, Markup, bar, cut, scrolled, table

AS_DECODED = "(as decoded)"
TOP = 2
COLUMNS, SIGNAL = 285, 150  # pixels, of the tables: what is longer scrolls
WORDS = 180  # pixels, of the bars and the longest words below them


def row_explorer(
    net0: Any,
    net1: Any,
    dataset: Dataset,
    *,
    row: int = 0,
    column: str | None = None,
    category: Category | None = None,
) -> Explorer:
    """A widget: a test row's signal, net0's simplexes, the decoded row and the true one.

    Shows the squared distances behind net1 from the true row, what overruling one category of the
    decoded row by hand makes of them, and which single overruling would help most.

    `row`: position among the test rows. `column`, `category`: what is overruled, and by which
    label or value; as decoded if not given.

    Raises DataError if the column or the category does not exist. Raises ValueError if the row does
    not.
    """
    offered = {c.name: (AS_DECODED, *c.labels) for c in dataset.schema.categorical}
    column = next(iter(offered)) if column is None else column
    category = AS_DECODED if category is None else category
    check_row(dataset, row)
    find_column(dataset, column)
    if category != AS_DECODED:
        category = label_of(dataset, column, category)
    overruled = {"options": offered[column], "value": category, "description": "by category"}
    controls = {
        "row": ipywidgets.BoundedIntText(row, min=0, max=len(dataset.test) - 1),
        "column": ipywidgets.Dropdown(options=[*offered], value=column, description="overrule"),
        "category": ipywidgets.Dropdown(**overruled),
    }
    predicted = lru_cache(64)(lambda row: predicted_row(net0, net1, dataset, row))
    shown = [column]

    def adjust() -> None:
        chosen = controls["column"].value
        if chosen != shown[0]:
            shown[0] = chosen
            controls["category"].options = offered[chosen]
            controls["category"].value = AS_DECODED

    def show(row: int, column: str, category: str) -> str:
        return row_page(predicted(row), () if category == AS_DECODED else (column, category))

    def still(row: int, **_: str) -> Twin:
        found = predicted(row)
        best = found.best.rename(columns={"category": "best overruled by"})
        return Twin(row_twin(found), found.columns.join(best).round(3))

    given, options = ("net0", "net1", "data"), {"adjust": adjust, "still": still}
    return Explorer("row_explorer", given, controls, show, height=COLUMNS + WORDS, **options)


def row_page(row: PredictedRow, overruled: tuple[str, ...]) -> str:
    """All that is shown of a row, as HTML; what net0 sees in own units where they are known."""
    values = [
        (str(name), "" if pd.isna(s.own) else f"{s.own:z.4g}", f"{s.deviations:+.2f}")
        for name, s in row.signal.iterrows()
    ]
    words = f"Signal: {len(values)} values; own unit, standard deviations"
    seen = table(words, ("name", "own unit", "standard deviations"), values, flowing=True)
    columns = scrolled(column_table(row), "predicted columns", height=COLUMNS)
    signal = scrolled(seen, "signal", height=SIGNAL)
    words = html.escape(f"{overruling_words(row, overruled)} {best_words(row)}")
    return (
        f'<div style="{CARD}">{columns}'
        f'<div style="display:flex;flex-flow:row wrap;gap:16px;margin-top:8px">'
        f'<div style="flex:2 1 300px;min-height:{WORDS}px">{distance_bars(row, overruled)}'
        f'<p style="margin:4px 0">{words}</p></div>'
        f'<div style="flex:3 1 380px;min-width:0">{signal}</div></div></div>'
    )


def column_table(row: PredictedRow) -> str:
    """The simplex of each column: the largest share is decoded; the true category is marked."""
    best = row.best
    rows = [
        (
            str(name),
            cut(column.true, pixels=84),
            "✓ hit" if column.hit else "✗ missed",
            *largest(row.shares[name], column.true),
            cut(f"{best.change[name]:+.3f}: {best.category[name]}", pixels=136),
        )
        for name, column in row.columns.iterrows()
    ]
    head = ("column", "true", "", "decoded", "second", "best overruling")
    return table("Every column as predicted", head, rows)


def largest(shares: pd.Series, true: str) -> list[Markup]:
    """The largest shares with bars; fewer where there are fewer categories."""
    top = shares.sort_values(ascending=False, kind="stable")[:TOP]
    cells = [Markup("")] * TOP
    for place, (label, share) in enumerate(top.items()):
        colour, mark = (ORANGE, " ✓&ensp;") if label == true else (BLUE, "")
        cells[place] = Markup(f"{bar(share, colour)}{cut(label, pixels=74)}{mark}")
    return cells


def overruling_words(row: PredictedRow, overruled: tuple[str, ...]) -> str:
    """What the overruling changes."""
    if not overruled:
        return "Nothing is overruled."
    column, category = overruled
    if row.columns["decoded"][column] == category:
        return f"{column} is decoded as {category} already."
    found = row.overrulings.loc[overruled]
    way = "nearer" if found.change < 0 else "farther"
    return (
        f"With {column} {category} in place of {row.columns['decoded'][column]} the row lies "
        f"{abs(found.change):.3f} {way}: {row.decoded:.3f} becomes {found.distance:.3f}."
    )


def best_words(row: PredictedRow) -> str:
    """Which single overruling would help most."""
    best = row.best.iloc[0]
    true = row.columns["true"][best.name]
    kind = "the true category" if best.category == true else f"though the true one is {true}"
    change = f"{best.name} {best.category}, {kind}"
    if best.change >= 0:
        return f"No single overruling brings it nearer; the least harm does {change}."
    return (
        f"Of all {len(row.overrulings) - len(row.columns)} single overrulings the best is "
        f"{change}: {row.decoded:.3f} becomes {best.distance:.3f}."
    )
