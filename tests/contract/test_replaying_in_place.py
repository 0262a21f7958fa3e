"""Do memory and PostgreSQL turn a blocking row alike, and show a job's row alike?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from processor.ports.ledger import Answer
from processor.ports.waiting_room import WaitingState
from tests.contract.rooms import ENTITY, Rooms, a_wait, over
from tests.contract.worlds import World, a_job, an_entry, own


@pytest.fixture
def rooms(world: World) -> Rooms:
    return over(world)


async def test_a_blocking_row_becomes_the_next_generation_s_first_attempt_due_now(
    rooms: Rooms,
) -> None:
    fence = await own(rooms.world)
    wait = replace(a_wait(WaitingState.BLOCKING), attempt=5, runs=7, faults=2, body=b"failed")
    await rooms.room.record(fence, wait, 0, died=b"failed")
    answer = await rooms.room.replay_in_place(fence, ENTITY, wait.job, 2, b"again")
    assert answer is Answer.DONE
    (row,) = await rooms.room.due([0], [], 10)
    assert row.revision == 2
    turned = replace(row.wait, due_at=None)
    assert turned == replace(
        wait,
        generation=2,
        state=WaitingState.RETRYING,
        submission=b"again",
        attempt=0,
        runs=0,
        faults=0,
        body=None,
    )
    again = await rooms.room.replay_in_place(fence, ENTITY, wait.job, 2, b"again")
    assert again is Answer.STALE


async def test_a_head_whose_death_was_forgotten_becomes_the_next_generation(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    wait = replace(a_wait(WaitingState.RETRYING), attempt=1, runs=1, body=b"one try")
    await rooms.room.record(fence, wait, 0)
    answer = await rooms.room.replay_in_place(fence, ENTITY, wait.job, 2, b"again")
    assert answer is Answer.DONE
    (row,) = await rooms.room.due([0], [], 10)
    assert (row.wait.generation, row.wait.attempt, row.wait.body) == (2, 0, None)


async def test_a_blocking_row_becomes_a_later_generation_where_the_discard_between_was_forgotten(
    rooms: Rooms,
) -> None:
    fence = await own(rooms.world)
    wait = replace(a_wait(WaitingState.BLOCKING), attempt=1, runs=1, body=b"failed")
    await rooms.room.record(fence, wait, 0, died=b"failed")
    answer = await rooms.room.replay_in_place(fence, ENTITY, wait.job, 3, b"again")
    assert answer is Answer.DONE
    (row,) = await rooms.room.due([0], [], 10)
    assert (row.wait.generation, row.wait.holds, row.wait.body) == (3, True, None)


async def test_a_job_does_not_wait_behind_an_earlier_generation_of_itself(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    blocking = a_wait(WaitingState.BLOCKING)
    await rooms.room.record(fence, blocking, 0, died=b"failed")
    later = a_wait(WaitingState.QUEUED, job=blocking.job, generation=3)
    assert await rooms.room.enqueue(fence, [later]) == [Answer.STALE]
    await rooms.cancelling.discard(an_entry(blocking.job, generation=2))
    assert await rooms.room.enqueue(fence, [later]) == [Answer.DONE]


async def test_the_row_of_a_job_s_newest_generation_is_shown(rooms: Rooms) -> None:
    fence, job = await own(rooms.world), a_job()
    assert await rooms.room.row(job) is None
    await rooms.room.record(fence, a_wait(WaitingState.BLOCKING, job=job), 0, died=b"failed")
    await rooms.cancelling.discard(an_entry(job, generation=2))
    later = a_wait(WaitingState.SCHEDULED, job=job, generation=3)
    await rooms.room.enqueue(fence, [later])
    row = await rooms.room.row(job)
    assert row is not None
    assert row.wait == later
