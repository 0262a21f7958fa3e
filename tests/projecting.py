"""A line of topics with what producers and workers would have appended to them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from processor.adapters.avro.codec import AvroCodec
from processor.adapters.memory.clock import ManualClock
from processor.adapters.memory.log import MemoryLog, MemoryReader
from processor.adapters.memory.step import Step, onward
from processor.adapters.memory.topics import MemoryTopics
from processor.domain.events import (
    Completed,
    Discarded,
    Durable,
    ErrorDetail,
    Failed,
    Progressed,
    Reason,
    Retrying,
    Started,
)
from processor.domain.ids import JobId, dead_letter_id, partition_of
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.domain.status import Live
from processor.domain.submission import Caller, Replay, SubmissionRecord, Trace
from processor.domain.topics import Topics
from processor.ports.log import Append, Place
from projections.dead_letters import DeadLetterProjection
from projections.history import HistoryProjection
from projections.projector import Projector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from processor.adapters.memory.projection import MemoryProjections
    from processor.ports.log import Reader

PARTITIONS = 3
ERROR = ErrorDetail(Reason.REJECTED, "Reject", "no such gate", "app:landed:12")
FOREIGN = b"\xc3\x01not one of ours at all"


def job(number: int) -> JobId:
    return JobId(UUID(int=number))


def submission(number: int, generation: int = 1) -> SubmissionRecord:
    """Every job has an entity of its own; a later generation replays the one before."""
    replay = Replay(dead_letter_id(job(number), generation - 1), "ann", "fixed")
    return SubmissionRecord(
        job(number),
        "flight.landed",
        b'{"tail": "N123"}',
        f"N{number}",
        Priority(number % 4),
        1_700_000_000_000_000,
        generation=generation,
        tenant="acme",
        caller=Caller(user="ann"),
        trace=Trace("00-11111111111111111111111111111111-2222222222222222-01"),
        replay=replay if generation > 1 else None,
    )


def started(number: int, run: int = 1) -> Started:
    at = 1_700_000_001_000_000 + run
    return Started(at, run, run, "w1", "r1", number % PARTITIONS, Priority(number % 4))


COMPLETED = Completed(1_700_000_002_000_000, b'{"minutes":3}')
FAILED = Failed(1_700_000_002_000_000, 1, Reason.REJECTED, ERROR)
RETRYING = Retrying(1_700_000_001_500_000, 1, ERROR, 1_700_000_001_600_000)
DISCARDED = Discarded(1_700_000_003_000_000, "ann", "too old")


def outcome(
    codec: AvroCodec, number: int, *events: Durable, generation: int = 1, timeline: int = 1
) -> Outcome:
    record = submission(number, generation)
    failed = isinstance(events[-1], Failed)
    return Outcome(
        record.job,
        generation,
        timeline,
        record.type,
        record.entity,
        record.tenant,
        record.priority,
        partition_of(record.entity, PARTITIONS),
        0,
        events,
        submission=codec.encode_submission(record) if failed else None,
    )


class Line:
    """The topics of one namespace in memory."""

    def __init__(self, codec: AvroCodec | None = None) -> None:
        """`codec`: one that was made where reading the schemas may block."""
        self.clock = ManualClock()
        self.codec = codec or AvroCodec()
        self.names = Topics("jobs")
        self.topics = MemoryTopics(self.names.every, PARTITIONS, self.clock)

    def submit(self, number: int, generation: int = 1) -> None:
        record = submission(number, generation)
        value = self.codec.encode_submission(record)
        self.append(self.names.lane(record.priority), record.entity, value)

    def end(self, number: int, *events: Durable, generation: int = 1, timeline: int = 1) -> None:
        told = outcome(self.codec, number, *events, generation=generation, timeline=timeline)
        self.append(self.names.events, told.entity, self.codec.encode_outcome(told))

    def tell(self, number: int, run: int, percent: float | None = None) -> None:
        progress = None if percent is None else Progressed(1_700_000_001_000_900, percent)
        live = Live(job(number), 1, started(number, run), progress)
        self.append(self.names.events, f"N{number}", self.codec.encode_live(live))

    def append(self, topic: str, entity: str, value: bytes) -> None:
        place = Place(topic, partition_of(entity, PARTITIONS))
        self.topics.append(Append(place, entity.encode(), value))

    def values(self, topic: str) -> list[bytes]:
        """Everything that a topic holds, in any order."""
        return sorted(
            record.value or b""
            for place, partition in self.topics.partitions.items()
            if place.topic == topic
            for record in partition.records
        )

    def projectors(self, store: MemoryProjections, step: Step = onward) -> list[Projector]:
        """One projector of each projection; `step` is stepped into by log and reader."""
        return [
            Projector(
                kind(self.names, PARTITIONS, self.codec),
                readers=lambda places: self.reader(places, step),
                log=MemoryLog(self.topics, step=step),
                store=store,
                clock=self.clock,
                records=4,
            )
            for kind in (HistoryProjection, DeadLetterProjection)
        ]

    @asynccontextmanager
    async def reader(self, places: Sequence[Place], step: Step) -> AsyncIterator[Reader]:
        """Reads these places."""
        yield MemoryReader(self.topics, places, self.clock, step=step)

    def is_projected(self, store: MemoryProjections) -> bool:
        """Whether every checkpoint stands at the end of its partition."""
        read = {place: at for (_, place), at in store.checkpoints.items()}
        return all(
            read.get(place) == partition.end
            for place, partition in self.topics.partitions.items()
            if place.topic not in self.names.news
        )

    async def until(self, reached: Callable[[], bool]) -> None:
        """Let everybody act, and time pass when nobody can, until something is reached."""
        for _ in range(2_000):
            for _ in range(30):
                if reached():
                    return
                await asyncio.sleep(0)
            due = self.clock.next_due()
            self.clock.advance(due if due is not None else 0)
        raise AssertionError("it is not reached")


def a_day(line: Line) -> None:
    """One of each: complete, failed, replayed, discarded, running, retried, foreign bytes."""
    for number in range(8):
        line.submit(number)
    line.submit(0)  # a producer's second record of the same id
    line.tell(0, 1, 40.0)
    line.end(0, started(0), COMPLETED)
    line.tell(0, 1, 50.0)  # late
    line.end(1, started(1), FAILED)
    line.submit(1, 2)
    line.end(1, started(1), COMPLETED, generation=2)
    line.end(2, started(2), FAILED)
    line.end(2, DISCARDED, generation=2)
    line.end(3, started(3), FAILED)
    line.end(4, started(4), RETRYING)
    line.tell(4, 2, 10.0)
    line.end(5, started(5), FAILED, timeline=1)
    line.end(5, started(5), COMPLETED, timeline=2)
    line.append(line.names.lane(Priority.HIGH), "N1", FOREIGN)
    line.append(line.names.events, "N1", b"")
