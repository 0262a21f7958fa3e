"""Does a projector go on by itself when broker or database were away, on the real stack?"""

from __future__ import annotations

import asyncio

import pytest

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.kafka.topics import create
from processor.adapters.postgres.pool import Pool
from processor.adapters.postgres.projection import PostgresProjections
from processor.domain.job import State
from processor.domain.topics import Topics
from processor.local.stack import LocalStack, ServerName
from processor.ports.log import Append, Place
from projections.history import FoldedHistory, HistoryProjection
from projections.projector import Projector
from tests.projecting import PARTITIONS, job, submission

CODEC = AvroCodec()


async def submit(log: KafkaLog, topics: Topics, numbers: range) -> None:
    records = [
        Append(
            Place(topics.lane(submission(number).priority), number % PARTITIONS),
            b"",
            CODEC.encode_submission(submission(number)),
        )
        for number in numbers
    ]
    answers = await log.append(records)
    assert all(isinstance(answer, int) for answer in answers)


async def projected(projector: Projector, records: int) -> None:
    while projector.projected < records:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("server", ["postgres", pytest.param("kafka", marks=pytest.mark.long)])
async def test_a_projector_goes_on_when_a_killed_server_is_back(
    local_stack: LocalStack, database: str, namespace: str, server: ServerName
) -> None:
    stack, topics = local_stack.stack, Topics(namespace)
    await create(stack.kafka, topics, partitions=PARTITIONS, copies=1, in_sync=1)
    async with KafkaLog(stack.kafka) as log, Pool(database, 4) as pool:
        store = PostgresProjections(pool)
        projector = Projector(
            HistoryProjection(topics, PARTITIONS, CODEC),
            readers=lambda places: KafkaReader(stack.kafka, places),
            log=log,
            store=store,
            clock=SystemClock(),
        )
        async with projector:
            await submit(log, topics, range(100))
            await projected(projector, 100)
            await asyncio.to_thread(local_stack.kill, server)
            submitting = asyncio.create_task(submit(log, topics, range(100, 200)))
            await asyncio.to_thread(local_stack.start, server)
            await submitting
            await projected(projector, 200)
        history = FoldedHistory(store, CODEC)
        found = [await history.status(job(number)) for number in range(200)]
        assert {one.state if one else None for one in found} == {State.QUEUED}
