"""The simplex of one column: what it shows is what the relaxation gives."""

import math
import re

import pytest
import torch

from tabkit import RowPredictor, estimators, inspection, plots, widgets
from tabkit.inspection.mixtures import spacing
from tabkit.widgets.dials import row_logits, tempered, typed

LOGITS = torch.tensor([1.0, 0.0, -1.0])
TABLE = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])


@pytest.fixture
def net0(dataset, net1):
    return RowPredictor(dataset.signal.shape[1], net1, width=16)


@pytest.fixture
def widget(net0, net1, dataset):
    return widgets.simplex_explorer(net0, net1, dataset)


def words(widget):
    return re.search(r'aria-label="([^"]*)"', widget.picture.value).group(1)


def drawn(widget):
    """The picture without the ids that change from drawing to drawing."""
    return re.sub(r"\b[mp][0-9a-f]{10}\b", "", widget.picture.value)


def test_a_mixture_is_softmax_its_entropy_and_its_place():
    found = inspection.mix(LOGITS, estimators.make("softmax", tau=0.5), TABLE)
    p = (LOGITS / 0.5).softmax(dim=0)
    torch.testing.assert_close(found.simplex, p)
    assert found.entropy == pytest.approx(-sum(x * math.log(x) for x in p.tolist()), rel=1e-5)
    apart = [(p @ TABLE - place).norm().item() for place in TABLE]
    assert found.nearest == apart.index(min(apart))
    assert found.distance == pytest.approx(min(apart) / spacing(TABLE), rel=1e-5)
    assert (found.samples == found.samples[0]).all()


def test_a_one_hot_has_no_entropy_and_lies_on_its_category():
    found = inspection.mix(LOGITS, estimators.make("hard_argmax"), TABLE)
    assert (found.entropy, found.nearest, found.distance) == (0.0, 0, 0.0)


def test_the_draws_are_the_seeds():
    chosen = estimators.make("straight_through_gumbel")
    one, same, other = (inspection.mix(LOGITS, chosen, TABLE, seed=s) for s in (0, 0, 1))
    assert torch.equal(one.samples, same.samples)
    assert not torch.equal(one.samples, other.samples)
    shares = inspection.mix(LOGITS, chosen, TABLE, samples=4000).samples.mean(dim=0)
    torch.testing.assert_close(shares, LOGITS.softmax(dim=0), atol=0.03, rtol=0)  # 4 errors


def test_without_a_table_there_are_shares_and_entropy_and_no_place():
    softmax = estimators.make("softmax")
    found, known = inspection.mix(LOGITS, softmax), inspection.mix(LOGITS, softmax, TABLE)
    assert torch.equal(found.samples, known.samples)
    assert (found.entropy, found.nearest, found.distance) == (known.entropy, None, None)


def test_logits_must_fit_the_column():
    with pytest.raises(ValueError, match="3 categories, but 2 logits"):
        inspection.mix(LOGITS[:2], estimators.make("softmax"), TABLE)


def test_three_categories_get_a_triangle_and_others_do_not():
    mixture = inspection.mix(LOGITS, estimators.make("gumbel_softmax"), TABLE)
    picture = plots.simplex(mixture, list("abc"), truth=1)
    _, triangle = picture.figure.axes
    (cloud,) = [line for line in triangle.get_lines() if line.get_marker() == "."]
    assert len(cloud.get_xdata()) == 200
    share = mixture.simplex[1].item()
    assert f"the true one, b, {share:.2f}" in picture.alt
    two = inspection.mix(LOGITS[:2], estimators.make("softmax"), TABLE[:2])
    assert len(plots.simplex(two, list("ab")).figure.axes) == 1


def test_the_widget_shows_net0s_logits_of_the_row(widget, net0, net1, dataset):
    widget.controls["column"].value, widget.controls["row"].value = "c01", 3
    logits = row_logits(net0, net1, dataset, 3)[1]
    table = net1.embedding.tables[1].weight.detach()
    found = inspection.mix(logits, estimators.make("softmax"), table)
    assert f"entropy {found.entropy:.2f} nats" in words(widget)
    best = logits.argmax().item()
    assert f"Largest shares: {best} {found.simplex[best]:.2f}" in words(widget)


@pytest.mark.parametrize("name", estimators.names(relaxations=True))
def test_every_relaxation_is_shown_at_both_ends_of_tau(widget, name):
    widget.controls["relaxation"].value = name
    for tau in (0.01, 10.0):
        widget.controls["tau"].value = tau
        assert widget.message.value == ""
    assert "<svg" in widget.picture.value


def test_logits_by_hand_and_bad_ones(widget, dataset):
    widget.controls["column"].value = "c00"
    width = dataset.schema.cardinalities[0]
    widget.controls["logits"].value = ", ".join(["5"] + ["0"] * (width - 1))
    assert "Largest shares: 0 0.9" in words(widget)
    for bad, reason in (("1, x", "not a list of numbers"), ("1, 2", "logits"), ("nan", "finite")):
        widget.controls["logits"].value = bad
        assert reason in widget.message.value
    widget.controls["logits"].value = ""
    assert widget.message.value == ""


def test_the_code_reproduces_the_state(widget, net0, net1, dataset):
    widget.controls["relaxation"].value = "gumbel_softmax"
    widget.controls["tau"].value, widget.controls["seed"].value = 0.5, 7
    names = {"widgets": widgets, "net0": net0, "net1": net1, "data": dataset}
    again = eval(widget.code, names)
    assert again.state == widget.state
    assert words(again) == words(widget)


def test_the_code_says_tau_to_the_last_digit_that_counts(widget, net0, net1, dataset):
    widget.controls["tau"].value = 10**0.25
    assert "tau=1.77827941004," in widget.code
    names = {"widgets": widgets, "net0": net0, "net1": net1, "data": dataset}
    assert drawn(eval(widget.code, names)) == drawn(widget)


@pytest.mark.parametrize(
    ("name", "value"), [("tau", 0.009), ("tau", 10.5), ("row", -1), ("seed", -1)]
)
def test_a_value_out_of_range_is_told(net0, net1, dataset, name, value):
    with pytest.raises(ValueError, match=f"{name} must lie between .*, not {value}"):
        widgets.simplex_explorer(net0, net1, dataset, **{name: value})


def test_the_twin_has_a_panel_and_a_row_for_each_setting(widget):
    twin = widget.twin()
    assert len(twin.picture.figure.axes) == len(twin.table) == 9
    for name, row in twin.table.iterrows():
        assert f"{name}: " in twin.picture.alt
        assert f"entropy {row['entropy (nats)']:.2f}" in twin.picture.alt


def test_a_predicted_embedding_is_read_by_its_distances(net1, dataset):
    net0 = RowPredictor(dataset.signal.shape[1], net1, head="embedding", width=16)
    assert widgets.simplex_explorer(net0, net1, dataset).message.value == ""


def test_typed_logits():
    assert typed("1, -2.5,3e1").tolist() == [1.0, -2.5, 30.0]
    assert tempered("softmax", 0.3).knobs == {"tau": 0.3}
    assert tempered("hard_argmax", 0.3).knobs == {}
