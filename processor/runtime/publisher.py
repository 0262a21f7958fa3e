"""How do outcomes reach the journal, and when is a record done?

The position is the outbox cursor: only after the broker has acknowledged an outcome (and what
hangs on it: `JobFailed`, follow-ups) does the position pass its record. What a crash leaves
unpublished is published again by whoever reads the record next, from the bytes in the ledger.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import structlog

from processor.domain.dead_letter import job_failed
from processor.domain.ids import partition_of
from processor.domain.outcome import Outcome
from processor.domain.submission import trace_headers
from processor.ports.ledger import Ending
from processor.ports.log import Append, LogFailure, Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from processor.domain.topics import Topics
    from processor.ports.clock import Clock
    from processor.ports.codec import Codec
    from processor.ports.event_bus import EventRecords
    from processor.ports.log import Log
    from processor.runtime.delivery import Delivery

MOST_AT_ONCE = 500
AT_ONCE = 4
"""Appends that may be under way together; the log keeps each partition's order over them."""
PAUSE_AFTER_FAILURE = 1.0

log = structlog.get_logger(__name__)


class _Waiting(NamedTuple):
    delivery: Delivery
    body: bytes
    ending: Ending
    follow_ups: bool


class Publisher:
    """Appends outcomes in batches that form while the last one is under way."""

    def __init__(
        self,
        log_: Log,
        codec: Codec,
        clock: Clock,
        events: EventRecords,
        topics: Topics,
        partitions: int,
        on_done: Callable[[], None],
    ) -> None:
        self._log = log_
        self._codec = codec
        self._clock = clock
        self._events = events
        self._topics = topics
        self._partitions = partitions
        self._on_done = on_done
        self._queue: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._free = asyncio.Semaphore(AT_ONCE)
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def publish(self, delivery: Delivery, body: bytes, ending: Ending, *, follow_ups: bool) -> None:
        """Have an outcome published that is durable; its record is done afterwards.

        `follow_ups` says that the outcome may hold some and that they are to be sent: never for a
        record that the ledger row does not name (H34).
        """
        self._queue.append(_Waiting(delivery, body, ending, follow_ups))
        self._arrived.set()
        self._idle.clear()

    async def drained(self) -> None:
        """Return when everything handed in has been acknowledged."""
        await self._idle.wait()

    async def run(self) -> None:
        """Publish until cancelled; what is not acknowledged then is published by the next owner."""
        async with asyncio.TaskGroup() as appends:
            while True:
                await self._arrived.wait()
                await self._free.acquire()
                batch, self._queue = self._queue[:MOST_AT_ONCE], self._queue[MOST_AT_ONCE:]
                if not self._queue:
                    self._arrived.clear()
                self._under_way += 1
                appends.create_task(self._append(batch))

    async def _append(self, batch: list[_Waiting]) -> None:
        records = [record for one in batch for record in self._records(one)]
        while records:
            answers = await self._log.append(records)
            failures = [answer for answer in answers if isinstance(answer, LogFailure)]
            records = [
                record
                for record, answer in zip(records, answers, strict=True)
                if isinstance(answer, LogFailure)
            ]
            if failures:
                log.error("an outcome is not published yet", because=str(failures[0]))
                await self._clock.sleep(PAUSE_AFTER_FAILURE)
        for one in batch:
            one.delivery.done()
        self._free.release()
        self._under_way -= 1
        if not self._queue and not self._under_way:
            self._idle.set()
        self._on_done()

    def _records(self, one: _Waiting) -> list[Append]:
        delivery = one.delivery
        key = delivery.record.entity.encode()
        journal = Append(Place(self._topics.events, delivery.partition.number), key, one.body)
        if one.ending is not Ending.FAILED and not one.follow_ups:
            return [journal]
        outcome = self._codec.decode_journal(one.body)
        if not isinstance(outcome, Outcome):
            return [journal]
        records = [journal]
        # TODO(phase 5, EventBus): connect the other ends (complete, cancelled) here: an event made
        # of the outcome as `job_failed` is, its records appended beside the journal's.
        failed = job_failed(outcome)
        if failed is not None:
            records += self._events.records(failed)
        if one.follow_ups:
            records += [self._follow_up(value) for value in outcome.follow_ups]
        return records

    def _follow_up(self, value: bytes) -> Append:
        record = self._codec.decode_submission(value)
        partition = partition_of(record.entity, self._partitions)
        place = Place(self._topics.lane(record.priority), partition)
        return Append(place, record.entity.encode(), value, trace_headers(record.trace))
