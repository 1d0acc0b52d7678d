"""pyproject, constraints, environment.yml and make describe one environment."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
EXTRAS = PROJECT["project"]["optional-dependencies"]
WANTED = [
    *PROJECT["project"]["dependencies"],
    *(requirement for extra in EXTRAS.values() for requirement in extra),
    *PROJECT["build-system"]["requires"],
]


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


PINS = {canonicalize_name(name): version for name, version in pins().items()}


def pip_lines():
    (section,) = [d["pip"] for d in CONDA["dependencies"] if isinstance(d, dict)]
    return section


@pytest.mark.parametrize("text", WANTED)
def test_the_pins_satisfy_every_declared_range(text):
    requirement = Requirement(text)
    version = PINS[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)
    assert requirement.specifier, f"{requirement.name} has no lower bound"


def test_every_pin_is_exact_and_names_no_build_or_place():
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.]+", line), line


def test_conda_installs_by_pip_what_make_installs():
    constraint, package = pip_lines()
    assert constraint == "-c constraints.txt"
    assert package == f"-e .[{','.join(EXTRAS)}]"
    assert f"-e '.[{','.join(EXTRAS)}]'" in MAKEFILE
    assert "-c constraints.txt" in MAKEFILE


def test_condas_python_is_one_that_the_project_supports():
    (python,) = [d for d in CONDA["dependencies"] if str(d).startswith("python")]
    version = python.removeprefix("python").strip(" =")
    assert SpecifierSet(PROJECT["project"]["requires-python"]).contains(version)
    assert f">={version}" == PROJECT["project"]["requires-python"]


def made_by_make():
    return (Path(sys.prefix) / ".installed").exists()


@pytest.mark.skipif(not made_by_make(), reason="not the environment that make built")
def test_this_environment_holds_the_pinned_versions():
    """Packages that only another platform or build needs have no pin, and are free."""
    found = {canonicalize_name(d.metadata["Name"]): d.version for d in distributions()}
    assert {canonicalize_name(Requirement(text).name) for text in WANTED} <= set(found)
    for name in set(found) & set(PINS):
        assert found[name].split("+")[0] == PINS[name], name


@pytest.mark.skipif(not made_by_make(), reason="not the environment that make built")
def test_condas_pip_section_is_satisfied_by_this_environment():
    """Resolved by pip itself, with no index to fetch anything from."""
    options = ["--dry-run", "--no-index", "--no-build-isolation", "-q"]
    words = " ".join(pip_lines()).split()
    command = [sys.executable, "-m", "pip", "install", *options, *words]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_a_wheel_carries_the_data(tmp_path):
    """Whoever installs the package without the repository gets the flights as well."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import tabkit; "
        "print(tabkit.__file__, len(tabkit.flights(1000, held_out=100)))"
    )
    unpack = [sys.executable, "-m", "zipfile", "-e", str(wheel), str(tmp_path / "site")]
    subprocess.run(unpack, check=True)
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == [str(tmp_path / "site" / "tabkit" / "__init__.py"), "1000"]
