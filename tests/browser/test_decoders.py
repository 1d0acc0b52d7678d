"""The decoder explorer in JupyterLab, by keyboard; pictures follow the theme, twins fold."""

import io
import re
import shutil

import numpy as np
import pytest
from PIL import Image, ImageColor

from browser.harness import NETS, expect

MADE = """
from tabkit import compare, inspection
limit = compare.fit_limit(net1, data, steps=30)
for _ in limit: pass
limit = limit.modules["limit"]
widget = widgets.decoder_explorer(net0, net1, data, limit=limit)
widget
"""
BARE = """
from types import SimpleNamespace
class Bare:
    cardinalities, continuous_features = net1.cardinalities, net1.continuous_features
    def __call__(self, *given): return net1(*given)
widgets.decoder_explorer(net0, Bare(), data, limit=limit)
"""
STILL = """
from tabkit import plots
plots.category_bars(net1.embedding.tables[0].weight[:3, 0], list("abc"), marked=0, label="number")
"""
TWIN = "div[class^=tabkit-twin-]"
# Of all that the picture's text and its ground are painted with, the lightness, 0 to 1.
LIGHTNESS = """picture => {
    const light = colour => colour.match(/[0-9.]+/g).slice(0, 3).reduce((a, b) => a + b / 765, 0);
    const text = getComputedStyle(picture.querySelector('text')).fill;
    const ground = getComputedStyle(picture.querySelector('#patch_1 path')).fill;
    return [text, ground].map(light);
}"""


@pytest.fixture(scope="module")
def notebook(open_notebook):
    return open_notebook([NETS, MADE, BARE, STILL])


@pytest.fixture
def widget(notebook):
    """The widget, as at its start."""
    found = notebook.widget("decoder_explorer")
    found.reset()
    found.until("row=0, estimator='softmax'")
    return found


def test_rows_to_both_ends_and_beyond(notebook, widget):
    for typed, row in (("499", 499), ("9999", 499), ("-5", 0), ("7", 7)):
        widget.type("row", typed)
        widget.until(f"row={row},")
        losses = notebook.evaluate(
            f"inspection.decoded_row(net0, net1, data, {row}).losses.round(3).tolist()"
        )
        for name, loss in zip(
            ("mixture", "argmax", "table"), re.findall(r"[\d.]+", losses), strict=False
        ):
            assert f"{name} {float(loss):.3f}" in widget.words
    expect(widget.alert).to_have_count(0)


def test_the_estimator_by_keyboard(notebook, widget):
    before = widget.words
    widget.press("estimator", "End")
    widget.until("estimator='gumbel_rao'")
    assert widget.words != before
    widget.press("estimator", "Home")
    widget.until("estimator='softmax'")
    assert widget.words == before


def test_the_tables_can_be_read_out(widget):
    rows = widget.root.get_by_role("table", name="The hard rows")
    assert rows.get_by_role("rowheader").count() == 11
    losses = widget.root.get_by_role("table", name="Loss behind net1")
    assert losses.get_by_role("rowheader").all_inner_texts() == [
        *("limit", "mixture", "argmax", "table", "first layer", "search")
    ]


def test_reset_and_code(notebook, widget):
    start = widget.words
    widget.after(lambda: widget.type("row", "12"))
    assert notebook.evaluate(f"{widget.copied()}.state == widget.state") == "True"
    assert widget.after(widget.reset) == start


def test_a_net_by_hand_says_what_it_lacks(notebook):
    bare = notebook.widget("decoder_explorer", 1)
    expect(bare.root).to_contain_text("table: the nearest category needs net1.embedding")
    expect(bare.alert).to_have_count(0)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_picture_follows_the_theme_and_so_does_the_paper_of_a_still_one(
    notebook, widget, theme
):
    notebook.set_theme(theme)
    text, ground = widget.picture.evaluate(LIGHTNESS)
    assert (text > 0.8, ground < 0.2) == (theme == "dark",) * 2
    assert (text < 0.2, ground > 0.8) == (theme == "light",) * 2
    figure = notebook.page.locator("img.tabkit-figure:visible")
    paper = figure.evaluate("f => getComputedStyle(f).getPropertyValue('--jp-layout-color0')")
    picture = Image.open(io.BytesIO(figure.screenshot())).convert("RGB")
    np.testing.assert_allclose(picture.getpixel((3, 3)), ImageColor.getrgb(paper.strip()), atol=4)


def test_the_picture_grows_with_the_cell(notebook, widget):
    small = widget.place
    notebook.page.set_viewport_size({"width": 1600, "height": 900})
    notebook.page.wait_for_function("() => innerWidth == 1600")
    large = widget.place
    notebook.page.set_viewport_size({"width": 1280, "height": 900})
    assert large["width"] > small["width"] + 100
    assert large["height"] / small["height"] == pytest.approx(large["width"] / small["width"], 0.02)


def test_while_the_widget_lives_its_twin_is_folded(notebook, widget):
    twins = notebook.page.locator(TWIN)
    expect(twins).to_have_count(2)
    for number in range(2):
        expect(twins.nth(number)).to_be_hidden()


def test_nothing_went_wrong(notebook):
    notebook.check()


def test_without_its_kernel_the_twin_stands_alone(notebook, lab, open_page):
    """As whoever opens the saved notebook again finds it."""
    notebook.page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    shutil.copy(lab.notebooks / "board.ipynb", lab.notebooks / "again.ipynb")
    page = open_page(lab.address("again")).page
    twin = page.locator(TWIN).first
    expect(twin).to_be_visible()
    expect(twin.get_by_role("img")).to_have_attribute("alt", re.compile("^Loss of one row"))
    expect(page.locator(".tabkit-decoder-explorer")).to_have_count(0)
