"""Trainings as handles: iterate over a `Fit`, a `Step` a step, or run it under a progress bar.

A progress bar, a command line, a widget and a sweep all drive the same ones: ``for step in
fit_predictor(...)`` may stop, plot or change a temperature between steps. With a `checkpoint` a fit
is kept, also when it is abandoned or interrupted, and picks up bitwise as if it had never stopped.
"""

from tabkit.train.background import BackgroundRun
from tabkit.train.encoder import encoder_loss, fit_encoder
from tabkit.train.fit import Fit
from tabkit.train.predicting import Distances, Predicting
from tabkit.train.predictor import fit_jointly, fit_predictor
from tabkit.train.progress import Step, watch
from tabkit.train.schedules import Constant, Cosine, Exponential, Schedule, parse_schedule

__all__ = [
    "BackgroundRun",
    "Cosine",
    "Exponential",
    "Fit",
    "Schedule",
    "Step",
    "fit_encoder",
    "fit_jointly",
    "fit_predictor",
]
