"""What is kept is whole, sealed, and told apart; whoever is killed leaves nothing for long."""

import errno
import os
import re
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest
import torch

from tabkit import store
from tabkit.data.nycflights import FLIGHTS
from tabkit.data.tables import ADULT, BIKESHARE, CENSUS, digest_in_card

WITH_TENSORS = {
    "nets": {"a": torch.arange(6.0).view(2, 3).T, "b": torch.tensor(3, dtype=torch.int64)},
    "draws": torch.ones(4, dtype=torch.uint8),
    "empty": torch.zeros(0, 3),
    "loss": [0.1, float("inf"), None, True],
    "words": ["tensor:0", "tensor::1", '"digest": "' + "0" * 32 + '"', "é\n\udcff"],
}
PLAIN = {"steps": 3, "words": WITH_TENSORS["words"], "nested": {"1": [{"x": 1e-300}]}}


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("content", [WITH_TENSORS, PLAIN, {}], ids=["tensors", "plain", "empty"])
def test_what_is_read_is_what_was_written(content, tmp_path):
    file = tmp_path / "new" / "kept"
    store.write(file, "thing", content)
    found, made_by = store.read(file, "thing")
    assert same(content, found)
    assert made_by == store.made_by()
    assert [path.name for path in file.parent.iterdir()] == ["kept"]


@pytest.mark.parametrize("content", [WITH_TENSORS, PLAIN], ids=["tensors", "plain"])
def test_no_flipped_bit_and_no_cut_is_accepted_with_other_content(content, tmp_path):
    file = tmp_path / "kept"
    store.write(file, "thing", content)
    whole, draw = file.read_bytes(), torch.Generator().manual_seed(0)
    for place in torch.randint(len(whole), (60,), generator=draw).tolist():
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        for damaged in (bytes(flipped), whole[:place], whole + whole[: place + 1]):
            file.write_bytes(damaged)
            with pytest.raises(store.FileError, match=r"kept is .*Remedy: delete it"):
                store.read(file, "thing")


def sealed_again(whole):
    """Whose digest is right: as a stranger could make it."""
    start, stop = store.SEAL.search(whole).span(1)
    blank = whole[:start] + store.UNSEALED.encode() + whole[stop:]
    return whole[:start] + store._digest(blank).encode() + whole[stop:]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b'"format": 1', b'"format": 2', "has format 2, not 1"),
        (b'"steps": 3', b'"steps": 3, "steps": 4', "'steps' is there twice"),
        (b'"steps": 3', b'"steps": "tensor:7"', "is damaged: '7'"),
        (b'"content"', b'"contents"', "is damaged: 'content'"),
        (b'"steps": 3', b'"steps": ' + b"[" * 100_000 + b"]" * 100_000, "is damaged"),
        (b'"steps": 3', b'"steps": {', "is damaged"),
    ],
    ids=["format", "twice", "no such tensor", "no content", "deep", "no JSON"],
)
def test_a_sealed_file_of_a_stranger_is_refused_in_words(old, new, told, tmp_path):
    file = tmp_path / "kept"
    store.write(file, "thing", PLAIN)
    file.write_bytes(sealed_again(file.read_bytes().replace(old, new)))
    with pytest.raises(store.FileError, match=re.escape(told)):
        store.read(file, "thing")


def test_another_kind_and_what_nobody_wrote_are_refused(tmp_path):
    file = tmp_path / "kept"
    store.write(file, "thing", PLAIN)
    with pytest.raises(store.FileError, match=r"has kind 'thing', not 'run'\. Remedy: try"):
        store.read(file, "run", "try another")
    for foreign in (b"", b"{}", b'{"digest": 1}', os.urandom(999)):
        file.write_bytes(foreign)
        with pytest.raises(store.FileError, match="is no run that tabkit"):
            store.read(file, "run")
    with pytest.raises(FileNotFoundError):
        store.read(tmp_path / "nothing", "run")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "kept"
    file.write_text("old")

    def fail(path):
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*kept'"):
        store.write_whole(file, fail)
    with pytest.raises(TypeError, match="not JSON serializable"):
        store.write(file, "thing", {"x": object()})
    store.check_writable(file)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert file.read_text() == "old"


def test_where_nothing_can_be_kept_is_said_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"'.*inside'"):
        store.check_writable(tmp_path / "file" / "inside")


def test_threads_that_write_the_same_file_do_not_meet(tmp_path):
    file, failed = tmp_path / "kept", []

    def write(number):
        try:
            for _ in range(20):
                store.write(file, "thing", {"x": torch.full((1000,), float(number))})
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert store.read(file, "thing")[0]["x"].unique().numel() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_what_a_killed_writer_left_goes_with_the_next_write_and_what_is_written_stays(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = {
        "killed": f"{store.PARTIAL}{store._host()}-{ended.pid}-1.csv",
        "at work": f"{store.PARTIAL}{store._host()}-{os.getpid()}-2",
        "elsewhere": f"{store.PARTIAL}other-{ended.pid}-3",
        "long ago": f"{store.PARTIAL}other-{ended.pid}-4",
    }
    for name in names.values():
        (tmp_path / name).touch()
    old = time.time() - 2 * store.OLD
    os.utime(tmp_path / names["long ago"], (old, old))
    store.write(tmp_path / "kept", "thing", {})
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"kept", names["at work"], names["elsewhere"]}


def test_a_link_goes_on_leading_there_and_a_pipe_is_written_to(tmp_path):
    real, link, pipe = tmp_path / "real", tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(real)
    store.write(link, "thing", PLAIN)
    assert link.is_symlink()
    assert same(store.read(real, "thing")[0], PLAIN)
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    store.write_table(pd.DataFrame({"a": [1]}), pipe, index=False)
    assert reader.communicate()[0] == b"a\n1\n"


def test_a_table_is_packed_as_its_name_says(tmp_path):
    file = tmp_path / "rows.csv.gz"
    store.write_table(pd.DataFrame({"a": [1, 2]}), file, index=False)
    assert file.read_bytes()[:2] == b"\x1f\x8b"
    assert pd.read_csv(file)["a"].tolist() == [1, 2]


@pytest.mark.parametrize("table", [ADULT, BIKESHARE, CENSUS, FLIGHTS], ids=lambda t: t.name)
def test_a_shipped_table_is_the_one_of_its_card(table, tmp_path, monkeypatch):
    from tabkit.data import tables

    damaged = bytearray(tables.shipped(f"data/{table.name}.parquet").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file = tmp_path / f"{table.name}.parquet"
    file.write_bytes(damaged)
    real = tables.shipped
    monkeypatch.setattr(tables, "shipped", lambda p: real(p) if p.endswith(".md") else file)
    assert re.fullmatch("[0-9a-f]{64}", digest_in_card(file.name))
    with pytest.raises(store.FileError, match=r"is damaged.*git checkout data"):
        table.read()
