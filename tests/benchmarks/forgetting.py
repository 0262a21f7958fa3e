"""How fast is the ledger pruned, and how fast are the tables rebuilt?

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
from processor.adapters.kafka.cutting import KafkaCutting
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.kafka.topics import create
from processor.adapters.postgres.cluster import Cluster
from processor.adapters.postgres.forgetting import PostgresForgetting
from processor.adapters.postgres.migrations import migrate
from processor.adapters.postgres.office import PostgresOffice
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.adapters.postgres.projection import PostgresProjections
from processor.adapters.postgres.pruning import PostgresPruning
from processor.adapters.postgres.rebuilding import PostgresRebuilding
from processor.domain.horizon import ended_before
from processor.testing.embedded import embedded
from projections.dead_letters import DeadLetterProjection
from projections.history import HistoryProjection
from projections.projector import Projector
from projections.rebuild import Means, Rebuild
from tests.benchmarks.projecting import PARTITIONS, TOPICS, append

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


async def measure_rebuild(stack: Stack, pool: Pool, patient: Pool, jobs: int) -> None:
    of = TOPICS, PARTITIONS, AvroCodec()
    async with KafkaLog(stack.kafka) as log:
        await append(log, jobs)
        projector = Projector(
            HistoryProjection(*of),
            readers=lambda places: KafkaReader(stack.kafka, places),
            log=log,
            store=PostgresProjections(pool),
            clock=SystemClock(),
        )
        async with projector:
            while projector.projected < 2 * jobs:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
    means = Means(
        office=PostgresOffice(pool, "rebuild"),
        store=PostgresRebuilding(pool, patient, TOPICS),
        extent=KafkaCutting(stack.kafka),
        readers=lambda places: KafkaReader(stack.kafka, places),
        clock=SystemClock(),
    )
    rebuild = Rebuild([HistoryProjection(*of), DeadLetterProjection(*of)], means)
    began = time.perf_counter()
    running = asyncio.create_task(rebuild.run(although_different=True))
    stages: dict[str, float] = {}
    while not running.done():
        one = time.perf_counter()
        await asyncio.wait({running}, timeout=0.01)
        stages[rebuild.stage] = stages.get(rebuild.stage, 0) + time.perf_counter() - one
    rebuilt = await running
    said("jobs rebuilt", jobs, time.perf_counter() - began)
    told = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in stages.items())
    print(f"  {rebuilt.records:,} records, {rebuilt.comparison}; {told}")  # noqa: T201


async def measure(stack: Stack, jobs: int) -> None:
    await migrate(stack.database)
    await create(stack.kafka, TOPICS, partitions=PARTITIONS, copies=1, in_sync=1)
    async with (
        Pool(stack.database, 6, settings=SERVICE, patience=600) as pool,
        Pool(stack.database, 1, patience=600) as patient,
    ):
        await Cluster(pool).pin(PARTITIONS, "cluster", {})
        await measure_ledger(pool, 4 * jobs)
        await measure_rebuild(stack, pool, patient, jobs)
        await measure_history(pool, jobs)


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with embedded() as stack:
        uvloop.run(measure(stack.stack, jobs))


if __name__ == "__main__":
    main()
