"""The widgets as an app: ``python -m tabkit.widgets`` serves them, for who sits at this machine.

Trains the nets first if they are not in the folder yet. Each page that is open has a Python process
of its own, which ends with the page. For a class, `--ip` lets other machines in, if they bring the
token of the address that is printed; `--pages` is how many.
"""

import argparse
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from tabkit.extras import need

CELL = """import sys
sys.path.insert(0, {here!r})
from tabkit.widgets.app import page
page(get_ipython(), {folder!r}, **{options})"""
TAKEN = """nothing can listen at port {port} of {ip}: {why}.
Remedy: end what listens there, or choose another --port; --ip is an address of this machine, or
0.0.0.0 for all of them."""


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    found = argparse.ArgumentParser(prog="python -m tabkit.widgets", description=__doc__)
    found.add_argument("--port", type=int, default=8866, help="(8866)")
    where = "where to listen: an address of this machine, or 0.0.0.0 for all; whoever comes from "
    where += "another machine needs the token that is printed (127.0.0.1: nobody can)"
    found.add_argument("--ip", type=ip_address, default="127.0.0.1", help=where)
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
    import nbformat  # noqa: PLC0415 - with the app only

    words = CELL.format(here=str(Path.cwd()), folder=str(nets.resolve()), options=options)
    cell = nbformat.v4.new_code_cell(words)
    kernel = {"name": "python3", "display_name": "Python 3"}
    about = {"kernelspec": kernel, "title": "tabkit"}
    notebook, path = nbformat.v4.new_notebook(cells=[cell], metadata=about), folder / "tabkit.ipynb"
    nbformat.write(notebook, path)
    return path


def taken(ip: str, port: int) -> str:
    """Why nothing can listen there, and what to do; empty if it can."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    try:
        socket.create_server((ip, port), family=family).close()
    except (OSError, OverflowError) as error:
        return TAKEN.format(ip=ip, port=port, why=str(error).split(" (while")[0].rstrip("."))
    return ""


def prepare_and_serve(arguments: argparse.Namespace) -> None:
    """Trains what is missing, then serves."""
    options = {name: getattr(arguments, name) for name in ("net", "rows", "encoder_steps", "steps")}
    with tempfile.TemporaryDirectory() as folder:
        # What is trained behind a net of the reader's is kept while the server lives.
        nets = Path(folder) / "nets" if arguments.net else arguments.folder
        if not (nets / "net0_softmax.pt").exists():
            from tabkit.widgets.app import ready_nets  # noqa: PLC0415 - heavy, and rarely needed

            ready_nets(nets, **options)
        notebook = write_page(Path(folder), nets, options)
        chosen = {"pages": arguments.pages, "browser": not arguments.no_browser}
        from tabkit.widgets import serving  # noqa: PLC0415 - when the nets are ready

        serving.serve(notebook, str(arguments.ip), arguments.port, **chosen)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 when it is interrupted, which is how it ends; 2 if nothing can listen there."""
    arguments = parser().parse_args(argv)
    need("the app")
    if why := taken(str(arguments.ip), arguments.port):
        print(f"python -m tabkit.widgets: {why}", file=sys.stderr)
        return 2
    try:
        prepare_and_serve(arguments)
    except KeyboardInterrupt:
        print("ended before it served", file=sys.stderr)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the server has its own
    sys.exit(main())
