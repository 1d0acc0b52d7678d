"""All widgets as one dashboard, and nets for it to show."""

import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ipywidgets
import torch
from torch.special import entr

from tabkit import compare, widgets
from tabkit.data import Dataset
from tabkit.estimators import make
from tabkit.nets import RowEncoder, RowPredictor, SquaredDistance, encode_rows, freeze
from tabkit.schema import split_blocks
from tabkit.train import Step, fit_encoder, fit_predictor, run
from tabkit.widgets.explorer import Explorer, alert

Nets = tuple[RowPredictor, RowEncoder, Dataset]
Drive = Callable[[Iterable[Step], str], object]
# A draw of the reference tries every category of every column: some tenths of a second.
GRADIENT_ROWS, REFERENCE_DRAWS = 2, 20
# For a projector: everything larger, as far as its width allows.
STYLE = """<style>
.tabkit-app { zoom: 1.2 }
@media (min-width: 1700px) { .tabkit-app { zoom: 1.6 } }
.tabkit-app .lm-TabBar-tab { min-width: 8em }
.tabkit-app .widget-tab-contents { overflow: auto }
</style>"""


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
            self.children = [self.maker()]
            self.made = True
        except Exception as error:
            self.children = [ipywidgets.HTML(alert(error))]


def dashboard(net0: RowPredictor, net1: RowEncoder, dataset: Dataset) -> ipywidgets.Widget:
    """A tab for each widget, made when it is first opened."""
    pages = {
        "simplex": Lazy(lambda: widgets.simplex_explorer(net0, net1, dataset)),
        "gradient": Lazy(lambda: gradient_of(net0, net1, dataset)),
        "training": Lazy(lambda: widgets.training_cockpit(net1, dataset)),
        "embedding": Lazy(lambda: widgets.embedding_explorer(net1, dataset)),
        "row": Lazy(lambda: widgets.row_explorer(net0, net1, dataset)),
    }
    tabs = ipywidgets.Tab(list(pages.values()), titles=list(pages), selected_index=0)
    tabs.observe(lambda change: tabs.children[change.new].visit(), "selected_index")
    pages["simplex"].visit()
    return tabs


def gradient_of(net0: RowPredictor, net1: RowEncoder, dataset: Dataset) -> Explorer:
    """The gradient explorer at net0's predictions for a few test rows, where net0 is least sure."""
    some, cardinalities = dataset.test[:GRADIENT_ROWS], dataset.schema.cardinalities
    rows = dataset.rows[some]
    with torch.no_grad():
        prediction = net0(dataset.signal[some])
        logits = net0.logits(prediction, net1)
    objective = SquaredDistance(net1, prediction.continuous, encode_rows(net1, rows), rows.codes)
    problem = logits, objective, cardinalities
    blocks = split_blocks(logits, cardinalities)
    doubts = [entr(block[0].softmax(-1)).sum().item() for block in blocks]
    return widgets.gradient_explorer(
        *problem,
        reference=compare.sampled_gradient(*problem, draws=REFERENCE_DRAWS),
        labels=[column.labels for column in dataset.schema.categorical],
        column=doubts.index(max(doubts)),
    )


def ready_nets(
    folder: Path,
    *,
    rows: int = 0,
    encoder_steps: int = 1500,
    steps: int = 1000,
    drive: Drive = run,
) -> Nets:
    """net0, net1 and the flights that trained them: the first time, then from `folder`.

    Parameters
    ----------
    rows
        Take so many flights at random; all if 0.
    encoder_steps, steps
        Of net1 and net0.
    drive
        Drains a training loop that has the given name; under a progress bar if not given.
    """
    dataset = compare.load_data("flights", rows)
    net1 = RowEncoder(dataset.schema, embedding_std=0.03)
    file = folder / "net1.pt"
    drive(fit_encoder(net1, dataset, steps=encoder_steps, checkpoint=file), "net1")
    net1 = freeze(net1)
    net0 = RowPredictor(dataset.signal.shape[1], net1)
    chosen, file = make("straight_through_gumbel"), folder / "net0.pt"
    drive(fit_predictor(net0, net1, dataset, chosen, steps=steps, checkpoint=file), "net0")
    return net0, net1, dataset


def page(shell: Any, folder: str, **sizes: int) -> ipywidgets.Widget:
    """What the server shows: the dashboard, and any error, which Voila would drop."""
    errors = ipywidgets.HTML()
    show_errors(shell, errors)
    board = Lazy(lambda: dashboard(*ready_nets(Path(folder), drive=quietly, **sizes)))
    board.visit()
    whole = ipywidgets.VBox([ipywidgets.HTML(STYLE), errors, board])
    return whole.add_class("tabkit-app")


def quietly(loop: Iterable[Step], _name: str) -> None:
    """Drains a loop without a bar."""
    for _ in loop:
        pass


def show_errors(shell: Any, place: ipywidgets.HTML) -> None:
    """Shows in `place` what callbacks and threads raise and nobody catches."""

    def show(error: BaseException | None) -> None:
        if isinstance(error, Exception):
            place.value = alert(error)

    shell.showtraceback = lambda *_, **__: show(sys.exc_info()[1])
    threading.excepthook = lambda raised: show(raised.exc_value)
