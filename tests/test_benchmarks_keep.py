"""Every kept table has a job that makes it again, picked up, and says where it comes from."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT / "benchmarks"))

import keep  # noqa: E402

from tabkit import __main__ as cli  # noqa: E402

TABLES = {name for job in keep.JOBS.values() for name in job.tables.values()}


def test_every_kept_file_is_made_by_a_job():
    assert {file.name for file in RESULTS.iterdir()} - {keep.PROVENANCE} == TABLES | {*keep.BY_HAND}


# Measured before there was `make tables`, and not yet again.
BEFORE = ("polynomial", "speed", "visits")
BEFORE += ("many_categories", "compiled")


def test_every_table_says_where_it_comes_from():
    known = json.loads((RESULTS / keep.PROVENANCE).read_text())
    jobs = {name: job for name, job in keep.JOBS.items() if name not in BEFORE}
    assert set(known) == {t for job in jobs.values() for t in job.tables.values()}
    for job in jobs.values():
        for table in job.tables.values():
            found = known[table]
            assert found["command"] == "; ".join(f"python {command}" for command in job.commands)
            assert re.fullmatch(r"[0-9a-f]{12}( [0-9a-f]{12})*", found["commit"])
            assert found["seconds"] > 0 and found["torch"] and found["cores"] > 0


@pytest.mark.parametrize("name", keep.JOBS)
def test_every_command_is_understood(name):
    for command in keep.JOBS[name].commands:
        first, *words = command.split()
        if first == "-m":
            assert words.pop(0) == "tabkit"
            cli.parser().parse_args(words)
            continue
        script = (ROOT / first).read_text()
        if "from cells import" in script:  # which has the command line of some
            script += (ROOT / "benchmarks" / "cells.py").read_text()
        for option in [word for word in words if word.startswith("--")]:
            assert f'"{option}"' in script


@pytest.fixture
def small(tmp_path, monkeypatch):
    """One job, whose script fails the first time; returns how it is called, and its results."""
    tmp_path = tmp_path / "a folder"
    tmp_path.mkdir()
    script = Path("measure.py")
    monkeypatch.setattr(keep, "ROOT", tmp_path)
    script = tmp_path / script
    script.write_text(
        "import sys, pathlib\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "tried = folder / 'tried'\n"
        "if not tried.exists():\n"
        "    tried.touch()\n"
        "    sys.exit(3)\n"
        "(folder / 'a.csv').write_text(f'runs\\n{len(list(folder.iterdir()))}\\n')\n"
    )
    job = keep.Job((f"{script.name} OUT",), {"a.csv": "kept.csv"})
    monkeypatch.setattr(keep, "JOBS", {"one": job})
    results = tmp_path / "results"
    results.mkdir()
    return ["--folder", str(tmp_path / "runs"), "--results", str(results)], results


def test_a_job_is_picked_up_kept_and_not_run_again(small, capsys):
    call, results = small
    with pytest.raises(subprocess.CalledProcessError):
        keep.main(call)
    assert not list(results.iterdir())
    first = json.loads((Path(call[1]) / "one.json").read_text())
    assert first["finished"] is False and first["seconds"] > 0
    keep.main(call)
    assert (results / "kept.csv").read_text() == "runs\n1\n"
    found = json.loads((results / keep.PROVENANCE).read_text())["kept.csv"]
    assert found["command"].endswith("measure.py OUT")
    assert {"commit", "seconds", "tabkit", "torch", "python", "machine", "cores"} < set(found)
    assert json.loads((Path(call[1]) / "one.json").read_text())["seconds"] > first["seconds"]
    keep.main([*call, "one"])
    assert "measured already" in capsys.readouterr().out
    with pytest.raises(subprocess.CalledProcessError):
        keep.main([*call, "--again"])  # from nothing, so it fails as the first time


def test_the_commit_is_that_of_the_beginning_whatever_tables_are_kept(small, monkeypatch):
    def git(*words):
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words]
        subprocess.run(command, cwd=keep.ROOT, check=True, capture_output=True)

    call, results = small
    monkeypatch.setattr(keep, "RESULTS", results)
    kept = keep.ROOT / "benchmarks" / "results" / "kept.csv"
    kept.parent.mkdir(parents=True)
    kept.write_text("runs\n0\n")
    git("init", "-q")
    git("add", "measure.py", "benchmarks")
    git("commit", "-qm", "first")
    first = keep.commit()
    assert re.fullmatch(r"[0-9a-f]{12}", first)
    with pytest.raises(subprocess.CalledProcessError):
        keep.main(call)
    git("commit", "-q", "--allow-empty", "-m", "second")
    kept.write_text("runs\n1\n")
    second = keep.commit()
    assert second != first and "+" not in second
    keep.main(call)
    found = json.loads((results / keep.PROVENANCE).read_text())["kept.csv"]
    assert found["commit"] == f"{first} {second}"
    (keep.ROOT / "measure.py").write_text("")
    assert keep.commit() == f"{second}+"


def test_a_table_that_cannot_be_kept_is_not_called_finished(small, monkeypatch):
    call, results = small
    with pytest.raises(subprocess.CalledProcessError):
        keep.main(call)
    copy = keep.shutil.copy
    monkeypatch.setattr(keep.shutil, "copy", lambda *paths: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        keep.main(call)
    monkeypatch.setattr(keep.shutil, "copy", copy)
    keep.main(call)
    assert (results / "kept.csv").exists()


def test_a_job_that_is_not_there_is_refused(small, capsys):
    with pytest.raises(SystemExit):
        keep.main([*small[0], "two"])
    assert "there is no two; there are: one" in capsys.readouterr().err
