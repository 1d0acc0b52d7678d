"""The app before a class: every tab fits its screen, asks, says what to try, and names the next."""

import pytest

from browser.harness import expect

TABS = ["simplex", "gradient", "training", "decoders", "embedding", "row", "your own net"]
SCREENS = {"1280 x 720": (1280, 720), "1920 x 1080": (1920, 1080)}
# What could be scrolled, with by how much; a line of Lumino's tabs is no matter.
SCROLLS = """() => [...document.querySelectorAll('*')].filter(e => e.offsetParent).flatMap(e => {
    const down = e.scrollHeight - e.clientHeight, across = e.scrollWidth - e.clientWidth;
    const style = getComputedStyle(e), may = flow => ['auto', 'scroll'].includes(flow);
    const found = may(style.overflowY) && down > 1 || may(style.overflowX) && across > 1;
    return found ? [`${e.className}: ${down} down, ${across} across`] : [];
})"""


@pytest.fixture(scope="module")
def app(server, open_page):
    """The page of an app with small nets."""
    page = open_page("about:blank")
    page.page.goto(f"{server.origin}/?theme=dark")
    page.widget("simplex_explorer").picture.wait_for()
    return page


def opened(app, tab):
    """The part of the page that a tab shows, once it is there."""
    app.page.get_by_role("tab", name=tab, exact=True).click()
    shown = app.page.locator(".tabkit-widget:visible")
    expect(shown.locator(".tabkit-next")).to_be_visible()
    return shown


def test_the_page_has_a_title_and_each_tab_leads_to_the_next(app):
    expect(app.page.get_by_role("heading", level=1)).to_have_text("What should net0 hand to net1?")
    opened(app, TABS[0])
    for tab in (*TABS[1:], TABS[0]):
        app.page.locator(".tabkit-next:visible").press("Enter")
        expect(app.page.get_by_role("tab", name=tab, exact=True)).to_have_attribute(
            "aria-selected", "true"
        )
        shown = opened(app, tab)
        assert shown.get_by_role("heading", level=2).inner_text().endswith("?")
        expect(shown.locator(".tabkit-lesson li")).to_have_count(3)


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_scrolls_in_any_tab_and_the_picture_is_large(app, screen):
    width, height = SCREENS[screen]
    app.page.set_viewport_size({"width": width, "height": height})
    app.page.wait_for_function("width => innerWidth == width", arg=width)
    for tab in TABS:
        shown = opened(app, tab)
        if tab == "training":
            app.widget("training_cockpit").type("steps", "5")
            shown.get_by_role("button", name="start").press("Enter")
            expect(shown).to_contain_text("finished")
        if tab == "decoders":
            expect(shown.get_by_role("rowheader", name="limit")).to_be_visible()
        assert app.page.evaluate(SCROLLS) == [], tab
        main = shown.locator(".tabkit-main").bounding_box()
        assert main["width"] > 0.6 * width
        assert main["y"] + main["height"] <= height


def test_the_own_tab_shows_what_the_nets_have_and_the_lines_to_copy(app):
    shown = opened(app, "your own net")
    expect(shown.get_by_role("table", name="What the nets have")).to_be_visible()
    expect(shown).to_contain_text("by hand decodes by argmax, search, restarts")
    shown.get_by_role("button", name="copy as code").press("Enter")
    copied = app.page.evaluate("navigator.clipboard.readText()")
    assert "python -m tabkit.widgets --net mine:nets" in copied


def test_nothing_went_wrong(app):
    app.check()
