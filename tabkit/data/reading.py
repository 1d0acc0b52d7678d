"""`read_table`: a file or a frame, what its columns look like, and how a person corrects that."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import pandas as pd

from tabkit.data.dataset import Dataset, from_frame
from tabkit.data.files import read_file
from tabkit.data.looking import ASK, Look, look_at
from tabkit.data.preparing import (
    PARTS_OF_DATES,
    Preparation,
    as_dates,
    as_numbers,
    as_whole,
    check_dates,
)
from tabkit.data.splits import Splits, chosen_split
from tabkit.schema import (
    DataError,
    as_frame,
    check_frame,
    check_names,
    list_names,
    missing_column,
    value_kind,
)

KINDS = ("categorical", "continuous", "outcomes", "drop")
ANSWERS = {
    "categorical": ("category", "drop"),
    "continuous": ("median", "drop"),
    "signal": ("median", "drop"),
}
GAPS = ("category", "median", "drop")


def read_table(source: Any, *, name: str | None = None, **choices: Any) -> "Table":
    """Reads a table, and looks at its columns: print what it returns, correct it, take its `data`.

    Parameters
    ----------
    source
        Path of a CSV or Parquet file; or a pandas DataFrame, or what narwhals reads.
    name
        Of the data set; that of the file if not given.
    choices
        Those of `Table`: all that it shall not propose itself.

    Raises
    ------
    DataError
        If it is no table, or a choice names no column of it.

    Examples
    --------
    >>> cars = {"make": list("abab") * 5, "doors": [2, 3, 4, 5] * 5, "mpg": np.linspace(9, 46, 20)}
    >>> table = read_table(cars, outcomes=["mpg"])
    >>> print(table)
    Table 'table': 20 rows, 3 columns
      make: categorical (text), 2 values
      doors: ask (numbers with 4 different values: categories or a measurement?), 4 values
        name it: categorical=['doors'] or continuous=['doors']
      mpg: outcomes (as you said), 20 values
    >>> table.data(categorical=["doors"]).schema.cardinalities
    (2, 4)
    """
    path = Path(source) if isinstance(source, str | Path) else None
    frame = as_frame(source) if path is None else read_file(path)
    check_frame(frame, list(frame.columns))
    return Table(frame, name or (path.stem if path else "table")).but(**choices)


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """A table and what each of its columns is taken for: `print` it, correct it by `but`.

    Attributes
    ----------
    categorical, continuous, outcomes, drop
        Names of columns. What is in none of them, `looks` proposes.
    signal
        Numeric columns that net0 sees; the outcomes and the continuous columns if not given.
    dates
        By column of dates, the parts that become columns, ``{"when": ["month", "weekday"]}``:
        month, weekday, day, hour and quarter are categorical, year and days continuous.
    gaps
        By column, what becomes of missing values: ``"category"``, one of their own; ``"median"`` of
        the training rows, and a categorical column ``x_missing`` that says where; or ``"drop"``,
        the row.
    unknown
        Values that stand for a missing one, such as ``["?", -999]``.
    split, held_out, seed
        As in `from_frame`.
    """

    frame: pd.DataFrame
    name: str
    _: KW_ONLY
    categorical: tuple[str, ...] = ()
    continuous: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    signal: tuple[str, ...] | None = None
    dates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gaps: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str | int | float, ...] = ()
    split: str | Sequence[Any] | None = None
    held_out: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        named = [*(name for kind in KINDS for name in getattr(self, kind)), *self.dates]
        check_names(named, "is named for two kinds", "name it for one")
        for name in [*named, *self.gaps]:
            if name not in self.frame.columns:
                raise missing_column(name, self.frame.columns)
        check_dates(self.dates)
        for name, how in self.gaps.items():
            if how not in GAPS:
                remedy = f"choose {', '.join(GAPS)}"
                raise DataError("gaps= does not know", remedy, column=name, value=how)

    def but(self, **choices: Any) -> "Table":
        """The same table with other choices: what is named for a kind is of no other any more."""
        for key in set(choices) - set(self.__dataclass_fields__) | {"frame", "name"} & set(choices):
            raise TypeError(f"a table has no choice {key!r}")
        given = {k: list_names(v, k) for k, v in choices.items() if k in (*KINDS, "unknown")}
        check_dates(choices.get("dates") or {})
        dates = {name: tuple(parts) for name, parts in (choices.get("dates") or {}).items()}
        moved = {name for kind in KINDS for name in given.get(kind, ())} | {*dates}
        kinds = {
            kind: (*(n for n in getattr(self, kind) if n not in moved), *given.get(kind, ()))
            for kind in KINDS
        }
        others = {k: v for k, v in choices.items() if k not in (*KINDS, "dates", "gaps")}
        for key in {"signal", "unknown"} & set(others):
            others[key] = None if others[key] is None else tuple(list_names(others[key], key))
        dates = {n: parts for n, parts in self.dates.items() if n not in moved} | dates
        gaps = {**self.gaps, **(choices.get("gaps") or {})}
        return replace(self, **kinds, dates=dates, gaps=gaps, **others)

    @cached_property
    def known(self) -> pd.DataFrame:
        """The frame with what is unknown as missing, without the rows that `gaps` drops.

        Its index is the position in the table.
        """
        frame = Preparation(self.unknown)(self.frame.reset_index(drop=True))
        return frame.dropna(subset=[n for n, how in self.gaps.items() if how == "drop"])

    @cached_property
    def looks(self) -> tuple[Look, ...]:
        """What each column looks like, or was said to be."""
        said = {name: kind for kind in KINDS for name in getattr(self, kind)}
        said |= (
            dict.fromkeys(self.dates, "dates") | dict.fromkeys(self.signal or (), "signal") | said
        )
        said |= {self.split: "drop"} if isinstance(self.split, str) else {}
        return tuple(look_at(self.known[name], said.get(name)) for name in self.frame.columns)

    def names(self, kind: str) -> list[str]:
        """The columns of a kind, in the table's order."""
        return [look.name for look in self.looks if look.kind == kind]

    def __repr__(self) -> str:
        size = f"{len(self.known):,} rows, {len(self.looks)} columns"
        return "\n".join([f"Table {self.name!r}: {size}", *self._lines()])

    def _lines(self) -> Iterable[str]:
        try:
            train = self._splits()[0].numpy()
        except ValueError as error:
            yield f"  no split: {error}"
            train = np.arange(len(self.known))
        for look in self.looks:
            gaps = f", {look.missing:,} missing" if look.missing else ""
            yield f"  {look.name}: {look.kind} ({look.why}), {look.values:,} values{gaps}"
            column, doubts = self.known[look.name], [*look.doubts, look.remedy]
            if look.kind == "categorical":
                met = column.iloc[train].dropna().unique()
                never = sorted(str(v) for v in column.dropna().unique() if v not in met)
                doubts += [f"never in training: {', '.join(never)}"] if never else []
            if look.missing and look.kind in ("categorical", "continuous", "outcomes", "signal"):
                doubts += [
                    f"gaps: {self.gaps[look.name]}" if look.name in self.gaps else gaps_of(look)
                ]
            yield from (f"    {shorten(doubt, 200)}" for doubt in doubts if doubt)

    def _splits(self) -> Splits:
        """Positions among the rows of `known`; positions of one's own are those in the table."""
        split, index = self.split, self.known.index
        if split is not None and not isinstance(split, str) and len(index) < len(self.frame):
            split = [np.flatnonzero(index.isin(np.asarray(part))) for part in split]
        return chosen_split(self.known, split, held_out=self.held_out, seed=self.seed)

    def preparation(self, train: np.ndarray) -> Preparation:
        """What the table's rows go through, and new rows too; medians are of the rows `train`."""
        numbers = [*self.names("continuous"), *self.names("outcomes"), *self.names("signal")]
        dates = {name: as_dates(self.known[name]) for name in self.dates}
        filled = {
            n: as_whole(as_numbers(self.known[n]))
            for n in numbers
            if self.gaps.get(n) == "median" and self.known[n].hasnans
        }
        whole = [n for n, column in filled.items() if value_kind(column) == "integer"]
        medians = {n: float(column.iloc[train].median()) for n, column in filled.items()}
        return Preparation(
            self.unknown,
            tuple(numbers),
            dict(self.dates),
            {name: str(date.dt.tz_localize(None).min()) for name, date in dates.items()},
            medians | {n: float(round(medians[n])) for n in whole},
            tuple(whole),
        )

    def data(
        self,
        *,
        other: Mapping[str, int] | None = None,
        max_cardinality: int | None = None,
        truth: Mapping[str, pd.DataFrame] | None = None,
        **choices: Any,
    ) -> Dataset:
        """The `Dataset`, after what `choices` corrects; the other parameters are `from_frame`'s.

        Raises
        ------
        DataError
            If a column asks what it is, or has gaps and nobody said what becomes of them; or as
            `from_frame`.
        """
        if choices:
            knobs = {"other": other, "max_cardinality": max_cardinality, "truth": truth}
            return self.but(**choices).data(**knobs)
        for look in self.looks:
            check_answered(look, self.gaps.get(look.name))
        splits = self._splits()
        prepare = self.preparation(splits[0].numpy())
        parts = [
            (f"{n}_{p}", PARTS_OF_DATES[p][1]) for n, every in self.dates.items() for p in every
        ]
        gaps = [f"{name}_missing" for name in prepare.medians if name in self.names("continuous")]
        frame = prepare(self.known)
        frame = frame.assign(**{n: as_whole(frame[n]) for n in self.names("categorical")})
        data = from_frame(
            frame,
            categorical=[*self.names("categorical"), *gaps, *(n for n, own in parts if own)],
            continuous=[*self.names("continuous"), *(n for n, own in parts if not own)],
            outcomes=self.names("outcomes") or None,
            signal=self.signal,
            name=self.name,
            other=other,
            max_cardinality=max_cardinality,
            truth=truth,
            split=splits,
        )
        return replace(data, prepare=prepare)


def gaps_of(look: Look) -> str:
    """What to say of a column's missing values."""
    ways = ANSWERS.get(look.kind, ("drop",))
    return "say what becomes of gaps: " + " or ".join(
        f"gaps={{{look.name!r}: {w!r}}}" for w in ways
    )


def check_answered(look: Look, gaps: str | None) -> None:
    """Somebody said what a column is, and what becomes of its gaps; else DataError."""
    if look.kind == ASK:
        raise DataError(look.why, look.remedy, column=look.name)
    allowed = ANSWERS.get(look.kind, ("drop",))
    if look.kind != "drop" and ((look.missing and gaps is None) or gaps not in (None, *allowed)):
        said = f"has {look.missing:,} missing values" + (
            f", and {gaps!r} is not for it" if gaps else ""
        )
        raise DataError(said, gaps_of(look), column=look.name)
