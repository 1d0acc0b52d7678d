"""The frame of every widget: what changes is shown, errors too, and the code reproduces it."""

import html
import re
import sys
import threading
from itertools import cycle, islice

import ipywidgets
import pandas as pd
import pytest

from tabkit import plots
from tabkit.widgets import Explorer, Twin

PATIENCE = 20  # seconds; only what never ends meets it
BREATH = 0.2  # seconds, for what a missing lock would let happen


def made(**options):
    """Shows the double of a number below 5; above, an error."""

    def show(number, word):
        if number > 5:
            raise ValueError(f"{number} is <too> large")
        seen.append((number, word))
        return f"<p>{2 * number} {word}</p>"

    seen = []
    controls = {
        "number": ipywidgets.IntSlider(1, min=0, max=9),
        "word": ipywidgets.Dropdown(options=["one", "two"]),
    }
    widget = Explorer("doubler", ["net0"], controls, show, height=40, **options)
    return widget, seen


def test_a_change_is_shown():
    widget, _ = made()
    assert widget.picture.value == "<p>2 one</p>"
    widget.controls["number"].value = 3
    widget.controls["word"].value = "two"
    assert widget.picture.value == "<p>6 two</p>"
    assert widget.state == {"number": 3, "word": "two"}


def test_an_error_is_said_in_words_and_the_next_change_recovers():
    widget, _ = made()
    widget.controls["number"].value = 7
    assert 'role="alert"' in widget.message.value
    assert "ValueError: 7 is &lt;too&gt; large" in widget.message.value
    assert widget.picture.value == "<p>2 one</p>"
    widget.controls["number"].value = 2
    assert widget.message.value == ""
    assert widget.picture.value == "<p>4 one</p>"


def test_reset_brings_back_the_start_and_shows_it_once():
    widget, seen = made()
    widget.controls["number"].value = 3
    widget.controls["word"].value = "two"
    seen.clear()
    widget.reset_button.click()
    assert widget.state == widget.start == {"number": 1, "word": "one"}
    assert seen == [(1, "one")]


def test_reset_takes_an_error_away():
    widget, _ = made()
    widget.controls["number"].value = 9
    widget.reset()
    assert widget.message.value == ""


def test_the_code_names_the_function_its_arguments_and_the_state():
    widget, _ = made()
    widget.controls["number"].value = 3
    assert widget.code == "widgets.doubler(net0, number=3, word='one')"
    shown = re.search(r"<code>(.*)</code>", widget.recipe.value).group(1)
    assert html.unescape(shown) == widget.code
    assert "copy as code" in widget.recipe.value


def test_what_depends_on_a_control_is_adjusted_before_it_is_shown():
    def adjust():
        widget.controls["word"].options = ["one", "two"][: widget.controls["number"].value]

    widget, seen = made()
    widget.adjust = adjust
    widget.controls["number"].value = 2
    widget.controls["word"].value = "two"
    seen.clear()
    widget.controls["number"].value = 1
    assert seen == [(1, "one")]


def test_an_error_while_adjusting_is_said_too():
    def adjust():
        raise KeyError("gone")

    widget, _ = made()
    widget.adjust = adjust
    widget.update()
    assert "KeyError" in widget.message.value
    widget.adjust = lambda: None
    widget.update()
    assert widget.message.value == ""


def test_every_control_has_a_name_and_a_class():
    widget, _ = made()
    for name, control in widget.controls.items():
        assert control.description == name
        assert f"tabkit-{name}" in control._dom_classes
    assert "tabkit-doubler" in widget._dom_classes


def test_a_twin_is_a_picture_with_its_table():
    curve = pd.Series([1.0, 2.0])
    picture = plots.category_bars(
        __import__("torch").tensor(curve), ["a", "b"], marked=0, label="length"
    )
    twin = Twin(picture, pd.DataFrame({"length": curve}))
    data = twin._repr_mimebundle_()
    assert "<table" in data["text/html"] and "<img" in data["text/html"]
    assert data["image/png"].startswith(b"\x89PNG")
    with pytest.raises(NotImplementedError, match="doubler has no static twin"):
        made()[0].twin()


def started(act):
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def joined(*threads):
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_two_threads_that_hold_at_once_leave_it_alive():
    def hold():
        with widget.hold():
            held.set()
            leave.wait(PATIENCE)

    widget, _ = made()
    inside, gate, held, leave = (threading.Event() for _ in range(4))
    widget.adjust = lambda: inside.set() or gate.wait(PATIENCE)
    first = started(widget.update)
    assert inside.wait(PATIENCE)
    second = started(hold)
    held.wait(BREATH)
    gate.set()
    joined(first)
    leave.set()
    joined(second)
    assert not widget.held
    widget.controls["number"].value = 4
    assert widget.picture.value == "<p>8 one</p>"


def test_a_slow_picture_does_not_come_over_a_newer_one():
    def slow(number, word):
        if number == 3:
            inside.set()
            gate.wait(PATIENCE)
        return f"{number} {word}"

    widget, _ = made()
    widget.show = slow
    inside, gate = threading.Event(), threading.Event()
    old = started(lambda: widget.controls["number"].set_trait("value", 3))
    assert inside.wait(PATIENCE)
    new = started(lambda: widget.controls["number"].set_trait("value", 4))
    new.join(BREATH)
    gate.set()
    joined(old, new)
    assert widget.picture.value == "4 one"


@pytest.fixture
def impatient_threads():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient_threads")
def test_reset_and_choices_at_once_end_in_a_picture_of_the_state():
    def reset():
        for _ in range(100):
            both.wait(PATIENCE)
            widget.reset_button.click()

    def choose():
        for number in islice(cycle((3, 4, 9)), 100):
            both.wait(PATIENCE)
            widget.controls["number"].value = number

    widget, seen = made()
    both = threading.Barrier(2)
    joined(started(reset), started(choose))
    assert not widget.held
    state = widget.state
    assert html.unescape(widget.recipe.value).count(widget.code) == 1
    if state["number"] <= 5:
        assert seen[-1] == (state["number"], state["word"])
        assert widget.picture.value == f"<p>{2 * state['number']} {state['word']}</p>"
