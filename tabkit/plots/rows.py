"""Figures of one predicted row: its shares, and how far it lies from the true one."""

import html
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from tabkit.inspection.rows import PredictedRow
from tabkit.plots.mixtures import cut, share_bars
from tabkit.plots.picture import BLUE, GREY, INK, ORANGE, Picture, panels_of

BARS = 5


def row_twin(row: PredictedRow) -> Picture:
    """The largest shares of every column, the decoded category and the true one marked."""
    figure, axes = panels_of(len(row.shares), width=2.7, height=1.5, columns=3)
    for ax, (name, shares) in zip(axes, row.shares.items(), strict=True):
        _draw_shares(ax, shares.nlargest(BARS), row.columns.loc[name])
    words = [
        f"{name}: decoded {c.decoded} with share {c.decoded_share:.2f}, "
        + ("as in truth" if c.hit else f"true {c.true} with share {c.true_share:.2f}")
        for name, c in row.columns.iterrows()
    ]
    return Picture(figure, f"{distance_words(row)} {'; '.join(words)}.")


def _draw_shares(ax: Axes, shares: pd.Series, column: pd.Series) -> None:
    true = [k for k, label in enumerate(shares.index) if label == column["true"]]
    share_bars(ax, shares, true=true[0] if true else None, room=BARS)
    verdict = "hit" if column["hit"] else f"missed: {cut(column['true'])}"
    ax.set_title(f"{cut(column.name)}: {verdict}", fontsize=8.5, loc="left")
    ax.tick_params(labelsize=7.5)


def distance_words(row: PredictedRow, overruled: Sequence[str] = ()) -> str:
    """How far the mixture and the decoded row lie from the true one, and a row overruled by hand.

    Parameters
    ----------
    overruled
        Column and category that overrule what was decoded.
    """
    hits = int(row.columns["hit"].sum())
    words = (
        f"{hits} of {len(row.columns)} categories hit. Squared distance behind net1 to the true "
        f"row: of the mixture {row.mixture:.3f}, of the decoded row {row.decoded:.3f}"
    )
    if not overruled:
        return f"{words}."
    found = row.overrulings.loc[tuple(overruled)]
    column, category = overruled
    return f"{words}, with {column} {category} {found.distance:.3f} ({found.change:+.3f})."


def distance_bars(row: PredictedRow, overruled: Sequence[str] = ()) -> str:
    """The squared distances of the mixture, the decoded row and the overruled one, as SVG."""
    bars = {"mixture": row.mixture, "decoded row": row.decoded}
    if overruled:
        bars["overruled"] = float(row.overrulings["distance"][tuple(overruled)])
    longest = max(*bars.values(), 1e-12)
    lines = [
        f'<text x="0" y="{y}" font-size="12" fill="{INK}">{name}</text>'
        f'<rect x="90" y="{y - 10}" width="{300 * value / longest:.1f}" height="11" '
        f'fill="{colour}"/>'
        f'<text x="{96 + 300 * value / longest:.1f}" y="{y}" font-size="12" fill="{INK}">'
        f"{value:.3f}</text>"
        for (name, value), colour, y in zip(
            bars.items(), (GREY, BLUE, ORANGE), (32, 50, 68), strict=False
        )
    ]
    title = "Squared distance behind net1 to the true row"
    return (
        f'<svg role="img" aria-label="{html.escape(distance_words(row, overruled))}" width="470" '
        f'height="76" viewBox="0 0 470 76" font-family="sans-serif" '
        f'style="background:#fff;max-width:100%">'
        f'<text x="0" y="14" font-size="12" font-weight="bold" fill="{INK}">{title}</text>'
        f"{''.join(lines)}</svg>"
    )
