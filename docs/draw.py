"""Draws the pictures of README and docs: ``python docs/draw.py``; a few minutes on two cores.

The gap is that of a real training on all flights; the frontier that of the kept table; the widgets
are photographed at work in JupyterLab, by the browser of the tests. A page's words for a picture
are in the page.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
sys.path.insert(0, str(ROOT / "tests"))

import pandas as pd  # noqa: E402
import tables  # noqa: E402
from browser.harness import FLAGS, Lab, Notebook, Widget, chromium, sync_playwright  # noqa: E402

from tabkit import plots  # noqa: E402

NETS = """
import tabkit
from tabkit import widgets
data = tabkit.flights()
net1 = tabkit.RowEncoder(data.schema)
for _ in tabkit.fit_encoder(net1, data, steps=1500, batch=2048, checkpoint="net1.safetensors"): pass
net1 = tabkit.freeze(net1)

def train(name):
    net0 = tabkit.RowPredictor(data.signal.shape[1], net1)
    settings = {"batch": 256, "steps": 600, "decode_every": 10, "checkpoint": f"{name}.safetensors"}
    estimator = tabkit.estimators.make(name)
    return net0, list(tabkit.fit_predictor(net0, net1, data, estimator, **settings))
"""
SHOWN = {"column": "origin", "row": 2, "relaxation": "gumbel_softmax", "tau": 0.5}
WIDGETS = (
    "widgets.training_cockpit(net1, data)",
    f"widgets.simplex_explorer(train('softmax')[0], net1, data, **{SHOWN})",
)


def gap(folder: Path) -> plots.Picture:
    """Relaxed and decoded loss while net0 trains; the nets stay in the folder."""
    with contextlib.chdir(folder):
        names: dict[str, object] = {}
        exec(NETS, names)
        trained = ("softmax", "gumbel_softmax", "straight_through_gumbel")
        return plots.gap_opens({name: names["train"](name)[1] for name in trained})


def frontier() -> plots.Picture:
    """Decoded loss against accuracy, along the labels' weight."""
    return plots.frontier(pd.read_csv(ROOT / "benchmarks" / "results" / "frontier.csv"))


def ranks() -> plots.Picture:
    """The ways, ranked over the tables and the kinds of net1."""
    return plots.ranks(tables.ranked(folding=True))


def photograph(lab: Lab) -> None:
    """Both widgets as JupyterLab shows them."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        notebook = Notebook(browser, lab, "widgets", [NETS, *WIDGETS])
        keep(notebook.widget("simplex_explorer"))
        cockpit = notebook.widget("training_cockpit")
        for number, name in enumerate(("softmax", "gumbel_softmax"), start=1):
            cockpit.choose("estimator", name)
            cockpit.button("start").press("Enter")
            finished = cockpit.root.get_by_text(f"{number} {name}, tau 1: finished").first
            finished.wait_for(timeout=600_000)
        keep(cockpit)


def keep(widget: Widget) -> None:
    """Writes what the widget looks like."""
    widget.settled()
    widget.root.screenshot(path=IMAGES / f"{widget.name}.png")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        try:
            drawn = {"frontier": frontier(), "ranks": ranks(), "gap": gap(lab.notebooks)}
            for name, picture in drawn.items():
                picture.save(IMAGES / f"{name}.png")
                print(picture.alt)
            photograph(lab)
        finally:
            lab.stop()
