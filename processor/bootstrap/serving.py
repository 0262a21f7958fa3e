"""What stands behind the HTTP API?"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.postgres.dead_letters import PostgresLetters
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.adapters.postgres.projection import PostgresProjections
from processor.adapters.postgres.telling import told
from processor.adapters.postgres.views import PostgresViews
from processor.bootstrap.producing import connected
from processor.bootstrap.topics import assert_topics
from processor.domain.errors import ProcessorError
from processor.ports.ledger import Fault
from processor.runtime.overview import Overseer
from projections.queries import Submissions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from processor.bootstrap.producing import Client
    from processor.ports.views import Views
    from processor.settings import Settings

CONNECTIONS: Final = 4
PATIENCE: Final = 2.0
"""Seconds that the database and the broker have to answer whoever asks whether they do."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the API asks."""

    client: Client
    views: Views
    overseer: Overseer
    submissions: Submissions
    settings: Settings

    async def missing(self) -> Sequence[str]:
        """Why it cannot serve: which of the database and the broker does not answer."""
        url = self.settings.need_database()

        async def database() -> None:
            with told(url):
                await self.client.holds()

        async def broker() -> None:
            await assert_topics(self.settings)

        asked = await asyncio.gather(
            asyncio.wait_for(database(), PATIENCE),
            asyncio.wait_for(broker(), PATIENCE),
            return_exceptions=True,
        )
        return [
            f"the {which} does not answer: {error or type(error).__name__}"
            for which, error in zip(("database", "broker"), asked, strict=True)
            if isinstance(error, BaseException)
        ]

    def translated(self, error: Exception) -> Exception:
        """What an error of the database means, in one line; any other one as it is."""
        found = error
        with suppress(Fault):
            try:
                with told(self.settings.need_database()):
                    raise error
            except ProcessorError as one_line:
                found = one_line
            except Exception as same:  # noqa: BLE001 - it is only told
                found = same
        return found


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Served]:
    """Everything behind the API, while the block lasts.

    Raises `ConfigurationError`, `Unavailable` where the broker does not answer.
    """
    url, kafka = settings.need_database(), settings.need_kafka()
    codec = await asyncio.to_thread(AvroCodec)
    async with AsyncExitStack() as held:
        client = await held.enter_async_context(connected(settings))
        # Of its own, so that many who look do not keep anybody from submitting and asking.
        pool = Pool(url, CONNECTIONS, name="job-api", settings=SERVICE)
        held.push_async_exit(pool.__aexit__)
        views = PostgresViews(pool, settings.partitions)
        yield Served(
            client,
            views,
            Overseer(
                views,
                PostgresLetters(pool).groups,
                lambda places: KafkaReader(kafka, places),
                settings.topics,
                settings.partitions,
                SystemClock(),
            ),
            Submissions(PostgresProjections(pool), codec),
            settings,
        )
