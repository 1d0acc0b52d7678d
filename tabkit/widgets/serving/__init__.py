"""The app's server: Voila with at most so many kernels, for nobody but its own pages.

Voila keeps code out: a page's socket hands on what widgets say to each other and nothing else, and
there is no way to start a kernel but to open a page.
"""

import asyncio
import logging
import os
import secrets
import shutil
import signal
import webbrowser
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from jupyter_server import DEFAULT_STATIC_FILES_PATH
from tornado.ioloop import IOLoop
from traitlets.config import Config
from voila.app import Voila

from tabkit.widgets.serving.access import Foreign, Refused, Token, addresses, hosts_of
from tabkit.widgets.serving.kernels import PATIENCE, Bounded

__all__ = ["serve"]

SHARE = Path(__file__).parents[1] / "share"
KERNELS = {
    # Where a page went without a goodbye (the browser was killed, say); in seconds.
    "cull_idle_timeout": 120,
    "cull_interval": 30,
    "cull_connected": False,
    "transport_encryption": "auto",  # else each kernel tells the terminal that it lacks it
}
STARTUP = 600  # seconds for a kernel to answer: where a class comes at once, cores are scarce
SERVER = {
    "port_retries": 0,
    "log_level": "ERROR",
    "config_file_paths": [],  # what the reader set for pages of his own does not open this one
    "tornado_settings": {"static_path": DEFAULT_STATIC_FILES_PATH},  # for the words of a refusal
}


def welcome(handler: Any, **_: Any) -> None:
    """Makes the cookie without which the page's goodbye is refused."""
    handler.xsrf_token  # noqa: B018


PAGE = {
    "template": "tabkit",
    "show_tracebacks": True,
    # Voila's bundle is older than our Lab: others would not load, and say so in the page.
    "extension_allowlist": [
        "@jupyter-widgets/jupyterlab-manager",
        "@voila-dashboards/widgets-manager8",
    ],
    "prelaunch_hook": welcome,
    "multi_kernel_manager_class": Bounded,
}


class App(Voila):
    """Voila that refuses other sites whatever they ask for, and that ends at once."""

    def initialize(self, argv: list[str] | None = None) -> None:
        self.ioloop = IOLoop.current()  # before there are signals to stop it
        super().initialize(argv)  # sees to SIGTERM
        signal.signal(signal.SIGINT, self._handle_signal_stop)

    def init_handlers(self) -> list[Any]:
        return [(Foreign(hosts_of(self.ip), self.token), Refused), *super().init_handlers()]

    def listen(self) -> None:
        self.app.listen(self.port, self.ip)
        if self.open_browser:
            webbrowser.open(addresses(self.ip, self.port, self.token)[0])
        self.ioloop.start()
        self.ioloop.run_sync(self.end)

    async def end(self) -> None:
        """No kernel is left, and no task that would miss it."""
        logging.disable()  # pages that miss their kernels
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait([asyncio.ensure_future(self.kernel_manager.end())], timeout=PATIENCE)
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=1)  # some wait on for a kernel that is gone
        shutil.rmtree(self.connection_dir)


def serve(notebook: Path, ip: str, port: int, *, pages: int, browser: bool) -> None:
    """Says where the page is, and serves the notebook's output there until interrupted."""
    paths = filter(None, [str(SHARE), os.environ.get("JUPYTER_PATH")])
    os.environ["JUPYTER_PATH"] = os.pathsep.join(paths)
    logging.getLogger("tornado").setLevel(logging.ERROR)  # who is refused is told, and nobody else
    token = "" if ip_address(ip).is_loopback else secrets.token_urlsafe(12)
    print(f"tabkit's widgets: {' or '.join(addresses(ip, port, token))} (Ctrl-C ends)", flush=True)
    here = {"ip": ip, "port": port, "token": token, "open_browser": browser}
    chosen = {
        "App": SERVER | here | {"identity_provider_class": Token},
        "Bounded": KERNELS | {"most": pages},
        "Token": {"cookie_options": {"samesite": "Lax"}},
        "VoilaConfiguration": PAGE,
        "VoilaExecutor": {"startup_timeout": STARTUP},
    }
    App.launch_instance(argv=[str(notebook)], config=Config(chosen))
