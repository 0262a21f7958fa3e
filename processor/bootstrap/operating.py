"""What does operating need: to replay, to discard, to cancel, to hold, to look at dead letters?"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.postgres.cancelling import PostgresCancelling
from processor.adapters.postgres.dead_letters import PostgresLetters
from processor.adapters.postgres.holds import PostgresHolds
from processor.adapters.postgres.ledger import PostgresLedger
from processor.adapters.postgres.operations import PostgresOperations
from processor.adapters.postgres.plan_runs import PostgresPlanRuns
from processor.adapters.postgres.plans import PostgresPlans
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.adapters.postgres.telling import told
from processor.adapters.postgres.waiting_room import PostgresWaitingRoom
from processor.bootstrap.asking import asker_over, client_pool
from processor.bootstrap.topics import check_topics
from processor.runtime.acknowledged import Acknowledged
from processor.runtime.desk import Desk
from processor.runtime.operating import Operator
from processor.runtime.plan_runner import PlanRunner
from processor.runtime.plans import Plans
from projections.queries import DeadLetters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from processor.ports.codec import Codec
    from processor.ports.holds import Holds
    from processor.ports.log import Log
    from processor.ports.operations import AuditQuery, Operation
    from processor.settings import Settings

    Audit = Callable[[AuditQuery], Awaitable[list[Operation]]]

PLANNING_CONNECTIONS: Final = 2


def desk_over(
    settings: Settings, pool: Pool, log: Log, codec: Codec, acknowledged: Acknowledged
) -> Desk:
    """What operating works with on these connections; every failure is one clear line."""
    url, lineage = settings.need_database(), pool.lineage
    return Desk(
        log,
        codec,
        SystemClock(),
        settings.topics,
        settings.partitions,
        acknowledged,
        PostgresLetters(pool),
        PostgresOperations(pool),
        PostgresLedger(pool),
        PostgresWaitingRoom(pool),
        PostgresCancelling(pool),
        PostgresHolds(pool),
        timeline=lambda: lineage.timeline,
        telling=lambda: told(url),
    )


def plans_over(desk: Desk, pool: Pool) -> Plans:
    """Plans on the same connections."""
    rows = PostgresPlans(pool)
    return Plans(desk, rows, PlanRunner(desk, rows, PostgresPlanRuns(pool)))


@dataclass(frozen=True, slots=True)
class Operations:
    """What a command that operates works with."""

    operator: Operator
    letters: DeadLetters
    plans: Plans


@asynccontextmanager
async def operating_on(settings: Settings) -> AsyncIterator[Operations]:
    """One who operates; raises `ConfigurationError`, `Unavailable`, also from within the block."""
    url, kafka = settings.need_database(), settings.need_kafka()
    codec = await asyncio.to_thread(AvroCodec)
    acknowledged = Acknowledged()
    async with AsyncExitStack() as held:
        pool = client_pool(url, held)
        await check_topics(settings)
        log = await held.enter_async_context(KafkaLog(kafka))
        asker = asker_over(settings, pool, codec, acknowledged)
        desk = desk_over(settings, pool, log, codec, acknowledged)
        letters = DeadLetters(PostgresLetters(pool), codec)
        with told(url):
            yield Operations(Operator(desk, asker), letters, plans_over(desk, pool))


@asynccontextmanager
async def reading_letters(settings: Settings) -> AsyncIterator[DeadLetters]:
    """One who only looks at dead letters: no broker is needed."""
    url = settings.need_database()
    codec = await asyncio.to_thread(AvroCodec)
    async with AsyncExitStack() as held:
        pool = client_pool(url, held)
        with told(url):
            yield DeadLetters(PostgresLetters(pool), codec)


@asynccontextmanager
async def holding(settings: Settings) -> AsyncIterator[Holds]:
    """One who holds and releases: no broker is needed."""
    url = settings.need_database()
    async with AsyncExitStack() as held:
        pool = client_pool(url, held)
        with told(url):
            yield PostgresHolds(pool)


@asynccontextmanager
async def auditing(settings: Settings) -> AsyncIterator[Audit]:
    """One who looks who did what: no broker is needed."""
    url = settings.need_database()
    async with AsyncExitStack() as held:
        pool = client_pool(url, held)
        with told(url):
            yield PostgresOperations(pool).told


def plan_chore(
    settings: Settings, codec: Codec, log: Log, held: AsyncExitStack
) -> Callable[[], Coroutine[None, None, None]]:
    """What a worker does beside its jobs: it runs plans that nobody runs."""
    pool = Pool(settings.need_database(), PLANNING_CONNECTIONS, name="job-plans", settings=SERVICE)
    held.push_async_exit(pool.__aexit__)
    desk = desk_over(settings, pool, log, codec, Acknowledged())
    return PlanRunner(desk, PostgresPlans(pool), PostgresPlanRuns(pool)).run_free
