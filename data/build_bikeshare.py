"""Rebuilds ``bikeshare.parquet`` bit for bit from a file of the PyPI package ISLP.

    make sources                              # fetch the package, which need not be installed
    python data/build_bikeshare.py            # write data/bikeshare.parquet
    python data/build_bikeshare.py --check    # rebuild in memory and compare, byte for byte

The bytes depend on the parquet writer: use the pyarrow version of ``constraints.txt``.
"""

import sys

import building
import pandas as pd

MONTHS = ["Jan", "Feb", "March", "April", "May", "June"]
MONTHS += ["July", "Aug", "Sept", "Oct", "Nov", "Dec"]
NAMES = {
    "day": "day",
    "season": "season",
    "mnth": "month",
    "weekday": "weekday",
    "hr": "hour",
    "holiday": "holiday",
    "workingday": "working_day",
    "weathersit": "weather",
    "temp": "temp",
    "atemp": "feels_like",
    "hum": "humid",
    "windspeed": "wind_speed",
    "casual": "casual",
    "registered": "registered",
}
INTS = ["season", "month", "weekday", "hour", "holiday", "working_day"]
FLOATS = ["temp", "feels_like", "humid", "wind_speed"]
COUNTS = ["day", "casual", "registered"]


def build() -> pd.DataFrame:
    """One row an hour, in the order of time."""
    hours = pd.read_csv(building.member("ISLP", "ISLP/data/Bikeshare.csv"))
    hours = hours[[*NAMES]].rename(columns=NAMES)
    hours = hours.assign(month=hours["month"].map(MONTHS.index) + 1)
    kinds = {"int8": INTS, "float32": FLOATS, "int16": COUNTS}
    return hours.astype({name: kind for kind, names in kinds.items() for name in names})


if __name__ == "__main__":
    sys.exit(building.main(build, "bikeshare"))
