"""What each tab of the app asks, and what to try in it, in this order."""

import html
import tomllib
from collections.abc import Callable

import ipywidgets

from tabkit.widgets.explorer import SHARE

LESSONS = tomllib.loads((SHARE / "lessons.toml").read_text("utf-8"))


def introduction(name: str) -> ipywidgets.HTML:
    """The question of a tab, and what to try."""
    lesson = LESSONS[name]
    items = "".join(f"<li>{html.escape(each)}</li>" for each in lesson["try"])
    words = f"<h2>{html.escape(lesson['question'])}</h2><ol>{items}</ol>"
    return ipywidgets.HTML(words).add_class("tabkit-lesson")


def onward(name: str, visit: Callable[[str], None]) -> ipywidgets.Button:
    """A button that names the next tab and leads there; from the last to the first."""
    names = [*LESSONS]
    after = names[(names.index(name) + 1) % len(names)]
    button = ipywidgets.Button(description=f"next: {after} →", tooltip=LESSONS[after]["question"])
    button.on_click(lambda _: visit(after))
    return button.add_class("tabkit-next")
