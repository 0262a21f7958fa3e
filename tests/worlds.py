"""Which world do the workers of a test live in?

A whole cluster in memory: topics, a database, a group, and workers that are real `WorkerRuntime`s
over the memory adapters, in one process and one virtual time. Every call of a port goes through its
worker's `hook`, where a test lets it wait, fail, or die before or after its effect.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, ContextVar
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from processor.adapters.avro import AvroCodec
from processor.adapters.event_kinds import EventKinds
from processor.adapters.memory.cancelling import MemoryWakes
from processor.adapters.memory.database import MemoryDatabase
from processor.adapters.memory.holds import MemoryHolds
from processor.adapters.memory.ledger import MemoryLedger
from processor.adapters.memory.log import MemoryLog, MemoryReader
from processor.adapters.memory.membership import MemoryGroup, MemoryMembership
from processor.adapters.memory.ownership import MemoryOwnership
from processor.adapters.memory.step import onward
from processor.adapters.memory.suspects import MemorySuspects
from processor.adapters.memory.topics import MemoryTopics
from processor.adapters.memory.transactions import MemoryTransactions
from processor.adapters.memory.waiting_room import MemoryWaitingRoom
from processor.adapters.memory.workers import MemoryWorkers
from processor.domain.ids import JobId, partition_of
from processor.domain.outcome import Outcome
from processor.domain.priority import LANES, Priority
from processor.domain.status import Live
from processor.domain.submission import SubmissionRecord
from processor.domain.topics import Topics
from processor.ports.codec import Codec
from processor.ports.log import Append, Place
from processor.runtime.fetching import LookAhead
from processor.runtime.handlers import Jobs
from processor.runtime.keeping import Times
from processor.runtime.telemetry import MetricsService
from processor.runtime.tracing import Tracing
from processor.runtime.worker import WorkerRuntime
from processor.runtime.world import Manner, World
from tests.virtual_time import loop_of_the_test

TOPICS = Topics("jobs")
CODEC = AvroCodec()
TIMES = Times(session=6.0, drain=5.0)
TIMELINE = 1

TypeAdapter(int)  # pydantic looks for its plugins on the disk once, which a coroutine must not

Hook = Callable[[str], Awaitable[BaseException | None]]
_PROCESS: ContextVar[Member | None] = ContextVar("process", default=None)


def this_process() -> Member:
    """The worker in whose process this is called: for a handler that kills it."""
    member = _PROCESS.get()
    assert member is not None
    return member


class Died(BaseException):
    """The process is gone: nothing that it calls has an effect any more."""


@dataclass(frozen=True, slots=True)
class Acked:
    """A submission that the log has acknowledged."""

    record: SubmissionRecord
    lane: Priority
    partition: int
    offset: int

    @property
    def job(self) -> JobId:
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
    ) -> None:
        loop = loop_of_the_test()
        loop.set_task_factory(_task_of_a_process)
        self.clock = loop.clock
        self.jobs = jobs
        self.partitions = partitions
        self.topics = MemoryTopics(TOPICS.every, partitions, self.clock)
        self.database = MemoryDatabase.pinned(partitions, self.clock)
        self.group = MemoryGroup(partitions)
        self.manner = Manner(
            TOPICS,
            partitions,
            "cluster",
            slots=slots,
            grace=grace,
            look_ahead=look_ahead or LookAhead(),
            times=times,
        )
        self.members: list[Member] = []
        self.acked: list[Acked] = []
        self.chance = random.Random(7)
        self.metrics: Callable[[str], MetricsService] = MetricsService
        self.tracing = Tracing()
        self.codec: Codec = CODEC

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
        while not reached():
            assert self.clock.monotonic() < deadline, "it did not come to that"
            await self.clock.sleep(0.01)

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

    def published(self) -> list[bytes]:
        """The journal's records, partition by partition."""
        return [
            record.value or b""
            for number in range(self.partitions)
            for record in self.topics.partitions[Place(TOPICS.events, number)].records
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


class Member:
    """One worker's process: its adapters, its tasks, and its death."""

    def __init__(
        self, cluster: MemoryCluster, name: str, hook: Hook, jobs: Jobs, release: str
    ) -> None:
        self.cluster = cluster
        self.name = name
        self.hook = hook
        self.dead = False
        self.calls: list[str] = []
        """The names of the port calls so far."""
        self.stop = asyncio.Event()
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.running: asyncio.Task[None] | None = None
        self.timeline = TIMELINE
        self.era = 0
        clock, database, step = cluster.clock, cluster.database, self._step
        self.id = cluster.an_id()
        self.log = MemoryLog(cluster.topics, step=step)
        self.membership = MemoryMembership(cluster.group, name, clock, step=step)
        self.transactions = MemoryTransactions(database, step=step)
        world = World(
            clock=clock,
            codec=cluster.codec,
            log=self.log,
            readers=[
                MemoryReader(cluster.topics, self._places(lane), clock, step=step) for lane in LANES
            ],
            membership=self.membership,
            ownership=MemoryOwnership(database, step=step),
            workers=MemoryWorkers(database, step=step),
            suspects=MemorySuspects(database, step=step),
            ledger=MemoryLedger(database, step=step),
            room=MemoryWaitingRoom(database, step=step),
            holds=MemoryHolds(database, step=step),
            wakes=MemoryWakes(database, step=step),
            transactions=self.transactions,
            events=EventKinds(TOPICS, cluster.partitions, CODEC),
            timeline=lambda: self.timeline,
            era=lambda: self.era,
            metrics=cluster.metrics(name),
            tracing=cluster.tracing,
        )
        manner = replace(cluster.manner, worker=self.id, release=release)
        self.runtime = WorkerRuntime(jobs, world, manner)

    def start(self) -> None:
        """Begin to work; its tasks are known by their context."""
        context = Context()
        context.run(_PROCESS.set, self)
        self.running = asyncio.get_running_loop().create_task(self._live(), context=context)

    async def stopped(self) -> None:
        """Stop it as a signal would, and wait until it is out."""
        self.stop.set()
        await self.ended()

    async def ended(self) -> None:
        """Wait until it is out, within two minutes of the world's; raises what it ended with."""
        assert self.running is not None
        await asyncio.wait((self.running,), timeout=120)
        assert self.running.done(), "the worker does not end"
        self.running.result()

    def kill(self) -> None:
        """Kill -9: no call of it has an effect from now on, and its connections break."""
        self.dead = True
        self.transactions.die()
        self.cluster.group.expel(self.membership)
        for task in list(self.tasks):
            task.cancel()

    def die_in_a_call(self) -> Died:
        """Die within a port call; raised by a hook before the effect, returned by it after."""
        self.dead = True
        asyncio.get_running_loop().call_soon(self.kill)
        return Died(self.name)

    def owned(self) -> set[int]:
        """The partitions that it holds."""
        return set(self.runtime.keeper.owned)

    async def _live(self) -> None:
        try:
            async with self.membership:
                await self.runtime.run(self.stop)
        except BaseException:
            if not self.dead:
                raise

    async def _step(self, name: str) -> BaseException | None:
        self._live_or_die()
        self.calls.append(name)
        lost = await self.hook(name)
        if isinstance(lost, Died):
            return lost
        self._live_or_die()
        return lost

    def _live_or_die(self) -> None:
        if self.dead:
            raise Died(self.name)

    def _places(self, lane: Priority) -> list[Place]:
        return [Place(TOPICS.lane(lane), number) for number in range(self.cluster.partitions)]


class Gate:
    """Lets the calls of one name wait until it is opened; tells that one has come."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, name: str) -> BaseException | None:
        if name in self.names:
            self.reached.set()
            await self.open.wait()
        return await onward(name)


def _task_of_a_process(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    context: Context | None = None,
) -> asyncio.Task[Any]:
    task = asyncio.Task(coroutine, loop=loop, context=context)
    member = _PROCESS.get() if context is None else context.get(_PROCESS)
    if member is not None:
        member.tasks[task] = None
        task.add_done_callback(lambda ended: member.tasks.pop(ended, None))
        if member.dead:
            task.cancel()
    return task
