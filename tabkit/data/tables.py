"""The tables that come with tabkit, each by a description of its columns."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from tabkit.data.dataset import Dataset, from_frame
from tabkit.data.splits import split, split_groups
from tabkit.extras import imports_for
from tabkit.store import FileError


@dataclass(frozen=True)
class Description:
    """What the columns of ``data/<name>.parquet`` are for. A column ``log_x`` is log(1 + x)."""

    name: str
    categorical: Sequence[str]
    continuous: Sequence[str]
    outcomes: Sequence[str]
    truth: Mapping[str, Sequence[str]] = field(default_factory=dict)
    together: str | None = None  # rows that share its value stay in one part of the split

    def read(self) -> pd.DataFrame:
        """All rows of the file, in its units and with the logarithms.

        Raises FileError if it is not the file of which the card tells.
        """
        file = shipped(f"data/{self.name}.parquet")
        whole = file.read_bytes()
        if sha256(whole).hexdigest() != digest_in_card(file.name):
            remedy = "git checkout data, or install tabkit again"
            raise FileError(file, "is damaged: its card has another digest", remedy)
        with imports_for("parquet files"):
            frame = pd.read_parquet(BytesIO(whole))
        logs = [x for x in (*self.continuous, *self.outcomes) if x.startswith("log_")]
        return frame.assign(**{name: np.log1p(frame[name[4:]]) for name in logs})

    def dataset(
        self, frame: pd.DataFrame, *, rows: int | None, held_out: int, seed: int
    ) -> Dataset:
        """All rows of the frame or, at random, so many, encoded and split."""
        if rows is not None:
            frame = drawn(frame, rows, seed)
        if self.together is None:
            parts = split(len(frame), held_out=held_out, seed=seed)
        else:
            parts = split_groups(frame[self.together], held_out=held_out, seed=seed)
        return from_frame(
            frame,
            name=self.name,
            categorical=self.categorical,
            continuous=self.continuous,
            outcomes=self.outcomes,
            truth={
                name: frame[[name, *facts]].drop_duplicates().set_index(name).sort_index()
                for name, facts in self.truth.items()
            },
            split=parts,
        )


ADULT = Description(
    "adult",
    categorical=(
        *("work_class", "education", "marital_status", "occupation"),
        *("relationship", "race", "sex", "native_country"),
    ),
    continuous=("age", "log_capital_loss"),
    outcomes=("income", "log_capital_gain", "hours_per_week"),
    truth={"education": ("education_num",)},
)
BIKESHARE = Description(
    "bikeshare",
    categorical=(*("season", "month", "weekday", "hour"), *("holiday", "working_day", "weather")),
    continuous=("temp", "feels_like", "humid", "wind_speed"),
    outcomes=("log_casual", "log_registered"),
    together="day",
)
CENSUS = Description(
    "census",
    categorical=(
        *("worker_class", "industry", "occupation", "education", "enrolled", "marital_status"),
        *("race", "hispanic", "sex", "union", "unemployment", "employment", "tax_filer"),
        *("region_before", "state_before", "household", "move_msa", "move_region"),
        *("move_within", "same_house", "sunbelt", "employer_size", "under_18", "father_from"),
        *("mother_from", "born_in", "citizenship", "self_employed", "questionnaire"),
        *("veterans_benefits", "year"),
    ),
    continuous=("age", "log_wage_per_hour", "log_capital_loss"),
    outcomes=("income", "log_capital_gain", "log_dividends", "weeks_worked"),
    truth={"industry": ("major_industry",), "occupation": ("major_occupation",)},
)


def adult(rows: int | None = None, *, held_out: int = 4_000, seed: int = 0) -> Dataset:
    """Adults of the US census of 1994: 48,842 rows, 8 categorical columns.

    The outcomes are income (1 above 50,000 dollars a year), the logarithm of capital gains and
    hours of work a week. `rows`, `held_out` and `seed` are those of `flights`; every column is in
    ``data/README.md``.

    Examples
    --------
    >>> data = adult(rows=5_000, held_out=500)
    >>> data.outcome_names, len(data.train)
    (('income', 'log_capital_gain', 'hours_per_week'), 4000)
    """
    return ADULT.dataset(ADULT.read(), rows=rows, held_out=held_out, seed=seed)


def bikeshare(rows: int | None = None, *, held_out: int = 800, seed: int = 0) -> Dataset:
    """Hours of bike sharing in Washington in 2011: 8,645 rows, 7 categorical columns.

    The outcomes are the logarithms of the rides of casual and of registered riders. Hours of one
    day stay together, so that each part that is held out has up to 23 rows more than `held_out`.
    `rows` and `seed` are those of `flights`; every column is in ``data/README.md``.

    Examples
    --------
    >>> data = bikeshare()
    >>> data.schema.cardinalities, len(data.validation), len(data.test)
    ((4, 12, 7, 24, 2, 2, 4), 802, 809)
    """
    return BIKESHARE.dataset(BIKESHARE.read(), rows=rows, held_out=held_out, seed=seed)


def census(rows: int | None = None, *, held_out: int = 4_000, seed: int = 0) -> Dataset:
    """Workers of the US population surveys of 1994 and 1995: 49,683 rows, 31 categorical columns.

    The outcomes are income (1 above 50,000 dollars a year), the logarithms of capital gains and of
    dividends, and weeks of work in the year. `rows`, `held_out` and `seed` are those of `flights`;
    every column is in ``data/README.md``.

    Examples
    --------
    >>> data = census(rows=5_000, held_out=500)
    >>> len(data.schema.categorical), len(data.train)
    (31, 4000)
    """
    return CENSUS.dataset(CENSUS.read(), rows=rows, held_out=held_out, seed=seed)


def drawn(frame: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """So many rows at random, in the frame's order."""
    if not 0 < rows <= len(frame):
        raise ValueError(f"rows must lie in 1 to {len(frame):,}, not {rows}")
    picked = np.random.default_rng(seed).choice(len(frame), rows, replace=False)
    return frame.iloc[np.sort(picked)].reset_index(drop=True)


def digest_in_card(name: str) -> str:
    """The SHA-256 of a table's file, as the data card states it."""
    card = shipped("data/README.md").read_text("utf-8").partition(f"## `{name}`")[2]
    return re.search(r"\| sha256 \| `([0-9a-f]{64})` \|", card)[1]


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
