"""Tables as light HTML, to look at and to be read out; white, whatever the page's theme."""

import html
from collections.abc import Iterable, Sequence

CARD = "background:#fff;color:#222;font-size:13px;line-height:1.45;padding:6px"
TABLE = "border-collapse:collapse;color:#222;background:#fff;margin:0"
CELL = "padding:1px 6px 1px 0;text-align:left;white-space:nowrap;color:#222;background:#fff"
CUT = (
    "display:inline-block;vertical-align:top;max-width:{}px;overflow:hidden;text-overflow:ellipsis"
)
LINE = "border-bottom:1px solid #999"


class Markup(str):
    """HTML that goes into a cell as it is; any other text is escaped."""

    __slots__ = ()


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a caption; the first cell of each row is its heading."""
    words = f'<caption style="{CELL};font-weight:bold;caption-side:top">{safe(caption)}</caption>'
    heads = "".join(f'<th scope="col" style="{CELL};{LINE}">{safe(h)}</th>' for h in head)
    body = ""
    for first, *others in rows:
        values = "".join(f'<td style="{CELL}">{safe(other)}</td>' for other in others)
        body += f'<tr><th scope="row" style="{CELL}">{safe(first)}</th>{values}</tr>'
    content = f"{words}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody>"
    return f'<table style="{TABLE}">{content}</table>'


def safe(text: str) -> str:
    """Text made safe for HTML."""
    return text if isinstance(text, Markup) else html.escape(text)


def bar(share: float, colour: str, *, pixels: int = 16) -> Markup:
    """A share in numbers, and as a bar of which `pixels` are the whole."""
    filled, rest = share * pixels, (1 - share) * pixels
    box = f"display:inline-block;height:8px;margin:0 {rest + 4:.1f}px 0 4px;width:{filled:.1f}px"
    span = f'<span aria-hidden="true" style="{box};background:{colour}"></span>'
    return Markup(f"{share:.2f}{span}")


def cut(text: str, *, pixels: int = 100) -> Markup:
    """Text in no more than so much room; the mouse shows the rest."""
    words = html.escape(text)
    return Markup(f'<span style="{CUT.format(pixels)}" title="{words}">{words}</span>')


def scrolled(content: str, name: str, *, height: int) -> str:
    """Content in a box of fixed height, which the keyboard scrolls too."""
    return (
        f'<div role="region" aria-label="{html.escape(name)}" tabindex="0" '
        'data-lm-suppress-shortcuts="true" '  # or Lab takes the arrow keys
        f'style="height:{height}px;overflow:auto;background:#fff">{content}</div>'
    )
