"""The row explorer: its numbers against net1 asked by hand, and what the widget says of them."""

import html
import re

import numpy as np
import pandas as pd
import pytest
import torch

from tabkit import DataError, RowEncoder, RowPredictor, freeze, from_frame, widgets
from tabkit.inspection.rows import check_row, in_own_unit, label_of, predicted_row
from tabkit.nets import embedded, logits_of
from tabkit.plots.mixtures import distance_bars, distance_words, row_twin
from tabkit.schema import Continuous
from tabkit.widgets.rows import AS_DECODED, best_words, overruling_words
from tabkit.widgets.tables import table

HEADS = ("logits", "embedding")


def predictor(dataset, net1, head="logits", seed=3):
    """Large logits, so that the shares differ and decoding matters."""
    net0 = RowPredictor(dataset.signal.shape[1], net1, head=head, width=16, depth=1, seed=seed)
    with torch.no_grad():
        net0.mlp[-1].weight *= 8
    return freeze(net0)


def named(dataset):
    """A frozen encoder for any data set."""
    return freeze(RowEncoder(dataset.schema, Z=3, width=16, depth=1, D=4, embedding_std=None))


@pytest.fixture(params=HEADS)
def net0(request, dataset, net1):
    return predictor(dataset, net1, request.param)


@pytest.fixture
def widget(dataset, net1):
    return widgets.row_explorer(predictor(dataset, net1), net1, dataset)


def by_hand(net0, net1, dataset, row, codes=None):
    """The squared distance of hard codes, or of what net0 hands over."""
    at = dataset.test[row]
    prediction = net0(dataset.signal[at][None])
    true = net1(dataset.rows.codes[at][None], dataset.rows.continuous[at][None])
    if codes is not None:
        found = net1(torch.tensor([codes]), prediction.continuous)
    elif net0.head == "embedding":
        found = embedded(net1, prediction.categorical, prediction.continuous)
    else:
        blocks = prediction.categorical.split(dataset.schema.cardinalities, dim=1)
        soft = torch.cat([b.softmax(dim=1) for b in blocks], dim=1)
        found = net1(soft, prediction.continuous)
    return ((found - true) ** 2).sum().item()


def decoded_codes(net0, net1, dataset, row):
    logits = logits_of(net0, net1, net0(dataset.signal[dataset.test[row]][None]))
    return [b.argmax().item() for b in logits.split(dataset.schema.cardinalities, dim=1)]


def words(widget):
    text = re.sub(r"<[^>]*>", " ", widget.picture.value)
    return html.unescape(re.sub(r"\s+", " ", text))


def label(widget):
    return html.unescape(re.search(r'aria-label="([^"]*squared[^"]*)"', picture(widget), re.I)[1])


def picture(widget):
    assert widget.message.value == ""
    return widget.picture.value


def choose(widget, **values):
    for name, value in values.items():
        widget.controls[name].value = value


def test_distances_are_those_of_net1_asked_by_hand(net0, net1, dataset):
    for row in (0, 7):
        found = predicted_row(net0, net1, dataset, row)
        codes = decoded_codes(net0, net1, dataset, row)
        assert found.mixture == pytest.approx(by_hand(net0, net1, dataset, row), rel=1e-4)
        assert found.decoded == pytest.approx(by_hand(net0, net1, dataset, row, codes), rel=1e-4)


def test_overrulings_are_those_of_a_loop(net0, net1, dataset):
    found = predicted_row(net0, net1, dataset, 4)
    codes, looped = decoded_codes(net0, net1, dataset, 4), {}
    for c, spec in enumerate(dataset.schema.categorical):
        for k, name in enumerate(spec.labels):
            changed = [*codes[:c], k, *codes[c + 1 :]]
            looped[spec.name, name] = by_hand(net0, net1, dataset, 4, changed)
    assert list(found.overrulings.index) == list(looped)
    np.testing.assert_allclose(found.overrulings["distance"], list(looped.values()), rtol=1e-4)
    change = found.overrulings["distance"] - found.decoded
    np.testing.assert_array_equal(found.overrulings["change"], change)
    own = list(found.columns["decoded"].items())
    assert (found.overrulings.loc[own, "change"] == 0).all()
    assert len(own) == (found.overrulings["change"] == 0).sum()


def test_the_best_overruling_of_each_column_is_not_what_is_decoded(net0, net1, dataset):
    found = predicted_row(net0, net1, dataset, 2)
    best = found.best
    for column, decoded in found.columns["decoded"].items():
        rest = found.overrulings.loc[column].drop(index=decoded)["distance"]
        assert best["category"][column] == rest.idxmin() != decoded
        assert best["distance"][column] == rest.min()
    assert best["distance"].is_monotonic_increasing
    assert set(best.index) == set(found.columns.index)


def test_shares_are_softmax_and_the_largest_is_decoded(net0, net1, dataset):
    found = predicted_row(net0, net1, dataset, 1)
    logits = logits_of(net0, net1, net0(dataset.signal[dataset.test[1]][None]))
    blocks = logits.split(dataset.schema.cardinalities, dim=1)
    for (name, shares), block in zip(found.shares.items(), blocks, strict=True):
        np.testing.assert_allclose(shares, block[0].softmax(dim=0), rtol=1e-5)
        column = found.columns.loc[name]
        assert shares.idxmax() == column["decoded"]
        assert column["decoded_share"] == shares.max()
        assert column["true_share"] == shares[column["true"]]
        assert column["hit"] == (column["decoded"] == column["true"])


def test_the_row_is_the_test_row_in_its_own_words(own):
    net1 = named(own)
    found = predicted_row(predictor(own, net1), net1, own, 5)
    truth = own.frame(own.test[5:6]).iloc[0]
    assert found.columns["true"].to_dict() == {"port": truth["port"], "gate": str(truth["gate"])}
    assert found.signal["own"]["wind"] == pytest.approx(truth["wind"], rel=1e-5)
    assert np.isnan(found.signal["own"]["delay"])
    signal = own.signal[own.test[5]].tolist()
    assert found.signal["deviations"].tolist() == pytest.approx(signal)
    assert found.signal.index.tolist() == ["delay", "wind"]


def test_own_units_have_no_noise_of_rounding():
    spec = Continuous("precip", 0.00453, 0.0318)
    nothing = torch.tensor((0 - spec.mean) / spec.std, dtype=torch.float32).item()
    assert in_own_unit(nothing, spec) == 0
    assert in_own_unit(2.0, spec) == pytest.approx(spec.mean + 2 * spec.std, rel=1e-6)


@pytest.mark.parametrize("row", [-1, 60])
def test_a_row_that_is_not_there(row, dataset, net1):
    with pytest.raises(ValueError, match=rf"0 to 59, the test rows, not {row}"):
        check_row(dataset, row)
    with pytest.raises(ValueError, match="test rows"):
        widgets.row_explorer(predictor(dataset, net1), net1, dataset, row=row)


def test_a_category_that_is_a_number_is_found_by_it(own):
    """And by its label: what the remedy says works in both ways."""
    net1 = named(own)
    with pytest.raises(DataError, match="choose one of 1, 2, 3, 4"):
        widgets.row_explorer(predictor(own, net1), net1, own, column="gate", category=9)
    for category in (3, "3"):
        assert label_of(own, "gate", category) == "3"
        chosen = {"column": "gate", "category": category}
        shown = widgets.row_explorer(predictor(own, net1), net1, own, **chosen)
        assert shown.controls["category"].value == "3"
        shown = widgets.embedding_explorer(net1, own, **chosen, other=1)
        assert shown.controls["category"].value == "3"


def test_a_column_or_a_category_that_is_not_there(own):
    assert label_of(own, "port", "JFK") == "JFK"
    with pytest.raises(DataError, match="choose one of EWR, JFK, LGA"):
        label_of(own, "port", "SFO")
    with pytest.raises(DataError, match="choose one of port, gate"):
        label_of(own, "pier", "JFK")
    net1 = named(own)
    for bad in ({"column": "pier"}, {"column": "gate", "category": "JFK"}):
        with pytest.raises(DataError):
            widgets.row_explorer(predictor(own, net1), net1, own, **bad)


def test_the_picture_says_the_numbers(widget, dataset, net1):
    found = predicted_row(predictor(dataset, net1), net1, dataset, 0)
    assert label(widget) == distance_words(found)
    assert f"mixture {found.mixture:.3f}, of the decoded row {found.decoded:.3f}." in label(widget)
    assert "Nothing is overruled." in words(widget)
    assert best_words(found) in words(widget)
    hits = int(found.columns["hit"].sum())
    assert words(widget).count("✓ hit") == hits
    assert words(widget).count("✗ missed") == len(found.columns) - hits


@pytest.mark.parametrize("column", ["c00", "c02"])
def test_overruling_by_hand_changes_distance_and_words(column, widget, dataset, net1):
    found = predicted_row(predictor(dataset, net1), net1, dataset, 9)
    choose(widget, row=9, column=column)
    for category in widget.controls["category"].options[1:]:
        choose(widget, category=category)
        one = found.overrulings.loc[(column, category)]
        if category == found.columns["decoded"][column]:
            assert f"{column} is decoded as {category} already." in words(widget)
            continue
        assert f"with {column} {category} {one.distance:.3f} ({one.change:+.3f})" in label(widget)
        way = "nearer" if one.distance < found.decoded else "farther"
        assert f"lies {abs(one.change):.3f} {way}: {found.decoded:.3f} becomes" in words(widget)
        assert f"becomes {one.distance:.3f}." in words(widget)
    choose(widget, category=AS_DECODED)
    assert label(widget) == distance_words(found)


def test_the_best_in_words_is_the_best_of_all(dataset, net1):
    net0, kinds = predictor(dataset, net1), set()
    for row in range(20):
        found = predicted_row(net0, net1, dataset, row)
        own = list(found.columns["decoded"].items())
        column, category = found.overrulings["distance"].drop(index=own).idxmin()
        said = best_words(found)
        true = found.columns["true"][column]
        kind = "the true category" if category == true else f"though the true one is {true}"
        assert f"{column} {category}, {kind}" in said
        kinds.add(kind == "the true category")
        helps = found.best["change"].iloc[0] < 0
        assert (f"all {len(found.overrulings) - len(own)} single" in said) == helps
        assert ("No single overruling" in said) == (not helps)
    assert kinds == {True, False}


def test_where_no_overruling_helps_that_is_said(dataset, net1):
    found = predicted_row(predictor(dataset, net1), net1, dataset, 0)
    found.overrulings["change"] = found.overrulings["change"].abs()
    found.overrulings["distance"] = found.decoded + found.overrulings["change"]
    assert best_words(found).startswith("No single overruling brings it nearer; the least harm")
    far = found.overrulings["distance"].idxmax()
    assert "farther" in overruling_words(found, far)


def test_another_column_offers_its_own_categories(widget, dataset):
    choose(widget, column="c01")
    for spec in dataset.schema.categorical:
        choose(widget, column=spec.name)
        assert widget.controls["category"].options == (AS_DECODED, *spec.labels)
        assert widget.controls["category"].value == AS_DECODED
        choose(widget, category="1")
    choose(widget, column="c00", category="1")
    choose(widget, column="c02")  # whose categories are called the same
    assert widget.controls["category"].value == AS_DECODED


def test_reset_brings_back_the_start(dataset, net1):
    start = {"row": 2, "column": "c03", "category": "1"}
    widget = widgets.row_explorer(predictor(dataset, net1), net1, dataset, **start)
    before = widget.picture.value
    choose(widget, row=5, column="c00", category="0")
    assert widget.picture.value != before
    widget.reset()
    assert widget.state == start
    assert widget.picture.value == before


def test_the_code_reproduces_the_state(widget, dataset, net1):
    choose(widget, row=3, column="c01", category="2")
    names = {"widgets": widgets, "net0": predictor(dataset, net1), "net1": net1}
    again = eval(widget.code, names | {"data": dataset})
    assert again.state == widget.state
    assert again.picture.value == widget.picture.value


@pytest.mark.parametrize("head", HEADS)
def test_any_data_and_either_head(head, own):
    net1 = named(own)
    widget = widgets.row_explorer(predictor(own, net1, head), net1, own)
    for column in ("port", "gate"):
        choose(widget, column=column)
        for category in widget.controls["category"].options:
            choose(widget, category=category, row=len(own.test) - 1)
            picture(widget)


def test_two_categories_have_two_shares():
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"side": draw.choice(["l", "r"], 60), "delay": draw.normal(size=60)})
    data = from_frame(frame, categorical=["side"], outcomes=["delay"])
    net1 = named(data)
    widget = widgets.row_explorer(predictor(data, net1), net1, data)
    found = predicted_row(predictor(data, net1), net1, data)
    assert found.shares["side"].sum() == pytest.approx(1)
    assert words(widget).count(f"{found.shares['side'].max():.2f}") >= 1
    assert len(widget.twin().table) == 1


def test_tables_can_be_read_out_and_names_are_no_markup():
    frame = pd.DataFrame({"<b>tag</b>": ["<i>", "a&b", '"q"'] * 20, "delay": np.arange(60.0) % 7})
    data = from_frame(frame, categorical=["<b>tag</b>"], outcomes=["delay"])
    net1 = named(data)
    widget = widgets.row_explorer(predictor(data, net1), net1, data, category="<i>")
    for row in range(len(data.test)):
        choose(widget, row=row)
        shown = picture(widget)
        assert "<b>tag" not in shown
        assert "<i>" not in shown
    assert shown.count("<caption") == shown.count("<table") == 2
    heads = re.findall(r"<th [^>]*>", shown)
    assert all('scope="col"' in h or 'scope="row"' in h for h in heads)
    assert sum('scope="row"' in h for h in heads) == 1 + len(data.signal_names)
    assert all("color:inherit" in h and "background:none" in h for h in heads)


def test_a_table_escapes_its_cells():
    assert "<td" in table("of", ["a", "b"], [("x", "<y>")])
    assert "&lt;y&gt;" in table("of", ["a", "b"], [("x", "<y>")])


def test_bars_are_as_long_as_the_distances(dataset, net1):
    found = predicted_row(predictor(dataset, net1), net1, dataset, 0)
    far = found.overrulings["distance"].idxmax()
    lengths = re.findall(r'<rect[^>]*width="([\d.]+)"', distance_bars(found, far))
    numbers = [found.mixture, found.decoded, found.overrulings["distance"][far]]
    shown = np.array(lengths, dtype=float)
    np.testing.assert_allclose(shown / shown.max(), np.array(numbers) / max(numbers), atol=1e-3)
    assert len(re.findall("<rect", distance_bars(found))) == 2


def test_the_page_keeps_its_heights(widget):
    def heights():
        return re.findall(r"max-height:(\d+)px;overflow|min-height:(\d+)px", picture(widget))

    before = heights()
    choose(widget, row=3, column="c01", category="2")
    assert heights() == before
    assert len(before) == 3


def test_an_error_is_shown_and_gone_with_the_next_change(widget, monkeypatch):
    def broken(*_):
        raise RuntimeError("the net is <gone>")

    before = widget.picture.value
    with monkeypatch.context() as patched:
        patched.setattr("tabkit.widgets.rows.predicted_row", broken)
        choose(widget, row=11)
        assert "RuntimeError: the net is &lt;gone&gt;" in widget.message.value
        assert widget.picture.value == before
    choose(widget, column="c01", row=12)
    assert widget.message.value == ""
    assert widget.picture.value != before


def test_the_twin_shows_every_column(widget, dataset, net1):
    choose(widget, row=6)
    twin, found = widget.twin(), predicted_row(predictor(dataset, net1), net1, dataset, 6)
    assert len(twin.picture.figure.axes) == len(twin.table) == len(found.columns)
    assert twin.table["true"].tolist() == found.columns["true"].tolist()
    assert distance_words(found) in twin.picture.alt
    for name, column in found.columns.iterrows():
        assert f"{name}: decoded {column.decoded} with share" in twin.picture.alt
    titles = [ax.get_title(loc="left") for ax in twin.picture.figure.axes]
    assert sum("missed: " in t for t in titles) == (~found.columns["hit"]).sum()


def test_a_price_is_no_formula(own):
    net1 = named(own)
    found = predicted_row(predictor(own, net1), net1, own)
    priced = {name: s.rename(lambda v: f"${v}$") for name, s in found.shares.items()}
    object.__setattr__(found, "shares", priced)
    row_twin(found).svg()
