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

from tabkit import terminal
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
    found.add_argument(
        "--pages", type=terminal.positive, default=4, help="open at the same time, at most (4)"
    )
    nets = {"type": Path, "default": Path("runs/app"), "help": "of the trained nets (runs/app)"}
    found.add_argument("--folder", **nets)
    own = "your nets in place of those: a function that returns (net0 or None, net1, data)"
    found.add_argument("--net", default="", metavar="MODULE:FUNCTION", help=own)
    found.add_argument("--debug", action="store_true", help="show where an error is raised")
    sizes = found.add_argument_group("for a quick look, with a folder of its own")
    sizes.add_argument(
        "--rows", type=terminal.positive, default=0, help="a random subset of so many flights"
    )
    sizes.add_argument(
        "--encoder-steps", type=terminal.positive, default=1500, help="of net1 (1500)"
    )
    sizes.add_argument("--steps", type=terminal.positive, default=1000, help="of net0 (1000)")
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


def check_free(ip: str, port: int) -> None:
    """Raises ValueError, which says what to do, if nothing can listen there."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    try:
        socket.create_server((ip, port), family=family).close()
    except (OSError, OverflowError) as error:
        why = str(error).split(" (while")[0].rstrip(".")
        raise ValueError(TAKEN.format(ip=ip, port=port, why=why)) from error


def prepare_and_serve(arguments: argparse.Namespace) -> int:
    """Trains what is missing, which may be the rest of a training, then serves."""
    need("the app")
    check_free(str(arguments.ip), arguments.port)
    options = {name: getattr(arguments, name) for name in ("net", "rows", "encoder_steps", "steps")}
    with tempfile.TemporaryDirectory() as folder:
        # What is trained behind a net of the reader's is kept while the server lives.
        nets = Path(folder) / "nets" if arguments.net else arguments.folder
        from tabkit.widgets.app import ready_nets  # noqa: PLC0415 - slow to import, as serving is

        ready_nets(nets, **options)
        notebook = write_page(Path(folder), nets, options)
        chosen = {"pages": arguments.pages, "browser": not arguments.no_browser}
        from tabkit.widgets import serving  # noqa: PLC0415

        serving.serve(notebook, str(arguments.ip), arguments.port, **chosen)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 when its server is interrupted, which is how it ends.

    130 if that comes before it serves; 2 if it cannot serve.
    """
    arguments = parser().parse_args(argv)
    return terminal.ended(lambda: prepare_and_serve(arguments), arguments)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the server has its own
    sys.exit(main())
