"""Do memory and PostgreSQL end a job from outside alike, and tell its worker?"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from processor.domain.ids import JobId
from processor.domain.priority import Priority
from processor.ports.cancelling import Wake
from processor.ports.ledger import Answer, Ending
from processor.ports.waiting_room import WaitingState
from tests.contract.rooms import ENTITY, Rooms, a_wait, connect, jobs_of, over, queued
from tests.contract.worlds import PostgresWorld, World, a_claim, a_job, an_entry, begun, own

PARK = """
SELECT jobs.record_v1(
    _token => $1, _partition => 0, _entity_key => 7, _job => $2, _generation => 1, _revision => 0,
    _lane => 2, _place => 100, _state => 'r', _holds => true, _serve => 2, _due_in => '1 hour',
    _attempt => 1, _runs => 1, _faults => 0, _submission => 'submission'
)
"""


class Listener:
    """Hears wake-ups, and lets a test wait for them."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Wake] = asyncio.Queue()
        self.began: asyncio.Queue[None] = asyncio.Queue()

    def begin(self) -> None:
        self.began.put_nowait(None)


@pytest.fixture
def rooms(world: World) -> Rooms:
    return over(world)


@contextlib.asynccontextmanager
async def listening(rooms: Rooms) -> AsyncIterator[Listener]:
    listener = Listener()
    task = asyncio.create_task(rooms.wakes.listen(listener.heard.put_nowait, listener.begin))
    try:
        await listener.began.get()
        yield listener
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_job_that_nobody_saw_is_cancelled(rooms: Rooms) -> None:
    entry = an_entry(a_job(), b"cancelled", generation=2, partition=1, lane=Priority.LOW)
    row = await rooms.cancelling.cancel(entry)
    assert (row.ending, row.generation, row.body) == (Ending.CANCELLED, 2, b"cancelled")
    assert (row.partition, row.lane, row.offset) == (1, Priority.LOW, 100)
    assert await rooms.world.transactions.begin(a_claim(entry.job)) is Answer.SETTLED


async def test_a_job_that_has_ended_stays_what_it_is(rooms: Rooms) -> None:
    fence, entry = await own(rooms.world), an_entry(a_job(), b"complete")
    await rooms.world.ledger.flush([fence], [entry])
    row = await rooms.cancelling.cancel(an_entry(entry.job, b"cancelled"))
    assert (row.ending, row.body) == (Ending.COMPLETE, b"complete")


async def test_a_complete_generation_absorbs_the_cancel_of_a_later_one(rooms: Rooms) -> None:
    fence, entry = await own(rooms.world), an_entry(a_job(), b"complete")
    await rooms.world.ledger.flush([fence], [entry])
    row = await rooms.cancelling.cancel(an_entry(entry.job, b"cancelled", generation=2))
    assert (row.ending, row.generation) == (Ending.COMPLETE, 1)


async def test_a_failed_generation_lets_the_next_one_be_cancelled(rooms: Rooms) -> None:
    fence, entry = await own(rooms.world), an_entry(a_job(), b"failed")
    await rooms.world.ledger.fail(fence, ENTITY, entry)
    assert (await rooms.cancelling.cancel(entry)).ending is Ending.FAILED
    row = await rooms.cancelling.cancel(an_entry(entry.job, b"cancelled", generation=2))
    assert (row.ending, row.generation) == (Ending.CANCELLED, 2)


async def test_of_many_that_cancel_at_once_all_read_the_first_ones_bytes(rooms: Rooms) -> None:
    job = a_job()
    rows = await asyncio.gather(
        *(rooms.cancelling.cancel(an_entry(job, b"by %d" % number)) for number in range(8))
    )
    assert len({row.body for row in rows}) == 1
    assert rows[0].body in {b"by %d" % number for number in range(8)}


async def test_a_running_job_loses_its_commit_to_a_cancel(rooms: Rooms) -> None:
    entry = an_entry(a_job(), b"complete")
    running = await begun(rooms.world, a_claim(entry.job))
    await rooms.world.write(running, "effect", 1)
    row = await rooms.cancelling.cancel(an_entry(entry.job, b"cancelled"))
    assert row.ending is Ending.CANCELLED
    assert await running.complete(entry) is Answer.SETTLED
    assert await rooms.world.read("effect") is None


async def test_a_cancelled_jobs_row_becomes_due_and_frees_its_entity(rooms: Rooms) -> None:
    fence, wait = await own(rooms.world), a_wait(due_in=3_600)
    behind = queued(place=101)
    await rooms.room.record(fence, wait, 0)
    await rooms.room.enqueue(fence, [behind])
    await rooms.cancelling.cancel(an_entry(wait.job, b"cancelled"))
    assert jobs_of(await rooms.room.due([0], [], 10)) == [wait.job]
    assert await rooms.room.stranded([0], 10) == [(0, ENTITY)]
    claim = a_claim(behind.job, ENTITY, offset=101, revision=1)
    await (await begun(rooms.world, claim)).rollback()


async def test_the_owner_hears_of_each_cancel(rooms: Rooms) -> None:
    async with listening(rooms) as listener:
        first, second = a_job(), a_job()
        await rooms.cancelling.cancel(an_entry(first, partition=3))
        await rooms.cancelling.cancel(an_entry(second))
        assert await listener.heard.get() == Wake(3, first)
        assert await listener.heard.get() == Wake(0, second)


async def test_nobody_is_woken_for_a_job_that_had_ended(rooms: Rooms) -> None:
    ended, other = a_job(), a_job()
    await rooms.cancelling.cancel(an_entry(ended))
    async with listening(rooms) as listener:
        await rooms.cancelling.cancel(an_entry(ended))
        await rooms.cancelling.cancel(an_entry(other))
        assert await listener.heard.get() == Wake(0, other)


async def test_every_listener_hears_and_one_that_left_hears_no_more(rooms: Rooms) -> None:
    async with listening(rooms) as stays:
        async with listening(over(rooms.world)) as leaves:
            await rooms.cancelling.cancel(an_entry(a_job()))
            assert await stays.heard.get() == await leaves.heard.get()
        await rooms.cancelling.cancel(an_entry(a_job()))
        await stays.heard.get()
        assert leaves.heard.empty()


async def test_a_discard_is_an_end_of_its_own_that_absorbs_nothing(rooms: Rooms) -> None:
    fence, wait = await own(rooms.world), a_wait(WaitingState.BLOCKING)
    await rooms.room.record(fence, wait, 0, died=b"failed")
    row = await rooms.cancelling.discard(an_entry(wait.job, b"discarded", generation=2))
    assert (row.ending, row.generation, row.body) == (Ending.DISCARDED, 2, b"discarded")
    assert jobs_of(await rooms.room.due([0], [], 10)) == [wait.job]
    assert jobs_of(await rooms.room.settled([0], 10)) == [wait.job]
    again = await rooms.cancelling.discard(an_entry(wait.job, b"another", generation=2))
    assert again == row
    claim = a_claim(wait.job, ENTITY, generation=3)
    await (await begun(rooms.world, claim)).rollback()


# what only PostgreSQL can show


async def test_a_cancel_that_comes_before_a_park_commits_is_found_by_the_sweep(
    real: PostgresWorld,
) -> None:
    """The park looked at the ledger before the cancel did, and is seen only after it."""
    rooms, job = over(real), a_job()
    fence = await own(real)
    parking = await connect(real)
    try:
        transaction = parking.transaction()
        await transaction.start()
        assert await parking.fetchval(PARK, fence.token, job) == 0
        assert (await rooms.cancelling.cancel(an_entry(job))).ending is Ending.CANCELLED
        await transaction.commit()
    finally:
        await parking.close()
    assert await rooms.room.due([0], [], 10) == []
    (row,) = await rooms.room.settled([0], 10)
    assert (row.wait.job, row.wait.state) == (job, WaitingState.RETRYING)
    await rooms.room.remove([(job, 1)])
    assert await rooms.room.settled([0], 10) == []


async def test_a_listener_that_was_cut_off_listens_again(real: PostgresWorld) -> None:
    rooms = over(real)
    async with listening(rooms) as listener:
        async with real.service.connection() as connection:
            ended = await connection.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'job-processor-wakes'"
            )
        assert len(ended) == 1
        await listener.began.get()
        job = a_job()
        await rooms.cancelling.cancel(an_entry(job))
        assert await listener.heard.get() == Wake(0, job)


async def test_words_of_somebody_else_on_the_channel_are_passed_over(real: PostgresWorld) -> None:
    rooms = over(real)
    async with listening(rooms) as listener:
        async with real.service.connection() as connection:
            for words in ("", "3", "x y", "3 no-job", "\N{SNOWMAN} 1"):
                await connection.execute("SELECT pg_notify('jobs_wake', $1)", words)
        job = JobId(a_job())
        await rooms.cancelling.cancel(an_entry(job))
        assert await listener.heard.get() == Wake(0, job)
