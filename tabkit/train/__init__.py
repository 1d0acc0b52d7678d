"""The training loops: generators that yield a `Step` a step.

A progress bar, a command line, a widget and a sweep all drive the same generators: `run` drains
one under a bar; ``for step in fit_predictor(...)`` may stop, plot or change a temperature between
steps. A loop with a `checkpoint` writes it atomically, also when it is abandoned or interrupted.
From such a file it picks up: it yields the steps that were done once more, then new ones, bitwise
as if it had never stopped.
"""

from tabkit.train.background import BackgroundRun
from tabkit.train.encoder import encoder_loss, fit_encoder
from tabkit.train.loop import Step
from tabkit.train.predictor import fit_jointly, fit_predictor, predictor_loss
from tabkit.train.progress import run, watch
from tabkit.train.schedules import Constant, Cosine, Exponential, Schedule, parse_schedule

__all__ = [
    "BackgroundRun",
    "Constant",
    "Cosine",
    "Exponential",
    "Schedule",
    "Step",
    "encoder_loss",
    "fit_encoder",
    "fit_jointly",
    "fit_predictor",
    "parse_schedule",
    "predictor_loss",
    "run",
    "watch",
]
