"""What a raw column looks like: a category, a number, an identifier; or a question to a person."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tabkit.schema import DATES, looks_like_an_identifier, plain, value_counts, value_kind

FEW = 20  # different numbers: they may be categories
MOSTLY = 0.8  # of a text's values are numbers: it may be numbers
UNKNOWN = ("?", "", "-", "na", "n/a", "nan", "none", "null", "unknown", "missing", ".")
SENTINELS = (-99999, -9999, -999, -99, 999, 9999, 99999)
ASK = "ask"


@dataclass(frozen=True)
class Look:
    """What a column looks like.

    Attributes
    ----------
    name : str
    kind : ``"categorical"``, ``"continuous"``, ``"outcomes"``, ``"dates"``, ``"drop"``, ``"ask"``
    why : what was seen that speaks for it
    values, missing : number of different values, and of rows that have none
    doubts : what a person should look at
    remedy : where it asks, what to say
    """

    name: str
    kind: str
    why: str
    values: int
    missing: int
    doubts: tuple[str, ...] = ()
    remedy: str = ""


def look_at(column: pd.Series, named: str | None = None) -> Look:
    """Looks at a column; what it was `named`, it is."""
    name, missing = str(column.name), int(column.isna().sum())
    try:
        counts = value_counts(column)
    except TypeError:  # lists, dicts
        counts = column.dropna().astype(str).value_counts()
    kind, why, remedy = (named, "as you said", "") if named else proposal(column, counts)
    doubts = tuple(suspicious(counts)) if kind != "drop" else ()
    return Look(name, kind, why, len(counts), missing, doubts, remedy)


def proposal(column: pd.Series, counts: pd.Series) -> tuple[str, str, str]:
    """A kind, why, and where it asks, the remedy."""
    name, kind = column.name, value_kind(column)
    if len(counts) + column.hasnans < 2:
        return "drop", "constant" if len(counts) else "has no value", ""
    if kind in DATES or (kind == "string" and are_dates(counts.index)):
        parts = f"dates={{{name!r}: ['month', 'weekday', 'days']}}"
        return ASK, "dates: which parts matter?", f"name them: {parts}; or drop=[{name!r}]"
    if kind in ("integer", "floating"):
        return proposal_of_numbers(column, counts)
    if kind == "string":
        return proposal_of_text(column, counts)
    if kind == "boolean":
        return "categorical", "true or false", ""
    remedy = f"convert it, such as frame[{name!r}].astype(str), or drop=[{name!r}]"
    return ASK, f"holds {kind} values", remedy


def proposal_of_numbers(column: pd.Series, counts: pd.Series) -> tuple[str, str, str]:
    """Many numbers are a measurement; few may be categories, which a person has to say."""
    different = f"numbers with {len(counts):,} different values"
    if is_identifier(column, counts):
        return "drop", "an identifier: whole numbers, each once", ""
    if len(counts) <= min(FEW, len(column) / 2):
        return ASK, f"{different}: categories or a measurement?", either(column)
    return "continuous", different, ""


def proposal_of_text(column: pd.Series, counts: pd.Series) -> tuple[str, str, str]:
    """Categories, if it is not an identifier and does not read as numbers."""
    strays = [v for v in counts.index if not is_number(v)]
    if len(counts) - len(strays) >= MOSTLY * len(counts):
        unknown = f", and unknown={strays[:8]} if these are gaps" if strays else ""
        return ASK, "text that reads as numbers: categories or numbers?", either(column) + unknown
    if looks_like_an_identifier(len(counts), len(column)):
        return "drop", f"like an identifier: {len(counts):,} values in {len(column):,} rows", ""
    return "categorical", "text", ""


def either(column: pd.Series) -> str:
    """The remedy for what may be of two kinds."""
    return f"name it: categorical=[{column.name!r}] or continuous=[{column.name!r}]"


def are_dates(values: Iterable[str]) -> bool:
    """Whether all texts are dates such as 2013-01-31."""
    texts = pd.Series(values, dtype=object).astype(str)
    if not texts.str.match(r"\d{4}-\d{1,2}").all():
        return False
    return bool(pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True).notna().all())


def is_number(text: str) -> bool:
    """Whether a text reads as a finite number."""
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def is_identifier(column: pd.Series, counts: pd.Series) -> bool:
    """Whole numbers, each once, that count the rows or are called so."""
    if len(counts) < len(column) or len(counts) <= FEW:
        return False
    values = column.astype(float)
    whole = bool((values % 1 == 0).all())
    called = str(column.name).lower().removesuffix("_").endswith(("id", "index", "unnamed: 0"))
    return whole and (called or bool(np.ptp(values) == len(values) - 1))


def suspicious(counts: pd.Series) -> list[str]:
    """Values that may stand for a missing one, with their rows, by what they look like."""
    kind, texts, far = value_kind(counts.index.to_series()), [], []
    if kind == "string":
        texts = [v for v in counts.index if v.strip().lower() in UNKNOWN]
    elif kind in ("integer", "floating"):
        numbers = counts.index.to_numpy(dtype=float)
        far = [v for v in SENTINELS if v in counts.index and is_far(v, numbers)]
    return [f"{plain(v)!r} in {counts[v]:,} rows: missing? unknown=[{v!r}]" for v in texts + far]


def is_far(value: int, numbers: np.ndarray) -> bool:
    """Whether a number lies farther from all others than they spread."""
    others = numbers[numbers != value]
    if not len(others):
        return False
    low, high = others.min(), others.max()
    return not low - (high - low) <= value <= high + (high - low)
