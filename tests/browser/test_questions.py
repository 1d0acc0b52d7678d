"""Predictions and quizzes in JupyterLab: chosen by keyboard, kept, and told apart at the reveal."""

import pytest

from browser.harness import expect
from tabkit.lesson import records

CELLS = [
    "from tabkit.lesson import predict, quiz\n"
    "options = ['softmax', 'straight_through_gumbel']\n"
    "guess = predict('00.a', 'Which one hands over the worst rows?', options=options)",
    "quiz('00')",
]
AGAIN = "predict('00.a', 'Which one hands over the worst rows?', options=options).answer"


@pytest.fixture(scope="module")
def notebook(open_notebook):
    return open_notebook(CELLS)


@pytest.fixture(scope="module")
def questions(notebook):
    found = notebook.page.locator(".tabkit-question")
    expect(found).to_have_count(4)
    return found


def choose(notebook, question, presses):
    """Into the group by Tab's place, then down; returns what is said to the answer."""
    radios = question.get_by_role("radio")
    radios.first.focus()
    notebook.page.keyboard.press("Space")
    for _ in range(presses):
        notebook.page.keyboard.press("ArrowDown")
    expect(radios.nth(presses)).to_be_checked()
    expect(radios.nth(presses)).to_be_focused()
    return question.get_by_role("status")


def test_a_prediction_is_chosen_by_keyboard_and_stays_once_its_truth_is_seen(
    notebook, lab, questions
):
    group = questions.first.get_by_role("radiogroup", name="Which one hands over the worst rows?")
    expect(group.get_by_role("radio")).to_have_count(2)
    assert not any(radio.is_checked() for radio in group.get_by_role("radio").all())
    said = choose(notebook, questions.first, 1)
    expect(said).to_have_text("Your prediction is kept: straight_through_gumbel")
    assert "You said straight_through_gumbel; it is softmax" in notebook.evaluate(
        "guess.compare('softmax')"
    )
    said = choose(notebook, questions.first, 0)
    expect(said).to_have_text("You said so before you saw what came out; it stays.")
    assert notebook.evaluate("guess.answer") == "'straight_through_gumbel'"
    assert notebook.evaluate(AGAIN) == "'straight_through_gumbel'"
    (file,) = lab.notebooks.glob("runs/course/reader-*.json")
    kept = records.read(file)["00.a"]
    assert (kept["said"], kept["truth"]) == ("straight_through_gumbel", "softmax")


def test_each_answer_of_a_quiz_gets_its_reason_and_the_first_is_kept(notebook, lab, questions):
    asked = questions.nth(1)
    expect(choose(notebook, asked, 0)).to_contain_text("No. It has one, for its weights.")
    expect(choose(notebook, asked, 1)).to_contain_text("Right. A gradient asks")
    notebook.evaluate("None")
    (file,) = lab.notebooks.glob("runs/course/reader-*.json")
    assert records.read(file)["00.quiz 1"]["said"].startswith("nn.Embedding")


def test_nothing_went_wrong(notebook):
    notebook.check()
