"""Where a widget lives its twin is folded away; where it cannot live the twin stands alone."""

import base64

import ipywidgets
import nbformat
import pandas as pd
import pytest
import torch
from nbconvert import HTMLExporter

from tabkit import plots
from tabkit.widgets import Explorer, Twin, explorer
from tabkit.widgets.explorer import themed

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def widget():
    def still(number):
        lengths = torch.tensor([1.0, number])
        picture = plots.category_bars(lengths, ["a", "b"], marked=0, label="length")
        return Twin(picture, pd.DataFrame({"length": lengths.numpy()}))

    controls = {"number": ipywidgets.IntSlider(3, min=0, max=9)}
    return Explorer("doubler", [], controls, lambda number: f"{number}", height=40, still=still)


@pytest.fixture
def outputs(widget, monkeypatch):
    """What a cell that shows the widget keeps, in a notebook."""
    seen = []
    monkeypatch.setattr(explorer, "display", lambda data, raw: seen.append(data))
    widget._ipython_display_()
    kept = [
        d | {k: base64.b64encode(v).decode() for k, v in d.items() if k == "image/png"}
        for d in seen
    ]
    return [nbformat.v4.new_output("display_data", data) for data in kept]


def test_a_cell_shows_the_widget_and_then_the_twin(widget, outputs):
    lives, twin = outputs
    assert lives.data[VIEW]["model_id"] == widget.model_id
    assert "doubler is a widget" in lives.data["text/plain"]
    assert twin.data["text/html"].count("<img") == twin.data["text/html"].count('alt="Bars') == 1
    assert "<table" in twin.data["text/html"]
    assert {"image/png", "text/plain"} < twin.data.keys()


def test_the_living_widget_folds_its_own_twin_and_no_other(widget, outputs):
    (_, twin), sheet = outputs, widget.children[-1].value
    assert f".tabkit-twin-{widget.model_id}{{display:none}}" in sheet
    assert f'<div class="tabkit-twin-{widget.model_id}">' in twin.data["text/html"]
    assert "display:none" not in twin.data["text/html"]


def test_an_exported_page_without_state_shows_the_twin(outputs):
    cell = nbformat.v4.new_code_cell("widget", outputs=outputs)
    page, _ = HTMLExporter(template_name="lab").from_notebook_node(
        nbformat.v4.new_notebook(cells=[cell])
    )
    assert "doubler is a widget: it lives where a kernel runs (make lab)." in page
    assert 'alt="Bars of length by category: a 1.00, b 3.00.' in page
    assert "display:none}" not in page.partition("tabkit-twin-")[2]


@pytest.mark.parametrize(
    ("drawn", "becomes"),
    [
        ('<path style="fill: #ffffff"/>', "fill: var(--jp-layout-color0,#fff)"),
        ('<path style="stroke: #0072b2"/>', "stroke: var(--tabkit-blue,#0072B2)"),
        ('<text fill="#222222">', 'fill="currentColor"'),
        ('<p style="color:#D55E00">', "color:var(--tabkit-orange,#D55E00)"),
        ("<td>#ffffff</td>", "<td>#ffffff</td>"),
        ('<use href="#0072b2"/>', 'href="#0072b2"'),
    ],
)
def test_only_colours_follow_the_theme(drawn, becomes):
    assert becomes in themed(drawn)
