"""Small data and nets that the tests share."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import settings

from tabkit import RowEncoder, freeze, from_frame, planted

# The same examples every time, and no verdict by the clock.
settings.register_profile("tabkit", deadline=None, derandomize=True)
settings.load_profile("tabkit")


@pytest.fixture(scope="session")
def dataset():
    """600 planted rows: 4 categorical and 2 continuous columns."""
    return planted(600, categorical=4, continuous=2, cardinality=(3, 6))


@pytest.fixture
def net1(dataset):
    """A small frozen encoder of those rows."""
    return freeze(RowEncoder(dataset.schema, Z=3, width=16, depth=1, D=4))


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def frame():
    """A frame of one's own, with names in place of codes."""
    draw = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "port": draw.choice(["EWR", "JFK", "LGA"], 300),
            "gate": draw.integers(1, 5, 300),
            "wind": draw.normal(10, 4, 300),
            "delay": draw.normal(0, 30, 300),
        }
    )


@pytest.fixture(scope="session")
def own(frame):
    return from_frame(frame, categorical=["port", "gate"], continuous=["wind"], outcomes=["delay"])
