"""Training steps as one CUDA graph: the launches and the waiting of a step are paid once.

On a GPU a step is a hundred kernels of a few microseconds each, and the host needs longer to start
them than they take. A captured step is started as a whole. That asks for three things, which are
kept here: nothing in the step reads the device (`Reads` watches), what changes from step to step
lies in tensors at fixed places (`Steps`), and Adam takes its rates from there, too (`update`).
"""

from tabkit.capture.adam import update
from tabkit.capture.graph import Graph, Repeated
from tabkit.capture.ledger import Ledger
from tabkit.capture.reads import Reads
from tabkit.capture.steps import TYPES, Steps

__all__ = ["TYPES", "Graph", "Ledger", "Reads", "Repeated", "Steps", "update"]
