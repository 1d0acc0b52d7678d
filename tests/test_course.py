"""The executed course becomes pages: what is kept, what is folded, what is left out."""

import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "notebooks")]

import build  # noqa: E402

pytest.importorskip("docutils", reason="no Sphinx: make env")
import course  # noqa: E402
import execute  # noqa: E402
import formulas  # noqa: E402

SOURCES = build.sources()
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", re.DOTALL)


@pytest.fixture
def executed(tmp_path):
    """A folder with notebook 02 in its solved form; the function puts outputs into it."""

    def with_outputs(number, *outputs, quick=False):
        notebook = nbformat.reads(build.generate(SOURCES[2], solved=True), as_version=4)
        notebook.cells[number].outputs = list(outputs)
        notebook.metadata.tabkit = {"quick": quick}
        nbformat.write(notebook, course.executed_file(SOURCES[2].name, tmp_path))
        return nbformat.reads(course.page(SOURCES[2], tmp_path), as_version=4).cells

    return with_outputs


def code(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def result(data, kind="execute_result"):
    return nbformat.v4.new_output(kind, data)


WORDS = nbformat.v4.new_output("stream", name="stdout", text="said")
NOISE = nbformat.v4.new_output("stream", name="stderr", text="100%|####|")
BAR = result({course.WIDGET: {}, "text/plain": "100%|####|"}, "display_data")
WIDGET = result({course.WIDGET: {}, "text/html": "<p>Which?</p>"}, "display_data")
FIGURE = result({course.PLOTLY: {"data": ["</script>"]}, "text/html": '<img alt="words">'})


def test_what_was_said_stays_and_noise_and_bars_go(executed):
    found = code(executed(1, NOISE, WORDS, BAR))
    assert [output.text for output in found[0].outputs] == ["said"]


def test_its_words_stand_where_a_widget_was(executed):
    (output,) = code(executed(1, WIDGET))[0].outputs
    assert output.data == {"text/html": "<p>Which?</p>"}


def test_an_interactive_figure_brings_its_picture_and_cannot_end_its_script(executed):
    (output,) = code(executed(1, FIGURE))[0].outputs
    text = output.data["text/html"]
    assert '<img alt="words">' in text
    assert '{"data": ["<\\/script>"]}' in text
    assert text.count("</script>") == 1


def test_each_exercise_is_a_stub_with_its_solution_folded_below(executed):
    cells = executed(1)
    folded = [i for i, cell in enumerate(cells) if "hide-cell" in cell.metadata.get("tags", [])]
    solved = SOURCES[2].read_text().count("### BEGIN SOLUTION")
    assert len(folded) == solved >= 3
    for i in folded:
        assert build.PLACEHOLDER in cells[i - 1].source
        assert not cells[i - 1].outputs
        assert build.PLACEHOLDER not in cells[i].source
    assert sum(build.PLACEHOLDER in cell.source for cell in cells) == solved
    assert len({cell.id for cell in cells}) == len(cells)


def test_a_page_says_first_how_it_ran(executed):
    assert executed(1)[1].source == course.FULL
    assert executed(1, quick=True)[1].source == course.QUICK


def test_a_notebook_that_was_not_run_says_so_and_has_no_solutions(tmp_path):
    cells = nbformat.reads(course.page(SOURCES[2], tmp_path), as_version=4).cells
    assert cells[1].source == course.NOT_RUN
    reader = nbformat.reads(build.generate(SOURCES[2], solved=False), as_version=4).cells
    assert [cell.source for cell in cells[:1] + cells[2:]] == [cell.source for cell in reader]


def test_prose_is_that_of_today_whatever_was_executed(executed, monkeypatch):
    notebook = nbformat.reads(build.generate(SOURCES[2], solved=False), as_version=4)
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell("A new paragraph."))
    monkeypatch.setattr(course, "generate", lambda *_, **__: nbformat.writes(notebook))
    cells = executed(1, WORDS)
    assert cells[2].source == "A new paragraph."
    assert code(cells)[0].outputs[0].text == "said"


@pytest.fixture
def ran(monkeypatch):
    """The notebooks that are executed, by name, in place of executing them."""
    found = []

    def noted(notebook, folder, env):
        found.append(notebook.cells[0].source[2:4])
        (folder / "runs").mkdir(exist_ok=True)
        return 0.0

    monkeypatch.setattr(execute, "execute", noted)
    monkeypatch.setattr(execute, "sources", lambda: SOURCES[1:3])
    return found


PROSE = "Two habits keep such a comparison honest."


@pytest.mark.parametrize(("before", "again"), [(PROSE, []), ("import torch", ["02"])])
def test_a_notebook_is_executed_again_only_if_its_code_has_changed(
    before, again, ran, monkeypatch, tmp_path
):
    execute.course(tmp_path / "html", quick=True)
    assert ran == ["01", "02"]
    del ran[:]
    execute.course(tmp_path / "html", quick=True)
    assert ran == []

    def edited(source, *, solved):
        text = build.generate(source, solved=solved)
        return text.replace(before, "# edited") if source == SOURCES[2] else text

    assert edited(SOURCES[2], solved=True) != build.generate(SOURCES[2], solved=True)
    monkeypatch.setattr(execute, "generate", edited)
    execute.course(tmp_path / "html", quick=True)
    assert ran == again


def test_all_are_if_the_package_has_and_nothing_that_it_made_is_left(ran, monkeypatch, tmp_path):
    execute.course(tmp_path / "html", quick=True)
    monkeypatch.setattr(execute, "package_digest", lambda: "another")
    (tmp_path / "html" / "runs" / "net").write_text("old")
    execute.course(tmp_path / "html", quick=True)
    assert ran == ["01", "02", "01", "02"]
    assert not (tmp_path / "html" / "runs" / "net").exists()


def formulas_of(source):
    notebook = nbformat.reads(build.generate(source, solved=True), as_version=4)
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return [(block or line, bool(block)) for block, line in FORMULA.findall(prose)]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem[:2])
def test_every_formula_can_be_drawn(source):
    for latex, block in formulas_of(source):
        drawn = formulas.mathml(latex, block=block)
        assert drawn.startswith("<math")
        assert "\\" not in drawn
        assert "ApplyFunction;</mo>\n  <mi>" not in drawn


def test_there_are_formulas_of_both_kinds():
    assert {block for source in SOURCES for _, block in formulas_of(source)} == {True, False}


def test_a_functions_name_stands_apart_from_its_argument_and_not_from_a_bracket():
    assert formulas.SPACE in formulas.mathml(r"\log u", block=False)
    assert formulas.SPACE not in formulas.mathml(r"\log(u)", block=False)
