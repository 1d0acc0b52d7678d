"""The Python processes behind the pages: bounded in number, gone with their pages."""

import asyncio
from typing import Any
from uuid import uuid4

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager, utcnow
from tornado.web import HTTPError
from traitlets import Integer

PATIENCE = 8  # seconds for a page that was left to be gone, as when it is loaded again
FULL = "There are {} pages open, and no more fit. Close one of them, then load this page again."


class Bounded(AsyncMappingKernelManager):
    """Starts at most so many kernels; beyond that it waits a little, then says so."""

    most = Integer(config=True)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.starting = set()

    async def start_kernel(self, **options: Any) -> str:
        for _ in range(10 * PATIENCE):
            if len({*self.list_kernel_ids(), *self.starting}) < self.most:
                break
            await asyncio.sleep(0.1)
        else:
            raise HTTPError(503, FULL.format(self.most))
        name = str(uuid4())
        self.starting.add(name)  # in the same breath as the count: the next request sees it
        try:
            return await super().start_kernel(kernel_id=name, **options)
        finally:
            self.starting.remove(name)

    def track_message_type(self, message_type: str) -> bool:
        """What a kernel says does not keep it, such as how a training goes: only its page does."""
        return False

    def notify_disconnect(self, kernel_id: str) -> None:
        """From now on the page has its time to come back."""
        super().notify_disconnect(kernel_id)
        if kernel_id in self:
            self.get_kernel(kernel_id).last_activity = utcnow()

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """One that is about to start has no last activity yet."""
        if kernel_id not in self.starting:
            await super().cull_kernel_if_idle(kernel_id)

    async def end(self) -> None:
        """Kills all kernels, also those that are about to start."""
        self.most = 0
        while self.starting:
            await asyncio.sleep(0.05)
        await self.shutdown_all(now=True)
