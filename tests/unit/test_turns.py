"""Whose turn is it, when connections are few?"""

from __future__ import annotations

import asyncio

import pytest

from processor.adapters.postgres.turns import Turns
from processor.domain.priority import LANES, Priority


async def entering(turns: Turns, lane: Priority) -> asyncio.Task[None]:
    task = asyncio.create_task(turns.enter(lane))
    await asyncio.sleep(0)
    return task


@pytest.mark.parametrize(
    ("size", "held"), [(16, [16, 15, 14, 13]), (4, [4, 3, 2, 1]), (2, [2, 1, 1, 1]), (1, [1] * 4)]
)
async def test_each_lane_leaves_a_place_to_the_lanes_above_and_has_one_itself(
    size: int, held: list[int]
) -> None:
    for lane in LANES:
        turns = Turns(size)
        tasks = [await entering(turns, lane) for _ in range(size + 1)]
        assert sum(task.done() for task in tasks) == held[lane]
        for task in tasks:
            task.cancel()


async def test_a_lane_and_those_below_it_share_what_it_may_hold() -> None:
    turns = Turns(4)
    await turns.enter(Priority.LOW)
    await turns.enter(Priority.NORMAL)
    assert not (await entering(turns, Priority.NORMAL)).done()
    await turns.enter(Priority.HIGH)
    assert not (await entering(turns, Priority.HIGH)).done()
    await turns.enter(Priority.CRITICAL)


async def test_the_most_urgent_waiter_is_next_and_within_a_lane_the_first() -> None:
    turns = Turns(1)
    await turns.enter(Priority.LOW)
    order: list[str] = []

    async def wait(lane: Priority, name: str) -> None:
        await turns.enter(lane)
        order.append(name)
        turns.leave(lane)

    waiting = []
    for lane, name in (
        (Priority.LOW, "low"),
        (Priority.HIGH, "high 1"),
        (Priority.HIGH, "high 2"),
        (Priority.CRITICAL, "critical"),
    ):
        waiting.append(asyncio.create_task(wait(lane, name)))
        await asyncio.sleep(0)
    turns.leave(Priority.LOW)
    await asyncio.gather(*waiting)
    assert order == ["critical", "high 1", "high 2", "low"]


async def test_who_comes_later_does_not_pass_who_waits() -> None:
    turns = Turns(1)
    await turns.enter(Priority.HIGH)
    first = await entering(turns, Priority.HIGH)
    turns.leave(Priority.HIGH)
    second = await entering(turns, Priority.HIGH)
    assert first.done()
    assert not second.done()
    second.cancel()


async def test_a_waiter_that_gives_up_leaves_its_turn_to_the_next() -> None:
    turns = Turns(1)
    await turns.enter(Priority.LOW)
    gives_up, next_one = await entering(turns, Priority.LOW), await entering(turns, Priority.LOW)
    gives_up.cancel()
    turns.leave(Priority.LOW)
    await next_one
    assert gives_up.cancelled()


async def test_a_turn_granted_to_whom_is_being_cancelled_is_passed_on() -> None:
    turns = Turns(1)
    await turns.enter(Priority.LOW)
    granted, next_one = await entering(turns, Priority.LOW), await entering(turns, Priority.LOW)
    turns.leave(Priority.LOW)
    granted.cancel()
    await next_one
    assert granted.cancelled()
