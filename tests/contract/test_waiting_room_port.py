"""Do memory and PostgreSQL let jobs wait and come back alike?"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from processor.domain.priority import Priority
from processor.ports.ledger import Answer
from processor.ports.waiting_room import WaitingState
from tests.contract.rooms import (
    ENTITY,
    FAR,
    Rooms,
    a_wait,
    jobs_of,
    over,
    queued,
)
from tests.contract.worlds import World, a_claim, a_job, an_entry, begun, own

QUEUED, SCHEDULED = WaitingState.QUEUED, WaitingState.SCHEDULED
RETRYING, RUNNING, BLOCKING = WaitingState.RETRYING, WaitingState.RUNNING, WaitingState.BLOCKING
HELD = WaitingState.HELD


@pytest.fixture
def rooms(world: World) -> Rooms:
    return over(world)


async def test_a_row_comes_back_as_it_was_written(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    wait = replace(
        a_wait(RUNNING, generation=3, entity=-(2**63), lane=Priority.LOW, place=2**40),
        submission=b"\0submission",
        body=b"\0outcome so far",
        attempt=2,
        runs=5,
        faults=4,
        due_at=1_700_000_000_123_456,
    )
    assert await rooms.room.record(fence, wait, 0) is Answer.DONE
    (row,) = await rooms.room.due([0], [], 10)
    assert row.wait == wait
    assert (row.partition, row.revision) == (0, 1)


async def test_a_row_tells_since_when_it_is_in_its_state(rooms: Rooms) -> None:
    fence, wait = await own(rooms.world), a_wait(due_in=-1)
    await rooms.room.record(fence, wait, 0)
    await rooms.later(60)
    (first,) = await rooms.room.due([0], [], 10)
    await rooms.room.record(fence, wait, 1)
    await rooms.room.wake(0, [RETRYING])
    (again,) = await rooms.room.due([0], [], 10)
    assert (again.since, again.revision) == (first.since, 2)
    await rooms.room.record(fence, replace(wait, state=RUNNING), 2)
    assert (await rooms.row(wait.job)).since > first.since


# due


async def test_a_row_is_due_when_its_time_has_come_by_the_databases_clock(rooms: Rooms) -> None:
    fence, wait = await own(rooms.world), a_wait(due_in=100)
    await rooms.room.record(fence, wait, 0)
    assert await rooms.room.due([0], [], 10) == []
    await rooms.later(99)
    assert await rooms.room.due([0], [], 10) == []
    await rooms.later(1)
    assert jobs_of(await rooms.room.due([0], [], 10)) == [wait.job]


async def test_a_row_can_be_due_at_a_given_time(rooms: Rooms) -> None:
    fence, now = await own(rooms.world), await rooms.now()
    wait = replace(a_wait(SCHEDULED), due_at=now + 100_000_000)
    assert await rooms.room.enqueue(fence, [wait]) == [Answer.DONE]
    await rooms.later(99)
    assert await rooms.room.due([0], [], 10) == []
    await rooms.later(1)
    (row,) = await rooms.room.due([0], [], 10)
    assert row.wait.state is SCHEDULED


async def test_a_row_without_a_time_is_never_due(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    await rooms.room.record(fence, a_wait(HELD), 0)
    await rooms.later(FAR)
    assert await rooms.room.due([0], [], 10) == []


@pytest.mark.parametrize("due_at", [2**63 - 1, -(2**63)])
async def test_a_time_that_no_calendar_has_is_brought_into_it(rooms: Rooms, due_at: int) -> None:
    fence = await own(rooms.world)
    wait = replace(a_wait(SCHEDULED), due_at=due_at)
    assert await rooms.room.enqueue(fence, [wait]) == [Answer.DONE]
    assert len(await rooms.room.due([0], [], 10)) == (due_at < 0)


@pytest.mark.parametrize("due_in", [float("inf"), 1e300])
async def test_a_delay_without_end_is_cut(rooms: Rooms, due_in: float) -> None:
    fence = await own(rooms.world)
    assert await rooms.room.record(fence, a_wait(due_in=due_in), 0) is Answer.DONE
    assert await rooms.room.due([0], [], 10) == []


async def test_the_oldest_of_all_partitions_asked_for_comes_first(rooms: Rooms) -> None:
    waits = {}
    for number, due in ((0, 3), (1, 2), (2, 1), (3, 0)):
        fence = await own(rooms.world, number)
        waits[due] = replace(a_wait(entity=number), due_at=1_700_000_000_000_000 + due)
        await rooms.room.record(fence, waits[due], 0)
    found = await rooms.room.due([0, 1, 2], [], 2)
    assert jobs_of(found) == [waits[1].job, waits[2].job]


async def test_jobs_that_are_in_memory_do_not_come_again(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    first, second = a_wait(due_in=-1), a_wait(entity=8, due_in=-1)
    await rooms.room.record(fence, first, 0)
    await rooms.room.record(fence, second, 0)
    assert jobs_of(await rooms.room.due([0], [first.job], 1)) == [second.job]


async def test_a_row_that_has_ended_is_due_as_well(rooms: Rooms) -> None:
    fence, wait = await own(rooms.world), a_wait(due_in=100)
    await rooms.room.record(fence, wait, 0)
    await rooms.cancelling.cancel(an_entry(wait.job, b"cancelled"))
    assert jobs_of(await rooms.room.due([0], [], 10)) == [wait.job]


# zombies and heads


async def test_a_zombies_late_park_is_fenced(rooms: Rooms) -> None:
    zombie, wait = await own(rooms.world), a_wait(due_in=-1)
    await own(rooms.world)
    assert await rooms.room.record(zombie, wait, 0) is Answer.FENCED
    assert await rooms.room.enqueue(zombie, [queued(), queued()]) == [Answer.FENCED] * 2
    assert await rooms.room.due([0], [], 10) == []
    assert await rooms.queue(0, 10) == []


async def test_a_late_park_of_an_older_attempt_overwrites_nothing(rooms: Rooms) -> None:
    fence, wait = await own(rooms.world), a_wait(due_in=-1)
    await rooms.room.record(fence, replace(wait, attempt=1), 0)
    await rooms.room.record(fence, replace(wait, attempt=4), 1)
    assert await rooms.room.record(fence, replace(wait, attempt=1), 0) is Answer.STALE
    assert await rooms.room.record(fence, replace(wait, attempt=1), 1) is Answer.STALE
    (row,) = await rooms.room.due([0], [], 10)
    assert (row.wait.attempt, row.revision) == (4, 2)


async def test_an_entity_has_one_head(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    assert await rooms.room.record(fence, a_wait(), 0) is Answer.DONE
    assert await rooms.room.record(fence, a_wait(), 0) is Answer.STALE
    assert await rooms.room.record(fence, a_wait(entity=8), 0) is Answer.DONE


async def test_of_two_that_park_one_entity_at_once_one_becomes_its_head(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    answers = await asyncio.gather(*(rooms.room.record(fence, a_wait(), 0) for _ in range(4)))
    assert answers.count(Answer.DONE) == 1
    assert set(answers) <= {Answer.DONE, Answer.BUSY, Answer.STALE}


async def test_a_head_that_has_ended_is_unmarked_by_the_next(rooms: Rooms) -> None:
    fence, first, second = await own(rooms.world), a_wait(due_in=-1), a_wait(due_in=-1)
    await rooms.room.record(fence, first, 0)
    await rooms.cancelling.cancel(an_entry(first.job))
    assert await rooms.room.record(fence, second, 0) is Answer.DONE
    rows = await rooms.room.due([0], [], 10)
    assert {row.wait.job: row.wait.holds for row in rows} == {first.job: False, second.job: True}


async def test_a_running_jobs_own_row_is_written_past_its_lock(rooms: Rooms) -> None:
    fence, wait = await own(rooms.world), a_wait(RUNNING)
    running = await begun(rooms.world, a_claim(wait.job, ENTITY))
    assert await rooms.room.record(fence, wait, 0) is Answer.BUSY
    assert await rooms.room.record(fence, wait, 0, lock=False) is Answer.DONE
    await running.rollback()


async def test_a_frozen_holder_of_one_entity_stalls_no_other(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    frozen = await begun(rooms.world, a_claim(a_job(), ENTITY))
    assert await rooms.room.record(fence, a_wait(), 0) is Answer.BUSY
    waits = [queued(entity=8), queued(), queued(entity=9), queued()]
    answers = await rooms.room.enqueue(fence, waits)
    assert answers == [Answer.DONE, Answer.BUSY, Answer.DONE, Answer.BUSY]
    assert await rooms.queue(0, 10) == []
    await frozen.rollback()
    again = await rooms.room.enqueue(fence, waits)
    assert again == [Answer.STALE, Answer.DONE, Answer.STALE, Answer.DONE]


async def test_a_row_that_was_moved_is_not_begun_by_who_knows_it_as_it_was(rooms: Rooms) -> None:
    """The attempt is the same, the revision is not."""
    fence, wait = await own(rooms.world), a_wait()
    await rooms.room.record(fence, wait, 0)
    await rooms.room.record(fence, replace(wait, state=RUNNING), 1)
    assert await rooms.world.transactions.begin(a_claim(wait.job, revision=1)) is Answer.STALE
    await (await begun(rooms.world, a_claim(wait.job, revision=2))).rollback()


async def test_a_zombie_past_a_head_flushes_nothing(rooms: Rooms) -> None:
    """It looked when there was no head; only the fence knows better."""
    zombie, job = await own(rooms.world), a_job()
    fence = await own(rooms.world)
    await rooms.room.record(fence, a_wait(), 0)
    flushed = await rooms.world.ledger.flush([zombie], [an_entry(job)])
    assert flushed.fenced == {0}
    assert await rooms.world.ledger.row(job, 1) is None


async def test_a_job_that_waits_already_is_stale_whoever_wrote_it(rooms: Rooms) -> None:
    fence, wait = await own(rooms.world), queued()
    assert await rooms.room.enqueue(fence, [wait]) == [Answer.DONE]
    assert await rooms.room.enqueue(fence, [wait]) == [Answer.STALE]
    assert await rooms.room.record(fence, wait, 0) is Answer.STALE
    assert await rooms.world.transactions.begin(a_claim(wait.job)) is Answer.STALE


# enqueue


async def test_arrivals_are_answered_each_in_its_place(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    there, ended, later = queued(), queued(), a_job()
    await rooms.room.enqueue(fence, [there])
    await rooms.cancelling.cancel(an_entry(ended.job))
    await rooms.room.enqueue(fence, [replace(queued(later), generation=2)])
    fresh = [queued(entity=8), queued(entity=9)]
    answers = await rooms.room.enqueue(fence, [fresh[0], there, ended, queued(later), fresh[1]])
    assert answers == [Answer.DONE, Answer.STALE, Answer.SETTLED, Answer.STALE, Answer.DONE]
    assert await rooms.room.enqueue(fence, []) == []


async def test_an_arrival_holds_nothing_and_has_the_first_revision(rooms: Rooms) -> None:
    fence, wait = await own(rooms.world), queued()
    await rooms.room.enqueue(fence, [wait])
    (row,) = await rooms.queue(0, 10)
    assert (row.wait, row.revision) == (wait, 1)
    await (await begun(rooms.world, a_claim(wait.job, revision=1))).rollback()


async def test_arrivals_of_an_entity_whose_own_job_runs_are_written(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    running = await begun(rooms.world, a_claim(a_job(), ENTITY))
    waits = [queued(place=101), queued(place=102), queued(entity=8)]
    assert await rooms.room.enqueue(fence, waits, locked={ENTITY}) == [Answer.DONE] * 3
    await running.rollback()


async def test_an_arrival_never_removes_the_row_that_blocks_its_entity(rooms: Rooms) -> None:
    fence, dead = await own(rooms.world), a_wait(BLOCKING)
    await rooms.room.record(fence, dead, 0, died=b"failed")
    replayed = replace(queued(dead.job), generation=2)
    assert await rooms.room.enqueue(fence, [replayed]) == [Answer.STALE]
    assert await rooms.room.record(fence, a_wait(), 0) is Answer.STALE


async def test_two_that_enqueue_the_same_jobs_at_once_write_each_once(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    waits = [queued(entity=entity) for entity in range(50)]
    answers = await asyncio.gather(
        rooms.room.enqueue(fence, waits), rooms.room.enqueue(fence, waits[::-1])
    )
    for one, other in zip(answers[0], answers[1][::-1], strict=True):
        assert Answer.DONE in (one, other)
        assert {one, other} <= {Answer.DONE, Answer.BUSY, Answer.STALE}


# queue


async def test_an_entitys_queue_is_in_its_order(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    waits = [
        a_wait(QUEUED, lane=lane, place=place)
        for lane, place in ((3, 1), (0, 9), (2, 5), (2, 4), (0, 10))
        for lane in [Priority(lane)]
    ]
    await rooms.room.enqueue(fence, [*waits, queued(entity=8)])
    expected = [waits[1], waits[4], waits[3], waits[2], waits[0]]
    assert [row.wait for row in await rooms.queue(0, 10)] == expected
    assert [row.wait for row in await rooms.queue(0, 2)] == expected[:2]
    assert await rooms.queue(1, 10) == []


async def test_what_has_ended_or_waits_otherwise_is_in_no_queue(rooms: Rooms) -> None:
    fence, ended = await own(rooms.world), queued()
    await rooms.room.enqueue(fence, [ended, a_wait(SCHEDULED), queued(place=101)])
    await rooms.room.record(fence, a_wait(RETRYING), 0)
    await rooms.cancelling.cancel(an_entry(ended.job))
    assert [row.wait.place for row in await rooms.queue(0, 10)] == [101]
