"""Can a test step in between an append and its answer, before and after it took place?"""

from __future__ import annotations

import asyncio

import pytest

from processor.adapters.memory.clock import ManualClock
from processor.adapters.memory.log import MemoryLog, MemoryReader
from processor.adapters.memory.membership import MemoryGroup, MemoryMembership
from processor.adapters.memory.topics import MemoryTopics
from processor.ports.log import Append, LogCut, LogFailure, Place

PLACE = Place("jobs.low", 0)
RECORD = Append(PLACE, b"key", b"value")


class Killed(Exception):  # noqa: N818 - what happened
    """The process is no more."""


class Steps:
    """Answers the steps of one process, in their order, from a list."""

    def __init__(self, *answers: BaseException | None) -> None:
        self.answers = list(answers)
        self.names: list[str] = []

    async def __call__(self, name: str) -> BaseException | None:
        self.names.append(name)
        return self.answers.pop(0) if self.answers else None


class Refusing(Steps):
    """Raises what the list says instead of returning it."""

    async def __call__(self, name: str) -> BaseException | None:
        if (answer := await super().__call__(name)) is not None:
            raise answer
        return None


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def topics(clock: ManualClock) -> MemoryTopics:
    return MemoryTopics([PLACE.topic], 2, clock)


async def test_a_process_killed_before_the_append_has_appended_nothing(
    topics: MemoryTopics,
) -> None:
    log = MemoryLog(topics, step=Refusing(Killed()))
    with pytest.raises(Killed):
        await log.append([RECORD])
    assert topics.partitions[PLACE].end == 0


async def test_a_process_killed_after_the_append_has_appended(topics: MemoryTopics) -> None:
    log = MemoryLog(topics, step=Steps(Killed()))
    with pytest.raises(Killed):
        await log.append([RECORD])
    assert topics.partitions[PLACE].end == 1


async def test_an_answer_that_was_lost_is_a_failure_of_what_was_appended(
    topics: MemoryTopics,
) -> None:
    lost, refused = LogFailure("the answer was lost"), LogFailure("the broker is away")
    assert await MemoryLog(topics, step=Steps(lost)).append([RECORD, RECORD]) == [lost, lost]
    assert topics.partitions[PLACE].end == 2
    assert await MemoryLog(topics, step=Refusing(refused)).append([RECORD]) == [refused]
    assert topics.partitions[PLACE].end == 2


async def test_a_fetch_whose_answer_was_lost_is_fetched_again(
    topics: MemoryTopics, clock: ManualClock
) -> None:
    await MemoryLog(topics).append([RECORD])
    reader = MemoryReader(topics, [PLACE], clock, step=Steps(Killed()))
    reader.place(PLACE, 0)
    with pytest.raises(Killed):
        await reader.fetch(1.0, 10)
    assert [record.offset for record in (await reader.fetch(1.0, 10))[PLACE]] == [0]


async def test_a_fetch_waits_by_the_clock_it_was_given(
    topics: MemoryTopics, clock: ManualClock
) -> None:
    reader = MemoryReader(topics, [PLACE], clock)
    reader.place(PLACE, 0)
    fetching = asyncio.create_task(reader.fetch(3600.0, 10))
    while clock.next_due() is None:  # noqa: ASYNC110 - a clock says no word of its sleepers
        await asyncio.sleep(0)
    clock.advance(3600.0)
    assert await fetching == {}


async def test_every_round_trip_is_one_step(topics: MemoryTopics, clock: ManualClock) -> None:
    steps = Steps()
    await MemoryLog(topics, step=steps).append([RECORD, RECORD])
    reader = MemoryReader(topics, [PLACE], clock, step=steps)
    reader.place(PLACE, 0)
    await reader.fetch(1.0, 10)
    await reader.bounds([PLACE])
    async with MemoryMembership(MemoryGroup(2), "a", clock, step=steps):
        pass
    assert steps.names == ["log.append", "log.fetch", "log.bounds", "group.join", "group.leave"]


async def test_a_log_that_lost_its_end_says_so(topics: MemoryTopics, clock: ManualClock) -> None:
    await MemoryLog(topics).append([RECORD] * 5)
    topics.lose(PLACE, 3)
    reader = MemoryReader(topics, [PLACE], clock)
    reader.place(PLACE, 4)
    with pytest.raises(LogCut, match="holds offsets 0 to 3, not 4"):
        await reader.fetch(1.0, 10)


async def test_a_member_that_was_cut_off_keeps_believing_while_its_age_grows(
    clock: ManualClock,
) -> None:
    group = MemoryGroup(4)
    one, two = MemoryMembership(group, "a", clock), MemoryMembership(group, "b", clock)
    async with one, two:
        assert [one.assigned(), two.assigned()] == [frozenset({0, 1}), frozenset({2, 3})]
        one.cut(age=2.0)
        group.expel(one)
        clock.advance(5.0)
        assert one.heartbeat_age() == 7.0
        assert [one.assigned(), two.assigned()] == [frozenset({0, 1}), frozenset({0, 1, 2, 3})]
        one.heal()
        assert one.heartbeat_age() == 0.0
        assert [one.assigned(), two.assigned()] == [frozenset({0, 1}), frozenset({2, 3})]
