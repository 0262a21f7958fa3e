"""What does looking at the whole need?"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from processor.adapters.clock import SystemClock
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.postgres.dead_letters import PostgresLetters
from processor.adapters.postgres.telling import told
from processor.adapters.postgres.views import PostgresViews
from processor.bootstrap.asking import client_pool
from processor.runtime.overview import Overseer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from processor.ports.views import Views
    from processor.settings import Settings


@asynccontextmanager
async def viewing(settings: Settings) -> AsyncIterator[Views]:
    """One who looks at workers and entities: no broker is needed."""
    url = settings.need_database()
    async with AsyncExitStack() as held:
        pool = client_pool(url, held)
        with told(url):
            yield PostgresViews(pool, settings.partitions)


@asynccontextmanager
async def overseeing(settings: Settings) -> AsyncIterator[Overseer]:
    """One who looks at everything; the broker is asked how far the lanes go."""
    url, kafka = settings.need_database(), settings.need_kafka()
    async with AsyncExitStack() as held:
        pool = client_pool(url, held)
        with told(url):
            overseer = Overseer(
                PostgresViews(pool, settings.partitions),
                PostgresLetters(pool).groups,
                # Of each lane one record is wanted: the broker sends its batch, and no more.
                lambda places: KafkaReader(kafka, places, fetch_bytes=1),
                settings.topics,
                settings.partitions,
                SystemClock(),
            )
            yield await held.enter_async_context(overseer)
