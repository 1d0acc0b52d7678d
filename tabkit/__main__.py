"""The command line.

``python -m tabkit run`` does the main job on the real flights, or with ``--table`` on rows of your
own; ``python -m tabkit apply`` then predicts new ones; ``python -m tabkit compare`` trains every
estimator at several temperatures and seeds, on flights and on planted rows; ``python -m tabkit
recommend`` says within minutes what to train through and what to decode by; ``python -m tabkit
doctor`` looks whether all that it needs is there.
"""

import argparse
import sys
from collections.abc import Sequence

from tabkit import terminal

AGAIN = {
    "run": "; the same call with --out FOLDER picks up",
    "compare": "; the same call picks up",
    "recommend": "; nothing is kept",
}


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    from tabkit.commands import COMMANDS  # noqa: PLC0415 - heavy, and Ctrl-C is heard meanwhile

    root = argparse.ArgumentParser(prog="python -m tabkit", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    for name, (job, add_arguments) in COMMANDS.items():
        command = commands.add_parser(name, help=job.__doc__, description=job.__doc__)
        command.set_defaults(job=job, interrupted=AGAIN.get(name, ""))
        add_arguments(command.add_argument)
        command.add_argument("--debug", action="store_true", help="show where an error is raised")
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status, 2 if it cannot be done."""
    arguments = argparse.Namespace()

    def job() -> int:
        parser().parse_args(argv, arguments)
        return arguments.job(arguments)

    return terminal.ended(job, arguments)


if __name__ == "__main__":
    sys.exit(main())
