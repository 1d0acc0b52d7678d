"""An estimator's gradient beside the exact one."""

from collections.abc import Sequence
from functools import lru_cache

import ipywidgets
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from tabkit import estimators, plots, ruler
from tabkit.estimators import Estimator
from tabkit.objective import Function, Objective
from tabkit.simplex import slices
from tabkit.widgets.explorer import Explorer, Twin, check_range, log_slider, number_field

FEWEST, MOST, STEP = 20, 400, 20  # draws
WARM_UP = 20  # calls; the ruler's own 200 take too long for a dial
TAUS = (0.3, 1.0, 3.0)


def gradient_explorer(
    logits: Float[Tensor, "B F"],
    objective: Function | Objective,
    cardinalities: Sequence[int],
    *,
    reference: ruler.Reference | None = None,
    labels: Sequence[Sequence[str]] | None = None,
    estimator: str = "straight_through_gumbel",
    tau: float = 1.0,
    draws: int = 40,
    row: int = 0,
    column: int = 0,
    seed: int = 0,
) -> Explorer:
    """A widget: the ruler, with its bias, variance and cosine as temperature and draws move.

    Bias, variance and cosine are those of all rows together; the bars are one column of one row.
    What was drawn is kept: another row or column, or tau of an estimator that has none, is shown
    at once.

    Parameters
    ----------
    reference
        The exact gradient if not given, which needs a joint table of at most 10,000 rows.
    labels
        The categories' names, by column; their codes if not given.

    Raises
    ------
    ValueError
        As `ruler.exact_gradient`; or if a number is out of its range.
    """
    given = ["logits", "objective", "cardinalities"]
    given += ["reference=reference"] * (reference is not None) + ["labels=labels"] * bool(labels)
    if reference is None:
        reference = ruler.exact_gradient(logits, objective, cardinalities)
    known = labels or [[str(k) for k in range(width)] for width in cardinalities]
    starts = [block.start for block in slices(cardinalities)]
    check_range("draws", draws, FEWEST, MOST)
    controls = {
        "estimator": ipywidgets.Dropdown(options=measurable(), value=estimator),
        "tau": log_slider("tau", tau, low=0.01, high=10.0, step=0.05),
        "draws": ipywidgets.IntSlider(draws, min=FEWEST + draws % STEP, max=MOST, step=STEP),
        "row": number_field("row", row, low=0, high=len(logits) - 1),
        "column": number_field("column", column, low=0, high=len(cardinalities) - 1),
        "seed": number_field("seed", seed, low=0, high=2**31 - 1),
    }

    @lru_cache(64)
    def drawn(estimator: str, tau: float | None, draws: int, seed: int) -> ruler.Gradients:
        return ruler.estimate(
            tempered(estimator, tau),
            logits,
            objective,
            cardinalities,
            reference=reference,
            draws=draws,
            seed=seed,
            warm_up=WARM_UP,
        )

    def estimated(estimator: str, tau: float, draws: int, seed: int) -> ruler.Gradients:
        knobs = estimators.make(estimator).knobs
        return drawn(estimator, tau if "tau" in knobs else None, draws, seed)

    def show(estimator: str, tau: float, draws: int, row: int, column: int, seed: int) -> str:
        found = estimated(estimator, tau, draws, seed)
        return plots.gradient(found, known[column], row=row, first=starts[column]).svg()

    def still() -> Twin:
        state = widget.state
        row, column = state.pop("row"), state.pop("column")
        found = {f"tau {t:g}": estimated(**state | {"tau": t}) for t in TAUS}
        table = pd.DataFrame({name: each.measures for name, each in found.items()}).T
        picture = plots.gradients(found, known[column], row=row, first=starts[column])
        return Twin(picture, table[["squared_bias", "variance", "cosine"]].round(2))

    widget = Explorer("gradient_explorer", given, controls, show, height=300, still=still)
    return widget


def measurable() -> list[str]:
    """The estimators that have a gradient for logits, need no true categories, and are no sum."""
    names = [n for n in estimators.names() if estimators.make(n).head == "logits"]
    return [n for n in names if n not in ("cross_entropy", "exact")]


def tempered(name: str, tau: float | None) -> Estimator:
    """An estimator by name, at a temperature if one is given."""
    return estimators.make(name) if tau is None else estimators.make(name, tau=tau)
