"""Formulas as MathML, which browsers draw by themselves: no script, no fonts to fetch."""

import re
from typing import NoReturn

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

# No browser sets off a function's name from its argument, as in "log u".
APPLY = re.compile(r"<mo>&ApplyFunction;</mo>(?!\s*<mo[^>]*>\()")
SPACE = '<mspace width="0.167em"></mspace>'


def mathml(latex: str, *, block: bool) -> str:
    """A formula; raises docutils' MathError for what it does not know."""
    return APPLY.sub(SPACE, tex2mathml(latex, as_block=block))


def draw(translator: HTML5Translator, node: nodes.math | nodes.math_block) -> NoReturn:
    """Puts a formula on a page, in a line or below it."""
    block = isinstance(node, nodes.math_block)
    formula = mathml(node.astext(), block=block)
    translator.body.append(f'<div class="formula">{formula}</div>' if block else formula)
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Makes it the way in which Sphinx writes formulas."""
    app.add_html_math_renderer("mathml", (draw, None), (draw, None))
