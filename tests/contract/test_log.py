"""Do Kafka and memory append and read alike?"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from processor.adapters.clock import SystemClock
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.kafka.topics import create
from processor.adapters.memory.log import MemoryLog, MemoryReader
from processor.adapters.memory.topics import MemoryTopics
from processor.domain.limits import RECORD_BYTES
from processor.domain.topics import Topics
from processor.ports.log import Append, Log, LogCut, LogFailure, LogRecord, Place, Reader

PARTITIONS = 3


class World(Protocol):
    """One cluster with the topics of one namespace, and a log and a reader of it."""

    log: Log
    reader: Reader
    places: list[Place]

    async def cut(self, place: Place, before: int) -> None: ...


@dataclass
class MemoryWorld:
    topics: MemoryTopics
    log: Log
    reader: Reader
    places: list[Place]

    async def cut(self, place: Place, before: int) -> None:
        self.topics.cut(place, before)


@dataclass
class KafkaWorld:
    address: str
    log: Log
    reader: Reader
    places: list[Place]

    async def cut(self, place: Place, before: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        try:
            await admin.delete_records({TopicPartition(*place): RecordsToDelete(before)})
        finally:
            await admin.close()


@pytest.fixture(params=["memory", "kafka"])
async def world(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[World]:
    topics = Topics(namespace)
    places = [Place(topics.lanes[0], number) for number in range(PARTITIONS)]
    async with AsyncExitStack() as opened:
        if request.param == "memory":
            clock = SystemClock()
            memory = MemoryTopics(topics.every, PARTITIONS, clock)
            yield MemoryWorld(
                memory, MemoryLog(memory), MemoryReader(memory, places, clock), places
            )
        else:
            address = request.getfixturevalue("stack").kafka
            await create(address, topics, partitions=PARTITIONS, copies=1, in_sync=1)
            log = await opened.enter_async_context(KafkaLog(address))
            reader = await opened.enter_async_context(KafkaReader(address, places))
            yield KafkaWorld(address, log, reader, places)


def numbered(place: Place, numbers: Collection[int]) -> list[Append]:
    return [Append(place, b"key", str(number).encode()) for number in numbers]


def numbers_of(records: Collection[LogRecord]) -> list[int]:
    return [int(record.value or b"") for record in records]


async def read(
    reader: Reader, count: int, among: Collection[Place] | None = None
) -> dict[Place, list[LogRecord]]:
    """Fetch until so many records have come."""
    got: dict[Place, list[LogRecord]] = defaultdict(list)
    while sum(map(len, got.values())) < count:
        for place, records in (await reader.fetch(1.0, 1000, among)).items():
            got[place] += records
    return got


async def test_a_record_is_read_at_the_offset_that_was_returned(world: World) -> None:
    one, two, _ = world.places
    records = [*numbered(one, range(3)), *numbered(two, range(3, 5)), *numbered(one, [5])]
    offsets = await world.log.append(records)
    for place in world.places:
        world.reader.place(place, 0)
    got = await read(world.reader, 6)
    found = {(place, record.offset): record.value for place in got for record in got[place]}
    assert found == {
        (record.place, offset): record.value
        for record, offset in zip(records, offsets, strict=True)
    }


async def test_key_value_headers_and_the_time_of_appending_are_kept(world: World) -> None:
    place = world.places[0]
    before = SystemClock().now() // 1000
    headers = (("traceparent", b"00-1"), ("tracestate", b""))
    await world.log.append([Append(place, b"", b"\x00\xff", headers)])
    world.reader.place(place, 0)
    [record] = (await read(world.reader, 1))[place]
    assert (record.key, record.value, tuple(record.headers)) == (b"", b"\x00\xff", headers)
    assert before - 1 <= record.timestamp <= SystemClock().now() // 1000 + 1


async def test_overlapping_calls_keep_the_order_of_a_partition(world: World) -> None:
    calls = [
        [record for place in world.places for record in numbered(place, [2 * n, 2 * n + 1])]
        for n in range(200)
    ]
    answers = await asyncio.gather(*(world.log.append(call) for call in calls))
    assert not [answer for call in answers for answer in call if isinstance(answer, LogFailure)]
    for place in world.places:
        world.reader.place(place, 0)
    got = await read(world.reader, 1200)
    assert {place: numbers_of(got[place]) for place in got} == {
        place: list(range(400)) for place in world.places
    }


async def test_a_call_that_is_cancelled_leaves_the_others_in_their_order(world: World) -> None:
    place = world.places[0]
    calls = [
        asyncio.create_task(world.log.append(numbered(place, [2 * n, 2 * n + 1])))
        for n in range(100)
    ]
    await world.reader.bounds([place])
    for call in calls[10:90:3]:
        call.cancel()
    await asyncio.wait(calls)
    [last] = await world.log.append(numbered(place, [200]))
    assert isinstance(last, int)
    world.reader.place(place, 0)
    found = numbers_of((await read(world.reader, last + 1))[place])
    assert found == sorted(set(found))
    kept = {n for n, call in enumerate(calls) if not call.cancelled()}
    assert {2 * n for n in kept} | {2 * n + 1 for n in kept} <= set(found)


async def test_a_record_that_is_too_large_fails_alone(world: World) -> None:
    place = world.places[0]
    large = Append(place, b"key", bytes(RECORD_BYTES + 1))
    answers = await world.log.append([*numbered(place, [1]), large, *numbered(place, [2])])
    assert [answer for answer in answers if isinstance(answer, int)] == [0, 1]
    assert "4,194,304 at the most" in str(answers[1])
    assert await world.log.append(numbered(place, [3])) == [2]


async def test_a_record_for_a_partition_that_is_not_there_fails_alone(world: World) -> None:
    nowhere = Place(world.places[0].topic, PARTITIONS)
    there, missing = await world.log.append(
        [*numbered(world.places[0], [1]), *numbered(nowhere, [2])]
    )
    assert there == 0
    assert isinstance(missing, LogFailure)


async def test_appending_nothing_answers_nothing(world: World) -> None:
    assert await world.log.append([]) == []


async def test_a_partition_is_read_only_between_place_and_leave(world: World) -> None:
    one, two, _ = world.places
    await world.log.append([*numbered(one, [1]), *numbered(two, [2])])
    world.reader.place(one, 0)
    assert set(await read(world.reader, 1)) == {one}
    world.reader.leave(one)
    world.reader.place(two, 0)
    await world.log.append(numbered(one, [3]))
    await world.log.append(numbered(two, [4]))
    got = await read(world.reader, 2)
    assert {place: numbers_of(got[place]) for place in got} == {two: [2, 4]}


async def test_a_kept_partition_goes_on_while_others_come_and_go(world: World) -> None:
    kept, other, third = world.places
    await world.log.append([*numbered(kept, range(2000)), *numbered(other, range(2000))])
    world.reader.place(kept, 0)
    seen: list[int] = []
    while len(seen) < 2000:
        world.reader.place(other, 7)
        world.reader.place(third, 0)
        got = await world.reader.fetch(1.0, 60)
        seen += numbers_of(got.get(kept, ()))
        world.reader.leave(other)
        world.reader.leave(third)
    assert seen == list(range(2000))


async def test_what_was_left_and_placed_again_starts_where_it_is_told(world: World) -> None:
    place = world.places[0]
    await world.log.append(numbered(place, range(1000)))
    world.reader.place(place, 0)
    first = (await world.reader.fetch(5.0, 10))[place]
    assert numbers_of(first) == list(range(len(first)))
    world.reader.leave(place)
    world.reader.place(place, 500)
    got = (await read(world.reader, 500))[place]
    assert numbers_of(got) == list(range(500, 1000))
    world.reader.place(place, 3)
    assert numbers_of((await read(world.reader, 997))[place]) == list(range(3, 1000))


async def test_a_fetch_gives_its_limit_at_the_most(world: World) -> None:
    for place in world.places:
        await world.log.append(numbered(place, range(100)))
        world.reader.place(place, 0)
    sizes: list[int] = []
    while sum(sizes) < 300:
        got = await world.reader.fetch(1.0, 7)
        sizes.append(sum(map(len, got.values())))
    assert max(sizes) == 7


async def test_what_a_fetch_leaves_out_is_fetched_later(world: World) -> None:
    one, two, three = world.places
    for place in world.places:
        await world.log.append(numbered(place, range(50)))
        world.reader.place(place, 0)
    got = await read(world.reader, 100, among=[one, two])
    assert set(got) == {one, two}
    assert await world.reader.fetch(0.0, 10, among=[one]) == {}
    assert numbers_of((await read(world.reader, 50))[three]) == list(range(50))


async def test_a_partition_left_out_for_long_is_then_read_whole_and_in_order(
    world: World,
) -> None:
    full, other, _ = world.places
    value = b"%06d" + bytes(1500)
    for begin in range(0, 4000, 1000):
        await world.log.append(
            [Append(full, b"", value % number) for number in range(begin, begin + 1000)]
        )
    world.reader.place(full, 0)
    world.reader.place(other, 0)
    for number in range(20):
        await world.log.append(numbered(other, [number]))
        assert numbers_of((await read(world.reader, 1, among=[other]))[other]) == [number]
    got = (await read(world.reader, 4000, among=[full]))[full]
    assert [int((record.value or b"")[:6]) for record in got] == list(range(4000))


async def test_a_fetch_of_nothing_ends_by_itself(world: World) -> None:
    assert await world.reader.fetch(0.01, 10) == {}
    world.reader.place(world.places[0], 0)
    assert await world.reader.fetch(0.01, 10) == {}
    assert await world.reader.fetch(0.01, 10, among=[]) == {}


async def test_a_waiting_fetch_hears_of_what_is_appended(world: World) -> None:
    place = world.places[0]
    world.reader.place(place, 0)
    waiting = asyncio.create_task(world.reader.fetch(60.0, 10))
    await world.reader.bounds([place])
    await world.log.append(numbered(place, [1]))
    assert numbers_of((await waiting)[place]) == [1]


async def test_a_place_that_was_cut_off_is_said_to_be(world: World) -> None:
    place, other, _ = world.places
    await world.log.append([*numbered(place, range(10)), *numbered(other, range(10))])
    await world.cut(place, 6)
    world.reader.place(place, 5)
    with pytest.raises(LogCut, match="holds offsets 6 to 10, not 5") as raised:
        await read(world.reader, 1)
    assert (raised.value.place, raised.value.offset) == (place, 5)
    world.reader.leave(place)
    world.reader.place(other, 0)
    assert numbers_of((await read(world.reader, 10))[other]) == list(range(10))
    world.reader.place(place, 6)
    assert numbers_of((await read(world.reader, 4))[place]) == [6, 7, 8, 9]


async def test_a_place_that_the_log_has_not_reached_is_a_hole_too(world: World) -> None:
    place = world.places[0]
    await world.log.append(numbered(place, range(3)))
    world.reader.place(place, 4)
    with pytest.raises(LogCut, match="holds offsets 0 to 3, not 4"):
        await read(world.reader, 1)


async def test_bounds_are_the_first_that_is_held_and_the_next_to_come(world: World) -> None:
    one, two, three = world.places
    await world.log.append([*numbered(one, range(5)), *numbered(two, range(2))])
    await world.cut(one, 3)
    assert await world.reader.bounds(world.places) == {one: (3, 5), two: (0, 2), three: (0, 0)}
