"""Which world do the workers of a test live in?

A whole cluster in memory: topics, a database, a group, and workers that are real `WorkerRuntime`s
over the memory adapters, in one process and one virtual time. Every call of a port goes through its
worker's `hook`, where a test lets it wait, fail, or die before or after its effect.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import TypeAdapter

from processor.adapters.memory.database import MemoryDatabase
from processor.adapters.memory.membership import MemoryGroup
from processor.adapters.memory.step import onward
from processor.adapters.memory.topics import MemoryTopics
from processor.domain.ids import JobId, partition_of
from processor.domain.limits import OUTCOME_BYTES, RECORD_BYTES
from processor.domain.outcome import Outcome
from processor.domain.priority import LANES, Priority
from processor.domain.status import Live
from processor.domain.submission import SubmissionRecord
from processor.ports.codec import Codec
from processor.ports.log import Append, Place
from processor.runtime.fetching import LookAhead
from processor.runtime.handlers import Jobs
from processor.runtime.keeping import Times
from processor.runtime.telemetry import MetricsService
from processor.runtime.tracing import Tracing
from processor.runtime.world import Manner
from processor.testing.member import Member
from processor.testing.naming import CODEC, TOPICS
from processor.testing.process import Hook, task_of_a_process
from processor.testing.virtual_time import loop_of_the_test

if TYPE_CHECKING:
    from processor.adapters.memory.transactions import Lend

SHORTEST, LONGER, LONGEST = 0.01, 1.05, 0.1
"""Seconds between two looks at whether something has come, and how they grow: who waits for minutes
need not know it to the hundredth."""

TIMES = Times(session=6.0, drain=5.0)

TypeAdapter(int)  # pydantic looks for its plugins on the disk once, which a coroutine must not


@dataclass(frozen=True, slots=True)
class Acked:
    """A submission that the log has acknowledged."""

    record: SubmissionRecord
    lane: Priority
    partition: int
    offset: int

    @property
    def job(self) -> JobId:
        """Its id."""
        return self.record.job


class MemoryCluster:
    """Everything that outlives a worker, and what tests ask of it."""

    def __init__(
        self,
        jobs: Jobs,
        partitions: int = 2,
        *,
        slots: int = 8,
        look_ahead: LookAhead | None = None,
        times: Times = TIMES,
        grace: float = 0.0,
        record_bytes: int = RECORD_BYTES,
    ) -> None:
        loop = loop_of_the_test()
        loop.set_task_factory(task_of_a_process)
        self.clock = loop.clock
        self.jobs = jobs
        self.partitions = partitions
        self.record_bytes = record_bytes
        """More than this no topic takes in one record."""
        self.topics = MemoryTopics(TOPICS.every, partitions, self.clock)
        self.database = MemoryDatabase.pinned(partitions, self.clock)
        self.group = MemoryGroup(partitions)
        self.manner = Manner(
            TOPICS,
            partitions,
            "cluster",
            slots=slots,
            groups=1,  # of few jobs all that wait come together
            grace=grace,
            look_ahead=look_ahead or LookAhead(),
            times=times,
            outcome_bytes=record_bytes - RECORD_BYTES + OUTCOME_BYTES,
        )
        self.members: list[Member] = []
        self.acked: list[Acked] = []
        self.chance = random.Random(7)
        self.metrics: Callable[[str], MetricsService] = MetricsService
        self.tracing = Tracing()
        self.codec: Codec = CODEC
        self.lend: Lend | None = None
        """Begins what handlers write through, where that is not in memory."""

    def member(self, hook: Hook = onward, *, jobs: Jobs | None = None, release: str = "") -> Member:
        """A worker that has not started yet."""
        member = Member(self, f"worker-{len(self.members)}", hook, jobs or self.jobs, release)
        self.members.append(member)
        return member

    def start(self, hook: Hook = onward) -> Member:
        """A worker that has started."""
        member = self.member(hook)
        member.start()
        return member

    def submit(
        self,
        type_: str,
        entity: str | None = None,
        payload: bytes = b"null",
        lane: Priority = Priority.NORMAL,
        **fields: Any,  # noqa: ANN401 - the record's own
    ) -> JobId:
        """Append a submission, as a producer would; `fields` are those of its record."""
        job = fields.pop("job", None) or self.an_id()
        record = SubmissionRecord(
            job,
            type_,
            payload,
            entity if entity is not None else str(job),
            lane,
            self.clock.now(),
            **fields,
        )
        partition = partition_of(record.entity, self.partitions)
        offset = self.append(lane, partition, CODEC.encode_submission(record))
        self.acked.append(Acked(record, lane, partition, offset))
        return record.job

    def append(self, lane: Priority, partition: int, value: bytes) -> int:
        """Append any bytes to a lane; the offset."""
        return self.topics.append(Append(Place(TOPICS.lane(lane), partition), b"", value))

    def an_id(self) -> JobId:
        """An id that is the same in every run of the test."""
        return JobId(UUID(int=self.chance.getrandbits(128), version=4))

    async def until(self, reached: Callable[[], object], within: float = 120.0) -> None:
        """Let time pass until that is so; within so many seconds of the world's time."""
        deadline = self.clock.monotonic() + within
        step = SHORTEST
        while not reached():
            assert self.clock.monotonic() < deadline, "it did not come to that"
            await self.clock.sleep(step)
            step = min(step * LONGER, LONGEST)

    async def settled(self, within: float = 120.0) -> None:
        """Let time pass until every lane is done to its end and nothing waits."""
        await self.until(self.at_the_end, within)

    def at_the_end(self) -> bool:
        """Whether every stored position stands at the end of its lane, and no row waits."""
        return not self.database.waiting and all(
            self.database.owners[number].positions[lane] == self.end(lane, number)
            for lane in LANES
            for number in range(self.partitions)
        )

    def end(self, lane: Priority, partition: int) -> int:
        """The offset that a lane's next record will have."""
        return self.topics.partitions[Place(TOPICS.lane(lane), partition)].end

    def records(self) -> list[SubmissionRecord]:
        """What stands in the lanes, partition by partition."""
        return [
            CODEC.decode_submission(record.value or b"")
            for lane in LANES
            for number in range(self.partitions)
            for record in self.topics.partitions[Place(TOPICS.lane(lane), number)].records
        ]

    def published(self) -> list[bytes]:
        """The journal's records, partition by partition."""
        return [
            record.value or b""
            for number in range(self.partitions)
            for record in self.topics.partitions[Place(TOPICS.events, number)].whole
        ]

    def bodies(self, job: JobId) -> list[bytes]:
        """Every copy of a job's outcomes in the journal."""
        decoded = ((body, CODEC.decode_journal(body)) for body in self.published())
        return [body for body, one in decoded if isinstance(one, Outcome) and one.job == job]

    def outcome(self, job: JobId, generation: int = 1) -> Outcome:
        """A job's outcome as the ledger holds it."""
        outcome = CODEC.decode_journal(self.body(job, generation))
        assert isinstance(outcome, Outcome)
        return outcome

    def body(self, job: JobId, generation: int = 1) -> bytes:
        """The same, encoded."""
        return self.database.ledger[job, generation].body

    def lives(self, job: JobId) -> list[Live]:
        """What the journal was told of a job while it ran."""
        decoded = map(CODEC.decode_journal, self.published())
        return [one for one in decoded if isinstance(one, Live) and one.job == job]

    def job_failed(self) -> list[bytes]:
        """What subscribers of `JobFailed` were told."""
        return [
            record.value or b""
            for number in range(self.partitions)
            for record in self.topics.partitions[Place(TOPICS.failed, number)].records
        ]
