"""What are the projectors made of?"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.postgres.dead_letters import PostgresLetters
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.adapters.postgres.projection import PostgresProjections
from processor.bootstrap.database import check_cluster, check_tables
from processor.bootstrap.failures import one_failure
from processor.bootstrap.pruning import pruner
from processor.bootstrap.topics import check_topics
from processor.runtime.dead_letter_count import counting
from processor.runtime.telemetry import MetricsService
from projections.dead_letters import DeadLetterProjection
from projections.history import HistoryProjection
from projections.projector import Projector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from processor.settings import Settings

CONNECTIONS: Final = 4


@asynccontextmanager
async def projecting(settings: Settings) -> AsyncIterator[None]:
    """Every projection moves along the log until the block ends.

    Raises `ConfigurationError` and `Unavailable` before anything starts, `LogCut` in the block.
    """
    kafka = settings.need_kafka()
    of = settings.topics, settings.partitions, await asyncio.to_thread(AvroCodec)
    with one_failure():
        async with AsyncExitStack() as held:
            pool = await held.enter_async_context(
                Pool(settings.need_database(), CONNECTIONS, name="job-projector", settings=SERVICE)
            )
            await check_tables(settings, pool)
            await check_cluster(settings, pool, await check_topics(settings))
            log = await held.enter_async_context(KafkaLog(kafka))
            for projection in (HistoryProjection(*of), DeadLetterProjection(*of)):
                await held.enter_async_context(
                    Projector(
                        projection,
                        readers=lambda places: KafkaReader(kafka, places),
                        log=log,
                        store=PostgresProjections(pool),
                        clock=SystemClock(),
                    )
                )
            await held.enter_async_context(
                counting(
                    PostgresLetters(pool), MetricsService(f"projector {uuid4()}"), SystemClock()
                )
            )
            pruning = asyncio.create_task(pruner(settings, SystemClock(), held).run())
            try:
                yield
            finally:
                pruning.cancel()
                await asyncio.wait({pruning})
