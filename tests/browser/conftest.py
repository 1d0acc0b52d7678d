"""One Lab and one browser for all tests of this folder; both end with its last test.

Not with the session: Playwright's loop runs in the main thread, where other tests need their own.
"""

import os
import time

import pytest

from browser.harness import (
    FLAGS,
    NETS,
    Lab,
    Notebook,
    Watched,
    app,
    chromium,
    expect,
    missing,
    sync_playwright,
)


@pytest.fixture(scope="package")
def browser():
    """Debian's Chromium; without it these tests are skipped, or fail if it is required.

    ``TABKIT_BROWSER`` is ``required`` or ``skip``; if unset they run where there is a browser.
    """
    if os.environ.get("TABKIT_BROWSER") == "skip":
        pytest.skip("TABKIT_BROWSER=skip")
    if missing() and os.environ.get("TABKIT_BROWSER") != "required":
        pytest.skip(missing())
    assert not missing(), missing()
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="package")
def lab(browser, tmp_path_factory):  # the browser first: no Lab where it is missing
    server = Lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


@pytest.fixture(scope="package")
def board(browser, lab):
    """The notebook that all share: a page, a kernel and what it has imported cost ten seconds."""
    notebook = Notebook(browser, lab, "board", [NETS])
    yield notebook
    notebook.close()


@pytest.fixture(scope="module")
def open_notebook(board):
    """A function of code cells that returns the `Notebook` in which they are all that stands."""
    return board.show


@pytest.fixture(scope="package")
def server(browser, tmp_path_factory):
    """The app after a second start, which finds the first one's nets."""
    folder = tmp_path_factory.mktemp("app")
    app(folder).stop()
    found = app(folder)
    found.served = time.perf_counter() - found.started
    yield found
    found.stop()
    assert "Traceback" not in found.log.read_text()


@pytest.fixture(scope="module")
def open_page(browser):
    """A function of an address that returns the page there, `Watched`."""
    opened = []

    def opener(address):
        opened.append(Watched(browser))
        opened[-1].page.goto(address)
        return opened[-1]

    yield opener
    for watched in opened:
        watched.close()
