"""What a device can do, asked in one place: no other module compares a device's type."""

from functools import lru_cache
from importlib import import_module

import torch


def wide(device: torch.device) -> torch.dtype:
    """The widest float type of a device: Apple's MPS has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def captures(device: torch.device) -> bool:
    """Whether a training step can be captured there as one graph: on CUDA."""
    return device.type == "cuda"


def shares_memory(device: torch.device) -> bool:
    """Whether numbers can be looked at without waiting for the device: on the CPU."""
    return device.type == "cpu"


def is_gpu(device: torch.device) -> bool:
    """Whether a kernel's launch costs more than what a small one computes: on CUDA."""
    return device.type == "cuda"


@lru_cache(maxsize=8)
def has_triton(device: torch.device) -> bool:
    """Whether kernels of our own run there: on CUDA, with Triton and what it compiles with."""
    if device.type != "cuda":
        return False
    try:
        driver = import_module("triton.runtime").driver
        return driver.active.get_current_target() is not None
    except Exception:  # no Triton, no compiler, an old device: each says it in its own way
        return False


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).synchronize()
