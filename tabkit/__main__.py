"""The command line.

``python -m tabkit run`` does the main job on the real flights, or with ``--table`` on rows of your
own; ``python -m tabkit apply`` then predicts new ones; ``python -m tabkit compare`` trains every
estimator at several temperatures and seeds, on flights and on planted rows; ``python -m tabkit
recommend`` says within minutes what to train through and what to decode by.
"""

import argparse
import sys
from collections.abc import Sequence

from tabkit.commands import COMMANDS


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    root = argparse.ArgumentParser(prog="python -m tabkit", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    for name, (job, add_arguments) in COMMANDS.items():
        command = commands.add_parser(name, help=job.__doc__, description=job.__doc__)
        command.set_defaults(job=job)
        add_arguments(command.add_argument)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status, 2 for bad arguments."""
    arguments = parser().parse_args(argv)
    try:
        return arguments.job(arguments)
    except KeyboardInterrupt:
        kept = arguments.command != "recommend"
        picks_up = "the same call (run: with --out FOLDER) picks up" if kept else "nothing is kept"
        print(f"tabkit: interrupted; {picks_up}", file=sys.stderr)
        return 130
    except (ValueError, ArithmeticError, OSError, ImportError) as error:
        print(f"tabkit: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
