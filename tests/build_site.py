"""Builds the site with a small course, for tests: ``python tests/build_site.py FOLDER``.

Notebook 02 as it runs, in the quick mode; 06 with an output of each kind, and not run. The others
are as in `make docs`.
"""

import sys
from pathlib import Path

import nbformat
import plotly.graph_objects as go
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import course  # noqa: E402
import execute  # noqa: E402
import publish  # noqa: E402

from tabkit.plots.maps.interactive import Interactive  # noqa: E402
from tabkit.plots.picture import Picture  # noqa: E402

RUN, ALL_KINDS = "02", "06"


def displayed(data, kind="display_data"):
    return nbformat.v4.new_output(kind, data)


def of_all_kinds():
    """A bar, a widget, an interactive figure with its words, noise, and a wide table."""
    figure = Figure(figsize=(3, 2))
    figure.add_subplot().plot([1, 2])
    living = Interactive(go.Figure(go.Scatter(y=[1, 2])), Picture(figure, "a line that rises"))
    return [
        displayed({course.WIDGET: {"model_id": "1"}, "text/plain": "  0%|    | 0/3"}),
        displayed({course.WIDGET: {"model_id": "2"}, "text/html": '<p class="still">words</p>'}),
        *map(displayed, living.outputs),
        nbformat.v4.new_output("stream", name="stderr", text="a warning"),
        displayed({"text/html": f"<table><tr>{'<td>wide</td>' * 60}</tr></table>"}),
    ]


def small_course(folder):
    """What `publish` is to find executed."""
    folder.mkdir()
    (run,) = (source for source in execute.sources() if source.stem.startswith(RUN))
    (shown,) = (source for source in execute.sources() if source.stem.startswith(ALL_KINDS))
    execute.solved(run, folder, quick=True)
    notebook = nbformat.reads(execute.generate(shown, solved=True), as_version=4)
    notebook.metadata.tabkit = {"quick": True}
    next(cell for cell in notebook.cells if cell.cell_type == "code").outputs = of_all_kinds()
    nbformat.write(notebook, course.executed_file(shown.name, folder))


if __name__ == "__main__":
    place = Path(sys.argv[1])
    small_course(place / "executed")
    sys.exit(publish.site(place / "html", place / "executed"))
