"""Is the history the same after kill -9 of a projector, on real Kafka and real PostgreSQL?"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.kafka.topics import create
from processor.adapters.memory.projection import MemoryProjections
from processor.adapters.postgres.dead_letters import PostgresLetters
from processor.adapters.postgres.pool import Pool
from processor.adapters.postgres.projection import PostgresProjections
from processor.domain.ids import partition_of
from processor.domain.job import State
from processor.domain.topics import Topics
from processor.local.stack import Stack
from processor.ports.log import Append, Place
from projections.history import FoldedHistory, HistoryProjection
from projections.projector import Projector
from projections.queries import DeadLetters
from tests.projecting import COMPLETED, FAILED, PARTITIONS, job, outcome, started, submission

JOBS = 6_000
EVERY = 10
"""Each so-manieth job fails."""
DEATHS = 2
PROJECTED = "SELECT coalesce(sum(next), 0) FROM jobs.checkpoint WHERE projection = 'history'"


async def append_all(log: KafkaLog, topics: Topics) -> None:
    codec, now = AvroCodec(), SystemClock().now()
    records = []
    for number in range(JOBS):
        record = submission(number)
        partition = partition_of(record.entity, PARTITIONS)
        # Ended just now: the projector's process prunes what was over long ago.
        end = replace(COMPLETED if number % EVERY else FAILED, at=now)
        told = outcome(codec, number, started(number), end)
        for topic, value in (
            (topics.lane(record.priority), codec.encode_submission(record)),
            (topics.events, codec.encode_outcome(told)),
            (topics.events, codec.encode_outcome(told)),  # a copy, as after a worker's death
        ):
            records.append(Append(Place(topic, partition), record.entity.encode(), value))
    answers = await log.append(records, 60)
    assert all(isinstance(answer, int) for answer in answers)


async def until(reached: Callable[[], Awaitable[bool]]) -> None:
    """Ask the database until it is so; the test's own time-out ends it."""
    while not await reached():  # noqa: ASYNC110 - another process moves it
        await asyncio.sleep(0.01)


@asynccontextmanager
async def projector_process(
    stack: Stack, database: str, namespace: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`processor projector`, killed at the end of the block."""
    environment = os.environ | {
        "JOBS_KAFKA": stack.kafka,
        "JOBS_DATABASE": database,
        "JOBS_NAMESPACE": namespace,
        "JOBS_PARTITIONS": str(PARTITIONS),
        "JOBS_REPLICATION": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "processor", "projector", env=environment
    )
    try:
        yield process
        assert process.returncode is None, "the projector ended by itself"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def undisturbed(stack: Stack, topics: Topics, rows: int) -> MemoryProjections:
    """What one projector that nobody kills makes of the same topics."""
    store = MemoryProjections()
    async with KafkaLog(stack.kafka) as log:
        projector = Projector(
            HistoryProjection(topics, PARTITIONS, AvroCodec()),
            readers=lambda places: KafkaReader(stack.kafka, places),
            log=log,
            store=store,
            clock=SystemClock(),
        )
        async with projector:

            async def everything() -> bool:
                return projector.projected >= rows

            await until(everything)
    return store


async def test_a_projector_killed_again_and_again_leaves_the_same_history(
    stack: Stack, database: str, namespace: str
) -> None:
    topics, codec = Topics(namespace), AvroCodec()
    await create(stack.kafka, topics, partitions=PARTITIONS, copies=1, in_sync=1)
    async with KafkaLog(stack.kafka) as log, Pool(database, 4) as pool:
        await append_all(log, topics)
        store, letters = PostgresProjections(pool), PostgresLetters(pool)

        async def projected() -> int:
            async with pool.connection() as connection:
                return int(await connection.fetchval(PROJECTED))

        before = 0
        for _ in range(DEATHS):
            async with projector_process(stack, database, namespace):

                async def moved(before: int = before) -> bool:
                    return await projected() > before + JOBS // 2

                await until(moved)
            before = await projected()
        assert before < 3 * JOBS, "it was through before it was killed: nothing was shown"

        async with projector_process(stack, database, namespace):

            async def through() -> bool:
                opened = sum(group.letters for group in await letters.groups())
                return await projected() == 3 * JOBS and opened == JOBS // EVERY

            await until(through)

        expected = await undisturbed(stack, topics, 3 * JOBS)
        async with pool.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM jobs.history") == 2 * JOBS
        killed, whole = FoldedHistory(store, codec), FoldedHistory(expected, codec)
        for number in range(0, JOBS, 7):
            found = await killed.status(job(number))
            assert found is not None
            assert found == await whole.status(job(number))
            assert found.state is (State.COMPLETE if number % EVERY else State.FAILED)
        opened = [one.died.job async for one in DeadLetters(letters, codec).open()]
        assert sorted(opened) == [job(number) for number in range(0, JOBS, EVERY)]
