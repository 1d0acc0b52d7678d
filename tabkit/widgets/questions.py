"""A question with one answer to choose, worked by keyboard; where no widget lives, its words."""

import html
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from tabkit.widgets.explorer import SCRIPT, style

ACROSS = 60  # letters that answers may have in all to stand side by side


class Question(ipywidgets.VBox):
    """Radio buttons below a question, none chosen, and below them what is said to the answer.

    Parameters
    ----------
    text
        The question.
    options
        The answers to choose among, as words.
    reply
        Takes the answer and returns what to say to it, in words.
    instead
        The same as HTML and as text, for pages where nothing can be chosen.
    chosen
        The answer that stands at first; None if there is none.
    closed
        Whether it can no longer be changed.

    Examples
    --------
    >>> question = Question("Which?", ["a", "b"], "You said {}.".format, instead=("", ""))
    >>> question.radio.value = "b"
    >>> question.said.value
    '<p role="status" style="margin:0">You said b.</p>'
    """

    def __init__(
        self,
        text: str,
        options: Sequence[str],
        reply: Callable[[str], str],
        *,
        instead: tuple[str, str],
        chosen: str | None = None,
        closed: bool = False,
    ) -> None:
        self.reply, self.instead = reply, instead
        self.radio = ipywidgets.RadioButtons(
            options=options,
            value=chosen,
            disabled=closed,
            tooltip=text,  # which the script makes the group's name
            layout={"width": "auto"},
        )
        self.said = ipywidgets.HTML()
        self.answer(chosen)
        self.radio.observe(lambda change: self.answer(change.new), "value")
        asked = ipywidgets.HTML(f"<b>{html.escape(text)}</b>")
        keys = ipywidgets.HTML(f'<style onload="{SCRIPT}"></style>')
        super().__init__([asked, self.radio, self.said, style("explorer"), keys])
        self.add_class("tabkit-widget").add_class("tabkit-question")
        if sum(map(len, options)) <= ACROSS:
            self.radio.add_class("tabkit-short")

    def answer(self, chosen: str | None) -> None:
        """Says what is to be said to an answer."""
        words = html.escape(self.reply(chosen)) if chosen else ""
        self.said.value = f'<p role="status" style="margin:0">{words}</p>'

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """The widget and, for pages where none lives, its words."""
        page, words = self.instead
        return super()._repr_mimebundle_(**options) | {"text/html": page, "text/plain": words}
