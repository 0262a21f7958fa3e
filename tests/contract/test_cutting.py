"""Do memory and Kafka cut the log alike, and tell alike how far it reaches?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from processor.adapters.kafka.cutting import KafkaCutting
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.kafka.topics import create
from processor.adapters.memory.clock import ManualClock
from processor.adapters.memory.cutting import MemoryCutting
from processor.adapters.memory.log import MemoryLog
from processor.adapters.memory.topics import MemoryTopics
from processor.domain.errors import Unavailable
from processor.domain.topics import Topics
from processor.ports.cutting import Cutting
from processor.ports.log import Append, Log, LogCut, Place


@dataclass
class Parts:
    cutting: Cutting
    log: Log
    place: Place
    other: Place

    async def append(self, number: int) -> None:
        records = [Append(self.place, b"k", str(one).encode()) for one in range(number)]
        assert await self.log.append(records) == [*range(number)]


@pytest.fixture(params=["memory", "kafka"])
async def parts(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Parts]:
    topics = Topics(namespace)
    places = Place(topics.events, 0), Place(topics.events, 1)
    if request.param == "memory":
        held = MemoryTopics(topics.every, 2, ManualClock())
        yield Parts(MemoryCutting(held), MemoryLog(held), *places)
        return
    stack = await asyncio.to_thread(request.getfixturevalue, "stack")
    await create(stack.kafka, topics, partitions=2, copies=1, in_sync=1)
    async with KafkaLog(stack.kafka) as log:
        yield Parts(KafkaCutting(stack.kafka), log, *places)


async def test_what_is_below_the_cut_is_gone_and_the_rest_stays(parts: Parts) -> None:
    await parts.append(5)
    both = [parts.place, parts.other]
    assert await parts.cutting.bounds(both) == {parts.place: (0, 5), parts.other: (0, 0)}
    await parts.cutting.cut({parts.place: 3})
    assert await parts.cutting.bounds(both) == {parts.place: (3, 5), parts.other: (0, 0)}
    with pytest.raises(LogCut, match="holds offsets 3 to 5, not 2"):
        await parts.cutting.appended_at({parts.place: 2})


async def test_a_cut_that_is_repeated_or_comes_late_changes_nothing(parts: Parts) -> None:
    await parts.append(5)
    for below in (3, 3, 1):
        await parts.cutting.cut({parts.place: below})
        assert await parts.cutting.bounds([parts.place]) == {parts.place: (3, 5)}
    await parts.cutting.cut({})


async def test_everything_may_be_cut_and_the_next_record_follows(parts: Parts) -> None:
    await parts.append(2)
    await parts.cutting.cut({parts.place: 2})
    assert await parts.cutting.bounds([parts.place]) == {parts.place: (2, 2)}
    assert await parts.cutting.appended_at({parts.place: 2}) == {}
    assert await parts.log.append([Append(parts.place, b"k", b"v")]) == [2]


async def test_the_time_of_a_record_is_told_and_none_at_the_end(parts: Parts) -> None:
    await parts.append(3)
    told = await parts.cutting.appended_at({parts.place: 0, parts.other: 0})
    assert [*told] == [parts.place]
    assert told[parts.place] > 1_700_000_000_000_000
    later = await parts.cutting.appended_at({parts.place: 2})
    assert later[parts.place] >= told[parts.place]
    assert await parts.cutting.appended_at({}) == {}


async def test_a_broker_that_is_away_is_told_by_its_address() -> None:
    cutting = KafkaCutting("127.0.0.1:9")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        await cutting.cut({Place("jobs.events", 0): 1})
