"""Do Kafka's subscriptions and those in memory keep the same promises?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import pytest

from processor.adapters.avro import AvroCodec
from processor.adapters.clock import SystemClock
from processor.adapters.event_kinds import EventKinds
from processor.adapters.kafka.connection import cut
from processor.adapters.kafka.event_bus import KafkaEventBus
from processor.adapters.kafka.log import KafkaLog
from processor.adapters.kafka.subscriber import KafkaSource
from processor.adapters.kafka.topics import create
from processor.adapters.memory.event_bus import MemoryEventBus, MemoryGroups, MemorySource
from processor.adapters.memory.log import MemoryLog
from processor.adapters.memory.topics import MemoryTopics
from processor.adapters.subscribing import Subscribed
from processor.domain.dead_letter import JobFailed
from processor.domain.errors import ConfigurationError
from processor.domain.events import ErrorDetail, Reason
from processor.domain.ids import JobId, dead_letter_id, event_id
from processor.domain.submission import Trace
from processor.domain.topics import Topics
from processor.ports.event_bus import EventBus, Subscription
from processor.ports.log import Append, Log, LogFailure, Place

PARTITIONS = 4
CODEC = AvroCodec()
TRACE = Trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


class World(Protocol):
    """One cluster; every bus is a process of its own."""

    log: Log
    kinds: EventKinds

    def bus(self) -> EventBus: ...
    async def kill(self, subscription: Subscription[JobFailed]) -> None:
        """End a subscriber's process as a power loss would."""


@dataclass
class MemoryWorld:
    log: Log
    kinds: EventKinds
    groups: MemoryGroups

    def bus(self) -> EventBus:
        return MemoryEventBus(self.groups, self.kinds, self.log)

    async def kill(self, subscription: Subscription[JobFailed]) -> None:
        assert isinstance(subscription, Subscribed)
        source = subscription._source  # noqa: SLF001 - cut in there
        assert isinstance(source, MemorySource)
        self.groups.expel(source)


@dataclass
class KafkaWorld:
    log: Log
    kinds: EventKinds
    address: str
    held: AsyncExitStack
    patience: float = 300.0

    def bus(self) -> EventBus:
        bus = KafkaEventBus(
            self.address,
            self.kinds,
            self.log,
            session_seconds=1.0,
            patience_seconds=self.patience,
        )
        self.held.push_async_exit(bus)
        return bus

    async def kill(self, subscription: Subscription[JobFailed]) -> None:
        assert isinstance(subscription, Subscribed)
        source = subscription._source  # noqa: SLF001 - cut in there
        assert isinstance(source, KafkaSource)
        committing = source._committing  # noqa: SLF001 - the same
        assert committing is not None
        committing.cancel()
        source._closed = True  # noqa: SLF001 - the dead close nothing
        await cut(source._consumer)  # noqa: SLF001 - the same


@pytest.fixture(params=["memory", "kafka"])
async def world(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[World]:
    topics = Topics(namespace)
    kinds = EventKinds(topics, PARTITIONS, CODEC)
    if request.param == "memory":
        broker = MemoryTopics(topics.every, PARTITIONS, SystemClock())
        yield MemoryWorld(MemoryLog(broker), kinds, MemoryGroups(broker))
        return
    address = request.getfixturevalue("stack").kafka
    await create(address, topics, partitions=PARTITIONS, copies=1, in_sync=1)
    async with KafkaLog(address) as log, AsyncExitStack() as held:
        yield KafkaWorld(log, kinds, address, held)


@pytest.fixture
async def kafka(stack: object, namespace: str) -> AsyncIterator[KafkaWorld]:
    topics = Topics(namespace)
    address: str = stack.kafka  # type: ignore[attr-defined]
    await create(address, topics, partitions=PARTITIONS, copies=1, in_sync=1)
    async with KafkaLog(address) as log, AsyncExitStack() as held:
        kinds = EventKinds(topics, PARTITIONS, CODEC)
        yield KafkaWorld(log, kinds, address, held, patience=1.0)


def failed(number: int, entity: str | None = None) -> JobFailed:
    job = JobId(UUID(int=number + 1))
    return JobFailed(
        job=job,
        generation=1,
        type="flight.landed",
        tenant=None,
        entity=f"entity-{number}" if entity is None else entity,
        reason=Reason.HANDLER_FAILED,
        error=ErrorDetail(Reason.HANDLER_FAILED, "ValueError", str(number)),
        attempts=5,
        dead_letter=dead_letter_id(job, 1),
        batch=None,
        request_id="r",
        trace=TRACE,
        at=1_800_000_000_000_000,
        event_id=event_id(job, 1, 1, number),
    )


async def publish(world: World, *events: JobFailed) -> None:
    bus = world.bus()
    await asyncio.gather(*(bus.publish(event) for event in events))


def number(event: JobFailed) -> int:
    return int(event.error.message)


async def first(subscription: Subscription[JobFailed], many: int) -> list[int]:
    """The numbers of the next events, each handled but the last."""
    return [number(await anext(subscription)) for _ in range(many)]


def in_background(
    subscription: Subscription[JobFailed], note: Callable[[int], None]
) -> asyncio.Task[None]:
    async def read() -> None:
        async for event in subscription:
            note(number(event))

    work: Coroutine[None, None, None] = read()
    return asyncio.create_task(work)


class Heard:
    """What several subscribers heard, and until when to wait."""

    def __init__(self) -> None:
        self.by: dict[str, list[int]] = {}
        self._news = asyncio.Event()

    def noting(self, name: str) -> Callable[[int], None]:
        mine = self.by.setdefault(name, [])

        def note(number: int) -> None:
            mine.append(number)
            self._news.set()

        return note

    def all(self) -> set[int]:
        return {number for mine in self.by.values() for number in mine}

    async def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._news.clear()
            await self._news.wait()


async def test_an_event_is_heard_as_it_was_published(world: World) -> None:
    event = failed(1)
    await publish(world, event)
    async with world.bus().subscribe(JobFailed, group="billing") as heard:
        assert await anext(heard) == event


async def test_an_event_stands_under_its_entity_and_names_its_trace(world: World) -> None:
    (record,) = world.bus().records(failed(1, "N123"))
    assert record.key == b"N123"
    assert record.place.topic.endswith(".failed")
    assert record.headers == (("traceparent", TRACE.traceparent.encode()),)
    (again,) = world.bus().records(failed(2, "N123"))
    assert again.place == record.place


async def test_two_groups_each_hear_every_event_once(world: World) -> None:
    async with AsyncExitStack() as held:
        heard = Heard()
        readers = []
        for group in ("billing", "alarms"):
            subscription = world.bus().subscribe(JobFailed, group=group)
            await held.enter_async_context(subscription)
            readers.append(in_background(subscription, heard.noting(group)))
        await publish(world, *(failed(number) for number in range(40)))
        await heard.until(lambda: all(len(mine) >= 40 for mine in heard.by.values()))
    await asyncio.gather(*readers)
    assert {name: sorted(mine) for name, mine in heard.by.items()} == {
        "billing": list(range(40)),
        "alarms": list(range(40)),
    }


async def test_the_events_of_an_entity_come_in_their_order(world: World) -> None:
    for one in range(20):
        await publish(world, failed(one, "N123"))
    async with world.bus().subscribe(JobFailed, group="billing") as heard:
        assert await first(heard, 20) == list(range(20))


async def test_a_subscriber_that_was_away_catches_up_and_hears_nothing_twice(world: World) -> None:
    await publish(world, *(failed(number, "e") for number in range(3)))
    async with aclosing(world.bus().subscribe(JobFailed, group="billing")) as heard:
        assert await first(heard, 3) == [0, 1, 2]
    await publish(world, *(failed(number, "e") for number in range(3, 5)))
    async with aclosing(world.bus().subscribe(JobFailed, group="billing")) as heard:
        # The last one was not handled: its subscriber had not come back for the next.
        assert await first(heard, 3) == [2, 3, 4]


async def test_what_was_handled_before_a_crash_is_not_lost_and_what_was_not_comes_again(
    world: World,
) -> None:
    await publish(world, *(failed(number, "e") for number in range(10)))
    dying = world.bus().subscribe(JobFailed, group="billing")
    assert await first(dying, 4) == [0, 1, 2, 3]
    await world.kill(dying)
    async with world.bus().subscribe(JobFailed, group="billing") as heard:
        again = number(await anext(heard))
        assert again <= 3, "it was in the hands of the one that died"
        assert await first(heard, 9 - again) == list(range(again + 1, 10))


async def test_a_copy_is_dropped_where_the_first_was_heard(world: World) -> None:
    await publish(world, failed(1, "e"))
    await publish(world, failed(1, "e"))
    await publish(world, failed(2, "e"))
    async with world.bus().subscribe(JobFailed, group="billing") as heard:
        assert await first(heard, 2) == [1, 2]


async def test_members_of_a_group_share_its_events(world: World) -> None:
    heard = Heard()
    async with AsyncExitStack() as held:
        readers = []
        for name in ("a", "b"):
            member = world.bus().subscribe(JobFailed, group="billing")
            await held.enter_async_context(member)
            readers.append(in_background(member, heard.noting(name)))
        published = 0

        async def publish_until_both_hear() -> None:
            nonlocal published
            while not all(heard.by.values()):
                await publish(world, *(failed(published + more) for more in range(20)))
                published += 20
                await asyncio.sleep(0)

        await publish_until_both_hear()
        await heard.until(lambda: heard.all() >= set(range(published)))
    await asyncio.gather(*readers)


async def test_no_rebalance_loses_an_event(world: World) -> None:
    """Members come, leave and die all the time; somebody hears of each event."""
    heard = Heard()
    async with AsyncExitStack() as held:
        staying = world.bus().subscribe(JobFailed, group="billing")
        await held.enter_async_context(staying)
        readers = [in_background(staying, heard.noting("staying"))]
        for turn in range(3):
            start = turn * 40
            await publish(world, *(failed(start + more) for more in range(20)))
            passing = world.bus().subscribe(JobFailed, group="billing")
            await held.enter_async_context(passing)
            mine: list[int] = heard.by.setdefault(f"passing-{turn}", [])
            reader = in_background(passing, heard.noting(f"passing-{turn}"))
            readers.append(reader)
            await publish(world, *(failed(start + 20 + more) for more in range(20)))
            more = 0
            while not mine:  # until the group has taken it in
                more += 1
                await publish(world, failed(1_000 * (turn + 1) + more))
                await asyncio.sleep(0)
            if turn == 1:
                reader.cancel()
                await world.kill(passing)
            else:
                await passing.aclose()
        await heard.until(lambda: heard.all() >= set(range(120)))
    await asyncio.gather(*readers, return_exceptions=True)


async def test_waiting_may_be_cancelled_and_loses_nothing(world: World) -> None:
    came: list[int] = []
    async with world.bus().subscribe(JobFailed, group="billing") as heard:
        for one in range(20):
            waiting = asyncio.ensure_future(anext(heard))
            await asyncio.sleep(0)
            await publish(world, failed(one, "e"))
            for _ in range(one % 5):
                await asyncio.sleep(0)
            waiting.cancel()
            (got,) = await asyncio.gather(waiting, return_exceptions=True)
            if isinstance(got, JobFailed):  # it came before it was cancelled
                came.append(number(got))
            else:
                assert isinstance(got, asyncio.CancelledError)
        came += await first(heard, 20 - len(came))
    assert came == list(range(20))


async def test_closing_ends_whoever_waits_and_closing_twice_is_harmless(world: World) -> None:
    heard = world.bus().subscribe(JobFailed, group="billing")
    await publish(world, failed(1))
    await anext(heard)
    waiting = asyncio.ensure_future(anext(heard))
    await asyncio.sleep(0)
    await heard.aclose()
    with pytest.raises(StopAsyncIteration):
        await waiting
    await heard.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(heard)


async def test_a_record_that_is_no_event_is_passed_over(world: World) -> None:
    (good,) = world.bus().records(failed(2, "e"))
    bad = Append(good.place, good.key, b"\xc3\x01nothing of ours"[:5])
    assert all(isinstance(answer, int) for answer in await world.log.append([bad, good]))
    async with world.bus().subscribe(JobFailed, group="billing") as heard:
        assert await first(heard, 1) == [2]


async def test_an_event_of_a_later_release_stops_its_subscriber_until_it_is_deployed(
    world: World,
) -> None:
    (good,) = world.bus().records(failed(2, "e"))
    later = Append(good.place, good.key, b"\xc3\x01" + b"\x07" * 8 + good.value[10:])
    await world.log.append([later, good])
    async with world.bus().subscribe(JobFailed, group="billing") as heard:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="deploy the subscriber again"):
                await anext(heard)
    async with world.bus().subscribe(JobFailed, group="billing") as heard:
        with pytest.raises(ConfigurationError, match="deploy the subscriber again"):
            await anext(heard)


async def test_what_is_no_event_and_what_names_no_group_is_refused_in_one_line(
    world: World,
) -> None:
    bus = world.bus()
    with pytest.raises(
        ConfigurationError, match="Append is no event of the bus; there is BreakerC"
    ):
        bus.subscribe(Append, group="billing")  # type: ignore[type-var]
    for name in ("", "a b", "-a", "x" * 101):
        with pytest.raises(ConfigurationError, match="cannot name a group"):
            bus.subscribe(JobFailed, group=name)


async def test_publishing_where_the_log_refuses_says_so(world: World) -> None:
    elsewhere = EventKinds(Topics("nowhere-at-all"), PARTITIONS, CODEC)
    bus = MemoryEventBus(
        MemoryGroups(MemoryTopics((), PARTITIONS, SystemClock())),
        elsewhere,
        MemoryLog(MemoryTopics((), PARTITIONS, SystemClock())),
    )
    with pytest.raises(LogFailure):
        await bus.publish(failed(1))


async def test_whoever_takes_too_long_for_an_event_hands_over_and_comes_back(
    kafka: KafkaWorld,
) -> None:
    await publish(kafka, failed(0, "e"))
    async with AsyncExitStack() as held:
        slow = await held.enter_async_context(kafka.bus().subscribe(JobFailed, group="billing"))
        assert await first(slow, 1) == [0]
        other = await held.enter_async_context(kafka.bus().subscribe(JobFailed, group="billing"))
        assert await first(other, 1) == [0], "the slow one has lost its partitions"
        await other.aclose()
        await publish(kafka, failed(1, "e"))
        back = await first(slow, 1)
        assert back == [1]


async def test_a_place_of_events_is_every_partition_of_their_topic() -> None:
    kinds = EventKinds(Topics("jobs"), 2, CODEC)
    assert kinds.places(JobFailed) == [Place("jobs.failed", 0), Place("jobs.failed", 1)]
