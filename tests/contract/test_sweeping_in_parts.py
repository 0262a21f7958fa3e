"""Does PostgreSQL's sweep see everything, although no statement of it looks at everything?"""

from __future__ import annotations

import pytest

from processor.adapters.postgres import sweeping
from processor.ports.holds import HoldKind
from processor.ports.waiting_room import WaitingState
from tests.contract.rooms import Rooms, a_wait, connect, held, jobs_of, over, queued
from tests.contract.worlds import PostgresWorld, an_entry, own

HELD = WaitingState.HELD


@pytest.fixture
def rooms(real: PostgresWorld, monkeypatch: pytest.MonkeyPatch) -> Rooms:
    for bound, size in (("ENTITIES", 2), ("PAGES", 2), ("ROWS", 3), ("WOKEN", 2)):
        monkeypatch.setattr(sweeping, bound, size)
    return over(real)


async def test_stranded_entities_are_found_over_several_calls(rooms: Rooms) -> None:
    expected = set()
    for number in (0, 1):
        fence = await own(rooms.world, number)
        entities = range(10 * number, 10 * number + 7)
        await rooms.room.enqueue(fence, [queued(entity=entity) for entity in entities])
        for entity in list(entities)[:3]:
            await rooms.room.record(fence, a_wait(entity=entity), 0)
        expected |= {(number, entity) for entity in list(entities)[3:]}
    found: list[tuple[int, int]] = []
    while len(found) < len(expected):
        found += await rooms.room.stranded([0, 1], 100)
    assert (len(found), set(found)) == (8, expected)


async def test_an_end_beside_many_that_wait_is_found_over_several_calls(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    waits = [queued(entity=entity) for entity in range(20)]
    await rooms.room.enqueue(fence, waits)
    ended = max(waits, key=lambda wait: wait.job)
    await rooms.world.ledger.flush([fence], [an_entry(ended.job)])
    found = [row for _ in range(7) for row in await rooms.room.settled([0], 100)]
    assert jobs_of(found) == [ended.job]
    again = [row for _ in range(7) for row in await rooms.room.settled([0], 100)]
    assert jobs_of(again) == [ended.job]


async def test_a_partition_is_woken_in_parts_and_whole(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    for entity in (-(2**63), *range(5), 2**63 - 1):
        await rooms.room.record(fence, a_wait(HELD, entity=entity), 0)
    await rooms.room.wake(0, [HELD])
    assert len(await rooms.room.due([0], [], 100)) == 7


async def test_many_rows_of_one_entity_are_woken(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    await rooms.room.enqueue(fence, [queued(place=place) for place in range(5)])
    await rooms.room.wake(0, [WaitingState.QUEUED])
    assert len(await rooms.room.due([0], [], 100)) == 5


async def test_a_hold_is_woken_in_parts_and_whole(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    hold = await rooms.holds.hold(HoldKind.TYPE, "a", "ada", "why")
    for entity in range(5):
        await rooms.room.record(fence, held(hold.id, entity=entity), 0)
    await rooms.room.wake_hold(hold.id, [0], 100)
    assert len(await rooms.room.due([0], [], 100)) == 5


async def test_waking_passes_by_a_row_that_somebody_is_writing(
    rooms: Rooms, real: PostgresWorld
) -> None:
    fence = await own(rooms.world)
    hold = await rooms.holds.hold(HoldKind.TYPE, "a", "ada", "why")
    written, free = held(hold.id), held(hold.id, entity=8)
    await rooms.room.record(fence, written, 0)
    await rooms.room.record(fence, free, 0)
    writing = await connect(real)
    try:
        async with writing.transaction():
            await writing.execute("SELECT FROM jobs.waiting WHERE job = $1 FOR UPDATE", written.job)
            await rooms.room.wake_hold(hold.id, [0], 100)
            await rooms.room.wake(0, [HELD])
            assert jobs_of(await rooms.room.due([0], [], 10)) == [free.job]
    finally:
        await writing.close()
    await rooms.holds.release(hold.id, "ada", "done")
    assert jobs_of(await rooms.room.orphans([0], 10)) == [written.job]
