"""The tables of a comparison: means over seeds, shares of the way to the limit, what is kept."""

import pandas as pd

from tabkit.compare.scores import with_shares
from tabkit.compare.trials import LIMIT
from tabkit.data.tables import shipped
from tabkit.decoders import DECODERS

BLOCK = ["data", "net", "seed"]
KEYS = ["data", "net", "budget", "estimator"]
MEASURES = [
    *("train_relaxed", "test_relaxed", "test_decoded", "gap", "entropy", "accuracy", "seconds"),
    *("decode_relaxed", *(f"decode_{name}" for name in DECODERS), "decode_best"),
    *(f"{what}_{name}" for what in ("share", "evaluations", "seconds") for name in DECODERS),
    *("limit", "random_row"),
]


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
    at_limit = results["estimator"] == LIMIT
    ends = results[at_limit].reindex(columns=[*BLOCK, "decode_relaxed", "random_row"])
    ends = ends.rename(columns={"decode_relaxed": "limit"})
    found = results[~at_limit].drop(columns="random_row", errors="ignore")
    return with_shares(found.merge(ends, "left", BLOCK))


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

    ``python -m tabkit compare --nets plain --data flights planted --seeds 0 1 2`` reproduces it.

    Raises
    ------
    FileNotFoundError
        If the file is not where the repository or the wheel puts it.
    """
    return pd.read_csv(shipped("benchmarks/results/comparison.csv"))
