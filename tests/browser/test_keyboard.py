"""Keys inside a widget are the widget's: JupyterLab keeps its hands off them."""

import pytest

from browser.harness import NETS, expect

SHOWN = {
    "simplex_explorer": ("net0, net1, data", "relaxation"),
    "row_explorer": ("net0, net1, data", "category"),
    "training_cockpit": ("net1, data", "estimator"),
    "embedding_explorer": ("net1, data", "projection"),
}
CELLS = "() => jupyterapp.shell.currentWidget.content.model.cells.length"


@pytest.fixture(scope="module")
def notebook(open_notebook):
    cells = [f"widgets.{name}({given})" for name, (given, _) in SHOWN.items()]
    return open_notebook([NETS, *cells])


@pytest.mark.parametrize("name", SHOWN)
def test_arrows_choose_in_a_dropdown(notebook, name):
    widget = notebook.widget(name)
    choice = widget.control(SHOWN[name][1]).locator("select")
    options = choice.evaluate("choice => [...choice.options].map(option => option.value)")
    first = options.index(choice.input_value())
    key, back, step = ("ArrowDown", "ArrowUp", 1) if first == 0 else ("ArrowUp", "ArrowDown", -1)
    for pressed, number in ((key, first + step), (back, first)):
        choice.press(pressed)
        widget.until(f"={options[number]!r}")
        expect(choice).to_be_focused()


@pytest.mark.parametrize("name", SHOWN)
def test_letters_and_enter_leave_the_notebook_alone(notebook, name):
    widget = notebook.widget(name)
    first = notebook.page.evaluate(CELLS)
    choice = widget.control(SHOWN[name][1]).locator("select")
    for key in ("d", "d", "a", "b", "x"):
        choice.press(key)
    widget.button("reset").press("Enter")
    expect(widget.button("reset")).to_be_focused()
    expect(widget.root).to_be_visible()
    assert notebook.page.evaluate(CELLS) == first


def test_what_goes_with_control_and_shift_enter_stays_labs(notebook):
    widget = notebook.widget("simplex_explorer")
    choice = widget.control("relaxation").locator("select")
    choice.press("Control+Shift+C")
    palette = notebook.page.locator(".lm-CommandPalette-input:visible")
    expect(palette).to_have_count(1)
    notebook.page.keyboard.press("Escape")
    expect(palette).to_have_count(0)
    choice.press("Shift+Enter")
    expect(notebook.page.locator(".tabkit-row-explorer")).to_be_visible()
    expect(choice).not_to_be_focused()


def test_nothing_went_wrong(notebook):
    notebook.check()
