"""Do memory and PostgreSQL tell the same one that he was first?"""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from processor.domain.changes import Change
from processor.domain.ids import JobId
from processor.ports.holds import HoldKind
from processor.ports.operations import AuditQuery, Edit, Note, Operation, OperationKind
from tests.contract.rooms import Rooms, connect, over
from tests.contract.worlds import PostgresWorld, World, a_job

REPLAY, DISCARD = OperationKind.REPLAY, OperationKind.DISCARD
EDIT = Edit(b'{"minutes": 5}', (Change("minutes", '"five"', "5"), Change("\0", None, "1")))


@pytest.fixture
def rooms(world: World) -> Rooms:
    return over(world)


async def first(
    rooms: Rooms, kind: OperationKind, job: JobId, generation: int, actor: str, because: str
) -> Operation:
    (told,) = await rooms.operations.first(kind, [(job, generation)], actor, because)
    return told


async def test_the_first_is_told_so_and_the_second_who_it_was(rooms: Rooms) -> None:
    job = a_job()
    told = await first(rooms, REPLAY, job, 1, "ada", "the gate is mended")
    assert (told.kind, told.job, told.generation) == (REPLAY, job, 1)
    assert (told.actor, told.reason, told.ours) == ("ada", "the gate is mended", True)
    second = await first(rooms, REPLAY, job, 1, "bob", "me too")
    assert (second.actor, second.reason, second.ours) == ("ada", "the gate is mended", False)
    assert second.at == told.at


async def test_asking_again_changes_nothing(rooms: Rooms) -> None:
    job = a_job()
    told = await first(rooms, REPLAY, job, 1, "ada", "why")
    again = await first(rooms, REPLAY, job, 1, "ada", "another reason")
    assert (again.actor, again.reason, again.at) == ("ada", "why", told.at)
    assert again.ours is False


async def test_each_kind_job_and_generation_has_its_own_first(rooms: Rooms) -> None:
    job = a_job()
    for key in ((REPLAY, job, 1), (DISCARD, job, 1), (REPLAY, job, 2), (REPLAY, a_job(), 1)):
        assert (await first(rooms, *key, "ada", "why")).ours is True


async def test_of_many_at_once_one_is_first(rooms: Rooms) -> None:
    job, actors = a_job(), [f"operator {number}" for number in range(8)]
    told = await asyncio.gather(*(first(rooms, REPLAY, job, 1, actor, "why") for actor in actors))
    (winner,) = [one for one in told if one.ours]
    assert {one.actor for one in told} == {winner.actor}
    assert winner.actor == actors[told.index(winner)]


async def test_what_was_asked_for_of_a_dead_letter_is_told(rooms: Rooms) -> None:
    job = a_job()
    assert await rooms.operations.of([(job, 1)]) == []
    await first(rooms, REPLAY, job, 1, "ada", "why")
    await first(rooms, DISCARD, job, 1, "bob", "why not")
    await first(rooms, REPLAY, job, 2, "ada", "again")
    found = await rooms.operations.of([(job, 1)])
    assert {(one.kind, one.actor) for one in found} == {(REPLAY, "ada"), (DISCARD, "bob")}
    assert {one.ours for one in found} == {False}


async def test_of_many_each_is_told_who_was_first_in_the_order_given(rooms: Rooms) -> None:
    jobs = [a_job() for _ in range(5)]
    await first(rooms, REPLAY, jobs[2], 1, "bob", "mine")
    deaths = [(job, 1) for job in jobs]
    told = await rooms.operations.first(REPLAY, deaths, "ada", "all", plan=7)
    assert [(one.job, one.generation) for one in told] == deaths
    assert [one.actor for one in told] == ["ada", "ada", "bob", "ada", "ada"]
    assert [one.ours for one in told] == [True, True, False, True, True]
    assert [one.plan for one in told] == [7, 7, None, 7, 7]


async def test_an_edit_is_kept_with_the_first_and_nobody_elses_takes_its_place(
    rooms: Rooms,
) -> None:
    job = a_job()
    (mine,) = await rooms.operations.first(REPLAY, [(job, 1)], "ada", "typed wrong", edit=EDIT)
    assert (mine.payload, mine.changes) == (EDIT.payload, EDIT.changes)
    other = Edit(b"6", ())
    (second,) = await rooms.operations.first(REPLAY, [(job, 1)], "bob", "no, 6", edit=other)
    assert (second.actor, second.payload, second.changes) == ("ada", EDIT.payload, EDIT.changes)
    unedited = await first(rooms, REPLAY, job, 1, "eve", "as it was")
    assert unedited.payload == EDIT.payload


async def test_the_audit_tells_everything_the_newest_first(rooms: Rooms) -> None:
    job = a_job()
    await first(rooms, REPLAY, job, 1, "ada", "why")
    await rooms.operations.first(REPLAY, [(a_job(), 1)], "ada", "typed", edit=EDIT)
    await rooms.operations.first(DISCARD, [(a_job(), 1)], "ada", "all of them", plan=7)
    note = Note(OperationKind.PLAN, "ada", "all of them", "2 dead letters of type a", plan=7)
    await rooms.operations.note(note)
    await rooms.operations.note(Note(OperationKind.CANCEL, "bob", "", job=job, generation=1))
    told = await rooms.operations.told(AuditQuery())
    assert [one.kind.value for one in told] == ["cancel", "plan", "edit", "replay"]
    assert [one.number for one in told] == sorted((one.number for one in told), reverse=True)
    assert (told[0].job, told[0].generation, told[0].reason) == (job, 1, "")
    assert (told[1].subject, told[1].plan, told[1].job) == ("2 dead letters of type a", 7, None)
    assert told[2].changes == EDIT.changes
    assert [one.ours for one in told] == [False] * 4


async def test_the_audit_is_asked_by_kind_actor_job_time_and_page(rooms: Rooms) -> None:
    job = a_job()
    await first(rooms, REPLAY, job, 1, "ada", "why")
    await rooms.operations.first(REPLAY, [(job, 2)], "bob", "typed", edit=EDIT)
    await rooms.operations.first(REPLAY, [(job, 3)], "ada", "planned", plan=7)

    async def told(query: AuditQuery) -> list[int | None]:
        return [one.generation for one in await rooms.operations.told(query)]

    assert await told(AuditQuery(kind=OperationKind.EDIT)) == [2]
    assert await told(AuditQuery(kind=REPLAY)) == [1]
    assert await told(AuditQuery(kind=DISCARD)) == []
    assert await told(AuditQuery(actor="bob")) == [2]
    assert await told(AuditQuery(job=job, singly=True)) == [3, 2, 1]
    assert await told(AuditQuery(job=a_job())) == []
    assert await told(AuditQuery(limit=1)) == [2]
    newest = (await rooms.operations.told(AuditQuery(limit=1)))[0]
    assert await told(AuditQuery(before=newest.number)) == [1]
    later = await rooms.now() + 1_000_000
    assert await told(AuditQuery(since=later)) == []
    assert await told(AuditQuery(until=later)) == [2, 1]


async def test_a_hold_and_its_release_stand_in_the_audit(rooms: Rooms) -> None:
    await rooms.holds.hold(HoldKind.TYPE, "billing", "ada", "it is down")
    assert await rooms.holds.release((HoldKind.TYPE, "billing"), "bob", "it is up")
    assert not await rooms.holds.release((HoldKind.TYPE, "billing"), "eve", "again")
    told = await rooms.operations.told(AuditQuery())
    assert [(one.kind.value, one.subject, one.actor, one.reason) for one in told] == [
        ("release", "type billing", "bob", "it is up"),
        ("hold", "type billing", "ada", "it is down"),
    ]


async def test_no_row_of_the_audit_is_changed_or_deleted_by_its_owner_either(
    real: PostgresWorld,
) -> None:
    await first(over(real), REPLAY, a_job(), 1, "ada", "why")
    connection = await connect(real)
    for change in ("UPDATE jobs.operation SET actor = 'bob'", "DELETE FROM jobs.operation"):
        with pytest.raises(asyncpg.PostgresError, match="are written once"):
            await connection.execute(change)
    await connection.close()
