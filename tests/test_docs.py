"""The documents are true: their code runs, their links lead somewhere, their commands exist."""

import re
from pathlib import Path

import pandas as pd
import pytest

from tabkit import __main__ as cli
from tabkit import estimators
from tabkit.compare import parse_spec

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "data" / "README.md"]
README = DOCUMENTS[0].read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.splitlines()[0])
def test_the_readmes_code_runs(code, capsys):
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(document):
    for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_every_make_target_of_the_readme_exists():
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"\bmake (\w+)", README))
    assert {"env", "lab", "run", "test"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_command_line_of_the_readme_is_understood():
    for line in re.findall(r"python -m tabkit ((?:run|compare)[^`\n]*)", README):
        if "--help" not in line:
            cli.parser().parse_args(line.split())
    for spec in re.findall(r"--estimators ([^`)]+)`", README):
        assert all(parse_spec(text) for text in spec.split())


def test_the_readmes_table_is_the_kept_result():
    kept = pd.read_csv(ROOT / "benchmarks" / "results" / "flights_main_job.csv")
    columns = ["train_relaxed", "test_relaxed", "test_decoded", "test_decoded_se", "gap"]
    table = README[README.index("| what net0 hands") : README.index("A random flight")]
    rows = [line.split("|")[2:-1] for line in table.strip().splitlines()[2:]]
    found = [[float(cell.strip(" *")) for cell in row] for row in rows]
    assert found == kept[columns].round(2).to_numpy().tolist()


def test_the_readme_names_every_module():
    for module in (ROOT / "tabkit").iterdir():
        name = module.name.removesuffix(".py")
        if not name.startswith("__"):
            assert f"`tabkit.{name}`" in README, name


def test_every_notebook_is_in_the_readmes_course():
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"(notebooks/{notebook.name})" in README


def test_the_readme_names_every_estimator():
    for name in estimators.names():
        assert f"`{name}`" in README, name
