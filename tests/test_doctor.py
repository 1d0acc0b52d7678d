"""The doctor says what is there, and what to do about what is not."""

import argparse
import os
import shutil
from importlib.metadata import PackageNotFoundError, requires, version

import pytest
import torch
from packaging.requirements import Requirement

from tabkit.commands import doctor


@pytest.fixture
def said(capsys):
    """What is said, by what it is about: ok or not, and the words."""

    def say():
        status = doctor.doctor_job(argparse.Namespace())
        lines = capsys.readouterr().out.replace("\n" + " " * 15, " ").splitlines()
        return status, {line[5:15].strip(): (line[:5].strip(), line[15:]) for line in lines}

    return say


def test_it_fits_on_a_screen_and_names_every_requirement(said, capsys):
    _, found = said()
    words = " ".join(text for _, text in found.values())
    every = map(Requirement, requires(doctor.DISTRIBUTION))
    assert all(one.name in words for one in every if one.name != doctor.DISTRIBUTION)
    assert {"Python", "tabkit", "base", "torch", "threads", "disk", "flights", "Lab"} <= {*found}
    doctor.doctor_job(argparse.Namespace())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 45
    assert not any(line.endswith("-") for line in lines)  # a name is found as it is written


@pytest.mark.parametrize(("name", "line", "status"), [("entmax", "base", 1), ("voila", "lab", 0)])
@pytest.mark.parametrize("old", [False, True])
def test_what_is_missing_or_old_is_named_and_only_the_base_is_an_error(
    name, line, status, old, said, monkeypatch
):
    def changed(asked):
        if asked == name and not old:
            raise PackageNotFoundError
        return "0.0.1" if asked == name else version(asked)

    monkeypatch.setattr(doctor, "version", changed)
    returned, found = said()
    assert returned == status
    how, words = found[line]
    assert how == "look"
    assert f"'{name}>=" in words and "pip install" in words


def test_what_is_wrong_with_the_machine_comes_with_what_to_do(said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 999)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setattr(doctor.sys, "platform", "linux")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
    status, found = said()
    assert status == 0
    for what, remedy in {
        "threads": "Set OMP_NUM_THREADS=1",
        "OpenMP": "Set GOMP_SPINCOUNT=1000",
        "disk": "Free 1 GB",
        "browser": "apt-get install chromium",
    }.items():
        assert found[what][0] == "look" and remedy in found[what][1]


def test_a_folder_that_cannot_be_written_is_said(said, monkeypatch):
    def refused(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refused)
    how, words = said()[1]["disk"]
    assert how == "look" and "Change to a folder" in words


def test_a_table_that_is_not_that_of_its_card_is_said(said, monkeypatch, tmp_path):
    real = doctor.shipped
    (tmp_path / "flights.parquet").touch()
    monkeypatch.setattr(
        doctor, "shipped", lambda p: tmp_path / p[5:] if "flights" in p else real(p)
    )
    found = said()[1]
    assert found["flights"][0] == "look" and "Get" in found["flights"][1]
    assert found["adult"][0] == "ok"
