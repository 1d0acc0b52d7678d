"""`Ledger`: losses that lie on the device until somebody asks."""

import torch
from torch import Tensor


class Ledger:
    """The loss of each step, written by the device, read many at once.

    Parameters
    ----------
    steps
        How many there will be.
    done
        How many there were before, of which nothing is known here.
    device, dtype
        Of the losses.
    """

    def __init__(
        self, steps: int, done: int, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self.losses = torch.zeros(steps, device=device, dtype=dtype)
        self.place = torch.full((1,), done, device=device)
        self.written, self._from, self._known = done, done, []

    def write(self, loss: Tensor) -> None:
        """On the device; `written` is counted by the host, once for each."""
        self.losses.index_copy_(0, self.place, loss.reshape(1).to(self.losses.dtype))
        self.place.add_(1)

    def loss(self, step: int) -> float:
        """The loss of a step, from 1; if it is not known yet, all that were written are read."""
        if step > self._from + len(self._known):
            self._read()
        return self._known[step - self._from - 1]

    def _read(self) -> None:
        """Waits for the device."""
        self._known += self.losses[self._from + len(self._known) : self.written].tolist()
