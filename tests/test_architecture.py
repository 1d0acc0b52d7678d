"""The house stands: arrows point down, importing is light, nothing touches the global seed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "tabkit"
FLOORS = {
    "schema": 1,
    **dict.fromkeys(["data", "embedding", "relaxations"], 2),
    **dict.fromkeys(["nets", "soften", "estimators"], 3),
    "train": 4,
    **dict.fromkeys(["compare", "inspection"], 5),
    "plots": 6,
    **dict.fromkeys(["widgets", "lesson"], 7),
    "__main__": 8,
}
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ["umap", "plotly", "ipywidgets", "matplotlib", "sklearn", "IPython", "joblib"]


def module_of(file):
    """The floor's name: the first part of the path below the package."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree):
    """The tabkit modules that a file names in its imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tabkit":
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("tabkit."):
                    yield alias.name.split(".")[1]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_point_to_lower_floors_only(file):
    own = module_of(file)
    if own == "__init__":
        return
    assert own in FLOORS, f"{own} has no floor: is it in the design?"
    for name in imports(ast.parse(file.read_text())):
        if name in FLOORS and name != own:
            assert FLOORS[name] < FLOORS[own], f"{own} -> {name}"


def test_importing_tabkit_is_light():
    code = f"import sys, tabkit; print([m for m in {HEAVY} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_no_file_outgrows_a_comfortable_length(file):
    assert len(file.read_text().splitlines()) <= 310


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_nothing_touches_the_global_seed(file):
    """`torch.manual_seed` and `np.random.<draw>` change state that is not ours."""
    text = file.read_text()
    assert "torch.manual_seed(" not in text
    assert "np.random.seed(" not in text
    assert "torch.set_default" not in text
