"""The documents are true: their code runs, their links lead somewhere, their commands exist."""

import re
from pathlib import Path

import pandas as pd
import pytest

from tabkit import __main__ as cli
from tabkit import compare, estimators
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
    for line in re.findall(r"python -m tabkit ((?:run|compare)[^`#\n]*)", README):
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


def test_the_readmes_comparison_is_the_kept_one():
    kept = compare.kept_comparison()
    steps = kept[kept["budget"] == "steps"].set_index(["data", "estimator"]).round(2)
    measures = ["test_relaxed", "test_decoded", "test_decoded_se", "decode_argmax", "decode_search"]
    lines = re.findall(r"^\| `([^`]+)`[^|]*\|(.*±.*)\|$", README, re.MULTILINE)
    assert len(lines) > 10
    for name, cells in lines:
        found = [float(cell) for cell in re.split(r"[|±]", cells.replace("*", ""))]
        wanted = [steps.loc[(data, name), m] for data in ("flights", "planted") for m in measures]
        assert found == pytest.approx(wanted, abs=1e-9), name


def test_the_readmes_paired_differences_are_those_of_the_kept_cells():
    cells = pd.read_csv(ROOT / "benchmarks" / "results" / "comparison_cells.csv")
    said = re.search(
        r"on flights by ([\d.]+)\s\(standard error ([\d.]+)\), on planted rows by "
        r"([\d.]+) \(([\d.]+)\)",
        README,
    ).groups()
    for data, numbers in (("flights", said[:2]), ("planted", said[2:])):
        part = cells[(cells["data"] == data) & (cells["budget"] == "steps")]
        wide = part.pivot(index="seed", columns="estimator")
        argmax = wide["decode_argmax"].drop(columns="cross_entropy")
        gain = argmax[argmax.mean().idxmin()] - wide["decode_search"]["softmax:tau=1"]
        assert [f"{gain.mean():.2f}", f"{gain.sem():.2f}"] == list(numbers)


def test_the_kept_comparison_sums_up_the_kept_cells():
    results = pd.read_csv(ROOT / "benchmarks" / "results" / "comparison_cells.csv")
    summary = compare.sweep_summary(results).set_index(["data", "budget", "estimator"])
    kept = compare.kept_comparison().set_index(["data", "budget", "estimator"])
    pd.testing.assert_frame_equal(
        kept, summary.loc[kept.index], check_dtype=False, rtol=1e-3, atol=1e-3
    )


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
