"""How fast are the ledger and the history pruned?

`python -m tests.benchmarks.forgetting [JOBS]`, on an embedded stack of its own.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import uvloop

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.postgres.forgetting import PostgresForgetting
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.adapters.postgres.projection import PostgresProjections
from processor.adapters.postgres.pruning import PostgresPruning
from processor.bench.projecting import append
from processor.bootstrap.migrating import migrate
from processor.domain.horizon import ended_before
from processor.settings import Settings
from processor.testing.embedded import embedded
from projections.history import HistoryProjection
from projections.projector import Projector

if TYPE_CHECKING:
    from processor.local.stack import Stack

BODY = 400
"""Bytes of an outcome."""
LEDGER = """
INSERT INTO jobs.ledger (job, generation, outcome, partition, lane, at_offset, ended_at, body)
SELECT gen_random_uuid(), 1, 'c', n % 12, 2, n,
    clock_timestamp() - CASE WHEN n % 2 = 0 THEN interval '9 days' ELSE interval '1 day' END,
    decode(repeat('ab', $2), 'hex')
FROM generate_series(1, $1::integer) AS n
"""


def said(what: str, number: int, seconds: float) -> None:
    print(f"{what}: {number:,} in {seconds:.2f} s, {number / seconds:,.0f}/s")  # noqa: T201


async def measure_ledger(pool: Pool, rows: int) -> None:
    """Half of the rows are old, among those that are not."""
    async with pool.connection() as connection:
        await connection.execute(LEDGER, rows, BODY)
    forgetting = PostgresForgetting(pool)
    before = dict.fromkeys(range(12), ended_before(SystemClock().now()))
    began, pruned, slowest = time.perf_counter(), 0, 0.0
    one = began
    async for gone in forgetting.prune(before, 2_000):
        slowest = max(slowest, time.perf_counter() - one)
        pruned += gone
        one = time.perf_counter()
    said("ledger rows pruned, without pauses", pruned, time.perf_counter() - began)
    print(f"  the longest statement took {slowest * 1000:.0f} ms")  # noqa: T201


async def measure_history(pool: Pool, jobs: int) -> None:
    """Every job is over."""
    pruning = PostgresPruning(pool)
    before = SystemClock().now()
    began, rows, last = time.perf_counter(), 0, None
    while ends := await pruning.ended(before, last, 500):
        rows += await pruning.forget(sorted({end.job for end in ends}), before)
        last = ends[-1]
    said("jobs whose history was pruned, without pauses", jobs, time.perf_counter() - began)
    print(f"  {rows:,} rows")  # noqa: T201


async def project(settings: Settings, pool: Pool, jobs: int) -> None:
    kafka = settings.need_kafka()
    await append(settings, jobs, lambda _: None)
    async with KafkaLog(kafka) as log:
        projector = Projector(
            HistoryProjection(settings.topics, settings.partitions, AvroCodec()),
            readers=lambda places: KafkaReader(kafka, places),
            log=log,
            store=PostgresProjections(pool),
            clock=SystemClock(),
        )
        async with projector:
            while projector.projected < 2 * jobs:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)


async def measure(stack: Stack, jobs: int) -> None:
    settings = Settings(
        kafka=stack.kafka, database=stack.database, namespace="bench", replication=1
    )
    await migrate(settings)
    async with Pool(stack.database, 6, settings=SERVICE, patience=600) as pool:
        await measure_ledger(pool, 4 * jobs)
        await project(settings, pool, jobs)
        await measure_history(pool, jobs)


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with embedded() as stack:
        uvloop.run(measure(stack.stack, jobs))


if __name__ == "__main__":
    main()
