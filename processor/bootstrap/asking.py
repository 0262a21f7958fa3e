"""What does asking need, on which everything that operates stands?"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.postgres.holds import PostgresHolds
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.adapters.postgres.projection import PostgresProjections
from processor.adapters.postgres.situations import PostgresSituations
from processor.adapters.postgres.telling import TellingHistory, told
from processor.adapters.postgres.waiting_room import PostgresWaitingRoom
from processor.bootstrap.topics import assert_topics
from processor.domain.errors import Unavailable
from processor.ports.log import Place
from processor.runtime.acknowledged import Acknowledged
from processor.runtime.asking import Asker, places_of
from processor.runtime.explaining import Explainer
from processor.runtime.waiting_for import Reasons
from projections.history import NAME as HISTORY
from projections.history import FoldedHistory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from processor.domain.explanation import Explanation
    from processor.domain.ids import JobId
    from processor.domain.status import JobStatus
    from processor.ports.codec import Codec
    from processor.settings import Settings

CONNECTIONS: Final = 4
LAG_SECONDS: Final = 5.0
"""How long a broker is waited for that tells how far the history is behind."""


@asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[Asker]:
    """One who asks and does not submit; the broker is needed only to deny a job."""
    url = settings.need_database()
    codec = await asyncio.to_thread(AvroCodec)
    async with AsyncExitStack() as held:
        yield asker_over(settings, client_pool(url, held), codec, Acknowledged())


@asynccontextmanager
async def explaining(settings: Settings) -> AsyncIterator[Explainer]:
    """One who explains why a job does not run."""
    url = settings.need_database()
    codec = await asyncio.to_thread(AvroCodec)
    async with AsyncExitStack() as held:
        pool = client_pool(url, held)
        asker = asker_over(settings, pool, codec, Acknowledged())
        yield explainer_over(settings, pool, codec, asker)


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


class _Explainer(Explainer):
    """An explainer whose every failure is one clear line."""

    def __init__(self, url: str, *parts: Any, **settings: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(*parts, **settings)
        self._url = url

    async def explain(self, job: JobId) -> Explanation:
        """See `processor.runtime.explaining.Explainer`."""
        with told(self._url):
            return await super().explain(job)


def explainer_over(settings: Settings, pool: Pool, codec: Codec, asker: Asker) -> Explainer:
    """One who explains over these connections."""
    return _Explainer(
        settings.need_database(),
        asker,
        PostgresSituations(pool),
        codec,
        grace=settings.handler_grace,
        look_ahead=settings.look_ahead,
        lag=lambda partition: _lag(settings, pool, partition),
    )


async def _lag(settings: Settings, pool: Pool, partition: int) -> int | None:
    """Records of a partition's journal that the history has not folded; None without a broker."""
    place = Place(settings.topics.events, partition)
    if settings.kafka is None:
        return None
    try:
        async with KafkaReader(settings.kafka, [place], start_seconds=LAG_SECONDS) as reader:
            (_, end) = (await reader.bounds([place]))[place]
    except Unavailable:
        return None
    return max(0, end - (await PostgresProjections(pool).checkpoint(HISTORY, place) or 0))
