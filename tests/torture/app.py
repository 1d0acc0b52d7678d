"""Ten readers open the app at once on whatever cores there are, and one of them trains.

``python -m tests.torture.app`` prints the figures: what readers wait, what it costs in memory, and
that nothing is left. The ten browsers run on this machine, too; in a class they do not.
"""

import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from playwright.async_api import async_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))  # where `make test` finds it
from browser.harness import FLAGS, Server, chromium, free_port

READERS = 10
LONGEST = 5_000  # steps that the cockpit takes
SMALL = ["--rows", "5000", "--encoder-steps", "50", "--steps", "50"]
PATIENCE = 240_000  # milliseconds; only what never comes meets it
# The next time that the picture is another one, in milliseconds from the key.
TURN = """([key]) => new Promise(found => {
    const widget = document.querySelector('.tabkit-simplex-explorer');
    const picture = () => widget.querySelector('svg[role=img]');
    const before = picture(), start = performance.now();
    new MutationObserver((_, watching) => {
        if (!picture() || picture() === before) return;
        watching.disconnect();
        requestAnimationFrame(() => found(performance.now() - start));
    }).observe(widget, {childList: true, subtree: true});
    const handle = widget.querySelector('.tabkit-tau .noUi-handle');
    handle.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
})"""
COCKPIT = ".tabkit-training-cockpit"


class Class:
    """The app's server, the pages that are open, and what went wrong."""

    def __init__(self, server, browser):
        self.server, self.browser, self.pages, self.failures = server, browser, [], []
        self.process = psutil.Process(server.process.pid)

    def memory(self):
        """MiB of the server and its kernels, what they share counted once."""
        whole = [self.process, *self.process.children(recursive=True)]
        return round(sum(process.memory_full_info().pss for process in whole) / 2**20)

    def fail(self, what):
        self.failures.append(what)
        print(f"failed: {what}", flush=True)

    async def enter(self, number):
        """Opens a page; seconds from the request to something to read, and to the first picture."""
        page = await (await self.browser.new_context()).new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.fail(f"reader {number}: {error}"))
        self.pages.append(page)
        start = time.perf_counter()
        await page.goto(self.server.origin, wait_until="commit", timeout=PATIENCE)
        begun = time.perf_counter() - start
        await page.locator(".tabkit-simplex-explorer svg[role=img]").first.wait_for()
        return begun, time.perf_counter() - start

    async def turn(self, page, key):
        """Milliseconds from a key on a dial to the frame with the new picture."""
        return await asyncio.wait_for(page.evaluate(TURN, [key]), PATIENCE / 1000)

    async def train(self, page, steps):
        """Starts the longest training there is."""
        await page.get_by_role("tab", name="training", exact=True).click()
        cockpit = page.locator(COCKPIT)
        field = cockpit.locator(".tabkit-steps input")
        await field.fill(str(steps))
        await field.press("Tab")
        await cockpit.get_by_role("button", name="start", exact=True).click()
        await cockpit.locator("svg[role=img]").first.wait_for()

    async def status(self, page):
        """What the cockpit says of its run."""
        return await page.locator(COCKPIT).locator("p", has_text="step").last.inner_text()

    async def leave(self):
        """All pages at once, as readers close them; seconds until the last kernel is gone."""
        start = time.perf_counter()
        await asyncio.gather(*(page.close(run_before_unload=True) for page in self.pages))
        while self.server.kernels and time.perf_counter() - start < PATIENCE / 1000:
            await asyncio.sleep(0.1)
        return time.perf_counter() - start


@asynccontextmanager
async def in_class(folder):
    """A `Class` without readers yet; the server is ended as by Ctrl-C."""
    port = free_port()
    command = [sys.executable, "-m", "tabkit.widgets", "--no-browser", "--port", str(port)]
    words = [*command, "--pages", str(READERS), *SMALL]
    server = Server(words, folder, port, ready="/voila/static/voila.js")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield Class(server, browser)
        finally:
            await browser.close()
            server.stop()


def spread(name, times, digits):
    """Median and worst, flat."""
    found = {"median": statistics.median(times), "worst": max(times)}
    return {f"{name}_{which}": round(value, digits) for which, value in found.items()}


async def turns(room, pages, seconds):
    """Milliseconds of turned dials: one reader after another, then all at once until the end."""
    end, alone, together = time.perf_counter() + seconds, [], []
    for key in ("ArrowRight", "ArrowLeft"):
        alone += [await room.turn(page, key) for page in pages]
    while time.perf_counter() < end or not together:
        for key in ("ArrowRight", "ArrowLeft"):
            together += await asyncio.gather(*(room.turn(page, key) for page in pages))
    return alone, together


async def come(room):
    """All readers at once: what they wait, in seconds."""
    waited = await asyncio.gather(*map(room.enter, range(READERS)), return_exceptions=True)
    for number, error in enumerate(waited):
        if isinstance(error, BaseException):
            room.fail(f"reader {number}: {error}")
    here = [each for each in waited if isinstance(each, tuple)] or [(0.0, 0.0)]
    begun, shown = zip(*here, strict=True)
    return spread("first_words_s", begun, 1) | spread("first_widget_s", shown, 1)


async def work(room, seconds):
    """All but one turn dials, before that one trains and while it does: what they wait."""
    trainer, *others = room.pages
    quiet, training = ("dial_quiet", "dial_quiet_all"), ("dial_training", "dial_training_all")
    times = dict(zip(quiet, await turns(room, others, 1), strict=True))
    await room.train(trainer, LONGEST)
    times |= zip(training, await turns(room, others, seconds), strict=True)
    found = {"memory_training_mib": room.memory(), "trainer_says": await room.status(trainer)}
    for name, each in times.items():
        found |= spread(f"{name}_ms", each, 0) | {f"{name}_turns": len(each)}
    return found


async def end(room):
    """Pages are closed, then the server is ended as by Ctrl-C: what is left."""
    processes = room.process.children(recursive=True)
    found = {"kernels_gone_s": round(await room.leave(), 1)}
    found |= {"kernels_left": len(room.server.kernels), "memory_after_mib": room.memory()}
    room.server.process.send_signal(signal.SIGINT)
    found["exit_code"] = room.server.process.wait(60)
    found["processes_left"] = len(psutil.wait_procs(processes, timeout=30)[1])
    if "Traceback" in room.server.log.read_text():
        room.fail(room.server.log.read_text())
    return found


async def lesson(folder, seconds):
    """What a class does, from the first page to the end of the server."""
    async with in_class(folder) as room:
        found = {"readers": READERS, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
        found |= {"memory_before_mib": room.memory(), **await come(room)}
        found |= {"kernels_open": len(room.server.kernels), "memory_open_mib": room.memory()}
        if not room.failures:  # else there is nobody to turn a dial
            found |= await work(room, seconds)
        found |= await end(room)
        judge(room, found)
    return found


def judge(room, found):
    """What a class must be able to rely on."""
    if found["kernels_open"] != READERS:
        room.fail(f"{found['kernels_open']} kernels for {READERS} readers")
    for name in ("kernels_left", "processes_left", "exit_code"):
        if found[name]:
            room.fail(f"{name}: {found[name]}")
    grown = found["memory_after_mib"] - found["memory_before_mib"]
    if grown > (found["memory_open_mib"] - found["memory_before_mib"]) / 10:
        room.fail(f"{grown} MiB more than before the class")
    found["failures"] = len(room.failures)


def run(seed: int = 0, minutes: float = 2.0) -> dict[str, int | float | str]:
    """The figures of one class; one reader trains for so many minutes while the others turn dials.

    Nothing is drawn at random: `seed` is there since every kind has one.
    """
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(lesson(Path(folder), 60 * minutes))


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
