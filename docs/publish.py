"""Builds the pages as a site: ``make docs``, ``make html``. No network is needed.

python docs/publish.py             # README, docs, the API, the course without outputs: docs/_build
python docs/publish.py --course    # the course is run where it has changed: build/html
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import tables
from sphinx.cmd.build import build_main

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT / "notebooks"))

import execute  # noqa: E402


def site(folder: Path, course: Path | None = None) -> int:
    """Writes the site, with the course if its executed notebooks are there; 0 if all is well."""
    options = ["-q", "-W", "--keep-going", "-b", "html", "-c", str(DOCS)]
    if course:  # the folder that is handed on holds pages, and nothing to build them
        options += ["-D", f"course_folder={course}", "-d", str(course / ".doctrees")]
    return build_main([*options, str(ROOT), str(folder)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--course", action="store_true", help="run the notebooks first")
    parser.add_argument("--quick", action="store_true", help="with little training")
    asked = parser.parse_args(arguments)
    tables.main()
    folder, executed = DOCS / "_build", None
    if asked.course:
        name = "html-quick" if asked.quick else "html"
        folder, executed = ROOT / "build" / name, ROOT / "runs" / name
        execute.course(executed, quick=asked.quick)
    failed = site(folder, executed)
    print(f"open {folder / 'index.html'}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
