"""What does operating need: to replay, to discard, to cancel, to hold, to look at dead letters?"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.postgres.cancelling import PostgresCancelling
from processor.adapters.postgres.dead_letters import PostgresLetters
from processor.adapters.postgres.holds import PostgresHolds
from processor.adapters.postgres.ledger import PostgresLedger
from processor.adapters.postgres.operations import PostgresOperations
from processor.adapters.postgres.telling import told
from processor.adapters.postgres.waiting_room import PostgresWaitingRoom
from processor.bootstrap.asking import asker_over, client_pool
from processor.bootstrap.topics import check_topics
from processor.runtime import operating
from processor.runtime.acknowledged import Acknowledged
from processor.runtime.operating import Desk
from projections.queries import DeadLetters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from processor.adapters.postgres.pool import Pool
    from processor.domain.ids import JobId
    from processor.domain.priority import Priority
    from processor.ports.codec import Codec
    from processor.ports.holds import Holds
    from processor.ports.log import Log
    from processor.runtime.asking import Asker
    from processor.runtime.cancelling import Cancellation
    from processor.runtime.operating import Operated
    from processor.settings import Settings


class Operator(operating.Operator):
    """An operator whose every failure is one clear line."""

    def __init__(self, desk: Desk, asker: Asker, url: str) -> None:
        super().__init__(desk, asker)
        self._url = url

    async def cancel(self, job: JobId, by: str, because: str) -> Cancellation:
        """See `processor.runtime.operating.Operator`."""
        with told(self._url):
            return await super().cancel(job, by, because)

    async def replay(
        self, dead_letter: UUID, by: str, because: str, priority: Priority | None = None
    ) -> Operated:
        """See `processor.runtime.operating.Operator`."""
        with told(self._url):
            return await super().replay(dead_letter, by, because, priority)

    async def discard(self, dead_letter: UUID, by: str, because: str) -> Operated:
        """See `processor.runtime.operating.Operator`."""
        with told(self._url):
            return await super().discard(dead_letter, by, because)


def operator_over(
    settings: Settings,
    pool: Pool,
    log: Log,
    codec: Codec,
    asker: Asker,
    acknowledged: Acknowledged,
) -> Operator:
    """An operator on a client's own connections."""
    lineage = pool.lineage
    desk = Desk(
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
        timeline=lambda: lineage.timeline,
    )
    return Operator(desk, asker, settings.need_database())


@dataclass(frozen=True, slots=True)
class Operations:
    """What a command that operates works with."""

    operator: Operator
    letters: DeadLetters


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
        operator = operator_over(settings, pool, log, codec, asker, acknowledged)
        with told(url):
            yield Operations(operator, DeadLetters(PostgresLetters(pool), codec))


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
