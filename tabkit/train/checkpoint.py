"""The file from which a training picks up: only of the same run, on the same versions."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from tabkit import store
from tabkit.data import Dataset
from tabkit.store import FileError, digest

KIND, REMEDY = "checkpoint", "delete it or name another checkpoint"


@dataclass
class Checkpoint:
    """The file of one run; without a path it keeps nothing.

    The nets must start as those of the file did, or be where it left them.
    """

    path: str | os.PathLike[str] | None
    identity: dict[str, Any]  # what must be equal for the file to belong to this run
    modules: dict[str, nn.Module]  # the nets in training
    start: dict[str, str] = field(default_factory=dict)
    seen: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self.file = None if self.path is None else Path(self.path)
        if self.file is not None:
            self.identity = json.loads(json.dumps(self.identity))  # as the file gives it back
            self.start = {name: digest_of(module) for name, module in self.modules.items()}

    def is_ours(self) -> bool:
        """Whether the file is the one that was read or written last: nobody else wrote since."""
        return self.seen == self._signature()

    def write(self, state: dict[str, Any]) -> None:
        """Keeps the nets and `state`."""
        if self.file is None:
            return
        nets = {name: module.state_dict() for name, module in self.modules.items()}
        whole = {"identity": self.identity, "start": self.start, "modules": nets, **state}
        store.write(self.file, KIND, whole)
        self.seen = self._signature()

    def read(self, device: torch.device) -> dict[str, Any] | None:
        """Sets the nets by the file and returns the rest.

        Raises
        ------
        FileError
            If it is damaged, another run's or of other versions; if it is not finished and was
            computed on another number of threads, on which its steps would differ.
        OSError
            If nothing could be kept there.
        """
        if self.file is None:
            return None
        if not self.file.exists():
            store.check_writable(self.file)
            return None
        found, made_by = store.read(self.file, KIND, REMEDY, device=device)
        self._check(found, made_by)
        for name, module in self.modules.items():
            module.load_state_dict(found["modules"][name])
        self.start, self.seen = found["start"], self._signature()
        return found

    def _check(self, found: dict[str, Any], made_by: dict[str, Any]) -> None:
        now, saved = self.identity | store.made_by(), found["identity"] | made_by
        if len(found["records"]) == self.identity["steps"]:
            saved["threads"] = now["threads"]  # nothing is left to compute
        for name, start in self.start.items():
            if digest(*found["modules"][name].values()) != start:  # it is not where it was left
                now[f"{name}'s start"], saved[f"{name}'s start"] = start, found["start"].get(name)
        changed = [key for key in now | saved if now.get(key) != saved.get(key)]
        if changed:
            there, here = (
                ", ".join(f"{key}={side.get(key)!r}" for key in changed) for side in (saved, now)
            )
            raise FileError(self.file, f"belongs to another run ({there}; now {here})", REMEDY)

    def _signature(self) -> tuple[int, int] | None:
        """Which file lies at the path, if any."""
        if self.file is None or not self.file.exists():
            return None
        stat = self.file.stat()
        return stat.st_ino, stat.st_mtime_ns


_KNOWN: WeakKeyDictionary[Dataset, tuple[list[int], str]] = WeakKeyDictionary()


def digest_of_data(data: Dataset) -> str:
    """A short digest of all that trains; taken once, and again after torch changed it in place.

    What is changed behind torch's back, by numpy or through ``.data``, is not seen.
    """
    rows = data.rows
    every = (rows.codes, rows.continuous, data.outcomes, data.signal, data.train)
    if any(tensor.is_inference() for tensor in every):  # whose changes nobody counts
        return digest(*every)
    changes = [tensor._version for tensor in every]
    if _KNOWN.get(data, ([], ""))[0] != changes:
        _KNOWN[data] = changes, digest(*every)
    return _KNOWN[data][1]


def digest_of(net: Any) -> str:
    """A short digest of a net's weights; of a plain function, its name."""
    if isinstance(net, nn.Module):
        return digest(*net.state_dict().values())
    return getattr(net, "__qualname__", type(net).__qualname__)
