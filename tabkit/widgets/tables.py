"""Tables as light HTML, to look at and to be read out; in the colours of the page around them."""

import html
from collections.abc import Iterable, Sequence

CARD = "font-size:13px;line-height:1.45"
TABLE = "border-collapse:collapse;color:inherit;margin:0"
CELL = "padding:1px 6px 1px 0;text-align:left;white-space:nowrap;color:inherit;background:none"
CUT = (
    "display:inline-block;vertical-align:top;max-width:{}px;overflow:hidden;text-overflow:ellipsis"
)
LINE = "border-bottom:1px solid #999"
FLOW = "display:grid;grid-template-columns:repeat(auto-fit,minmax(14em,1fr));column-gap:12px"
PART = "display:grid;grid-template-columns:1fr 3.5em 3.3em"


class Markup(str):
    """HTML that goes into a cell as it is; any other text is escaped."""

    __slots__ = ()


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, flowing: bool = False
) -> str:
    """A table with a caption; the first cell of each row is its heading.

    `flowing`: rows of three cells, side by side where there is room, without a line of headings.
    """
    words = f'<caption style="{CELL};font-weight:bold;caption-side:top">{safe(caption)}</caption>'
    heads = "".join(f'<th scope="col" style="{CELL};{LINE}">{safe(h)}</th>' for h in head)
    body = ""
    for first, *others in rows:
        values = "".join(f'<td style="{CELL}">{safe(other)}</td>' for other in others)
        look = f' style="{PART}"' if flowing else ""
        body += f'<tr{look}><th scope="row" style="{CELL}">{safe(first)}</th>{values}</tr>'
    hidden, flow = (' style="display:none"', f' style="{FLOW}"') if flowing else ("", "")
    content = f"{words}<thead{hidden}><tr>{heads}</tr></thead><tbody{flow}>{body}</tbody>"
    return f'<table style="{TABLE}{";display:block" * flowing}">{content}</table>'


def beside(picture: str, numbers: str) -> str:
    """A picture, and beside it, or below where there is no room, a table of numbers."""
    inside = f"<div>{picture}</div><div>{numbers}</div>"
    return f'<div class="tabkit-beside" style="{CARD}">{inside}</div>'


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
    """Content in a box that is no higher, which the keyboard scrolls too."""
    return (
        f'<div role="region" aria-label="{html.escape(name)}" tabindex="0" '
        'data-lm-suppress-shortcuts="true" '  # or Lab takes the arrow keys
        f'style="max-height:{height}px;overflow:auto">{content}</div>'
    )
