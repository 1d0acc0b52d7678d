"""Builds the pages as a site: ``python docs/build.py``, or ``make docs``. No network is needed."""

import sys
from pathlib import Path

import tables
from sphinx.cmd.build import build_main

DOCS = Path(__file__).resolve().parent


def site(folder: str) -> int:
    """Writes the site; 0 if nothing was found wrong."""
    options = ["-q", "-W", "--keep-going", "-b", "html", "-c", str(DOCS)]
    return build_main([*options, str(DOCS.parent), folder])


if __name__ == "__main__":
    tables.main()
    failed = site(str(DOCS / "_build"))
    print(f"open {DOCS / '_build' / 'index.html'}")
    sys.exit(failed)
