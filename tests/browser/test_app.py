"""The app: the widgets as one dashboard, served by Voila on loopback."""

import sys
import time

import pytest

from browser.harness import Server, expect, free_port
from browser.widget import report

SMALL = ["--rows", "5000", "--encoder-steps", "30", "--steps", "30"]
TABS = {
    "simplex": "simplex_explorer",
    "gradient": "gradient_explorer",
    "training": "training_cockpit",
    "embedding": "embedding_explorer",
    "row": "row_explorer",
}


def start(folder):
    """The app's server, with small nets that it trains if they are not there."""
    port = free_port()
    command = [sys.executable, "-m", "tabkit.widgets", "--no-browser", "--port", str(port)]
    return Server([*command, *SMALL], folder, port, ready="/voila/static/voila.js")


@pytest.fixture(scope="module")
def folder(browser, tmp_path_factory):
    """Where a first start has left its nets."""
    found = tmp_path_factory.mktemp("app")
    start(found).stop()
    return found


@pytest.fixture(scope="module")
def app(folder, open_page):
    """The page of a second start."""
    server = start(folder)
    served = time.perf_counter() - server.started
    page = open_page(server.origin)
    page.widget("simplex_explorer").picture.wait_for()
    opened = time.perf_counter() - server.started
    report(f"app, small nets: served after {served:.1f} s, opened after {opened:.1f} s")
    yield page
    server.stop()
    assert "Traceback" not in server.log.read_text()


def visit(app, tab):
    app.page.get_by_role("tab", name=tab, exact=True).click()
    return app.widget(TABS[tab])


@pytest.mark.parametrize("tab", TABS)
def test_each_tab_shows_its_widget(app, tab):
    widget = visit(app, tab)
    expect(widget.button("reset")).to_be_visible()
    expect(widget.picture).to_be_visible()
    expect(app.page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("tab", ["simplex", "gradient"])
def test_a_control_moves_the_picture(app, tab):
    widget = visit(app, tab)
    before = widget.words
    widget.press("tau", "End")
    widget.until("tau=10.0")
    assert widget.words != before


def test_an_error_is_told_in_words_and_then_forgotten(app):
    widget = visit(app, "simplex")
    widget.type("logits", "1, 2")
    expect(widget.alert).to_have_text("ValueError: there are 3 categories, but 2 logits")
    widget.reset()
    expect(widget.alert).to_have_count(0)


def test_the_type_is_large_enough_for_a_projector(app):
    label = visit(app, "simplex").root.locator(".widget-label").first
    size = "label => parseFloat(getComputedStyle(label).fontSize) * label.currentCSSZoom"
    seen = {}
    for width in (1280, 1920):
        app.page.set_viewport_size({"width": width, "height": width * 9 // 16})
        app.page.wait_for_function("width => innerWidth == width", arg=width)
        seen[width] = label.evaluate(size)
    assert seen[1280] >= 15
    assert seen[1920] >= 20


def test_only_this_machine_was_asked_and_nothing_went_wrong(app):
    app.check()
