"""Which cells the comparison has: estimators at temperatures, tables, kinds of net1, seeds."""

from collections.abc import Iterable, Sequence
from typing import Any

from tabkit.compare.kinds import KINDS
from tabkit.compare.specs import parse_spec
from tabkit.compare.sweeping import BUDGETS, Cell, Load, load_data
from tabkit.compare.trials import LIMIT

FULL = (
    *("softmax:tau=1", "softmax:tau=0.5", "softmax:tau=0.25", "softmax:tau=0.1"),
    *("softmax:tau=exponential/1/0.05", "softmax:tau=1,entropy_penalty=0.1"),
    *("sparsemax:tau=1", "entmax15:tau=1", "hard_argmax"),
    *("straight_through_argmax:tau=1", "straight_through_argmax:tau=0.5"),
    *("straight_through_sample:tau=1", "gapped_straight_through:tau=1"),
    *("gumbel_softmax:tau=2", "gumbel_softmax:tau=1", "gumbel_softmax:tau=0.5"),
    *("gumbel_softmax:tau=0.25", "gumbel_softmax:tau=cosine/2/0.25"),
    *("straight_through_gumbel:tau=2", "straight_through_gumbel:tau=1"),
    *("straight_through_gumbel:tau=0.5", "straight_through_gumbel:tau=0.25"),
    "straight_through_gumbel:tau=exponential/2/0.25",
    "straight_through_gumbel:tau=1,entropy_penalty=0.1",
    "decoupled_straight_through_gumbel:sampling_tau=0.5,surrogate_tau=1",
    "decoupled_straight_through_gumbel:sampling_tau=0.25,surrogate_tau=1",
    *("gumbel_rao:tau=1", "gumbel_rao:tau=0.5", "reinmax:tau=1", "reinmax:tau=1.3", "zgr"),
    *("perturbed_argmax:sigma=1", "imle:step=10", "imle:step=0.1", "adaptive_imle"),
    *("reinforce", "leave_one_out:samples=4", "rebar:tau=0.5", "top_k_sample:k=1", "indecater"),
    *("direct_embedding", "vq_straight_through", "rotation_trick", "cross_entropy"),
)
RANKED = (
    *("softmax:tau=1", "softmax:tau=0.25", "gumbel_softmax:tau=cosine/2/0.25"),
    *("straight_through_gumbel:tau=1", "straight_through_argmax:tau=1"),
    *("direct_embedding", "cross_entropy"),
)
WIDE = ("flights", "planted")  # where every estimator runs, behind the plain net1
QUICK = (
    *("softmax:tau=1", "softmax:tau=0.25", "hard_argmax", "straight_through_argmax:tau=1"),
    *("gumbel_softmax:tau=1", "straight_through_gumbel:tau=1", "reinmax:tau=1"),
    *("leave_one_out:samples=4", "direct_embedding", "cross_entropy"),
)
DATA_ROWS = {"flights": 0, "adult": 0, "bikeshare": 0, "census": 0, "planted": 20_000}  # 0: all
QUICK_ROWS = DATA_ROWS | {"flights": 20_000, "adult": 10_000, "census": 10_000, "planted": 10_000}


def cells(
    chosen: Iterable[str],
    seeds: Sequence[int],
    *,
    rows: dict[str, int],
    nets: Sequence[str] = ("plain",),
    budgets: Sequence[str] = BUDGETS,
    load: Load = load_data,
    **sizes: int,
) -> list[Cell]:
    """The limit and every estimator, on every data set, net1 and seed, at both budgets.

    Those are equal steps and equal evaluations of net1. An estimator that evaluates it once a row
    is the same at both, and is trained once. `rows` names the data sets, with the number of rows
    that `load` gets (as `sweep` takes it), `nets` the kinds of net1; `sizes` are the steps, batch
    and encoder_steps of a `Cell`.

    Raises
    ------
    ValueError
        If an estimator or a data set is unknown.
    """
    return [
        Cell(data, count, text, seed, budget, **sizes, net=net)
        for data, count in rows.items()
        for net in nets
        for text in (LIMIT, *chosen)
        for budget in budgets_of(text, load(data, count).schema.cardinalities, budgets)
        for seed in seeds
    ]


def whole(
    seeds: Sequence[int], *, rows: dict[str, int], nets: Sequence[str] = KINDS, **others: Any
) -> list[Cell]:
    """The comparison over all of it: `RANKED` everywhere, every estimator where it is `WIDE`.

    Behind the plain net1 on flights and planted rows, that is. Parameters as in `cells`.
    """
    return [
        cell
        for data, count in rows.items()
        for net in nets
        for cell in cells(
            FULL if net == "plain" and data in WIDE else RANKED,
            seeds,
            rows={data: count},
            nets=[net],
            **others,
        )
    ]


def budgets_of(text: str, cardinalities: Sequence[int], budgets: Sequence[str]) -> Sequence[str]:
    """Of these budgets those at which an estimator has to be trained."""
    once = text == LIMIT or parse_spec(text).estimator.evaluations(cardinalities) == 1
    return BUDGETS[:1] if once else budgets
