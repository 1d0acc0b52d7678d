"""The app: the widgets as one dashboard, served by Voila on loopback."""

import re
import time

import psutil
import pytest

from browser.harness import PAGES, expect, free_port, light
from browser.widget import report
from tabkit.widgets.serving import access

TABS = {
    "simplex": "simplex_explorer",
    "gradient": "gradient_explorer",
    "training": "training_cockpit",
    "embedding": "embedding_explorer",
    "row": "row_explorer",
}


TURNED = """
import ipywidgets
dial, said = ipywidgets.IntSlider(description="dial"), ipywidgets.Label("not turned")
dial.observe(lambda turned: setattr(said, "value", f"turned to {turned['new']}"), "value")
ipywidgets.VBox([dial, said])
"""
OPENS = """url => new Promise(done => {
    const socket = new WebSocket(url);
    socket.onopen = () => done(true);
    socket.onerror = () => done(false);
})"""
ASKS = "url => fetch(url, {credentials: 'include', mode: 'no-cors'}).then(() => 1, () => 0)"


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


def memory(server):
    """MiB of the server and all its processes, what they share counted once."""
    own = psutil.Process(server.process.pid)
    return sum(each.memory_full_info().pss for each in [own, *own.children(recursive=True)]) / 2**20


def opened(server, open_page):
    page = open_page(server.origin)
    page.widget("simplex_explorer").picture.wait_for()
    return page


def test_kernels_and_their_memory_go_with_their_pages(app, server, open_page):
    before, kept = server.kernels, memory(server)
    left = opened(server, open_page)
    visit(left, "training").button("start").click()
    held = memory(server)
    assert len(server.kernels) == PAGES
    beyond = open_page(server.origin)
    refused = beyond.page.get_by_text(f"There are {PAGES} pages open")
    expect(refused).to_be_visible()
    left.page.goto("about:blank")
    beyond.page.reload()
    visit(beyond, "training").button("start").click()
    others = [kernel for kernel in server.kernels if kernel not in before]
    assert len(others) == PAGES - 1
    beyond.page.close(run_before_unload=True)  # as a reader closes a tab
    gone, _ = psutil.wait_procs(others, timeout=30)
    assert gone == others
    assert server.kernels == before
    now = memory(server)
    report(f"app, MiB: {kept:.0f} with one page, {held:.0f} with {PAGES}, {now:.0f} after")
    assert now - kept < (held - kept) / 4


def test_a_class_comes_in_by_the_token_and_another_site_never(open_page, tmp_path):
    """By an address that other machines have, where there is one."""
    server = light(tmp_path, ip="0.0.0.0", cell=TURNED)
    try:
        printed = re.findall(r"(http://[\w.:]+)/\?token=([\w-]+)", server.log.read_text())
        origin, token = next((a for a in printed if "127.0.0.1" not in a[0]), printed[0])
        refused = open_page(origin).page
        expect(refused.get_by_text(access.ASKED)).to_be_visible()
        assert server.kernels == []
        own = open_page(f"{origin}/?token={token}").page
        own.get_by_role("slider").press("ArrowRight")
        expect(own.get_by_text("turned to 1")).to_be_visible()
        kernel = re.search(r'"kernelId": "([\w-]+)"', own.content())[1]
        socket = f"{origin.replace('http', 'ws')}/api/kernels/{kernel}/channels"
        assert own.evaluate(OPENS, socket)
        other = own.context.new_page()  # of another port here: this reader's cookies come along
        elsewhere = f"{origin.rpartition(':')[0]}:{free_port()}/"
        other.route(elsewhere, lambda route: route.fulfill(body="<p>hello</p>"))
        other.goto(elsewhere)
        assert not other.evaluate(OPENS, socket)
        other.evaluate(ASKS, origin)  # what comes back no script of the page can read
        assert len(server.kernels) == 1
        other.close()
        own.close(run_before_unload=True)
        _, left = psutil.wait_procs(server.kernels, timeout=30)
        assert left == []
    finally:
        server.stop()
