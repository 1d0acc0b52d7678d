"""Nasty frames: a right answer or a clear ValueError or TypeError comes out, nothing else."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from tabkit import DataError, from_frame, read_table

few = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
SCALARS = {
    "text": st.text(max_size=3),
    "strange text": st.sampled_from(
        ["", " ", "é", "e\u0301", "\0", "🦉", "(other)", "(missing)", "nan", "?"]
    ),
    "small": st.integers(-3, 3),
    "whole": st.integers(-(2**70), 2**70),
    "float": st.floats(width=32),
    "huge": st.sampled_from([1e308, -1e308, 1e-320, np.inf, 0.0, -0.0]),
    "bool": st.booleans(),
    "date": st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31)),
    "moment": st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)),
    "span": st.timedeltas(dt.timedelta(-9), dt.timedelta(9)),
    "decimal": st.decimals(-9, 9, places=1),
    "bytes": st.binary(max_size=2),
    "nothing": st.none(),
    "list": st.lists(st.integers(0, 1), max_size=2),
    "complex": st.complex_numbers(max_magnitude=3),
}
DTYPES = [
    None,
    None,
    "object",
    "category",
    "string",
    "Int64",
    "Float64",
    "boolean",
    "float32",
    "int8",
]
DTYPES += ["int64[pyarrow]", "double[pyarrow]", "string[pyarrow]", "bool[pyarrow]"]
NAMES = st.sampled_from(
    ["a", "b", "é", "e\u0301", "🦉", "", " ", "a b", "train", "frame", "x" * 300]
)


@st.composite
def series(draw, rows):
    kinds = draw(st.lists(st.sampled_from(sorted(SCALARS)), min_size=1, max_size=2))
    values = st.one_of(*(SCALARS[kind] for kind in kinds))
    if draw(st.booleans()):
        values = values | st.none()
    drawn = draw(st.lists(values, min_size=rows, max_size=rows))
    column = pd.Series(drawn, dtype=object)
    dtype = draw(st.sampled_from(DTYPES))
    try:
        with np.errstate(all="ignore"):
            return pd.Series(drawn) if dtype is None else column.astype(dtype)
    except (ValueError, TypeError, OverflowError, pa.ArrowException):
        return column


@st.composite
def frames(draw):
    rows = draw(st.sampled_from([1, 2, 3, 12, 30]))
    names = draw(st.lists(NAMES, min_size=1, max_size=4))
    frame = pd.concat([draw(series(rows)) for _ in names], axis=1)
    frame.columns = names
    if draw(st.integers(0, 9)) == 0:
        frame.columns = pd.MultiIndex.from_tuples([(n, i) for i, n in enumerate(names)])
    if draw(st.integers(0, 4)) == 0:
        frame.index = pd.MultiIndex.from_tuples([(i // 2, "k") for i in range(rows)])
    return frame


def clear(error, frame):
    """Ours: it names what is wrong and a remedy, and is not one that came through from below."""
    assert (
        isinstance(error, DataError)
        or "held out" in str(error)
        or "hold out" in str(error)
        or (isinstance(error, TypeCheckError) and isinstance(frame.columns[0], tuple))
    ), repr(error)


def same(found, wanted):
    """Whether the categories of a column came back: equal, and missing where they were."""
    gone = wanted.isna().to_numpy()
    assert (found.isna().to_numpy() == gone).all()
    assert [*found[~gone]] == [*wanted[~gone]]


@few
@given(frames(), st.data())
def test_from_frame_gives_the_frame_back_or_says_why_not(frame, data):
    names = [*dict.fromkeys(frame.columns)]
    categorical = [
        n for n in names if data.draw(st.booleans(), label=f"{n!r} categorical")
    ] or names[:1]
    continuous = [n for n in names if n not in categorical]
    frame = pd.concat(
        [frame.reset_index(drop=True), pd.Series(range(len(frame)), name="y")], axis=1
    )
    try:
        found = from_frame(frame, categorical=categorical, continuous=continuous, outcomes=["y"])
    except (ValueError, TypeError) as error:
        clear(error, frame)
        return
    back = found.frame()
    assert [*back] == [n for n in frame if n != "y"]
    for name in categorical:
        same(back[name], frame[name])
    for values in (found.rows.continuous, found.signal, found.outcomes):
        assert values.isfinite().all()
    assert torch.equal(found.signal_of(frame), found.signal)


@few
@given(frames())
def test_reading_reports_and_asks_and_nothing_else_comes_out(frame):
    try:
        table = read_table(frame)
    except DataError:
        return
    assert str(table).startswith("Table 'table'")
    for choices in ({}, {"continuous": [look.name for look in table.looks if look.kind == "ask"]}):
        try:
            data = table.data(**choices)
        except (ValueError, TypeError) as error:
            clear(error, frame)
        else:
            assert torch.equal(data.signal_of(frame), data.signal)


@few
@given(frames())
def test_other_libraries_frames_are_read_or_refused(frame):
    names = [str(n) for n in frame.columns]
    for make in (pl.from_pandas, pa.Table.from_pandas):
        try:
            table = make(frame.set_axis(names, axis=1))
        except Exception:
            continue
        try:
            read_table(table).data()
        except (ValueError, TypeError) as error:
            clear(error, frame)


def test_ten_thousand_categories_are_refused_with_a_remedy_that_works():
    frame = pd.DataFrame({"c": [f"k{i % 10_000}" for i in range(20_000)], "y": np.arange(20_000.0)})
    with pytest.raises(DataError, match="10,000 categories") as error:
        from_frame(frame, categorical=["c"], outcomes=["y"])
    assert "max_cardinality=10000" in error.value.remedy
    data = from_frame(frame, categorical=["c"], outcomes=["y"], max_cardinality=10_000)
    assert data.schema.width == 10_000
    assert data.frame()["c"].tolist() == frame["c"].tolist()


def test_a_wide_frame_is_read_column_by_column():
    """The work of a column does not grow with the number of columns: all are looked at once."""
    looked, C = [], 400

    class Counted(pd.DataFrame):
        @property
        def _constructor(self):
            return Counted

        def __getitem__(self, key):
            looked.append(key)
            return super().__getitem__(key)

    columns = {f"c{i}": list("ab") * 5 for i in range(C)} | {"y": np.arange(10.0)}
    from_frame(Counted(columns), categorical=[f"c{i}" for i in range(C)], outcomes=["y"])
    assert len(looked) < 4 * C


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_too_few_rows_are_refused(rows):
    frame = pd.DataFrame({"c": list("ab")[:rows], "y": [1.0, 2.0][:rows]})
    with pytest.raises(ValueError, match=r"no rows|constant|cannot hold out"):
        from_frame(frame, categorical=["c"], outcomes=["y"])


def test_decimals_are_numbers_of_a_table_of_ones_own():
    frame = pd.DataFrame({"c": list("ab") * 10, "y": [Decimal(i) / 4 for i in range(20)]})
    with pytest.raises(DataError, match=r"astype.float"):
        from_frame(frame, categorical=["c"], outcomes=["y"])
