"""The kernels of our own, which run on CUDA: interpreted on the CPU, and compiled for a GPU.

Triton comes with torch for CUDA, not for the CPU: `make kernels` brings it.
``TABKIT_KERNELS=required`` makes a missing one a failure, as in continuous integration.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def said(script, **environment):
    """What a process of its own prints."""
    if find_spec("triton") is None:
        if os.environ.get("TABKIT_KERNELS") == "required":
            pytest.fail("Triton is missing: make kernels")
        pytest.skip("Triton is not installed: make kernels")
    command = [sys.executable, "-W", "ignore", HERE / script]
    options = {"env": os.environ | environment, "capture_output": True, "text": True}
    found = subprocess.run(command, **options, check=False)
    return found.stdout or found.stderr


def test_the_kernels_are_their_formulas():
    assert said("interpreted.py", TRITON_INTERPRET="1") == "equal\n"


def test_the_kernels_compile_for_a_gpu():
    assert said("compiled.py", TRITON_INTERPRET="0") == "compiled\n"
