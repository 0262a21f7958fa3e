"""Do memory and PostgreSQL keep a breaker's hold, its probes and its news alike?"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from processor.domain.breaker import NAME, BreakerState
from processor.ports.holds import Hold, HoldKind, HoldMode
from tests.contract.rooms import Rooms, held, jobs_of, over
from tests.contract.worlds import World, an_id, own

WAIT, LEASE = 60.0, 15.0
WHY = "10 jobs failed one after the other"


@pytest.fixture
def rooms(world: World) -> Rooms:
    return over(world)


async def tripped(rooms: Rooms, release: str = "7") -> Hold:
    return await rooms.holds.trip("pay", release, WHY, WAIT)


async def the_hold(rooms: Rooms) -> Hold:
    (hold,) = await rooms.holds.open()
    return hold


async def test_a_breaker_holds_a_type_for_a_release_and_whoever_comes_later_joins(
    rooms: Rooms,
) -> None:
    hold = await tripped(rooms)
    assert (hold.kind, hold.value, hold.release) == (HoldKind.TYPE, "pay", "7")
    assert (hold.mode, hold.by, hold.why) == (HoldMode.PROBING, NAME, WHY)
    assert (hold.failed_probes, hold.probe_by, hold.probe_due) == (0, None, False)
    assert hold.probe_at is not None
    assert hold.probe_at >= await rooms.now() + 50_000_000
    others = await asyncio.gather(*(rooms.holds.trip("pay", "7", "why", 1) for _ in range(3)))
    assert others == [hold] * 3
    assert await the_hold(rooms) == hold
    other = await tripped(rooms, "8")
    assert other.id != hold.id
    mine = await rooms.holds.hold(HoldKind.TYPE, "pay", "ada", "by hand")
    assert (mine.release, mine.mode) == (None, HoldMode.HELD)
    assert await rooms.holds.open() == [hold, other, mine]


async def test_one_of_many_gets_the_lease_and_none_before_it_is_time(rooms: Rooms) -> None:
    hold, workers = await tripped(rooms), [an_id() for _ in range(5)]
    assert not await rooms.holds.probe(hold.id, workers[0], LEASE)
    await rooms.later(WAIT)
    assert (await the_hold(rooms)).probe_due
    asked = await asyncio.gather(*(rooms.holds.probe(hold.id, one, LEASE) for one in workers))
    assert sum(asked) == 1
    prober = workers[asked.index(True)]
    found = await the_hold(rooms)
    assert (found.probe_by, found.probe_due) == (prober, False)
    # It is prolonged by whoever has it, until it has run out: then it is anybody's.
    await rooms.later(LEASE - 5)
    assert await rooms.holds.probe(hold.id, prober, LEASE)
    await rooms.later(LEASE - 5)
    other = an_id()
    assert not await rooms.holds.probe(hold.id, other, LEASE)
    await rooms.later(LEASE)
    assert await rooms.holds.probe(hold.id, other, LEASE)
    assert not await rooms.holds.probe(hold.id, prober, LEASE)
    assert not await rooms.holds.pass_on(hold.id, prober, None), "its lease has run out"
    assert not await rooms.holds.pass_on(hold.id, prober, WAIT)
    assert (await the_hold(rooms)).failed_probes == 0


async def test_a_probe_that_fails_keeps_the_hold_and_one_that_succeeds_ends_it(
    rooms: Rooms,
) -> None:
    hold, worker = await tripped(rooms), an_id()
    for count in (1, 2):
        await rooms.later(2 * WAIT)
        assert await rooms.holds.probe(hold.id, worker, LEASE)
        assert await rooms.holds.pass_on(hold.id, worker, 2 * WAIT)
        assert not await rooms.holds.pass_on(hold.id, worker, 2 * WAIT), "it was said once"
        found = await the_hold(rooms)
        assert (found.failed_probes, found.probe_by, found.probe_due) == (count, None, False)
    await rooms.later(2 * WAIT)
    assert await rooms.holds.probe(hold.id, worker, LEASE)
    assert await rooms.holds.pass_on(hold.id, worker, None)
    assert await rooms.holds.open() == []
    assert not await rooms.holds.pass_on(hold.id, worker, None)
    assert not await rooms.holds.probe(hold.id, worker, LEASE)
    again = await tripped(rooms)
    assert (again.id != hold.id, again.failed_probes) == (True, 0)


async def test_what_an_operator_holds_is_not_probed(rooms: Rooms) -> None:
    hold = await rooms.holds.hold(HoldKind.TYPE, "pay", "ada", "by hand")
    assert not await rooms.holds.probe(hold.id, an_id(), LEASE)
    assert not await rooms.holds.pass_on(hold.id, an_id(), None)
    assert await the_hold(rooms) == hold


async def test_the_hold_of_a_release_that_nobody_has_any_more_is_ended(rooms: Rooms) -> None:
    worker, other = an_id(), an_id()
    await rooms.world.workers.join(worker, "7", ["pay"])
    await rooms.world.workers.join(other, "6", ["pay"])
    await tripped(rooms, "7")
    await rooms.holds.hold(HoldKind.TYPE, "pay", "ada", "by hand")
    assert await rooms.holds.forsake() == 0
    await rooms.world.workers.part(worker)
    assert await rooms.holds.forsake() == 1
    assert (await the_hold(rooms)).by == "ada"
    assert await rooms.holds.forsake() == 0


async def test_each_change_is_news_until_it_was_told(rooms: Rooms) -> None:
    await rooms.holds.hold(HoldKind.TENANT, "acme", "ada", "no breaker's")
    hold, worker = await tripped(rooms), an_id()
    (opened,) = await rooms.holds.untold(10)
    assert (opened.state, opened.type, opened.release) == (BreakerState.OPEN, "pay", "7")
    assert (opened.hold, opened.by, opened.because) == (hold.id, NAME, WHY)
    assert opened.at == opened.opened_at == hold.since
    assert await rooms.holds.untold(10) == [opened]
    await rooms.holds.told([opened])
    assert await rooms.holds.untold(10) == []
    await rooms.later(WAIT)
    await rooms.holds.probe(hold.id, worker, LEASE)
    await rooms.holds.pass_on(hold.id, worker, None)
    (closed,) = await rooms.holds.untold(10)
    assert (closed.state, closed.hold, closed.by) == (BreakerState.CLOSED, hold.id, NAME)
    assert closed.opened_at == opened.opened_at
    await rooms.holds.told([closed])
    await rooms.holds.told([opened])
    assert await rooms.holds.untold(10) == []


async def test_who_released_a_breakers_hold_by_hand_is_news_too(rooms: Rooms) -> None:
    await tripped(rooms)
    await rooms.holds.release((HoldKind.TYPE, "pay"), "bob", "I know better")
    news = await rooms.holds.untold(10)
    assert [one.state for one in news] == [BreakerState.OPEN, BreakerState.CLOSED]
    assert (news[1].by, news[1].because) == ("bob", "I know better")
    await rooms.holds.told(news)
    assert await rooms.holds.untold(10) == []


async def test_the_row_with_the_fewest_attempts_is_woken_to_be_a_probe(rooms: Rooms) -> None:
    fence, hold = await own(rooms.world), await tripped(rooms)
    tired, fresh = replace(held(hold.id), attempt=3), replace(held(hold.id, entity=8), attempt=1)
    for wait in (tired, fresh):
        await rooms.room.record(fence, wait, 0)
    assert not await rooms.room.wake_probe(hold.id, [1])
    assert await rooms.room.wake_probe(hold.id, [0])
    (woken,) = await rooms.room.due([0], [], 10)
    assert (woken.wait.job, woken.wait.hold, woken.revision) == (fresh.job, hold.id, 1)
    assert await rooms.room.wake_probe(hold.id, [0])
    assert set(jobs_of(await rooms.room.due([0], [], 10))) == {tired.job, fresh.job}
    assert not await rooms.room.wake_probe(hold.id, [0]), "none is left that sleeps"


async def test_what_a_hold_kept_is_woken_in_portions(rooms: Rooms) -> None:
    fence, hold = await own(rooms.world), await tripped(rooms)
    for entity in range(5):
        await rooms.room.record(fence, held(hold.id, entity=entity), 0)
    assert await rooms.room.wake_hold(hold.id, [0], 2) == 2
    assert len(await rooms.room.due([0], [], 10)) == 2
    assert await rooms.room.wake_hold(hold.id, [0], 10) == 3
    assert await rooms.room.wake_hold(hold.id, [0], 10) == 0


async def test_orphans_of_holds_that_are_known_are_left_out(rooms: Rooms) -> None:
    fence = await own(rooms.world)
    first, second = held(901), held(902, entity=8)
    for wait in (first, second):
        await rooms.room.record(fence, wait, 0)
    assert len(await rooms.room.orphans([0], 10)) == 2
    assert jobs_of(await rooms.room.orphans([0], 10, [901])) == [second.job]
