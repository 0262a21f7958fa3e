"""Do memory and PostgreSQL tell the same one that he was first?"""

from __future__ import annotations

import asyncio

import pytest

from processor.ports.operations import OperationKind
from tests.contract.rooms import Rooms, over
from tests.contract.worlds import World, a_job

REPLAY, DISCARD = OperationKind.REPLAY, OperationKind.DISCARD


@pytest.fixture
def rooms(world: World) -> Rooms:
    return over(world)


async def test_the_first_is_told_so_and_the_second_who_it_was(rooms: Rooms) -> None:
    job = a_job()
    first = await rooms.operations.first(REPLAY, job, 1, "ada", "the gate is mended")
    assert (first.kind, first.job, first.generation) == (REPLAY, job, 1)
    assert (first.actor, first.reason, first.ours) == ("ada", "the gate is mended", True)
    second = await rooms.operations.first(REPLAY, job, 1, "bob", "me too")
    assert (second.actor, second.reason, second.ours) == ("ada", "the gate is mended", False)
    assert second.at == first.at


async def test_asking_again_changes_nothing(rooms: Rooms) -> None:
    job = a_job()
    first = await rooms.operations.first(REPLAY, job, 1, "ada", "why")
    again = await rooms.operations.first(REPLAY, job, 1, "ada", "another reason")
    assert (again.actor, again.reason, again.at) == ("ada", "why", first.at)
    assert again.ours is False


async def test_each_kind_job_and_generation_has_its_own_first(rooms: Rooms) -> None:
    job = a_job()
    for key in ((REPLAY, job, 1), (DISCARD, job, 1), (REPLAY, job, 2), (REPLAY, a_job(), 1)):
        assert (await rooms.operations.first(*key, "ada", "why")).ours is True


async def test_of_many_at_once_one_is_first(rooms: Rooms) -> None:
    job, actors = a_job(), [f"operator {number}" for number in range(8)]
    told = await asyncio.gather(
        *(rooms.operations.first(REPLAY, job, 1, actor, "why") for actor in actors)
    )
    (winner,) = [one for one in told if one.ours]
    assert {one.actor for one in told} == {winner.actor}
    assert winner.actor == actors[told.index(winner)]


async def test_what_was_asked_for_of_a_dead_letter_is_told(rooms: Rooms) -> None:
    job = a_job()
    assert await rooms.operations.of(job, 1) == []
    await rooms.operations.first(REPLAY, job, 1, "ada", "why")
    await rooms.operations.first(DISCARD, job, 1, "bob", "why not")
    await rooms.operations.first(REPLAY, job, 2, "ada", "again")
    found = await rooms.operations.of(job, 1)
    assert {(one.kind, one.actor) for one in found} == {(REPLAY, "ada"), (DISCARD, "bob")}
    assert {one.ours for one in found} == {False}
