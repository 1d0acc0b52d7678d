"""A function of tensors at fixed places, captured once and started as a whole."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from tabkit.capture.reads import Reads
from tabkit.devices import captures


class Graph:
    """What the host starts of a function, on CUDA, as one graph; elsewhere the function itself.

    The function takes nothing and returns nothing: what it reads and writes stays where it is.
    Capturing does not run it. It must have been run before, so that what is made once is there.

    Parameters
    ----------
    generators
        Whose draws it takes: each start takes the next ones, as the function itself would.
    """

    def __init__(
        self,
        function: Callable[[], None],
        device: torch.device,
        generators: Sequence[torch.Generator] = (),
    ) -> None:
        self._start = function
        if not captures(device):
            return
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        # other threads may go on as they like
        with torch.cuda.device(device), torch.cuda.graph(graph, capture_error_mode="thread_local"):
            function()
        self._start = graph.replay

    def __call__(self) -> None:
        self._start()


def aside(function: Callable[[], None], device: torch.device) -> None:
    """Runs it as a capture will: not in the device's usual stream."""
    if not captures(device):
        return function()
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        function()
    torch.cuda.current_stream(device).wait_stream(stream)
    return None


class Repeated:
    """A function of tensors at fixed places to a number: run twice, then started as a graph.

    If it asked the device for something when it was run, it is run each time.
    """

    def __init__(self, function: Callable[[], Tensor], device: torch.device) -> None:
        self._function, self._device = function, device
        self._runs, self._reads = 0, []
        self._graph: Graph | None = None

    def __call__(self) -> Tensor:
        if self._runs < 2:  # in the first is made what is made once
            with Reads() if self._runs else nullcontext() as reads:
                aside(self._run, self._device)
            self._reads, self._runs = reads.found if reads else [], self._runs + 1
        elif self._reads:
            self._run()
        else:
            self._graph = self._graph or Graph(self._run, self._device)
            self._graph()
        return self._result.clone()

    def _run(self) -> None:
        self._result = self._function()
