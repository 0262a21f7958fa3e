"""What are the pruner and a rebuild made of?"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.kafka.cutting import KafkaCutting
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.postgres.forgetting import PostgresForgetting
from processor.adapters.postgres.office import PostgresOffice
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.adapters.postgres.pruning import PostgresPruning
from processor.adapters.postgres.rebuilding import PostgresRebuilding
from processor.adapters.postgres.telling import told
from processor.bootstrap.database import check_cluster, check_tables
from processor.bootstrap.failures import one_failure
from processor.bootstrap.topics import check_topics
from processor.ports.log import Place
from projections import rebuild
from projections.dead_letters import DeadLetterProjection
from projections.history import HistoryProjection
from projections.pruner import Duties, Pruner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from processor.ports.clock import Clock
    from processor.settings import Settings

PRUNER_CONNECTIONS: Final = 3
"""Two keep offices; the third works, once an hour."""
REBUILD_CONNECTIONS: Final = 6
PATIENCE_SECONDS: Final = 24 * 3600.0
"""Of statements that go over whole tables."""
OFFICE: Final = "rebuild"


def pruner(settings: Settings, clock: Clock, held: AsyncExitStack) -> Pruner:
    """A pruner with a pool of its own, which connects when it first asks for the office."""
    pool = Pool(settings.need_database(), PRUNER_CONNECTIONS, name="job-pruner", settings=SERVICE)
    held.push_async_exit(pool.__aexit__)
    duties = Duties(
        office=PostgresOffice(pool, "pruner"),
        pruning=PostgresPruning(pool),
        read_side=PostgresForgetting(pool),
        extent=KafkaCutting(settings.need_kafka()),
        clock=clock,
        rebuild=PostgresOffice(pool, OFFICE),
        rebuilding=PostgresRebuilding(pool, pool, settings.topics),
    )
    letters = [Place(settings.topics.dead_letters, one) for one in range(settings.partitions)]
    return Pruner(duties, letters)


@asynccontextmanager
async def rebuilding(settings: Settings) -> AsyncIterator[rebuild.Rebuild]:
    """A rebuild, ready to run.

    Raises `ConfigurationError` and `Unavailable`, in the block too.
    """
    kafka, url = settings.need_kafka(), settings.need_database()
    of = settings.topics, settings.partitions, await asyncio.to_thread(AvroCodec)
    async with AsyncExitStack() as held:
        pool = await held.enter_async_context(
            Pool(url, REBUILD_CONNECTIONS, name="job-rebuild", settings=SERVICE)
        )
        await check_tables(settings, pool)
        await check_cluster(settings, pool, await check_topics(settings))
        # Whole tables are read from end to end: the planner is free to.
        patient = await held.enter_async_context(
            Pool(url, 1, name="job-rebuild", patience=PATIENCE_SECONDS)
        )
        held.enter_context(told(url))
        held.enter_context(one_failure())
        yield rebuild.Rebuild(
            [HistoryProjection(*of), DeadLetterProjection(*of)],
            rebuild.Means(
                office=PostgresOffice(pool, OFFICE),
                store=PostgresRebuilding(pool, patient, settings.topics),
                extent=KafkaCutting(kafka),
                readers=lambda places: KafkaReader(kafka, places),
                clock=SystemClock(),
            ),
        )
