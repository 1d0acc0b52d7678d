"""The real data: flights out of New York in 2013."""

import pandas as pd

from tabkit.data.dataset import Dataset
from tabkit.data.tables import Description

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
FLIGHTS = Description("flights", CATEGORICAL, CONTINUOUS, OUTCOMES, TRUTH)
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
    return FLIGHTS.dataset(flights_frame(), rows=rows, held_out=held_out, seed=seed)


def flights_frame() -> pd.DataFrame:
    """The flights as a DataFrame, truth columns included, gaps in numbers filled and named.

    Raises FileNotFoundError if the parquet file is not where the repository or the wheel puts it.
    """
    frame = FLIGHTS.read().astype({"wind_dir": "Int64"})
    gaps = {record: frame[list(names)].isna().any(axis=1) for record, names in RECORDS.items()}
    filled = pd.Series("", index=frame.index, dtype=object)
    for record, gap in gaps.items():
        filled = filled.mask(gap, filled + "+" + record)
    numbers = frame[list(CONTINUOUS)]
    numbers = numbers.fillna(numbers.median()).astype(dict.fromkeys(WHOLE, "int16"))
    filled = filled.str.lstrip("+").replace("", "nothing")
    frame.insert(frame.columns.get_loc("temp"), "filled", filled)
    return frame.assign(**numbers)
