"""A question with answers to choose among: by radio buttons, or in plain words without them."""

import html
import sys
from collections.abc import Callable, Sequence
from string import ascii_lowercase
from typing import Any


def in_notebook() -> bool:
    """Whether this runs in a notebook's kernel, where a reader sits."""
    modules = sys.modules.get("IPython")
    return modules is not None and hasattr(modules.get_ipython(), "kernel")


def ask(
    text: str,
    options: Sequence[str],
    reply: Callable[[str], str],
    *,
    call: str,
    page: str = "",
    chosen: str | None = None,
    closed: bool = False,
) -> None:
    """Shows the question, and below it what `reply` says to the answer.

    Parameters
    ----------
    call
        What to write where nothing can be chosen.
    page
        The answers as HTML, for pages where nothing can be chosen; listed if not given.
    chosen, closed
        The answer that stands at first, and whether it stays.

    Examples
    --------
    >>> ask("Which?", ["one", "two"], str, call="predict(..., 'one')")
    Which?
      a) one
      b) two
    Write your answer into the call, as in predict(..., 'one'), and run the cell.
    """
    listed = [f"  {letter}) {option}" for letter, option in by_letter(options).items()]
    write = f"Write your answer into the call, as in {call}, and run the cell."
    plain = "\n".join([text, *listed, write])
    items = "".join(f"<li>{html.escape(option)}</li>" for option in options)
    instead = f"<p><b>{html.escape(text)}</b></p>{page or f'<ul>{items}</ul>'}"
    if not shown(text, options, reply, (instead, plain), chosen, closed):
        print(plain)


def shown(
    text: str,
    options: Sequence[str],
    reply: Callable[[str], str],
    instead: tuple[str, str],
    chosen: str | None,
    closed: bool,
) -> bool:
    """Shows radio buttons, if this is a notebook and widgets are installed; whether it is so."""
    if not in_notebook():
        return False
    try:
        from IPython.display import display  # noqa: PLC0415 - only where it is there

        from tabkit.widgets.questions import Question  # noqa: PLC0415
    except ModuleNotFoundError:
        return False
    display(Question(text, options, reply, instead=instead, chosen=chosen, closed=closed))
    return True


def understood(answer: Any, options: Sequence[Any]) -> Any:
    """The option that is meant, whatever its letters, spaces and hyphens; None if there is none.

    Or by its place: a, b, ...

    Examples
    --------
    >>> understood(" Straight-Through", ["softmax", "straight_through"])
    'straight_through'
    >>> understood("a", ["softmax", "straight_through"])
    'softmax'
    """

    def letters(value: Any) -> str:
        return "".join(sign for sign in str(value).casefold() if sign.isalnum() or sign == ".")

    named = by_letter(options) | {letters(option): option for option in options}
    return named.get(letters(answer))


def by_letter(options: Sequence[Any]) -> dict[str, Any]:
    """The options by their places: a, b, ..."""
    return dict(zip(ascii_lowercase, options, strict=False))
