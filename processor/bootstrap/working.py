"""What is a worker made of?"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Self
from uuid import uuid4

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.event_kinds import EventKinds
from processor.adapters.histograms import record_all
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.kafka.membership import KafkaMembership
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.postgres.holds import PostgresHolds
from processor.adapters.postgres.ledger import PostgresLedger
from processor.adapters.postgres.lineage import Lineage
from processor.adapters.postgres.ownership import PostgresOwnership
from processor.adapters.postgres.pool import LOOKING, SERVICE, Pool
from processor.adapters.postgres.sessions import SessionMaker
from processor.adapters.postgres.shared_transactions import (
    PREPARE_SHARED,
    PostgresSharedTransactions,
)
from processor.adapters.postgres.suspects import PostgresSuspects
from processor.adapters.postgres.transactions import PREPARE, PostgresTransactions
from processor.adapters.postgres.waiting_room import PostgresWaitingRoom
from processor.adapters.postgres.wakes import PostgresWakes
from processor.adapters.postgres.workers import PostgresWorkers
from processor.adapters.sampling import dropper
from processor.bootstrap.database import check_cluster, check_tables
from processor.bootstrap.failures import one_failure
from processor.bootstrap.operating import plan_chore
from processor.bootstrap.tidying import janitor
from processor.bootstrap.topics import check_topics
from processor.domain.priority import LANES
from processor.ports.log import Place
from processor.runtime.fetching import LookAhead
from processor.runtime.keeping import Times
from processor.runtime.telemetry import MetricsService
from processor.runtime.tracing import Tracing
from processor.runtime.troubles import Readiness
from processor.runtime.worker import WorkerRuntime
from processor.runtime.world import Manner, World
from processor.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from processor.adapters.postgres.sessions import Sessions
    from processor.runtime.handlers import Jobs
    from processor.runtime.health import Health

SERVICE_CONNECTIONS: Final = 4
"""For our own statements: the flush, positions, beats and what comes now and then."""
LOOKING_CONNECTIONS: Final = len(LANES)

GROUPS: Final = 8
"""Transactions that are shared by jobs, at once: more of them are smaller ones."""
IDLE_SECONDS: Final = 20.0
HEARTBEAT_SECONDS: Final = 3.0


class Worker:
    """Runs the jobs of `jobs` while the `async with` block lasts, then drains.

    Leaving gives running handlers the drain time to end. `sessions` is the application's own
    sessionmaker; it is called as `sessions(bind=…, join_transaction_mode="rollback_only")`.
    Entering raises `ConfigurationError` or `Unavailable`; what makes working on impossible ends the
    block and is raised from it.
    """

    def __init__(
        self, jobs: Jobs, settings: Settings | None = None, *, sessions: Sessions | None = None
    ) -> None:
        self._jobs = jobs
        self._settings = settings
        self._sessions = sessions
        self._stop = asyncio.Event()
        self._held = AsyncExitStack()
        self._group = asyncio.TaskGroup()
        self._runtime: WorkerRuntime | None = None
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        settings = self._settings or Settings.from_env(os.environ)
        async with AsyncExitStack() as held:
            self._runtime = await _made(self._jobs, settings, self._sessions, held)
            self._held = held.pop_all()
        await self._group.__aenter__()
        self._running = self._group.create_task(self._runtime.run(self._stop))
        return self

    def readiness(self) -> Readiness:
        """Whether it works as it should, and why not, in sentences: for a health check.

        It asks nobody and may be called from any thread, also while the event loop stands still.
        """
        return self._asked(lambda health: health.readiness())

    def liveness(self) -> Readiness:
        """Whether its loop turns and its membership beats, as `readiness`; else start it anew."""
        return self._asked(lambda health: health.liveness())

    def _asked(self, ask: Callable[[Health], Readiness]) -> Readiness:
        if self._runtime is None or self._running is None:
            return Readiness(ready=False, reasons=("the worker has not started",))
        if self._running.done():
            return Readiness(ready=False, reasons=(_how_it_ended(self._running),))
        if self._stop.is_set():
            return Readiness(ready=False, reasons=("the worker stops",))
        return ask(self._runtime.health)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        async with self._held:
            with one_failure():
                # Whatever ended the block, the worker drains, unless it is the one that failed.
                if self._running is not None and self._running.done():
                    await self._group.__aexit__(kind, error, traceback)
                else:
                    await self._group.__aexit__(None, None, None)


async def _made(
    jobs: Jobs, settings: Settings, sessions: Sessions | None, held: AsyncExitStack
) -> WorkerRuntime:
    kafka, url = settings.need_kafka(), settings.need_database()
    codec = await asyncio.to_thread(AvroCodec)
    lineage = Lineage()
    worker = uuid4()
    called = str(worker)[:8]
    service = await held.enter_async_context(
        Pool(
            url, SERVICE_CONNECTIONS, name=f"job-worker {called}", settings=SERVICE, lineage=lineage
        )
    )
    looking = await held.enter_async_context(
        Pool(
            url,
            LOOKING_CONNECTIONS,
            name=f"job-worker {called}",
            settings=LOOKING,
            lineage=lineage,
        )
    )
    await check_tables(settings, service)
    cluster = await check_topics(settings)
    await check_cluster(settings, service, cluster)
    handlers = await held.enter_async_context(
        Pool(
            url,
            settings.connections,
            name=f"job-handlers {called}",
            prepare=f"{PREPARE}; {PREPARE_SHARED}",
            idle=min(IDLE_SECONDS, settings.session_timeout * 2 / 3),
            lineage=lineage,
        )
    )
    maker = SessionMaker(sessions)
    made: list[WorkerRuntime] = []
    log = await held.enter_async_context(KafkaLog(kafka))
    world = World(
        clock=SystemClock(),
        codec=codec,
        log=log,
        readers=[
            await held.enter_async_context(
                KafkaReader(kafka, [Place(lane, one) for one in range(settings.partitions)])
            )
            for lane in settings.topics.lanes
        ],
        membership=await held.enter_async_context(
            _membership(settings, lambda: all(one.health.progresses() for one in made))
        ),
        ownership=PostgresOwnership(service),
        workers=PostgresWorkers(service),
        suspects=PostgresSuspects(service),
        ledger=PostgresLedger(service, looking),
        room=PostgresWaitingRoom(service),
        holds=PostgresHolds(service),
        wakes=PostgresWakes(url),
        transactions=PostgresTransactions(handlers, maker),
        shared_transactions=PostgresSharedTransactions(handlers, maker),
        events=EventKinds(settings.topics, settings.partitions, codec),
        timeline=lambda: lineage.timeline or 0,
        on_replaced=lineage.on_change,
        metrics=MetricsService(f"worker {worker}", record_all=record_all),
        tracing=Tracing(group=_group(settings), dropper=dropper),
        chores=[
            janitor(settings, SystemClock(), held).run,
            plan_chore(settings, codec, log, held),
        ],
    )
    manner = Manner(
        settings.topics,
        settings.partitions,
        cluster.id,
        release=settings.release,
        slots=settings.slots,
        groups=min(GROUPS, settings.connections),
        grace=settings.handler_grace,
        look_ahead=LookAhead(jobs=settings.look_ahead),
        times=Times(session=settings.session_timeout, drain=settings.drain_timeout),
        witness=True,
        worker=worker,
    )
    made.append(WorkerRuntime(jobs, world, manner))
    return made[0]


def _how_it_ended(running: asyncio.Task[None]) -> str:
    error = None if running.cancelled() else running.exception()
    try:
        with one_failure():
            if error is not None:
                raise error
    except BaseException as told:  # noqa: BLE001 - it is only told
        return f"the worker has ended: {told}"
    return "the worker has stopped"


def _group(settings: Settings) -> str:
    return f"worker.{settings.namespace}"


def _membership(settings: Settings, progress: Callable[[], bool]) -> KafkaMembership:
    return KafkaMembership(
        settings.need_kafka(),
        _group(settings),
        settings.topics.lanes,
        settings.partitions,
        progress=progress,
        session_seconds=settings.session_timeout,
        # A worker dispatches while its heartbeat is younger than half the session time-out.
        heartbeat_seconds=min(HEARTBEAT_SECONDS, settings.session_timeout / 6),
    )
