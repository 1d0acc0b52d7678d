"""The picture of runs: moving means, one scale, one size, and runs that are told apart."""

import numpy as np
import pytest

from tabkit import plots
from tabkit.plots.training import COLOURS, SHOWN, curves, ends, ladder, style
from tabkit.train import Step


def steps_of(count, *, relaxed=1.0, decoded=4.0, of=100):
    return [
        Step(i, of, relaxed, 0.1 * i, decoded if i % 10 == 1 else None) for i in range(1, count + 1)
    ]


def test_a_curve_is_a_moving_mean():
    losses = np.random.default_rng(0).uniform(1, 2, 300)
    steps = [
        Step(i + 1, 300, loss, 0.1, loss if i % 20 == 0 else None) for i, loss in enumerate(losses)
    ]
    relaxed, decoded = curves(steps)
    assert relaxed[0][-1] == 300
    for step, loss in zip(relaxed[0].astype(int), relaxed[1], strict=True):
        assert loss == pytest.approx(losses[max(step - 25, 0) : step].mean())
    measured = losses[::20]
    for n, (step, loss) in enumerate(zip(*decoded, strict=True)):
        assert step == 1 + 20 * n
        assert loss == pytest.approx(measured[max(n - 4, 0) : n + 1].mean())
    assert ends(steps).gap == pytest.approx(measured[-5:].mean() - losses[-25:].mean())


def test_the_picture_shows_the_latest_run_with_its_gap_and_all_runs():
    named = {"1 a": steps_of(50, relaxed=1.0), "2 b": steps_of(20, relaxed=0.5, of=200)}
    latest, together = plots.runs(named).figure.axes
    solid, _, dashed, _ = latest.get_lines()
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    assert set(solid.get_ydata()) == {0.5}
    assert set(dashed.get_ydata()) == {4.0}
    (shade,) = latest.collections
    low, high = shade.get_paths()[0].get_extents().intervaly
    assert (low, high) == (0.5, 4.0)
    assert [line.get_color() for line in together.get_lines()[::4]] == list(COLOURS[:2])
    assert latest.get_ylim() == together.get_ylim() == (0.5, 5.0)
    assert latest.get_xlim() == (0, 200)
    assert latest.get_yscale() == "log"


def test_the_words_tell_the_last_losses_and_the_gap():
    alt = plots.runs({"1 a": steps_of(50), "2 b": steps_of(1), "3 c": []}).alt
    assert "1 a: step 50 of 100, 1 relaxed, 4 decoded, gap 3;" in alt
    assert alt.endswith("3 c: no step yet.")
    unmeasured = [Step(1, 2, 1.5, 0.1)]
    assert plots.runs({"x": unmeasured}).alt.endswith("x: step 1 of 2, 1.5 relaxed.")
    assert "No run yet" in plots.runs({}).alt


def test_the_picture_has_one_size_and_any_eight_runs_differ():
    few = plots.runs({}).figure.get_size_inches().tolist()
    many = plots.runs({f"{i} run": steps_of(5) for i in range(20)})
    assert many.figure.get_size_inches().tolist() == few
    lines = many.figure.axes[1].get_lines()
    looks = {(lines[i].get_color(), lines[i + 1].get_marker()) for i in range(0, len(lines), 4)}
    assert len(looks) == SHOWN == 8
    assert "12 run:" in many.alt
    assert " 11 run:" not in many.alt
    assert many.svg().startswith('<svg role="img" aria-label="Loss against training step')
    for start in range(8):
        window = [style(i) for i in range(start, start + 8)]
        assert all(len(set(part)) == 8 for part in zip(*window, strict=True))


@pytest.mark.parametrize(
    ("losses", "rungs"),
    [
        ([], [1, 2]),
        ([1.0], [1, 2]),
        ([0.6, 3], [0.5, 1, 2, 5]),
        ([9, 11], [5, 10, 20]),
        ([2, 5], [2, 5]),
    ],
)
def test_the_scale_has_rungs_around_all_losses(losses, rungs):
    assert ladder(np.array(losses, dtype=float)).tolist() == pytest.approx(rungs)


def test_losses_of_zero_do_not_spoil_the_log_scale():
    plots.runs({"x": steps_of(5, relaxed=0.0, decoded=0.0)}).svg()
    plots.runs({"x": steps_of(5, relaxed=0.0, decoded=2.0)}).svg()
