"""A widget in a page: its controls worked by keyboard, what it shows, and how fast."""

import os
import statistics
from pathlib import Path

try:
    from playwright.sync_api import expect
except ImportError:  # see `harness.missing`
    expect = None

# From the key to the frame that holds the new picture, in milliseconds.
WATCH = """widget => {
    const picture = () => widget.querySelector('svg[role=img]');
    let pressed = null, before = null;
    window.tabkitLatency = [];
    const press = () => { pressed = performance.now(); before = picture(); };
    widget.addEventListener('keydown', press, true);
    new MutationObserver(() => {
        if (pressed === null || !picture() || picture() === before) return;
        const start = pressed; pressed = null;
        requestAnimationFrame(() => window.tabkitLatency.push(performance.now() - start));
    }).observe(widget, {childList: true, subtree: true});
}"""


class Widget:
    """An `Explorer` in a page; controls go by the names of their keyword arguments."""

    def __init__(self, page, root, name):
        self.page, self.root, self.name = page, root, name

    def control(self, name):
        return self.root.locator(f".tabkit-{name.replace('_', '-')}").first

    def press(self, name, *keys):
        """Keys on a slider's handle."""
        for key in keys:
            self.control(name).locator(".noUi-handle").press(key)

    def choose(self, name, option):
        self.control(name).locator("select").select_option(option)

    def type(self, name, text):
        """Replaces what stands in a field, key by key, and leaves the field."""
        field = self.control(name).locator("input")
        field.press("ControlOrMeta+a")
        field.press("Delete")
        field.press_sequentially(text)
        field.press("Tab")

    def field(self, name):
        """What stands in a field."""
        return self.control(name).locator("input").input_value()

    @property
    def picture(self):
        return self.root.locator("svg[role=img]").first

    @property
    def words(self):
        """The picture's description."""
        return self.picture.get_attribute("aria-label")

    @property
    def alert(self):
        return self.root.get_by_role("alert")

    @property
    def code(self):
        """The call that reproduces the state, as shown."""
        return self.root.locator("code").last.inner_text()

    def until(self, *parts):
        """Waits until the code says so: then picture and message are those of that state, too."""
        for part in parts:
            expect(self.root.locator("code").last).to_contain_text(part)

    def button(self, name):
        return self.root.get_by_role("button", name=name, exact=True)

    def reset(self):
        """Back to the state in which this was first called; waits until all of it is shown."""
        first = self.root.evaluate("(widget, code) => widget.dataset.first ??= code", self.code)
        self.button("reset").click()
        expect(self.root.locator("code").last).to_have_text(first)

    def copied(self):
        """What `copy as code` puts into the clipboard."""
        self.button("copy as code").click()
        return self.page.evaluate("navigator.clipboard.readText()")

    def after(self, act):
        """The picture's words once `act()` has changed them."""
        before = self.words
        act()
        expect(self.picture).not_to_have_attribute("aria-label", before)
        return self.words

    def latency(self, name, keys):
        """Median milliseconds from a key on a slider to the frame with the new picture.

        Printed, and added to the file that TABKIT_LATENCY names.
        """
        self.root.evaluate(WATCH)
        for number, key in enumerate(keys):
            self.press(name, key)
            self.page.wait_for_function("n => window.tabkitLatency.length > n", arg=number)
        found = statistics.median(self.page.evaluate("window.tabkitLatency"))
        report(f"{self.name}: {found:.0f} ms from key to picture (median of {len(keys)})")
        return found


def report(line):
    """A measurement: no test may fail by the clock of a busy machine."""
    print(line)
    if file := os.environ.get("TABKIT_LATENCY"):
        with Path(file).open("a") as out:
            out.write(f"{line}\n")
