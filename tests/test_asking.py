"""Predictions and quizzes: asked by radio buttons or in words, kept, summed up, collected."""

import html
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tabkit import lesson, plots, store
from tabkit.lesson import collected, predict, quiz, records, summary
from tabkit.lesson.predictions import STAYS
from tabkit.lesson.quizzes import quizzes
from tabkit.lesson.records import place

SOURCES = Path(__file__).parents[1] / "notebooks" / "_source"
QUESTIONS = [asked for all_of_one in quizzes().values() for asked in all_of_one]
WAYS = ["softmax", "straight_through"]


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """A notebook's kernel, in a folder of its own; what it has displayed."""
    monkeypatch.chdir(tmp_path)
    found = []
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=True))
    monkeypatch.setattr("IPython.display.display", found.append)
    return found


def worst(answer=None, options=WAYS):
    return predict("03.a", "Which is worst?", answer, options=options, reread="The experiment")


def test_outside_a_notebook_a_prediction_is_asked_for_in_words(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    guess = worst()
    said = capsys.readouterr().out
    assert said.startswith("Which is worst?\n  a) softmax\n  b) straight_through\nWrite")
    assert "predict('03.a', ..., 'softmax', ...)" in said
    assert "no prediction; it is softmax." in guess.compare("softmax")
    assert not list(tmp_path.iterdir())  # nothing is kept without a reader


def test_without_ipywidgets_the_question_is_asked_in_words(shown, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tabkit.widgets.questions", None)
    worst()
    assert "a) softmax" in capsys.readouterr().out
    assert not shown


@pytest.mark.parametrize(
    "typed", ["straight_through", "Straight-Through", " straight through ", "b"]
)
def test_a_typed_answer_is_understood_in_other_letters(typed, capsys):
    assert worst(typed).answer == "straight_through"
    assert capsys.readouterr().out == "Your prediction is kept: straight_through\n"


@pytest.mark.parametrize("typed", ["hard", 3, "", ["b", "a"], True])
def test_what_is_none_of_the_answers_is_not_kept_and_no_traceback(typed, capsys):
    assert worst(typed).answer is None
    assert "is none of the answers: 'softmax', 'straight_through'." in capsys.readouterr().out


@pytest.mark.parametrize("truth", [3, np.int64(3), "3"])
def test_a_number_is_as_predicted_whatever_its_type(truth):
    assert "As you said." in worst(3, range(6)).compare(truth)
    assert "Not what you said" in worst(2, range(6)).compare(truth)
    assert "it is 0.123." in worst(2, range(6)).compare(0.12345)


def kept():
    return records.read(place())


def test_what_is_chosen_is_kept_and_told_at_the_reveal(shown):
    guess = worst()
    (question,) = shown
    assert question.radio.value is None
    question.radio.value = "softmax"
    question.radio.value = "straight_through"  # a change of mind before the reveal
    assert "kept: straight_through" in question.said.value
    assert kept()["03.a"]["said"] == "straight_through"
    assert guess.compare("softmax").startswith("You said straight_through; it is softmax.")
    whole = {"question": "Which is worst?", "said": "straight_through", "truth": "softmax"}
    assert kept()["03.a"] == whole | {"reread": "The experiment"}


def test_what_was_said_before_the_reveal_stays(shown, capsys):
    guess = worst("softmax")
    guess.compare("straight_through")
    again = worst()
    (question,) = shown
    assert (question.radio.value, question.radio.disabled) == ("softmax", True)
    assert STAYS in question.said.value
    worst("straight_through")
    assert STAYS in capsys.readouterr().out
    assert (again.answer, kept()["03.a"]["said"]) == ("softmax", "softmax")


def test_who_ran_all_cells_first_may_still_say(shown):
    worst().compare("softmax")
    shown[0].radio.value = "softmax"
    assert "As you said." in worst().compare("softmax")


def test_an_answer_that_is_no_longer_offered_is_forgotten(shown):
    worst("softmax").compare("softmax")
    assert worst(options=["one", "two"]).answer is None
    assert shown[0].radio.value is None


def test_numbers_are_kept_too(shown):
    guess = worst(options=range(6))
    shown[0].radio.value = "4"
    assert guess.answer == 4
    assert worst(options=range(6)).answer == 4


@pytest.mark.parametrize(
    "content", ["{", "[]", {"a": 1}, {"a": {"x": "y"}}, {"a": {"said": 1}}], ids=str
)
def test_a_damaged_file_is_laid_aside_and_the_cell_goes_on(content, shown, capsys):
    place().parent.mkdir(parents=True)
    if isinstance(content, str):
        place().write_text(content)
    else:
        store.write(place(), records.KIND, content)
    damaged = place().read_bytes()
    worst("softmax")
    said = capsys.readouterr().out
    assert "does not hold a reader's answers" in said
    assert kept()["03.a"]["said"] == "softmax"
    assert place().with_suffix(".damaged").read_bytes() == damaged


def test_the_words_are_there_for_pages_where_no_widget_lives(shown):
    predict("03.a", "Is 1 < 2?", options=["yes", "<no>"])
    found = shown[0]._repr_mimebundle_()
    assert "Is 1 &lt; 2?" in found["text/html"]
    assert "<li>&lt;no&gt;</li>" in found["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in found
    assert found["text/plain"].startswith("Is 1 < 2?\n  a) yes")


def test_a_quiz_gives_reasons_and_keeps_the_first_answer(shown):
    quiz("00")
    assert [question.radio.value for question in shown] == [None] * 3
    asked, question = quizzes()["00"][0], shown[0]
    wrong = next(answer for answer in asked.reasons if answer != asked.right)
    question.radio.value = wrong
    assert question.said.value.split(">", 1)[1].startswith("No. ")
    question.radio.value = asked.right
    assert question.said.value.split(">", 1)[1].startswith("Right. ")
    assert (kept()["00.quiz 1"]["said"], kept()["00.quiz 1"]["truth"]) == (wrong, asked.right)
    quiz("00")
    assert shown[3].radio.value == wrong
    page = html.unescape(question._repr_mimebundle_()["text/html"])
    for answer, reason in asked.reasons.items():
        assert f"<details><summary>{answer}</summary>" in page
        assert f". {reason}</p></details>" in page


def test_a_quiz_is_answered_in_words_without_widgets(capsys):
    right = quizzes()["03"][0].right
    quiz("03", right, "none of these")
    said = capsys.readouterr().out
    assert said.splitlines()[1].startswith("Right. ")
    assert said.count("Write your answer into the call, as in quiz('03', 'a', 'a', 'a')") == 2
    with pytest.raises(ValueError, match="3 questions, and 4 answers"):
        quiz("03", *"abca")
    with pytest.raises(KeyError):
        quiz("42")


def test_every_notebook_has_a_quiz_of_three():
    assert {notebook: len(asked) for notebook, asked in quizzes().items()} == dict.fromkeys(
        (source.stem[:2] for source in SOURCES.glob("*.py")), 3
    )


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda asked: asked.name)
def test_each_answer_has_a_reason_and_each_question_a_section_to_reread(asked):
    assert len(asked.reasons) == 3
    assert asked.right in asked.reasons
    assert all(len(reason) > 15 for reason in asked.reasons.values())
    assert len(set(asked.reasons.values())) == 3
    (source,) = SOURCES.glob(f"{asked.name[:2]}_*.py")
    assert f"# ## {asked.reread}\n" in source.read_text()


def test_nobody_passes_by_a_rule_of_thumb():
    """The right answer is as often at each place, and neither the longest nor the shortest."""
    places = [[*asked.reasons].index(asked.right) for asked in QUESTIONS]
    assert min(map(places.count, range(3))) >= 0.3 * len(QUESTIONS)
    for extreme in (min, max):
        assert sum(extreme(a.reasons, key=len) == a.right for a in QUESTIONS) <= 0.4 * len(
            QUESTIONS
        )


def test_the_questions_of_the_notebooks_have_names_of_their_own_and_sections_to_reread():
    names = []
    for source in sorted(SOURCES.glob("*.py")):
        text = source.read_text()
        calls = re.findall(r"= predict\((.*?)\)\n", text, re.DOTALL)
        assert len(calls) == text.count("predict(") - text.count("compare.predict(")
        for call in calls:
            names += re.findall(r'^\s*"(\d\d\.[a-z])"', call)
            assert names[-1][:2] == source.stem[:2]
            (section,) = re.findall(r'reread="(.+?)"', call) or ["Why"]
            assert f"# ## {section}\n" in text
        assert f'quiz("{source.stem[:2]}")' in text
    assert len(names) == len(set(names)) == 17


def filled(folder, reader, **said):
    answers = {
        name.replace("_", "."): {"question": "Which?", "said": one, "truth": "b", "reread": "Why"}
        for name, one in said.items()
    }
    answers["09.z"] = {"question": "Not yet?", "reread": "Why", "truth": "b"}
    folder.mkdir(parents=True, exist_ok=True)
    records.write(folder / f"answers-{reader}.json", answers)


def test_the_course_ends_with_a_summary_and_a_file_to_hand_in(shown, capsys, tmp_path):
    summary()
    assert capsys.readouterr().out.startswith("Nothing is kept yet")
    worst("softmax").compare("softmax")
    predict("00.a", "How many?", 2, options=range(6)).compare(3)
    quiz("00", "a")
    capsys.readouterr()
    summary("Ada")
    said = capsys.readouterr().out
    assert "1 of 2 predictions came out as you said." in said
    assert "0 of 1 answers to quizzes were right." in said
    assert "00.a: How many?\n  You said: 2\n  It is: 3\n  Read again: notebook 00, “Why”" in said
    assert "Which is worst?" not in said
    assert "To hand in: answers-Ada.json" in said
    found = collected(tmp_path)
    assert set(found["reader"]) == {"Ada"}
    assert list(found["right"]) == [False, False, True]


@pytest.mark.parametrize("name", ["../Ada", "a/b", "", "..", "C:\\x"])
def test_a_name_that_is_no_files_name_is_refused(name, shown):
    worst("softmax").compare("softmax")
    with pytest.raises(ValueError, match="letters"):
        summary(name)


def test_a_class_is_collected_and_drawn(tmp_path):
    filled(tmp_path / "one", "Ada", **{"00_a": "b", "00_b": "a"})
    filled(tmp_path / "two", "Bo $x$", **{"00_a": "c"})
    found = collected(tmp_path)
    assert found[["reader", "name", "right"]].to_numpy().tolist() == [
        ["Ada", "00.a", True],
        ["Ada", "00.b", False],
        ["Bo $x$", "00.a", False],
    ]
    picture = plots.class_answers(found)
    assert "00.a: Which? 'b': Ada; 'c': Bo $x$. Right: b." in picture.alt
    assert "00.b: Which? 'b': nobody; 'a': Ada. Right: b." in picture.alt
    assert len(picture.png()) > 1_000


def test_files_that_are_none_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"no file answers-NAME\.json"):
        collected(tmp_path)
    (tmp_path / "answers-x.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"answers-x\.json does not hold"):
        collected(tmp_path)


def test_lesson_offers_what_the_docs_name():
    assert {"predict", "quiz", "summary", "collected"} <= set(lesson.__all__)
