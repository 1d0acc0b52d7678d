"""The real data: flights out of New York in 2013."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tabkit.data.dataset import Dataset, from_frame
from tabkit.extras import imports_for

CATEGORICAL = (
    *("month", "weekday", "hour", "carrier", "origin", "dest"),
    *("manufacturer", "engine", "plane_type", "wind_dir", "filled"),
)
CONTINUOUS = (
    *("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"),
    *("plane_year", "seats"),
)
WHOLE = ("plane_year", "seats")
OUTCOMES = ("air_time", "dep_delay", "arr_delay")
TRUTH = {"carrier": ("airline",), "dest": ("dest_name", "dest_lat", "dest_lon", "dest_tz")}
# Which record a number comes from: one `filled` category names the records that had gaps.
RECORDS = {
    "weather": ("temp", "dewp", "humid", "wind_speed", "precip", "visib"),
    "pressure": ("pressure",),
    "plane": ("seats",),
    "plane_year": ("plane_year",),
}


def flights(rows: int | None = None, *, held_out: int = 20_000, seed: int = 0) -> Dataset:
    """Every flight out of New York in 2013 that flew: 327,346 rows.

    Numbers that the source lacks are filled with the column's median, and the categorical column
    `filled` names the records they were missing from. See ``data/README.md`` for every column.

    Parameters
    ----------
    rows
        Take this many rows at random, for a quick look; all if not given.
    held_out
        Rows in each of validation and test.
    seed
        Seed of the subset and the split.

    Examples
    --------
    >>> data = flights(rows=5_000, held_out=500)
    >>> data.schema.cardinalities[:3], len(data.train)
    ((12, 7, 19), 4000)
    """
    frame = flights_frame()
    if rows is not None:
        if not 0 < rows <= len(frame):
            raise ValueError(f"rows must lie in 1 to {len(frame):,}, not {rows}")
        picked = np.random.default_rng(seed).choice(len(frame), rows, replace=False)
        frame = frame.iloc[np.sort(picked)].reset_index(drop=True)
    truth = {name: _truth(frame, name, facts) for name, facts in TRUTH.items()}
    return from_frame(
        frame,
        name="flights",
        categorical=CATEGORICAL,
        continuous=CONTINUOUS,
        outcomes=OUTCOMES,
        truth=truth,
        held_out=held_out,
        seed=seed,
    )


def flights_frame() -> pd.DataFrame:
    """The flights as a DataFrame, truth columns included, gaps in numbers filled and named.

    Raises FileNotFoundError if the parquet file is not where the repository or the wheel puts it.
    """
    with imports_for("parquet files"):
        frame = pd.read_parquet(shipped("data/flights.parquet")).astype({"wind_dir": "Int64"})
    gaps = {record: frame[list(names)].isna().any(axis=1) for record, names in RECORDS.items()}
    filled = pd.Series("", index=frame.index, dtype=object)
    for record, gap in gaps.items():
        filled = filled.mask(gap, filled + "+" + record)
    numbers = frame[list(CONTINUOUS)]
    numbers = numbers.fillna(numbers.median()).astype(dict.fromkeys(WHOLE, "int16"))
    filled = filled.str.lstrip("+").replace("", "nothing")
    frame.insert(frame.columns.get_loc("temp"), "filled", filled)
    return frame.assign(**numbers)


def shipped(path: str) -> Path:
    """Where the repository or the wheel has a file that comes with tabkit."""
    package = Path(__file__).resolve().parents[1]
    places = [package.parent / path, package / "_data" / Path(path).name]
    for place in places:
        if place.is_file():
            return place
    where = " nor ".join(str(place.parent) for place in places)
    raise FileNotFoundError(
        f"{places[0].name} is in neither {where}; install tabkit from its repository"
    )


def _truth(frame: pd.DataFrame, name: str, facts: Sequence[str]) -> pd.DataFrame:
    return frame[[name, *facts]].drop_duplicates().set_index(name).sort_index()
