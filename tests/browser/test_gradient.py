"""The gradient explorer in JupyterLab, worked by keyboard."""

import re

import pytest

from browser.harness import expect

PROBLEM = """
from tabkit import RowEncoder, RowPredictor, SquaredDistance, freeze, planted, widgets
from tabkit.nets import encode_rows

data = planted(600, categorical=4, continuous=2, cardinality=(3, 6))
net1 = freeze(RowEncoder(data.schema, width=32))
some = data.test[:4]
logits, numbers = (p.detach() for p in RowPredictor(8, net1, width=32)(data.signal[some]))
objective = SquaredDistance(net1, numbers, encode_rows(net1, data.rows[some]))
cardinalities = data.schema.cardinalities
"""


@pytest.fixture(scope="module")
def notebook(open_notebook):
    shown = "widgets.gradient_explorer(logits, objective, cardinalities)"
    return open_notebook([PROBLEM, shown])


@pytest.fixture
def widget(notebook):
    found = notebook.widget("gradient_explorer")
    found.reset()
    return found


def variance(words):
    return float(re.search(r"variance ([\d.]+)", words).group(1))


def test_a_hot_surrogate_scatters_less(widget):
    hot = widget.after(lambda: widget.press("tau", "End"))
    cold = widget.after(lambda: widget.press("tau", "Home"))
    assert variance(hot) < variance(cold)


def test_draws_rows_columns_and_seeds_change_the_picture(widget):
    for name, key in (("draws", "End"), ("draws", "Home")):
        widget.after(lambda name=name, key=key: widget.press(name, key))
    for name in ("row", "column", "seed"):
        widget.after(lambda name=name: widget.type(name, "2"))
    expect(widget.root).to_contain_text("draws=20, row=2, column=2, seed=2")


def test_a_bad_value_is_brought_back_into_range(widget):
    widget.after(lambda: widget.type("row", "99"))
    expect(widget.root).to_contain_text("row=3,")
    expect(widget.alert).to_have_count(0)


def test_an_estimator_without_noise_has_no_variance(widget):
    words = widget.after(lambda: widget.choose("estimator", "softmax"))
    assert variance(words) == 0


def test_the_copied_code_reproduces_the_state(widget, notebook):
    widget.after(lambda: widget.choose("estimator", "reinmax"))
    assert notebook.evaluate(f"({widget.copied()}).state['estimator']") == "'reinmax'"


def test_the_latency(widget):
    widget.latency("tau", ["ArrowRight"] * 15)


def test_nothing_went_wrong(notebook):
    notebook.check()
