"""How many records a second go to Kafka and come back, at what cost, and how soon?

`pytest -m long -s tests/benchmarks/test_kafka.py` prints the figures; nothing is asserted of them.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from processor.adapters.kafka.log import KafkaLog
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.kafka.topics import create
from processor.domain.topics import Topics
from processor.local.stack import Stack
from processor.ports.log import Append, Place

pytestmark = pytest.mark.long

PARTITIONS = 12
RECORDS = 100_000
CALL = 500


@contextmanager
def measured(what: str, records: int = RECORDS) -> Iterator[None]:
    began, spent = time.monotonic(), time.process_time()
    yield
    lasted, used = time.monotonic() - began, time.process_time() - spent
    print(f"{what}: {records / lasted:,.0f} records/s, {used / records * 1e6:.1f} µs of CPU each")  # noqa: T201


@pytest.fixture
async def places(stack: Stack, namespace: str) -> list[Place]:
    topics = Topics(namespace)
    await create(stack.kafka, topics, partitions=PARTITIONS, copies=1, in_sync=1)
    return [Place(lane, number) for lane in topics.lanes for number in range(PARTITIONS)]


async def test_many_records_in_calls_of_500_over_48_partitions(
    stack: Stack, places: list[Place]
) -> None:
    chance = random.Random(1)
    records = [
        Append(chance.choice(places), b"entity-0001234", chance.randbytes(150) + bytes(130))
        for _ in range(RECORDS)
    ]
    async with KafkaLog(stack.kafka) as log, KafkaReader(stack.kafka, places) as reader:
        await log.append(records[:5000])
        for at_once in (1, 4):
            calls = iter([records[n : n + CALL] for n in range(0, RECORDS, CALL)])

            async def append(calls: Iterator[list[Append]] = calls) -> None:
                for call in calls:
                    assert all(isinstance(answer, int) for answer in await log.append(call))

            with measured(f"append, {at_once} calls at once"):
                await asyncio.gather(*(append() for _ in range(at_once)))
        for place in places:
            reader.place(place, 0)
        count, wanted = 0, 5000 + 2 * RECORDS
        with measured("fetch", wanted):
            while count < wanted:
                count += sum(map(len, (await reader.fetch(1.0, 1000)).values()))
        assert count == wanted


async def test_one_partition_that_is_worked_slower_than_it_is_fetched(
    stack: Stack, places: list[Place]
) -> None:
    records = [Append(places[0], b"", random.Random(n).randbytes(300)) for n in range(40_000)]
    async with KafkaLog(stack.kafka) as log:
        await log.append(records)
    async with KafkaReader(stack.kafka, places) as reader:
        for place in places:
            reader.place(place, 0)
        count, waits = 0, []
        with measured("one hot partition, worked at 20,000/s", len(records)):
            while count < len(records):
                began = time.monotonic()
                count += sum(map(len, (await reader.fetch(1.0, 200)).values()))
                waits.append(time.monotonic() - began)
                await asyncio.sleep(0.01)
    print(f"longest fetch {max(waits) * 1000:.0f} ms")  # noqa: T201


async def test_a_record_at_rest(stack: Stack, places: list[Place]) -> None:
    async with KafkaLog(stack.kafka) as log, KafkaReader(stack.kafka, places) as reader:
        for place in places:
            reader.place(place, 0)
        delays = []
        for number, place in enumerate(itertools.islice(itertools.cycle(places), 300)):
            fetching = asyncio.create_task(reader.fetch(10.0, 10))
            await asyncio.sleep(0.02)
            began = time.monotonic()
            await log.append([Append(place, b"", b"%d" % number)])
            assert await fetching
            delays.append((time.monotonic() - began) * 1000)
    p50, p99 = statistics.median(delays), statistics.quantiles(delays, n=100)[98]
    print(f"append → fetched: p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {max(delays):.1f} ms")  # noqa: T201
