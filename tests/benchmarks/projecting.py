"""How many records a second does one projector write into the history, and at what cost?

python -m tests.benchmarks.projecting [JOBS]: a fresh stack, two records a job, appended beforehand.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace

import psutil
import uvloop

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.kafka.topics import create
from processor.adapters.postgres.migrations import migrate
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.adapters.postgres.projection import PostgresProjections
from processor.domain.ids import JobId, partition_of, uuid7
from processor.domain.topics import Topics
from processor.local.stack import Stack
from processor.ports.log import Append, Place
from processor.testing.embedded import embedded
from projections.history import HistoryProjection
from projections.projector import Projector
from tests.projecting import COMPLETED, outcome, started, submission

PARTITIONS = 12
TOPICS = Topics("bench")
PAYLOAD = b'{"tail": "N123", "minutes": 227, "note": "' + b"x" * 160 + b'"}'


async def append(log: KafkaLog, jobs: int) -> None:
    codec = AvroCodec()
    for first in range(0, jobs, 5_000):
        records = []
        for number in range(first, min(jobs, first + 5_000)):
            identity = JobId(uuid7(1_700_000_000_000 + number // 50, number))
            record = replace(submission(number % 10_000), job=identity, payload=PAYLOAD)
            told = replace(
                outcome(codec, number % 10_000, started(number), COMPLETED), job=identity
            )
            partition = partition_of(record.entity, PARTITIONS)
            key = record.entity.encode()
            lane, events = TOPICS.lane(record.priority), TOPICS.events
            records.append(Append(Place(lane, partition), key, codec.encode_submission(record)))
            records.append(Append(Place(events, partition), key, codec.encode_outcome(told)))
        await log.append(records)


def seconds_of(postmaster: int) -> float:
    """CPU seconds of this stack's PostgreSQL, of processes that ended too."""
    process = psutil.Process(postmaster)
    spent = sum(process.cpu_times()[:4])
    return spent + sum(sum(child.cpu_times()[:2]) for child in process.children(recursive=True))


async def measure(stack: Stack, postmaster: int, jobs: int) -> None:
    await migrate(stack.database)
    await create(stack.kafka, TOPICS, partitions=PARTITIONS, copies=1, in_sync=1)
    async with (
        KafkaLog(stack.kafka) as log,
        Pool(stack.database, 4, settings=SERVICE) as pool,
    ):
        await append(log, jobs)
        projector = Projector(
            HistoryProjection(TOPICS, PARTITIONS, AvroCodec()),
            readers=lambda places: KafkaReader(stack.kafka, places),
            log=log,
            store=PostgresProjections(pool),
            clock=SystemClock(),
        )
        wall, own, server = time.perf_counter(), time.process_time(), seconds_of(postmaster)
        async with projector:
            while projector.projected < 2 * jobs:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        wall, own = time.perf_counter() - wall, time.process_time() - own
        server = seconds_of(postmaster) - server
    rows = 2 * jobs
    print(  # noqa: T201 - a program that prints
        f"{rows:,} rows in {wall:.2f} s: {rows / wall:,.0f} rows/s;"
        f" projector {own / rows * 1e6:.1f} µs, PostgreSQL {server / rows * 1e6:.1f} µs a row"
    )


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with embedded() as stack:
        uvloop.run(measure(stack.stack, stack.processes()["postgres"], jobs))


if __name__ == "__main__":
    main()
