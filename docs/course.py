"""The executed course as pages: what `conf.py` hands to Sphinx in place of the notebooks.

An exercise shows what the reader gets, and its solution folded below. What needs a kernel is left
out: where widgets are stand their words and pictures, and a script brings plotly's figures to life.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "notebooks"))

from build import generate  # noqa: E402

PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
PROMPTS = {
    "code_prompt_show": "Show the solution and what it gives",
    "code_prompt_hide": "Hide the solution",
}
FULL = """```{note}
The notebook as it ran from seed 0, with the solutions folded below the exercises. To change it,
and to answer for yourself, open it in JupyterLab: `make lab`. The [glossary](../docs/glossary.md)
explains the words; [the triangle](../docs/triangle.md) is a figure to turn that needs no kernel.
```"""
NOT_RUN = """```{note}
Not run, so without figures and numbers: `make html` runs the course for this page, and `make lab`
opens it in JupyterLab. The [glossary](../docs/glossary.md) explains the words;
[the triangle](../docs/triangle.md) is a figure to turn that needs no kernel.
```"""
QUICK = """```{warning}
Run in the quick mode: every cell ran, little was trained, and no number here means anything.
```"""


def page(source: Path, folder: Path) -> str:
    """The page of one notebook, from its executed form in a folder, if there is one."""
    reader = nbformat.reads(generate(source, solved=False), as_version=4)
    file, note, cells = executed_file(source.name, folder), NOT_RUN, reader.cells
    if file.exists():
        executed = nbformat.read(file, as_version=4)
        note = QUICK if executed.metadata.tabkit.quick else FULL
        ran = (cell for cell in executed.cells if cell.cell_type == "code")
        cells = [part for cell in reader.cells for part in parts(cell, ran)]
    cells.insert(1, nbformat.v4.new_markdown_cell(note))
    return nbformat.writes(nbformat.v4.new_notebook(metadata=reader.metadata, cells=cells))


def executed_file(name: str, folder: Path) -> Path:
    """Where a notebook's executed form lies."""
    return (folder / name).with_suffix(".ipynb")


def parts(stub: NotebookNode, ran: Iterator[NotebookNode]) -> list[NotebookNode]:
    """The cells of a page for one of the reader's: two for an exercise, the second one folded.

    Prose is that of today: what was executed may be older than it.
    """
    if stub.cell_type == "markdown":
        return [stub]
    cell = next(ran)
    cell.outputs = [kept for output in cell.outputs for kept in still(output)]
    if stub.source == cell.source:
        return [cell]
    cell.id += "-solved"
    cell.metadata = {"tags": ["hide-cell"], "mystnb": PROMPTS}
    return [stub, cell]


def still(output: NotebookNode) -> list[NotebookNode]:
    """What a page shows of an output: nothing of progress and warnings, words for a widget."""
    if output.output_type == "stream":
        return [output] if output.name == "stdout" else []
    if WIDGET in output.data:  # one without words for a page is a bar
        words = output.data.get("text/html")
        return [displayed(words)] if words else []
    return [displayed(living(output.data))] if PLOTLY in output.data else [output]


def displayed(text: str) -> NotebookNode:
    """An output of HTML."""
    return nbformat.v4.new_output("display_data", {"text/html": text})


def living(data: NotebookNode) -> str:
    """A plotly figure: its picture, and the figure itself for `living.js` to put in its place."""
    figure = json.dumps(data[PLOTLY]).replace("</", "<\\/")
    return (
        f'<div class="living">{data["text/html"]}'
        f'<script type="application/json">{figure}</script></div>'
    )
