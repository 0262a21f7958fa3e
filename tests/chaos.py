"""Which work leaves behind what shows whether the promises held?

An application as its owner would write it, for `processor worker chaos:jobs`. A handler writes its
effect in its job's transaction: a line of its entity, numbered after the entity's last one. Two of
them at once, or one of them twice, cannot be hidden.
"""

from __future__ import annotations

import asyncio
from typing import Final

from pydantic import BaseModel

from processor import Jobs, Request, Retry

TABLE: Final = """
CREATE TABLE chaos_effect (
    entity     text NOT NULL,
    seq        integer NOT NULL,
    job        uuid NOT NULL,
    generation integer NOT NULL,
    lane       integer NOT NULL,
    partition  integer NOT NULL,
    worker     text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (entity, seq)
)
"""
EFFECT: Final = """
INSERT INTO chaos_effect (entity, seq, job, generation, lane, partition, worker)
SELECT $1, coalesce(max(seq), 0) + 1, $2, $3, $4, $5, $6 FROM chaos_effect WHERE entity = $1
"""
ATTEMPTS: Final = 1
"""So an attempt that was consumed without need is a job that failed."""
WITH_EFFECT: Final = "effect"
"""The type whose jobs leave an effect when they are complete; no other type's do."""

jobs = Jobs()


class Work(BaseModel):
    number: int
    seconds: float = 0.0
    """How long the handler takes, within its transaction."""


async def write_effect(request: Request[Work]) -> None:
    connection = await request.connection()
    await connection.execute(
        EFFECT,
        request.entity,
        request.job_id,
        request.cluster.generation,
        request.cluster.lane,
        request.cluster.partition,
        request.cluster.worker,
    )
    await asyncio.sleep(request.payload.seconds)


@jobs.handler(WITH_EFFECT, retry=Retry(attempts=ATTEMPTS))
async def effect(request: Request[Work]) -> int:
    await write_effect(request)
    return request.payload.number


@jobs.handler("plain", retry=Retry(attempts=ATTEMPTS))
async def plain(request: Request[Work]) -> int:
    await asyncio.sleep(request.payload.seconds)
    return request.payload.number


@jobs.handler("fails", retry=Retry(attempts=ATTEMPTS), breaker=None)
async def fails(request: Request[Work]) -> None:
    await write_effect(request)
    raise RuntimeError("it fails after it wrote")
