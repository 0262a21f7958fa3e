"""Do memory and PostgreSQL end, find and wake the same waiting jobs?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from processor.ports.ledger import Answer, Ending
from processor.ports.waiting_room import WaitingState
from tests.contract.rooms import ENTITY, Rooms, a_wait, held, jobs_of, over, queued
from tests.contract.worlds import World, an_entry, own

SCHEDULED, RETRYING, RUNNING = WaitingState.SCHEDULED, WaitingState.RETRYING, WaitingState.RUNNING
BLOCKING, HELD = WaitingState.BLOCKING, WaitingState.HELD


@pytest.fixture
def rooms(world: World) -> Rooms:
    return over(world)


# ends


async def test_a_death_is_written_with_its_blocking_row(rooms: Rooms) -> None:
    fence, wait = await own(rooms.world), a_wait(BLOCKING)
    assert await rooms.room.record(fence, wait, 0, died=b"failed") is Answer.DONE
    row = await rooms.world.ledger.row(wait.job, 1)
    assert row is not None
    assert (row.ending, row.body, row.offset) == (Ending.FAILED, b"failed", wait.place)
    assert await rooms.room.record(fence, a_wait(), 0) is Answer.STALE


async def test_a_death_that_does_not_block_leaves_the_row_until_it_is_published(
    rooms: Rooms,
) -> None:
    fence, wait = await own(rooms.world), a_wait(due_in=-1)
    await rooms.room.record(fence, wait, 0)
    assert await rooms.room.record(fence, wait, 1, died=b"failed") is Answer.DONE
    assert jobs_of(await rooms.room.settled([0], 10)) == [wait.job]
    assert await rooms.room.record(fence, a_wait(), 0) is Answer.DONE
    await rooms.room.remove([(wait.job, 1)])
    assert await rooms.room.due([0], [], 10) == []


async def test_a_blocking_row_comes_by_time_until_its_death_is_published(rooms: Rooms) -> None:
    fence, wait = await own(rooms.world), a_wait(BLOCKING, due_in=-1)
    await rooms.room.record(fence, wait, 0, died=b"failed")
    assert jobs_of(await rooms.room.due([0], [], 10)) == [wait.job]
    await rooms.room.remove([(wait.job, 1)])
    assert await rooms.room.due([0], [], 10) == []
    (row,) = [await rooms.room.row(wait.job)]
    assert row is not None
    assert row.wait.state is BLOCKING


async def test_a_cancelled_job_is_not_parked(rooms: Rooms) -> None:
    fence, wait = await own(rooms.world), a_wait()
    await rooms.cancelling.cancel(an_entry(wait.job))
    assert await rooms.room.record(fence, wait, 0) is Answer.SETTLED
    assert await rooms.room.record(fence, wait, 0, died=b"failed") is Answer.SETTLED
    assert await rooms.room.enqueue(fence, [wait]) == [Answer.SETTLED]


async def test_a_blocking_row_is_settled_only_by_a_later_generation(rooms: Rooms) -> None:
    fence, wait = await own(rooms.world), a_wait(BLOCKING)
    await rooms.room.record(fence, wait, 0, died=b"failed")
    assert await rooms.room.settled([0], 10) == []
    await rooms.room.remove([(wait.job, 1)])
    assert await rooms.room.record(fence, a_wait(), 0) is Answer.STALE
    await rooms.world.ledger.flush([fence], [an_entry(wait.job, b"replayed", generation=2)])
    assert jobs_of(await rooms.room.settled([0], 10)) == [wait.job]
    assert await rooms.room.record(fence, a_wait(), 0) is Answer.DONE
    await rooms.room.remove([(wait.job, 1)])
    assert await rooms.room.settled([0], 10) == []


async def test_a_row_goes_once_a_later_generation_has_one(rooms: Rooms) -> None:
    fence, wait = await own(rooms.world), a_wait(WaitingState.QUEUED, due_in=-1)
    await rooms.room.enqueue(fence, [wait, replace(wait, generation=2, place=200)])
    await rooms.room.remove([(wait.job, 1), (wait.job, 2)])
    (row,) = await rooms.room.due([0], [], 10)
    assert (row.wait.job, row.wait.generation) == (wait.job, 2)


async def test_a_row_that_has_not_ended_is_never_removed(rooms: Rooms) -> None:
    fence, wait = await own(rooms.world), a_wait(due_in=-1)
    await rooms.room.record(fence, wait, 0)
    await rooms.room.remove([(wait.job, 1)])
    assert jobs_of(await rooms.room.due([0], [], 10)) == [wait.job]
    await rooms.room.remove([])


# stranded and settled


async def test_an_entity_is_stranded_while_it_has_a_queue_and_no_head(rooms: Rooms) -> None:
    fence, head = await own(rooms.world), a_wait(RETRYING)
    assert await rooms.room.stranded([0], 10) == []
    await rooms.room.enqueue(fence, [queued(), queued(place=101)])
    assert await rooms.room.stranded([0], 10) == [(0, ENTITY)]
    await rooms.room.record(fence, head, 0)
    assert await rooms.room.stranded([0], 10) == []
    await rooms.cancelling.cancel(an_entry(head.job))
    assert await rooms.room.stranded([0], 10) == [(0, ENTITY)]
    assert await rooms.room.stranded([1], 10) == []
    assert await rooms.room.stranded([], 10) == []


async def test_a_dead_head_that_blocks_strands_nobody(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    await rooms.room.enqueue(fence, [queued(place=101)])
    await rooms.room.record(fence, a_wait(BLOCKING), 0, died=b"failed")
    assert await rooms.room.stranded([0], 10) == []


async def test_whoever_waits_otherwise_is_not_stranded(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    await rooms.room.enqueue(fence, [a_wait(SCHEDULED, due_in=1)])
    assert await rooms.room.stranded([0], 10) == []


async def test_stranded_entities_beyond_the_limit_come_with_the_next_calls(rooms: Rooms) -> None:
    expected = set()
    for number in (0, 1):
        fence = await own(rooms.world, number)
        entities = [-(2**63), -1, 0, 2**63 - 1] if number == 0 else [5, 6, 7]
        await rooms.room.enqueue(fence, [queued(entity=entity) for entity in entities])
        expected |= {(number, entity) for entity in entities}
    found: list[tuple[int, int]] = []
    for _ in range(4):
        found += await rooms.room.stranded([0, 1], 2)
    assert (len(found), set(found)) == (7, expected)
    assert len(await rooms.room.stranded([0, 1], 100)) == 7


async def test_settled_rows_beyond_the_limit_come_with_the_next_calls(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    waits = [queued(entity=entity) for entity in range(5)]
    await rooms.room.enqueue(fence, waits)
    await rooms.world.ledger.flush([fence], [an_entry(wait.job) for wait in waits])
    found = [row for _ in range(3) for row in await rooms.room.settled([0], 2)]
    assert set(jobs_of(found)) == {wait.job for wait in waits}
    assert len(found) == 5
    assert await rooms.room.settled([1], 10) == []


# wake


async def test_a_new_owner_makes_rows_of_some_states_due(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    held, running = a_wait(HELD), a_wait(RUNNING, entity=8, due_in=100)
    for wait in (held, running, a_wait(RETRYING, entity=9, due_in=100)):
        await rooms.room.record(fence, wait, 0)
    other = await own(rooms.world, 1)
    await rooms.room.record(other, a_wait(HELD, entity=10), 0)
    await rooms.room.wake(0, [HELD, RUNNING])
    found = await rooms.room.due([0, 1], [], 10)
    assert set(jobs_of(found)) == {held.job, running.job}
    assert {row.revision for row in found} == {1}
    await rooms.room.wake(0, [])


async def test_waking_leaves_what_was_due_before_in_its_order(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    early, late = a_wait(HELD), a_wait(HELD, entity=8, due_in=50)
    await rooms.room.record(fence, replace(early, due_at=1_700_000_000_000_000), 0)
    await rooms.room.record(fence, late, 0)
    await rooms.room.wake(0, [HELD])
    first, second = await rooms.room.due([0], [], 10)
    assert (first.wait.due_at, second.wait.job) == (1_700_000_000_000_000, late.job)


async def test_waking_leaves_what_a_hold_keeps_as_it_is(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    free, kept, gone = a_wait(HELD), held(5, entity=8), held(6, entity=9)
    for wait in (free, kept, gone):
        await rooms.room.record(fence, wait, 0)
    await rooms.room.wake(0, [HELD], but_of_holds=[5, 7])
    assert set(jobs_of(await rooms.room.due([0], [], 10))) == {free.job, gone.job}
    await rooms.room.wake(0, [HELD])
    assert len(await rooms.room.due([0], [], 10)) == 3
