"""A widget in a page: its controls worked by keyboard, what it shows, and how fast."""

import os
import statistics
from pathlib import Path

try:
    from playwright.sync_api import expect
except ImportError:  # see `harness.missing`
    expect = None

# The messages of a notebook's widgets that the kernel has not dealt with: it says "idle" to each
# after all that comes of it. A reset and a choice may meet in the kernel in either order, since
# JupyterLab may let a thread deal with controls while another deals with buttons.
COUNT = """() => {
    const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const unanswered = window.tabkitUnanswered = new Set();
    kernel.anyMessage.connect((_, {msg, direction}) => {
        const sent = direction == 'send' && msg.header.msg_type == 'comm_msg';
        if (sent) unanswered.add(msg.header.msg_id);
    });
    kernel.iopubMessage.connect((_, msg) => {
        if (msg.content.execution_state == 'idle') unanswered.delete(msg.parent_header.msg_id);
    });
}"""
ANSWERED = "() => !window.tabkitUnanswered?.size"  # none is counted outside of notebooks

# From the key to the frame that holds what is new, in milliseconds.
WATCH = """(widget, shown) => {
    const found = () => widget.querySelector(shown);
    const times = window.tabkitLatency = [];
    let pressed = null, before = null;
    const press = () => { pressed = performance.now(); before = found(); };
    widget.addEventListener('keydown', press, true);
    const observer = new MutationObserver(() => {
        if (pressed === null || !found() || found() === before) return;
        const start = pressed; pressed = null;
        requestAnimationFrame(() => times.push(performance.now() - start));
    });
    observer.observe(widget, {childList: true, subtree: true});
}"""
PICTURE = "svg[role=img]"
FEW = 4  # keys
PLACE = """(root, picture) => {
    const {x, y, width, height} = root.querySelector(picture).getBoundingClientRect();
    return {x, y, width, height};
}"""


def settled(page):
    """Waits until the kernel has dealt with all that was done, and the page shows it."""
    page.wait_for_function(ANSWERED)


class Widget:
    """An `Explorer` in a page; controls go by the names of their keyword arguments.

    Whatever is done or read waits until all that was done before has been dealt with.
    """

    def __init__(self, page, root, name):
        self.page, self.root, self.name = page, root, name
        # As it was when first found: kept in the page, since each test finds it anew.
        self.start = root.evaluate("(widget, code) => widget.dataset.start ??= code", self.code)

    def settled(self):
        """Waits until all that was done has been dealt with."""
        settled(self.page)

    def control(self, name):
        return self.root.locator(f".tabkit-{name.replace('_', '-')}").first

    def press(self, name, *keys):
        """Keys on a slider's handle or a dropdown, one after another without a pause."""
        self.settled()
        for key in keys:
            self.control(name).locator(".noUi-handle, select").press(key)

    def choose(self, name, option):
        self.settled()
        self.control(name).locator("select").select_option(option)

    def type(self, name, text):
        """Replaces what stands in a field, key by key, and leaves the field."""
        self.settled()
        field = self.control(name).locator("input")
        field.press("ControlOrMeta+a")
        field.press("Delete")
        field.press_sequentially(text)
        field.press("Tab")

    def field(self, name):
        """What stands in a field."""
        self.settled()
        return self.control(name).locator("input").input_value()

    @property
    def picture(self):
        return self.root.locator(PICTURE).first

    @property
    def place(self):
        """The picture's x, y, width and height.

        Found and measured in one go: while it trains, a picture that was found may be replaced
        before it is measured.
        """
        return self.root.evaluate(PLACE, PICTURE)

    @property
    def words(self):
        """The picture's description."""
        self.settled()
        return self.picture.get_attribute("aria-label")

    @property
    def alert(self):
        self.settled()
        return self.root.get_by_role("alert")

    @property
    def code(self):
        """The call that reproduces the state, as shown."""
        self.settled()
        return self.root.locator("code").last.inner_text()

    def until(self, *parts):
        """Waits until the code says so: then picture and message are those of that state, too."""
        self.settled()
        for part in parts:
            expect(self.root.locator("code").last).to_contain_text(part)

    def button(self, name):
        return self.root.get_by_role("button", name=name, exact=True)

    def reset(self):
        """Back to the start; waits until all of it is shown."""
        self.settled()
        self.button("reset").click()
        self.settled()
        expect(self.root.locator("code").last).to_have_text(self.start)

    def copied(self):
        """What `copy as code` puts into the clipboard."""
        self.settled()
        self.page.evaluate("navigator.clipboard.writeText('')")
        self.button("copy as code").click()
        return self.page.wait_for_function("() => navigator.clipboard.readText()").json_value()

    def after(self, act):
        """The picture's words once `act()` has changed them."""
        before = self.words
        act()
        expect(self.picture).not_to_have_attribute("aria-label", before)
        return self.words

    def latency(self, name, keys, *, shown=PICTURE, when=""):
        """Median milliseconds from a key on a control to the frame with the new picture.

        Or with whatever else is `shown` that is new. Printed, and added to the file that
        TABKIT_LATENCY names; where it names none, a few of the keys show that there is an answer.
        """
        keys = keys if os.environ.get("TABKIT_LATENCY") else keys[:FEW]
        self.root.evaluate(WATCH, shown)
        for number, key in enumerate(keys):
            self.press(name, key)
            self.page.wait_for_function("n => window.tabkitLatency.length > n", arg=number)
        found = statistics.median(self.page.evaluate("window.tabkitLatency"))
        what = "picture" if shown == PICTURE else shown
        report(f"{self.name}, {name}{when}: {found:.0f} ms from key to {what} (of {len(keys)})")
        return found


def report(line):
    """A measurement: no test may fail by the clock of a busy machine."""
    print(line)
    if file := os.environ.get("TABKIT_LATENCY"):
        with Path(file).open("a") as out:
            out.write(f"{line}\n")
