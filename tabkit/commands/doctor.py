"""What a person is asked for when something does not work: what is there, and what to do."""

import argparse
import hashlib
import os
import platform
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

import torch
from packaging.requirements import Requirement

import tabkit
from tabkit.data.tables import digest_in_card, shipped
from tabkit.extras import DISTRIBUTION

TABLES = ("flights", "adult", "bikeshare", "census")
Finding = tuple[str, str, str]  # of what; what is there; what to do, if anything
NEEDED = ("Python", "base")  # without which nothing works


def doctor_job(arguments: argparse.Namespace) -> int:
    """Look whether all that tabkit needs is there, and say what to do where it is not."""
    status = 0
    for looks in (python, packages, machine, tables, reader):
        for what, found, remedy in looks():
            status = status or int(bool(remedy) and what in NEEDED)
            said = f"{found}. {remedy}" if remedy else found
            begin = f"{'look' if remedy else 'ok':5}{what:10}"
            indents = {"initial_indent": begin, "subsequent_indent": " " * 15}
            print(textwrap.fill(said, 100, break_on_hyphens=False, **indents))  # names stay whole
    return status


def python() -> Iterator[Finding]:
    """Python and tabkit."""
    lowest = metadata(DISTRIBUTION)["Requires-Python"]
    fits = Requirement(f"python{lowest}").specifier.contains(platform.python_version())
    found = f"{platform.python_version()} ({lowest}) in {sys.prefix}"
    yield "Python", found, "" if fits else f"Take Python {lowest}."
    yield "tabkit", f"{tabkit.__version__} in {Path(tabkit.__file__).parent}", ""


def packages() -> Iterator[Finding]:
    """What tabkit is made of: found and lowest versions, of the base and of each extra."""
    every = [Requirement(text) for text in requires(DISTRIBUTION) or []]
    extras = metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    for extra in ["", *(one for one in extras if one != "all")]:
        own = [r for r in every if chosen(r, extra)]
        found, missed = [*zip(*map(installed, own), strict=True)] if own else [(), ()]
        missed = [f"'{one}'" for one in missed if one]
        remedy = f"Missing or too old: pip install {' '.join(missed)}" if missed else ""
        yield extra or "base", ", ".join(found), remedy


def chosen(requirement: Requirement, extra: str) -> bool:
    """Whether the base, or the extra and not the base, brings it."""
    marker = requirement.marker
    base = marker is None or marker.evaluate({"extra": ""})
    return base if not extra else not base and marker.evaluate({"extra": extra})


def installed(requirement: Requirement) -> tuple[str, str]:
    """What is found of a requirement, and what to install if it does not do."""
    wanted = f"{requirement.name}{requirement.specifier}"
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"no {wanted}", wanted
    fits = requirement.specifier.contains(found, prereleases=True)
    return f"{requirement.name} {found} ({requirement.specifier})", "" if fits else wanted


def machine() -> Iterator[Finding]:
    """Torch's build, devices, threads; memory, disk."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    gpus += ["mps"] * torch.backends.mps.is_available()
    built = f"{torch.__version__}, built for {torch.version.cuda or torch.version.hip or 'the CPU'}"
    yield "torch", f"{built}; devices: {', '.join(['cpu', *gpus])}", ""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    threads = torch.get_num_threads()
    fewer = f"Set OMP_NUM_THREADS={cores}: more threads than cores wait for each other."
    yield "threads", f"{threads} on {cores} cores", fewer if threads > cores else ""
    spins = os.environ.get("GOMP_SPINCOUNT") or os.environ.get("OMP_WAIT_POLICY")
    late = "" if spins or sys.platform != "linux" else "Set GOMP_SPINCOUNT=1000."
    yield "OpenMP", f"how threads wait: {spins or 'as the system likes'}", late
    free, here = shutil.disk_usage(Path.cwd()).free / 1e9, f"of {Path.cwd()}"
    try:
        tempfile.TemporaryFile(dir=Path.cwd()).close()
        yield "disk", f"{free:.1f} GB free {here}", "" if free > 1 else "Free 1 GB for runs."
    except OSError as error:
        yield "disk", f"{error.strerror} {here}", "Change to a folder where you may write."
    if hasattr(os, "sysconf"):  # not on Windows
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
        yield "memory", f"{memory:.1f} GB", "" if memory > 2 else "Take fewer rows: --rows 20000."


def tables() -> Iterator[Finding]:
    """The tables that come with tabkit are those of their cards."""
    for name in TABLES:
        try:
            file = shipped(f"data/{name}.parquet")
        except FileNotFoundError as error:
            yield name, str(error), "Install tabkit again."
            continue
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        other = digest != digest_in_card(file.name)
        yield name, f"sha256 {digest[:12]}", f"Get {file} again: its card says other." * other


def reader() -> Iterator[Finding]:
    """Where a person sees it all: a browser, Lab, the terminal."""
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), "")
    only = "" if browser else "Only the browser tests need one: apt-get install chromium."
    yield "browser", browser or "no Chromium", only
    parts = map(Requirement, ("jupyterlab>=4", "jupyterlab-widgets>=3"))
    found, missed = zip(*map(installed, parts), strict=True)
    remedy = "For widgets in Lab: pip install 'tabkit-softcodes[lab]'" if any(missed) else ""
    yield "Lab", ", ".join(found), remedy
    encoding = sys.stdout.encoding or "none"
    remedy = "" if "utf" in encoding.lower() else "Set PYTHONUTF8=1 to see all letters as they are."
    yield "terminal", encoding, remedy
