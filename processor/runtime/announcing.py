"""What is shown of a job while it runs?

A job that still runs after 250 ms says *started* at once, and its progress at most once a second,
as ephemeral records of the journal: they count only until an outcome with as many runs is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from processor.domain.events import Progressed
from processor.domain.status import Live
from processor.ports.log import Append, Place

if TYPE_CHECKING:
    from processor.domain.topics import Topics
    from processor.ports.clock import Clock
    from processor.ports.codec import Codec
    from processor.ports.log import Log
    from processor.runtime.calling import Run
    from processor.runtime.delivery import Delivery
    from processor.runtime.dispatcher import Dispatcher

log = structlog.get_logger(__name__)

TICK = 0.05
SHOWN_AFTER = 250_000
"""Microseconds, like the two below."""
PROGRESS_EVERY = 1_000_000
LONG = 30_000_000
PATIENCE = 5.0
"""Seconds the journal may take: what is ephemeral is not sent twice."""


class Announcer:
    """Looks at the running attempts a few times a second."""

    def __init__(
        self, dispatcher: Dispatcher, log_: Log, codec: Codec, clock: Clock, topics: Topics
    ) -> None:
        self._dispatcher = dispatcher
        self._log = log_
        self._codec = codec
        self._clock = clock
        self._topics = topics

    async def run(self) -> None:
        """Announce until cancelled."""
        while True:
            await self._clock.sleep(TICK)
            records = self._due()
            if records:
                await self._log.append(records, PATIENCE)

    def _due(self) -> list[Append]:
        now = self._clock.now()
        records = []
        for delivery in self._dispatcher.running.values():
            run = delivery.running
            if run is not None and now - run.started.at >= SHOWN_AFTER:
                self._warn_once(run, now)
                if _news(run, now):
                    records.append(self._record(delivery, run, now))
        return records

    def _record(self, delivery: Delivery, run: Run, now: int) -> Append:
        run.told_at, run.told = now, run.progress
        progress = None if run.progress is None else Progressed(now, *run.progress)
        record = delivery.record
        live = Live(record.job, record.generation, run.started, progress)
        place = Place(self._topics.events, delivery.partition.number)
        return Append(place, record.entity.encode(), self._codec.encode_live(live))

    @staticmethod
    def _warn_once(run: Run, now: int) -> None:
        if not run.warned and now - run.started.at >= LONG:
            run.warned = True
            delivery = run.delivery
            log.warning(
                "a job runs long; its lane's position waits for it",
                job=str(delivery.record.job),
                type=delivery.record.type,
                partition=delivery.partition.number,
                lane=delivery.lane.label,
            )


def _news(run: Run, now: int) -> bool:
    if run.told_at is None:
        return True
    return run.told != run.progress and now - run.told_at >= PROGRESS_EVERY
