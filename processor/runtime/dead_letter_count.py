"""How many dead letters are open?"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from processor.ports.ledger import Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from processor.ports.clock import Clock
    from processor.ports.projection import LetterRows
    from processor.runtime.telemetry import MetricsService

LOOK_SECONDS: Final = 15.0

log = structlog.get_logger(__name__)


class DeadLetterCount:
    """Knows what `job.dlq_size` says; counts nothing before somebody has collected once."""

    def __init__(self, letters: LetterRows, clock: Clock) -> None:
        self._letters = letters
        self._clock = clock
        self._size: int | None = None
        self._wanted = False

    def size(self) -> int | None:
        """Open letters as they were last counted; None before."""
        self._wanted = True
        return self._size

    async def run(self) -> None:
        """Count again and again, once somebody wants to know, until cancelled."""
        while True:
            if self._wanted:
                try:
                    self._size = (await self._letters.size()).letters
                except Fault as fault:
                    log.info("the dead letters are not counted just now", because=str(fault))
            await self._clock.sleep(LOOK_SECONDS)


@asynccontextmanager
async def counting(
    letters: LetterRows, metrics: MetricsService, clock: Clock
) -> AsyncIterator[None]:
    """Report the open letters while the block lasts."""
    count = DeadLetterCount(letters, clock)
    metrics.watch_dead_letters(count.size)
    running = asyncio.create_task(count.run())
    try:
        yield
    finally:
        metrics.close()
        running.cancel()
        await asyncio.wait({running})
