"""The dashboard, and that its errors reach the reader, without a browser."""

import threading
from types import SimpleNamespace

import ipywidgets
import nbformat
import pytest

from tabkit.widgets import __main__ as server
from tabkit.widgets import app


@pytest.fixture
def threads():
    """Puts back what catches the errors of threads."""
    before = threading.excepthook
    yield
    threading.excepthook = before


def test_a_widget_is_made_when_its_tab_is_first_opened(dataset, net1):
    net0 = app.RowPredictor(dataset.signal.shape[1], net1)
    tabs = app.dashboard(net0, net1, dataset)
    assert [len(page.children) for page in tabs.children] == [1, 0, 0, 0, 0]
    for number in (1, 2, 3, 4, 1):
        tabs.selected_index = number
        (made,) = tabs.children[number].children
        assert made.name in dir(app.widgets)
        assert made.message.value == ""


def test_the_gradient_tab_shows_a_gradient(dataset, net1):
    net0 = app.RowPredictor(dataset.signal.shape[1], net1)
    words = app.gradient_of(net0, net1, dataset).picture.value
    assert "variance 0.00" not in words


def test_what_fails_to_be_made_says_why_and_is_tried_again():
    answers = iter([ValueError("not yet"), ipywidgets.Label("here")])

    def maker():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    lazy = app.Lazy(maker)
    lazy.visit()
    assert "ValueError: not yet" in lazy.children[0].value
    for _ in range(2):
        lazy.visit()
        assert lazy.children[0].value == "here"


def test_errors_of_the_start_of_callbacks_and_of_threads_are_shown(tmp_path, threads):
    (tmp_path / "net1.pt").write_text("no checkpoint")
    shell = SimpleNamespace()
    _, errors, board = app.page(shell, str(tmp_path), rows=5_000).children
    assert 'role="alert"' in board.children[0].value
    try:
        raise KeyError("in a callback")
    except KeyError:
        shell.showtraceback()
    assert "in a callback" in errors.value
    raised = SimpleNamespace(exc_value=OSError("in a thread"))
    threading.excepthook(raised)
    assert "in a thread" in errors.value


def test_the_page_is_one_cell_that_makes_the_dashboard(tmp_path):
    path = server.write_page(tmp_path, tmp_path / "nets", {"rows": 10})
    (cell,) = nbformat.read(path, as_version=4).cells
    assert f"page(get_ipython(), {str(tmp_path / 'nets')!r}, **{{'rows': 10}})" in cell.source
