"""The notebooks are generated, keep their form, and run top to bottom, solved and unsolved.

In the quick mode: whether their claims hold is asked by `make claims`, from more seeds than one.
"""

import ast
import os
import sys
from pathlib import Path
from statistics import median

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
sys.path.insert(0, str(FOLDER))

import build  # noqa: E402

SOURCES = build.sources()
BUILT = build.notebooks()  # by path, as they must be
TIMEOUT = 900  # seconds a cell; only a stalled kernel meets it
# A sweep's own workers import all of it anew, while the tests beside this one have the other cores.
QUICK = {"TABKIT_QUICK": "1", "LOKY_MAX_CPU_COUNT": "1"}


def names(path):
    return str(path.relative_to(FOLDER))


def read(source, *, solved):
    return nbformat.reads(build.generate(source, solved=solved), as_version=4)


@pytest.fixture(params=SOURCES, ids=names)
def notebook(request):
    return read(request.param, solved=False)


@pytest.mark.parametrize("path", BUILT, ids=names)
def test_the_notebook_in_git_is_the_generated_one(path):
    assert path.read_text(encoding="utf-8") == BUILT[path], "run: make notebooks"


def test_no_other_notebook_is_in_git():
    found = {p for p in FOLDER.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts}
    assert found == set(BUILT)


@pytest.mark.parametrize("path", BUILT, ids=names)
def test_notebooks_have_no_outputs(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert cell.get("execution_count") is None
        assert not cell.get("outputs")


@pytest.mark.parametrize("source", SOURCES, ids=names)
def test_the_reader_gets_the_exercise_without_its_solution(source):
    reader, solved = read(source, solved=False), read(source, solved=True)
    exercises = [c.source for c in reader.cells if build.PLACEHOLDER in c.source]
    assert len(exercises) == source.read_text().count("### BEGIN SOLUTION") >= 3
    assert "SOLUTION" not in "".join(c.source for c in (*reader.cells, *solved.cells))
    assert build.PLACEHOLDER not in "".join(c.source for c in solved.cells)


def code_lines(cell):
    return [line for line in cell.source.splitlines() if line.strip()]


@pytest.mark.parametrize("source", SOURCES, ids=names)
def test_cells_are_short(source):
    """As the reader gets them. Claims, a list of sentences with their numbers, stand apart."""
    notebook = read(source, solved=False)
    cells = [c for c in notebook.cells if c.cell_type == "code" and 'claim(\n    "' not in c.source]
    lengths = [len(code_lines(c)) for c in cells]
    assert median(lengths) <= 4
    assert sum(n <= 10 for n in lengths) >= 0.9 * len(lengths)
    assert max(lengths) <= 20
    assert len(notebook.cells) <= 45


def test_no_cell_prints_every_step_of_a_training(notebook):
    for cell in (c for c in notebook.cells if c.cell_type == "code"):
        match ast.parse(cell.source).body:
            case [*_, ast.Expr(ast.Call(ast.Attribute(attr="run")))]:
                pytest.fail(f"give what .run() returns a name:\n{cell.source}")


def test_prose_keeps_pace_with_code(notebook):
    words = sum(len(c.source.split()) for c in notebook.cells if c.cell_type == "markdown")
    lines = sum(len(code_lines(c)) for c in notebook.cells if c.cell_type == "code")
    assert 6 <= words / lines <= 15


def test_the_lesson_has_its_parts(notebook):
    prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    code = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    assert "?" in prose.splitlines()[0]
    for part in ("You will", "You learn", "You need", "of computing", "Where this stands"):
        assert part in prose
    for heading in ("question", "Why", "Turn the dial", "Exercises", "Take-aways", "Quiz"):
        assert f"## {heading}" in prose or f"## The {heading}" in prose
    for call in ("predict(", ".compare(", "check(", "claim(", "quiz("):
        assert call in code
    assert code.count("claim(") >= 3


def place_of(cells, heading):
    """Where the section of that heading begins."""
    (found,) = [i for i, cell in enumerate(cells) if f"## {heading}" in cell.source]
    return found


COPIED = """from ipywidgets.widgets.widget import _instances
from tabkit.widgets.explorer import Explorer
for made in [one for one in _instances.values() if isinstance(one, Explorer)]:
    assert eval(made.code).code == made.code"""


def both_readers(source):
    """The lesson for who solves nothing, then for who solves all, in one: what lies before the
    exercises is the same for both, and is run once.
    """
    reader, solved = read(source, solved=False), read(source, solved=True)
    begin = place_of(solved.cells, "Exercises")
    before = [c.source.replace("](../../", "](../") for c in solved.cells[:begin]]  # lies deeper
    assert [c.source for c in reader.cells[:begin]] == before
    undone = reader.cells[begin:]
    pasted = [nbformat.v4.new_code_cell(COPIED)] * ("widgets." in "".join(before))
    solved.cells = [*solved.cells[:begin], *undone, *solved.cells[begin:], *pasted]
    for number, cell in enumerate(solved.cells):
        cell["id"] = f"cell-{number}"
    return solved, begin, begin + len(undone)


def checks_of(cells):
    """What each cell with a check says."""
    return [
        "".join(output.text for output in cell.outputs if output.get("name") == "stdout")
        for cell in cells
        if cell.cell_type == "code" and 'check("' in cell.source
    ]


@pytest.mark.parametrize("source", SOURCES, ids=names)
def test_the_notebook_runs_top_to_bottom(source, tmp_path):
    """With solutions every exercise is right, without them undone; what a widget copies as code
    makes the same widget in the notebook's next cell.
    """
    notebook, undone, done = both_readers(source)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=TIMEOUT, resources=resources).execute(env=os.environ | QUICK)
    without, with_them = checks_of(notebook.cells[undone:done]), checks_of(notebook.cells[done:])
    assert len(without) == len(with_them) >= 3
    assert all("Not done yet" in text for text in without)
    assert all(text.startswith("Right") for text in with_them)
    checked = [c for c in notebook.cells if c.cell_type == "code" and 'check("' in c.source]
    assert "execute_result" not in {out.output_type for c in checked for out in c.outputs}


def test_without_widgets_a_notebook_asks_in_words(tmp_path):
    """As on a machine that has tabkit, but no ipywidgets."""
    (source,) = [source for source in SOURCES if source.stem.startswith("02")]
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['ipywidgets'] = None\n")
    notebook = read(source, solved=False)
    paths = filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])
    env = os.environ | {"TABKIT_QUICK": "1", "PYTHONPATH": os.pathsep.join(paths)}
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=TIMEOUT, resources=resources).execute(env=env)
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    said = "".join(out.text for out in outputs if out.get("name") == "stdout")
    assert "Write your answer into the call, as in predict('02.a', ..., 'agree', ...)" in said
    assert said.count("as in quiz('02', 'a', 'a', 'a')") == 3
    assert not any("widget" in kind for out in outputs for kind in out.get("data", {}))
