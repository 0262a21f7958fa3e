"""What does asking need, on which everything that operates stands?"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.postgres.holds import PostgresHolds
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.adapters.postgres.projection import PostgresProjections
from processor.adapters.postgres.telling import TellingHistory, told
from processor.adapters.postgres.waiting_room import PostgresWaitingRoom
from processor.bootstrap.topics import assert_topics
from processor.runtime.acknowledged import Acknowledged
from processor.runtime.asking import Asker, places_of
from processor.runtime.waiting_for import Reasons
from projections.history import FoldedHistory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from processor.domain.status import JobStatus
    from processor.ports.codec import Codec
    from processor.ports.log import Place
    from processor.settings import Settings

CONNECTIONS: Final = 4


@asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[Asker]:
    """One who asks and does not submit; the broker is needed only to deny a job."""
    url = settings.need_database()
    codec = await asyncio.to_thread(AvroCodec)
    async with AsyncExitStack() as held:
        yield asker_over(settings, client_pool(url, held), codec, Acknowledged())


def client_pool(url: str, held: AsyncExitStack) -> Pool:
    """Connections that are opened when first used, and closed with `held`."""
    # Not entered, which would connect: a producer whose database is away submits all the same.
    pool = Pool(url, CONNECTIONS, name="job-client", settings=SERVICE)
    held.push_async_exit(pool.__aexit__)
    return pool


def asker_over(settings: Settings, pool: Pool, codec: Codec, acknowledged: Acknowledged) -> Asker:
    """One who asks over these connections."""

    async def ends() -> Mapping[Place, int]:
        await assert_topics(settings)
        places = places_of(settings.topics, settings.partitions)
        async with KafkaReader(settings.need_kafka(), places) as reader:
            return {place: end for place, (_, end) in (await reader.bounds(places)).items()}

    history = FoldedHistory(PostgresProjections(pool), codec)
    reasons = Reasons(PostgresWaitingRoom(pool), PostgresHolds(pool))
    url = settings.need_database()

    async def why(status: JobStatus) -> str | None:
        with told(url):
            return await reasons.of(status)

    return Asker(TellingHistory(history, url), acknowledged, ends, SystemClock(), why=why)
