"""Two explorers of single numbers: one column's simplex, and an estimator's gradient."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import ipywidgets
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from tabkit import estimators, inspection, plots, ruler
from tabkit.data import Dataset
from tabkit.decoders import handed_over
from tabkit.estimators import Estimator
from tabkit.nets import has
from tabkit.objective import Function, Objective
from tabkit.simplex import blocks, slices
from tabkit.widgets.explorer import Explorer, Twin, check_range, log_slider, number_field
from tabkit.widgets.tables import beside, table

MIXED = ("softmax", "gumbel_softmax", "straight_through_gumbel"), (0.25, 1.0, 4.0)  # in a twin
TAUS = (0.3, 1.0, 3.0)  # in the other's
FEWEST, MOST, STEP = 20, 400, 20  # draws
WARM_UP = 20  # calls; the ruler's own 200 take too long for a dial


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

    `column`: the first with three categories if not given, or the first of all. `row`: position
    among the test rows. `logits`: numbers with commas between, in place of net0's.

    Raises ValueError if a number is out of its range.
    """
    specs = {spec.name: spec for spec in dataset.schema.categorical}
    three = [name for name, spec in specs.items() if spec.cardinality == 3]
    relaxations = estimators.names(relaxations=True)
    controls = {
        "column": ipywidgets.Dropdown(options=[*specs], value=column or [*three, *specs][0]),
        "row": number_field("row", row, low=0, high=len(dataset.test) - 1),
        "relaxation": ipywidgets.Dropdown(options=relaxations, value=relaxation),
        "tau": log_slider("tau", tau, low=0.01, high=10.0, step=0.05),
        "seed": number_field("seed", seed, low=0, high=2**31 - 1),
        "logits": ipywidgets.Text(logits, placeholder="by hand: 1, 0, 2"),
    }

    def mixture(
        column: str, row: int, relaxation: str, tau: float, seed: int, logits: str
    ) -> tuple[inspection.Mixture, tuple[str, ...], int]:
        number, labels = [*specs].index(column), specs[column].labels
        own = typed(logits) if logits.strip() else row_logits(net0, net1, dataset, row)[number]
        if len(own) != len(labels):
            raise ValueError(f"there are {len(labels)} categories, but {len(own)} logits")
        table = net1.embedding.weights[number] if has(net1, "embedding") else None
        truth = dataset.rows.codes[dataset.test[row], number].item()
        return inspection.mix(own, tempered(relaxation, tau), table, seed=seed), labels, truth

    def show(**state: Any) -> str:
        found, labels, truth = mixture(**state)
        numbers = simplex_numbers(found, labels, truth)
        named = table(state["column"], ("what", "value"), numbers)
        return beside(plots.simplex(found, labels, truth=truth).svg(), named)

    def still(**state: Any) -> Twin:
        found = {}
        for name, heat in product(*MIXED):
            mixed, labels, truth = mixture(**state | {"relaxation": name, "tau": heat})
            found[f"{name}, tau {heat:g}"] = mixed
        rows = {n: {"entropy (nats)": m.entropy, "distance": m.distance} for n, m in found.items()}
        table = pd.DataFrame(rows, dtype=float).T.round(2).dropna(axis=1)
        return Twin(plots.simplexes(found, labels, truth=truth), table)

    given = ("net0", "net1", "data")
    return Explorer("simplex_explorer", given, controls, show, height=290, still=still)


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

    `reference`: the exact gradient if not given, which needs a joint table of at most 10,000 rows.
    `labels`: the categories' names, by column; their codes if not given.

    Raises ValueError as `ruler.exact_gradient`; or if a number is out of its range.
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
    def drawn(estimator: str, tau: float | None, **options: int) -> ruler.Gradients:
        problem = (tempered(estimator, tau), logits, objective, cardinalities)
        return ruler.estimate(*problem, reference=reference, warm_up=WARM_UP, **options)

    def estimated(estimator: str, tau: float, **options: int) -> ruler.Gradients:
        knobs = estimators.make(estimator).knobs
        return drawn(estimator, tau if "tau" in knobs else None, **options)

    def show(row: int, column: int, **state: Any) -> str:
        found = estimated(**state)
        drawn = plots.gradient(found, known[column], row=row, first=starts[column]).svg()
        names = {"squared_bias": "squared bias", "variance": "variance", "cosine": "cosine"}
        numbers = [(said, f"{found.measures[name]:.3f}") for name, said in names.items()]
        return beside(drawn, table("the ruler", ("what", "value"), numbers))

    def still(row: int, column: int, **state: Any) -> Twin:
        found = {f"tau {t:g}": estimated(**state | {"tau": t}) for t in TAUS}
        table = pd.DataFrame({name: each.measures for name, each in found.items()}).T
        picture = plots.gradients(found, known[column], row=row, first=starts[column])
        return Twin(picture, table[["squared_bias", "variance", "cosine"]].round(2))

    return Explorer("gradient_explorer", given, controls, show, height=300, still=still)


def simplex_numbers(
    mixed: inspection.Mixture, labels: Sequence[str], truth: int
) -> list[tuple[str, str]]:
    """A mixture's numbers, by name."""
    shares, most = mixed.simplex, int(mixed.simplex.argmax())
    found = [("largest share", f"{shares[most]:.2f} {labels[most]}")]
    found += [("true one's share", f"{shares[truth]:.2f} {labels[truth]}")]
    found += [("entropy, nats", f"{mixed.entropy:.2f}")]
    if mixed.nearest is not None:
        found += [("nearest category", labels[mixed.nearest])]
        found += [("its distance", f"{mixed.distance:.2f}")]
    return found


def measurable() -> list[str]:
    """The estimators that have a gradient for logits, need no true categories, and are no sum."""
    names = [n for n in estimators.names() if estimators.make(n).head == "logits"]
    return [n for n in names if n not in ("cross_entropy", "exact")]


def tempered(name: str, tau: float | None) -> Estimator:
    """An estimator by name, at a temperature if it has one."""
    made = estimators.make(name)
    if "tau" in made.knobs:
        made.change(tau=tau)
    return made


def typed(text: str) -> Tensor:
    """Logits from numbers with commas between; raises ValueError if a part is no finite number."""
    try:
        logits = torch.tensor([float(part) for part in text.split(",")])
    except ValueError:
        raise ValueError(f"{text!r} is not a list of numbers such as 1, 0, 2") from None
    if not logits.isfinite().all():
        raise ValueError(f"{text!r} has a logit that is not finite")
    return logits


@torch.no_grad()
def row_logits(net0: Any, net1: Any, dataset: Dataset, row: int) -> tuple[Tensor, ...]:
    """net0's logits for a test row, by column."""
    handed = handed_over(net0, dataset.signal[dataset.test[row : row + 1]], net1)
    return blocks(handed.logits[0], handed.cardinalities)
