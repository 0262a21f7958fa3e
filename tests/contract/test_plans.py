"""Do memory and PostgreSQL keep plans, their letters and their leases alike?"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from processor.adapters.memory.plans import MemoryPlans
from processor.adapters.memory.projection import MemoryProjections
from processor.adapters.postgres.plan_runs import PostgresPlanRuns
from processor.adapters.postgres.plans import PostgresPlans
from processor.adapters.postgres.projection import PostgresProjections
from processor.domain.ids import JobId, dead_letter_id
from processor.domain.priority import Priority
from processor.domain.selection import Selection
from processor.ports.ledger import Ending
from processor.ports.operations import AuditQuery, OperationKind
from processor.ports.plans import CANARY, Done, Draft, Ends, Plan, PlanRuns, Plans, PlanState
from processor.ports.projection import Batch, LetterRow, Projections
from tests.contract.rooms import Rooms, over
from tests.contract.worlds import MemoryWorld, PostgresWorld, World, an_entry, own

NOW = 1_700_000_000_123_456
EVERY_A = Selection(type="a")


@dataclass
class Planned:
    world: World
    rooms: Rooms
    plans: Plans
    runs: PlanRuns
    projections: Projections

    async def died(self, *letters: LetterRow) -> None:
        assert await self.projections.write("letters", [], Batch(letters=[*letters]))

    async def made(self, draft: Draft | None = None, expected: int | None = None) -> Plan:
        plan = await self.plans.make(draft or a_draft(), expected)
        assert isinstance(plan, Plan)
        return plan

    async def seen(self, plan: Plan) -> Plan:
        found = await self.plans.of(plan.id)
        assert found is not None
        return found

    async def numbers(self, plan: Plan, limit: int = 100, upto: int | None = None) -> list[int]:
        return [turn.number for turn in await self.runs.next(plan.id, limit, upto)]


@pytest.fixture
def planned(world: World) -> Planned:
    if isinstance(world, MemoryWorld):
        projections = MemoryProjections()
        plans = MemoryPlans(world.database, projections)
        return Planned(world, over(world), plans, plans, projections)
    assert isinstance(world, PostgresWorld)
    pool = world.service
    rows = PostgresPlans(pool)
    return Planned(world, over(world), rows, PostgresPlanRuns(pool), PostgresProjections(pool))


def letter(number: int, *, lane: int = 2, offset: int | None = None, type_: str = "a") -> LetterRow:
    job = JobId(UUID(int=number))
    return LetterRow(
        job.bytes,
        1,
        dead_letter_id(job, 1),
        NOW + number,
        None,
        "acme",
        type_,
        "app:bill:12",
        b"died",
        release="r1",
        entity_key=number % 3,
        lane=lane,
        offset=number if offset is None else offset,
    )


def a_draft(selection: Selection = EVERY_A, **changed: object) -> Draft:
    fields = {"by": "ada", "because": "it is mended"} | changed
    return Draft(OperationKind.REPLAY, selection, **fields)  # type: ignore[arg-type]


async def test_a_plan_takes_its_letters_once_in_the_order_of_lanes_and_of_the_log(
    planned: Planned,
) -> None:
    late = letter(1, offset=70)
    low, critical = letter(2, lane=3, offset=1), letter(3, lane=0, offset=90)
    early, unknown = letter(4, offset=60), letter(5)._replace(lane=None, offset=None)
    other = letter(6, type_="b")
    await planned.died(late, low, critical, early, unknown, other)
    plan = await planned.made()
    await planned.died(letter(7))  # too late for it
    assert (plan.letters, plan.left, plan.state) == (5, 5, PlanState.RUNNING)
    turns = await planned.runs.next(plan.id, 100, None)
    assert [turn.letter for turn in turns] == [unknown, critical, early, late, low]
    assert [turn.number for turn in turns] == [1, 2, 3, 4, 5]
    assert await planned.numbers(plan, limit=2) == [1, 2]
    assert await planned.numbers(plan, upto=3) == [1, 2, 3]


async def test_a_plan_is_kept_as_it_was_drafted_and_told_to_the_audit(planned: Planned) -> None:
    letters = [letter(number) for number in range(1, 4)]
    await planned.died(*letters)
    selection = Selection(
        ids=(letters[1].id, letters[0].id),
        type="a",
        place="app:bill:12",
        release="r1",
        tenant="acme",
        died_after=NOW,
        died_before=NOW + 100,
        overtaken=False,
    )
    draft = a_draft(selection, priority=Priority.LOW, rate=2.5, canary=1, stop_above=0.25)
    plan = await planned.made(draft, 2)
    assert plan == await planned.seen(plan)
    assert (plan.draft, plan.letters, plan.canary_upto) == (draft, 2, 1)
    assert await planned.plans.recent(5) == [plan]
    (note,) = await planned.rooms.operations.told(AuditQuery())
    assert (note.kind, note.actor, note.plan) == (OperationKind.PLAN, "ada", plan.id)
    assert note.subject.startswith(f"plan {plan.id}: replay 2 dead letters, 2 named, type a, place")


async def test_what_chooses_nothing_or_another_number_is_not_written(planned: Planned) -> None:
    await planned.died(letter(1), letter(2))
    assert await planned.plans.make(a_draft(Selection(type="b"))) == 0
    assert await planned.plans.make(a_draft(), 3) == 2
    assert await planned.plans.recent(5) == []
    assert await planned.rooms.operations.told(AuditQuery()) == []
    assert await planned.plans.of(1_000_000) is None


async def test_what_is_marked_is_not_taken_again_and_stays_as_it_is(planned: Planned) -> None:
    await planned.died(*(letter(number) for number in range(1, 6)))
    plan = await planned.made()
    await planned.runs.mark(plan.id, [Done(1, 2), Done(3, None, "unreadable")])
    await planned.runs.mark(plan.id, [Done(1, 7), Done(3, 2)])
    await planned.runs.mark(plan.id, [])
    assert await planned.numbers(plan) == [2, 4, 5]
    seen = await planned.seen(plan)
    assert (seen.done, seen.refused, seen.left) == (1, 1, 3)
    await planned.runs.finish(plan.id)
    assert (await planned.seen(plan)).state is PlanState.RUNNING
    await planned.runs.mark(plan.id, [Done(2, 2), Done(4, 2), Done(5, 2)])
    await planned.runs.finish(plan.id)
    seen = await planned.seen(plan)
    assert (seen.state, seen.left, seen.ended_by) == (PlanState.COMPLETE, 0, None)
    assert not await planned.runs.lease(plan.id, uuid4(), "me", 10)
    assert not await planned.plans.stop(plan.id, "ada", "late")
    assert not await planned.plans.resume(plan.id, "ada", "late")


async def test_one_runner_at_a_time_has_a_plan_until_he_lets_go_or_dies(planned: Planned) -> None:
    await planned.died(letter(1))
    plan = await planned.made()
    ada, bob = uuid4(), uuid4()
    assert await planned.runs.free() == [plan.id]
    assert await planned.runs.lease(plan.id, ada, "ada's", 30)
    assert (await planned.seen(plan)).runner == "ada's"
    assert not await planned.runs.lease(plan.id, bob, "bob's", 30)
    assert await planned.runs.lease(plan.id, ada, "ada's", 30)
    assert await planned.runs.free() == []
    await planned.runs.let_go(plan.id, bob)
    assert await planned.runs.free() == []
    await planned.runs.let_go(plan.id, ada)
    assert (await planned.seen(plan)).runner is None
    assert await planned.runs.lease(plan.id, bob, "bob's", -1.0)  # who has died long ago
    assert await planned.runs.free() == [plan.id]
    assert await planned.runs.lease(plan.id, ada, "ada's", 30)
    assert await planned.plans.stop(plan.id, "eve", "wait")
    assert not await planned.runs.lease(plan.id, ada, "ada's", 30)
    assert await planned.runs.free() == []


async def test_who_stopped_and_who_resumed_is_told(planned: Planned) -> None:
    await planned.died(letter(1))
    plan = await planned.made()
    assert await planned.plans.stop(plan.id, "eve", "wait")
    assert not await planned.plans.stop(plan.id, "eve", "wait")
    seen = await planned.seen(plan)
    assert (seen.state, seen.ended_by, seen.ended_because) == (PlanState.STOPPED, "eve", "wait")
    assert seen.ended_at is not None
    assert await planned.plans.resume(plan.id, "ada", "go on")
    assert not await planned.plans.resume(plan.id, "ada", "go on")
    seen = await planned.seen(plan)
    assert (seen.state, seen.ended_by, seen.ended_at) == (PlanState.RUNNING, None, None)
    told = await planned.rooms.operations.told(AuditQuery())
    assert [(one.kind.value, one.actor, one.plan) for one in told] == [
        ("resume", "ada", plan.id),
        ("stop", "eve", plan.id),
        ("plan", "ada", plan.id),
    ]


async def test_a_canary_that_failed_is_followed_by_another_and_one_that_passed_by_all(
    planned: Planned,
) -> None:
    await planned.died(*(letter(number) for number in range(1, 8)))
    plan = await planned.made(a_draft(canary=2, stop_above=0.1))
    assert plan.canary_upto == 2
    await planned.plans.stop(plan.id, "ada", "by hand")
    await planned.plans.resume(plan.id, "ada", "go on")
    assert (await planned.seen(plan)).canary_upto == 2
    await planned.plans.stop(plan.id, CANARY, "2 of 2 failed")
    await planned.plans.resume(plan.id, "ada", "go on")
    assert (await planned.seen(plan)).canary_upto == 4
    await planned.runs.pass_canary(plan.id)
    assert (await planned.seen(plan)).canary_upto is None


async def test_the_ends_of_a_canary_are_those_of_the_generations_it_started(
    planned: Planned,
) -> None:
    await planned.died(*(letter(number) for number in range(1, 7)))
    plan = await planned.made(a_draft(canary=4, stop_above=0.1))
    jobs = [JobId(UUID(int=number)) for number in range(1, 7)]
    fence = await own(planned.world)
    for job in jobs:
        assert await planned.world.ledger.fail(fence, 1, an_entry(job, b"died"))
    done = [Done(1, 2), Done(2, 2), Done(3, 3), Done(4, None, "unreadable"), Done(5, 2)]
    await planned.runs.mark(plan.id, done)
    assert await planned.runs.ends(plan.id, 4, 4) == Ends(3, 0, 3)
    flushed = await planned.world.ledger.flush([fence], [an_entry(jobs[0], generation=2)])
    assert flushed.fenced == frozenset()
    await planned.world.ledger.fail(fence, 1, an_entry(jobs[1], b"died", generation=2))
    await planned.rooms.cancelling.discard(an_entry(jobs[2], b"discard", generation=2))
    assert await planned.runs.ends(plan.id, 4, 4) == Ends(3, 1, 1)
    row = await planned.rooms.cancelling.cancel(an_entry(jobs[2], b"cancel", generation=3))
    assert row.ending is Ending.CANCELLED
    assert await planned.runs.ends(plan.id, 4, 4) == Ends(3, 1, 0)
    assert await planned.runs.ends(plan.id, 2, 6) == Ends(1, 0, 1)
