"""Do memory and PostgreSQL tell owners, positions and signs of life alike?"""

from __future__ import annotations

import asyncio

from processor.adapters.postgres.ownership import PostgresOwnership
from processor.adapters.postgres.pool import SERVICE, Pool
from processor.ports.ledger import Answer
from processor.ports.ownership import Beat, Fence, Move
from tests.contract.worlds import (
    PARTITIONS,
    PostgresWorld,
    World,
    a_job,
    an_entry,
    an_id,
    own,
    owner,
)

START = (0, 0, 0, 0)


async def test_a_partition_that_nobody_owned_is_released_and_stands_at_its_start(
    world: World,
) -> None:
    owners = await world.ownership.owners(range(PARTITIONS))
    assert sorted(owners) == [0, 1, 2, 3]
    free = owners[2]
    assert (free.partition, free.token, free.worker) == (2, None, None)
    assert (free.released, free.unclean, free.positions) == (True, 0, START)


async def test_a_partition_that_is_not_pinned_has_no_owner(world: World) -> None:
    assert await world.ownership.owners([PARTITIONS]) == {}


async def test_of_two_who_saw_the_same_token_one_takes_over(world: World) -> None:
    seen, me, token = await owner(world), an_id(), an_id()
    first = await world.ownership.take(seen, token, me, unclean=False)
    second = await world.ownership.take(seen, an_id(), an_id(), unclean=False)
    assert first is not None
    assert second is None
    assert (first.token, first.worker, first.released) == (token, me, False)
    assert await owner(world) == first


async def test_a_take_over_that_comes_late_steals_nothing(world: World) -> None:
    await own(world)
    seen_by_the_late_one = await owner(world)
    quick = await own(world)
    late = await world.ownership.take(seen_by_the_late_one, an_id(), an_id(), unclean=True)
    assert late is None
    assert (await owner(world)).token == quick.token


async def test_a_partition_taken_again_by_the_same_worker_has_a_new_token(world: World) -> None:
    me = an_id()
    before = await own(world, worker=me)
    after = await own(world, worker=me)
    assert before.token != after.token
    assert await world.ownership.advance([Move(before, START, (1, 0, 0, 0))]) == set()
    assert await world.ownership.advance([Move(after, START, (1, 0, 0, 0))]) == {0}


async def test_positions_move_only_from_where_they_stand(world: World) -> None:
    fence = await own(world)
    assert await world.ownership.advance([Move(fence, START, (1, 2, 3, 4))]) == {0}
    assert await world.ownership.advance([Move(fence, START, (5, 5, 5, 5))]) == set()
    assert (await owner(world)).positions == (1, 2, 3, 4)


async def test_of_many_moves_those_that_still_may_are_made(world: World) -> None:
    mine, lost, moved = await own(world, 0), await own(world, 1), await own(world, 2)
    await own(world, 1)
    await world.ownership.advance([Move(moved, START, (9, 0, 0, 0))])
    moves = [Move(fence, START, (1, 1, 1, 1)) for fence in (moved, lost, mine)]
    assert await world.ownership.advance(moves) == {0}


async def test_no_moves_are_no_question(world: World) -> None:
    assert await world.ownership.advance([]) == set()


async def test_letting_go_writes_the_last_positions_and_they_stay(world: World) -> None:
    fence = await own(world)
    assert await world.ownership.release(Move(fence, START, (1, 2, 3, 4)))
    released = await owner(world)
    assert (released.released, released.positions) == (True, (1, 2, 3, 4))
    assert await world.ownership.advance([Move(fence, (1, 2, 3, 4), (9, 9, 9, 9))]) == set()
    assert not await world.ownership.release(Move(fence, (1, 2, 3, 4), (9, 9, 9, 9)))


async def test_who_was_fenced_cannot_let_go(world: World) -> None:
    fence = await own(world)
    await own(world)
    assert not await world.ownership.release(Move(fence, START, (1, 2, 3, 4)))
    assert (await owner(world)).positions == START


async def test_who_takes_over_finds_the_positions_as_they_were_left(world: World) -> None:
    fence = await own(world)
    await world.ownership.advance([Move(fence, START, (1, 2, 3, 4))])
    taken = await world.ownership.take(await owner(world), an_id(), an_id(), unclean=True)
    assert taken is not None
    assert taken.positions == (1, 2, 3, 4)


async def test_deaths_are_counted_and_letting_go_does_not_undo_them(world: World) -> None:
    counts = [await take_from_the_dead(world) for _ in range(3)]
    assert counts == [0, 1, 2], "the first take-over found it released"
    fence = Fence(0, (await owner(world)).token or an_id())
    assert await world.ownership.release(Move(fence, START, START))
    assert await take_from_the_dead(world) == 2


async def take_from_the_dead(world: World) -> int:
    """Take over as one who has seen the owner dead; the deaths counted so far."""
    heir = an_id()
    await world.workers.join(heir, "1.0", [])
    taken = await world.ownership.take(await owner(world), an_id(), heir, unclean=True)
    assert taken is not None
    return taken.unclean


async def test_a_worker_that_lives_said_that_it_leaves_or_is_gone_counts_as_no_death(
    world: World,
) -> None:
    lives, leaves, gone = an_id(), an_id(), an_id()
    for worker in (lives, leaves, gone):
        await world.workers.join(worker, "1.0", [])
        await own(world, worker=worker)
        if worker == leaves:
            await world.workers.leave(worker)
        if worker == gone:
            await world.workers.part(worker)
        unclean = worker != lives
        taken = await world.ownership.take(await owner(world), an_id(), an_id(), unclean=unclean)
        assert taken is not None
        assert taken.unclean == 0


async def test_a_beat_counts_up_and_shows_everybody(world: World) -> None:
    one, other = an_id(), an_id()
    await world.workers.join(one, "1.0", ["a.type"])
    await world.workers.join(other, "1.0", [])
    await world.workers.beat(one)
    assert await world.workers.beat(one) == {
        one: Beat(2, leaving=False),
        other: Beat(0, leaving=False),
    }


async def test_who_leaves_is_seen_leaving_and_goes_on_beating(world: World) -> None:
    one = an_id()
    await world.workers.join(one, "1.0", [])
    await world.workers.leave(one)
    assert await world.workers.beat(one) == {one: Beat(1, leaving=True)}


async def test_a_worker_that_parted_is_forgotten_and_may_join_again(world: World) -> None:
    one = an_id()
    await world.workers.join(one, "1.0", [])
    await world.workers.part(one)
    assert await world.workers.beat(one) == {}
    await world.workers.join(one, "1.1", ["a.type"])
    assert await world.workers.beat(one) == {one: Beat(1, leaving=False)}


async def test_writes_under_the_fence_do_not_make_the_position_wait(real: PostgresWorld) -> None:
    fence = await own(real)
    entry, other = an_entry(a_job()), an_entry(a_job())
    async with real.handlers.connection() as cancelling:
        await cancelling.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        for ended in (entry, other):
            row = (ended.job, 1, 0, 2, -1, b"cancelled")
            assert await cancelling.fetchval("SELECT jobs.cancel_v1($1,$2,$3,$4,$5,$6)", *row) == 0
        flush = asyncio.create_task(real.ledger.flush([fence], [entry]))
        fail = asyncio.create_task(real.ledger.fail(fence, 7, other))
        await blocked(real, 2)
        assert await real.ownership.advance([Move(fence, START, (1, 0, 0, 0))]) == {0}
        await cancelling.execute("COMMIT")
    assert (await flush).fenced == frozenset()
    assert await fail is Answer.SETTLED


async def test_a_take_over_waits_for_a_write_under_the_old_token_and_gives_up_in_time(
    real: PostgresWorld,
) -> None:
    await own(real)
    seen = await owner(real)
    impatient = SERVICE | {"lock_timeout": "50ms"}
    async with Pool(real.url, 1, settings=impatient) as pool, real.handlers.connection() as held:
        await held.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        await held.execute("SELECT FROM jobs.ownership WHERE partition = 0 FOR KEY SHARE")
        hasty = PostgresOwnership(pool)
        assert await hasty.take(seen, an_id(), an_id(), unclean=True) is None
        waiting = asyncio.create_task(real.ownership.take(seen, an_id(), an_id(), unclean=True))
        await blocked(real, 1)
        await held.execute("ROLLBACK")
        assert await waiting is not None


async def test_a_write_that_waited_for_a_take_over_finds_itself_fenced(
    real: PostgresWorld,
) -> None:
    fence = await own(real)
    async with real.handlers.connection() as taking:
        await taking.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        await taking.execute("UPDATE jobs.ownership SET token = $1 WHERE partition = 0", an_id())
        entry = an_entry(a_job())
        flush = asyncio.create_task(real.ledger.flush([fence], [entry]))
        fail = asyncio.create_task(real.ledger.fail(fence, 7, entry._replace(job=a_job())))
        await blocked(real, 2)
        await taking.execute("COMMIT")
        assert (await flush).fenced == {0}
        assert await fail is Answer.FENCED


async def blocked(world: PostgresWorld, count: int) -> None:
    """Wait until so many connections of this database wait for a lock."""
    async with world.handlers.connection() as connection:
        while True:
            found = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if found >= count:
                return
            await asyncio.sleep(0)
