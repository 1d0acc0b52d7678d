"""The kernels of our own, which run on CUDA, are their formulas: interpreted on the CPU.

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


def test_the_kernels_are_their_formulas():
    if find_spec("triton") is None:
        if os.environ.get("TABKIT_KERNELS") == "required":
            pytest.fail("Triton is missing: make kernels")
        pytest.skip("Triton is not installed: make kernels")
    found = subprocess.run(
        [sys.executable, "-W", "ignore", HERE / "interpreted.py"],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == "equal\n", found.stderr
