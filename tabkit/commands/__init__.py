"""The jobs of the command line."""

from tabkit.commands.comparing import backend, compare_arguments, comparison_job
from tabkit.commands.doctor import doctor_job
from tabkit.commands.own_table import apply_arguments, apply_job
from tabkit.commands.recommending import recommend_arguments, recommend_job
from tabkit.commands.running import main_job, run_arguments

COMMANDS = {
    "run": (main_job, run_arguments),
    "apply": (apply_job, apply_arguments),
    "compare": (comparison_job, compare_arguments),
    "recommend": (recommend_job, recommend_arguments),
    "doctor": (doctor_job, lambda add: None),
}

__all__ = ["COMMANDS", "backend"]
