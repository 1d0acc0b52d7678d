"""The data is what the card says, planted truth is recoverable, and splits do not overlap."""

import copy
import hashlib
import importlib
import io
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tabkit
from tabkit import DataError, Rows, data, estimators, from_frame, planted
from tabkit.data.nycflights import CATEGORICAL, CONTINUOUS, OUTCOMES
from tabkit.data.plant import nearest
from tabkit.data.splits import split_groups

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "build" / "sources"
LOADERS = {"adult": tabkit.adult, "bikeshare": tabkit.bikeshare, "census": tabkit.census}
TABLES = ["flights", *LOADERS]

sys.path.insert(0, str(ROOT / "data"))
import building  # noqa: E402


def parquet(name):
    return ROOT / "data" / f"{name}.parquet"


def in_file(name):
    """The file's column of which a data set may take the logarithm."""
    return name.removeprefix("log_")


FLIGHTS = parquet("flights")


@pytest.fixture(scope="module")
def flights():
    return tabkit.flights()


def test_every_flight_that_flew_is_there(flights):
    assert len(flights) == 327_346
    assert flights.rows.codes.shape == (327_346, len(CATEGORICAL))
    assert flights.rows.continuous.isfinite().all()
    assert FLIGHTS.stat().st_size <= 6_000_000


def test_flights_have_their_known_cardinalities(flights):
    found = dict(zip(CATEGORICAL, flights.schema.cardinalities, strict=True))
    known = {"month": 12, "weekday": 7, "hour": 19, "carrier": 16, "origin": 3, "dest": 104}
    assert {name: found[name] for name in known} == known


def test_what_is_one_maker_has_one_name(flights):
    makers = set(flights.schema.categorical[CATEGORICAL.index("manufacturer")].labels)
    assert "AIRBUS INDUSTRIE" not in makers
    assert len([m for m in makers if m.startswith(("AIRBUS", "MCDONNELL", "CANADAIR"))]) == 3


def test_missing_values_are_explicit(flights):
    frame = data.flights_frame()
    raw = pd.read_parquet(FLIGHTS)
    gaps = raw[["pressure", "seats", "plane_year", "temp"]].isna().any(axis=1)
    assert ((frame["filled"] != "nothing") >= gaps).all()
    assert frame.loc[raw["pressure"].isna(), "filled"].str.contains("pressure").all()
    assert frame["manufacturer"].isna().sum() == 48_329
    assert flights.schema.categorical[CATEGORICAL.index("wind_dir")].missing


def test_the_truth_and_the_outcomes_are_no_input_of_net1(flights):
    inputs = set(flights.schema.names)
    assert not inputs & set(OUTCOMES)
    assert not any(name.startswith(("dest_", "airline")) for name in inputs)
    assert set(flights.truth["dest"].columns) == {"dest_name", "dest_lat", "dest_lon", "dest_tz"}
    labels = flights.schema.categorical[CATEGORICAL.index("dest")].labels
    assert set(labels) == set(flights.truth["dest"].index)


def test_the_training_rows_set_the_scale(flights):
    for values in (flights.outcomes, flights.signal, flights.rows.continuous):
        sample = values[flights.train].double()
        torch.testing.assert_close(sample.mean(0), torch.zeros_like(sample[0]), atol=1e-4, rtol=0)
        torch.testing.assert_close(
            sample.std(0, correction=0), torch.ones_like(sample[0]), atol=1e-4, rtol=0
        )


def test_flights_come_back_in_their_own_values_order_and_dtypes(flights):
    frame = data.flights_frame()
    index = flights.test[:500]
    own = [name for name in frame if name in flights.schema.names]
    true = frame[own].iloc[index.numpy()].reset_index(drop=True)
    pd.testing.assert_frame_equal(flights.frame(index), true, rtol=1e-5, atol=1e-5)
    whole = ["plane_year", "seats"]
    np.testing.assert_array_equal(flights.frame(index)[whole], true[whole])
    assert set(true[whole].dtypes) == {np.dtype("int16")}


def test_no_predicted_flight_leaves_the_range_that_was_seen(flights):
    noise = torch.randn(1_000, len(CONTINUOUS), generator=torch.Generator().manual_seed(0))
    rows = Rows(flights.rows.codes[:1_000], 10 * noise)
    found, seen = flights.schema.decode(rows), data.flights_frame()
    for name in CONTINUOUS:
        assert found[name].between(seen[name].min(), seen[name].max()).all()
    assert (found["precip"] == 0).any()
    assert (flights.schema.decode(rows, clip=False)["precip"] < 0).any()


@pytest.mark.parametrize("name", TABLES)
def test_the_card_states_the_files_checksum_and_every_column(name):
    cards = re.split(
        r"^## `(\w+)\.parquet`$", (ROOT / "data" / "README.md").read_text(), flags=re.M
    )
    card = dict(zip(cards[1::2], cards[2::2], strict=True))[name]
    content, table = parquet(name).read_bytes(), pd.read_parquet(parquet(name))
    assert hashlib.sha256(content).hexdigest() in card
    for stated in (f"| rows | {len(table):,} |", f"| columns | {table.shape[1]} |"):
        assert stated in card
    assert f"| size | {len(content):,} bytes," in card
    columns = re.findall(r"^\| `(\w+)` \|", card, flags=re.MULTILINE)
    assert columns == list(table.columns)
    missing = re.findall(r"^\| `\w+` \|.*\| ([\d,]+) \|[^|]*\|$", card, flags=re.MULTILINE)
    assert missing == [f"{count:,}" for count in table.isna().sum()]


@pytest.mark.parametrize("name", TABLES)
def test_the_build_script_rebuilds_the_file(name):
    """Byte for byte with the pinned writer, value for value with any other."""
    if name != "flights" and not any(SOURCES.glob("*")):
        pytest.skip("make sources fetches what it is built from")
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {f"pyarrow=={pyarrow.__version__}", f"pandas=={pd.__version__}"} <= set(pins)
    if pinned:
        script = [sys.executable, ROOT / "data" / f"build_{name}.py", "--check"]
        result = subprocess.run(script, capture_output=True, text=True, check=False)
        assert "same bytes" in result.stdout, result.stderr
    else:
        build = importlib.import_module(f"build_{name}").build
        frames = [
            f.astype(object).where(f.notna(), None)
            for f in (build(), pd.read_parquet(parquet(name)))
        ]
        pd.testing.assert_frame_equal(*frames, check_dtype=False)


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_a_source_is_taken_by_its_hash_only(kind, tmp_path, monkeypatch):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "table.csv").write_text("a\n1\n")
    file = Path(shutil.make_archive(tmp_path / "sources" / "any-name", kind, tmp_path, "inside"))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (tmp_path / "pins").write_text(f"other==1 --hash=sha256:{digest[::-1]}\n")
    monkeypatch.setattr(building, "PINS", tmp_path / "pins")
    monkeypatch.setattr(building, "SOURCES", file.parent)
    with pytest.raises(FileNotFoundError, match="make sources"):
        building.member("other", "inside/table.csv")
    (tmp_path / "pins").write_text(f"package==1 --hash=sha256:{digest}\n")
    assert building.member("package", "inside/table.csv").read() == b"a\n1\n"


CARDINALITIES = {
    "adult": {"work_class": 9, "education": 16, "sex": 2, "native_country": 42},
    "bikeshare": {"season": 4, "month": 12, "weekday": 7, "hour": 24, "weather": 4},
    "census": {"industry": 52, "occupation": 47, "state_before": 51, "born_in": 43, "year": 2},
}
SIZES = {"adult": (48_842, 8, 2, 3), "bikeshare": (8_645, 7, 4, 2), "census": (49_683, 31, 3, 4)}


@pytest.fixture(scope="module", params=SIZES)
def real(request):
    return LOADERS[request.param]()


def test_real_tables_have_their_shapes_and_cardinalities(real):
    rows, *columns = SIZES[real.name]
    assert len(real) == rows
    parts = (real.rows.codes, real.rows.continuous, real.outcomes)
    assert [part.shape[1] for part in parts] == columns
    assert real.rows.continuous.isfinite().all()
    assert real.outcomes.isfinite().all()
    found = {spec.name: spec.cardinality for spec in real.schema.categorical}
    assert CARDINALITIES[real.name].items() <= found.items()
    assert parquet(real.name).stat().st_size <= 1_000_000


def test_a_missing_value_is_a_category_and_a_number_is_never_missing(real):
    table = pd.read_parquet(parquet(real.name))
    for spec in real.schema.categorical:
        assert spec.missing == table[spec.name].isna().any()
        assert not {"?", "NA"} & set(spec.labels)
    numbers = [*(spec.name for spec in real.schema.continuous), *real.outcome_names]
    assert not table[[in_file(name) for name in numbers]].isna().any(axis=None)


def test_no_input_holds_an_outcome_or_the_truth(real):
    """Neither by name, nor as a column that determines it."""
    table = pd.read_parquet(parquet(real.name))
    inputs = {in_file(name) for name in real.schema.names}
    outcomes = {in_file(name) for name in real.outcome_names}
    held = outcomes.union(*(facts.columns for facts in real.truth.values()))
    assert not inputs & held
    assert inputs | held == set(table.columns) - {"day"}
    for name in inputs:
        assert (table.groupby(name, dropna=False)[[*outcomes]].nunique().max() > 1).all()


def test_a_truth_has_one_row_a_category(real):
    for name, facts in real.truth.items():
        (spec,) = [s for s in real.schema.categorical if s.name == name]
        assert list(facts.index) == list(spec.categories)


def test_every_row_of_a_real_table_comes_back(real):
    table = pd.read_parquet(parquet(real.name))
    for name in (*real.schema.names, *real.outcome_names):
        if name.startswith("log_"):
            table[name] = np.log1p(table[in_file(name)])
    found = real.frame()
    whole = [
        name for name in found if not name.startswith("log_") and table[name].dtype != "float32"
    ]
    pd.testing.assert_frame_equal(found[whole], table[whole])
    pd.testing.assert_frame_equal(
        found, table[found.columns], rtol=1e-5, atol=1e-5, check_dtype=False
    )
    assert torch.equal(real.schema.encode(found).codes, real.rows.codes)
    outcomes = real.outcomes_in_units(real.outcomes)
    for name in outcomes:
        np.testing.assert_allclose(outcomes[name], table[name], rtol=1e-4, atol=1e-4)


def test_the_same_seed_splits_a_real_table_the_same_way(real):
    load = LOADERS[real.name]
    again, other = load(), load(seed=1)
    parts = [real.train, real.validation, real.test]
    assert all(map(torch.equal, parts, [again.train, again.validation, again.test]))
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(len(real)))
    assert not torch.equal(real.test, other.test)
    few = load(2_000, held_out=200)
    assert len(few) == 2_000
    assert few.rows == load(2_000, held_out=200).rows
    assert min(len(few.validation), len(few.test)) >= 200
    with pytest.raises(ValueError, match="rows must lie"):
        load(len(real) + 1)


def test_the_hours_of_a_day_stay_together():
    days = torch.tensor(pd.read_parquet(parquet("bikeshare"))["day"])
    for seed in range(5):
        found = tabkit.bikeshare(seed=seed)
        parts = [set(days[part].tolist()) for part in (found.train, found.validation, found.test)]
        assert sum(map(len, parts)) == 365 == len(set.union(*parts))
        assert all(800 <= len(part) < 824 for part in (found.validation, found.test))


def test_groups_stay_whole_and_some_are_left_to_train():
    groups = pd.Series(list("aabbccdd"))
    for held_out in (1, 2):
        parts = split_groups(groups, held_out=held_out)
        assert [len(part) for part in parts] == [4, 2, 2]
        assert all(groups[part.numpy()].nunique() * 2 == len(part) for part in parts)
    with pytest.raises(ValueError, match="4 groups leave none to train"):
        split_groups(groups, held_out=3)
    with pytest.raises(ValueError, match="cannot hold out"):
        split_groups(groups, held_out=4)


def test_no_net_predicts_what_occurs_outside_training_only(real):
    """Such as the weather of one hour, at the first seed that holds that hour out."""
    rare = {
        "adult": ("native_country", "Holand-Netherlands"),
        "bikeshare": ("weather", "heavy rain/snow"),
    }
    if real.name not in rare:
        assert real.seen.all()
        return
    column, label = rare[real.name]
    (row,) = np.flatnonzero(pd.read_parquet(parquet(real.name))[column] == label)
    loaded = (LOADERS[real.name](seed=seed) for seed in range(50))
    found = next(one for one in loaded if row not in one.train)
    labels = [(s.name, text) for s in found.schema.categorical for text in s.labels]
    assert not found.seen[labels.index((column, label))]
    net1 = tabkit.freeze(tabkit.RowEncoder(found.schema, width=4, embedding_std=None))
    net0 = tabkit.RowPredictor(found.signal.shape[1], net1)
    tabkit.fit_predictor(net0, net1, found, estimators.make("softmax"), steps=1).run()
    assert torch.equal(net0.allowed, found.seen)


def test_a_subset_of_flights_has_its_size():
    subset = tabkit.flights(3_000, held_out=300)
    assert len(subset) == 3_000
    with pytest.raises(ValueError, match="rows must lie"):
        tabkit.flights(0)


def test_splits_do_not_overlap_and_leave_nothing_out():
    parts = data.split(100, held_out=20, seed=3)
    assert [len(p) for p in parts] == [60, 20, 20]
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(100))
    assert torch.equal(parts[0], data.split(100, held_out=20, seed=3)[0])
    with pytest.raises(ValueError, match="cannot hold out"):
        data.split(10, held_out=5)


def test_pairs_are_of_different_rows_of_the_index():
    index = torch.tensor([3, 5, 8])
    a, b = data.pairs(index, 1_000)
    assert (a != b).all()
    assert set(a.tolist()) == set(b.tolist()) == {3, 5, 8}
    with pytest.raises(ValueError, match="two rows"):
        data.pairs(index[:1], 1)


def test_planted_has_the_forums_shape():
    wide = planted(20_000)
    assert wide.rows.codes.shape == (20_000, 50)
    assert wide.rows.continuous.shape == (20_000, 50)
    assert 5 <= min(wide.schema.cardinalities) <= max(wide.schema.cardinalities) <= 30
    wide.schema.check_codes(wide.rows.codes)


def test_planted_rows_come_back(dataset):
    again = dataset.schema.encode(dataset.frame())
    assert torch.equal(again.codes, dataset.rows.codes)
    torch.testing.assert_close(again.continuous, dataset.rows.continuous)
    far = Rows(dataset.rows.codes, 100 * dataset.rows.continuous)
    found, own = dataset.schema.decode(far), dataset.frame()
    pd.testing.assert_frame_equal(found.agg(["min", "max"]), own.agg(["min", "max"]))


def test_planted_rows_are_near_when_their_places_are():
    """The outcomes are linear in the planted places: least squares finds them exactly."""
    rows = planted(3_000, categorical=4, continuous=0, noise=0.0)
    places = [
        truth.filter(like="x").to_numpy()[rows.rows.codes[:, c]]
        for c, truth in enumerate(rows.truth.values())
    ]
    design = np.concatenate([*places, np.ones((3_000, 1))], axis=1)
    outcomes = rows.outcomes.double().numpy()
    residual = np.linalg.lstsq(design, outcomes, rcond=None)[0]
    np.testing.assert_allclose(design @ residual, outcomes, atol=1e-3)


def test_the_nearest_place_is_that_of_least_distance():
    draw = np.random.default_rng(0)
    seen, points = draw.normal(size=(500, 3)), draw.normal(size=(7, 3))
    distances = np.linalg.norm(seen[:, None] - points[None], axis=2)
    assert np.array_equal(nearest(seen, points), distances.argmin(axis=1))


def test_the_noise_of_planted_blurs_categories_numbers_and_signal():
    """With the same seed the hidden vectors are the same, so what differs is noise."""
    clean, noisy = (
        planted(2_000, categorical=2, continuous=6, latent=2, noise=n) for n in (0.0, 0.5)
    )
    assert (clean.rows.codes != noisy.rows.codes).float().mean() > 0.05
    ranks = [torch.linalg.matrix_rank(d.rows.continuous, rtol=1e-4) for d in (clean, noisy)]
    assert ranks == [2, 6]
    together = torch.corrcoef(torch.stack([clean.signal[:, 0], noisy.signal[:, 0]]))[0, 1]
    assert 0.8 < together < 0.95


def test_planted_rows_that_do_not_vary_are_refused():
    with pytest.raises(ValueError, match="plant more rows"):
        planted(10, categorical=1, continuous=0, latent=1, cardinality=(3, 3), noise=0.0, seed=31)


def test_planted_trees_fall_apart_by_branch():
    """Leaves of one first branch are nearer to each other than to any leaf of the other."""
    groups, points = data.plant("tree", 16, np.random.default_rng(0))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    same = groups[:, None] == groups[None]
    assert distances[same].max() < distances[~same].min()


def test_planted_rings_and_lines_are_evenly_spaced():
    for place, closes in (("ring", True), ("line", False)):
        _, points = data.plant(place, 12, np.random.default_rng(0))
        steps = np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1)
        np.testing.assert_allclose(steps[:-1], steps[0], rtol=1e-5)
        assert np.isclose(steps[-1], steps[0]) == closes


def test_planted_is_deterministic_in_its_seed():
    a, b, c = (planted(500, categorical=4, continuous=1, seed=s) for s in (0, 0, 1))
    assert torch.equal(a.rows.codes, b.rows.codes)
    assert torch.equal(a.signal, b.signal)
    assert not torch.equal(a.signal, c.signal)


@pytest.mark.parametrize(
    "bad", [{"categorical": 0}, {"continuous": -1}, {"cardinality": (2, 5)}, {"latent": 0}]
)
def test_planted_refuses_bad_sizes(bad):
    with pytest.raises(ValueError, match="planted needs"):
        planted(100, **bad)


def test_from_frame_takes_names_and_chooses_the_signal(own, frame):
    assert own.signal_names == ("delay", "wind")
    assert own.schema.cardinalities == (3, 4)
    chosen = from_frame(
        frame.drop(columns="wind"),
        categorical=["port", "gate"],
        outcomes=["delay"],
        signal=["delay"],
    )
    assert chosen.signal.shape == (300, 1)
    assert chosen.rows.continuous.shape == (300, 0)


def test_from_frame_refuses_what_does_not_fit(frame):
    with pytest.raises(DataError, match="also an input of net1") as leak:
        from_frame(frame, categorical=["port"], continuous=["delay"], outcomes=["delay"])
    assert leak.value.column == "delay"
    with pytest.raises(DataError, match=r"not in the frame.*did you mean 'delay'"):
        from_frame(frame, categorical=["port"], outcomes=["delays"])
    with pytest.raises(DataError, match=r"not in the frame.*did you mean 'port'"):
        from_frame(frame, categorical=["ports"], outcomes=["delay"])


BAD_COLUMNS = [
    ({"outcomes": []}, "one or more numeric columns"),
    ({"outcomes": "delay"}, "write \\['delay'\\]"),
    ({"signal": "delay"}, "write \\['delay'\\]"),
    ({"signal": []}, "one or more numeric columns"),
    ({"outcomes": ["delay", "delay"]}, "named twice"),
    ({"outcomes": ["port"]}, "also an input"),
    ({"signal": ["port"]}, "dtype"),
]


@pytest.mark.parametrize(("changed", "said"), BAD_COLUMNS)
def test_from_frame_refuses_bad_outcomes_and_signals(frame, changed, said):
    with pytest.raises(DataError, match=said):
        from_frame(frame, **({"categorical": ["port"], "outcomes": ["delay"]} | changed))


def test_from_frame_refuses_numbers_that_it_cannot_use(frame):
    for value, said in ((float("nan"), "not finite"), (1e300, "float32")):
        bad = frame.assign(delay=frame["delay"].mask(frame.index == 7, value))
        with pytest.raises(DataError, match=said) as error:
            from_frame(bad, categorical=["port"], outcomes=["delay"], held_out=100)
        assert (error.value.column, error.value.row) == ("delay", 7)
        assert repr(error.value.value) == repr(value)
    twice = pd.concat([frame, frame["delay"]], axis=1)
    with pytest.raises(DataError, match="two columns of the frame"):
        from_frame(twice, categorical=["port"], outcomes=["delay"])
    with pytest.raises(ValueError, match="give held_out="):
        from_frame(frame.head(5), categorical=["port"], outcomes=["delay"])


def test_from_frame_passes_the_choices_of_the_schema_on(frame):
    wide = frame.assign(port=[f"p{i % 100}" for i in range(300)])
    with pytest.raises(DataError, match="categories in 300 rows"):
        from_frame(wide, categorical=["port"], outcomes=["delay"], max_cardinality=99)
    few = from_frame(wide, categorical=["gate"], outcomes=["delay"], other={"gate": 70})
    assert few.schema.categorical[0].other


def test_from_frame_takes_an_index_and_leaves_what_is_not_named_alone(frame, own):
    wide = frame.assign(note="x", **{"7": 1})[["note", "delay", "wind", "7", "gate", "port"]]
    wide = wide.rename(columns={"7": 7})
    found = from_frame(
        wide,
        categorical=pd.Index(["port", "gate"]),
        continuous=wide.columns[2:3],
        outcomes=wide.columns[1:2],
        signal=wide[["delay", "wind"]].select_dtypes("number").columns,
    )
    assert found.rows == own.rows
    assert torch.equal(found.signal, own.signal)
    assert found.frame().columns.tolist() == ["wind", "gate", "port"], "the frame's own order"


def test_an_outcome_of_booleans_is_refused_with_a_remedy_that_works(frame):
    late = frame.assign(late=frame["delay"] > 0)
    with pytest.raises(DataError) as error:
        from_frame(late, categorical=["port"], outcomes=["late"])
    code = error.value.remedy.removeprefix("make them numbers: ")
    exec(code, {"frame": late})
    from_frame(late, categorical=["port"], outcomes=["late"])


def test_a_split_without_rows_is_refused_with_a_remedy_that_works(frame):
    few = frame.head(5).assign(port=list("ababa"))
    with pytest.raises(ValueError, match="give held_out="):
        from_frame(few, categorical=["port"], outcomes=["delay"])
    from_frame(few, categorical=["port"], outcomes=["delay"], held_out=1)


def test_a_column_that_is_constant_for_training_only_says_so(frame):
    train, _, test = data.split(len(frame))
    wind = np.where(np.isin(np.arange(len(frame)), test), frame["wind"], 1.0)
    with pytest.raises(DataError, match="constant in the rows that set the scale") as error:
        from_frame(
            frame.assign(wind=wind), categorical=["port"], continuous=["wind"], outcomes=["delay"]
        )
    assert (error.value.column, error.value.row) == ("wind", train[0])


@given(st.lists(st.sampled_from([*"abcd", None]), min_size=10, max_size=40), st.integers(0, 9))
def test_seen_is_what_a_training_row_has(values, seed):
    values[:2] = "ab"
    frame = pd.DataFrame({"c": values, "back": values[::-1], "y": range(len(values))})
    frame["flag"] = frame["c"].isin(["b", "d"])
    columns = ["c", "flag", "back"]
    found = from_frame(
        frame, categorical=columns, outcomes=["y"], other={"c": 0}, seed=seed, held_out=4
    )
    names = [(spec.name, label) for spec in found.schema.categorical for label in spec.labels]
    train = frame.iloc[found.train.numpy()].astype(object)
    train = train.where(train.notna(), "(missing)").astype(str)
    expected = [label in set(train[column]) for column, label in names]
    assert found.seen.tolist() == expected
    assert found.seen is found.seen, "counted once"
    assert not found.seen[names.index(("c", "(other)"))]


def copies(dataset):
    saved = io.BytesIO()
    torch.save(dataset, saved)
    saved.seek(0)
    yield copy.deepcopy(dataset)
    yield copy.copy(dataset)
    yield pickle.loads(pickle.dumps(dataset))
    yield torch.load(saved, weights_only=False)


def test_a_data_set_can_be_copied_pickled_and_saved(dataset, own):
    for one in (dataset, own):
        one.seen  # noqa: B018, as kept ones go along
        for again in copies(one):
            assert again.rows == one.rows
            assert again.schema == one.schema
            assert torch.equal(again.signal, one.signal)
            assert torch.equal(again.seen, one.seen)
            pd.testing.assert_frame_equal(again.frame(again.test), one.frame(one.test))
            assert list(again.truth) == list(one.truth)
            assert one != again, "a data set is itself only, and can be a key"
            assert {one: 1}[one] == 1


def test_a_data_set_shows_itself_in_a_few_lines(flights):
    assert repr(flights).startswith(
        "Dataset 'flights': 327,346 rows (287,346 train, 20,000 validation, 20,000 test)"
    )
    assert "\n  11 categorical: month (12), weekday (7), " in repr(flights)
    assert "\n  3 outcomes: air_time, dep_delay, arr_delay" in repr(flights)
    wide = planted(100, categorical=150, continuous=150)
    for one in (flights, wide):
        lines = repr(one).splitlines()
        assert len(lines) == 5
        assert max(map(len, lines)) < 130


def test_another_default_dtype_changes_no_data(frame, own):
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        again = from_frame(
            frame, categorical=["port", "gate"], continuous=["wind"], outcomes=["delay"]
        )
        grown = planted(300, categorical=2, continuous=1)
        back = again.frame()
    finally:
        torch.set_default_dtype(before)
    assert again.rows == own.rows
    assert torch.equal(again.outcomes, own.outcomes)
    pd.testing.assert_frame_equal(back, own.frame())
    for one in (again, grown):
        for values in (one.rows.continuous, one.outcomes, one.signal):
            assert values.dtype == torch.float32
