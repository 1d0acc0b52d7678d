"""All widgets as one page for a class, and nets for it to show."""

import html
import inspect
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets

from tabkit import compare, widgets
from tabkit.data import Dataset
from tabkit.estimators import make
from tabkit.inspection import doubtful, problem_of
from tabkit.nets import RowEncoder, RowPredictor, freeze
from tabkit.train import Fit, fit_encoder, fit_predictor
from tabkit.widgets.app.lessons import LESSONS, introduction, onward
from tabkit.widgets.app.own import ByHand, OwnNet, by_hand, nets_of
from tabkit.widgets.explorer import Explorer, alert, style

Nets = tuple[Any, Any, Dataset]
Drive = Callable[[Fit, str], object]
NET0 = "net0_softmax.safetensors"
GRADIENT_DRAWS = 20  # at the start: fewer than elsewhere, for estimators that try every category
NETS = """from pathlib import Path
from tabkit import widgets
from tabkit.inspection import problem_of
from tabkit.widgets.app import ready_nets

net0, net1, data = ready_nets(Path({folder!r}), {chosen})"""
TITLE = "What should net0 hand to net1?"
THEMES = '<a href="?theme=light">light</a> <a href="?theme=dark">dark</a>'
PROBLEM = "logits, objective, cardinalities, labels = problem_of(net0, net1, data, {!r})"


class Lazy(ipywidgets.VBox):
    """Makes its one child when first visited; if that fails it says why, and tries again."""

    def __init__(self, maker: Callable[[], ipywidgets.Widget]) -> None:
        super().__init__()
        self.maker, self.made = maker, False

    def visit(self) -> None:
        if self.made:
            return
        self.children = [ipywidgets.Label("one moment ...")]
        try:
            self.children, self.made = [self.maker()], True
        except Exception as error:
            self.children = [ipywidgets.HTML(alert(error))]


def dashboard(
    net0: Any, net1: Any, dataset: Dataset, *, own: str = "", steps: int = 300
) -> ipywidgets.Widget:
    """A tab for each widget, made when it is first opened; each has a question and things to try.

    `own`: where the nets come from if they are the reader's. `steps`: of the small net that is
    written by hand, if they are not.
    """

    def own_net() -> OwnNet:
        if own:
            return OwnNet({own: net1, "RowEncoder": RowEncoder(dataset.schema)}, dataset)
        written = by_hand(dataset)
        deque(fit_encoder(written, dataset, steps=steps), maxlen=0)
        nets = {"by hand": freeze(written), "RowEncoder": net1}
        return OwnNet(nets, dataset, inspect.getsource(ByHand))

    makers = {
        "simplex": lambda: widgets.simplex_explorer(net0, net1, dataset),
        "gradient": lambda: gradient_of(net0, net1, dataset),
        "training": lambda: widgets.training_cockpit(net1, dataset),
        "decoders": lambda: widgets.decoder_explorer(net0, net1, dataset),
        "embedding": lambda: widgets.embedding_explorer(net1, dataset),
        "row": lambda: widgets.row_explorer(net0, net1, dataset),
        "your own net": own_net,
    }

    def visit(name: str) -> None:
        tabs.selected_index = [*makers].index(name)

    def taught(name: str) -> ipywidgets.Widget:
        made = makers[name]()
        made.side.children = (introduction(name), *made.side.children, onward(name, visit))
        return made

    pages = [Lazy(partial(taught, name)) for name in LESSONS]
    tabs = ipywidgets.Tab(pages, titles=[*LESSONS], selected_index=0)
    tabs.observe(lambda change: tabs.children[change.new].visit(), "selected_index")
    tabs.children[0].visit()
    return tabs


def gradient_of(net0: RowPredictor, net1: RowEncoder, dataset: Dataset) -> Explorer:
    """The gradient explorer where net0 is least sure, and words that say where that is."""
    columns = doubtful(net0, net1, dataset)
    logits, objective, cardinalities, labels = problem_of(net0, net1, dataset, columns)
    explorer = widgets.gradient_explorer(
        logits, objective, cardinalities, labels=labels, draws=GRADIENT_DRAWS
    )
    numbered = ", ".join(f"{number} is {name}" for number, name in enumerate(columns))
    where = f"Where net0 is least sure: column {numbered}; the others stay as net0 decodes them."
    words = ipywidgets.HTML(f'<p style="margin:0">{html.escape(where)}</p>')
    names = ipywidgets.HTML(code_line(PROBLEM.format(columns)))
    explorer.main.children += (words, names)
    return explorer


def code_line(code: str) -> str:
    """What the names in a copied call are."""
    return f'<pre style="margin:0;white-space:pre-wrap">{html.escape(code)}</pre>'


def ready_nets(
    folder: Path,
    *,
    rows: int = 0,
    encoder_steps: int = 1500,
    steps: int = 1000,
    net: str = "",
    drive: Drive = Fit.run,
) -> Nets:
    """net0, net1 and the flights that trained them: the first time, then from `folder`.

    net0 is trained through a softmax: what becomes of its mixtures is what the app is about.

    `rows`: take so many flights at random; all if 0. `encoder_steps`, `steps`: of net1 and net0.
    `net`: the reader's ``module:function`` in their place, which returns net0, net1 and data; a
    net0 that is None is trained. `drive`: drains a training loop that has the given name; under a
    progress bar if not given.
    """
    if net:
        net0, net1, dataset = nets_of(net)
    else:
        net0, dataset = None, compare.load_data("flights", rows)
        net1, kept = RowEncoder(dataset.schema), folder / "net1.safetensors"
        drive(fit_encoder(net1, dataset, steps=encoder_steps, checkpoint=kept), "net1")
        net1 = freeze(net1)
    if net0 is None:
        net0, kept = RowPredictor(dataset.signal.shape[1], net1), folder / NET0
        fit = fit_predictor(net0, net1, dataset, make("softmax"), steps=steps, checkpoint=kept)
        drive(fit, "net0")
    return net0, net1, dataset


def page(shell: Any, folder: str, *, net: str = "", **sizes: int) -> ipywidgets.Widget:
    """What the server shows: the dashboard, and any error, which Voila would drop.

    `net`, `sizes`: as `ready_nets` takes them.
    """
    errors = ipywidgets.HTML()
    show_errors(shell, errors)
    asked = sizes | ({"net": net} if net else {})
    options = {"drive": lambda fit, _name: deque(fit, maxlen=0), **asked}  # without a bar
    few = {"steps": max(sizes["encoder_steps"] // 5, 1)} if "encoder_steps" in sizes else {}
    board = Lazy(lambda: dashboard(*ready_nets(Path(folder), **options), own=net, **few))
    board.visit()
    chosen = ", ".join(f"{name}={value!r}" for name, value in asked.items())
    names = code_line(NETS.format(folder=folder, chosen=chosen))
    about = f"<h1>{TITLE}</h1><details><summary>names in code</summary>{names}</details>{THEMES}"
    above = ipywidgets.HTML(about).add_class("tabkit-title")
    return ipywidgets.VBox([style("app"), above, errors, board]).add_class("tabkit-app")


def show_errors(shell: Any, place: ipywidgets.HTML) -> None:
    """Shows in `place` what callbacks and threads raise and nobody catches."""

    def show(error: BaseException | None) -> None:
        if isinstance(error, Exception):
            place.value = alert(error)

    shell.showtraceback = lambda *_, **__: show(sys.exc_info()[1])
    threading.excepthook = lambda raised: show(raised.exc_value)
