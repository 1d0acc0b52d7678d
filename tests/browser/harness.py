"""Real JupyterLab in a real browser: opens notebooks, works widgets, and lists what went wrong."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import nbformat
import psutil

from browser.widget import COUNT, Widget, expect, settled

try:
    from playwright.sync_api import sync_playwright
except ImportError:  # the tests are skipped, or fail, with these words
    sync_playwright = None

__all__ = ["NETS", "Lab", "Notebook", "Server", "Watched", "Widget", "expect", "free_port"]

WORDS = "needs a browser: apt-get install chromium; pip install playwright"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = {
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
}
DIRECTORIES = [
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "JUPYTERLAB_SETTINGS_DIR",
    "JUPYTERLAB_WORKSPACES_DIR",
    "IPYTHONDIR",
]
TOKEN = "tabkit"
PAGES = 2  # that the app lets in at once
SMALL = ["--rows", "5000", "--encoder-steps", "30", "--steps", "30"]
STARTUP = 180  # seconds; only a server that never answers meets it

# Small nets, trained by the first notebook of a run and picked up by the later ones.
NETS = """
from tabkit import RowEncoder, RowPredictor, estimators, fit_encoder, fit_predictor, flights
from tabkit import freeze, widgets
data = flights(rows=5_000, held_out=500)
net1 = RowEncoder(data.schema)
for _ in fit_encoder(net1, data, steps=50, batch=512, checkpoint="net1.safetensors"): pass
net1 = freeze(net1)
net0 = RowPredictor(data.signal.shape[1], net1)
softmax = estimators.make("softmax")
for _ in fit_predictor(net0, net1, data, softmax, steps=50, checkpoint="net0.safetensors"): pass
"""

LIGHT = """
from pathlib import Path
from tabkit.widgets import serving
from tabkit.widgets.serving import kernels
kernels.PATIENCE = 5
serving.KERNELS |= {culling}
serving.serve(Path({notebook!r}), {ip!r}, {port}, pages={pages}, browser=False)
"""

# All code cells have run, or the errors of those that failed: from the model, not from the page.
RAN = """() => {
    const cells = [...jupyterapp.shell.currentWidget.content.model.cells];
    const code = cells.filter(c => c.type == 'code');
    const errors = code.flatMap(c => c.sharedModel.outputs).filter(o => o.output_type == 'error');
    if (errors.length) return errors.map(o => `${o.ename}: ${o.evalue}`);
    return code.every(c => c.executionCount && c.executionState != 'running') ? [] : null;
}"""
SHOW = """sources => {
    const shared = jupyterapp.shell.currentWidget.content.model.sharedModel;
    shared.transact(() => {
        shared.deleteCellRange(0, shared.cells.length);
        shared.insertCells(0, sources.map(source => ({cell_type: 'code', source})));
    });
}"""
EVALUATE = """async code => {
    const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const ask = {code: '', store_history: false, user_expressions: {it: code}};
    const it = (await kernel.requestExecute(ask).done).content.user_expressions.it;
    return it.status == 'ok' ? it.data['text/plain'] : `${it.ename}: ${it.evalue}`;
}"""


def chromium():
    """The browser's path, or None."""
    known = map(shutil.which, ("chromium", "google-chrome", "/usr/bin/chromium"))
    found = os.environ.get("TABKIT_CHROMIUM") or next(filter(None, known), None)
    return Path(found) if found and Path(found).exists() else None


def missing():
    """Why no browser can be driven here; empty if one can."""
    return "" if chromium() and sync_playwright else WORDS


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def isolated(folder):
    """An environment whose Jupyter reads and writes below `folder` only."""
    return os.environ | {name: str(folder / name) for name in DIRECTORIES}


class Server:
    """A process that serves pages on loopback; ended by its own handle."""

    def __init__(self, command, folder, port, *, ready):
        self.log, self.port = folder / "server.log", port
        self.origin = f"http://127.0.0.1:{port}"
        self.started = time.perf_counter()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, env=isolated(folder), cwd=folder, stdout=log, stderr=subprocess.STDOUT
            )
        self.wait(self.origin + ready)

    def wait(self, url):
        while time.perf_counter() - self.started < STARTUP:
            assert self.process.poll() is None, self.log.read_text()
            try:
                urllib.request.urlopen(url).close()
                return
            except OSError:
                time.sleep(0.1)
        self.stop()
        raise TimeoutError(f"{url} does not answer: {self.log.read_text()}")

    @property
    def kernels(self):
        """Of the app: whose process each open page has."""
        return psutil.Process(self.process.pid).children()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Lab(Server):
    """JupyterLab, with directories of its own and no wish to go outside."""

    def __init__(self, folder):
        (folder / "app").mkdir()
        (folder / "notebooks").mkdir()
        (folder / "app" / "overrides.json").write_text(json.dumps(SETTINGS))
        self.notebooks = folder / "notebooks"
        port = free_port()
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": port,
            "ServerApp.port_retries": 0,
            "ServerApp.root_dir": self.notebooks,
            "IdentityProvider.token": TOKEN,
            "LabApp.app_settings_dir": folder / "app",
            "LabApp.expose_app_in_browser": True,
            "LabApp.extension_manager": "readonly",
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        super().__init__([*command, *words], folder, port, ready="/api")

    def address(self, name):
        """Where a notebook opens, and nothing else that was open before."""
        return f"{self.origin}/lab/tree/{name}.ipynb?token={TOKEN}&reset"

    def write(self, name, cells):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, self.notebooks / f"{name}.ipynb")
        return self.address(name)


def app(folder):
    """The app's server, with small nets that it trains if they are not there."""
    port = free_port()
    command = [sys.executable, "-m", "tabkit.widgets", "--no-browser", "--port", str(port)]
    words = [*command, "--pages", str(PAGES), *SMALL]
    return Server(words, folder, port, ready="/voila/static/voila.js")


def light(folder, *, ip="127.0.0.1", cell="import os", **culling):
    """A server like the app's, whose page is a light one."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "light.ipynb")
    found = {"notebook": str(folder / "light.ipynb"), "ip": ip, "port": free_port()}
    code = LIGHT.format(culling=culling, pages=PAGES, **found)
    words = [sys.executable, "-c", code]
    return Server(words, folder, found["port"], ready="/voila/static/voila.js")


class Watched:
    """A page that remembers what went wrong in it, and whom it asked for anything."""

    def __init__(self, browser):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page = context.new_page()
        self.page.set_default_timeout(120_000)  # met where something never comes
        self.errors, self.outside = [], []
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.notice(request.url))
        self.page.on("websocket", lambda socket: self.notice(socket.url))

    def hear(self, message):
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url')})")

    def notice(self, url):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname != "127.0.0.1":
            self.outside.append(url)

    def widget(self, name, number=0):
        """The widget of the public function `name`; the first of several unless told."""
        found = self.page.locator(f".tabkit-{name.replace('_', '-')}").nth(number)
        found.wait_for()
        return Widget(self.page, found, name)

    def faults(self):
        return {"errors": self.errors, "outside": self.outside}

    def check(self):
        """Nothing went wrong so far."""
        settled(self.page)
        found = self.faults()
        assert not any(found.values()), found

    def close(self):
        self.page.context.close()


class Notebook(Watched):
    """A notebook in Lab, all its cells run."""

    def __init__(self, browser, lab, name, cells, *, theme="light"):
        super().__init__(browser)
        self.page.goto(lab.write(name, cells))
        self.page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        self.set_theme(theme)
        self.page.evaluate(COUNT)
        self.run()

    def show(self, cells):
        """Runs these cells, which then are all that there are; the kernel goes on."""
        self.page.evaluate(SHOW, cells)
        self.run()
        return self

    def run(self):
        """Runs all cells, none of which may fail."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.locator('.lm-Menu-item[data-command="runmenu:run-all"]').click()
        errors = self.page.wait_for_function(RAN, timeout=120_000).json_value()
        assert errors == [], errors

    def set_theme(self, theme):
        """``"light"`` or ``"dark"``."""
        light = json.dumps(theme == "light")
        name = f"JupyterLab {theme.title()}"
        change = "name => jupyterapp.commands.execute('apputils:change-theme', {theme: name})"
        self.page.evaluate(change, name)
        self.page.locator(f"body[data-jp-theme-light={light}]").wait_for(state="attached")
        # Lab's logo fades over the page; a next change meanwhile would be an error of Lab's own.
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")

    def evaluate(self, code):
        """What an expression is in the kernel, as `repr`."""
        settled(self.page)
        return self.page.evaluate(EVALUATE, code)

    def log(self):
        """What Lab's log console holds: errors that no cell shows."""
        panel = self.page.locator(".jp-LogConsolePanel")
        self.page.evaluate("() => jupyterapp.commands.execute('logconsole:open')")
        panel.wait_for()
        said = panel.locator(".jp-OutputArea-child").all_text_contents()
        self.page.evaluate("() => jupyterapp.commands.execute('logconsole:open')")
        panel.wait_for(state="detached")
        return said

    def faults(self):
        return {**super().faults(), "cells": self.page.evaluate(RAN), "log": self.log()}
