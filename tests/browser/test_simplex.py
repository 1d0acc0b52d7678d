"""The simplex explorer in JupyterLab, worked by keyboard."""

import re

import pytest

from browser.harness import NETS, expect

LOGITS = [1.0, 0.0, 2.0]
MIX = """
import torch
from tabkit import compare, estimators, inspection
column = [c.name for c in data.schema.categorical].index("origin")
def shares(logits, name, **knobs):
    drawn = estimators.make(name, **knobs)
    table = net1.embedding.tables[column].weight.detach()
    return inspection.mix(torch.tensor(logits), drawn, table)
"""


@pytest.fixture(scope="module")
def notebook(open_notebook):
    cells = [NETS + MIX, "it = widgets.simplex_explorer(net0, net1, data)\nit"]
    return open_notebook(cells)


@pytest.fixture
def widget(notebook):
    """The widget, as at its start."""
    found = notebook.widget("simplex_explorer")
    found.reset()
    found.until("'origin', row=0, relaxation='softmax', tau=1.0, seed=0, logits=''")
    return found


def entropy(words):
    return float(re.search(r"entropy ([\d.]+)", words).group(1))


def expected(notebook, name, knobs=""):
    """The entropy that tabkit computes in the kernel, as the picture says it."""
    return notebook.evaluate(f"format(shares({LOGITS}, {name!r}{knobs}).entropy, '.2f')").strip("'")


def by_hand(widget):
    widget.type("logits", ", ".join(f"{x:g}" for x in LOGITS))
    widget.until("logits='1, 0, 2'")


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("combobox", "column"),
        ("spinbutton", "row"),
        ("combobox", "relaxation"),
        ("slider", "tau"),
        ("spinbutton", "seed"),
        ("textbox", "logits"),
        ("button", "reset"),
        ("button", "copy as code"),
    ],
)
def test_every_control_has_a_name_for_a_screen_reader(widget, role, name):
    expect(widget.root.get_by_role(role, name=name, exact=True)).to_be_visible()


@pytest.mark.parametrize(("key", "tau"), [("Home", 0.01), ("End", 10.0)])
def test_tau_at_both_ends(notebook, widget, key, tau):
    by_hand(widget)
    widget.press("tau", key)
    widget.until(f"tau={tau},")
    expect(widget.root.get_by_role("slider")).to_have_attribute("aria-valuetext", f"{tau:#.3g}")
    assert f"entropy {expected(notebook, 'softmax', f', tau={tau}')}" in widget.words


def test_tau_step_by_step_heats_the_simplex(widget):
    by_hand(widget)
    found = [entropy(widget.words)]
    for _ in range(6):
        found.append(entropy(widget.after(lambda: widget.press("tau", "ArrowRight"))))
    assert found == sorted(found)
    assert found[-1] > found[0]


def test_every_relaxation_is_offered_and_shown(notebook, widget):
    by_hand(widget)
    for name in ("hard_argmax", "sparsemax", "softmax"):
        widget.choose("relaxation", name)
        widget.until(f"relaxation={name!r}")
        assert f"entropy {expected(notebook, name)}" in widget.words


def test_every_column_is_shown_with_its_categories(notebook, widget):
    options = widget.control("column").locator("option").all_inner_texts()
    for name in (options[-1], options[0]):
        widget.choose("column", name)
        width = notebook.evaluate(f"data.schema.cardinalities[{options.index(name)}]")
        widget.until(f"column={name!r}")
        assert widget.words.startswith(f"Simplex of {width} categories")


@pytest.mark.parametrize(("name", "ends"), [("row", (0, 499)), ("seed", (0, 2**31 - 1))])
def test_a_number_field_at_both_ends_and_beyond(widget, name, ends):
    widget.choose("relaxation", "gumbel_softmax")
    widget.until("gumbel_softmax")
    low = widget.words
    high = widget.after(lambda: widget.type(name, str(ends[1])))
    widget.type(name, "-1")
    widget.until(f"{name}={ends[0]},")
    assert (widget.field(name), widget.words) == (str(ends[0]), low)
    widget.type(name, str(ends[1] + 1))
    widget.until(f"{name}={ends[1]},")
    assert (widget.field(name), widget.words) == (str(ends[1]), high)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1, 2", "there are 3 categories, but 2 logits"),
        ("1, x, 2", "'1, x, 2' is not a list of numbers such as 1, 0, 2"),
        ("1, nan, 2", "'1, nan, 2' has a logit that is not finite"),
    ],
)
def test_bad_logits_are_told_in_words_and_then_forgotten(widget, text, words):
    widget.type("logits", text)
    expect(widget.alert).to_have_text(f"ValueError: {words}")
    by_hand(widget)
    expect(widget.alert).to_have_count(0)


def test_reset_brings_back_the_start(widget):
    start = widget.words
    by_hand(widget)
    widget.press("tau", "End")
    widget.choose("relaxation", "sparsemax")
    widget.until("tau=10.0", "sparsemax")
    assert widget.words != start
    widget.reset()
    assert widget.words == start


def test_the_copied_code_reproduces_the_state(notebook, widget):
    by_hand(widget)
    widget.press("tau", "ArrowLeft", "ArrowLeft")
    widget.choose("relaxation", "gumbel_softmax")
    widget.type("seed", "7")
    widget.until("seed=7", "gumbel_softmax", "tau=0.7")
    copied = widget.copied()
    assert copied == widget.code
    assert notebook.evaluate(f"{copied}.state == it.state") == "True"
    assert notebook.evaluate(f"{widget.words!r} in {copied}.picture.value") == "True"


def test_the_latency(widget):
    by_hand(widget)
    widget.latency("tau", ["ArrowLeft"] * 15)


def test_nothing_went_wrong(notebook):
    notebook.check()
