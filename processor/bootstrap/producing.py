"""What is a client made of?"""

from __future__ import annotations

import asyncio
import os
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.event_kinds import EventKinds
from processor.adapters.kafka.event_bus import KafkaEventBus
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.postgres.dead_letters import PostgresLetters
from processor.adapters.sampling import dropper
from processor.bootstrap.asking import asker_over, client_pool, explainer_over
from processor.bootstrap.operating import desk_over, plans_over
from processor.bootstrap.topics import check_topics
from processor.domain.errors import ConfigurationError
from processor.domain.ids import job_of_dedupe_key
from processor.runtime import client
from processor.runtime.acknowledged import Acknowledged
from processor.runtime.operating import Operator
from processor.runtime.submitting import Submitter
from processor.runtime.tracing import Tracing
from processor.settings import Settings
from projections.queries import DeadLetters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from processor.domain.explanation import Explanation
    from processor.domain.ids import JobId
    from processor.domain.status import JobStatus
    from processor.ports.event_bus import EventBus
    from processor.runtime.asking import Asker
    from processor.runtime.explaining import Explainer
    from processor.runtime.plans import Plans


class Client(client.Client):
    """Submits jobs and asks for their status, connected as the settings say."""

    @classmethod
    def connect(cls, settings: Settings | None = None) -> AbstractAsyncContextManager[Client]:
        """Connect, `async with`; the settings are the environment's where none are given.

        A database is needed only to ask and to operate, and only reached then. Raises
        `ConfigurationError` where a setting or a topic is not as it must be, `Unavailable` where
        the broker does not answer.
        """
        return connected(settings)

    def __init__(
        self,
        submitter: Submitter,
        asker: Asker | None = None,
        events: EventBus | None = None,
        operator: Operator | None = None,
        letters: DeadLetters | None = None,
        explainer: Explainer | None = None,
        plans: Plans | None = None,
    ) -> None:
        super().__init__(submitter, asker, events, operator)
        self._letters = letters
        self._explainer = explainer
        self._plans = plans

    async def find(
        self, type_: str, dedupe_key: str, *, entity: str | None = None, tenant: str | None = None
    ) -> JobStatus:
        """The status of the job that was submitted with a dedupe key: its id is computed of these.

        `entity` and `tenant` as they were given, which may be none. Raises `JobNotFound`.
        """
        return await self.status(job_of_dedupe_key(tenant, type_, entity, dedupe_key))

    async def explain(self, job_id: JobId) -> Explanation:
        """Why a job does not run: the one thing that keeps it, as a sentence and in its parts.

        Raises `JobNotFound`, or `Unavailable` where nobody can say yet.
        """
        if self._explainer is None:
            raise ConfigurationError(
                "JOBS_DATABASE is not set: what keeps a job is in the database"
            )
        return await self._explainer.explain(job_id)

    @property
    def dead_letters(self) -> DeadLetters:
        """The dead letters: by id, the open ones, and counted by type and place."""
        if self._letters is None:
            raise ConfigurationError("JOBS_DATABASE is not set: dead letters are in the database")
        return self._letters

    @property
    def plans(self) -> Plans:
        """Plans over many dead letters: made, looked at, stopped, resumed and run."""
        if self._plans is None:
            raise ConfigurationError("JOBS_DATABASE is not set: plans are in the database")
        return self._plans


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
            log,
            codec,
            SystemClock(),
            settings.topics,
            settings.partitions,
            acknowledged,
            Tracing(dropper=dropper),
        )
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
        if settings.database is None:
            yield Client(submitter, None, events)
            return
        pool = client_pool(settings.database, held)
        asker = asker_over(settings, pool, codec, acknowledged)
        desk = desk_over(settings, pool, log, codec, acknowledged)
        explainer = explainer_over(settings, pool, codec, asker)
        letters = DeadLetters(PostgresLetters(pool), codec)
        plans = plans_over(desk, pool)
        yield Client(submitter, asker, events, Operator(desk, asker), letters, explainer, plans)
