"""What becomes of a plan over dead letters, whoever dies while it is run?"""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count

import pytest

from processor.adapters.memory.plans import MemoryPlans
from processor.adapters.memory.step import onward
from processor.domain.errors import (
    AlreadyFinished,
    ConfigurationError,
    PlanNotFound,
    PlanRefused,
)
from processor.domain.events import Queued
from processor.domain.ids import JobId
from processor.domain.job import State
from processor.domain.retry import Retry
from processor.domain.selection import Selection
from processor.ports.ledger import Ending
from processor.ports.operations import AuditQuery, OperationKind
from processor.ports.plans import CANARY, Draft, Plan, PlanState
from processor.runtime.handlers import Jobs
from processor.runtime.plan_runner import PlanRunner
from processor.runtime.request import Request
from processor.testing.operated import OperatedCluster
from processor.testing.process import Hook
from processor.testing.virtual_time import in_virtual_time
from tests.blocking import blocking_calls_fail

__all__ = ["blocking_calls_fail"]

BILLS = Selection(type="bill")


class Service:
    """A handler that calls a service, which is down until a test mends it."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.up = False
        self.ran: list[JobId] = []
        self.jobs.register("bill", self.bill, retry=Retry(attempts=1), breaker=None)
        block = Retry(attempts=1, on_exhausted="block")
        self.jobs.register("blocks", self.bill, retry=block, breaker=None)

    async def bill(self, request: Request[None]) -> None:
        self.ran.append(request.job_id)
        if not self.up:
            raise ConnectionError("503")


class World:
    """A cluster with dead letters, as its operators see it."""

    def __init__(self) -> None:
        self.service = Service()
        self.cluster = OperatedCluster(self.service.jobs)
        self.client = self.cluster.a_client()
        self.jobs: list[JobId] = []

    async def down(self, jobs: int, entities: int = 3, type_: str = "bill") -> None:
        """So many jobs die, and nobody works any more."""
        self.jobs = [self.cluster.submit(type_, f"N{number % entities}") for number in range(jobs)]
        worker = self.cluster.start()
        await self.cluster.until(lambda: len(self.ended(1)) == jobs)
        await self.cluster.read_to_the_end()
        worker.kill()
        await self.cluster.project()
        self.service.ran.clear()

    async def started(self, generation: int, jobs: int) -> None:
        """So many jobs have ended in that generation."""
        await self.cluster.until(lambda: len(self.ended(generation)) == jobs)

    def ended(self, generation: int) -> list[JobId]:
        return [job for job, number in self.cluster.database.ledger if number == generation]

    async def made(self, **draft: object) -> Plan:
        wanted = {"by": "ada", "because": "mended"} | draft
        return await self.client.plans.make(Draft(OperationKind.REPLAY, BILLS, **wanted))  # type: ignore[arg-type]

    def runner(self, hook: Hook = onward, *, portion: int = 4) -> PlanRunner:
        return self.cluster.a_plan_runner(hook, portion=portion)

    def replays(self) -> Counter[tuple[JobId, int]]:
        """The records of later generations in the lanes."""
        return Counter(
            (record.job, record.generation)
            for record in self.cluster.records()
            if record.generation > 1
        )


class Dies:
    """A process that dies at its n-th call, before or after the effect; nothing comes from it."""

    def __init__(self, at: int, *, after: bool) -> None:
        self._at = at
        self._after = after
        self._calls = count(1)
        self.dead = False

    async def __call__(self, name: str) -> BaseException | None:
        if self.dead:
            raise Killed
        await onward(name)
        if next(self._calls) < self._at:
            return None
        self.dead = True
        if self._after:
            return Killed()
        raise Killed


class Killed(BaseException):
    """No handler of an exception sees it."""


@in_virtual_time
async def test_a_plan_replays_everything_once_in_order_and_says_who_and_why() -> None:
    world = World()
    await world.down(30)
    plan = await world.made()
    assert (plan.letters, plan.state, plan.runner) == (30, PlanState.RUNNING, None)
    told: list[int] = []
    ended = await world.client.plans.run(plan.id, lambda seen: told.append(seen.done))
    assert (ended.state, ended.done, ended.left) == (PlanState.COMPLETE, 30, 0)
    assert told[0] == 0
    assert told[-1] == 30
    world.service.up = True
    world.cluster.start()
    await world.cluster.until(lambda: len(world.ended(2)) == 30)
    for entity in range(3):
        mine = world.jobs[entity::3]
        assert [job for job in world.service.ran if job in mine] == mine
    await world.cluster.read_to_the_end()
    status = await world.cluster.status(world.jobs[4])
    assert status.state is State.COMPLETE
    replays = [one.event.replay for one in status.history if isinstance(one.event, Queued)]
    assert replays[1] is not None
    assert (replays[1].actor, replays[1].because) == ("ada", "mended")
    audit = await world.client.audit(AuditQuery())
    assert [one.kind for one in audit] == [OperationKind.PLAN]
    singly = await world.client.audit(AuditQuery(singly=True, job=world.jobs[4]))
    assert [(one.actor, one.reason, one.plan) for one in singly] == [("ada", "mended", plan.id)]


@in_virtual_time
@pytest.mark.parametrize("after", [False, True])
async def test_a_plan_goes_on_wherever_its_runner_dies_and_does_nothing_twice(
    after: bool,  # noqa: FBT001 - whether the effect of the last call came through
) -> None:
    for at in count(2 if after else 1, 2):
        world = World()
        await world.down(10)
        plan = await world.made(canary=3)
        world.service.up = True
        worker = world.cluster.start()
        dies = Dies(at, after=after)
        try:
            await world.runner(dies).run(plan.id)
        except Killed:
            assert dies.dead
        ended = await world.runner().run(plan.id)
        assert (ended.state, ended.done, ended.refused) == (PlanState.COMPLETE, 10, 0), at
        await world.started(2, 10)
        await world.cluster.read_to_the_end()
        assert Counter(world.service.ran) == dict.fromkeys(world.jobs, 1), at
        assert world.ended(3) == []
        for entity in range(3):
            mine = world.jobs[entity::3]
            assert [job for job in world.service.ran if job in mine] == mine, at
        worker.kill()
        firsts = [one for one in world.cluster.database.operations if one.plan and one.job]
        assert [(one.actor, one.plan) for one in firsts] == [("ada", plan.id)] * 10
        if not dies.dead:
            assert at > 15
            return


@in_virtual_time
async def test_a_canary_replays_exactly_its_number_and_stops_the_plan_when_too_many_fail() -> None:
    world = World()
    await world.down(30)
    plan = await world.made(canary=6, stop_above=0.1)
    world.cluster.start()
    ended = await world.client.plans.run(plan.id)
    assert (ended.state, ended.done, ended.ended_by) == (PlanState.STOPPED, 6, CANARY)
    assert "of its 6 jobs failed, more than 10%" in (ended.ended_because or "")
    await world.cluster.until(lambda: len(world.ended(2)) == 6)
    assert set(world.replays()) == {(job, 2) for job in world.jobs[:6]}
    world.service.up = True
    resumed = await world.client.plans.resume(plan.id, by="bob", because="it is up")
    assert (resumed.state, resumed.canary_upto) == (PlanState.RUNNING, 12)
    ended = await world.client.plans.run(plan.id)
    assert (ended.state, ended.done) == (PlanState.COMPLETE, 30)
    await world.cluster.until(lambda: len(world.ended(2)) == 30)
    endings = Counter(
        row.ending
        for (_, generation), row in world.cluster.database.ledger.items()
        if generation == 2
    )
    assert endings == {Ending.FAILED: 6, Ending.COMPLETE: 24}
    kinds = [one.kind.value for one in await world.client.audit(AuditQuery())]
    assert kinds == ["resume", "stop", "plan"]


@in_virtual_time
async def test_a_plan_that_was_stopped_takes_no_more_letters_until_it_is_resumed() -> None:
    world = World()
    await world.down(20)
    plan = await world.made(rate=4)
    running = asyncio.create_task(world.runner().run(plan.id))
    plans = MemoryPlans(world.cluster.database, world.cluster.projections)

    async def done() -> int:
        seen = await plans.of(plan.id)
        assert seen is not None
        return seen.done

    while await done() < 3:
        await world.cluster.clock.sleep(0.1)
    stopped = await world.client.plans.stop(plan.id, by="eve", because="wait")
    ended = await running
    assert (ended.state, ended.ended_by) == (PlanState.STOPPED, "eve")
    assert stopped.done <= ended.done <= stopped.done + 1
    assert sum(world.replays().values()) == ended.done
    with pytest.raises(AlreadyFinished, match=r"plan 1 does not run: it is stopped"):
        await world.client.plans.stop(plan.id, by="eve", because="wait")
    await world.client.plans.resume(plan.id, by="eve", because="go on")
    ended = await world.client.plans.run(plan.id)
    assert (ended.state, ended.done) == (PlanState.COMPLETE, 20)
    assert set(world.replays().values()) == {1}


@in_virtual_time
async def test_a_rate_is_kept() -> None:
    world = World()
    await world.down(20)
    plan = await world.made(rate=2)
    began = world.cluster.clock.monotonic()
    await world.client.plans.run(plan.id)
    assert 9.0 <= world.cluster.clock.monotonic() - began <= 11.0


@in_virtual_time
async def test_a_second_runner_looks_on_and_a_worker_takes_up_what_nobody_runs() -> None:
    world = World()
    await world.down(20)
    plan = await world.made(rate=5)
    first = asyncio.create_task(world.runner().run(plan.id))
    await world.cluster.until(lambda: len(world.replays()) > 2)
    second = asyncio.create_task(world.runner().run(plan.id))
    free = asyncio.create_task(world.runner().run_free())
    await world.cluster.until(lambda: len(world.replays()) > 5)
    first.cancel()
    await asyncio.wait({first})
    ended = await second
    assert (ended.state, ended.done) == (PlanState.COMPLETE, 20)
    assert set(world.replays().values()) == {1}
    free.cancel()
    await asyncio.wait({free})
    world.service.up = False
    other = World()
    await other.down(5)
    plan = await other.made()
    free = asyncio.create_task(other.runner().run_free())
    await other.cluster.until(lambda: len(other.replays()) == 5)
    free.cancel()
    await asyncio.wait({free})


@in_virtual_time
async def test_a_plan_discards_and_another_undoes_it_within_seven_days() -> None:
    world = World()
    await world.down(6)
    discard = Draft(OperationKind.DISCARD, BILLS, "ada", "not wanted")
    plan = await world.client.plans.make(discard, expect=6)
    ended = await world.client.plans.run(plan.id)
    assert (ended.state, ended.done) == (PlanState.COMPLETE, 6)
    await world.cluster.project()
    assert await world.client.dead_letters.groups() == []
    with pytest.raises(PlanRefused, match="no dead letter is chosen: nothing was done"):
        await world.made()
    undo = Draft(
        OperationKind.REPLAY, Selection(type="bill", discarded=True), "bob", "wanted after all"
    )
    plan = await world.client.plans.make(undo)
    assert (await world.client.plans.run(plan.id)).done == 6
    world.service.up = True
    world.cluster.start()
    await world.cluster.until(lambda: len(world.ended(3)) == 6)
    assert Counter(world.service.ran) == dict.fromkeys(world.jobs, 1)


@in_virtual_time
async def test_blocking_letters_are_replayed_in_their_place() -> None:
    world = World()
    await world.down(3, type_="blocks")
    selection = Selection(type="blocks")
    plan = await world.client.plans.make(Draft(OperationKind.REPLAY, selection, "ada", "mended"))
    await world.client.plans.run(plan.id)
    world.service.up = True
    world.cluster.start()
    await world.cluster.until(lambda: len(world.ended(2)) == 3)
    await world.cluster.until(lambda: not world.cluster.database.waiting)


@in_virtual_time
async def test_what_is_no_plan_is_refused_in_one_line_and_nothing_is_written() -> None:
    world = World()
    await world.down(2)
    plans = world.client.plans
    with pytest.raises(PlanRefused, match="say which dead letters are meant"):
        await plans.make(Draft(OperationKind.REPLAY, Selection(), "ada", "all"))
    with pytest.raises(PlanRefused, match="2 dead letters are chosen, not 40,000") as refused:
        await plans.make(Draft(OperationKind.REPLAY, BILLS, "ada", "all"), expect=40_000)
    assert refused.value.found == 2
    for wrong, said in (
        ({"rate": 0.0}, "the rate is letters a second"),
        ({"canary": 0}, "a canary is of 1 job or more, not 0"),
        ({"stop_above": 0.1}, "give a canary"),
        ({"canary": 1, "stop_above": 1.5}, "from 0 to below 1, not 1.5"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            await world.made(**wrong)
    with pytest.raises(ConfigurationError, match="a discard has no canary"):
        await plans.make(Draft(OperationKind.DISCARD, BILLS, "ada", "x", canary=1))
    with pytest.raises(ConfigurationError, match="a plan replays or discards; hold is neither"):
        await plans.make(Draft(OperationKind.HOLD, BILLS, "ada", "x"))
    for ask in (plans.get(7), plans.run(7), plans.stop(7, by="a", because="b")):
        with pytest.raises(PlanNotFound, match="no plan has the number 7"):
            await ask
    assert await plans.recent() == []
    preview = await plans.preview(BILLS)
    assert (preview.letters, preview.entities, len(preview.groups)) == (2, 2, 1)
