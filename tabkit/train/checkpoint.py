"""Files from which a training picks up: written whole or not at all, and only of the same run."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


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
        write_atomically(self.file, lambda path: torch.save(whole, path))
        self.seen = self._signature()

    def read(self, device: torch.device) -> dict[str, Any] | None:
        """Sets the nets by the file and returns the rest; ValueError if it is another run's."""
        if self.file is None or not self.file.exists():
            return None
        found = torch.load(self.file, map_location=device, weights_only=True)
        self._check(found)
        for name, module in self.modules.items():
            module.load_state_dict(found["modules"][name])
        self.start, self.seen = found["start"], self._signature()
        return found

    def _check(self, found: dict[str, Any]) -> None:
        now, saved = dict(self.identity), dict(found["identity"])
        for name, start in self.start.items():
            if digest(*found["modules"][name].values()) != start:  # it is not where it was left
                now[f"{name}'s start"], saved[f"{name}'s start"] = start, found["start"].get(name)
        changed = [key for key in now | saved if now.get(key) != saved.get(key)]
        if changed:
            there, here = (
                ", ".join(f"{key}={side.get(key)!r}" for key in changed) for side in (saved, now)
            )
            raise ValueError(
                f"{self.file} belongs to another run ({there}; now {here}): "
                "delete it or name another checkpoint"
            )

    def _signature(self) -> tuple[int, int] | None:
        """Which file lies at the path, if any."""
        if self.file is None or not self.file.exists():
            return None
        stat = self.file.stat()
        return stat.st_ino, stat.st_mtime_ns


def digest_of(net: Any) -> str:
    """A short digest of a net's weights; of a plain function, its name."""
    if isinstance(net, nn.Module):
        return digest(*net.state_dict().values())
    return getattr(net, "__qualname__", type(net).__qualname__)


def digest(*tensors: Tensor) -> str:
    """A short digest of the tensors' shapes and bytes."""
    found = hashlib.blake2b(digest_size=8)
    for tensor in tensors:
        found.update(str(tuple(tensor.shape)).encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Writes beside `path` and renames, so that `path` is the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
