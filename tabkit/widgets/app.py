"""All widgets as one dashboard, and nets for it to show."""

import html
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets

from tabkit import compare, widgets
from tabkit.data import Dataset
from tabkit.estimators import make
from tabkit.inspection import doubtful, problem_of
from tabkit.nets import RowEncoder, RowPredictor, freeze
from tabkit.train import Fit, fit_encoder, fit_predictor
from tabkit.widgets.explorer import Explorer, alert, style

Nets = tuple[RowPredictor, RowEncoder, Dataset]
Drive = Callable[[Fit, str], object]
GRADIENT_DRAWS = 20  # at the start: fewer than elsewhere, for estimators that try every category
NETS = """from pathlib import Path
from tabkit import widgets
from tabkit.inspection import problem_of
from tabkit.widgets.app import ready_nets

net0, net1, dataset = ready_nets(Path({folder!r}), {sizes})"""
PROBLEM = "logits, objective, cardinalities, labels = problem_of(net0, net1, dataset, {!r})"


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


def dashboard(net0: RowPredictor, net1: RowEncoder, dataset: Dataset) -> ipywidgets.Widget:
    """A tab for each widget, made when it is first opened."""
    makers = {
        "simplex": lambda: widgets.simplex_explorer(net0, net1, dataset),
        "gradient": lambda: gradient_of(net0, net1, dataset),
        "training": lambda: widgets.training_cockpit(net1, dataset),
        "embedding": lambda: widgets.embedding_explorer(net1, dataset),
        "row": lambda: widgets.row_explorer(net0, net1, dataset),
    }
    tabs = ipywidgets.Tab([*map(Lazy, makers.values())], titles=[*makers], selected_index=0)
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
    explorer.children = [words, *explorer.children, names]
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
    drive: Drive = Fit.run,
) -> Nets:
    """net0, net1 and the flights that trained them: the first time, then from `folder`.

    `rows`: take so many flights at random; all if 0. `encoder_steps`, `steps`: of net1 and net0.
    `drive`: drains a training loop that has the given name; under a progress bar if not given.
    """
    files = [folder / "net1.pt", folder / "net0.pt"]
    dataset = compare.load_data("flights", rows)
    net1 = RowEncoder(dataset.schema)
    drive(fit_encoder(net1, dataset, steps=encoder_steps, checkpoint=files[0]), "net1")
    net1 = freeze(net1)
    net0, chosen = RowPredictor(dataset.signal.shape[1], net1), make("straight_through_gumbel")
    drive(fit_predictor(net0, net1, dataset, chosen, steps=steps, checkpoint=files[1]), "net0")
    return net0, net1, dataset


def page(shell: Any, folder: str, **sizes: int) -> ipywidgets.Widget:
    """What the server shows: the dashboard, and any error, which Voila would drop."""
    errors = ipywidgets.HTML()
    show_errors(shell, errors)
    options = {"drive": lambda fit, _name: deque(fit, maxlen=0), **sizes}  # without a bar
    board = Lazy(lambda: dashboard(*ready_nets(Path(folder), **options)))
    board.visit()
    chosen = ", ".join(f"{name}={size}" for name, size in sizes.items())
    names = code_line(NETS.format(folder=folder, sizes=chosen))
    below = ipywidgets.HTML(f"<details><summary>names in code</summary>{names}</details>")
    return ipywidgets.VBox([style("app"), errors, board, below]).add_class("tabkit-app")


def show_errors(shell: Any, place: ipywidgets.HTML) -> None:
    """Shows in `place` what callbacks and threads raise and nobody catches."""

    def show(error: BaseException | None) -> None:
        if isinstance(error, Exception):
            place.value = alert(error)

    shell.showtraceback = lambda *_, **__: show(sys.exc_info()[1])
    threading.excepthook = lambda raised: show(raised.exc_value)
