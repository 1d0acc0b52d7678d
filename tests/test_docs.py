"""The pages are true: their code runs, their links lead somewhere, their numbers are the kept ones.

The site that is built of them asks nobody for anything.
"""

import re
import sys
import tomllib
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import torch

import tabkit
from tabkit import __main__ as cli
from tabkit import compare
from tabkit.compare import parse_spec
from tabkit.estimators import registry
from tabkit.nets import interface

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.glob("*.md"))]
DOCUMENTS = [*PAGES, *(ROOT / name for name in ("CHANGELOG.md", "data/README.md"))]
DOCUMENTS += [ROOT / "benchmarks" / "README.md"]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text() for page in DOCUMENTS}

sys.path.insert(0, str(DOCS))
import tables  # noqa: E402


def blocks(name, language="python"):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXTS[name], re.MULTILINE | re.DOTALL)


@pytest.fixture
def registered(monkeypatch):
    """Estimators that a page files are gone after it."""
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))


OWN_TEST = ("README.md", "docs/your_own_loss.md")
WITH_CODE = [name for name in TEXTS if blocks(name) and name not in OWN_TEST]


@pytest.mark.parametrize("name", WITH_CODE)
@pytest.mark.usefixtures("registered")
def test_a_pages_code_runs_from_top_to_bottom(name):
    exec(compile("\n".join(blocks(name)), name, "exec"), {"__name__": "page"})


def test_the_page_on_losses_says_what_its_code_finds():
    names = {"__name__": "page"}
    exec(compile("\n".join(blocks("docs/your_own_loss.md")), "your_own_loss.md", "exec"), names)
    assert names["share"]["argmax"] > 0.9
    assert names["share"]["search"] > 0.99
    assert names["changed"].turned  # the gradient's
    assert names["score"](names["hard"]).shape == (144,)


def yours():
    """What README takes as given: the first net of the page on it, a net0, and a few batches."""
    names = {"__name__": "page"}
    exec(compile(blocks("docs/your_own_net.md")[0], "your_own_net.md", "exec"), names)
    net1, data = names["net1"], names["data"]
    net0 = tabkit.RowPredictor(data.signal.shape[1], net1)
    target = net1(data.rows.codes, data.rows.continuous).detach()
    loader = [(data.signal[:64], target[:64])] * 30
    optimizer = torch.optim.Adam(net0.parameters(), lr=3e-3)
    return {"net0": net0, "net1": net1, "loader": loader, "optimizer": optimizer}


def test_the_readmes_code_trains_a_net_of_ones_own():
    (code,) = blocks("README.md")
    assert len([line for line in code.splitlines() if line]) <= 12
    names = yours() | {"losses": []}
    noted = "loss.backward(); losses.append(loss.item())"
    exec(compile(code.replace("loss.backward()", noted), "README.md", "exec"), names)
    assert names["losses"][-1] < names["losses"][0]
    assert len(names["rows"]) == 64


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_are_those_of_the_kept_results_and_of_the_registry(page):
    """If not: ``python docs/tables.py``."""
    text = page.read_text()
    assert (
        text.count("<!-- table:") == text.count("<!-- end -->") == len(tables.PLACE.findall(text))
    )
    assert tables.filled(text) == text


def test_every_table_that_can_be_made_stands_somewhere():
    assert sorted(
        found for text in TEXTS.values() for found in tables.PLACE.findall(text)
    ) == sorted(tables.TABLES)


def anchors(text):
    """Those of a page's headings, as GitHub and the site make them."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def prose_of(notebook):
    cells = nbformat.read(notebook, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LINKING = TEXTS | {
    path.relative_to(ROOT).as_posix(): prose_of(path)
    for path in (ROOT / "notebooks").rglob("*.ipynb")
    if ".ipynb_checkpoints" not in path.parts
}


@pytest.mark.parametrize("name", LINKING)
def test_links_lead_to_files_and_headings_that_are_there(name):
    prose = re.sub(r"^```.*?^```$", "", LINKING[name], flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", prose):
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file.read_text()), target


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem[:2])
def test_a_notebook_leads_to_the_glossary_for_some_words_and_not_for_all(notebook):
    if notebook.stem.startswith("08"):
        pytest.skip("its words are explained where they stand")
    assert 1 <= prose_of(notebook).count("glossary.md#") <= 4


def test_the_index_leads_to_every_page():
    linked = set(re.findall(r"\]\(([^)]+\.md)\)", TEXTS["docs/index.md"]))
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md"} <= linked


def test_the_readme_is_one_screen_and_a_half_and_lists_the_course():
    assert len(TEXTS["README.md"].splitlines()) <= 150
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"(notebooks/{notebook.name})" in TEXTS["README.md"]


def test_pictures_are_small_shown_and_described():
    shown = {
        match[1]
        for text in TEXTS.values()
        for match in re.findall(r"!\[([^\]]+)\]\(.*?(\w+\.png)\)", text)
        if len(match[0]) > 50
    }
    found = {image.name: image.stat().st_size for image in (DOCS / "images").iterdir()}
    assert set(found) == shown
    assert max(found.values()) < 150_000


def test_nobody_is_sent_to_another_package_of_the_name():
    for name, text in TEXTS.items():
        assert not re.search(r"pip install[^\n]*\btabkit\b", text), name


@pytest.mark.parametrize("name", ["README.md", "docs/install.md"])
def test_every_make_target_exists(name):
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"\bmake (\w+) ", TEXTS[name]))
    assert {"lab", "run", "app", "test", "docs"} <= named
    for target in named - {"commands"}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_extra_is_told():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra in project["optional-dependencies"]:
        assert f"`{extra}`" in TEXTS["docs/install.md"], extra


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "CHANGELOG.md"])
def test_every_command_line_is_understood(name):
    for line in re.findall(r"python -m tabkit ((?:run|compare|recommend)[^`#\n]*)", TEXTS[name]):
        if "--help" not in line:
            cli.parser().parse_args(line.split())
    for spec in re.findall(r"\(`--estimators ([^`)]+)`", TEXTS[name]):
        assert all(parse_spec(text) for text in spec.split())


def test_the_paired_differences_are_those_of_the_kept_cells():
    cells = pd.read_csv(ROOT / "benchmarks" / "results" / "comparison_cells.csv")
    said = re.search(
        r"on flights by ([\d.]+)\s\(standard error ([\d.]+)\), on planted rows by "
        r"([\d.]+) \(([\d.]+)\)",
        TEXTS["docs/comparison.md"],
    ).groups()
    for data, numbers in (("flights", said[:2]), ("planted", said[2:])):
        part = cells[(cells["data"] == data) & (cells["budget"] == "steps")]
        wide = part.pivot(index="seed", columns="estimator")
        argmax = wide["decode_argmax"].drop(columns=["cross_entropy", "limit"])
        gain = argmax[argmax.mean().idxmin()] - wide["decode_search"]["softmax:tau=1"]
        assert [f"{gain.mean():.2f}", f"{gain.sem():.2f}"] == list(numbers)


def test_the_kept_comparison_sums_up_the_kept_cells():
    results = pd.read_csv(ROOT / "benchmarks" / "results" / "comparison_cells.csv")
    summary = compare.sweep_summary(results).set_index(["data", "budget", "estimator"])
    kept = compare.kept_comparison().set_index(["data", "budget", "estimator"])
    pd.testing.assert_frame_equal(
        kept, summary.loc[kept.index, kept.columns], check_dtype=False, rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("place", tables.places(), ids="-".join)
def test_the_readmes_verdict_is_that_of_its_table_and_of_all_others(place):
    """The softmax: least relaxed, by argmax the worst, by search the best of all, or tied."""
    found, name = tables.everywhere(*place).loc[list(tables.ANSWERS)], "softmax:tau=1"
    decoded = found[tables.ANSWERED].drop(columns="decode_restarts")
    assert found["decode_relaxed"].idxmin() == name
    assert decoded["decode_argmax"].idxmax() == name
    if place == ("adult", "ft_transformer"):  # tests/test_rule.py: the seeds do not part them
        assert decoded.loc[name, "decode_search"] < 1.03 * decoded.min(axis=None)
    else:
        assert decoded.loc[name, "decode_search"] == decoded.min(axis=None)


def test_what_the_readme_says_of_the_ends_is_so():
    softmax, text = tables.answers().loc["softmax:tau=1"], " ".join(TEXTS["README.md"].split())
    assert softmax["decode_argmax"] > softmax["random_row"]
    assert f"costs {softmax['random_row']:.2f}, the limit is {softmax['limit']:.2f}." in text


def test_your_own_net_names_all_that_a_net_may_have():
    for name in interface.MAY_HAVE:
        assert re.search(rf"`{name}\b", TEXTS["docs/your_own_net.md"]), name


def test_the_site_is_whole(site):
    for page in (
        *TEXTS,
        "docs/api/tabkit.simplex.md",
        "docs/api/tabkit.estimators.md",
        "search.md",
        *(f"notebooks/{notebook.stem}.md" for notebook in NOTEBOOKS),
    ):
        assert page.replace(".md", ".html") in site, page
    formulas = site["docs/api/tabkit.simplex.html"].read_text()
    assert "straight_through" in formulas
    assert "url=README.html" in site["index.html"].read_text()


def test_the_site_asks_nobody_for_anything(site):
    """Links may lead outside; what a page loads may not. No formula waits for a script."""
    loads = re.compile(
        r"<(?:script|link|img|iframe|source)\b[^>]*(?:src|href)=[\"']?(?:https?:)?//[^>]*>"
    )
    for name, file in site.items():
        if name.endswith((".html", ".css")):
            text = file.read_text()
            assert not loads.search(text), name
            assert not re.search(r"@import|url\([\"']?(?:https?:)?//", text), name
            assert 'class="math notranslate' not in text, name
