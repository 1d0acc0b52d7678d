"""One Lab and one browser for all tests of this folder; both end with its last test.

Not with the session: Playwright's loop runs in the main thread, where other tests need their own.
"""

import os

import pytest

from browser.harness import (
    FLAGS,
    Lab,
    Notebook,
    Watched,
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
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="package")
def lab(browser, tmp_path_factory):  # the browser first: no Lab where it is missing
    server = Lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def open_notebook(browser, lab):
    """A function of a name, code cells and a theme that returns the `Notebook`, all cells run."""
    opened = []

    def opener(name, cells, *, theme="light"):
        opened.append(Notebook(browser, lab, name, cells, theme=theme))
        return opened[-1]

    yield opener
    for notebook in opened:
        notebook.close()


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
