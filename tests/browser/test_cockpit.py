"""The training cockpit in JupyterLab, worked by keyboard."""

import re

import pytest

from browser.harness import NETS, expect

COCKPIT = """
clean = data.signal.clone()
cockpit = widgets.training_cockpit(net1, data, batch=64, steps=5000)
cockpit
"""


@pytest.fixture(scope="module")
def notebook(open_notebook):
    return open_notebook([NETS, COCKPIT])


@pytest.fixture
def widget(notebook):
    """The widget, as at its start."""
    found = notebook.widget("training_cockpit")
    found.reset()
    expect(found.root).to_contain_text("no run yet")
    return found


def press(widget, name):
    """A button, by keyboard."""
    expect(widget.button(name)).to_be_enabled()
    widget.button(name).press("Enter")


def reaches(widget, pattern):
    """Waits until the widget says so."""
    expect(widget.root).to_contain_text(re.compile(pattern))


def steps(widget):
    return int(re.search(r"step (\d+) of", widget.root.inner_text()).group(1))


def done(notebook):
    """The steps of the run that goes on."""
    return int(notebook.evaluate("len(cockpit.current.run.steps)"))


def grows(widget):
    """Waits for more steps than there are."""
    widget.page.wait_for_function(
        "([w, n]) => Number(w.innerText.match(/step (\\d+) of/)[1]) > n",
        arg=[widget.root.element_handle(), steps(widget)],
    )


@pytest.mark.parametrize(
    ("name", "low", "high"), [("tau", "tau=0.01", "tau=10.0"), ("lr", "lr=1.1", "lr=9.4")]
)
def test_sliders_go_to_both_ends(widget, name, low, high):
    for key, shown in (("Home", low), ("End", high)):
        widget.press(name, key)
        widget.until(shown)


@pytest.mark.parametrize(
    ("name", "low", "high"), [("batch", 1, 4096), ("steps", 1, 5000), ("seed", 0, 2**31 - 1)]
)
def test_numbers_stay_in_their_range(widget, name, low, high):
    for typed, kept in (("-5", low), ("99999999999", high), ("e", high)):
        widget.type(name, typed)
        widget.until(f"{name}={kept}")


def test_the_first_and_the_last_estimator_by_keyboard(widget, notebook):
    select = widget.control("estimator").locator("select")
    names = select.locator("option").all_text_contents()
    known = notebook.evaluate("' '.join(estimators.names())").strip("'").split()
    assert names == [name for name in known if name != "exact"]
    for key, name in (("Home", names[0]), ("End", names[-1])):
        select.press(key)
        widget.until(f"estimator='{name}'")


def test_where_tau_cannot_move_it_is_disabled_and_said(widget):
    slider = widget.control("tau").locator(".noUi-target")
    widget.choose("estimator", "cross_entropy")
    reaches(widget, "cross_entropy has no tau")
    expect(slider).to_have_attribute("disabled", re.compile(".*"))
    widget.choose("estimator", "softmax")
    expect(slider).not_to_have_attribute("disabled", re.compile(".*"))
    widget.type("schedule", "cosine/2/0.25")
    reaches(widget, "tau follows the schedule")
    expect(slider).to_have_attribute("disabled", re.compile(".*"))


def test_a_bad_schedule_is_said_and_recovered_from(widget):
    widget.type("schedule", "cosine/2")
    expect(widget.alert).to_contain_text("a schedule is constant/VALUE")
    press(widget, "start")
    expect(widget.alert).to_contain_text("a schedule is constant/VALUE")
    widget.type("schedule", "cosine/2/-1")
    expect(widget.alert).to_have_count(0)
    press(widget, "start")
    expect(widget.alert).to_contain_text("tau must be a number from 1e-30 to 1e+30")
    widget.type("schedule", "cosine/2/0.25")
    expect(widget.alert).to_have_count(0)
    press(widget, "start")
    reaches(widget, r"running, step \d+ of 5000, tau 1\.\d+")
    press(widget, "stop")
    reaches(widget, "stopped")


def test_a_run_is_started_paused_steered_continued_and_stopped(widget, notebook):
    press(widget, "start")
    reaches(widget, r"running, step \d+ of 5000, \d+ steps a second, \d+ s left")
    expect(widget.button("start")).to_be_disabled()
    grows(widget)
    press(widget, "pause")
    reaches(widget, "paused, step")
    paused = done(notebook)
    widget.page.wait_for_timeout(1_000)  # for many steps, were any taken
    last = done(notebook)
    assert last <= paused + 1  # the one in progress
    reaches(widget, f"paused, step {last} of")
    assert done(notebook) == last
    widget.press("tau", "Home")
    press(widget, "continue")
    grows(widget)
    reaches(widget, "tau 1 → 0.01: running")
    changes = notebook.evaluate("cockpit.current.run.changes")
    assert changes == f"(({last + 1}, {{'tau': 0.01}}),)"
    widget.press("tau", "End")
    reaches(widget, "tau 1 → 10: running")
    press(widget, "stop")
    reaches(widget, "tau 1 → 10: stopped")
    expect(widget.button("start")).to_be_enabled()


def test_the_picture_grows_without_changing_its_place_or_size(widget):
    empty = widget.root.locator(".tabkit-empty").bounding_box()
    press(widget, "start")
    widget.picture.wait_for()
    place = widget.place
    assert min(place.values()) > 0
    assert place["height"] == pytest.approx(empty["height"], abs=3)
    words = widget.after(lambda: None)
    assert widget.after(lambda: None) != words
    assert widget.place == place
    press(widget, "stop")
    reaches(widget, "stopped")
    assert widget.place == place


def test_two_runs_stay_side_by_side(widget):
    widget.type("steps", "40")
    press(widget, "start")
    reaches(widget, "1 straight_through_gumbel, tau 1: finished, step 40 of 40")
    widget.choose("estimator", "direct_embedding")
    press(widget, "start")
    reaches(widget, "2 direct_embedding: finished, step 40 of 40")
    rows = widget.root.get_by_role("row")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("straight_through_gumbel, tau 1")
    expect(rows.nth(2)).to_contain_text("direct_embedding")
    for number in (1, 2):
        expect(rows.nth(number)).to_contain_text("finished")
        cells = rows.nth(number).get_by_role("cell").all_text_contents()
        assert cells[:2] == ["finished", "40"]
        relaxed, decoded, gap = (float(cell) for cell in cells[2:5])
        assert gap == pytest.approx(decoded - relaxed, rel=0.05, abs=1e-3)
    assert re.search(r"1 straight_through_gumbel.*2 direct_embedding: step 40 of 40", widget.words)
    widget.reset()
    expect(widget.root.get_by_role("row")).to_have_count(0)


def test_an_error_in_the_thread_is_said_and_recovered_from(widget, notebook):
    notebook.evaluate("data.signal.fill_(float('nan')) is None")
    press(widget, "start")
    expect(widget.alert).to_contain_text("FloatingPointError: step 1: a logit is NaN")
    expect(widget.root.get_by_role("row").nth(1)).to_contain_text("failed")
    notebook.evaluate("data.signal.copy_(clean) is None")
    press(widget, "start")
    expect(widget.alert).to_have_count(0)
    grows(widget)


def test_the_copied_code_reproduces_the_state(widget, notebook):
    widget.choose("estimator", "reinmax")
    widget.type("schedule", "exponential/2/0.5")
    widget.until("exponential/2/0.5")
    again = f"({widget.copied()}).state == cockpit.state"
    assert notebook.evaluate(again) == "True"


def test_the_latency(widget):
    keys = ["ArrowRight", "ArrowLeft"] * 8
    widget.latency("tau", keys, shown="code")
    press(widget, "start")
    reaches(widget, r"running, step \d+ of 5000")
    widget.latency("tau", keys, shown="code", when=" while training")
    press(widget, "stop")
    reaches(widget, "stopped")


def test_nothing_went_wrong(notebook):
    notebook.check()
