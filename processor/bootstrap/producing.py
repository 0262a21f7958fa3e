"""What is a client made of?"""

from __future__ import annotations

import asyncio
import os
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.event_kinds import EventKinds
from processor.adapters.kafka.event_bus import KafkaEventBus
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.adapters.postgres.projection import PostgresProjections
from processor.adapters.postgres.telling import TellingHistory
from processor.bootstrap.topics import check_topics
from processor.runtime import client
from processor.runtime.acknowledged import Acknowledged
from processor.runtime.asking import Asker, places_of
from processor.runtime.submitting import Submitter
from processor.settings import Settings
from projections.history import FoldedHistory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from processor.ports.codec import Codec
    from processor.ports.history import History
    from processor.ports.log import Place

CONNECTIONS: Final = 4


class Client(client.Client):
    """Submits jobs and asks for their status, connected as the settings say."""

    @classmethod
    def connect(cls, settings: Settings | None = None) -> AbstractAsyncContextManager[Client]:
        """Connect, `async with`; the settings are the environment's where none are given.

        A database is needed only to ask, and only reached then. Raises `ConfigurationError` where
        a setting or a topic is not as it must be, `Unavailable` where the broker does not answer.
        """
        return connected(settings)


@asynccontextmanager
async def connected(settings: Settings | None = None) -> AsyncIterator[Client]:
    """See `Client.connect`."""
    settings = Settings.from_env(os.environ) if settings is None else settings
    kafka = settings.need_kafka()
    codec = await asyncio.to_thread(AvroCodec)
    await check_topics(settings)
    acknowledged = Acknowledged()
    async with AsyncExitStack() as held:
        log = await held.enter_async_context(KafkaLog(kafka))
        submitter = Submitter(
            log, codec, SystemClock(), settings.topics, settings.partitions, acknowledged
        )
        asker = None
        if settings.database is not None:
            history = await held.enter_async_context(_history(settings, codec))
            asker = _asker(settings, history, acknowledged)
        # TODO(phase 5, EventBus): connect the subscribers of our own here, each a service with a
        # group of its own (alarms, web hooks, billing); other teams subscribe through the client.
        events = await held.enter_async_context(
            KafkaEventBus(
                kafka,
                EventKinds(settings.topics, settings.partitions, codec),
                log,
                session_seconds=settings.session_timeout,
                patience_seconds=settings.subscriber_timeout,
            )
        )
        yield Client(submitter, asker, events)


@asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[Asker]:
    """One who asks and does not submit; the broker is needed only to deny a job."""
    codec = await asyncio.to_thread(AvroCodec)
    async with _history(settings, codec) as history:
        yield _asker(settings, history, Acknowledged())


@asynccontextmanager
async def _history(settings: Settings, codec: Codec) -> AsyncIterator[History]:
    url = settings.need_database()
    async with AsyncExitStack() as held:
        # Not entered, which would connect: a producer whose database is away submits all the same.
        pool = Pool(url, CONNECTIONS, name="job-client", settings=SERVICE)
        held.push_async_exit(pool.__aexit__)
        yield TellingHistory(FoldedHistory(PostgresProjections(pool), codec), url)


def _asker(settings: Settings, history: History, acknowledged: Acknowledged) -> Asker:
    async def ends() -> Mapping[Place, int]:
        places = places_of(settings.topics, settings.partitions)
        async with KafkaReader(settings.need_kafka(), places) as reader:
            return {place: end for place, (_, end) in (await reader.bounds(places)).items()}

    return Asker(history, acknowledged, ends, SystemClock())
