"""The tab for a net of one's own: what it has, what follows, and what measurement recommends."""

import html
import pkgutil
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import ipywidgets
import torch
from torch import Tensor, nn

from tabkit import compare, estimators, plots
from tabkit.compare.recommending import check_net
from tabkit.data import Dataset
from tabkit.decoders import possible
from tabkit.nets import cardinalities_of, freeze, has
from tabkit.simplex import one_hot
from tabkit.widgets.cockpit.trainings import trainable
from tabkit.widgets.explorer import BUTTON, alert, style, themed
from tabkit.widgets.tables import CARD, table

MINUTES = 1.0
CALLS = """# mine.py, your file: the app runs nothing else of yours
def nets():
    data = tabkit.read_table("cars.csv").data()
    theirs = tabkit.freeze(my_trained_net)  # it takes codes
    net1 = tabkit.soften(theirs, data.rows, data.schema)
    return None, net1, data  # None: the app trains net0

# python -m tabkit.widgets --net mine:nets
# tabkit.recommend(net1, data, minutes=5)"""
READY = "<b>measure</b> trains net0s behind {} for about a minute."
BUSY = "Being measured: about a minute. Other tabs work meanwhile, a little slower."


class ByHand(nn.Module):
    """A net1 without tables or a first layer to show."""

    def __init__(self, K: Sequence[int], N: int, Z: int) -> None:
        super().__init__()
        self.cardinalities = K
        self.continuous_features = N
        first, last = nn.Linear(sum(K) + N, 64), nn.Linear(64, Z)
        self.body = nn.Sequential(first, nn.ReLU(), last)

    def forward(self, categorical: Tensor, x: Tensor) -> Tensor:
        if not categorical.is_floating_point():  # codes
            categorical = one_hot(categorical, self.cardinalities)
        return self.body(torch.cat([categorical, x], dim=1))


ASKED = {  # what a net1 may have, and who asks for it
    "cardinalities": "all",
    "continuous_features": "all",
    "embedding": "decoding by the table, direct_embedding, maps",
    "first_layer": "decoding by the first layer; a search starts there",
    "behind": "training and search in less time",
    "embedded": "direct_embedding, where there is no such layer",
}


def by_hand(dataset: Dataset, Z: int = 8) -> ByHand:
    """A small net1 without table or first layer, not trained yet; the same one every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ByHand(dataset.schema.cardinalities, len(dataset.schema.continuous), Z)


def nets_of(path: str) -> tuple[Any, Any, Dataset]:
    """What the reader's function ``module:function`` returns: net0 or None, a frozen net1, data.

    Raises ValueError if it cannot be called, returns anything else, or if net1 is of other columns.
    """
    try:
        found = pkgutil.resolve_name(path)()
    except Exception as error:
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from error
    if not (isinstance(found, tuple) and len(found) == 3 and isinstance(found[2], Dataset)):
        said = f"{path} must return (net0 or None, net1, data), as tabkit.read_table makes data"
        raise ValueError(f"{said}; it returned {type(found).__name__}")
    net0, net1, dataset = found
    freeze(net1)
    check_net(net1, dataset)
    return net0, net1, dataset


class OwnNet(ipywidgets.VBox):
    """What two net1s have, what follows from it, and a button that measures the first of them."""

    def __init__(self, nets: dict[str, Any], dataset: Dataset, example: str = "") -> None:
        self.name, self.net1, self.dataset = next(iter(nets)), next(iter(nets.values())), dataset
        ready = f"<div>{READY.format(html.escape(self.name))}</div>"
        told = f'<div style="{CARD}">{contract(nets)}{ready}</div>{BUTTON}{code_block(CALLS)}'
        self.told, self.result = ipywidgets.HTML(told), ipywidgets.HTML()
        code = ipywidgets.HTML(code_block(example))
        self.main = ipywidgets.VBox([self.told]).add_class("tabkit-main").add_class("tabkit-own")
        self.button = press("measure", self.measure)
        others = {"what they have": self.told}
        others |= {f"{self.name}, in code": code} if example else {}
        buttons = [press(name, partial(self.show, part)) for name, part in others.items()]
        self.side = ipywidgets.VBox([self.button, *buttons]).add_class("tabkit-side")
        super().__init__([self.side, self.main, style("explorer")])
        self.add_class("tabkit-widget")

    def show(self, part: ipywidgets.Widget) -> None:
        """One part, and nothing else."""
        self.main.children = [part]

    def measure(self) -> None:
        """Starts `tabkit.recommend`, aside."""
        self.button.disabled, self.result.value = True, f'<p role="status">{BUSY}</p>'
        self.show(self.result)
        threading.Thread(target=self._measure, daemon=True).start()

    def _measure(self) -> None:
        try:
            found = compare.recommend(self.net1, self.dataset, MINUTES, progress=False)
            said = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in found.sentences[:2])
            drawn = plots.recommendation(found).svg()
            self.result.value = themed(f'<div class="tabkit-picture">{drawn}</div>{said}')
        except Exception as error:
            self.result.value = alert(error)
        self.button.disabled = False


def contract(nets: dict[str, Any]) -> str:
    """What net1s have, by name, and what they can therefore do, as a table."""
    has_it = {
        name: ["✓" if holds(net1, name) else "no" for net1 in nets.values()] for name in ASKED
    }
    rows = [(name, *has_it[name], why) for name, why in ASKED.items()]
    found = table("What the nets have", ("net1.", *nets, "who asks"), rows)
    for name, net1 in nets.items():
        able = ", ".join(possible(net1)).replace("_", " ")
        without = ", ".join(sorted({*estimators.names()} - {*trainable(net1)})) or "none"
        said = f"decodes by {able}; cannot train by {without}."
        found += f"<div><b>{html.escape(name)}</b> {said}</div>"
    return found


def holds(net1: Any, name: str) -> bool:
    """Whether net1 has it; its cardinalities may be those of its tables."""
    return has(net1, name) or (name == "cardinalities" and bool(cardinalities_of(net1)))


def press(name: str, action: Callable[[], None]) -> ipywidgets.Button:
    """A button."""
    button = ipywidgets.Button(description=name, tooltip=name)
    button.on_click(lambda _: action())
    return button


def code_block(code: str) -> str:
    """Code to read and to copy."""
    return f'<pre class="tabkit-code">{html.escape(code)}</pre>'
