"""Torch's threads sleep while they wait: else two torch programs on the same cores stall.

GNU OpenMP, which torch uses on Linux, lets a waiting thread spin 300,000 times before it sleeps. As
long as it spins it holds a core, and where another program wants the cores as well that is the core
that the others need to get there: both programs take many times as long. After 1,000 spins they
take less than twice as long, as two programs on the same cores may.

The library reads GOMP_SPINCOUNT when torch is loaded. So this module comes before torch, and what
the environment says already is left as it is.
"""

import logging
import os
import sys

SPINS = "1000"
LATE = (
    "other programs want the cores that torch's threads wait on by spinning, so that all of them "
    f"stall: set GOMP_SPINCOUNT={SPINS} before Python starts, or import tabkit before torch"
)


def settle() -> None:
    """Lets threads sleep, or says why it is too late for it where that matters."""
    chosen = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys()
    if chosen or not sys.platform.startswith("linux"):
        return
    if "torch" not in sys.modules:
        os.environ["GOMP_SPINCOUNT"] = SPINS
    elif crowded(sys.modules["torch"].get_num_threads()):
        logging.getLogger("tabkit").warning(LATE)


def crowded(threads: int) -> bool:
    """Over the last minute, too few cores were free for these threads."""
    free = len(os.sched_getaffinity(0)) - os.getloadavg()[0]
    return threads > 1 and free < threads - 0.5


settle()
