"""What net1 learned of the categories, from five seeds and two starts of its embedding tables.

    python benchmarks/inspection.py            # about 45 minutes on a core; runs/inspection

On flights and on planted rows: scores against the truth with permutation tests, what the seeds
agree on, how far training moved each category, and where the predictions of net0 land. Each net1
is kept in the folder, so an interrupted run goes on where it was.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from tabkit import Dataset, RowEncoder, compare, fit_encoder, flights, freeze, inspection, planted
from tabkit.nets.encoder import SMALL_START

STARTS = {"usual": None, "small": SMALL_START}  # standard deviation of the tables at the start
SEEDS = (0, 1, 2, 3, 4)
NET0S = ("softmax", "softmax:tau=0.25", "gumbel_softmax", "straight_through_gumbel")
NET0S += ("straight_through_argmax", "direct_embedding")
LANDED = 2_000  # test rows
FEWEST = 4  # categories: of fewer, neighbours agree by themselves
SEARCHED = 200  # of the landed rows, by all decoders
DECODED = ("argmax", "table", "first_layer", "search", "best")


def datasets() -> dict[str, Dataset]:
    """All flights, and planted rows with two columns on each kind of place."""
    places = planted(20_000, categorical=8, continuous=4, cardinality=(8, 24), held_out=2_000)
    return {"flights": flights(), "planted": places}


def encoder(dataset: Dataset, start: str, seed: int) -> RowEncoder:
    """net1 before it is trained."""
    return RowEncoder(dataset.schema, embedding_std=STARTS[start], seed=seed)


def trained(dataset: Dataset, start: str, seed: int, folder: Path) -> RowEncoder:
    """net1, trained or from the folder, frozen."""
    net1, name = encoder(dataset, start, seed), f"{dataset.name}-{start}-{seed}"
    fit_encoder(net1, dataset, seed=seed, checkpoint=folder / f"{name}.safetensors").run(name)
    return freeze(net1)


def columns(dataset: Dataset) -> list[str]:
    """The columns with enough categories."""
    return [c.name for c in dataset.schema.categorical if c.cardinality >= FEWEST]


def scores(dataset: Dataset, nets: Sequence[RowEncoder]) -> pd.DataFrame:
    """Scores against the truth: means over net1s, and the largest of their p-values."""
    truths = inspection.known_truths(dataset)
    found = pd.concat([inspection.truth_scores(net1, dataset, truths) for net1 in nets])
    groups = found.groupby(["column", "truth", "view"], sort=False)
    means = groups[["categories", "k", "correlation", "neighbour_ratio"]].mean()
    worst = groups[["correlation_p", "neighbour_p", "correlation_q"]].max()
    return means.astype({"categories": int, "k": int}).join(worst).reset_index()


def agreements(dataset: Dataset, nets: Sequence[RowEncoder]) -> pd.DataFrame:
    """What the net1s agree on, by column and view."""
    records = []
    for column in columns(dataset):
        for view in inspection.VIEWS:
            runs = [inspection.category_vectors(n, dataset, column, view=view) for n in nets]
            records.append({"column": column, "view": view, **inspection.agreement(runs)})
    return pd.DataFrame(records)


def movements(dataset: Dataset, start: str, nets: Sequence[RowEncoder]) -> pd.DataFrame:
    """How far the categories moved, and whether the frequent ones moved farther."""
    records = []
    for column in columns(dataset):
        pairs = [
            [
                inspection.category_vectors(net, dataset, column)
                for net in (encoder(dataset, start, seed), net1)
            ]
            for seed, net1 in zip(SEEDS, nets, strict=True)
        ]
        moved = pd.concat(inspection.movement(*pair) for pair in pairs)
        as_before = [inspection.agreement(pair)["distance_correlation"] for pair in pairs]
        means = moved.groupby(level=0).mean()
        rho, p = inspection.rank_correlation(means["count"], means["moved"])
        numbers = means[["length_at_start", "moved", "kept"]].mean()
        ends = {"as_before_min": min(as_before), "as_before_max": max(as_before)}
        records.append({"column": column, **numbers, **ends, "moved_with_count": rho, "p": p})
    return pd.DataFrame(records)


def landings(dataset: Dataset, nets: Sequence[RowEncoder]) -> pd.DataFrame:
    """Where net0's predictions land, and the loss by decoder: means and errors over net1s."""
    found = pd.DataFrame(
        record
        for seed, net1 in zip(SEEDS, nets, strict=True)
        for record in landing_records(dataset, net1, seed)
    )
    groups = found.groupby("estimator", sort=False)
    errors = groups[["relaxed", *decoder_names(found)]].sem().add_suffix("_se")
    return groups.mean().join(errors).drop(columns="seed").reset_index()


def decoder_names(table: pd.DataFrame) -> list[str]:
    """The columns of the decoders' losses."""
    return [name for name in table if name.startswith("decode_")]


def landing_records(
    dataset: Dataset, net1: RowEncoder, seed: int
) -> Iterator[dict[str, float | str]]:
    """One record for each net0 behind one net1."""
    index = dataset.test[:LANDED]
    scale = compare.random_row_loss(net1, dataset, dataset.test)
    correlation = compare.distance_correlation(net1, dataset, dataset.test)
    for name in NET0S:
        estimator, _ = compare.parse_spec(name)
        net0 = compare.train_and_score(
            estimator, net1, dataset, name=name, steps=600, batch=256, seed=seed
        ).net0
        landed = inspection.landing(net0, net1, dataset, estimator, index, seed=seed)
        apart, rows = landed.distances(first_layer=True), landed.rows()
        losses = compare.by_decoder(net0, net1, dataset, estimator, rows=SEARCHED, seed=seed)
        with_gap = rows.corr("spearman")["gap"]
        yield {
            "estimator": name,
            "seed": seed,
            "random_row": scale,
            "net1_correlation": correlation,
            "relaxed": landed.losses()["relaxed"],
            **{f"decode_{decoder}": losses[f"decode_{decoder}"] for decoder in DECODED},
            **apart[["to_nearest", "to_decoded", "nearest_is_decoded"]].mean(),
            "gap_with_to_nearest": with_gap["to_nearest"],
            "gap_with_to_decoded": with_gap["to_decoded"],
        }


def main() -> None:
    """Measures and writes the four tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs") / "inspection")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, list[pd.DataFrame]] = {}
    for name, dataset in datasets().items():
        for start in STARTS:
            nets = [trained(dataset, start, seed, folder) for seed in SEEDS]
            for kind, table in (
                ("scores", scores(dataset, nets)),
                ("agreement", agreements(dataset, nets)),
                ("movement", movements(dataset, start, nets)),
                ("landings", landings(dataset, nets)),
            ):
                table.insert(0, "start", start)
                table.insert(0, "data", name)
                tables.setdefault(kind, []).append(table)
                file = folder / f"inspection_{kind}.csv"
                pd.concat(tables[kind]).to_csv(file, index=False, float_format="%.4g")
                print(f"\n{kind}, {name}, {start} start\n{table.round(3).to_string(index=False)}")


if __name__ == "__main__":
    main()
