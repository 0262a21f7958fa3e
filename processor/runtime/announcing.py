"""What is shown of a job while it runs, and what becomes of one that runs long?

A job that still runs after 250 ms says *started* at once, and its progress at most once a second,
as ephemeral records of the journal: they count only until an outcome with as many runs is there.
After 30 s it moves to the waiting room as *running*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processor.domain.events import Progressed
from processor.domain.status import Live
from processor.ports.log import Append, Place

if TYPE_CHECKING:
    from processor.domain.topics import Topics
    from processor.ports.clock import Clock
    from processor.ports.codec import Codec
    from processor.ports.log import Log
    from processor.runtime.delivery import Delivery
    from processor.runtime.dispatcher import Dispatcher
    from processor.runtime.recording import Recorder
    from processor.runtime.run import Run

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
        self,
        dispatcher: Dispatcher,
        recorder: Recorder,
        log_: Log,
        codec: Codec,
        clock: Clock,
        topics: Topics,
    ) -> None:
        self._dispatcher = dispatcher
        self._recorder = recorder
        self._log = log_
        self._codec = codec
        self._clock = clock
        self._topics = topics

    async def run(self) -> None:
        """Announce until cancelled."""
        while True:
            await self._clock.sleep(TICK)
            records = self._due()
            await self._outlast()
            if records:
                await self._log.append(records, PATIENCE)

    def _due(self) -> list[Append]:
        now = self._clock.now()
        records = []
        for delivery in self._dispatcher.attempts():
            run = delivery.running
            if run is not None and _runs_for(run, SHOWN_AFTER, now) and _news(run, now):
                records.append(self._record(delivery, run, now))
        return records

    def _record(self, delivery: Delivery, run: Run, now: int) -> Append:
        run.told_at, run.told = now, run.progress
        progress = None if run.progress is None else Progressed(now, *run.progress)
        record = delivery.record
        live = Live(record.job, record.generation, run.started, progress)
        place = Place(self._topics.events, delivery.partition.number)
        return Append(place, record.entity.encode(), self._codec.encode_live(live))

    async def _outlast(self) -> None:
        """Let rows carry the jobs that run long, so that their partitions go on."""
        now = self._clock.now()
        for delivery in list(self._dispatcher.attempts()):
            run = delivery.running
            if run is None or not _runs_for(run, LONG, now):
                continue
            if delivery.waits or not delivery.partition.open:
                continue
            opening = run.opening if run.returned else run.open()
            if opening is None:
                await self._recorder.outlast(delivery, lock=True)
            elif not opening.lock.locked():
                async with opening.lock:
                    await self._recorder.outlast(delivery, lock=opening.transaction is None)


def _runs_for(run: Run, least: int, now: int) -> bool:
    """Whether its handler was called, so long ago: what is only being parked does not run."""
    return run.called and now - run.at >= least


def _news(run: Run, now: int) -> bool:
    if run.told_at is None:
        return True
    return run.told != run.progress and now - run.told_at >= PROGRESS_EVERY
