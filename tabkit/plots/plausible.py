"""The figure of rows that are right for net1 and plausible."""

import numpy as np
import pandas as pd

from tabkit.plots.palette import AMBER, BLUE, GREEN, GREY, ORANGE, PINK, SKY
from tabkit.plots.panels import ROUND, legend_above, number_logs, panels_of
from tabkit.plots.picture import Picture, check_columns, literal
from tabkit.plots.results import CLOSE, DECODED, WIDE

ALONG = {
    "accuracy": "accuracy, mean over columns",
    "told_apart": "told from true rows: share right",
}
COLOURS = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY)


def frontier(summary: pd.DataFrame) -> Picture:
    """Decoded loss against accuracy, and against how well rows are told from true ones.

    A line for each estimator (colour) and decoder (mark), by weight; bars are 2 standard errors.

    `summary`: as benchmarks/frontier.py writes it; rows without a decoder are not drawn.

    Raises ValueError if a column is missing, or there is no row.
    """
    measures = ["decoded", *ALONG]
    check_columns(summary, ["estimator", "label_weight", *measures, *(f"{m}_se" for m in measures)])
    figure, axes = panels_of(2, width=4.4, height=3.6, columns=2)
    drawn, told = summary.dropna(subset="decoder"), []
    names = list(drawn["estimator"].unique())
    for (name, decoder), part in drawn.groupby(["estimator", "decoder"], sort=False):
        colour = COLOURS[names.index(name) % len(COLOURS)]
        form = f"{DECODED.get(decoder, (None, 'P'))[1]}-"
        label, errors = f"{name} by {decoder}", 2 * part.filter(like="_se").fillna(0.0)
        for ax, across in zip(axes, ALONG, strict=True):
            bars = {"xerr": errors[f"{across}_se"], "yerr": errors["decoded_se"], "elinewidth": 1}
            look = {"color": colour, "label": literal(label), "ms": 5, "linewidth": 1.2}
            ax.errorbar(part[across], part["decoded"], fmt=form, **bars, **look)
        points = (
            f"{r.label_weight:g}: {r.decoded:.2f}, {r.accuracy:.2f}, {r.told_apart:.2f}"
            for r in part.itertuples()
        )
        told.append(f"{label} at {'; '.join(points)}")
    for ax, label in zip(axes, ALONG.values(), strict=True):
        ax.set(yscale="log", xlabel=label)
        number_logs(ax.yaxis, ROUND if np.divide(*ax.get_ylim()[::-1]) > WIDE else CLOSE)
    axes[0].set_ylabel("decoded loss (log scale)")
    axes[0].set_title("along a line, label_weight rises", fontsize=9)
    axes[1].axvline(0.5, color=GREY, linestyle=":", label="cannot be told apart")
    legend_above(figure)
    return Picture(
        figure, f"Decoded loss, accuracy, share told, by label_weight: {'. '.join(told)}."
    )
