"""The exercises of the course: who judges which answer. `check` finds them by name."""

from tabkit.lesson.exercises import codes, costs, gradients, landing, predicting, readers
