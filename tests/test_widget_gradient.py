"""The gradient explorer reads straight from the ruler."""

import re

import pytest
import torch

from tabkit import SquaredDistance, estimators, plots, ruler, widgets
from tabkit.nets import encode_rows
from tabkit.ruler.reference import draw_many
from tabkit.widgets.dials import measurable


@pytest.fixture
def problem(dataset, net1):
    some = dataset.test[:4]
    logits = torch.randn(4, dataset.schema.width, generator=torch.Generator().manual_seed(0))
    rows = dataset.rows[some]
    objective = SquaredDistance(net1, rows.continuous, encode_rows(net1, rows))
    return logits, objective, dataset.schema.cardinalities


@pytest.fixture
def widget(problem):
    return widgets.gradient_explorer(*problem)


def words(widget):
    return re.search(r'aria-label="([^"]*)"', widget.picture.value).group(1)


def drawn(widget):
    """The picture without the ids that change from drawing to drawing."""
    return re.sub(r"\b[mp][0-9a-f]{10}\b", "", widget.picture.value)


def test_the_estimates_are_the_rulers(problem):
    reference = ruler.exact_gradient(*problem)
    chosen = estimators.make("straight_through_gumbel", tau=0.7)
    found = ruler.estimate(chosen, *problem, reference=reference, draws=50, seed=3)
    assert torch.equal(found.draws, draw_many(chosen, *problem, draws=50, seed=3))
    measured = ruler.measure({"it": chosen}, *problem, reference=reference, draws=50, seed=3)
    for name, value in found.measures.items():
        assert measured.loc["it", name] == pytest.approx(value, nan_ok=True)
    with pytest.raises(ValueError, match="at least 2, not 1"):
        ruler.estimate(chosen, *problem, reference=reference, draws=1)


def test_the_figure_shows_the_exact_gradient_and_the_mean(problem):
    reference = ruler.exact_gradient(*problem)
    found = ruler.estimate(
        estimators.make("leave_one_out"), *problem, reference=reference, draws=30
    )
    first, width = problem[2][0], problem[2][1]
    labels = [f"k{k}" for k in range(width)]
    picture = plots.gradient(found, labels, row=2, first=first)
    exact = reference.gradient[2, first : first + width]
    top = exact.abs().argmax().item()
    mean = found.draws[:, 2, first + top].mean()
    assert f"k{top} {exact[top]:.2g}, {mean:.2g}" in picture.alt
    assert f"squared bias {found.measures['squared_bias']:.2f}" in picture.alt.lower()


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e5])
def test_the_label_on_the_left_is_inside_however_wide_the_numbers(problem, scale):
    reference = ruler.exact_gradient(*problem)
    chosen = estimators.make("leave_one_out")
    found = ruler.estimate(chosen, *problem, reference=reference, draws=5)
    found = ruler.Gradients(
        scale * found.draws, ruler.Reference(scale * reference.draws), found.measures
    )
    labels = [f"k{k}" for k in range(problem[2][1])]
    figure = plots.gradient(found, labels, row=2, first=problem[2][0]).figure
    figure.draw_without_rendering()
    (ax,) = figure.axes
    assert ax.yaxis.label.get_window_extent().x0 > 0
    assert min(tick.label1.get_window_extent().y0 for tick in ax.xaxis.get_major_ticks()) > 0


def test_the_widget_shows_the_measures_as_tau_moves(widget, problem):
    reference = ruler.exact_gradient(*problem)
    for tau in (0.1, 3.0):
        widget.controls["tau"].value = tau
        chosen = estimators.make("straight_through_gumbel", tau=tau)
        found = ruler.estimate(chosen, *problem, reference=reference, draws=40)
        assert f"variance {found.measures['variance']:.2f}" in words(widget)


@pytest.mark.parametrize("name", measurable())
def test_every_estimator_is_shown(problem, name):
    widget = widgets.gradient_explorer(*problem, estimator=name, draws=20)
    assert widget.message.value == ""
    assert "Squared bias" in words(widget)


def test_a_reference_from_samples_is_not_called_exact(widget, problem):
    assert "exact and mean" in words(widget)
    sampled = widgets.gradient_explorer(
        *problem, reference=ruler.sampled_gradient(*problem, draws=7)
    )
    assert "reference from 7 samples and mean" in words(sampled)
    assert "exact" not in sampled.picture.value
    assert "exact" not in sampled.twin().picture.svg()


def test_rows_and_columns_are_chosen(widget, problem):
    seen = set()
    for row in range(4):
        for column in range(len(problem[2])):
            widget.controls["row"].value, widget.controls["column"].value = row, column
            seen.add(words(widget))
    assert len(seen) == 4 * len(problem[2])


def test_the_code_reproduces_the_state(widget, problem):
    widget.controls["draws"].value, widget.controls["seed"].value = 60, 5
    names = ("logits", "objective", "cardinalities")
    again = eval(widget.code, {"widgets": widgets, **dict(zip(names, problem, strict=True))})
    assert again.state == widget.state
    assert words(again) == words(widget)


def test_what_was_given_is_in_the_code(problem):
    logits, objective, cardinalities = problem
    names = {"widgets": widgets, "objective": objective}
    names |= {"logits": logits, "cardinalities": cardinalities}
    names["reference"] = ruler.sampled_gradient(*problem, draws=5)
    names["labels"] = [[f"{c}-{k}" for k in range(width)] for c, width in enumerate(cardinalities)]
    first = widgets.gradient_explorer(
        *problem, reference=names["reference"], labels=names["labels"], tau=1.778279410038923
    )
    assert "tau=1.77827941004," in first.code
    again = eval(first.code, names)
    assert again.state == first.state
    assert drawn(again) == drawn(first)
    assert "1-0 " in words(widgets.gradient_explorer(*problem, labels=names["labels"], column=1))
    assert "=reference" not in widgets.gradient_explorer(*problem).code


@pytest.mark.parametrize(
    ("name", "value"),
    [("tau", 0.009), ("tau", 11.5), ("draws", 10), ("draws", 401), ("row", 4), ("column", -1)],
)
def test_a_value_out_of_range_is_told(problem, name, value):
    with pytest.raises(ValueError, match=f"{name} must lie between .*, not {value}"):
        widgets.gradient_explorer(*problem, **{name: value})


@pytest.mark.parametrize("draws", [20, 50, 390, 400])
def test_draws_are_among_the_sliders_places(problem, draws):
    slider = widgets.gradient_explorer(*problem, draws=draws).controls["draws"]
    assert slider.value == draws
    assert (draws - slider.min) % slider.step == 0
    assert 20 <= slider.min < 40


def test_what_was_drawn_is_not_drawn_again(problem, monkeypatch):
    calls = []
    estimate = ruler.estimate
    monkeypatch.setattr(ruler, "estimate", lambda *a, **k: calls.append(1) or estimate(*a, **k))
    widget = widgets.gradient_explorer(*problem, estimator="leave_one_out")
    for name, value in {"row": 1, "column": 1, "tau": 2.0}.items():
        widget.controls[name].value = value
    assert len(calls) == 1
    widget.controls["estimator"].value = "reinmax"
    widget.controls["tau"].value = 1.0
    assert len(calls) == 3


def test_the_twin_compares_temperatures(widget):
    twin = widget.twin()
    assert twin.table.index.tolist() == ["tau 0.3", "tau 1", "tau 3"]
    assert len(twin.picture.figure.axes) == 3
    variances = twin.table["variance"]
    assert variances["tau 0.3"] > variances["tau 3"]


def test_without_a_small_joint_table_a_reference_is_needed(problem):
    logits, _, _ = problem
    wide = [100, 100, logits.shape[1]]
    with pytest.raises(ValueError, match="joint table"):
        widgets.gradient_explorer(torch.zeros(1, sum(wide)), lambda s: s.sum(dim=1), wide)
