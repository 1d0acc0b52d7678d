"""What every widget is: named controls, a picture with its words, errors shown, reset, and code."""

import html
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ipywidgets
import pandas as pd
from IPython.display import display

from tabkit.estimators import Knob
from tabkit.plots import Picture, palette

Control = ipywidgets.ValueWidget
FIELD, NAME = "21.3em", "6.8em"  # three fields side by side in a notebook's 848 pixels
ALERT = "color:var(--jp-error-color1,#b00020);margin:0;padding:2px 6px"
SHARE = Path(__file__).parent / "share"
COPY = "navigator.clipboard.writeText(this.nextElementSibling.innerText)"
BUTTON = f'<button type="button" class="tabkit-copy" onclick="{COPY}">copy as code</button>'
# A style's load event runs a script without a front-end extension: whenever the recipe changes, and
# so after every move.
SCRIPT = html.escape((SHARE / "explorer.js").read_text("utf-8"))
# What is drawn for white paper, in the theme's colours where there is one; explorer.css has them.
INKS = {
    "BLUE": "blue",
    "ORANGE": "orange",
    "GREEN": "green",
    "PINK": "pink",
    "GREY": "grey",
    "FAINT": "faint",
}
THEMED = {
    **{
        getattr(palette, ink).lower(): f"var(--tabkit-{name},{getattr(palette, ink)})"
        for ink, name in INKS.items()
    },
    **dict.fromkeys(["#000", "#000000", palette.INK], "currentColor"),
    **dict.fromkeys(["#fff", "#ffffff"], "var(--jp-layout-color0,#fff)"),
    "#e6e6e6": "var(--tabkit-faint,#e6e6e6)",
    "#595959": "var(--tabkit-grey,#595959)",
}
COLOURED = re.compile(r'((?:fill|stroke|color|background)(?:: ?|="))(#[0-9a-fA-F]{3,6})\b')
LIVES = "{} is a widget: it lives where a kernel runs (make lab). Its picture stands below."


class Explorer(ipywidgets.VBox):
    """Controls, and below them what `show` makes of their values.

    Whatever `show` raises is shown in words below the picture; the next change that works takes it
    away. `state` and `code` say how things stand, `reset` brings back the start.

    A cell that shows the widget has two outputs: the widget, and its static twin, which the
    widget's own style sheet folds away. Where the widget does not live (an exported page, a
    notebook without its kernel) there is no such sheet, and the twin stands alone.

    Several threads may deal with controls and buttons, and results may come from others: whoever
    changes what is shown holds `turn`.

    Parameters
    ----------
    name
        Of the public function that returns this widget.
    given
        The names of its positional arguments, for `code`.
    controls
        By the name of the keyword argument that each stands for.
    show
        Takes the controls' values by name and returns what to show, as HTML.
    height
        Of the picture, in pixels, so that nothing jumps.
    adjust
        Called before `show` whenever a control has changed, such as to offer another column's
        categories.
    still
        Takes what `show` takes and returns the static twin.
    """

    def __init__(
        self,
        name: str,
        given: Sequence[str],
        controls: Mapping[str, Control],
        show: Callable[..., str],
        *,
        height: int,
        adjust: Callable[[], object] = lambda: None,
        still: Callable[..., "Twin"] | None = None,
    ) -> None:
        self.name, self.given, self.controls = name, tuple(given), dict(controls)
        self.show, self.adjust, self.still = show, adjust, still
        self.turn, self.held = threading.RLock(), False
        self.picture = ipywidgets.HTML(layout={"min_height": f"{height}px"})
        self.picture.add_class("tabkit-picture")
        self.message = ipywidgets.HTML(layout={"min_height": "2em"}).add_class("tabkit-message")
        self.recipe = ipywidgets.HTML().add_class("tabkit-recipe")
        self.reset_button = ipywidgets.Button(description="reset", tooltip="back to the start")
        self.reset_button.on_click(lambda _: self.reset())
        for key, control in self.controls.items():
            dress(control, key)
            control.observe(lambda _: self.update(), "value")
        fields = ipywidgets.HBox([*self.controls.values()], layout={"flex_flow": "row wrap"})
        self.buttons_row = ipywidgets.HBox([self.reset_button])
        self.side = ipywidgets.VBox([fields, self.buttons_row]).add_class("tabkit-side")
        self.main = ipywidgets.VBox([self.picture, self.message, self.recipe])
        super().__init__([self.side, self.main.add_class("tabkit-main")])
        self.add_class("tabkit-widget").add_class(f"tabkit-{name.replace('_', '-')}")
        self.children += (style("explorer", f".tabkit-twin-{self.model_id}{{display:none}}"),)
        self.start = self.state
        self.update()

    @property
    def state(self) -> dict[str, Any]:
        """The controls' values by name, without the last digits that a slider's logarithm adds."""
        found = {key: control.value for key, control in self.controls.items()}
        return {k: float(f"{v:.12g}") if isinstance(v, float) else v for k, v in found.items()}

    @property
    def code(self) -> str:
        """The call that reproduces the state."""
        chosen = [f"{key}={value!r}" for key, value in self.state.items()]
        return f"widgets.{self.name}({', '.join([*self.given, *chosen])})"

    def update(self) -> None:
        """Shows the state, or the error that it leads to."""
        with self.turn:
            if not self.held:
                self.attempt(self._show_state)
                code = f"<code>{html.escape(self.code)}</code>"
                self.recipe.value = f'{BUTTON} {code}<style onload="{SCRIPT}"></style>'

    def _show_state(self) -> None:
        with self.hold():
            self.adjust()
        self.picture.value = themed(self.show(**self.state))

    def attempt(self, action: Callable[[], object]) -> None:
        """Does something, and shows in words the error that it raises, or that there is none."""
        said = ""
        try:
            action()
        except Exception as error:
            said = alert(error)
        self.message.value = said

    def reset(self) -> None:
        """Brings back the controls' first values."""
        with self.turn:
            with self.hold():
                for key, value in self.start.items():
                    self.controls[key].value = value
                    self.adjust()
            self.update()

    def twin(self) -> "Twin":
        """The same in a static figure and a table, for pages where nothing can move."""
        if self.still is None:
            raise NotImplementedError(f"{self.name} has no static twin")
        return self.still(**self.state)

    def _ipython_display_(self) -> None:
        bundle = super()._repr_mimebundle_()
        words = LIVES.format(self.name)
        page = {"text/plain": words, "text/html": f'<p class="still">{words}</p>'}
        display(bundle | page, raw=True)
        if self.still is not None:
            data = self.twin()._repr_mimebundle_()
            folded = f'<div class="tabkit-twin-{self.model_id}">{data["text/html"]}</div>'
            display(data | {"text/html": folded}, raw=True)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Lets several controls change before anything is shown; other threads wait."""
        with self.turn:
            held, self.held = self.held, True
            try:
                yield
            finally:
                self.held = held


class Twin:
    """A static figure with its table."""

    def __init__(self, picture: Picture, table: pd.DataFrame) -> None:
        self.picture, self.table = picture, table

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        data, _metadata = self.picture._repr_mimebundle_()
        return data | {"text/html": f"{data['text/html']}{self.table.to_html()}"}


def dress(control: Control, name: str) -> None:
    """Gives a control its name: to read, to be read out, and to be found by."""
    control.description = control.description or name.replace("_", " ")
    control.tooltip = control.tooltip or control.description
    control.style.description_width = NAME
    control.layout.width = control.layout.width or FIELD
    control.add_class(f"tabkit-{name.replace('_', '-')}")


def log_slider(
    name: str, value: Knob, *, low: float, high: float, step: float, description: str = ""
) -> ipywidgets.FloatLogSlider:
    """A slider over powers of ten, `step` apart; raises ValueError if its value is out of range.

    The value is one of its places, or a browser would move it to the nearest at first sight.
    """
    check_range(name, value, low, high)
    at = math.log10(value)
    down, up = (math.floor(abs(math.log10(end) - at) / step + 1e-9) * step for end in (low, high))
    return ipywidgets.FloatLogSlider(
        value, min=at - down, max=at + up, step=step, description=description, readout_format=".3g"
    )


def number_field(name: str, value: int, *, low: int, high: int) -> ipywidgets.BoundedIntText:
    """A field for a whole number; raises ValueError if that is out of range."""
    check_range(name, value, low, high)
    return ipywidgets.BoundedIntText(value, min=low, max=high)


def check_range(name: str, value: Knob, low: Knob, high: Knob) -> None:
    """Raises ValueError if a value does not lie between its ends."""
    if not low <= value <= high:
        raise ValueError(f"{name} must lie between {low:g} and {high:g}, not {value:g}")


def alert(error: Exception) -> str:
    """An error in words, for eyes and screen readers."""
    words = html.escape(f"{type(error).__name__}: {error}")
    return f'<p role="alert" style="{ALERT}">{words}</p>'


def themed(markup: str) -> str:
    """HTML or SVG drawn for white paper, in colours that follow the page's theme.

    Examples
    --------
    >>> themed('<path style="fill: #ffffff; stroke: #0072b2"/>')
    '<path style="fill: var(--jp-layout-color0,#fff); stroke: var(--tabkit-blue,#0072B2)"/>'
    """
    return COLOURED.sub(lambda m: m[1] + THEMED.get(m[2].lower(), m[2]), markup)


def style(name: str, more: str = "") -> ipywidgets.HTML:
    """The style sheet of that name, and more."""
    sheet = f"{(SHARE / f'{name}.css').read_text('utf-8')}{more}"
    return ipywidgets.HTML(f"<style>{sheet}</style>", layout={"display": "none"})
