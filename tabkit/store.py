"""The one writer and the one reader of what is kept: whole, sealed by a digest, and never code.

A file is JSON or, where its content holds tensors, safetensors with that JSON in the header. Its
seal is a BLAKE2 digest (Aumasson et al. 2013) of all its bytes, taken with zeros where it stands.
"""

import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import safetensors
import torch
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from tabkit.extras import DISTRIBUTION
from tabkit.schema.saving import unique_keys

FORMAT = 1
VERSION = version(DISTRIBUTION)
SEAL = re.compile(rb'"digest": ?"([0-9a-f]{32})"')  # as a string's content its quotes were escaped
UNSEALED = "0" * 32
TENSOR = "tensor:"  # a string that begins so stands for one, by its name; others get a second colon
PARTIAL = ".tabkit-"  # so begins the name of what is being written; it says by whom
OLD = 24 * 3600  # seconds after which nobody writes on a file any more
DAMAGES = (ValueError, LookupError, TypeError, RecursionError, safetensors.SafetensorError)


class FileError(ValueError):
    """A kept file that cannot be taken up: which, why, and what to do.

    Examples
    --------
    >>> print(FileError(Path("net1.safetensors"), "is damaged", "delete it"))
    net1.safetensors is damaged. Remedy: delete it
    """

    def __init__(self, file: Path, problem: str, remedy: str) -> None:
        super().__init__(file, problem, remedy)
        self.file, self.problem, self.remedy = file, problem, remedy

    def __str__(self) -> str:
        return f"{self.file} {self.problem}. Remedy: {self.remedy}"


def made_by() -> dict[str, str | int]:
    """What can change a result's last bits: versions, and how many threads torch computes on."""
    versions = {"tabkit": VERSION, "torch": torch.__version__}
    return versions | {"threads": torch.get_num_threads()}


def write(file: Path, kind: str, content: Mapping[str, Any]) -> None:
    """Keeps `content`: mappings, lists and tuples of numbers, strings, None and tensors.

    What lies in the file is the old content or the whole new one, whenever it is interrupted.

    Raises
    ------
    TypeError
        If something in it is none of these.
    OSError
        If it cannot be written; then the old content stays.
    """
    tensors: dict[str, Tensor] = {}
    envelope = {"digest": UNSEALED, "kind": kind, "format": FORMAT, "made_by": made_by()}
    envelope |= {"content": _plain(content, tensors)}
    text = json.dumps(envelope, indent=None if tensors else 1)  # which takes four times as long
    if tensors:
        about = {"digest": UNSEALED, "tabkit": text.replace(UNSEALED, "", 1)}
        whole = to_bytes(tensors, about)
    else:
        whole = text.encode()
    start, stop = SEAL.search(whole).span(1)
    sealed = whole[:start] + _digest(whole).encode() + whole[stop:]
    write_whole(file, lambda partial: partial.write_bytes(sealed))


def read(
    file: Path, kind: str, remedy: str = "delete it", *, device: torch.device | str = "cpu"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The content of a file, its tensors on a device, and what it was `made_by`.

    Tuples come back as lists, and the keys of mappings as strings.

    Raises
    ------
    FileNotFoundError
        If there is none.
    FileError
        If it is damaged, of another kind or of another format; it names the `remedy`.
    """
    whole = file.read_bytes()
    try:
        seal = SEAL.search(whole)
        if seal is None:
            raise FileError(file, f"is no {kind} that tabkit {VERSION} wrote", remedy)
        blank = whole[: seal.start(1)] + UNSEALED.encode() + whole[seal.end(1) :]
        if _digest(blank) != seal.group(1).decode():
            raise FileError(file, "is damaged: its digest is another", remedy)
        tensors, text = {}, whole
        if not whole.startswith(b"{\n"):
            tensors = from_bytes(whole)
            size = int.from_bytes(whole[:8], "little")
            text = json.loads(whole[8 : 8 + size])["__metadata__"]["tabkit"]
        found = json.loads(text, object_pairs_hook=unique_keys)
        for key, here in {"kind": kind, "format": FORMAT}.items():
            if found[key] != here:
                raise FileError(file, f"has {key} {found[key]!r}, not {here!r}", remedy)
        content = _rebuilt(found["content"], {n: t.to(device) for n, t in tensors.items()})
        return dict(content), dict(found["made_by"])
    except FileError:
        raise
    except DAMAGES as error:
        raise FileError(file, f"is damaged: {' '.join(str(error).split())}", remedy) from error


def write_whole(file: Path, fill: Callable[[Path], object], *, keep: bool = True) -> None:
    """Fills a file beside `file` and renames it, so that `file` is the old one or the whole new.

    Not to `keep` it shows whether it could be. What is no file (a pipe, a terminal) is filled.
    Raises OSError, which names `file`, if that fails.
    """
    place = Path(os.path.realpath(file))  # a link goes on leading there
    try:
        if place.exists() and not place.is_file():
            fill(place)
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        _sweep(place.parent)
        ending = "".join(place.suffixes[-2:])  # by which pandas knows what to write
        partial = place.with_name(f"{PARTIAL}{_host()}-{os.getpid()}-{uuid4().hex}{ending}")
        try:
            fill(partial)
            with partial.open("rb+") as written:
                os.fsync(written.fileno())
            if keep:
                partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise type(error)(error.errno, error.strerror or str(error), str(file)) from error


def write_table(frame: pd.DataFrame, file: Path, **options: Any) -> None:
    """A frame as CSV, whole or not at all; `options` are those of its ``to_csv``."""
    write_whole(file, lambda partial: frame.to_csv(partial, **options))


def check_writable(file: Path) -> None:
    """Raises OSError, which names `file`, where nothing could be kept: before any work is done."""
    write_whole(file, lambda partial: partial.touch(), keep=False)


def digest(*tensors: Tensor) -> str:
    """A short digest of the tensors' shapes and bytes."""
    found = hashlib.blake2b(digest_size=8)
    for tensor in tensors:
        found.update(str(tuple(tensor.shape)).encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def _digest(whole: bytes) -> str:
    return hashlib.blake2b(whole, digest_size=16).hexdigest()


def _plain(value: Any, tensors: dict[str, Tensor]) -> Any:
    """What JSON holds, with the tensors put aside."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous().clone()  # several may share memory
        return TENSOR + name
    if isinstance(value, str) and value.startswith(TENSOR):
        return TENSOR + value.removeprefix("tensor")
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, tensors) for key, inner in value.items()}
    return [_plain(inner, tensors) for inner in value] if _several(value) else value


def _rebuilt(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, str) and value.startswith(TENSOR):
        name = value.removeprefix(TENSOR)
        return "tensor" + name if name.startswith(":") else tensors[name]
    if isinstance(value, dict):
        return {key: _rebuilt(inner, tensors) for key, inner in value.items()}
    return [_rebuilt(inner, tensors) for inner in value] if _several(value) else value


def _several(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _host() -> str:
    return hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()


def _sweep(folder: Path) -> None:
    """Removes what writers left that were killed: those of this machine, and what is a day old."""
    for partial in folder.glob(f"{PARTIAL}*-*-*"):
        _, host, pid, _ = partial.name.split("-", 3)
        try:
            gone = host == _host() and pid.isdecimal() and not _lives(int(pid))
            if gone or time.time() - partial.stat().st_mtime > OLD:
                partial.unlink(missing_ok=True)
        except FileNotFoundError:  # its writer has renamed it, or another swept it
            continue


def _lives(process: int) -> bool:
    """Whether there is a process of this number, as far as that can be asked harmlessly."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
