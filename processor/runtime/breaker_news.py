"""How do subscribers hear of breakers?

The hold's row remembers what they were told: whoever dies between the row and the broker's
acknowledgement leaves it to the others, who look now and then. So each change is told at least
once, and its copies bear one `event_id`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from processor.ports.ledger import Fault
from processor.ports.log import LogFailure

if TYPE_CHECKING:
    from processor.ports.clock import Clock
    from processor.ports.event_bus import EventRecords
    from processor.ports.holds import BreakerNews
    from processor.ports.log import Log

LOOK_EVERY: Final = 10.0
AT_ONCE: Final = 100
PATIENCE: Final = 10.0
"""Seconds the broker may take; then it is told again."""

log = structlog.get_logger(__name__)


class BreakerTeller:
    """Publishes what subscribers were not told."""

    def __init__(self, news: BreakerNews, log_: Log, events: EventRecords, clock: Clock) -> None:
        self._news = news
        self._log = log_
        self._events = events
        self._clock = clock
        self._soon = asyncio.Event()

    def tell_soon(self) -> None:
        """This worker has changed something."""
        self._soon.set()

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            self._soon.clear()
            try:
                await self._tell()
            except (Fault, LogFailure) as failure:
                log.warning("subscribers are not told of a breaker yet", because=str(failure))
            pause = asyncio.ensure_future(self._clock.sleep(LOOK_EVERY))
            soon = asyncio.ensure_future(self._soon.wait())
            try:
                await asyncio.wait((pause, soon), return_when=asyncio.FIRST_COMPLETED)
            finally:
                pause.cancel()
                soon.cancel()

    async def _tell(self) -> None:
        while news := await self._news.untold(AT_ONCE):
            records = [record for one in news for record in self._events.records(one)]
            for answer in await self._log.append(records, PATIENCE):
                if isinstance(answer, LogFailure):
                    raise answer
            await self._news.told(news)
