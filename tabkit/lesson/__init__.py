"""What the notebooks use to teach: `predict`, `check` and `claim`.

They print plain text and keep no state but what they return, so that a notebook runs top to
bottom whether or not the reader has filled in anything.
"""

from tabkit.lesson import exercises
from tabkit.lesson.checks import called, check, exercise
from tabkit.lesson.claims import ClaimFailed, claim
from tabkit.lesson.comparing import Wrong, same
from tabkit.lesson.modes import SEED, kept, quick, short
from tabkit.lesson.predictions import Guess, predict

__all__ = [
    "SEED",
    "ClaimFailed",
    "Guess",
    "Wrong",
    "called",
    "check",
    "claim",
    "exercise",
    "exercises",
    "kept",
    "predict",
    "quick",
    "same",
    "short",
]
