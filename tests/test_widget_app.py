"""The dashboard, and that its errors reach the reader, without a browser."""

import html
import math
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import ipywidgets
import nbformat
import pytest
import torch
from browser.harness import free_port

from tabkit.inspection import rows as doubts
from tabkit.nets import encode_rows, logits_of
from tabkit.simplex import argmax_codes, blocks, one_hot
from tabkit.widgets import __main__ as server
from tabkit.widgets import app, serving


@pytest.fixture
def threads():
    """Puts back what catches the errors of threads."""
    before = threading.excepthook
    yield
    threading.excepthook = before


def test_a_widget_is_made_when_its_tab_is_first_opened(dataset, net1):
    net0 = app.RowPredictor(dataset.signal.shape[1], net1)
    tabs = app.dashboard(net0, net1, dataset)
    assert [len(page.children) for page in tabs.children] == [1, 0, 0, 0, 0, 0, 0]
    for number in (1, 2, 3, 4, 5, 1):
        tabs.selected_index = number
        (made,) = tabs.children[number].children
        assert made.name in dir(app.widgets)
        assert made.message.value == ""


def test_each_tab_asks_says_what_to_try_and_leads_on(dataset, net1):
    net0 = app.RowPredictor(dataset.signal.shape[1], net1)
    tabs = app.dashboard(net0, net1, dataset, steps=2)
    assert list(tabs.titles) == [*app.LESSONS]
    for number, lesson in enumerate(app.LESSONS.values()):
        assert tabs.selected_index == number
        ((made,),) = [tabs.children[number].children]
        words, *_, onward = made.side.children
        assert html.escape(lesson["question"]) in words.value
        assert words.value.count("<li>") == len(lesson["try"]) == 3
        assert tabs.titles[(number + 1) % len(tabs.titles)] in onward.description
        onward.click()
    assert tabs.selected_index == 0


def drawn(widget):
    """The picture without the ids that change from drawing to drawing."""
    return re.sub(r"\b[mp][0-9a-f]{10}\b", "", widget.picture.value)


def shown_code(page):
    """The Python that a page shows."""
    return html.unescape(re.search(r"<pre.*?>(.*)</pre>", page.value, re.DOTALL).group(1))


def test_the_gradient_tab_shows_a_gradient_that_its_code_reproduces(dataset, net1):
    net0 = app.RowPredictor(dataset.signal.shape[1], net1)
    explorer = app.gradient_of(net0, net1, dataset)
    assert "variance 0.00" not in explorer.picture.value
    for name, value in {"tau": 1.4125375446227544, "draws": 60, "row": 1, "column": 1}.items():
        explorer.controls[name].value = value
    names = {"net0": net0, "net1": net1, "data": dataset, "problem_of": app.problem_of}
    exec(shown_code(explorer.main.children[-1]), names)
    assert doubts.doubtful(net0, net1, dataset)[0] in explorer.main.children[-2].value
    again = eval(explorer.code, names | {"widgets": app.widgets})
    assert again.state == explorer.state
    assert drawn(again) == drawn(explorer)


def test_the_gradient_tab_is_exact_in_the_columns_of_most_doubt(dataset, net1, monkeypatch):
    net0 = app.RowPredictor(dataset.signal.shape[1], net1)
    cardinalities = dataset.schema.cardinalities
    monkeypatch.setattr(doubts, "JOINT_TABLE", cardinalities[0] * cardinalities[1] - 1)
    names = doubts.doubtful(net0, net1, dataset)
    logits, objective, widths, labels = doubts.problem_of(net0, net1, dataset, names)
    assert math.prod(widths) <= doubts.JOINT_TABLE
    assert [len(each) for each in labels] == list(widths)
    columns = {c.name: i for i, c in enumerate(dataset.schema.categorical)}
    signal = dataset.signal[dataset.test[:2]]
    prediction = net0(signal)
    parts = blocks(logits_of(net0, net1, prediction), cardinalities)
    doubt = [torch.distributions.Categorical(logits=b).entropy().sum().item() for b in parts]
    assert columns[names[0]] == doubt.index(max(doubt))
    torch.testing.assert_close(logits, torch.cat([parts[columns[n]] for n in names], dim=1))
    codes = argmax_codes(torch.cat(parts, dim=1), cardinalities)
    others = (argmax_codes(logits, widths) + 1) % torch.tensor(widths)
    codes[:, [columns[name] for name in names]] = others
    truth = dataset.rows[dataset.test[:2]]
    apart = net1(codes, prediction.continuous) - encode_rows(net1, truth)
    found = objective(one_hot(others, widths))
    torch.testing.assert_close(found, apart.pow(2).sum(dim=1))


def test_the_server_starts_without_what_only_its_pages_need():
    heavy = ["ipywidgets", "matplotlib", "sklearn", "joblib", "umap", "plotly"]
    code = f"import sys, tabkit.widgets.serving; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_public_name_is_loaded_when_asked_for():
    assert dir(app.widgets) == sorted(app.widgets.__all__)
    assert [getattr(app.widgets, name).__name__ for name in app.widgets.__all__] == (
        app.widgets.__all__
    )
    with pytest.raises(AttributeError, match="attribute slider"):
        app.widgets.slider  # noqa: B018


def test_the_page_says_what_its_names_are(tmp_path, threads):
    sizes = {"rows": 5_000, "encoder_steps": 2, "steps": 2}
    _, above, _, board = app.page(SimpleNamespace(), str(tmp_path), **sizes).children
    names = {}
    exec(shown_code(above), names)
    (tabs,) = board.children
    (simplex,) = tabs.children[0].children
    again = eval(simplex.code, names)
    assert drawn(again) == drawn(simplex)


def test_what_fails_to_be_made_says_why_and_is_tried_again():
    answers = iter([ValueError("not yet"), ipywidgets.Label("here")])

    def maker():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    lazy = app.Lazy(maker)
    lazy.visit()
    assert "ValueError: not yet" in lazy.children[0].value
    for _ in range(2):
        lazy.visit()
        assert lazy.children[0].value == "here"


def test_errors_of_the_start_of_callbacks_and_of_threads_are_shown(tmp_path, threads):
    (tmp_path / "net1.safetensors").write_text("no checkpoint")
    shell = SimpleNamespace()
    *_, errors, board = app.page(shell, str(tmp_path), rows=5_000).children
    assert 'role="alert"' in board.children[0].value
    try:
        raise KeyError("in a callback")
    except KeyError:
        shell.showtraceback()
    assert "in a callback" in errors.value
    raised = SimpleNamespace(exc_value=OSError("in a thread"))
    threading.excepthook(raised)
    assert "in a thread" in errors.value


def test_the_page_is_one_cell_that_makes_the_dashboard(tmp_path):
    path = server.write_page(tmp_path, tmp_path / "nets", {"rows": 10})
    (cell,) = nbformat.read(path, as_version=4).cells
    assert f"page(get_ipython(), {str(tmp_path / 'nets')!r}, **{{'rows': 10}})" in cell.source
    assert f"sys.path.insert(0, {str(Path.cwd())!r})" in cell.source


MINE = """
import tabkit
from tabkit import widgets

def nets():
    data = tabkit.planted(300, categorical=2, continuous=1)
    return None, tabkit.RowEncoder(data.schema, width=8), data

def other_columns():
    net0, net1, _ = nets()
    return net0, net1, tabkit.planted(300, categorical=3, continuous=1)

def nothing():
    return 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of the reader's own, where Python finds it."""
    (tmp_path / "mine_of_a_test.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    return "mine_of_a_test"


def test_the_readers_nets_are_in_every_tab(mine, tmp_path, threads):
    options = {"net": f"{mine}:nets", "rows": 0, "encoder_steps": 2, "steps": 2}
    _, above, errors, board = app.page(SimpleNamespace(), str(tmp_path), **options).children
    (tabs,) = board.children
    assert errors.value == ""
    tabs.selected_index = len(tabs.titles) - 1
    (own,) = tabs.children[-1].children
    assert f"{mine}:nets</b> decodes by argmax, table, first layer" in own.told.value
    assert f"net='{mine}:nets'" in shown_code(above)
    assert {path.name for path in tmp_path.glob("*.safetensors")} == {app.NET0}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", "must return .net0 or None, net1, data.*it returned int"),
        ("other_columns", "net1's cardinalities are .* those of the data"),
    ],
)
def test_what_is_no_net_of_the_readers_is_said_in_words(mine, name, words):
    with pytest.raises(ValueError, match=words):
        app.nets_of(f"{mine}:{name}")


def test_the_own_tab_says_what_a_net_lacks_and_what_follows(dataset, net1, bare):
    own = app.OwnNet({"by hand": bare, "RowEncoder": net1}, dataset)
    told = own.told.value
    rows = re.findall(
        r'<th scope="row"[^>]*>(\w+)</th><td[^>]*>(\S+)</td><td[^>]*>(\S+)</td>', told
    )
    found = {name: (bare_has, ours) for name, bare_has, ours in rows}
    assert found["cardinalities"] == ("✓", "✓")
    assert found["embedding"] == found["first_layer"] == ("no", "✓")
    assert "<b>by hand</b> decodes by argmax, search, restarts;" in told
    assert "cannot train by direct_embedding" in told


def test_the_own_tab_measures_the_first_net_aside(dataset, net1, monkeypatch):
    def recommend(*given, **_):
        asked.append(given)
        return real(
            *given[:2], 5, steps=5, rows=10, batch=32, estimators=["softmax"], progress=False
        )

    real, asked = app.compare.recommend, []
    monkeypatch.setattr(app.compare, "recommend", recommend)
    own = app.OwnNet({"mine": net1}, dataset)
    own._measure()
    assert asked == [(net1, dataset, 1.0)]
    assert "softmax" in own.result.value
    assert 'role="img"' in own.result.value
    own.net1 = None
    own._measure()
    assert 'role="alert"' in own.result.value
    assert not own.button.disabled


def test_the_net_by_hand_is_the_same_every_time_and_takes_both(dataset):
    ours, again = app.by_hand(dataset), app.by_hand(dataset)
    rows = dataset.rows[:5]
    hard = one_hot(rows.codes, dataset.schema.cardinalities)
    torch.testing.assert_close(ours(rows.codes, rows.continuous), again(hard, rows.continuous))


def test_the_command_line_trains_behind_the_readers_net_and_serves_it(mine, tmp_path, monkeypatch):
    def serve(notebook, *_, **__):
        (cell,) = nbformat.read(notebook, as_version=4).cells
        served.append(cell.source)
        kept.extend(path.name for path in notebook.parent.glob("nets/*.safetensors"))

    served, kept = [], []
    monkeypatch.setattr(serving, "serve", serve)
    monkeypatch.chdir(tmp_path)
    port = ["--port", str(free_port())]
    server.main(["--net", f"{mine}:nets", "--steps", "2", *port])
    assert f"'net': '{mine}:nets'" in served[0]
    assert kept == [app.NET0]
    assert not (tmp_path / "runs").exists()


def test_what_a_reader_can_cause_is_a_sentence_and_2(mine, tmp_path, monkeypatch, capsys):
    """That is nothing served; his own error is told with its kind, and shown if he asks."""
    monkeypatch.setattr(serving, "serve", lambda *_, **__: pytest.fail("served"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.py").write_text("def nets():\n    return {}['price']\n")
    monkeypatch.syspath_prepend(tmp_path)
    port = ["--port", str(free_port())]
    for net, said in [
        ("no_such_module:nets", "ModuleNotFoundError: No module named 'no_such_module'"),
        (f"{mine}:no_such_function", "AttributeError"),
        ("broken:nets", "broken:nets: KeyError: 'price'"),
    ]:
        assert server.main(["--net", net, *port]) == 2
        told = capsys.readouterr().err
        assert said in told
        assert "Traceback" not in told
    server.main(["--net", "broken:nets", "--debug", *port])
    assert "return {}['price']" in capsys.readouterr().err
    for options in (["--pages", "0"], ["--steps", "-5"], ["--rows", "many"], ["--ip", "here"]):
        with pytest.raises(SystemExit) as ended:
            server.main(options)
        assert ended.value.code == 2
