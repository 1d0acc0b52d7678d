"""A name from the data is shown as it is, even where matplotlib would read a formula."""

import html
import inspect
from dataclasses import replace

import pandas as pd
import pytest
import torch
from test_maps import AGREEMENT, LANDED, MOVED, PORTS, SCORES, projection, vectors
from test_plots import DECODED, FRONTIER, KEPT, MEASURED, RANKS, STEPS, SUMMARY, WALK, WAYS
from test_recommend import end, made, trial

from tabkit import estimators, inspection, plots, ruler

NAMES = ["$x^$", "$y_$", r"$\z$"]  # no formula of these can be drawn
X, Y, Z = NAMES
MAP = projection(vectors(NAMES))
WORDED = projection(vectors(NAMES, **{X: NAMES}))
MIXTURE = inspection.mix(torch.tensor([1.0, 0.0, 2.0]), estimators.make("softmax"), torch.eye(3))
PROBLEM = torch.zeros(1, 3), lambda simplex: simplex @ torch.tensor([1.0, 2.0, 4.0]), [3]
FOUND = ruler.estimate(
    estimators.make("reinmax"), *PROBLEM, reference=ruler.exact_gradient(*PROBLEM), draws=5
)
TEMPERATURE = KEPT[KEPT["estimator"].str.startswith("softmax")].assign(
    estimator=lambda table: table["estimator"].str.replace("softmax", X)
)
PLACES = PORTS.facts.iloc[:3].set_axis(NAMES)
NEAR = pd.DataFrame({"name": [X, Y], "neighbour": [Y, Z]})
RACE = pd.DataFrame({"ms": 1.0, "ratio": 1.0, "ratio_q1": 1.0, "ratio_q3": 2.0}, index=[X, Y])
WAY = dict(zip(WAYS, NAMES, strict=True))
NAMED = replace(
    RANKS, mean=RANKS.mean.rename(WAY), pairs=RANKS.pairs.rename(index=WAY, columns=WAY)
)
SAID = pd.DataFrame({"reader": [X], "name": "00.a", "question": Y, "said": Z, "truth": "b"})
DRAWN = {
    "agreement": lambda: (plots.agreement(AGREEMENT.assign(column=X)), [X]),
    "by_decoder": lambda: (plots.by_decoder(DECODED.set_axis([X, Y])), [X, Y]),
    "category_bars": lambda: (
        plots.category_bars(torch.ones(3), NAMES, marked=1, label="x"),
        NAMES,
    ),
    "class_answers": lambda: (plots.class_answers(SAID), NAMES),
    "comparison": lambda: (plots.comparison(KEPT.assign(estimator=X, data=Y), Y), [X, Y]),
    "decoded": lambda: (plots.decoded(pd.Series({X: 1.0, Z: 2.0}), {}, 9), [X, Z]),
    "decoding_gap": lambda: (plots.decoding_gap(SUMMARY.set_axis([X, Y])), [X, Y]),
    "frontier": lambda: (plots.frontier(FRONTIER.assign(estimator=X)), [X]),
    "gap_opens": lambda: (plots.gap_opens({X: STEPS, Y: STEPS}), [X, Y]),
    "geography": lambda: (
        plots.geography(PLACES, {Z: NEAR}, latitude="lat", longitude="lon"),
        NAMES,
    ),
    "gradient": lambda: (plots.gradient(FOUND, NAMES, row=0, first=0), NAMES),
    "gradients": lambda: (plots.gradients({Y: FOUND}, NAMES, row=0, first=0), NAMES),
    "landings": lambda: (plots.landings(MAP, {X: LANDED, Z: LANDED}), NAMES),
    "movement": lambda: (plots.movement({X: MOVED, Y: MOVED}), [X, Y]),
    "race": lambda: (plots.race({Z: RACE}), NAMES),
    "ranks": lambda: (plots.ranks(NAMED), NAMES),
    "recommendation": lambda: (
        plots.recommendation(made(*end(1.0, 0), trial(X, 0, {"argmax": 2.0}))),
        [X],
    ),
    "ruler": lambda: (plots.ruler(MEASURED.set_axis([X, Y])), [X, Y]),
    "runs": lambda: (plots.runs({X: STEPS, Y: STEPS}), [X, Y]),
    "scores": lambda: (plots.scores(SCORES.assign(column=X, truth=Y)), [X, Y]),
    "simplex": lambda: (plots.simplex(MIXTURE, NAMES, truth=0), NAMES),
    "simplexes": lambda: (plots.simplexes({Z: MIXTURE}, NAMES), NAMES),
    "temperatures": lambda: (plots.temperatures(TEMPERATURE, "planted", [X]), [X]),
    "walk": lambda: (plots.walk(WALK, X, Y), [X, Y]),
}
TWINS = {
    "category_maps": lambda: (plots.category_maps({X: MAP, Y: MAP}).twin, NAMES),
    "row_map": lambda: (plots.row_map(WORDED, columns=[X]).twin, NAMES),
}
NAMELESS = {"distance_scatter", "loss_curve"}


def test_every_figure_is_here():
    functions = {name for name in plots.__all__ if inspect.isfunction(getattr(plots, name))}
    assert functions - NAMELESS == {*DRAWN, *TWINS}


@pytest.mark.parametrize("name", [*DRAWN, *TWINS])
def test_a_name_like_a_formula_is_shown_as_it_is(name):
    picture, names = (DRAWN | TWINS)[name]()
    svg = html.unescape(picture.svg())
    drawn = svg[svg.index("<defs>") :]  # after the description
    for shown in names:
        assert shown in drawn
    assert r"\$" not in drawn
    assert picture.png().startswith(b"\x89PNG")
