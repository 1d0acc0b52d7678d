"""The figure of a race shows every contestant's ratio where it belongs."""

import pandas as pd
import pytest

from tabkit import plots, ruler


def table(names=("index", "slices", "sparse"), ratios=(1.0, 0.5, 12.0)):
    ratio = pd.Series(ratios, index=pd.Index(names, name="contestant"))
    return pd.DataFrame(
        {"ms": 2 * ratio, "ratio": ratio, "ratio_q1": 0.9 * ratio, "ratio_q3": 1.2 * ratio}
    )


def test_each_contestant_has_its_dot_and_its_quartiles_the_first_on_top():
    picture = plots.race({"10 columns": table(), "50 columns": table(ratios=(1.0, 0.4, 20.0))})
    left, right = picture.figure.axes
    assert [t.get_text() for t in left.get_yticklabels()] == ["sparse", "slices", "index"]
    assert [t.get_text() for t in right.get_yticklabels()] == [""] * 3
    *_, dots = right.get_lines()
    assert dots.get_xdata().tolist() == [20.0, 0.4, 1.0]
    (quartiles,) = right.collections
    ends = [(a[0], b[0]) for a, b in quartiles.get_segments()]
    assert ends == [(18.0, 24.0), (pytest.approx(0.36), 0.48), (0.9, 1.2)]
    assert left.get_xlim() == right.get_xlim()
    assert (left.get_title(), right.get_title()) == ("10 columns", "50 columns")


def test_it_is_described_in_words():
    alt = plots.race({"here": table()}).alt
    assert alt.startswith("Time over that of index, median and quartiles. here: index 1.00")
    assert "slices 0.50 (0.45 to 0.60), sparse 12.00 (10.80 to 14.40)." in alt


@pytest.mark.parametrize(
    ("ratios", "marks"), [((1.0, 1.3, 2.1), ["1", "1.2", "1.5", "2"]), ((1.0, 0.4, 20.0), None)]
)
def test_a_short_axis_has_close_marks(ratios, marks):
    picture = plots.race({"here": table(ratios=ratios)})
    picture.png()
    (ax,) = picture.figure.axes
    low, high = ax.get_xlim()
    ticks = zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
    shown = [t.get_text() for at, t in ticks if low <= at <= high]
    assert shown == (marks or ["0.5", "1", "2", "5", "10", "20"])


def test_a_true_race_can_be_drawn():
    times = ruler.race({"a": lambda: None, "b": lambda: sum(range(99))}, rounds=3)
    assert plots.race({"two": times}).png().startswith(b"\x89PNG")


def test_races_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.race({})
    with pytest.raises(ValueError, match="'there' are not those"):
        plots.race({"here": table(), "there": table(("index", "slices", "list"))})
    with pytest.raises(ValueError, match="ratio_q3"):
        plots.race({"here": table().drop(columns="ratio_q3")})
