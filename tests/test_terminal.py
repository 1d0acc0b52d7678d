"""A command ends in a sentence and an exit code, wherever it is stopped and whatever is wrong."""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys

import pytest

from tabkit import __main__ as cli
from tabkit import terminal

PYTHON = [sys.executable, "-X", "utf8=0", "-m", "tabkit"]


def raising(error):
    def job():
        raise error

    return job


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (ValueError("no such knob"), 2, "tabkit: no such knob\n"),
        (OSError(28, "No space left on device", "x.csv"), 2, "tabkit: x.csv: No space left on d"),
        (OSError(28, "No space left on device"), 2, "tabkit: No space left on device"),
        (FileExistsError("it holds another run"), 2, "tabkit: it holds another run"),
        (MemoryError(), 2, "not enough memory: take fewer rows"),
        (RuntimeError("[x.cpp] can't allocate memory: 9 bytes"), 2, "not enough memory"),
        (RuntimeError("sizes differ\nat x.cpp:3\n"), 2, "tabkit: sizes differ\n"),
        (EOFError(), 2, "tabkit: EOFError"),
        (KeyError("x"), 1, "tabkit: KeyError: 'x' (a fault of tabkit's: --debug shows where)"),
        (KeyboardInterrupt(), 130, "tabkit: interrupted; call again\n"),
        (BrokenPipeError(), 141, ""),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_what_is_raised_is_a_sentence_and_a_status(error, status, says, debug, capsys):
    given = argparse.Namespace(debug=debug, interrupted="; call again")
    assert terminal.ended(raising(error), given) == status
    said = capsys.readouterr().err
    assert says in said and bool(said) == bool(says)
    assert ("Traceback" in said) == (debug and status != 141)


def test_every_command_takes_debug(capsys):
    for command in ("run", "apply", "compare", "recommend", "doctor"):
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        assert "--debug" in capsys.readouterr().out


def test_a_ctrl_c_at_start_up_is_a_sentence():
    """While torch is imported; the first line of its import is waited for."""
    command = [sys.executable, "-v", "-m", "tabkit", "doctor"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("# code object from") and "torch" in line:
                process.send_signal(signal.SIGINT)
                break
        said = process.stderr.read()
    assert process.returncode == 130
    assert "tabkit: interrupted" in said and "Traceback" not in said


def test_what_is_not_installed_is_a_sentence_at_start_up(tmp_path):
    (tmp_path / "entmax.py").write_text("raise ModuleNotFoundError(\"No module named 'entmax'\")")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    found = subprocess.run(
        [*PYTHON, "doctor"], env=os.environ | {"PYTHONPATH": path}, capture_output=True, check=False
    )
    assert found.returncode == 1
    assert found.stderr.startswith(b"tabkit: cannot start: No module named 'entmax'. Remedy: in")


def test_it_works_where_there_is_little(tmp_path):
    """One core, no home, no UTF-8, a closed stderr; a path with a space and other letters."""
    folder = tmp_path / "ein Ort für Züge"
    folder.mkdir()
    rows = "".join(f"{'ü' if i % 3 else 'b'},{i % 7},{i % 5}\n" for i in range(60))
    (folder / "züge.csv").write_text(f"märke,power,mpg\n{rows}", encoding="utf-8")
    bare = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    bare |= {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    call = ["run", "--table", "züge.csv", "--categorical", "märke", "--continuous", "power,mpg"]
    call += ["--steps", "2", "--encoder-steps", "2", "--out", "läufe/a b"]
    found = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *one_core(), *PYTHON, *call],
        cwd=folder,
        env=bare,
        stdout=subprocess.PIPE,
        check=False,
    )
    assert found.returncode == 0, found.stdout
    assert found.stdout.isascii() and b"decoded loss" in found.stdout
    assert "märke" in (folder / "läufe" / "a b" / "report.txt").read_text("utf-8")
    assert "märke" in (folder / "läufe" / "a b" / "predicted.csv").read_text("utf-8")


def one_core():
    return ["taskset", "-c", "0"] if shutil.which("taskset") else []


def test_a_pipe_that_is_closed_is_silent():
    piped = f"{shlex.join(PYTHON)} doctor | head -1; test ${{PIPESTATUS[0]}} = 141"
    found = subprocess.run(["bash", "-c", piped], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("ok   Python")
