"""Pages of README, docs, course and docstrings: ``make docs``; with the course run: ``make html``.

README is the first page, so that all pages are the Markdown that one reads in the repository.
Nothing is fetched, to build them or to read them.
"""

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import plotly
from sphinx.application import Sphinx

import tabkit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import course  # noqa: E402

API = ROOT / "docs" / "api"
autodoc_mock_imports = ["triton"]  # which only torch for CUDA brings
WHOLE = ("tabkit.estimators", "tabkit.fast")

SCRIPTS = {  # by the class of the figure
    "living": ("plotly.min.js", "living.js"),
    "simplex-figure": ("triangle.js", "triangle_figure.js"),
}

project = "tabkit"
copyright = "the authors of tabkit"
release = tabkit.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "formulas"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/api/*.rst", "benchmarks/*.md", "data/*.md"]
include_patterns += ["notebooks/*.ipynb"]
exclude_patterns = [".*", "runs", "build"]
templates_path = ["templates"]
html_theme = "furo"
html_title = "tabkit"
html_static_path = ["static", str(Path(plotly.__file__).parent / "package_data/plotly.min.js")]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # it would need a server
html_additional_pages = {"index": "redirect.html"}
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_update_mathjax = False
nb_execution_mode = "off"  # notebooks come executed
default_role = "py:obj"  # a name in single backticks leads to what it names ...
suppress_warnings = ["ref.python"]  # ... and where two have it, to one of them
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # nn.Module has one for forward
napoleon_custom_sections = ["Shape", "Gradient", "Source"]


def write_api(_app: Sphinx) -> None:
    """A page for each public module, and one that lists them."""
    API.mkdir(exist_ok=True)
    names = public(tabkit)
    for page in API.glob("*.rst"):  # of a module that is gone
        page.unlink()
    for name in names:
        (API / f"{name}.rst").write_text("\n".join([name, "=" * len(name), "", *contents(name)]))
    modules = [f"* :doc:`{name}`: {first_line(name)}" for name in names]
    top = ["What ``import tabkit`` has at hand:", "", *at_hand(), "", "Its modules:", "", *modules]
    toctree = [".. toctree::", "   :hidden:", "", *(f"   {name}" for name in names)]
    (API / "index.rst").write_text("\n".join(["API", "===", "", *top, "", *toctree, ""]))


def public(package: ModuleType) -> list[str]:
    """The names of its public modules."""
    found = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    return sorted(m.name for m in found if not m.name.rpartition(".")[2].startswith("_"))


def contents(name: str) -> list[str]:
    """What a page describes: what the module offers and, in some rooms, all of its files."""
    lines, module = [f".. automodule:: {name}", "   :members:", ""], importlib.import_module(name)
    for part in public(module) if name in WHOLE else ():
        others = f"   :exclude-members: {', '.join(module.__all__)}"
        lines += [part, "-" * len(part), "", f".. automodule:: {part}", "   :members:", others, ""]
    return lines


def first_line(name: str) -> str:
    """What a module says that it does."""
    return importlib.import_module(name).__doc__.splitlines()[0]


def at_hand() -> list[str]:
    """The classes and functions of `tabkit` itself, with links to where they are described."""
    found = ((name, getattr(tabkit, name)) for name in tabkit.__all__)
    homes = [(name, getattr(it, "__module__", "").split(".")[:2]) for name, it in found]
    return [f"* :py:obj:`{name} <{'.'.join(home)}.{name}>`" for name, home in homes if home[1:]]


def as_it_ran(app: Sphinx, page: str, source: list[str]) -> None:
    """A notebook's page is made of its executed form, if there is one."""
    if page.startswith("notebooks/"):
        lesson, folder = Path(page).with_suffix(".py").name, Path(app.config.course_folder)
        app.env.note_dependency(course.executed_file(lesson, folder))
        source[0] = course.page(ROOT / "notebooks" / "_source" / lesson, folder)


def bring_to_life(app: Sphinx, _page: str, _template: str, context: dict[str, Any], _: Any) -> None:
    """A page gets the scripts of the figures that are on it, and no others."""
    for figure, scripts in SCRIPTS.items():
        if f'class="{figure}"' in context.get("body", ""):
            for script in scripts:
                app.add_js_file(script, loading_method="defer")


def lead_on(_app: Sphinx, page: str, source: list[str]) -> None:
    """README leads to all pages: the course first, then those of docs/index.md in its order.

    In the repository its links do.
    """
    if page == root_doc:
        listed = re.findall(r"\]\((.+)\.md\)", (ROOT / "docs" / "index.md").read_text())
        pages = [f"docs/{name}".replace("docs/../", "") for name in listed]
        lessons = [f"notebooks/{file.stem}" for file in sorted(ROOT.glob("notebooks/*.ipynb"))]
        learnt = [*lessons, "docs/triangle", "docs/glossary"]
        rest = [page for page in pages if page not in (root_doc, *learnt)]
        source[0] += chapter("The course", learnt)
        source[0] += chapter("Pages", ["docs/index", *rest, "docs/api/index"])


def chapter(title: str, pages: Iterable[str]) -> str:
    """A part of the navigation."""
    return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```", ""])


def as_prose(
    _app: Sphinx, _what: str, _name: str, _it: Any, _options: Any, lines: list[str]
) -> None:
    """Bars of an absolute value, an s after code, and words on attributes are prose."""
    text = re.sub(r"(``.*?``)|\|", lambda found: found[1] or r"\|", "\n".join(lines))
    text = re.sub(r"(?<=\w`)(?=s\b)", r"\\ ", text)
    lines[:] = re.sub(r"^( +):type: ", r"\n\1", text, flags=re.MULTILINE).split("\n")


def setup(app: Sphinx) -> None:
    """What is written, or changed, before pages are read."""
    app.add_config_value("course_folder", "", "env", str)
    app.connect("builder-inited", write_api)
    app.connect("source-read", as_it_ran)
    app.connect("source-read", lead_on)
    app.connect("html-page-context", bring_to_life)
    app.connect("autodoc-process-docstring", as_prose)
