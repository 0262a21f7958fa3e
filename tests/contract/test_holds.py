"""Do memory and PostgreSQL keep the same things from running?"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from processor.ports.holds import HoldKind, HoldMode
from processor.ports.ledger import Answer
from processor.ports.operations import AuditQuery
from processor.ports.waiting_room import Wait
from tests.contract.rooms import Rooms, held, jobs_of, over
from tests.contract.worlds import PostgresWorld, World, own

TYPE, ENTITY, TENANT, LANE = HoldKind.TYPE, HoldKind.ENTITY, HoldKind.TENANT, HoldKind.LANE
HOUR = 3_600


@pytest.fixture
def rooms(world: World) -> Rooms:
    return over(world)


async def in_seconds(rooms: Rooms, seconds: float) -> int:
    return await rooms.now() + round(seconds * 1e6)


async def test_a_hold_is_open_until_it_is_released(rooms: Rooms) -> None:
    assert await rooms.holds.open() == []
    hold = await rooms.holds.hold(TYPE, "flight.landed", "ada", "the gates are shut")
    assert (hold.kind, hold.value, hold.by, hold.why) == (
        TYPE,
        "flight.landed",
        "ada",
        "the gates are shut",
    )
    assert (hold.release, hold.until, hold.mode) == (None, None, HoldMode.HELD)
    assert await rooms.holds.open() == [hold]
    assert await rooms.holds.release(hold.id, "bob", "they are open") is True
    assert await rooms.holds.open() == []
    assert await rooms.holds.release(hold.id, "bob", "they are open") is False


async def test_each_kind_is_held_and_released_by_name(rooms: Rooms) -> None:
    for kind in HoldKind:
        await rooms.holds.hold(kind, "high", "ada", "why")
    assert [hold.kind for hold in await rooms.holds.open()] == list(HoldKind)
    assert await rooms.holds.release((LANE, "high"), "ada", "done") is True
    assert await rooms.holds.release((LANE, "high"), "ada", "done") is False
    assert [hold.kind for hold in await rooms.holds.open()] == [TYPE, ENTITY, TENANT]


async def test_a_second_hold_of_the_same_thing_joins_the_first(rooms: Rooms) -> None:
    first = await rooms.holds.hold(TENANT, "acme", "ada", "unpaid")
    second = await rooms.holds.hold(TENANT, "acme", "bob", "also unpaid")
    assert second == first
    assert await rooms.holds.open() == [first]


async def test_of_two_ends_the_later_counts(rooms: Rooms) -> None:
    early, late = await in_seconds(rooms, HOUR), await in_seconds(rooms, 2 * HOUR)
    assert (await rooms.holds.hold(TYPE, "a", "ada", "why", early)).until == early
    assert (await rooms.holds.hold(TYPE, "a", "bob", "why", late)).until == late
    assert (await rooms.holds.hold(TYPE, "a", "bob", "why", early)).until == late
    assert (await rooms.holds.hold(TYPE, "a", "bob", "why")).until is None
    assert (await rooms.holds.hold(TYPE, "a", "bob", "why", early)).until is None


async def test_a_hold_ends_by_itself(rooms: Rooms) -> None:
    hold = await rooms.holds.hold(TYPE, "a", "ada", "why", await in_seconds(rooms, HOUR))
    await rooms.later(HOUR - 60)
    assert [one.id for one in await rooms.holds.open()] == [hold.id]
    await rooms.later(60)
    assert await rooms.holds.open() == []
    assert await rooms.holds.release(hold.id, "ada", "late") is False
    assert await rooms.holds.release((TYPE, "a"), "ada", "late") is False


async def test_what_was_released_or_has_ended_can_be_held_anew(rooms: Rooms) -> None:
    first = await rooms.holds.hold(TYPE, "a", "ada", "why")
    await rooms.holds.release(first.id, "ada", "done")
    second = await rooms.holds.hold(TYPE, "a", "bob", "again", await in_seconds(rooms, HOUR))
    await rooms.later(HOUR)
    third = await rooms.holds.hold(TYPE, "a", "eve", "once more")
    assert len({first.id, second.id, third.id}) == 3
    assert (third.by, third.until) == ("eve", None)
    assert await rooms.holds.open() == [third]


async def test_of_two_that_hold_one_thing_at_once_both_hear_of_one_hold(rooms: Rooms) -> None:
    holds = await asyncio.gather(*(rooms.holds.hold(TYPE, "a", who, "why") for who in "abcd"))
    assert len({hold.id for hold in holds}) == 1
    assert await rooms.holds.open() == [holds[0]]


# rows that are held


async def test_the_rows_of_a_hold_become_due_when_it_is_gone(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    hold = await rooms.holds.hold(TYPE, "a", "ada", "why")
    other = await rooms.holds.hold(TYPE, "b", "ada", "why")
    first, second, third = held(hold.id), held(hold.id, entity=8), held(other.id, entity=9)
    for wait in (first, second, third):
        assert await rooms.room.record(fence, wait, 0) is Answer.DONE
    elsewhere = await own(rooms.world, 1)
    await rooms.room.record(elsewhere, held(hold.id, entity=10), 0)
    await rooms.holds.release(hold.id, "ada", "done")
    assert await rooms.room.due([0, 1], [], 10) == []
    await rooms.room.wake_hold(hold.id, [0], 100)
    due = await rooms.room.due([0, 1], [], 10)
    assert set(jobs_of(due)) == {first.job, second.job}
    assert {(row.wait.hold, row.wait.holds, row.revision) for row in due} == {(None, True, 1)}


async def test_a_job_that_was_parked_while_its_hold_was_released_is_found(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    hold = await rooms.holds.hold(TYPE, "a", "ada", "why")
    await rooms.holds.release(hold.id, "ada", "done")
    await rooms.room.wake_hold(hold.id, [0], 100)
    late, never = held(hold.id), held(hold.id + 1_000, entity=8)
    await rooms.room.record(fence, late, 0)
    await rooms.room.record(fence, never, 0)
    assert set(jobs_of(await rooms.room.orphans([0], 10))) == {late.job, never.job}
    assert len(await rooms.room.orphans([0], 1)) == 1
    assert await rooms.room.orphans([1], 10) == []
    await rooms.room.wake_hold(hold.id, [0], 100)
    assert jobs_of(await rooms.room.orphans([0], 10)) == [never.job]
    assert jobs_of(await rooms.room.due([0], [], 10)) == [late.job]


async def age(rooms: Rooms, wait: Wait) -> float:
    """For how many seconds a row has waited in its state."""
    row = await rooms.room.row(wait.job)
    assert row is not None
    return (await rooms.now() - row.since) / 1e6


async def test_what_a_hold_kept_waits_anew_for_what_comes_next(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    hold = await rooms.holds.hold(TYPE, "a", "ada", "why")
    wait = held(hold.id)
    await rooms.room.record(fence, wait, 0)
    await rooms.later(HOUR)
    await rooms.room.record(fence, wait, 1)
    assert await age(rooms, wait) >= HOUR, "held and held again is held"
    await rooms.room.wake_hold(hold.id, [0], 100)
    assert await age(rooms, wait) < HOUR
    await rooms.later(HOUR)
    unheld = replace(wait, hold=None)
    await rooms.room.record(fence, unheld, 2)
    assert await age(rooms, wait) >= HOUR, "it has waited without the hold since that was gone"
    await rooms.room.record(fence, wait, 3)
    assert await age(rooms, wait) < HOUR
    await rooms.later(HOUR)
    await rooms.room.record(fence, unheld, 4)
    assert await age(rooms, wait) < HOUR


async def test_a_row_is_no_orphan_while_its_hold_is_open(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    hold = await rooms.holds.hold(TYPE, "a", "ada", "why", await in_seconds(rooms, HOUR))
    wait = held(hold.id)
    await rooms.room.record(fence, wait, 0)
    assert await rooms.room.orphans([0], 10) == []
    await rooms.later(HOUR)
    assert jobs_of(await rooms.room.orphans([0], 10)) == [wait.job]


async def test_who_released_a_hold_and_why_can_be_read_later(real: PostgresWorld) -> None:
    holds = over(real).holds
    hold = await holds.hold(TYPE, "a", "ada", "why")
    await holds.release(hold.id, "bob", "the gates are open")
    async with real.service.connection() as connection:
        row = await connection.fetchrow("SELECT ended_by, ended_why FROM jobs.hold")
    assert tuple(row or ()) == ("bob", "the gates are open")


async def test_a_hold_that_is_released_at_a_rate_stays_until_nothing_waits_for_it(
    rooms: Rooms,
) -> None:
    hold = await rooms.holds.hold(HoldKind.TYPE, "a", "ada", "why")
    fence = await own(rooms.world)
    wait = held(hold.id)
    assert await rooms.room.record(fence, wait, 0) is Answer.DONE
    assert not await rooms.holds.finish(hold.id)
    assert await rooms.holds.release((HoldKind.TYPE, "a"), "bob", "slowly", 3)
    assert not await rooms.holds.release((HoldKind.TYPE, "b"), "bob", "slowly", 3)
    (found,) = await rooms.holds.open()
    assert (found.id, found.mode, found.rate) == (hold.id, HoldMode.RELEASING, 3)
    assert not await rooms.holds.finish(hold.id)
    assert await rooms.room.wake_hold(hold.id, [0], 10) == 1
    assert await rooms.holds.finish(hold.id)
    assert not await rooms.holds.finish(hold.id)
    assert await rooms.holds.open() == []
    told = await rooms.operations.told(AuditQuery())
    assert [(one.actor, one.subject) for one in told] == [
        ("bob", "type a, 3 a second"),
        ("ada", "type a"),
    ]
