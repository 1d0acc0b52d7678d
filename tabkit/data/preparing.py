"""`Preparation`: what is done to a raw frame before its columns are read, now and to new rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tabkit.schema import DATES, MAX_WHOLE, DataError, plain, value_kind

# Parts of a date: what each is, and whether it is a category.
PARTS_OF_DATES = {
    "month": (lambda date: date.dt.month, True),
    "weekday": (lambda date: date.dt.day_of_week, True),
    "day": (lambda date: date.dt.day, True),
    "hour": (lambda date: date.dt.hour, True),
    "quarter": (lambda date: date.dt.quarter, True),
    "year": (lambda date: date.dt.year, False),
    "days": (None, False),  # since the first date of the table
}


@dataclass(frozen=True)
class Preparation:
    """What a frame goes through; a column that it lacks is left out of it.

    Attributes
    ----------
    unknown : values that stand for a missing one, such as ``"?"`` or ``-999``
    numbers : columns that are made numbers: of text, or of booleans
    dates : by column, the parts that become columns of their own, such as ``when_month``
    firsts : by column of dates, the day from which ``days`` count
    medians : by column, what fills its gaps; ``x_missing`` says where they were
    whole : those of them that hold whole numbers
    """

    unknown: tuple[str | int | float, ...] = ()
    numbers: tuple[str, ...] = ()
    dates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    firsts: Mapping[str, str] = field(default_factory=dict)
    medians: Mapping[str, float] = field(default_factory=dict)
    whole: tuple[str, ...] = ()

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Preparation":
        """From what JSON made of one; ValueError or TypeError if it is not of that form."""
        check_form(plain)
        dates = {name: tuple(parts) for name, parts in plain["dates"].items()}
        tuples = {name: tuple(plain[name]) for name in ("unknown", "numbers", "whole")}
        return cls(**(dict(plain) | tuples | {"dates": dates}))

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame that it becomes; the one that is given stays as it is."""
        found = {name: self._known(column) for name, column in frame.items()}
        for name in set(self.numbers).intersection(found):
            found[name] = as_numbers(found[name])
        for name, median in self.medians.items():
            if name in found:
                found[f"{name}_missing"] = found[name].isna()
                filled = found[name].astype(float).fillna(median)
                whole = name in self.whole and bool((filled % 1 == 0).all())
                found[name] = filled.astype("int64") if whole else filled
        for name, parts in self.dates.items():
            if name in found:
                found |= parts_of(as_dates(found[name]), parts, self.firsts[name])
        return pd.DataFrame(found, index=frame.index)

    def _known(self, column: pd.Series) -> pd.Series:
        """The column with what is unknown as missing; other values as they were."""
        if not self.unknown:
            return column
        gone = column.isin(self.unknown)
        if not gone.any():
            return column
        if pd.api.types.is_integer_dtype(column.dtype):
            column = column.astype("Int64")
        return column.mask(gone)


WORDS = {"unknown": (str, int, float), "numbers": str, "whole": str}  # of lists
VALUES = {"dates": list, "firsts": str, "medians": (int, float)}  # by column


def check_form(plain: Mapping[str, Any]) -> None:
    """What a stranger's file may hold, type by type, before it is used."""
    if plain.keys() != WORDS.keys() | VALUES.keys():
        raise ValueError(f"prepare has the fields {', '.join(plain)}")
    for name, kind in (WORDS | VALUES).items():
        values = plain[name]
        if not isinstance(values, dict if name in VALUES else list):
            raise TypeError(f"prepare's {name} is no {'mapping' if name in VALUES else 'list'}")
        for value in values.values() if name in VALUES else values:
            if not isinstance(value, kind):
                raise TypeError(f"prepare's {name} holds {value!r}")
    for name, parts in plain["dates"].items():
        if not set(parts) <= PARTS_OF_DATES.keys():
            raise ValueError(f"prepare's dates of {name!r} have the parts {parts}")


def is_text(column: pd.Series) -> bool:
    """Whether all values that are not missing are text."""
    return value_kind(column) == "string"


def as_numbers(column: pd.Series) -> pd.Series:
    """Text or booleans as numbers, others as they are; DataError where text is no number."""
    kind = value_kind(column)
    objects = kind in ("integer", "floating") and column.dtype == object  # decimals, say
    if objects or kind in ("boolean", "empty"):
        return column.astype("Float64" if kind != "empty" and column.hasnans else float)
    if kind != "string":
        return column
    found = pd.to_numeric(column.astype(object), errors="coerce")
    for row in np.flatnonzero(found.isna() & column.notna())[:1].tolist():
        value = plain(column.iloc[row])
        raise DataError(
            "is no number",
            f"say unknown=[{value!r}] if it stands for a missing one, or list the "
            "column as categorical",
            column=str(column.name),
            row=row,
            value=value,
        )
    return found if found.dtype == np.int64 else found.astype(float)


def as_whole(column: pd.Series) -> pd.Series:
    """Whole numbers that a gap has made floats, as whole again; other columns as they are."""
    if value_kind(column) != "floating":
        return column
    values = column.dropna().astype(float)
    if not ((values % 1 == 0) & (values.abs() < MAX_WHOLE)).all():
        return column
    return column.astype(float).astype("Int64")


def as_dates(column: pd.Series) -> pd.Series:
    """Dates, or text such as 2013-01-31, as pandas' dates; DataError if a value is none."""
    if is_text(column):
        found = pd.to_datetime(column.astype(object), format="ISO8601", errors="coerce", utc=True)
    elif value_kind(column) in (*DATES, "empty"):
        found = pd.to_datetime(column)
    else:
        found = pd.Series(pd.NaT, column.index)
    for row in np.flatnonzero(found.isna())[:1].tolist():
        value = plain(column.iloc[row])
        raise DataError(
            "is no date",
            f"write dates as 2013-01-31; or leave such rows out, unknown=[{value!r}] and "
            f"gaps={{{column.name!r}: 'drop'}}",
            column=str(column.name),
            row=row,
            value=value,
        )
    return found


def parts_of(dates: pd.Series, parts: tuple[str, ...], first: str) -> dict[str, pd.Series]:
    """The named parts of dates, each a column."""
    start, found = pd.Timestamp(first), {}
    for part in parts:
        take = PARTS_OF_DATES[part][0]
        days = (dates.dt.tz_localize(None) - start).dt.days if take is None else take(dates)
        found[f"{dates.name}_{part}"] = days.astype("int64")
    return found


def check_dates(dates: Mapping[str, Any]) -> None:
    """The parts that are asked for are known ones; else DataError."""
    for column, parts in dates.items():
        for part in [parts] if isinstance(parts, str) else parts:
            if part not in PARTS_OF_DATES or isinstance(parts, str):
                raise DataError(
                    "is no list of parts of a date",
                    f"give a list of {', '.join(PARTS_OF_DATES)}",
                    column=column,
                    value=parts,
                )
