"""How do many follow one job, and one of them ask?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from processor.domain.errors import ProcessorError
from processor.domain.ids import JobId
from processor.domain.status import JobStatus
from processor.ports.clock import Clock
from processor.ports.ledger import Fault

SHORTEST, LONGEST = 0.1, 1.0
"""Seconds between two looks: soon after something happened, and when nothing does."""
PATIENT: Final = 1.3
"""By this the pause grows."""


class Followed:
    """One job that somebody follows, as it was last seen."""

    def __init__(self, status: JobStatus) -> None:
        self.status = status
        self.followers = 0
        self._changed = asyncio.Event()

    def put(self, status: JobStatus) -> bool:
        """Take what was seen now; whether it is new."""
        if status == self.status:
            return False
        self.status = status
        self._changed.set()
        self._changed = asyncio.Event()
        return True

    async def change(self, since: JobStatus, seconds: float) -> JobStatus:
        """The status once it is another than that, at most so many seconds later."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.status == since:
                    await self._changed.wait()
        return self.status


class Following:
    """The jobs that are followed, each looked at by one task however many follow it."""

    def __init__(self, ask: Callable[[JobId], Awaitable[JobStatus]], clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._followed: dict[JobId, tuple[Followed, asyncio.Task[None]]] = {}

    @asynccontextmanager
    async def follow(self, status: JobStatus) -> AsyncIterator[Followed]:
        """A job that is looked at while the block lasts; begins with what is known."""
        job = status.job_id
        if job not in self._followed:
            followed = Followed(status)
            self._followed[job] = followed, asyncio.create_task(self._look(job, followed))
        followed, looking = self._followed[job]
        followed.put(status)
        followed.followers += 1
        try:
            yield followed
        finally:
            followed.followers -= 1
            if not followed.followers:
                del self._followed[job]
                looking.cancel()
                await asyncio.wait({looking})

    async def _look(self, job: JobId, followed: Followed) -> None:
        pause = SHORTEST
        while True:
            await self._clock.sleep(pause)
            # Whoever does not answer now may do so the next time; what was seen stays.
            with suppress(ProcessorError, Fault):
                changed = followed.put(await self._ask(job))
                pause = SHORTEST if changed else min(PATIENT * pause, LONGEST)
