"""How do outcomes reach the journal, and when is a record done?

The position is the outbox cursor: only after the broker has acknowledged an outcome (and what
hangs on it: `JobFailed`, follow-ups) does the position pass its record. What a crash leaves
unpublished is published again by whoever reads the record next, from the bytes in the ledger.
"""

from __future__ import annotations

import asyncio
import math
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import structlog

from processor.domain.dead_letter import job_failed
from processor.domain.ids import partition_of
from processor.domain.outcome import Outcome
from processor.domain.submission import trace_headers
from processor.ports.codec import Undecodable, UnknownSchema
from processor.ports.ledger import Ending
from processor.ports.log import Append, LogFailure, Place
from processor.runtime.books import until_answered
from processor.runtime.delivery import done_together
from processor.runtime.inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from processor.domain.submission import SubmissionRecord
    from processor.domain.topics import Topics
    from processor.ports.clock import Clock
    from processor.ports.codec import Codec
    from processor.ports.event_bus import EventRecords
    from processor.ports.log import Log
    from processor.ports.waiting_room import Sweeping
    from processor.runtime.delivery import Delivery

MOST_AT_ONCE = 2_000
AT_ONCE = 4
"""Appends that may be under way together; the log keeps each partition's order over them."""
ENOUGH = 1_000
"""So many are not kept waiting for more."""
GATHERING = 0.05
"""Seconds that a batch grows at most."""
ONE_BY_ONE = 200
"""Outcomes a second up to which each is appended at once."""
PAUSE_AFTER_FAILURE = 1.0

log = structlog.get_logger(__name__)


class After(Enum):
    """What an acknowledgement allows."""

    POSITION = "position"
    """The record came from a lane: its position may pass."""
    ROW = "row"
    """A row of the waiting room carried the job: it may go."""
    NOTHING = "nothing"
    """The row goes on carrying it."""


class Publication(NamedTuple):
    """An outcome to publish that is durable."""

    delivery: Delivery
    body: bytes
    ending: Ending | None
    """None for an outcome that may go on."""
    after: After
    follow_ups: bool = False
    """The outcome may hold some and they are to be sent: never for a record that the ledger row
    does not name (H34)."""


class Publisher:
    """Appends outcomes in batches that form while the last one is under way."""

    def __init__(
        self,
        log_: Log,
        codec: Codec,
        clock: Clock,
        events: EventRecords,
        sweeping: Sweeping,
        topics: Topics,
        partitions: int,
        on_done: Callable[[], None],
    ) -> None:
        self._log = log_
        self._codec = codec
        self._clock = clock
        self._events = events
        self._sweeping = sweeping
        self._topics = topics
        self._partitions = partitions
        self._journal = [Place(topics.events, number) for number in range(partitions)]
        self._on_done = on_done
        self._publications: Inbox[Publication] = Inbox()
        self._free = asyncio.Semaphore(AT_ONCE)
        self._under_way = 0
        self._taken_at = -math.inf
        self._enough = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def publish(self, publication: Publication) -> None:
        """Have an outcome published that is durable; its record is done afterwards."""
        self.publish_all((publication,))

    @property
    def is_waiting(self) -> bool:
        """Whether something handed in is not acknowledged."""
        return not self._idle.is_set()

    def publish_all(self, publications: Sequence[Publication]) -> None:
        """The same of many, at least one."""
        self._publications.add(publications)
        self._idle.clear()
        if len(self._publications) >= ENOUGH:
            self._enough.set()

    async def drained(self) -> None:
        """Return when everything handed in has been acknowledged."""
        await self._idle.wait()

    async def run(self) -> None:
        """Publish until cancelled; what is not acknowledged then is published by the next owner."""
        async with asyncio.TaskGroup() as appends:
            while True:
                await self._free.acquire()
                await self._publications.some()
                await self._gather()
                batch = self._publications.take(MOST_AT_ONCE)
                self._taken_at = asyncio.get_running_loop().time()
                self._under_way += 1
                appends.create_task(self._append(batch))

    async def _gather(self) -> None:
        """Let a batch grow while they come thick and fast: one by one they cost the broker most."""
        loop = asyncio.get_running_loop()
        waiting = len(self._publications)
        come = (loop.time() - self._taken_at) * ONE_BY_ONE
        if waiting >= ENOUGH or (not self._under_way and waiting < come):
            return
        self._enough.clear()
        patience = loop.call_later(GATHERING, self._enough.set)
        await self._enough.wait()
        patience.cancel()

    async def _append(self, batch: list[Publication]) -> None:
        batch, records = self._legible(batch)
        while records:
            answers = await self._log.append(records)
            failures = [answer for answer in answers if isinstance(answer, LogFailure)]
            if not failures:
                break
            records = [
                record
                for record, answer in zip(records, answers, strict=True)
                if isinstance(answer, LogFailure)
            ]
            log.error("an outcome is not published yet", because=str(failures[0]))
            await self._clock.sleep(PAUSE_AFTER_FAILURE)
        await self._allow(batch)
        self._free.release()
        self._under_way -= 1
        if not self._under_way and self._publications.empty:
            self._idle.set()
        self._on_done()

    async def _allow(self, batch: list[Publication]) -> None:
        done_together(one.delivery for one in batch if one.after is After.POSITION)
        rows = [
            (one.delivery.record.job, one.delivery.record.generation)
            for one in batch
            if one.after is After.ROW
        ]
        if rows:
            await until_answered(self._clock, lambda: self._sweeping.remove(rows))
        for one in batch:
            one.delivery.told = True

    def _legible(self, batch: list[Publication]) -> tuple[list[Publication], list[Append]]:
        """What can be published and its records: an outcome of a later release waits for that."""
        legible: list[Publication] = []
        records: list[Append] = []
        for one in batch:
            if one.ending is not Ending.FAILED and not one.follow_ups:
                legible.append(one)
                records.append(self._in_journal(one))
                continue
            try:
                records += self._records(one)
            except UnknownSchema as unknown:
                log.warning(
                    "an outcome waits for a release that knows its schema: deploy readers first",
                    job=str(one.delivery.record.job),
                    because=str(unknown),
                )
            else:
                legible.append(one)
        return legible, records

    def _records(self, one: Publication) -> list[Append]:
        journal = self._in_journal(one)
        outcome = self._outcome(one.body)
        if outcome is None:
            return [journal]
        records = [journal]
        # TODO(phase 5, EventBus): connect the other ends (complete, cancelled) here: an event made
        # of the outcome as `job_failed` is, its records appended beside the journal's.
        failed = job_failed(outcome, self._submission_in(outcome))
        if failed is not None:
            records += self._events.records(failed)
        if one.follow_ups:
            records += [self._follow_up(value) for value in outcome.follow_ups]
        return records

    def _in_journal(self, one: Publication) -> Append:
        delivery = one.delivery
        key = delivery.record.entity.encode()
        return Append(self._journal[delivery.partition.number], key, one.body)

    def _outcome(self, body: bytes) -> Outcome | None:
        try:
            outcome = self._codec.decode_journal(body)
        except Undecodable as error:
            if isinstance(error, UnknownSchema):
                raise
            log.warning("an outcome is corrupt: nothing but its bytes is told", because=str(error))
            return None
        return outcome if isinstance(outcome, Outcome) else None

    def _submission_in(self, failed: Outcome) -> SubmissionRecord | None:
        """None for an outcome that did not fail, or where that is what could not be decoded."""
        if failed.submission is None or not failed.is_readable:
            return None
        try:
            return self._codec.decode_submission(failed.submission)
        except Undecodable:
            return None

    def _follow_up(self, value: bytes) -> Append:
        record = self._codec.decode_submission(value)
        partition = partition_of(record.entity, self._partitions)
        place = Place(self._topics.lane(record.priority), partition)
        return Append(place, record.entity.encode(), value, trace_headers(record.trace))
