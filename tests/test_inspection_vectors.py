"""Categories and rows as named points: what they are, who is near whom, and the files of them."""

import itertools
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tabkit import DataError, RowEncoder, from_frame, inspection
from tabkit.inspection import Vectors, category_vectors, nearest, row_vectors


def made(values, names=None, *, facts=None, index="point"):
    """Points named p0, p1, ..., with facts or without."""
    values = np.asarray(values, dtype=np.float32)
    names = [f"p{i}" for i in range(len(values))] if names is None else names
    return Vectors("made", values, pd.DataFrame(facts, index=pd.Index(names, name=index)))


@pytest.fixture
def points():
    """30 points in 6 dimensions, of lengths 0.1 to 10, so that the two metrics disagree."""
    draw = np.random.default_rng(3)
    values = draw.normal(size=(30, 6)) * np.geomspace(0.1, 10, 30)[:, None]
    return made(draw.permutation(values), facts={"count": np.arange(100, 130)})


def by_hand(vectors, metric):
    """All distances, by the formulas, one pair at a time."""
    x = vectors.values.astype(np.float64)
    if metric == "cosine":
        return np.array([[1 - a @ b / np.sqrt((a @ a) * (b @ b)) for b in x] for a in x])
    return np.array([[np.sqrt(((a - b) ** 2).sum()) for b in x] for a in x])


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_nearest_are_those_of_the_sorted_distances(points, metric):
    table = by_hand(points, metric)
    found = nearest(points, k=4, metric=metric)
    assert found["name"].tolist() == [name for name in points.names for _ in range(4)]
    assert found["rank"].tolist() == [1, 2, 3, 4] * 30
    for i, (name, group) in enumerate(found.groupby("name", sort=False)):
        order = np.argsort(np.where(np.arange(30) == i, np.inf, table[i]))[:4]
        assert name == f"p{i}"
        assert group["neighbour"].tolist() == [f"p{j}" for j in order]
        np.testing.assert_allclose(group["distance"], table[i, order], rtol=1e-5, atol=1e-7)
        assert group["count"].tolist() == [100 + j for j in order]
    np.testing.assert_allclose(
        inspection.distances(points, metric=metric), table, rtol=1e-6, atol=1e-9
    )


def test_one_name_several_or_all(points):
    every = nearest(points, k=3)
    for chosen in ("p7", ["p7", "p2"], ["p2", "p7", "p2"]):
        names = [chosen] if isinstance(chosen, str) else chosen
        expected = pd.concat([every[every["name"] == name] for name in names], ignore_index=True)
        pd.testing.assert_frame_equal(nearest(points, chosen, k=3), expected)
    assert "count" not in nearest(made(points.values), "p1")


def test_a_twin_is_the_nearest_and_nobody_is_their_own(points):
    doubled = made(np.repeat(points.values, 2, axis=0))
    found = nearest(doubled, k=1)
    assert found["neighbour"].tolist() == [f"p{i ^ 1}" for i in range(60)]
    np.testing.assert_allclose(found["distance"], 0, atol=1e-6)
    every = nearest(doubled, k=59)
    assert (every["neighbour"] != every["name"]).all()


def test_what_has_no_neighbours_is_refused(points):
    for k in (0, -1, 30):
        with pytest.raises(ValueError, match=rf"k must lie in 1 to 29, .*30 in all\), not {k}"):
            nearest(points, k=k)
    with pytest.raises(DataError, match=r"'made', value 'JFK': .* of p0, p1, .*p7, \.\.\."):
        nearest(points, "JFK")
    with pytest.raises(DataError, match=r"choose one of p0, p1$"):
        nearest(made(np.eye(2)), "p2", k=1)
    with pytest.raises(ValueError, match="euclidean, cosine, not 'manhattan'"):
        nearest(points, metric="manhattan")
    origin = made(np.arange(8.0).reshape(4, 2) * [[1], [1], [0], [1]])
    for ask in (inspection.distances, inspection.project, partial(nearest, k=1)):
        with pytest.raises(DataError, match=r"row 2: the vector of 'p2' has length 0"):
            ask(origin, metric="cosine")
    assert nearest(origin, "p2", k=1)["neighbour"].tolist() == ["p0"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_points_are_finite_named_once_and_have_facts(bad):
    with pytest.raises(DataError, match=r"row 1: 2 of 3 vectors are not finite, .*'p1'") as caught:
        made([[0, 1], [bad, 0], [0, bad]])
    assert (caught.value.column, caught.value.row) == ("made", 1)
    for twice in (["a", "b", "a"], [1, "b", "1"]):
        with pytest.raises(DataError, match=f"value '{twice[2]}': is the name of two points"):
            made(np.eye(3), twice)
    with pytest.raises(ValueError, match="2 points, but facts of 3"):
        Vectors("short", np.eye(2), pd.DataFrame(index=range(3)))


def test_keep_takes_values_and_facts_together(points):
    kept = points.keep(np.arange(30) % 3 == 0)
    assert kept.names == tuple(f"p{i}" for i in range(0, 30, 3))
    assert np.array_equal(kept.values, points.values[::3])
    assert kept.facts["count"].tolist() == list(range(100, 130, 3))


def test_the_table_is_a_copy_of_the_embedding_and_facts_are_joined_by_name(net1, dataset):
    for number, spec in enumerate(dataset.schema.categorical):
        found = category_vectors(net1, dataset, spec.name)
        assert np.array_equal(found.values, net1.embedding.tables[number].weight.numpy())
        assert found.names == spec.labels
        codes = pd.Series(dataset.rows.codes[dataset.train, number].numpy())
        counts = codes.value_counts().reindex(range(spec.cardinality), fill_value=0)
        assert found.facts["count"].tolist() == counts.tolist()
        assert found.facts["code"].tolist() == list(range(spec.cardinality))
        truth = dataset.truth[spec.name]
        np.testing.assert_array_equal(found.facts[truth.columns], truth)


def test_vectors_stay_when_the_net_trains_on(dataset):
    net = RowEncoder(dataset.schema, width=8, embedding_std=None)
    for view in inspection.VIEWS:
        found = category_vectors(net, dataset, "c00", view=view)
        before = found.values.copy()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.1)
        assert np.array_equal(found.values, before)
        assert not np.array_equal(category_vectors(net, dataset, "c00", view=view).values, before)


def test_truth_goes_to_its_category_whatever_its_order(frame):
    """Truth shuffled, of integers and of strings, with a category that no row has."""
    gates = pd.DataFrame({"floor": [40, 10, 99, 30, 20]}, index=[4, 1, 9, 3, 2])
    ports = pd.DataFrame({"state": ["NY", "NJ"]}, index=["JFK", "EWR"])
    gaps = frame.assign(port=frame["port"].mask(frame.index < 5))
    own = from_frame(
        gaps, categorical=["port", "gate"], outcomes=["delay"], truth={"gate": gates, "port": ports}
    )
    net = RowEncoder(own.schema, width=4, embedding_std=None)
    gate, port = (category_vectors(net, own, name).facts for name in ("gate", "port"))
    assert gate["floor"].to_dict() == {"1": 10, "2": 20, "3": 30, "4": 40}
    assert port["state"].dropna().to_dict() == {"EWR": "NJ", "JFK": "NY"}
    assert port.index.tolist() == ["EWR", "JFK", "LGA", own.schema.categorical[0].labels[-1]]


def first_layer_distances(net, column):
    """Of the categories' embeddings, all other inputs 0, behind the first `nn.Linear` itself."""
    widths = net.embedding.widths
    before, after = sum(widths[:column]), sum(widths[column + 1 :]) + net.continuous_features
    padded = torch.nn.functional.pad(net.embedding.tables[column].weight, (before, after))
    seen = net.mlp[0](padded).detach().double()
    return torch.cdist(seen, seen, compute_mode="donot_use_mm_for_euclid_dist").numpy()


def test_the_first_layers_view_has_the_distances_behind_the_first_layer(dataset):
    net = RowEncoder(dataset.schema, width=16, depth=2, D=4, embedding_std=None)
    for number, spec in enumerate(dataset.schema.categorical):
        found = category_vectors(net, dataset, spec.name, view="first_layer")
        expected = first_layer_distances(net, number)
        np.testing.assert_allclose(inspection.distances(found), expected, rtol=1e-4, atol=1e-6)
        table = category_vectors(net, dataset, spec.name)
        assert not np.allclose(expected, inspection.distances(table), rtol=0.1)


def test_the_outputs_view_has_the_root_mean_square_of_the_outputs_moves(net1, dataset):
    """By a loop over test rows and pairs of categories."""
    taken = dataset.rows[dataset.test[:7]]
    found = inspection.distances(category_vectors(net1, dataset, "c02", view="output", rows=7))
    K = dataset.schema.cardinalities[2]
    outputs = []
    for k in range(K):
        codes = taken.codes.clone()
        codes[:, 2] = k
        outputs.append(net1(codes, taken.continuous))
    for a, b in itertools.product(range(K), repeat=2):
        squares = [(outputs[a][r] - outputs[b][r]).square().sum().item() for r in range(7)]
        assert found[a, b] == pytest.approx((sum(squares) / 7) ** 0.5, rel=1e-4)


def test_what_is_no_column_no_view_or_not_finite_is_refused(net1, dataset):
    with pytest.raises(DataError, match=r"'port': is no categorical .*choose one of c00, c01, c02"):
        category_vectors(net1, dataset, "port")
    with pytest.raises(DataError, match="'x00'"):  # a continuous one
        category_vectors(net1, dataset, "x00")
    with pytest.raises(ValueError, match="table, first_layer, output, not 'input'"):
        category_vectors(net1, dataset, "c00", view="input")
    net = RowEncoder(dataset.schema, width=4, embedding_std=None)  # as if diverged
    with torch.no_grad():
        net.embedding.tables[1].weight[2] = torch.nan
    with pytest.raises(DataError, match=r"c01.*row 2: 1 of .* not finite, .*diverged"):
        category_vectors(net, dataset, "c01")


def test_rows_are_net1s_outputs_with_their_own_values(net1, dataset):
    index = dataset.test[[5, 0, 3]]
    rows, found = dataset.rows[index], row_vectors(net1, dataset, index)
    expected = net1(rows.codes, rows.continuous)
    np.testing.assert_allclose(found.values, expected.numpy(), rtol=1e-5, atol=1e-6)
    assert found.names == tuple(str(i) for i in index.tolist())
    own = dataset.frame().iloc[index.numpy()]
    np.testing.assert_array_equal(found.facts[own.columns], own)
    outcomes = list(dataset.outcome_names)
    np.testing.assert_array_equal(found.facts[outcomes], dataset.outcomes[index])
    assert found.facts.columns.tolist() == [*outcomes, *own.columns]


def every_kind():
    """Facts of every kind that a data set may hold, gaps included; the last name is empty."""
    names = ["Zürich ✈", "a b", '"quoted"', "1", ""]
    return made(
        np.random.default_rng(0).normal(size=(5, 3)) * [1, 1e-30, 1e30],
        names,
        facts={
            "count": np.arange(5),
            "share": [0.1, np.nan, np.inf, -0.0, 1 / 3],
            "city": ["Zürich", None, "北京", "", "x"],
            "flies": [True, False, True, True, False],
            "wind": pd.array([1, None, 3, 4, 5], dtype="Int64"),
            "kind": pd.Categorical(["a", "b", "a", "b", "a"]),
            "single": np.array([1, 2, 3, 4, np.nan], dtype=np.float32),
        },
    )


def bits(values):
    """So that NaN equals itself and 0 is not -0."""
    return np.asarray(values, dtype=np.float32).view(np.uint32)


def projector(folder):
    """The vectors and the cells of the metadata, as TensorFlow's Embedding Projector reads them."""
    values, cells = (
        [line.split("\t") for line in (folder / name).read_text().split("\n")[:-1]]
        for name in ("vectors.tsv", "metadata.tsv")
    )
    return np.array(values, dtype=np.float32), cells


def test_a_frame_in_parquet_round_trips_bit_by_bit(tmp_path, net1, dataset):
    sets = [every_kind(), category_vectors(net1, dataset, "c03", view="output")]
    sets += [row_vectors(net1, dataset, dataset.test), made(np.eye(3))]
    for vectors in sets:
        frame = vectors.frame()
        frame.to_parquet(tmp_path / "points.parquet")
        read = pd.read_parquet(tmp_path / "points.parquet")
        pd.testing.assert_frame_equal(read, frame, check_column_type=False, check_exact=True)
        width = vectors.values.shape[1]
        assert np.array_equal(bits(read.iloc[:, -width:]), bits(vectors.values))


def test_the_projectors_files_hold_everything(tmp_path):
    vectors = every_kind()
    paths = inspection.save_projector(vectors, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["vectors.tsv", "metadata.tsv"]
    values, (header, *cells) = projector(tmp_path / "new" / "folder")
    assert np.array_equal(bits(values), bits(vectors.values))
    assert header == ["point", *vectors.facts.columns]
    facts = dict(zip(header, zip(*cells, strict=True), strict=True))
    assert facts["point"] == vectors.names
    assert facts["city"] == ("Zürich", "", "北京", "", "x")
    assert facts["count"] == tuple("01234")
    assert facts["share"] == ("0.1", "", "inf", "-0.0", repr(1 / 3))
    inspection.save_projector(made(np.eye(2), facts={"point": [7, 8]}), tmp_path)
    assert projector(tmp_path)[1][1:] == [["p0", "7"], ["p1", "8"]]


@given(
    arrays(np.float32, (3, 2), elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
)
def test_any_float32_survives_as_text(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("projector")
    inspection.save_projector(made(values), folder)
    assert np.array_equal(bits(projector(folder)[0]), bits(values))


@pytest.mark.parametrize("names", [["a", "b"], ["a", ""], ["", "a"], [3, 4]])
def test_metadata_of_names_alone_have_no_header(tmp_path, names):
    _, path = inspection.save_projector(made(np.eye(2), names), tmp_path)
    assert path.read_text() == f"{names[0]}\n{names[1]}\n"
    assert np.array_equal(projector(tmp_path)[0], np.eye(2))


@pytest.mark.parametrize("broken", ["a\tb", "a\nb", "a\rb", "\n"])
def test_tabs_and_line_breaks_become_spaces(tmp_path, broken):
    given = made(np.eye(2), ["x", broken], facts={"city": [broken, "y"], broken: [1, 2]})
    inspection.save_projector(given, tmp_path)
    space = {"\n": " "}.get(broken, "a b")
    assert projector(tmp_path)[1] == [
        ["point", "city", space],
        ["x", space, "1"],
        [space, "y", "2"],
    ]


def test_categories_that_are_numbers_are_found_by_them():
    hours = made(np.arange(3.0)[:, None], ["5", "6", "23"])
    assert nearest(hours, 5, k=1)["neighbour"].tolist() == ["6"]
    assert nearest(hours, [23, "5"], k=1)["neighbour"].tolist() == ["6", "6"]
