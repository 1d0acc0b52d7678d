"""A claim can fail, a prediction is kept, a check never stops the notebook."""

import numpy as np
import pytest
import torch

from tabkit.lesson import ClaimFailed, check, claim, predict


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


def test_a_prediction_is_kept_and_compared():
    guess = predict("Which?", "a", options=["a", "b"])
    assert "As you predicted" in guess.compare("a")
    assert "Not what you predicted" in guess.compare("b")
    assert "it is 0.123." in guess.compare(0.12345)
    assert "As you predicted" in predict("How much?", 0.12345).compare(0.12345)


def test_no_prediction_asks_for_one_and_does_not_stop(capsys):
    guess = predict("Which?", None, options=["a", "b"])
    assert "'a', 'b'" in capsys.readouterr().out
    assert "no prediction" in guess.compare("a")


def test_a_prediction_outside_the_options_is_refused():
    with pytest.raises(ValueError, match="none of the options"):
        predict("Which?", "c", options=["a", "b"])


def test_check_tells_right_from_wrong_from_undone(capsys):
    check(4, lambda x: x == 4)
    check(5, lambda x: x == 4, hint="Count again.")
    check(None, lambda x: x == 4)
    check("4", lambda x: x + 1 == 5)
    right, wrong, undone, raised = capsys.readouterr().out.splitlines()
    assert right == "Right."
    assert wrong == "Not right. Count again."
    assert "Not done yet" in undone
    assert "TypeError" in raised
