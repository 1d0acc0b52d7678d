"""The decoder explorer: every number against net1 asked by hand, and what it says of what lacks."""

import html
import re

import pytest
import torch

from tabkit import RowPredictor, compare, decoders, freeze, inspection, plots, widgets
from tabkit.estimators import make
from tabkit.inspection.rows import BY
from tabkit.nets import encode_rows
from tabkit.widgets import Explorer


def predictor(dataset, net1, head="logits"):
    """Large logits, so that decoders differ."""
    net0 = RowPredictor(dataset.signal.shape[1], net1, head=head, width=16, depth=1, seed=3)
    with torch.no_grad():
        net0.mlp[-1].weight *= 8
    return freeze(net0)


@pytest.fixture
def net0(dataset, net1):
    return predictor(dataset, net1)


@pytest.fixture
def limit(dataset, net1):
    fit = compare.fit_limit(net1, dataset, steps=5, batch=64)
    list(fit)
    return fit.modules["limit"]


@pytest.fixture
def made(dataset, net1, net0, limit):
    """A function of keywords that makes the widget, once all is measured."""

    def maker(behind=net1, net0=net0, **options):
        widget = widgets.decoder_explorer(net0, behind, dataset, limit=limit, **options)
        widget.twin()  # waits for the means
        widget.update()
        return widget

    return maker


def shown(widget):
    return html.unescape(re.sub("<[^>]*>", " ", widget.picture.value))


def by_hand(net0, net1, dataset, row, decoder):
    """The loss of one hard row."""
    index = dataset.test[row : row + 1]
    found = decoders.decode(net0, dataset.signal[index], net1, decoder=decoder)
    apart = net1(found.codes, found.continuous) - encode_rows(net1, dataset.rows[index])
    return found.codes[0], apart.square().sum().item()


@pytest.mark.parametrize("row", [0, 7])
def test_each_row_and_its_loss_are_those_of_the_decoder(dataset, net0, net1, row):
    found = inspection.decoded_row(net0, net1, dataset, row)
    specs = dataset.schema.categorical
    truth = dataset.rows.codes[dataset.test[row]].tolist()
    assert found.labels["true"].tolist() == [s.labels[k] for s, k in zip(specs, truth, strict=True)]
    argmax = by_hand(net0, net1, dataset, row, "argmax")[0]
    for name in BY:
        codes, loss = by_hand(net0, net1, dataset, row, name)
        labels = [s.labels[k] for s, k in zip(specs, codes.tolist(), strict=True)]
        assert found.labels[name].tolist() == labels
        assert found.losses[name] == pytest.approx(loss, rel=1e-4)
        assert found.changed[name] == (codes != argmax).sum()
    assert found.missing == {}


def test_the_numbers_stand_beside_the_picture(made, dataset, net0, net1, limit):
    widget = made()
    own = inspection.decoded_row(net0, net1, dataset).losses
    means = compare.by_decoder(net0, net1, dataset, make("softmax"), rows=200, decoders=BY)
    for name in BY:
        expected = f"{name.replace('_', ' ')}  {own[name]:.3f}  {means[f'decode_{name}']:.3f}"
        assert " ".join(expected.split()) in " ".join(shown(widget).split())
    first = dataset.test[:200]
    apart = limit(dataset.signal[first]) - encode_rows(net1, dataset.rows[first])
    assert f"{apart.square().sum(dim=1).mean():.3f}" in shown(widget)
    assert widget.message.value == ""


def test_the_limit_is_trained_aside_if_it_is_not_given(dataset, net0, net1, monkeypatch):
    fit, asked = compare.fit_limit, []

    def few(*given):
        asked.append(given)
        return fit(*given, steps=3, batch=32)

    monkeypatch.setattr(compare, "fit_limit", few)
    widget = widgets.decoder_explorer(net0, net1, dataset)
    twin = widget.twin()
    assert asked == [(net1, dataset)]
    assert "limit" in twin.picture.alt
    assert "limit=limit" not in widget.code


def test_code_reset_and_twin(made, dataset, net0, net1, limit):
    widget = made()
    before = widget.picture.value
    widget.controls["row"].value = 5
    widget.controls["estimator"].value = "gumbel_softmax"
    names = {"widgets": widgets, "net0": net0, "net1": net1, "data": dataset, "limit": limit}
    assert widget.code.startswith("widgets.decoder_explorer(net0, net1, data, limit=limit, row=5")
    assert eval(widget.code, names).state == widget.state
    twin = widget.twin()
    assert list(twin.table) == ["true", *BY]
    assert len(twin.picture.figure.axes) == 2
    widget.reset()
    assert widget.state == {"row": 0, "estimator": "softmax"}
    assert shown(widget).split() == re.sub("<[^>]*>", " ", html.unescape(before)).split()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"row": 10**6}, "row must lie in 0 to"),
        ({"estimator": "reinforce"}, "estimator must be one of softmax"),
    ],
)
def test_what_does_not_exist_is_refused_in_words(dataset, net0, net1, options, words):
    with pytest.raises(ValueError, match=words):
        widgets.decoder_explorer(net0, net1, dataset, **options)


def test_a_net1_by_hand_says_what_it_lacks(made, dataset, bare):
    widget = made(bare, predictor(dataset, bare))
    assert isinstance(widget, Explorer)
    assert widget.message.value == ""
    for name in ("table", "first_layer"):
        assert f"{name}: " in shown(widget)
    assert "needs net1.embedding" in shown(widget)
    assert list(widget.twin().table) == ["true", "argmax", "search"]


def test_a_net0_that_predicts_embeddings_is_decoded_too(made, dataset, net1):
    widget = made(net0=predictor(dataset, net1, head="embedding"))
    assert widget.message.value == ""
    assert list(widget.twin().table) == ["true", *BY]


def test_before_the_means_are_there_a_sentence_stands_in_their_place(dataset, net0, net1):
    losses = inspection.decoded_row(net0, net1, dataset).losses
    picture = plots.decoded(losses, {}, 200)
    assert len(picture.figure.axes) == 1
    assert "being measured" in picture.figure.texts[0].get_text()
