"""The widgets as an app: ``python -m tabkit.widgets`` serves them on loopback.

Trains the nets first if they are not in the folder yet.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from traitlets.config import Config

SHARE = Path(__file__).parent / "share"
CELL = "from tabkit.widgets.app import page\npage(get_ipython(), {folder!r}, **{sizes})"
# Voila's bundle is older than our Lab: other extensions would not load, and say so in the page.
EXTENSIONS = ["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8"]


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    found = argparse.ArgumentParser(prog="python -m tabkit.widgets", description=__doc__)
    found.add_argument("--port", type=int, default=8866, help="(8866)")
    found.add_argument("--no-browser", action="store_true", help="only serve")
    found.add_argument(
        "--folder", type=Path, default=Path("runs/app"), help="of the trained nets (runs/app)"
    )
    sizes = found.add_argument_group("for a quick look, with a folder of its own")
    sizes.add_argument("--rows", type=int, default=0, help="a random subset of so many flights")
    sizes.add_argument("--encoder-steps", type=int, default=1500, help="of net1 (1500)")
    sizes.add_argument("--steps", type=int, default=1000, help="of net0 (1000)")
    return found


def write_page(folder: Path, nets: Path, sizes: dict[str, int]) -> Path:
    """The notebook that is served: one cell."""
    cell = nbformat.v4.new_code_cell(CELL.format(folder=str(nets.resolve()), sizes=sizes))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    notebook.metadata.title = "tabkit"
    path = folder / "tabkit.ipynb"
    nbformat.write(notebook, path)
    return path


def serve(notebook: Path, port: int, *, browser: bool) -> None:
    """Serves the notebook's output by Voila until interrupted."""
    os.environ["JUPYTER_PATH"] = os.pathsep.join(
        [str(SHARE), *filter(None, [os.environ.get("JUPYTER_PATH")])]
    )
    from voila.app import Voila  # noqa: PLC0415 - reads JUPYTER_PATH when imported

    server = {
        "ip": "127.0.0.1",
        "port": port,
        "port_retries": 0,
        "open_browser": browser,
        "log_level": "ERROR",
    }
    look = {"template": "tabkit", "show_tracebacks": True, "extension_allowlist": EXTENSIONS}
    chosen = Config({"Voila": server, "VoilaConfiguration": look})
    Voila.launch_instance(argv=[str(notebook)], config=chosen)


def main(argv: Sequence[str] | None = None) -> int:
    """Trains what is missing, then serves."""
    arguments = parser().parse_args(argv)
    sizes = {name: getattr(arguments, name) for name in ("rows", "encoder_steps", "steps")}
    if not (arguments.folder / "net0.pt").exists():
        from tabkit.widgets.app import ready_nets  # noqa: PLC0415 - heavy, and rarely needed

        ready_nets(arguments.folder, **sizes)
    with tempfile.TemporaryDirectory() as folder:
        print(f"tabkit's widgets: http://127.0.0.1:{arguments.port} (Ctrl-C ends)", flush=True)
        notebook = write_page(Path(folder), arguments.folder, sizes)
        serve(notebook, arguments.port, browser=not arguments.no_browser)
    return 0


if __name__ == "__main__":
    sys.exit(main())
