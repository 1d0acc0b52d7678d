"""Every figure draws, is described in words, and shows the numbers that it was given."""

import html
import re

import pandas as pd
import pytest
import torch

from tabkit import compare, plots
from tabkit.train import Step

STEPS = [Step(i, 60, 4.0 / i, i * 0.1, 2.0 + i / 60 if i % 20 == 0 else None) for i in range(1, 61)]
SUMMARY = pd.DataFrame(
    {"test_relaxed": [0.7, 0.64], "test_decoded": [0.72, 3.62]},
    index=pd.Index(["gumbel", "softmax"], name="estimator"),
)
DECODED = pd.DataFrame(
    {
        **{"decode_relaxed": [0.64, 0.7], "decode_argmax": [3.62, 0.72]},
        **{"decode_table": [1.0, 0.71], "decode_search": [0.66, 0.7]},
        **{"limit": 0.6, "random_row": 4.4},
    },
    index=pd.Index(["softmax", "gumbel"], name="estimator"),
)
VALUES = torch.tensor([0.5, -1.0, 2.0])
KEPT = compare.kept_comparison()
MEASURED = pd.DataFrame(
    {"squared_bias": [-0.1, 0.5], "variance": [9.0, 0.0], "cosine": [0.2, 0.8]},
    index=["reinforce", "softmax"],
).assign(squared_bias_se=0.1, variance_se=0.2, cosine_se=0.01)
WALK = pd.DataFrame(
    {"to_first": [0.0, 1.0, 2.0], "to_second": [2.0, 1.0, 0.0], "to_nearest": [0.0, 0.25, 0.0]},
    index=[0.0, 0.5, 1.0],
)
FRONTIER = pd.DataFrame(
    {"estimator": "softmax", "label_weight": [0.0, 0.0, 0.1], "decoder": ["argmax", None, "argmax"]}
).assign(decoded=[6.0, 4.4, 1.0], accuracy=[0.1, 0.3, 0.5], told_apart=[0.9, 0.5, 0.8])
FRONTIER = FRONTIER.assign(decoded_se=0.1, accuracy_se=0.01, told_apart_se=0.01)
WAYS = ["softmax:tau=1 by search", "gumbel_softmax by argmax", "softmax:tau=1 by argmax"]
RANKS = compare.comparison.Ranks(
    pd.DataFrame([[0.99, 0.97, 0.2], [0.98, 0.985, 0.1]], columns=WAYS),
    pd.Series([1.5, 1.5, 3.0], index=WAYS),
    0.01,
    pd.DataFrame([[1, 0.6, 0.01], [0.6, 1, 0.01], [0.01, 0.01, 1]], index=WAYS, columns=WAYS),
)
PICTURES = {
    "loss_curve": lambda: plots.loss_curve(STEPS),
    "gap_opens": lambda: plots.gap_opens({f"e{i}": STEPS for i in range(5)}),
    "by_decoder": lambda: plots.by_decoder(DECODED),
    "decoding_gap": lambda: plots.decoding_gap(SUMMARY, random_row=4.4),
    "distance_scatter": lambda: plots.distance_scatter(torch.arange(1.0, 9), torch.arange(8.0)),
    "category_bars": lambda: plots.category_bars(VALUES, list("abc"), marked=1, label="dL / dx"),
    "ruler": lambda: plots.ruler(MEASURED),
    "comparison": lambda: plots.comparison(KEPT, "flights"),
    "frontier": lambda: plots.frontier(FRONTIER),
    "ranks": lambda: plots.ranks(RANKS),
    "temperatures": lambda: plots.temperatures(KEPT, "planted", ["softmax", "gumbel_softmax"]),
    "walk": lambda: plots.walk(WALK, "BOS", "LAX"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_a_png_with_its_description(name, tmp_path):
    picture = PICTURES[name]()
    data, metadata = picture._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == picture.alt == data["text/plain"]
    assert f'alt="{html.escape(picture.alt)}"' in data["text/html"]
    assert picture.alt.endswith(".")
    assert len(picture.alt) > 40
    picture.save(tmp_path / "figure.png")
    assert picture.alt.encode("latin-1") in (tmp_path / "figure.png").read_bytes()


def test_the_gap_figure_shows_both_losses_of_every_estimator():
    picture = plots.decoding_gap(SUMMARY, random_row=4.4)
    (ax,) = picture.figure.axes
    relaxed, decoded, random_row = ax.get_lines()
    assert relaxed.get_xdata().tolist() == [0.64, 0.7]
    assert decoded.get_xdata().tolist() == [3.62, 0.72]
    assert set(random_row.get_xdata()) == {4.4}
    assert [t.get_text() for t in ax.get_yticklabels()] == ["softmax", "gumbel"]  # upwards
    assert "softmax 0.64 relaxed, 3.62 decoded" in picture.alt


def test_the_curves_show_the_decoded_loss_where_it_was_measured():
    picture = plots.gap_opens({"softmax": STEPS})
    _, decoded = picture.figure.axes[0].get_lines()
    assert decoded.get_xdata().tolist() == [20, 40, 60]
    assert decoded.get_ydata().tolist() == [s.decoded for s in STEPS if s.decoded]


def test_panels_share_one_scale():
    other = [Step(1, 2, 50.0, 0.1, 90.0), Step(2, 2, 40.0, 0.2, 80.0)]
    axes = plots.gap_opens({"a": STEPS, "b": other}).figure.axes
    assert axes[0].get_ylim() == axes[1].get_ylim()


def test_bars_have_the_values_and_mark_one():
    (ax,) = PICTURES["category_bars"]().figure.axes
    assert [bar.get_height() for bar in ax.patches] == VALUES.tolist()
    colours = [bar.get_facecolor() for bar in ax.patches]
    assert colours[0] == colours[2] != colours[1]


def test_curves_without_a_decoded_loss_are_refused():
    with pytest.raises(ValueError, match="decode_every"):
        plots.gap_opens({"softmax": [Step(1, 1, 1.0, 0.1)]})


def test_decoders_stand_between_the_ends_the_best_row_first():
    picture = plots.by_decoder(DECODED.iloc[::-1])
    assert picture.alt.index("softmax: search 0.66, argmax 3.62, table 1.00") < picture.alt.index(
        "gumbel: search 0.70"
    )
    assert "the limit is 0.60, a random row costs 4.40" in picture.alt
    (ax,) = picture.figure.axes
    drawn = {line.get_label(): list(line.get_xdata()) for line in ax.get_lines()}
    assert drawn["decoded by argmax"] == [0.72, 3.62]  # from below
    assert drawn["the limit"] == [0.6, 0.6]
    assert "decoded by first layer" not in drawn
    swept = DECODED.reset_index().assign(data="flights", limit=[0.5, 0.7])
    assert "the limit is 0.60" in plots.by_decoder(swept).alt


def test_the_ruler_lists_the_best_direction_first():
    alt = plots.ruler(MEASURED).alt
    assert alt.index("softmax: squared bias 0.50") < alt.index("reinforce: squared bias -0.10")
    assert "variance 9.00" in alt


def test_the_comparison_draws_every_estimator_best_decoded_first():
    part = KEPT[(KEPT["data"] == "flights") & (KEPT["budget"] == "steps")]
    alt = plots.comparison(KEPT, "flights").alt
    places = part["estimator"].map(lambda name: alt.index(f" {name} "))
    assert part["test_decoded"][places.sort_values().index].is_monotonic_increasing
    row = part.iloc[0]
    assert f"{row.test_relaxed:.2f}, {row.test_decoded:.2f}; {row.decode_argmax:.2f}" in alt


def test_the_frontier_draws_every_weight_by_accuracy_and_by_the_classifier():
    picture = plots.frontier(FRONTIER)
    assert "softmax by argmax at 0: 6.00, 0.10, 0.90; 0.1: 1.00, 0.50, 0.80" in picture.alt
    assert "4.40" not in picture.alt  # no decoder: a random row
    for ax, across in zip(picture.figure.axes, ([0.1, 0.5], [0.9, 0.8]), strict=True):
        assert ax.get_lines()[0].get_xdata().tolist() == across
        assert ax.get_lines()[0].get_ydata().tolist() == [6.0, 1.0]
    with pytest.raises(ValueError, match="no column 'told_apart'"):
        plots.frontier(FRONTIER.drop(columns="told_apart"))


def test_ranks_are_told_best_first_with_what_is_tied():
    picture = plots.ranks(RANKS)
    assert "softmax:tau=1 by search 1.5; gumbel_softmax by argmax 1.5; soft" in picture.alt
    assert picture.alt.endswith("Not parted from the first: gumbel_softmax by argmax.")
    (axes,) = picture.figure.axes
    shown = " ".join(text.get_text() for text in axes.texts)
    assert all(way in shown for way in WAYS)
    assert "2 blocks" in axes.get_title()


def test_temperatures_are_numbers_in_order_and_schedules_are_left_out():
    picture = plots.temperatures(KEPT, "flights", ["gumbel_softmax"])
    assert re.findall(r"tau ([\d.]+) decoded", picture.alt) == ["0.25", "0.5", "1", "2"]
    assert picture.figure.axes[0].get_lines()[0].get_xdata().tolist() == [0.25, 0.5, 1.0, 2.0]


def test_the_walk_says_what_is_halfway():
    assert "halfway 1.00, 1.00, 0.25" in plots.walk(WALK, "BOS", "LAX").alt


def test_what_the_summary_does_not_hold_is_refused():
    with pytest.raises(ValueError, match="no 'trains'"):
        plots.comparison(KEPT, "trains")
    two = pd.concat([KEPT.assign(net="plain"), KEPT.assign(net="deep", decode_search=9.0)])
    assert plots.comparison(two, "flights").alt == plots.comparison(KEPT, "flights").alt
    assert ", 9.00" in plots.comparison(two, "flights", net="deep").alt
    with pytest.raises(ValueError, match="no 'flights'"):
        plots.comparison(two, "flights", net="wide")
    with pytest.raises(ValueError, match="no 'zgr' with a temperature"):
        plots.temperatures(KEPT, "flights", ["zgr"])
