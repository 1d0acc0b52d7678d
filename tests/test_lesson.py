"""A claim can fail, an answer is compared in words."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from tabkit import lesson
from tabkit.lesson import ClaimFailed, Wrong, check, claim, exercise, kept, same, short
from tabkit.lesson.checks import EXERCISES


@pytest.mark.parametrize("true", [True, np.bool_(True), torch.tensor(True)])
def test_a_true_claim_is_printed(true, capsys):
    claim("Two is even.", true)
    assert capsys.readouterr().out == "Holds: Two is even.\n"


@pytest.mark.parametrize("false", [False, np.bool_(False), torch.tensor(False)])
def test_a_false_claim_stops_the_notebook(false):
    with pytest.raises(ClaimFailed, match="Two is odd"):
        claim("Two is odd.", false)


@pytest.mark.parametrize("other", [1, 0.5, "yes", None, torch.tensor(1.0), np.float64(2)])
def test_a_claim_that_is_no_truth_value_is_refused(other):
    with pytest.raises(TypeError, match="True or False"):
        claim("Something.", other)


@pytest.mark.parametrize("number", [0.5, np.float32(0.5), torch.tensor(0.5), pd.Series([0.5])[0]])
def test_a_number_is_claimed_within_its_bounds_and_the_margin_is_seen(number, capsys):
    claim("Half.", number, at_least=0.4, at_most=0.5)
    assert capsys.readouterr().out == "Holds: Half. (0.5; at least 0.4 and at most 0.5)\n"
    with pytest.raises(ClaimFailed, match=r"Half\. \(0\.5; at least 0\.6\)"):
        claim("Half.", number, at_least=0.6)
    with pytest.raises(ClaimFailed):
        claim("Half.", number, at_most=0.4)


def test_a_bound_of_a_truth_value_and_nan_within_bounds_are_refused():
    with pytest.raises(TypeError, match="a number with a bound"):
        claim("Something.", True, at_least=0.5)
    with pytest.raises(ClaimFailed):
        claim("Nothing.", float("nan"), at_least=-1e9)


def test_in_the_quick_mode_nothing_is_judged_and_little_is_done(monkeypatch, capsys):
    monkeypatch.setenv("TABKIT_QUICK", "1")
    claim("Two is odd.", False)
    claim("Two is even.", True)
    said = capsys.readouterr().out.splitlines()
    assert said == ["Not judged, by so few steps: Two is odd.", "Holds: Two is even."]
    assert (short(600), short(600, 7), kept("net1")) == (
        60,
        7,
        "runs/course/net1-seed0-quick.safetensors",
    )
    monkeypatch.setenv("TABKIT_QUICK", "0")
    assert (short(600, 7), kept("net1")) == (600, "runs/course/net1-seed0.safetensors")


def test_claims_are_kept_where_a_file_is_named_and_none_stops(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TABKIT_CLAIMS", str(tmp_path / "claims"))
    claim("Two is odd.", False)
    claim("Half.", 0.5, at_least=0.4)
    first, second = map(json.loads, (tmp_path / "claims").read_text().splitlines())
    bounds = {"at_least": None, "at_most": None}
    assert first == {"claim": "Two is odd.", "holds": False, "found": None, **bounds}
    assert second == {"claim": "Half.", "holds": True, "found": 0.5, **bounds, "at_least": 0.4}
    assert "Fails: Two is odd." in capsys.readouterr().out


def test_the_seed_is_that_of_the_environment():
    assert lesson.SEED == 0


@pytest.fixture
def exercised():
    """A judge of one's own, filed for this test."""
    yield exercise("test.1", "Count again.")
    del EXERCISES["test.1"]


def test_check_tells_right_from_wrong_from_undone_and_breaks_no_cell(exercised, capsys):
    @exercised
    def judge(answer, *more):
        same(answer + 1, 5, "what follows")

    assert check("test.1", 4)
    assert not check("test.1", 5)
    assert not check("test.1", None)
    assert not check("test.1", "4")
    right, wrong, undone, raised = capsys.readouterr().out.splitlines()
    assert right == "Right."
    assert wrong == "Not right: what follows is 6; that is off by 1. Count again."
    assert undone == "Not done yet: the answer is still None."
    assert raised.startswith("Not right: TypeError: ")


def test_an_error_in_a_readers_function_is_shown_with_its_line(exercised, capsys):
    @exercised
    def judge(answer):
        lesson.called(answer, 1)

    def answer(number):
        return number["one"]

    assert not check("test.1", answer)
    assert 'in your line `return number["one"]`' in capsys.readouterr().out


def test_there_is_no_such_exercise():
    with pytest.raises(KeyError):
        check("00.99", 1)


FORMS = [
    torch.tensor([1.0, 2.5]),
    torch.tensor([1.0, 2.5], dtype=torch.bfloat16),
    torch.tensor([1.0, 2.5], requires_grad=True),
    torch.tensor([1.0, 2.5]).to_sparse(),
    np.array([1.0, 2.5], dtype="float32"),
    pd.Series([1.0, 2.5]),
    [1, 2.5],
    (torch.tensor(1.0), torch.tensor(2.5)),
]


@pytest.mark.parametrize("found", FORMS, ids=lambda f: type(f).__name__)
def test_any_form_of_the_right_numbers_is_right(found):
    assert same(found, torch.tensor([1.0, 2.5])) == 0
    assert same(found, [1.0, 2.50001]) == pytest.approx(1e-5, abs=1e-8)


@pytest.mark.parametrize(
    ("found", "wanted", "told"),
    [
        ([1.0, 2.0], [1.0, 2.5], r"differs in 1 of 2 numbers, most at \[1\]: 2 is off by 0.5"),
        ([1.0], [1.0, 2.5], r"shape \(1,\), not \(2,\): one number for all"),
        ([[1.0, 2.5]], [1.0, 2.5], r"shape \(1, 2\), not \(2,\): the numbers are right"),
        (torch.ones(2, 3).cumsum(1).T, torch.ones(2, 3).cumsum(1), "it is the transpose"),
        ([[1.0, 2.0], [3.0, 4.0]], [[1.0, 3.0], [2.0, 4.0]], "is the transpose of"),
        ([-1.0, -2.5], [1.0, 2.5], "wrong sign"),
        ([3.0, 7.5], [1.0, 2.5], "3 times the right one"),
        ([2.0, 3.5], [1.0, 2.5], "off by 1 everywhere"),
        ([2.5, 1.0], [1.0, 2.5], "the right numbers in the wrong places"),
        ([0.0, 0.0], [1.0, 2.5], "is 0 everywhere"),
        ([1.0, np.nan], [1.0, 2.5], "1 of 2 numbers that are NaN or infinite"),
        (6.0, 3.0, "2 times the right one"),
        (3.7, 3.0, r"is 3\.7; that is off by 0\.7"),
        ("three", 3.0, "no numbers but the word 'three'"),
        (["1", "2"], [1.0, 2.0], "no numbers but a list"),
        (torch.nn.Linear(1, 1), 3.0, r"is a function \(Linear\): call it"),
        (len, 3.0, r"is a function \(len\): call it"),
        ({"a": 1}, 3.0, "no numbers but a dict"),
        ("True", True, "should be True or False, and is the word 'True'. Leave the quotes away"),
        (1, True, "should be True or False, and is an int"),
        (torch.ones(2, 2), True, r"a tensor of shape \(2, 2\)"),
        (False, True, "is not False"),
        ("b", "a", "is not 'b'"),
    ],
)
def test_what_is_wrong_is_said(found, wanted, told):
    with pytest.raises(Wrong, match=told):
        same(found, wanted)


@pytest.mark.parametrize("true", [True, np.bool_(True), torch.tensor(True)])
def test_a_truth_value_is_taken_from_wherever_it_comes(true):
    assert same(true, True) == 0


def test_zero_tolerance_asks_for_every_bit():
    same(1 + 1e-6, 1.0)
    with pytest.raises(Wrong):
        same(1 + 1e-6, 1.0, tolerance=0.0)


def test_nothing_is_right_where_nothing_is_wanted():
    assert same([], torch.empty(0)) == 0
