"""The house stands: arrows point down, importing is light, nothing touches the global seed."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import tabkit
from tabkit import compare

PACKAGE = Path(__file__).parents[1] / "tabkit"
FLOORS = {
    **dict.fromkeys(["devices", "extras", "openmp", "terminal"], 0),
    **dict.fromkeys(["simplex", "schema"], 1),
    **dict.fromkeys(["fast", "objective", "store"], 2),
    **dict.fromkeys(["capture", "data", "embedding"], 3),
    **dict.fromkeys(["estimators", "soften"], 4),
    "nets": 5,
    **dict.fromkeys(["decoders", "train"], 6),
    **dict.fromkeys(["ruler", "compare", "inspection"], 7),
    **dict.fromkeys(["plots", "runs"], 8),
    "widgets": 9,
    **dict.fromkeys(["lesson", "commands"], 10),
    "__main__": 11,
}
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ["umap", "plotly", "ipywidgets", "matplotlib", "sklearn", "scipy", "IPython", "joblib"]


def module_of(file):
    """The floor's name: the first part of the path below the package."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree):
    """The tabkit modules that a file names in its imports; ``""`` for the package itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write imports in full"
            parts = node.module.split(".")
            if parts[0] == "tabkit":
                names = [alias.name for alias in node.names]
                yield from parts[1:2] or [n if n in FLOORS else "" for n in names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] == "tabkit":
                    yield parts[1] if len(parts) > 1 else ""


def test_the_reader_of_imports_sees_every_form():
    text = (
        "import tabkit, tabkit.nets\nfrom tabkit import plots, Schema\nfrom tabkit.data.x import y"
    )
    assert list(imports(ast.parse(text))) == ["", "nets", "plots", "", "data"]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_point_to_lower_floors_only(file):
    own = module_of(file)
    if own == "__init__":
        return
    assert own in FLOORS, f"{own} has no floor: is it in the design?"
    for name in imports(ast.parse(file.read_text())):
        if name != own:
            assert FLOORS.get(name, 9) < FLOORS[own], f"{own} -> {name or 'tabkit'}"


def test_every_floor_of_the_house_is_there():
    assert {module_of(file) for file in FILES} - {"__init__"} == FLOORS.keys()


def test_importing_tabkit_is_light_and_every_module_is_there_after_it():
    rooms = sorted({module_of(file) for file in FILES} - {"__init__", "__main__"})
    code = f"""
import sys, tabkit
print([m for m in {HEAVY} if m in sys.modules])
print([room for room in {rooms} if not hasattr(tabkit, room)])
print(sorted(set({rooms}) - set(dir(tabkit))))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["[]"] * 3


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_no_file_outgrows_a_comfortable_length(file):
    assert len(file.read_text().splitlines()) <= 300


@pytest.mark.parametrize("room", sorted({f.parent for f in FILES}), ids=lambda p: p.name)
def test_no_package_outgrows_ten_files(room):
    assert len([*room.glob("*.py")]) <= 10


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_what_a_device_can_do_is_asked_in_one_place(file):
    if module_of(file) != "devices":
        text = file.read_text()
        asked = re.findall(r"\.is_(?:cuda|mps|cpu)\b|device\.type\s*(?:[!=]=|(?:not )?in\b)", text)
        assert asked == []


def test_the_whole_is_small():
    """13,000 lines; then nets and tables of one's own, more data, labels, ranks, graphs, checks,
    predictions that are kept, quizzes, an app for a class, on a network, files that are sealed,
    strangers, a doctor, kernels of our own.
    """
    assert sum(len(file.read_text().splitlines()) for file in FILES) < 23_300


def test_nothing_touches_the_global_streams():
    """The whole way, from data to decoded rows, leaves torch's and numpy's as they were.

    Python's own stream is not compared: the run-time checks of types draw from it.
    """

    def states():
        return torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist()

    before = states()
    data = tabkit.planted(300, categorical=2, continuous=1)
    net1 = tabkit.RowEncoder(data.schema, width=4)
    tabkit.fit_encoder(net1, data, steps=2, batch=16).run()
    net1 = tabkit.freeze(net1)
    for name in tabkit.estimators.names():
        estimator = tabkit.estimators.make(name)
        net0 = compare.train_and_score(estimator, net1, data, name=name, steps=2).net0
        tabkit.decode(net0, data.signal[:9], net1, decoder="search", estimator=estimator)
    compare.distance_correlation(net1, data, data.test, count=50)
    compare.random_row_loss(net1, data, data.test)
    assert states() == before


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_pythons_own_stream_is_not_used(file):
    assert "import random" not in file.read_text()
