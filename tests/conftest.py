"""Small data and nets that the tests share."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapes  # noqa: F401  (before tabkit: it is what its functions are checked by)
import torch
from hypothesis import settings
from torch import nn

from tabkit import RowEncoder, freeze, from_frame, planted
from tabkit.simplex import one_hot

# The same examples every time, and no verdict by the clock.
settings.register_profile("tabkit", deadline=None, derandomize=True)
settings.load_profile("tabkit")


SHARED = ("site", "browser", "plain_torch", "missed", "finished", "grown", "server", "flights")
SHARED += ("test_inspection_projection",)  # what umap compiles when it first runs


def pytest_itemcollected(item):
    """Of several processes one takes all tests that share something that is long in the making."""
    names = {*getattr(item, "fixturenames", ()), item.path.stem}
    for shared in SHARED:
        if shared in names:
            item.add_marker(pytest.mark.xdist_group(shared))
            return


def pytest_collection_modifyitems(items):
    """The longest begin first: what one process does alone, then the notebooks."""
    alone = {"browser": 0, "plain_torch": 1}
    items.sort(
        key=lambda item: min(
            [alone.get(mark.args[0], 9) for mark in item.iter_markers("xdist_group")]
            + [2 if "top_to_bottom" in item.name else 9]
        )
    )


@pytest.fixture(scope="session")
def dataset():
    """600 planted rows: 4 categorical and 2 continuous columns."""
    return planted(600, categorical=4, continuous=2, cardinality=(3, 6))


@pytest.fixture
def net1(dataset):
    """A small frozen encoder of those rows."""
    return freeze(RowEncoder(dataset.schema, Z=3, width=16, depth=1, D=4, embedding_std=None))


class Bare(nn.Module):
    """A net1 by hand that has its call and knows its columns, and nothing else: no table."""

    def __init__(self, cardinalities, continuous_features, Z=3):
        super().__init__()
        self.cardinalities, self.continuous_features = cardinalities, continuous_features
        drawn = torch.Generator().manual_seed(0)
        inputs = sum(cardinalities) + continuous_features
        self.into = nn.Parameter(torch.randn(inputs, 8, generator=drawn))
        self.out = nn.Parameter(torch.randn(8, Z, generator=drawn))

    def forward(self, categorical, continuous):
        if not categorical.is_floating_point():
            categorical = one_hot(categorical, self.cardinalities, self.into.dtype)
        return (torch.cat([categorical, continuous], dim=1) @ self.into).tanh() @ self.out


@pytest.fixture
def bare(dataset):
    return freeze(Bare(dataset.schema.cardinalities, len(dataset.schema.continuous)))


@pytest.fixture(scope="session")
def plain_torch():
    """What torch makes of tabkit, by section, name and way: see `tests/plain_torch.py`."""
    script = Path(__file__).with_name("plain_torch.py")
    found = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    return json.loads(found.stdout)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The built pages with a small course, by file: see `tests/build_site.py`."""
    if any(importlib.util.find_spec(name) is None for name in ("sphinx", "myst_nb")):
        pytest.skip("no Sphinx: make env")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, Path(__file__).with_name("build_site.py"), folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = folder / "html"
    return {file.relative_to(pages).as_posix(): file for file in pages.rglob("*.*")}


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
