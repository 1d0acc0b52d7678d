"""The comparison: which estimators, at which temperatures, on which data, and its tables."""

from collections.abc import Iterable, Sequence

import pandas as pd

from tabkit.compare.scores import with_shares
from tabkit.compare.specs import parse_spec
from tabkit.compare.sweeping import BUDGETS, Cell, Load, load_data
from tabkit.compare.trials import LIMIT
from tabkit.data.tables import shipped
from tabkit.decoders import DECODERS

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
QUICK = (
    *("softmax:tau=1", "softmax:tau=0.25", "hard_argmax", "straight_through_argmax:tau=1"),
    *("gumbel_softmax:tau=1", "straight_through_gumbel:tau=1", "reinmax:tau=1"),
    *("leave_one_out:samples=4", "direct_embedding", "cross_entropy"),
)
DATA_ROWS = {"flights": 0, "adult": 0, "bikeshare": 0, "census": 0, "planted": 20_000}  # 0: all
QUICK_ROWS = DATA_ROWS | {"flights": 20_000, "adult": 10_000, "census": 10_000, "planted": 10_000}
KEYS = ["data", "net", "budget", "estimator"]
MEASURES = [
    *("train_relaxed", "test_relaxed", "test_decoded", "gap", "entropy", "accuracy", "seconds"),
    *("decode_relaxed", *(f"decode_{name}" for name in DECODERS), "decode_best"),
    *(f"{what}_{name}" for what in ("share", "evaluations", "seconds") for name in DECODERS),
    *("limit", "random_row"),
]


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


def budgets_of(text: str, cardinalities: Sequence[int], budgets: Sequence[str]) -> Sequence[str]:
    """Of these budgets those at which an estimator has to be trained."""
    once = text == LIMIT or parse_spec(text).estimator.evaluations(cardinalities) == 1
    return BUDGETS[:1] if once else budgets


def sweep_summary(results: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard error over seeds of what `sweep` returns, best decoded loss first.

    One row per data set, kind of net1, budget and estimator; columns MEASURE and MEASURE_se
    (missing with one seed), and `seeds`, `ran_steps`, `ran_batch`, `evaluations`. Estimators that
    evaluate net1 once stand under both budgets. `share_argmax` is the share of the way from a
    random row to the limit, and so on by decoder; NaN where the limit was not trained.

    Raises
    ------
    ValueError
        If two results differ in more than data, budget, estimator and seed.
    """
    results = results if "net" in results else results.assign(net="plain")
    if results.duplicated([*KEYS, "seed"]).any():
        raise ValueError(
            "the results mix other settings than data, net, budget, estimator and seed"
        )
    results = beside_the_limit(results)
    once = results[results["evaluations"] == 1].assign(budget="evaluations")
    both = pd.concat([results, once], ignore_index=True).drop_duplicates([*KEYS, "seed"])
    groups = both.groupby(KEYS, sort=False)
    measured = groups[[name for name in MEASURES if name in both]]
    sizes = groups[["ran_steps", "ran_batch", "evaluations"]].first()
    parts = [groups.size().rename("seeds"), sizes, measured.mean()]
    table = pd.concat([*parts, measured.sem().add_suffix("_se")], axis=1)
    by = ["data", "net", "budget", "test_decoded"]
    return table.reset_index().sort_values(by, ascending=[True, False, False, True])


def beside_the_limit(results: pd.DataFrame) -> pd.DataFrame:
    """The results without the limit's rows, whose losses stand beside each, with the shares."""
    own, at_limit = ["data", "net", "seed"], results["estimator"] == LIMIT
    ends = results[at_limit].reindex(columns=[*own, "decode_relaxed", "random_row"])
    ends = ends.rename(columns={"decode_relaxed": "limit"})
    found = results[~at_limit].drop(columns="random_row", errors="ignore")
    return with_shares(found.merge(ends, "left", own))


def sweep_text(summary: pd.DataFrame) -> str:
    """The tables for a terminal, one per data set, net1 and budget."""
    decoders = {f"decode_{name}": name for name in DECODERS}
    shown = ["train_relaxed", "test_relaxed", "test_decoded", "test_decoded_se"]
    shown += ["decode_relaxed", *decoders, "decode_best", "entropy", "accuracy", "seconds"]
    parts = []
    for (data, net, budget), group in summary.groupby(["data", "net", "budget"], sort=False):
        table = group.set_index("estimator")[shown].rename(
            columns=decoders | {"test_decoded_se": "se"}
        )
        row = group.iloc[0]
        title = f"{data}, {net} net1, equal {budget}: {row.seeds} seeds, best by argmax first"
        ends = f"a random row {row.random_row:.3f}, the limit {row.limit:.3f}"
        parts.append(f"{title}; {ends}\n{table.to_string(float_format='{:.3f}'.format)}")
    note = "decode_relaxed, the decoders and decode_best: the first test rows alone"
    return "\n\n".join([*parts, note])


def kept_comparison() -> pd.DataFrame:
    """The full comparison's summary that is kept with tabkit, as `sweep_summary` returned it.

    ``python -m tabkit compare`` reproduces it.

    Raises
    ------
    FileNotFoundError
        If the file is not where the repository or the wheel puts it.
    """
    return pd.read_csv(shipped("benchmarks/results/comparison.csv"))
