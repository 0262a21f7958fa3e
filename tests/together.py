"""A worker, the projections and a client in the test's own process, and what they see of a job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from processor import Client, DeadLetterNotFound, JobId, Jobs, JobStatus, State
from processor.domain.ids import dead_letter_id
from processor.settings import Settings
from projections.queries import DeadLetter
from tests.inside import when, working

SECONDS = 60.0
ENDS = (State.COMPLETE, State.FAILED, State.CANCELLED)


@dataclass(frozen=True)
class Together:
    """Everything that a test of the public face asks."""

    settings: Settings
    client: Client
    database: asyncpg.Connection[Any]

    async def ended(self, job: JobId, generation: int = 1) -> JobStatus:
        """Its status once that generation, or a later one, has ended."""
        return await when(
            self.client,
            job,
            lambda status: status.generation >= generation and status.state in ENDS,
        )

    async def letter(self, job: JobId, generation: int = 1) -> DeadLetter:
        """Its dead letter, as soon as there is one."""
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    return await self.client.dead_letters.by_id(dead_letter_id(job, generation))
                except DeadLetterNotFound:
                    await asyncio.sleep(0.02)

    async def waiting(self, count: int) -> None:
        """Return when so many jobs are in the waiting room."""
        async with asyncio.timeout(SECONDS):
            while await self.database.fetchval("SELECT count(*) FROM jobs.waiting") != count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@asynccontextmanager
async def together(settings: Settings, jobs: Jobs) -> AsyncIterator[Together]:
    """All of it while the block lasts."""
    async with working(settings, jobs) as client:
        database = await asyncpg.connect(settings.need_database())
        try:
            yield Together(settings, client, database)
        finally:
            await database.close()


def events(status: JobStatus, generation: int | None = None) -> list[Any]:
    """What its outcomes hold of one generation, or of all."""
    return [
        one.event
        for one in status.history
        if not one.void and one.index >= 0 and generation in (None, one.generation)
    ]


def life(status: JobStatus) -> list[tuple[int, str]]:
    """A job's history as generation and word, a line each."""
    return [(one.generation, type(one.event).__name__) for one in status.history if not one.void]
