"""The app: the widgets as one dashboard, served by Voila on loopback."""

import sys
import time

import psutil
import pytest

from browser.harness import Server, expect, free_port
from browser.widget import report

PAGES = 3
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
    words = [*command, "--pages", str(PAGES), *SMALL]
    return Server(words, folder, port, ready="/voila/static/voila.js")


@pytest.fixture(scope="module")
def folder(browser, tmp_path_factory):
    """Where a first start has left its nets."""
    found = tmp_path_factory.mktemp("app")
    start(found).stop()
    return found


@pytest.fixture(scope="module")
def server(folder):
    """A second start."""
    found = start(folder)
    found.served = time.perf_counter() - found.started
    yield found
    found.stop()
    assert "Traceback" not in found.log.read_text()


@pytest.fixture(scope="module")
def app(server, open_page):
    """The page of a second start."""
    page = open_page(server.origin)
    page.widget("simplex_explorer").picture.wait_for()
    opened = time.perf_counter() - server.started
    report(f"app, small nets: served after {server.served:.1f} s, opened after {opened:.1f} s")
    return page


def visit(app, tab):
    app.page.get_by_role("tab", name=tab, exact=True).click()
    return app.widget(TABS[tab])


@pytest.mark.parametrize("tab", TABS)
def test_each_tab_shows_its_widget(app, tab):
    widget = visit(app, tab)
    expect(widget.button("reset")).to_be_visible()
    words = widget.root.get_by_text("No run yet").first  # in place of the cockpit's first picture
    expect(words if tab == "training" else widget.picture).to_be_visible()
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
    label = visit(app, "simplex").control("column").locator(".widget-label")
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


def kernels(server):
    """Whose process each open page has."""
    return psutil.Process(server.process.pid).children()


def memory(server):
    """MiB of the server and its kernels, each page of memory counted once."""
    whole = [psutil.Process(server.process.pid), *kernels(server)]
    return sum(process.memory_full_info().pss for process in whole) / 2**20


def opened(server, open_page):
    page = open_page(server.origin)
    page.widget("simplex_explorer").picture.wait_for()
    return page


def test_kernels_and_their_memory_go_with_their_pages(app, server, open_page):
    before, kept = kernels(server), memory(server)
    left, trains = opened(server, open_page), opened(server, open_page)
    visit(trains, "training").button("start").click()
    held = memory(server)
    assert len(kernels(server)) == PAGES
    beyond = open_page(server.origin).page
    expect(beyond.get_by_text(f"There are {PAGES} pages open")).to_be_visible(timeout=30_000)
    left.page.goto("about:blank")
    beyond.reload()
    beyond.locator(".tabkit-simplex-explorer").wait_for()
    assert len(kernels(server)) == PAGES
    for page in (trains.page, beyond):
        page.close(run_before_unload=True)  # as a reader closes a tab
    gone, _ = psutil.wait_procs([k for k in kernels(server) if k not in before], timeout=30)
    assert len(gone) == 2
    assert kernels(server) == before
    now = memory(server)
    report(f"app, MiB: {kept:.0f} with one page, {held:.0f} with {PAGES}, {now:.0f} after")
    assert now - kept < (held - kept) / 4
