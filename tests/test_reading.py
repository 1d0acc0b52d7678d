"""`read_table` proposes, asks and is corrected; each remedy that it names works when followed."""

import datetime as dt
import gzip
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from tabkit import DataError, read_table

N = 60
DRAW = np.random.default_rng(0)
CARS = pd.DataFrame(
    {
        "car_id": np.arange(100, 100 + N),
        "make": DRAW.choice(["audi", "bmw", "vw"], N),
        "cylinders": DRAW.choice([4, 6, 8], N),
        "turbo": DRAW.choice([True, False], N),
        "power": DRAW.normal(100, 20, N).round(2),
        "sold": pd.date_range("2013-01-30", periods=N, freq="13D"),
        "wheels": 4,
        "nothing": np.nan,
        "mpg": DRAW.normal(25, 5, N),
    }
)
CHOICES = {"categorical": ["cylinders"], "outcomes": ["mpg"], "dates": {"sold": ["month", "days"]}}


def kinds(table):
    return {look.name: look.kind for look in table.looks}


def follow(read, answer):
    """Follows what each error says, until there is none: the calls that its remedies name."""
    said = {}
    for _ in range(9):
        try:
            return read(**said)
        except DataError as error:
            found = re.findall(r"(\w+)=(\[[^\]]*\]|\{.*?\})", error.remedy)
            assert found, error
            key, value = found[answer]
            value = eval(value)
            said = said | {
                key: said.get(key, {}) | value
                if isinstance(value, dict)
                else [*said.get(key, []), *value]
            }
    raise AssertionError("no end")


def test_it_proposes_what_is_sure_and_asks_for_the_rest():
    table = read_table(CARS)
    assert kinds(table) == {
        "car_id": "drop",
        "make": "categorical",
        "cylinders": "ask",
        "turbo": "categorical",
        "power": "continuous",
        "sold": "ask",
        "wheels": "drop",
        "nothing": "drop",
        "mpg": "continuous",
    }
    with pytest.raises(
        DataError, match=r"column 'cylinders'.*3 different values.*categorical=\['cyl"
    ):
        table.data()
    said = str(table)
    assert said.startswith("Table 'table': 60 rows, 9 columns")
    for line in ("an identifier", "constant", "has no value", "which parts matter?"):
        assert line in said


def test_one_line_corrects_it():
    table = read_table(CARS, **CHOICES)
    data = table.data()
    assert [c.name for c in data.schema.categorical] == ["make", "cylinders", "turbo", "sold_month"]
    assert [c.name for c in data.schema.continuous] == ["power", "sold_days"]
    assert data.outcome_names == ("mpg",)
    assert kinds(table.but(continuous=["cylinders"]))["cylinders"] == "continuous"
    assert kinds(table.but(drop=["mpg"]))["mpg"] == "drop"
    again = read_table(CARS).data(**CHOICES)
    assert again.rows == data.rows
    with pytest.raises(TypeError, match="no choice 'catgorical'"):
        table.but(catgorical=[])


def test_the_page_shows_what_is_printed(capsys):
    page = (Path(__file__).parents[1] / "docs" / "your_own_table.md").read_text()
    exec(re.search(r"^```python\n(.*?)^```$", page, re.M | re.S)[1], {})
    assert f"```text\n{capsys.readouterr().out}```" in page


@pytest.mark.parametrize("answer", [0, -1])
def test_its_questions_lead_to_data_when_they_are_answered_as_they_say(answer):
    """By the first way that each remedy names, and by the last."""
    gaps = CARS.assign(
        power=CARS["power"].mask(CARS.index < 3), make=CARS["make"].mask(CARS.index > 50)
    )
    gaps["size"] = pd.Series(list("123456") * 10).mask(CARS.index == 5, "?")
    data = follow(lambda **said: read_table(gaps).data(**said), answer)
    if answer == 0:
        assert "(missing)" in data.schema.categorical[0].labels
        assert {"power_missing", "size"} < set(data.schema.names)
    else:
        assert "size" in data.signal_names
        assert len(data) == N - 3 - 9 - 1


def test_whole_numbers_with_gaps_are_categories_of_whole_numbers():
    """As a CSV file makes them floats."""
    gaps = CARS.assign(cylinders=CARS["cylinders"].mask(CARS.index < 3))
    data = read_table(gaps, **CHOICES, gaps={"cylinders": "category"}).data(drop=["nothing"])
    assert data.schema.categorical[1].labels == ("4", "6", "8", "(missing)")


@pytest.mark.parametrize("form", ["csv", "parquet", "polars", "Path"])
def test_files_and_frames_are_read_alike(tmp_path, form):
    kept = CARS.drop(columns="nothing")
    path = tmp_path / ("cars.parquet" if form == "parquet" else "cars.csv")
    kept.to_parquet(path) if form == "parquet" else kept.to_csv(path, index=False)
    source = {"polars": pl.from_pandas(kept), "Path": path}.get(form, str(path))
    table = read_table(source, **CHOICES)
    assert table.name == ("table" if form == "polars" else "cars")
    wanted = read_table(CARS, **CHOICES).data()
    found = table.data()
    assert torch.equal(found.rows.codes, wanted.rows.codes)
    torch.testing.assert_close(found.rows.continuous, wanted.rows.continuous)
    with pytest.raises(DataError, match="neither CSV nor Parquet"):
        read_table(tmp_path / "cars.xlsx")


@pytest.mark.parametrize("value", ["?", -999])
def test_what_stands_for_a_missing_value_is_pointed_at_and_can_be_said(value):
    strange = CARS.assign(power=CARS["power"].astype(object).mask(CARS.index < 5, value))
    strange["power"] = strange["power"].map(str) if value == "?" else strange["power"].astype(float)
    table = read_table(strange, **CHOICES, drop=["nothing"])
    assert f"{value!r} in 5 rows: missing? unknown=[{value!r}]" in str(table)
    told = table.but(unknown=[value], continuous=["power"])
    (look,) = [look for look in told.looks if look.name == "power"]
    assert look.missing == 5
    with pytest.raises(DataError, match="has 5 missing values"):
        told.data()
    data = told.data(gaps={"power": "median"})
    assert data.frame()["power_missing"].sum() == 5
    train = data.train[data.train >= 5].numpy()
    filled = data.frame()["power"].iloc[:5]
    np.testing.assert_allclose(filled, CARS["power"].iloc[train].median(), rtol=1e-5)
    assert len(told.data(gaps={"power": "drop"})) == N - 5


def test_text_that_is_no_number_names_its_row_and_the_remedy_works():
    strange = CARS.assign(power=CARS["power"].map(str).mask(CARS.index == 7, "n/a"))
    table = read_table(strange, **CHOICES, continuous=["power"])
    with pytest.raises(DataError, match="is no number") as error:
        table.data()
    assert (error.value.column, error.value.row, error.value.value) == ("power", 7, "n/a")
    assert "unknown=['n/a']" in error.value.remedy
    assert len(table.data(unknown=["n/a"], gaps={"power": "drop"})) == N - 1


@pytest.mark.parametrize(
    ("column", "how", "said"),
    [
        ("power", "category", "'category' is not for it.*gaps={'power': 'median'}"),
        ("make", "median", "'median' is not for it.*gaps={'make': 'category'}"),
        ("mpg", "median", "gaps={'mpg': 'drop'}"),
        ("power", "mean", "choose category, median, drop"),
        ("prower", "drop", "did you mean 'power'"),
    ],
)
def test_gaps_that_cannot_be_filled_so_are_refused(column, how, said):
    holes = CARS.assign(**{c: CARS[c].mask(CARS.index == 3) for c in ("power", "make", "mpg")})
    most = dict.fromkeys(("power", "make", "mpg"), "drop")
    with pytest.raises(DataError, match=said):
        read_table(holes, **CHOICES).data(gaps=most | {column: how})
    data = read_table(holes, **CHOICES).data(gaps=most | {"make": "category"})
    assert len(data) == N - 1


def test_dates_become_the_parts_that_are_named():
    sold = {"sold": ["month", "weekday", "year", "days"]}
    every = read_table(CARS, **CHOICES).data(dates=sold, drop=["nothing"])
    frame = every.frame()
    assert frame["sold_month"].tolist() == CARS["sold"].dt.month.tolist()
    assert frame["sold_weekday"].tolist() == CARS["sold"].dt.day_of_week.tolist()
    assert frame["sold_days"].tolist() == (CARS["sold"] - CARS["sold"].min()).dt.days.tolist()


def test_dates_of_any_form_are_dates():
    for sold in (
        CARS["sold"].dt.strftime("%Y-%m-%d"),
        CARS["sold"].dt.date,
        CARS["sold"].dt.tz_localize("UTC"),
        CARS["sold"].astype("category"),
    ):
        table = read_table(CARS.assign(sold=sold))
        assert kinds(table)["sold"] == "ask"
        data = table.data(**CHOICES)
        assert data.frame()["sold_month"].tolist() == CARS["sold"].dt.month.tolist()
    stray = CARS.assign(sold=CARS["sold"].map(str).mask(CARS.index == 5, "soon"))
    with pytest.raises(DataError, match=r"row 5.*is no date.*unknown=\['soon'\] and gaps={'sold'"):
        read_table(stray, **CHOICES).data()
    said = {"unknown": ["soon"], "gaps": {"sold": "drop"}}  # as the remedy says
    assert len(read_table(stray, **CHOICES, **said).data()) == N - 1
    for parts in ("month", ["moon"]):
        with pytest.raises(DataError, match="give a list of month, weekday"):
            read_table(CARS, dates={"sold": parts})


def test_new_rows_go_through_what_the_table_went_through():
    """Raw ones: with dates, gaps and question marks; days count from the table's first."""
    raw = CARS.assign(power=CARS["power"].map(str).mask(CARS.index < 5, "?"))
    choices = CHOICES | {"continuous": ["power"], "unknown": ["?"], "gaps": {"power": "median"}}
    data = read_table(raw, **choices).data()
    assert data.signal_names == ("mpg", "power", "sold_days")
    for index in (data.test, torch.tensor([3, 40])):
        new = raw.iloc[index.numpy()][["sold", "power", "mpg", "make"]]
        torch.testing.assert_close(data.signal_of(new), data.signal[index])
    pd.testing.assert_frame_equal(
        raw, CARS.assign(power=CARS["power"].map(str).mask(CARS.index < 5, "?"))
    )


def test_what_never_occurs_in_training_is_told():
    train = CARS["make"] != "bmw"
    part = np.where(train, "train", np.where(CARS.index % 2, "validation", "test"))
    table = read_table(CARS.assign(part=part), **CHOICES, split="part")
    assert "never in training: bmw" in str(table)
    assert "part" not in table.data().schema.names
    assert table.data().train.tolist() == np.flatnonzero(train).tolist()


def test_positions_of_a_split_are_those_in_the_table_when_rows_are_dropped():
    holes = CARS.assign(power=CARS["power"].mask(CARS.index < 2))
    split = (np.arange(40), np.arange(40, 50), np.arange(50, 60))
    data = read_table(holes, **CHOICES, split=split, gaps={"power": "drop"}).data()
    power = data.frame(data.test)["power"].to_numpy()
    np.testing.assert_allclose(power, CARS["power"].iloc[50:], rtol=1e-5)
    assert len(data.train) == 38


def test_without_outcomes_there_are_none():
    data = read_table(CARS, categorical=["cylinders"], drop=["sold"]).data()
    assert data.outcomes.shape == (N, 0)
    assert data.signal_names == ("power", "mpg")


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"categorical": ["mak"]}, "did you mean 'make'"),
        ({"categorical": "make"}, "write \\['make'\\]"),
        ({"categorical": ["make"], "drop": ["make"]}, "named for two kinds"),
        ({"unknown": "?"}, "write \\['\\?'\\]"),
    ],
)
def test_choices_that_cannot_be_are_refused(choices, said):
    with pytest.raises(DataError, match=said):
        read_table(CARS, **choices)


@pytest.mark.parametrize(
    "numbers",
    [[Decimal(i) / 4 for i in range(N)], [i > 9 for i in range(N)], [str(i) for i in range(N)]],
)
def test_what_was_said_to_be_numbers_is_made_numbers(numbers):
    frame = CARS.assign(power=pd.Series(numbers, dtype=object))
    data = read_table(frame, **CHOICES, continuous=["power"]).data()
    assert data.frame()["power"].tolist() == pytest.approx([float(n) for n in numbers], abs=1e-4)


@pytest.mark.parametrize("form", [str, float])
def test_whole_numbers_stay_whole_where_gaps_were_filled(form):
    doors = CARS["car_id"].map(form).mask(CARS.index < 3)
    said = CHOICES | {"continuous": ["doors"], "gaps": {"doors": "median"}}
    data = read_table(CARS.assign(doors=doors), **said).data()
    assert data.frame()["doors"].dtype == np.int64
    assert data.frame()["doors"].tolist()[3:] == CARS["car_id"].tolist()[3:]
    new = pd.DataFrame(
        {"doors": [None, "120.5"], "power": 1.0, "mpg": 2.0, "sold": CARS["sold"][:2]}
    )
    place = data.signal_names.index("doors")
    wanted = (120.5 - data.signal_scale[place].mean) / data.signal_scale[place].std
    signal = data.signal_of(new)[:, place].tolist()
    assert signal == pytest.approx([data.signal[0, place].item(), wanted])


LOOKS = [
    (["1", "2", "x"] * 20, "categorical", "text"),
    ([str(i) for i in range(60)], "ask", "reads as numbers"),
    ([f"user {i}" for i in range(60)], "drop", "like an identifier"),
    ([f"user {i}" for i in range(20)] * 3, "categorical", "text"),
    (np.arange(60) * 7, "continuous", "60 different"),
    ([1.5, 2.5] * 30, "ask", "2 different"),
    ([dt.time(1)] * 30 + [dt.time(2)] * 30, "ask", "time values"),
    ([[1]] * 30 + [[2]] * 30, "ask", "holds"),
    ([True, None] * 30, "categorical", "true or false"),
]


@pytest.mark.parametrize(("values", "kind", "why"), LOOKS)
def test_a_column_looks_like(values, kind, why):
    (look,) = read_table(pd.DataFrame({"c": pd.Series(values)})).looks
    assert (look.kind, why in look.why) == (kind, True), look


def test_numbers_called_an_id_are_one():
    frame = pd.DataFrame({"userid": np.arange(60) * 7, "x": np.arange(60) * 7})
    assert kinds(read_table(frame)) == {"userid": "drop", "x": "continuous"}


ROWS = b"make,power\na,1\nb,2\n"
FILES = {
    "latin.csv": (
        ROWS.replace(b"a,1", b"\xfc,1"),
        "as CSV: 'utf-8' codec.*save it as CSV in UTF-8",
    ),
    "utf16.csv": (ROWS.decode().encode("utf-16"), "as CSV: 'utf-8' codec"),
    "excel.csv": (b"PK\x03\x04\x14\x00\xb8\xff", "as CSV.*a spreadsheet's own file is none"),
    "empty.csv": (b"", "as CSV: No columns"),
    "ragged.csv": (ROWS + b"c,3,4\n", "as CSV.*Expected 2 fields in line 4"),
    "cut.csv.gz": (gzip.compress(ROWS)[:-9], "as CSV: Compressed file ended"),
    "plain.csv.gz": (ROWS, "as CSV: Not a gzipped file"),
    "bits.csv.gz": (gzip.compress(ROWS)[:10] + b"\xff" * 20, "as CSV: Error -3"),
    "bad.parquet": (b"PAR1" + b"x" * 20 + b"PAR1", "as Parquet.*get it again"),
    "empty.parquet": (b"", "as Parquet"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_what_its_name_says_is_refused_with_its_name(name, tmp_path):
    content, says = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"(?s){name} cannot be read {says}"):
        read_table(tmp_path / name)
