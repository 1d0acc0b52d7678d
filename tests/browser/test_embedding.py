"""The embedding explorer in JupyterLab, worked by keyboard; its numbers are the kernel's."""

import re

import pytest

from browser.harness import NETS, expect

MADE = "widget = widgets.embedding_explorer(net1, data)\nwidget"
ASK = "from tabkit import compare, inspection\nfrom tabkit.widgets.embedding import Later"


@pytest.fixture(scope="module")
def notebook(open_notebook):
    return open_notebook([NETS, ASK, MADE])


@pytest.fixture
def widget(notebook):
    """The widget, as at its start."""
    found = notebook.widget("embedding_explorer")
    found.reset()
    return found


def walked(notebook, share, row=0):
    """What the kernel says of the mixture at a share."""
    ends = "*map(data.schema.categorical[5].labels.index, (s['category'], s['other']))"
    rows = f"data.rows[data.test[{row}:{row + 1}]]"
    path = f"inspection.walk(net1, {rows}, 5, {ends}, points=101)"
    found = notebook.evaluate(
        f"[{path}.iloc[{round(100 * share)}].tolist() for s in [widget.state]]"
    )
    return [float(x) for x in re.findall(r"[\d.]+", found)]


def said(words):
    """The share and the distances that a description names."""
    found = re.search(
        r"share ([\d.]+) of .*: behind net1 it lies ([\d.]+) from .*, ([\d.]+) from .*, and "
        r"([\d.]+) from the nearest",
        words,
    )
    return [float(x) for x in found.groups()]


def dot(widget):
    return float(widget.root.locator("circle.mixture").get_attribute("cx"))


def test_the_slider_walks_from_end_to_end(notebook, widget):
    start = dot(widget)
    for key, share in (("End", 1.0), ("ArrowLeft", 0.99), ("Home", 0.0), ("ArrowRight", 0.01)):
        words = widget.after(lambda key=key: widget.press("share", key))
        expected = [share, *walked(notebook, share)[:3]]
        assert said(words) == pytest.approx(expected, abs=0.006)
    widget.after(lambda: widget.press("share", "End"))
    square = widget.root.locator("#other use")
    assert dot(widget) == pytest.approx(float(square.get_attribute("x")), abs=0.02)
    assert dot(widget) != start


@pytest.mark.parametrize(("typed", "share"), [("7", 1.0), ("abc", 0.5)])
def test_a_share_typed_wrongly(typed, share, widget):
    for _ in range(2):
        widget.press("share", "Home", *["PageUp"] * 5)
    readout = widget.control("share").locator(".widget-readout")
    widget.after(lambda: fill(readout, "0.5"))
    fill(readout, typed)
    expect(readout).to_have_text(f"{share:.2f}")
    expect(widget.picture).to_have_attribute("aria-label", re.compile(f"share {share:.2f} of"))
    expect(widget.alert).to_have_count(0)


def fill(readout, text):
    readout.click()
    readout.press("ControlOrMeta+a")
    readout.press_sequentially(text)
    readout.press("Enter")


def test_category_and_other_are_marked_and_listed(notebook, widget):
    for option in ("LAX", "BOS"):
        words = widget.after(lambda option=option: widget.choose("category", option))
        widget.until(f"category='{option}'")
        near = notebook.evaluate(
            "inspection.nearest(inspection.category_vectors(net1, data, 'dest', "
            f"view='first_layer'), {option!r}, k=6)['neighbour'].tolist()"
        )
        names = re.findall(r"'([^']*)'", near)
        table = widget.root.get_by_role("table", name=f"Nearest to {option}")
        assert table.get_by_role("rowheader").all_inner_texts() == names
        assert re.findall(r"(\w+) \([\d.]+\)", words) == names
    words = widget.after(lambda: widget.choose("other", "SFO"))
    assert "Mixture of BOS and SFO" in words


def test_the_views_and_what_has_no_place(widget):
    widget.after(lambda: widget.choose("view", "table"))
    widget.until("view='table'")
    assert widget.root.locator("circle.mixture").count() == 1
    widget.after(lambda: widget.choose("view", "output"))
    widget.until("view='output'")
    assert widget.root.locator("circle.mixture").count() == 0
    assert "Behind net1 a mixture is no mixture of outputs" in widget.root.inner_text()


def test_another_column_by_keyboard_offers_its_categories(notebook, widget):
    select = widget.control("column").locator("select")
    select.focus()
    select.press("Home")
    widget.until("column='month'")
    expect(widget.control("category").locator("option")).to_have_count(12)
    expect(widget.picture).to_have_attribute("aria-label", re.compile("Map of month"))


def test_a_column_of_three_says_so_and_the_next_has_its_map(widget):
    widget.choose("column", "origin")
    expect(widget.alert).to_contain_text("has 3 points; a map needs at least 4")
    widget.after(lambda: widget.press("share", "End"))  # the walk is there
    assert "share 1.00" in widget.words
    widget.choose("column", "hour")
    expect(widget.alert).to_have_count(0)
    expect(widget.picture).to_have_attribute("aria-label", re.compile("Map of hour"))


def test_rows_to_both_ends_and_beyond(notebook, widget):
    widget.after(lambda: widget.press("share", "End"))
    words = widget.after(lambda: widget.type("row", "499"))
    assert said(words)[1] == pytest.approx(walked(notebook, 1.0, 499)[0], abs=0.006)
    widget.after(lambda: widget.type("row", "-3"))
    assert widget.field("row") == "0"
    widget.after(lambda: widget.type("row", "9999"))
    assert widget.field("row") == "499"
    widget.type("row", "abc")
    expect(widget.control("row").locator("input")).to_have_value("499")
    expect(widget.alert).to_have_count(0)


def test_nothing_jumps(widget):
    message = widget.root.locator(".widget-html").nth(1)  # below the picture
    place = message.bounding_box()["y"] - widget.root.bounding_box()["y"]
    for column in ("hour", "origin", "manufacturer"):
        widget.choose("column", column)
        widget.until(f"column='{column}'")
        now = message.bounding_box()["y"] - widget.root.bounding_box()["y"]
        assert now == place


def test_every_control_has_its_name(widget):
    for name in ("column", "projection", "view", "category", "mixed with", "row"):
        assert widget.root.get_by_label(name, exact=True).count() == 1


def test_reset_and_code(notebook, widget):
    start = widget.words
    widget.after(lambda: widget.choose("category", "LAX"))
    widget.after(lambda: widget.press("share", "End"))
    widget.until("share=1.0")
    assert notebook.evaluate(f"{widget.copied()}.state == widget.state") == "True"
    assert widget.after(widget.reset) == start
    assert "share=0.0, row=0" in widget.code


def test_the_latency(widget):
    widget.latency("share", ["ArrowRight"] * 15)


def test_a_umap_comes_later_and_the_page_lives_meanwhile(notebook, widget):
    notebook.evaluate("Later.one.acquire()")  # it comes when the test lets it
    widget.choose("projection", "umap")
    expect(widget.root.get_by_role("status")).to_contain_text("Computing the UMAP")
    widget.after(lambda: widget.press("share", "End"))
    assert "share 1.00" in widget.words
    notebook.evaluate("Later.one.release()")
    expect(widget.picture).to_have_attribute("aria-label", re.compile("UMAP: "), timeout=90_000)
    assert "share 1.00" in widget.words
    assert "UMAP bends the space" in widget.root.inner_text()
    expect(widget.root.get_by_role("status")).to_have_count(0)


def test_nothing_went_wrong(notebook):
    notebook.check()
