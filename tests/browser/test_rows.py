"""The row explorer in JupyterLab, worked by keyboard; what it shows is asked of the kernel too."""

import re

import pytest

from browser.harness import NETS, expect

MADE = "widget = widgets.row_explorer(net0, net1, data)\nwidget"
FOUND = "from tabkit.inspection.rows import predicted_row"


@pytest.fixture(scope="module")
def notebook(open_notebook):
    return open_notebook([NETS, FOUND, MADE])


@pytest.fixture
def widget(notebook):
    """The widget, as at its start."""
    found = notebook.widget("row_explorer")
    found.reset()
    found.until("row=0, column='month', category='(as decoded)'")
    return found


def asked(notebook, row, rest):
    return notebook.evaluate(f"predicted_row(net0, net1, data, {row}).{rest}")


def test_rows_to_both_ends(notebook, widget):
    for row in (1, 499):
        said = widget.after(lambda row=row: widget.type("row", str(row)))
        decoded = float(asked(notebook, row, "decoded"))
        assert f"of the decoded row {decoded:.3f}" in said
    assert "row=499" in widget.code


@pytest.mark.parametrize(("typed", "becomes"), [("9999", "499"), ("-5", "0")])
def test_a_row_beyond_the_end_becomes_the_last(typed, becomes, widget):
    widget.after(lambda: widget.type("row", "7"))
    widget.after(lambda: widget.type("row", typed))
    assert widget.field("row") == becomes
    expect(widget.alert).to_have_count(0)


def test_a_row_that_is_no_number_changes_nothing(widget):
    before = widget.words
    widget.type("row", "abc")
    expect(widget.control("row").locator("input")).to_have_value("0")
    assert widget.words == before
    expect(widget.alert).to_have_count(0)


def test_overruling_by_hand_says_the_new_distance(notebook, widget):
    widget.choose("column", "dest")
    widget.until("column='dest'")
    for number in (1, -1):
        option = widget.control("category").locator("option").nth(number).inner_text()
        said = widget.after(lambda option=option: widget.choose("category", option))
        new = float(asked(notebook, 0, f"overrulings['distance'].loc[('dest', {option!r})].item()"))
        assert f"with dest {option} {new:.3f} (" in said
        assert f"becomes {new:.3f}." in widget.root.inner_text()
    said = widget.after(lambda: widget.choose("category", "(as decoded)"))
    assert "with dest" not in said
    assert "Nothing is overruled." in widget.root.inner_text()


def test_another_column_offers_its_own_categories_by_keyboard(notebook, widget):
    select = widget.control("column").locator("select")
    select.focus()
    select.press("End")
    names = notebook.evaluate("[c.name for c in data.schema.categorical]")
    last = re.findall(r"'([^']*)'", names)[-1]
    expect(select).to_have_value(last)
    widget.until(f"column='{last}'")
    labels = re.findall(r"'([^']*)'", notebook.evaluate("data.schema.categorical[-1].labels"))
    expect(widget.control("category").locator("option")).to_have_count(len(labels) + 1)
    select.press("Home")
    widget.until("column='month'")


def test_the_tables_can_be_read_out(notebook, widget):
    columns = widget.root.get_by_role("table", name="Every column as predicted")
    assert columns.get_by_role("rowheader").count() == 11
    assert columns.get_by_role("columnheader", name="true").count() == 1
    hits = int(asked(notebook, 0, "columns['hit'].sum().item()"))
    assert columns.get_by_text("✓ hit").count() == hits
    assert columns.get_by_text("✗ missed").count() == 11 - hits
    assert widget.root.get_by_role("table", name="Signal").get_by_role("rowheader").count() == 12
    for name in ("row", "overrule", "by category"):
        assert widget.root.get_by_label(name, exact=True).count() == 1


def test_what_does_not_fit_scrolls_by_keyboard(widget):
    signal = widget.root.get_by_role("region", name="signal")
    assert signal.evaluate("e => e.scrollHeight <= e.clientHeight")  # where there is room
    widget.root.evaluate("e => { e.style.width = '340px' }")
    signal.press("ArrowDown")
    expect(signal).not_to_have_js_property("scrollTop", 0)
    widget.root.evaluate("e => { e.style.width = '' }")


def test_nothing_jumps(widget):
    height = widget.root.bounding_box()["height"]
    widget.choose("column", "manufacturer")
    widget.until("column='manufacturer'")
    option = widget.control("category").locator("option").nth(1).inner_text()
    widget.after(lambda: widget.choose("category", option))
    assert widget.root.bounding_box()["height"] == height


def test_reset_and_code(notebook, widget):
    start = widget.words
    widget.after(lambda: widget.type("row", "12"))
    widget.choose("column", "dest")
    widget.until("column='dest'")
    widget.after(lambda: widget.choose("category", "BOS"))
    widget.until("category='BOS'")
    assert notebook.evaluate(f"{widget.copied()}.state == widget.state") == "True"
    assert widget.after(widget.reset) == start
    assert "row=0, column='month', category='(as decoded)'" in widget.code


def test_an_error_is_said_and_the_next_change_works(notebook, widget):
    notebook.evaluate("setattr(net0, 'forward', None)")
    widget.type("row", "33")
    expect(widget.alert).to_contain_text("Error: ")
    notebook.evaluate("delattr(net0, 'forward')")
    widget.after(lambda: widget.type("row", "34"))
    expect(widget.alert).to_have_count(0)


def test_the_latency(widget):
    widget.choose("column", "dest")
    widget.until("column='dest'")
    widget.latency("category", ["End", "Home"] * 8)
    widget.latency("column", ["Home", "End"] * 8, shown="code")


def test_nothing_went_wrong(notebook):
    notebook.check()
