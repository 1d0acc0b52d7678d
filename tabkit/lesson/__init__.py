"""What the notebooks use to teach: `predict`, `check`, `claim` and `quiz`.

They say things in plain text where there is no widget, and a notebook runs top to bottom whether or
not the reader has answered anything. What is answered in a notebook is kept below ``runs/course``.
"""

from tabkit.lesson import exercises
from tabkit.lesson.checks import called, check, exercise
from tabkit.lesson.claims import ClaimFailed, claim
from tabkit.lesson.classes import collected, summary
from tabkit.lesson.comparing import Wrong, same
from tabkit.lesson.modes import SEED, kept, quick, short
from tabkit.lesson.predictions import Guess, predict
from tabkit.lesson.quizzes import quiz

__all__ = [
    "SEED",
    "ClaimFailed",
    "Guess",
    "Wrong",
    "called",
    "check",
    "claim",
    "collected",
    "exercise",
    "exercises",
    "kept",
    "predict",
    "quick",
    "quiz",
    "same",
    "short",
    "summary",
]
