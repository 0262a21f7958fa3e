"""What holds at the clients of Kafka while the broker dies, hangs, or refuses?"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from processor.adapters.kafka.log import KafkaLog, size_of
from processor.adapters.kafka.membership import KafkaMembership
from processor.adapters.kafka.reader import KafkaReader
from processor.adapters.kafka.requirements import settings
from processor.adapters.kafka.topics import create
from processor.domain.errors import Unavailable
from processor.domain.limits import RECORD_BYTES
from processor.domain.topics import Topics
from processor.local.stack import LocalStack
from processor.ports.log import Append, LogFailure, Place

PARTITIONS = 4


@pytest.fixture
def address(local_stack: LocalStack) -> str:
    return local_stack.stack.kafka


@pytest.fixture
async def topics(address: str, namespace: str) -> Topics:
    made = Topics(namespace)
    await create(address, made, partitions=PARTITIONS, copies=1, in_sync=1)
    return made


@pytest.fixture
def places(topics: Topics) -> list[Place]:
    return [Place(topics.events, number) for number in range(PARTITIONS)]


def incompressible(size: int) -> bytes:
    return random.Random(size).randbytes(size)


class Appending:
    """Appends numbers to every place in calls that overlap, and remembers what was answered."""

    def __init__(self, log: KafkaLog, places: list[Place]) -> None:
        self.log, self.places = log, places
        self.sent = 0
        self.acked: dict[Place, dict[int, int]] = defaultdict(dict)
        self.calls: list[asyncio.Task[None]] = []
        self.more = asyncio.Event()

    def another(self, records: int = 5) -> None:
        self.calls.append(asyncio.create_task(self._call(range(self.sent, self.sent + records))))
        self.sent += records

    async def _call(self, numbers: range) -> None:
        wanted = [Append(place, b"", b"%d" % number) for place in self.places for number in numbers]
        for record, answer in zip(wanted, await self.log.append(wanted), strict=True):
            assert isinstance(answer, int), answer
            self.acked[record.place][int(record.value)] = answer
        self.more.set()

    async def until_acked(self, calls: int) -> None:
        """Go on with a few calls under way until that many more have been answered."""
        goal = sum(call.done() for call in self.calls) + calls
        while (done := sum(call.done() for call in self.calls)) < goal:
            while len(self.calls) < done + 8:
                self.another()
            self.more.clear()
            await self.more.wait()

    async def end(self) -> None:
        await asyncio.gather(*self.calls)


async def everything(address: str, places: list[Place]) -> dict[Place, list[int]]:
    """The numbers in each place, in the order of the log."""
    async with KafkaReader(address, places) as reader:
        ends = await reader.bounds(places)
        for place in places:
            reader.place(place, 0)
        found: dict[Place, list[int]] = defaultdict(list)
        while sum(map(len, found.values())) < sum(end for _, end in ends.values()):
            for place, records in (await reader.fetch(1.0, 1000)).items():
                found[place] += [int(record.value or b"") for record in records]
    return found


async def assert_appended_in_order(appending: Appending, address: str, *, once: bool) -> None:
    found = await everything(address, appending.places)
    for place in appending.places:
        numbers = found[place]
        assert list(dict.fromkeys(numbers)) == list(range(appending.sent))
        assert {numbers[offset]: number for number, offset in appending.acked[place].items()} == {
            number: number for number in range(appending.sent)
        }
        if once:
            assert len(numbers) == appending.sent


async def test_appends_go_on_after_the_broker_was_killed_and_nothing_is_lost_or_turned_round(
    local_stack: LocalStack, address: str, places: list[Place]
) -> None:
    async with KafkaLog(address) as log:
        appending = Appending(log, places)
        await appending.until_acked(100)
        for _ in range(8):
            appending.another()
        await asyncio.to_thread(local_stack.kill, "kafka")
        for _ in range(8):
            appending.another()
        await asyncio.to_thread(local_stack.start, "kafka")
        await appending.until_acked(100)
        await appending.end()
        await assert_appended_in_order(appending, address, once=not log.replaced)


async def test_an_append_says_in_one_line_that_the_broker_did_not_answer_in_time(
    local_stack: LocalStack, address: str, places: list[Place]
) -> None:
    record = Append(places[0], b"", b"1")
    async with KafkaLog(address) as log:
        assert await log.append([record]) == [0]
        with local_stack.frozen("kafka"):
            answers = await log.append([record, record], timeout=0.2)
        for answer in answers:
            assert isinstance(answer, LogFailure)
            assert str(answer) == f"the broker at {address} did not acknowledge within 0.2 s"
        [offset] = await log.append([record])
        assert isinstance(offset, int)


async def test_a_log_ends_although_the_broker_hangs_and_fails_what_it_was_asked(
    local_stack: LocalStack, address: str, places: list[Place]
) -> None:
    opened = AsyncExitStack()
    log = await opened.enter_async_context(KafkaLog(address))
    await log.append([Append(places[0], b"", b"1")])
    with local_stack.frozen("kafka"):
        waiting = asyncio.create_task(log.append([Append(places[0], b"", b"2")]))
        await log.append([Append(places[0], b"", b"3")], timeout=0.2)
        crowded = asyncio.create_task(log.append([Append(places[1], b"", bytes(2_000_000))] * 20))
        await log.append([Append(places[1], b"", b"4")], timeout=0.0)
        await opened.aclose()
        [answer] = await waiting
        assert {str(each) for each in await crowded} == {str(answer)}
        assert [str(each) for each in await log.append([Append(places[0], b"", b"")])] == [
            str(answer)
        ]
    assert "was closed before the broker had answered" in str(answer)


async def test_a_producer_whose_sequence_has_a_hole_is_replaced_and_order_stays(
    address: str, places: list[Place]
) -> None:
    async with KafkaLog(address) as log:
        appending = Appending(log, places)
        await appending.until_acked(20)
        carrier = await log._producing.ready()  # noqa: SLF001 - the hole cannot be made outside
        carrier.producer._txn_manager._sequence_numbers[places[0]] += 7  # noqa: SLF001
        await appending.until_acked(50)
        await appending.end()
        assert log.replaced == 1
        await assert_appended_in_order(appending, address, once=False)


async def test_a_record_that_the_broker_alone_finds_too_large_fails_alone(
    address: str, topics: Topics
) -> None:
    small = settings(topics, topics.lanes[3], 1) | {"max.message.bytes": "100000"}
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topics.lanes[3], small)])
    await admin.close()
    place = Place(topics.lanes[3], 0)
    async with KafkaLog(address) as log:
        before = [Append(place, b"", b"%d" % number) for number in range(3)]
        after = [Append(place, b"", b"%d" % number) for number in range(3, 6)]
        large = Append(place, b"", incompressible(200_000))
        answers = await log.append([*before, large, *after])
        assert [answer for answer in answers if isinstance(answer, int)] == [0, 1, 2, 3, 4, 5]
        assert "takes no record of this size" in str(answers[3])
        assert (await everything(address, [place]))[place] == [0, 1, 2, 3, 4, 5]


async def test_the_largest_record_that_is_let_through_is_taken(
    address: str, places: list[Place]
) -> None:
    empty = Append(places[0], b"key", b"", (("traceparent", b"0" * 55),))
    value = incompressible(RECORD_BYTES - size_of(empty) - RECORD_BYTES // 4096)
    record = Append(places[0], b"key", value, empty.headers)
    assert RECORD_BYTES - 10 < size_of(record) <= RECORD_BYTES
    async with KafkaLog(address) as log, KafkaReader(address, places) as reader:
        assert await log.append([record]) == [0]
        reader.place(places[0], 0)
        [read] = (await reader.fetch(30.0, 10))[places[0]]
        assert read.value == value


async def test_more_bytes_than_may_be_on_their_way_are_let_in_bit_by_bit_and_in_order(
    address: str, places: list[Place]
) -> None:
    async with KafkaLog(address, in_flight=1000) as log:
        appending = Appending(log, places)
        appending.another(500)
        appending.another(500)
        await appending.end()
        await assert_appended_in_order(appending, address, once=True)


async def test_a_reader_goes_on_where_it_was_after_the_broker_was_killed(
    local_stack: LocalStack, address: str, places: list[Place]
) -> None:
    async with KafkaLog(address) as log, KafkaReader(address, places) as reader:
        place = places[0]
        reader.place(place, 0)
        await log.append([Append(place, b"", b"%d" % number) for number in range(10)])
        assert len((await reader.fetch(30.0, 10))[place]) == 10
        await asyncio.to_thread(local_stack.kill, "kafka")
        assert await reader.fetch(0.2, 10) == {}
        await asyncio.to_thread(local_stack.start, "kafka")
        await log.append([Append(place, b"", b"10")])
        [record] = (await reader.fetch(30.0, 10))[place]
        assert (record.offset, record.value) == (10, b"10")


async def test_a_reader_whose_fetching_has_died_says_so(
    address: str, places: list[Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with KafkaReader(address, places) as reader:
        reader.place(places[0], 0)
        waiting = asyncio.create_task(reader.fetch(60.0, 10))
        await reader.bounds(places)
        monkeypatch.setattr(reader._consumer._fetcher, "_get_actions_per_node", None)  # noqa: SLF001
        with pytest.raises(Unavailable, match=r"the reader of .* has ended"):
            await waiting


async def eventually(member: KafkaMembership, fits: Callable[[float], bool]) -> None:
    while not fits(member.heartbeat_age()):  # noqa: ASYNC110 - an age says no word of itself
        await asyncio.sleep(0.05)


async def test_a_member_sees_its_heartbeats_age_while_the_broker_hangs_and_recovers(
    local_stack: LocalStack, address: str, topics: Topics
) -> None:
    async with KafkaMembership(
        address,
        f"worker.{topics.namespace}",
        topics.lanes,
        PARTITIONS,
        session_seconds=6.0,
        heartbeat_seconds=0.2,
    ) as member:
        await member.changed()
        await eventually(member, lambda age: age < 0.5)
        with local_stack.frozen("kafka"):
            await eventually(member, lambda age: age > 1.5)
        await eventually(member, lambda age: age < 0.5)
        assert member.assigned() == set(range(PARTITIONS))


async def test_a_member_is_in_the_group_again_after_the_broker_was_killed(
    local_stack: LocalStack, address: str, topics: Topics
) -> None:
    async with KafkaMembership(
        address,
        f"worker.{topics.namespace}",
        topics.lanes,
        PARTITIONS,
        session_seconds=6.0,
        heartbeat_seconds=0.2,
    ) as member:
        await member.changed()
        await asyncio.to_thread(local_stack.kill, "kafka")
        await eventually(member, lambda age: age > 1.0)
        await asyncio.to_thread(local_stack.start, "kafka")
        await eventually(member, lambda age: age < 0.5)
        assert member.assigned() == set(range(PARTITIONS))


async def test_a_member_whose_client_gave_up_the_group_joins_anew(
    address: str, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with KafkaMembership(
        address, f"worker.{topics.namespace}", topics.lanes, PARTITIONS, heartbeat_seconds=0.2
    ) as member:
        await member.changed()
        lost = member._consumer._coordinator  # noqa: SLF001 - killed in there
        monkeypatch.setattr(lost, "ensure_active_group", None)
        lost.request_rejoin()
        await asyncio.wait([lost._coordination_task])  # noqa: SLF001 - the same
        await eventually(member, lambda _age: member._consumer._coordinator is not lost)  # noqa: SLF001
        asked = member.heartbeat_age()
        await eventually(member, lambda age: age < asked)
        assert member.assigned() == set(range(PARTITIONS))
