"""What becomes of jobs from submission to end, in memory and in no time?"""

from __future__ import annotations

from contextlib import AsyncExitStack, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any, Final, Self, overload

from processor.adapters.memory.holds import MemoryHolds
from processor.adapters.memory.log import MemoryLog, MemoryReader
from processor.adapters.memory.step import onward
from processor.domain.instants import date_of
from processor.ports.holds import HoldKind
from processor.runtime.client import RESULT_TIMEOUT
from processor.runtime.holding import READ_EVERY
from processor.runtime.submission import Submission
from processor.testing.cluster import TIMES
from processor.testing.naming import CODEC, TOPICS
from processor.testing.operated import OperatedCluster
from processor.testing.own_database import NoDatabase, OwnDatabase
from processor.testing.unsettled import Unsettled
from processor.testing.virtual_time import StandstillError, loop_of_the_test
from projections.dead_letters import DeadLetterProjection
from projections.history import HistoryProjection
from projections.projector import Projector
from projections.queries import DeadLetter

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable, Sequence
    from types import TracebackType
    from uuid import UUID

    from processor.adapters.memory.transactions import Lend
    from processor.adapters.postgres.sessions import Sessions
    from processor.bootstrap.producing import Client
    from processor.domain.ids import JobId
    from processor.domain.priority import Priority
    from processor.domain.status import JobStatus
    from processor.ports.log import Place
    from processor.runtime.cancelling import Cancellation
    from processor.runtime.handlers import Jobs
    from processor.testing.process import Hook

DAY: Final = 24 * 3_600_000_000
PARTITIONS: Final = 2
HANDLER_GRACE: Final = 24 * 3600.0
WITHIN: Final = 6 * 3600.0
"""Seconds of the harness's own time in which everything that can run must have ended."""
LOOKS: Final = 40
"""After so many with the same answer only a handler's own timer changes anything."""


class Harness:
    """A cluster in memory, `async with`: a worker, the projections and a client, in virtual time.

    Needs a loop whose time is virtual, as `in_virtual_time` gives a test. Time passes only as far
    as running handlers need it, and by `advance`; it is the time of `asyncio.sleep` too.
    """

    def __init__(
        self,
        jobs: Jobs,
        *,
        sessions: Sessions | None = None,
        handler_grace: float = HANDLER_GRACE,
    ) -> None:
        """`sessions`: the application's sessionmaker, bound to an engine of the test's own.

        It is called as `Worker` does; `request.connection()` is the connection of that engine.
        `handler_grace`: seconds that a job waits for a handler of its type.
        """
        self._jobs = jobs
        self._sessions = sessions
        self._grace = handler_grace
        self._hook: Hook = onward
        self._held = AsyncExitStack()
        self.client: Client
        """As an application has it: it submits, asks, operates, and subscribes to events."""

    async def __aenter__(self) -> Self:
        self._loop = loop_of_the_test()
        # Time that a test lets pass at once is no standstill of its loop.
        times = replace(TIMES, lag=inf)
        self._cluster = cluster = OperatedCluster(
            self._jobs, PARTITIONS, grace=self._grace, times=times
        )
        self._holds = MemoryHolds(cluster.database)
        self._no_database = NoDatabase()
        self.client = cluster.a_client()
        projections = (
            HistoryProjection(TOPICS, PARTITIONS, CODEC),
            DeadLetterProjection(TOPICS, PARTITIONS, CODEC),
        )
        self._unsettled = Unsettled(cluster, projections)
        async with AsyncExitStack() as held:
            cluster.lend = self._lender(held)
            for projection in projections:
                await held.enter_async_context(
                    Projector(
                        projection,
                        readers=self._reader,
                        log=MemoryLog(cluster.topics),
                        store=cluster.projections,
                        clock=cluster.clock,
                    )
                )
            self._worker = cluster.start(self._hook)
            held.push_async_callback(self._stop)
            await self.settled()
            self._held = held.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._held.__aexit__(kind, error, traceback)

    @property
    def now(self) -> datetime:
        """What time it is: for a `not_before`."""
        return date_of(self._cluster.clock.now())

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """The open dead letters, in the order of death, as far as things are settled."""
        open_ = self._cluster.projections.open_letters()
        rows = sorted(open_, key=lambda row: row.died_at or 0)
        return [
            DeadLetter(CODEC.decode_dead_letter(row.body), row.closed)
            for row in rows
            if row.body is not None
        ]

    async def settled(self) -> None:
        """Return when everything that can run now has ended, and is told in every status.

        What waits for a time, a handler or an operator goes on waiting. Raises `StandstillError`
        with what goes on where there is no end to it.
        """
        clock = self._cluster.clock
        deadline = clock.monotonic() + WITHIN
        looks, before = 0, ""
        while (why := await self._unsettled_now()) is not None:
            if clock.monotonic() > deadline:
                raise StandstillError(f"not settled after {WITHIN:,.0f} s: {why}")
            looks, before = looks + 1 if why == before else 0, why
            await self._loop.jump(self._seconds_to(clock.now() + DAY) if looks > LOOKS else None)

    async def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
    ) -> None:
        """Let time pass; each thing that falls due meanwhile has settled before the next one."""
        wanted = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        clock = self._cluster.clock
        until = clock.now() + wanted // timedelta(microseconds=1)
        await self.settled()
        while clock.now() < until:
            clock.advance(self._seconds_to(until))
            await self.settled()

    @overload
    async def submit(
        self,
        submissions: Submission,
        *,
        priority: Priority | None = None,
        batch: UUID | None = None,
    ) -> JobId: ...

    @overload
    async def submit(
        self,
        submissions: Iterable[Submission] | AsyncIterable[Submission],
        *,
        priority: Priority | None = None,
        batch: UUID | None = None,
    ) -> list[JobId]: ...

    async def submit(
        self,
        submissions: Submission | Iterable[Submission] | AsyncIterable[Submission],
        *,
        priority: Priority | None = None,
        batch: UUID | None = None,
    ) -> JobId | list[JobId]:
        """See `Client.submit`."""
        if isinstance(submissions, Submission):
            return await self.client.submit(submissions, priority=priority, batch=batch)
        return await self.client.submit(submissions, priority=priority, batch=batch)

    async def status(self, job_id: JobId) -> JobStatus:
        """See `Client.status`."""
        return await self.client.status(job_id)

    async def result(self, job_id: JobId, timeout: float = RESULT_TIMEOUT) -> Any:  # noqa: ANN401 - whatever the handler returned
        """See `Client.result`; `timeout` is of the harness's own time."""
        return await self.client.result(job_id, timeout)

    async def cancel(self, job_id: JobId, *, by: str = "", because: str = "") -> Cancellation:
        """See `Client.cancel`."""
        return await self.client.cancel(job_id, by=by, because=because)

    async def replay(self, dead_letter_id: UUID, *, by: str = "", because: str = "") -> JobId:
        """See `Client.replay`."""
        return await self.client.replay(dead_letter_id, by=by, because=because)

    async def hold(self, kind: HoldKind | str, value: str, *, because: str = "") -> None:
        """Keep a type, an entity, a tenant or a lane from running, as `processor hold` does.

        Returns when the worker knows it, a second later.
        """
        await self._holds.hold(HoldKind(kind), value, "test", because)
        await self._cluster.clock.sleep(READ_EVERY)

    async def release(self, kind: HoldKind | str, value: str) -> bool:
        """End a hold; False where there is none."""
        return await self._holds.release((HoldKind(kind), value), "test", "")

    def _lender(self, held: AsyncExitStack) -> Lend:
        """What begins the transactions that handlers ask for."""
        if self._sessions is None:
            return self._no_database.lend
        return held.enter_context(OwnDatabase(self._sessions, self._loop)).lend

    async def _stop(self) -> None:
        await self._worker.stopped()

    async def _unsettled_now(self) -> str | None:
        await self._loop.stillness()
        if self._worker.dead:
            self._worker = self._cluster.start()
        running = self._worker.running
        if running is not None and running.done():
            running.result()
        if self._no_database.missed is not None:
            raise self._no_database.missed
        return self._unsettled.why()

    def _seconds_to(self, until: int) -> float:
        """Seconds to a time, or to what falls due before."""
        due = self._unsettled.next_due()
        return ((until if due is None else min(due, until)) - self._cluster.clock.now()) / 1e6

    def _reader(self, places: Sequence[Place]) -> nullcontext[MemoryReader]:
        return nullcontext(MemoryReader(self._cluster.topics, places, self._cluster.clock))
