"""pyproject, constraints, environment.yml and make describe one environment.

And what holds in others: the base alone, a part that is missing, a start without make.
"""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions, packages_distributions, requires
from pathlib import Path

import pytest
import torch
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import tabkit
from tabkit.extras import DISTRIBUTION, NEEDS, PROJECTS, imports_for

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
EXTRAS = PROJECT["project"]["optional-dependencies"]
BASE = PROJECT["project"]["dependencies"]
PARTS = {name: extra for name, extra in EXTRAS.items() if name != "all"}
OURS = {"docs", "kernels", "test"}  # extras for who works on tabkit
WANTED = [
    *BASE,
    *(requirement for extra in PARTS.values() for requirement in extra),
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
    assert package == "-e .[all,docs,test]"
    assert MAKEFILE.count("-e '.[all,docs,test]'") == 2
    assert "-c constraints.txt" in MAKEFILE


def test_all_is_every_part_but_what_only_this_repository_needs():
    (everything,) = map(Requirement, EXTRAS["all"])
    assert everything.name == DISTRIBUTION
    assert everything.extras == {*PARTS} - OURS


def test_binder_builds_the_same_within_the_declared_ranges():
    """Without the exact pins: torch is conda-forge's, where pip's would be that of CUDA."""
    binder = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text())
    python, torch, pip, installed = binder["dependencies"]
    assert (python, pip) == (CONDA["dependencies"][0], "pip")
    assert installed == {"pip": ["-e ../.[all]"]}  # as seen from the file's own folder
    (declared,) = [Requirement(one) for one in BASE if one.startswith("torch")]
    assert torch.removeprefix("pytorch-cpu") == ">=2.11,<3"
    assert SpecifierSet(torch.removeprefix("pytorch-cpu")) == declared.specifier


def test_conda_sets_what_make_sets():
    exported = re.findall(r"^export (\w+) \?= (\w+)$", MAKEFILE, re.MULTILINE)
    assert CONDA["variables"] == dict(exported)
    assert CONDA["variables"]["GOMP_SPINCOUNT"] == tabkit.openmp.SPINS


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
    assert {canonicalize_name(Requirement(text).name) for text in WANTED} - {"triton"} <= set(found)
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


def projects(requirements):
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def test_the_distribution_has_one_name_and_one_version():
    assert PROJECT["project"]["name"] == DISTRIBUTION != "tabkit"
    assert PROJECT["project"]["version"] == tabkit.__version__


def test_what_is_missed_is_brought_by_the_extra_that_is_named():
    for extra, modules in NEEDS.values():
        assert projects(PROJECTS.get(m, m) for m in modules) <= projects(EXTRAS[extra])
    missed = projects(PROJECTS.get(m, m) for _, modules in NEEDS.values() for m in modules)
    parts = set().union(*(projects(PARTS[name]) for name in PARTS if name not in OURS))
    assert parts - missed == {"jupyterlab"}  # for the notebooks alone


def imported(node):
    """The top-level modules of an import statement."""
    if isinstance(node, ast.ImportFrom):
        return [node.module.partition(".")[0]]
    return [alias.name.partition(".")[0] for alias in getattr(node, "names", [])]


def test_every_import_is_declared():
    """What comes along with the lab (IPython, say) is imported by what needs the lab only."""
    needed = [module for _, modules in NEEDS.values() for module in modules]
    lab = ["IPython", "jupyter_client", "jupyter_server", "nbformat", "tornado"]
    lab += ["traitlets", "triton"]  # the last comes along with torch for CUDA
    known = {*sys.stdlib_module_names, "tabkit", *needed, *lab}
    brought = packages_distributions()
    for file in (ROOT / "tabkit").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for module in set(imported(node)) - known:
                    assert {*map(canonicalize_name, brought[module])} <= projects(BASE), module


# Python in which some modules are not installed, and where the base must do.
FEWER = """
import importlib.machinery, json, sys
hidden = set({hidden})
class Fewer(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in hidden else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Fewer

import pandas, tabkit, torch
frame = pandas.DataFrame({{"port": list("abcb") * 50, "late": [*map(float, range(200))]}})
own = tabkit.from_frame(frame, categorical=["port"], outcomes=["late"])
for data in (own, tabkit.planted(200, categorical=3, continuous=1, cardinality=(3, 5))):
    net1 = tabkit.RowEncoder(data.schema, width=8)
    tabkit.fit_encoder(net1, data, steps=3).run()
    net1 = tabkit.freeze(net1)
    net0 = tabkit.RowPredictor(data.signal.shape[1], net1)
    softmax = tabkit.estimators.make("softmax")
    tabkit.fit_predictor(net0, net1, data, softmax, steps=3).run()
    for decoder in ("argmax", "search"):
        assert len(tabkit.decode(net0, data.signal, net1, decoder=decoder)) == len(data)
    tabkit.compare.train_and_score(softmax, net1, data, name="softmax", steps=3)
tabkit.ruler.exact_gradient(torch.zeros(1, 4), lambda x: x[:, 0], [4])

missed = {{}}
for what, (missing, use) in {uses}.items():
    hidden = set(missing or hidden)
    try:
        exec(use)
    except ModuleNotFoundError as error:
        missed[what] = str(error)
print(json.dumps(missed))
"""
# What is missing (all but the base, if not given), and its first use.
SWEEP = """cell = tabkit.compare.Cell("planted", 200, "softmax", 0, steps=1, encoder_steps=1)
tabkit.compare.sweep([cell], "nowhere")"""
CLUSTER = """import tabkit.commands
with tabkit.commands.backend("nowhere:1"): pass"""
POLARS = "import polars\ntabkit.Schema.infer(polars.DataFrame({'a': [1, 2]}), categorical=['a'])"
TRANSFORMER = """schema = tabkit.planted(200, categorical=2, continuous=1).schema
tabkit.compare.kinds.net1_of("ft_transformer", schema, 0)"""
APP = """
from tabkit.widgets import __main__ as app
app.prepare_and_serve(app.parser().parse_args([]))
"""
USES = {
    "an FT-Transformer": ([], TRANSFORMER),
    "inspection": ([], "tabkit.inspection.nearest"),
    "parquet files": ([], "tabkit.flights(1000)"),
    "plots": ([], "tabkit.plots.decoding_gap"),
    "ranks": ([], "tabkit.compare.rank(pandas.DataFrame())"),
    "sweeps": ([], SWEEP),
    "two-sample tests": ([], "tabkit.compare.two_sample(None, None)"),
    "widgets": ([], "tabkit.widgets.Explorer"),
    "other frames": (["pyarrow"], POLARS),
    "the app": (["voila"], APP),
    "a Dask cluster": (["distributed"], CLUSTER),
}


def closure(requirements):
    """The projects that come along with these."""
    found, ahead = set(), [Requirement(text) for text in requirements]
    while ahead:
        requirement = ahead.pop()
        name = canonicalize_name(requirement.name)
        if name not in found and (not requirement.marker or requirement.marker.evaluate()):
            found.add(name)
            ahead += map(Requirement, requires(name) or [])
    return found


def python(*words, **environment):
    """What Python says, with nothing set that make sets."""
    kept = {name: value for name, value in os.environ.items() if "GOMP" not in name}
    command, env = [sys.executable, *words], kept | environment
    found = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found


@pytest.fixture(scope="module")
def missed():
    """What is said where something is missing, after the base alone trained, froze and decoded."""
    base, known = closure(BASE) | {DISTRIBUTION}, packages_distributions().items()
    hidden = [module for module, names in known if not base & {*map(canonicalize_name, names)}]
    assert {"matplotlib", "scipy", "joblib", "pyarrow", "ipywidgets"} <= {*hidden}
    return json.loads(python("-c", FEWER.format(hidden=hidden, uses=USES)).stdout)


@pytest.mark.parametrize("what", NEEDS)
def test_what_is_missing_is_named_with_its_extra_when_it_is_first_used(what, missed):
    extra, modules = NEEDS[what]
    names = " and ".join(PROJECTS.get(m, m) for m in USES[what][0] or modules)
    remedy = f"pip install 'tabkit-softcodes[{extra}]'"
    assert missed[what] == f"{what} cannot do without {names}: {remedy}"


def test_a_broken_part_is_not_said_to_be_missing():
    with pytest.raises(ImportError, match="cannot import name 'nothing'"), imports_for("plots"):
        from matplotlib import nothing  # noqa: F401


LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="GNU OpenMP")


def spins(*words, **environment):
    """How often a waiting thread spins, by the library's own word."""
    said = python(*words, OMP_DISPLAY_ENV="verbose", **environment).stderr
    return set(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", said))


@LINUX
@pytest.mark.parametrize("start", ["tabkit", "tabkit.widgets"])
def test_waiting_threads_sleep_however_a_start_is_made(start):
    """Both import tabkit first, as whoever imports it does."""
    assert spins("-m", start, "--help") == {"1000"}


@LINUX
def test_what_the_environment_says_stays():
    assert spins("-c", "import tabkit", GOMP_SPINCOUNT="7") == {"7"}
    assert spins("-c", "import tabkit", OMP_WAIT_POLICY="passive") == {"0"}


CROWDED = """import os, torch
os.getloadavg = lambda: (3.0, 0, 0)
os.sched_getaffinity = lambda _: range(4)
torch.set_num_threads(2)
import tabkit, tabkit.openmp"""


@LINUX
def test_where_it_is_too_late_a_sentence_says_what_to_set():
    """Once, and never as an error."""
    assert python("-W", "error", "-c", CROWDED).stderr == tabkit.openmp.LATE + "\n"


@LINUX
@pytest.mark.parametrize(
    ("load", "threads", "environment", "said"),
    [
        (3.0, 2, {}, True),
        (2.0, 2, {}, False),
        (1.0, 4, {}, True),
        (9.0, 1, {}, False),
        (9.0, 4, {"GOMP_SPINCOUNT": "1000"}, False),
        (9.0, 4, {"OMP_WAIT_POLICY": "passive"}, False),
    ],
)
def test_it_is_said_where_other_programs_want_the_cores(
    load, threads, environment, said, monkeypatch, caplog
):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0, 0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    tabkit.openmp.settle()
    assert caplog.messages == [tabkit.openmp.LATE] * said


def test_a_wheel_carries_the_data(tmp_path):
    """Whoever installs the package without the repository gets the tables as well."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import tabkit; "
        "print(tabkit.__file__, *[len(getattr(tabkit, name)(1000, held_out=100)) for name in "
        "('flights', 'adult', 'bikeshare', 'census')])"
    )
    unpack = [sys.executable, "-m", "zipfile", "-e", str(wheel), str(tmp_path / "site")]
    subprocess.run(unpack, check=True)
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == [
        str(tmp_path / "site" / "tabkit" / "__init__.py"),
        *["1000"] * 4,
    ]


@pytest.mark.xdist_group("alone")
def test_tests_that_share_something_are_kept_to_one_process(request):
    """Else each process makes it anew, and nothing says so (pytest-xdist's issue 1386)."""
    if not hasattr(request.config, "workerinput"):
        pytest.skip("one process")
    assert request.node.nodeid.endswith("@alone")
