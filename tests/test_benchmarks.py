"""The benchmarks' formulas are exact, their kept tables whole, and interrupted runs pick up."""

import itertools
import json
import math
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from tabkit import estimators
from tabkit.estimators import joint_rows

FOLDER = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(FOLDER))

import polynomial  # noqa: E402
import ruler  # noqa: E402

KEPT = pd.read_csv(FOLDER / "results" / "polynomial.csv")
FULL = KEPT[KEPT.epochs == 40]
POWERS = polynomial.parser().get_default("powers")
README = (FOLDER / "README.md").read_text()
POLYNOMIAL = README[README.index("## Polynomial programming") :]


def hard_rows(columns):
    codes = torch.tensor(list(itertools.product((0, 1), repeat=columns)))
    return torch.nn.functional.one_hot(codes, 2).reshape(len(codes), -1).double()


@pytest.mark.parametrize("power", POWERS)
def test_the_expected_loss_is_that_of_enumeration(power, generator):
    logits = torch.randn(1, 6, generator=generator, dtype=torch.float64)
    objective = polynomial.polynomial(power)
    chances = [
        (log_chance.exp() * objective(hot)).item()
        for hot, log_chance in joint_rows(logits, [2, 2, 2])
    ]
    assert polynomial.expected_loss(logits[0], power) == pytest.approx(sum(chances), rel=1e-12)


@pytest.mark.parametrize("power", POWERS)
def test_the_optimum_is_the_best_hard_row_all_zero(power):
    rows = hard_rows(4)
    losses = polynomial.polynomial(power)(rows)
    assert polynomial.optimum(power) == pytest.approx(losses.min().item(), rel=1e-12)
    assert rows[losses.argmin(), ::2].sum() == 0


def test_the_decoded_loss_is_that_of_each_columns_argmax():
    logits = torch.tensor([2.0, 1.0, -1.0, 3.0])  # decodes to z = 1, 0
    assert polynomial.decoded_loss(logits, 2.0) == pytest.approx((0.55**2 + 0.45**2) / 2)


def test_a_mixture_has_a_loss_that_no_row_has():
    share = polynomial.CENTRE
    assert polynomial.polynomial(2.0)(torch.tensor([[share, 1 - share]])).item() == 0


def test_what_is_left_out_is_what_the_docstring_says():
    left_out = set(estimators.names()) - set(polynomial.default_estimators())
    embedding = {n for n in estimators.names() if estimators.make(n).head == "embedding"}
    assert left_out == embedding | {"cross_entropy", "exact"}


def test_indecater_has_the_exact_gradient_here(generator):
    logits = torch.randn(6, generator=generator, requires_grad=True)
    first = logits.view(-1, 2).softmax(dim=1)[:, 0]
    (first * 0.55**3 + (1 - first) * 0.45**3).mean().backward()
    exact, logits.grad = logits.grad, None
    estimator, rows = estimators.make("indecater"), logits.expand(4, -1)
    objective = polynomial.polynomial(3.0)
    estimator(rows, objective, cardinalities=[2, 2, 2], generator=generator).backward()
    torch.testing.assert_close(logits.grad, exact, rtol=1e-4, atol=1e-7)


def run(out, *specs, powers=("2",)):
    arguments = ["--epochs", "2", "--steps", "1", "--out", str(out), "--powers", *powers]
    polynomial.main([*arguments, "--estimators", *specs])
    return pd.read_csv(out)


def test_a_run_writes_its_table_and_picks_up(tmp_path, capsys, monkeypatch):
    first = run(tmp_path / "out.csv", "softmax", "reinmax")
    trained = []
    train = polynomial.train
    monkeypatch.setattr(polynomial, "train", lambda c, tick: trained.append(c) or train(c, tick))
    second = run(tmp_path / "out.csv", "softmax", "hard_argmax", "reinmax", powers=("2", "3"))
    done = [(cell.power, cell.estimator) for cell in trained]
    assert done == [(2, "hard_argmax"), (3, "softmax"), (3, "hard_argmax"), (3, "reinmax")]
    pd.testing.assert_frame_equal(second[:2], first)
    assert "hard_argmax" in capsys.readouterr().out


def test_an_interruption_keeps_what_is_finished(tmp_path, monkeypatch):
    def interrupted(cell, tick):
        if cell.estimator == "reinmax":
            raise KeyboardInterrupt
        return train(cell, tick)

    train = polynomial.train
    monkeypatch.setattr(polynomial, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out.csv", "softmax", "reinmax")
    assert list(pd.read_csv(tmp_path / "out.csv").estimator) == ["softmax"]


def test_the_same_seed_gives_the_same_result(tmp_path):
    runs = [run(tmp_path / name, "rebar").drop(columns="seconds") for name in ("a.csv", "b.csv")]
    pd.testing.assert_frame_equal(*runs)


def test_a_table_of_other_settings_is_not_mixed_in(tmp_path, monkeypatch, capsys):
    run(tmp_path / "out.csv", "softmax")
    monkeypatch.setattr(polynomial, "BATCH", 32)
    with pytest.raises(SystemExit):
        run(tmp_path / "out.csv", "softmax")
    assert "name another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--estimators", "softmex"],
        ["--estimators", "softmax:tau=cosine/2/1"],
        ["--powers", "0.5"],
        ["--powers", "nan"],
        ["--seeds", "1", "1"],
    ],
)
def test_a_typing_error_is_told_before_anything_trains(arguments, tmp_path, capsys):
    with pytest.raises(SystemExit):
        polynomial.main([*arguments, "--out", str(tmp_path / "out.csv")])
    assert capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_kept_table_holds_every_estimator_at_every_power():
    arguments = polynomial.parser().parse_args([])
    assert set(polynomial.cells_of(FULL)) == set(polynomial.cells(arguments))
    kept = json.loads((FOLDER / "results" / "polynomial.json").read_text())
    same = polynomial.settings().keys() - {"tabkit", "torch", "python", "machine", "threads"}
    assert {key: kept[key] for key in same} == {key: polynomial.settings()[key] for key in same}


def test_the_kept_losses_lie_between_those_of_the_best_and_the_worst_row():
    best, worst = polynomial.CENTRE**KEPT.power, (1 - polynomial.CENTRE) ** KEPT.power
    assert (KEPT.optimum - best).abs().max() < 1e-7
    for column in (KEPT.expected, KEPT.decoded):
        assert (column > best - 1e-7).all()
        assert (column < worst + 1e-7).all()


def test_the_loss_of_softmaxs_mixture_lies_below_what_any_row_has():
    softmax = FULL[FULL.estimator == "softmax"]
    assert (softmax.relaxed < softmax.optimum).all()
    assert (softmax.decoded > softmax.optimum - 1e-7).all()


def test_reinmax_and_zgr_are_one_estimator():
    pair = [FULL[FULL.estimator == name].reset_index() for name in ("reinmax", "zgr")]
    assert all(
        math.isclose(*both, rel_tol=1e-3)
        for both in zip(pair[0].expected, pair[1].expected, strict=True)
    )


def test_straight_through_rests_where_the_slopes_at_both_vertices_balance():
    kept = FULL[FULL.estimator == "straight_through_sample"].set_index("power").expected
    for power in POWERS:
        one, zero = 0.55 ** (power - 1), 0.45 ** (power - 1)
        share = zero / (one + zero)  # of z = 1
        balance = share * 0.55**power + (1 - share) * 0.45**power
        assert kept[power] == pytest.approx(balance, abs=2e-4)


def test_rebars_control_varies_more_than_the_loss_itself(generator):
    logits, spread = torch.zeros(2000, 256, requires_grad=True), {}
    for name in ("reinforce", "rebar"):
        estimator = estimators.make(name)
        for _ in range(10):  # its baseline or weight settles; the last gradient is looked at
            logits.grad = None
            objective = polynomial.polynomial(2.0)
            estimator(logits, objective, cardinalities=[2] * 128, generator=generator).backward()
        spread[name] = logits.grad.var(dim=0).mean()
    assert spread["rebar"] > 2 * spread["reinforce"]


def readme_tables():
    """The README's rows of numbers, by their count in a row, and estimator."""
    tables = {11: {}, 2: {}}
    for line in POLYNOMIAL.splitlines():
        if line.startswith("| `"):
            numbers = [float(cell) for cell in line.split("|")[2:-1]]
            tables[len(numbers)][line.split("`")[1]] = numbers
    return tables


def test_the_readmes_table_is_the_kept_result():
    found = readme_tables()[11]
    wide = FULL.pivot(index="estimator", columns="power")
    kinds = ("relaxed", "expected", "decoded")
    losses = wide[[(kind, power) for power in POWERS for kind in kinds]].round(4)
    other = wide[[("evaluations", 2.0), ("seconds", 2.0)]].round()
    assert found == {n: [*losses.loc[n], *other.loc[n]] for n in wide.index}


def test_the_readmes_table_of_longer_runs_is_the_kept_result():
    at_two = KEPT[KEPT.power == 2].pivot(index="estimator", columns="epochs", values="expected")
    longer = at_two.dropna().round(4)
    assert readme_tables()[2] == {n: longer.loc[n, [40, 160]].to_list() for n in longer.index}


def test_the_readmes_commands_are_understood():
    for line in re.findall(r"python benchmarks/polynomial.py *([^`\n]*)", README):
        polynomial.check(polynomial.parser().parse_args(line.split()))
    assert "`python -m tabkit run --seeds 0 1 2`" in README


RULER = pd.read_csv(FOLDER / "results" / "ruler.csv").set_index(["steps", "estimator"])


def test_the_kept_ruler_has_every_estimator_with_a_gradient_for_logits_at_every_stage():
    assert set(RULER.index) == set(itertools.product(ruler.STAGES, ruler.measured_names()))
    assert set(estimators.names()) - set(ruler.measured_names()) == {
        "direct_embedding",
        "vq_straight_through",
        "rotation_trick",
    }


def test_the_kept_ruler_finds_the_unbiased_unbiased():
    for (_, name), row in RULER.iterrows():
        if estimators.make(name).bias in ("exact", "unbiased"):
            assert abs(row.squared_bias) <= 4.5 * row.squared_bias_se + 1e-9


def test_the_readmes_ruler_is_the_kept_one():
    measures = ["squared_bias", "variance", "cosine"]
    part = README[README.index("## The ruler") : README.index("## Polynomial")]
    lines = re.findall(r"^\| `(\w+)` \|(.*)\|$", part, re.MULTILINE)
    assert {name for name, _ in lines} == set(ruler.measured_names())
    for name, cells in lines:
        *found, evaluations = (float(cell) for cell in cells.split("|"))
        wanted = [RULER.loc[(steps, name), m] for steps in ruler.STAGES for m in measures]
        assert found == pytest.approx(wanted, abs=0.0051)
        assert evaluations == RULER.loc[(0, name), "evaluations"]


def test_what_the_readme_says_of_the_ruler_holds():
    for steps in ruler.STAGES:
        stage = RULER.loc[steps]
        best = stage.drop(index="exact")["cosine"].nlargest(2)
        assert set(best.index) == {"indecater", "softmax"}
        assert stage.loc["straight_through_argmax", "squared_bias"] > 0.9
        sparse = stage.loc["sparsemax", "squared_bias"]
        assert sparse > stage.loc["straight_through_argmax", "squared_bias"] + 0.5
        second, first = stage.loc["reinmax"], stage.loc["straight_through_gumbel"]
        assert second["squared_bias"] < first["squared_bias"] / 7
        assert 2 < second["variance"] / first["variance"] < 4


def test_the_ruler_script_measures_at_every_stage(monkeypatch):
    monkeypatch.setattr(ruler, "ROWS", 2)
    monkeypatch.setattr(ruler, "STAGES", (0, 2))
    monkeypatch.setattr(ruler, "measured_names", lambda: ["softmax", "zgr"])
    table = ruler.measure(40)
    assert table.index.tolist() == [(0, "softmax"), (0, "zgr"), (2, "softmax"), (2, "zgr")]
