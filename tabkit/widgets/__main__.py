"""The widgets as an app: ``python -m tabkit.widgets`` serves them on loopback.

Trains the nets first if they are not in the folder yet. Each page that is open has a Python process
of its own, about half a gigabyte, which ends with the page.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from tabkit.extras import imports_for, need

with imports_for("the app"):
    import nbformat
    from jupyter_server import DEFAULT_STATIC_FILES_PATH
    from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
    from tornado.web import HTTPError
    from traitlets import Integer
    from traitlets.config import Config

SHARE = Path(__file__).parent / "share"
CELL = """import sys
sys.path.insert(0, {here!r})
from tabkit.widgets.app import page
page(get_ipython(), {folder!r}, **{options})"""
# Voila's bundle is older than our Lab: other extensions would not load, and say so in the page.
EXTENSIONS = ["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8"]
KERNELS = {
    # Where a page went without a goodbye (the browser was killed, say); in seconds.
    "cull_idle_timeout": 120,
    "cull_interval": 30,
    "cull_connected": False,
    "transport_encryption": "auto",  # else each kernel tells the terminal that it lacks it
}
SERVER = {  # loopback only, for whoever calls it by a name of this machine
    "ip": "127.0.0.1",
    "port_retries": 0,
    "log_level": "ERROR",
    "config_file_paths": [],  # what the reader set for pages of his own does not open this one
    # A foreign Host is refused; the words for it need the path.
    "tornado_settings": {"allow_remote_access": False, "static_path": DEFAULT_STATIC_FILES_PATH},
}
PATIENCE = 8  # seconds for a page that was left to be gone, as when it is loaded again
FULL = "There are {} pages open, and no more fit. Close one of them, then load this page again."
ELSEWHERE = "Another site asked for this page. Type its address into the browser yourself."


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    found = argparse.ArgumentParser(prog="python -m tabkit.widgets", description=__doc__)
    found.add_argument("--port", type=int, default=8866, help="(8866)")
    found.add_argument("--no-browser", action="store_true", help="only serve")
    found.add_argument("--pages", type=int, default=4, help="open at the same time, at most (4)")
    nets = {"type": Path, "default": Path("runs/app"), "help": "of the trained nets (runs/app)"}
    found.add_argument("--folder", **nets)
    own = "your nets in place of those: a function that returns (net0 or None, net1, data)"
    found.add_argument("--net", default="", metavar="MODULE:FUNCTION", help=own)
    sizes = found.add_argument_group("for a quick look, with a folder of its own")
    sizes.add_argument("--rows", type=int, default=0, help="a random subset of so many flights")
    sizes.add_argument("--encoder-steps", type=int, default=1500, help="of net1 (1500)")
    sizes.add_argument("--steps", type=int, default=1000, help="of net0 (1000)")
    return found


def write_page(folder: Path, nets: Path, options: dict[str, Any]) -> Path:
    """The notebook that is served: one cell, which finds the modules that are found here."""
    words = CELL.format(here=str(Path.cwd()), folder=str(nets.resolve()), options=options)
    cell = nbformat.v4.new_code_cell(words)
    kernel = {"name": "python3", "display_name": "Python 3"}
    about = {"kernelspec": kernel, "title": "tabkit"}
    notebook, path = nbformat.v4.new_notebook(cells=[cell], metadata=about), folder / "tabkit.ipynb"
    nbformat.write(notebook, path)
    return path


class Bounded(AsyncMappingKernelManager):
    """Starts at most so many kernels; beyond that it waits a little, then says so."""

    most = Integer(config=True)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.starting = set()

    async def start_kernel(self, **options: Any) -> str:
        for _ in range(10 * PATIENCE):
            if len({*self.list_kernel_ids(), *self.starting}) < self.most:
                break
            await asyncio.sleep(0.1)
        else:
            raise HTTPError(503, FULL.format(self.most))
        name = str(uuid4())
        self.starting.add(name)  # in the same breath as the count: the next request sees it
        try:
            return await super().start_kernel(kernel_id=name, **options)
        finally:
            self.starting.remove(name)


def welcome(handler: Any, **_: Any) -> None:
    """Lets a reader in before a kernel starts; raises HTTPError if a page of another site asks.

    That may want this one as its image or frame; a link leads here.
    """
    asked = handler.request.headers
    linked = (asked.get("Sec-Fetch-Mode"), asked.get("Sec-Fetch-Dest")) == ("navigate", "document")
    own = asked.get("Sec-Fetch-Site", "none") in {"none", "same-origin"}
    if not (handler.check_origin() and (own or linked)):
        raise HTTPError(403, ELSEWHERE)
    handler.xsrf_token  # noqa: B018 - makes the cookie without which the page's goodbye is refused


def serve(notebook: Path, port: int, *, pages: int, browser: bool) -> None:
    """Serves the notebook's output by Voila until interrupted."""
    paths = filter(None, [str(SHARE), os.environ.get("JUPYTER_PATH")])
    os.environ["JUPYTER_PATH"] = os.pathsep.join(paths)
    from voila.app import Voila  # noqa: PLC0415 - reads JUPYTER_PATH when imported

    chosen = Config(
        Voila=SERVER | {"port": port, "open_browser": browser},
        VoilaConfiguration={
            "template": "tabkit",
            "show_tracebacks": True,
            "extension_allowlist": EXTENSIONS,
            "prelaunch_hook": welcome,
            "multi_kernel_manager_class": Bounded,
        },
        Bounded=KERNELS | {"most": pages},
    )
    Voila.launch_instance(argv=[str(notebook)], config=chosen)


def main(argv: Sequence[str] | None = None) -> int:
    """Trains what is missing, then serves."""
    arguments = parser().parse_args(argv)
    need("the app")
    options = {name: getattr(arguments, name) for name in ("net", "rows", "encoder_steps", "steps")}
    with tempfile.TemporaryDirectory() as folder:
        # What is trained behind a net of the reader's is kept while the server lives.
        nets = Path(folder) / "nets" if arguments.net else arguments.folder
        if not (nets / "net0_softmax.pt").exists():
            from tabkit.widgets.app import ready_nets  # noqa: PLC0415 - heavy, and rarely needed

            ready_nets(nets, **options)
        print(f"tabkit's widgets: http://127.0.0.1:{arguments.port} (Ctrl-C ends)", flush=True)
        notebook = write_page(Path(folder), nets, options)
        serve(notebook, arguments.port, pages=arguments.pages, browser=not arguments.no_browser)
    return 0


if __name__ == "__main__":
    sys.exit(main())
