"""What becomes of the jobs that share a transaction when one of them ends badly, or not at all?"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextvars import ContextVar
from typing import Any

import pytest
from tenacity import wait_fixed

from processor.adapters.memory.shared_transactions import MemorySharedTransaction
from processor.domain.errors import Reject
from processor.domain.events import Completed, Failed, Reason
from processor.domain.ids import JobId
from processor.domain.retry import Retry
from processor.ports.ledger import Conflict, Ending
from processor.runtime import sharing
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from processor.runtime.submission import Submission
from processor.testing.cluster import MemoryCluster
from processor.testing.member import Member
from processor.testing.operated import OperatedCluster
from processor.testing.virtual_time import in_virtual_time, loop_of_the_test
from tests.blocking import blocking_calls_fail

__all__ = ["blocking_calls_fail"]

BEGIN = "transactions.begin_group"


@pytest.fixture(params=[0.0, 2.0], ids=["savepoints", "optimistic"], autouse=True)
def boldness(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """Types never go without savepoints, or always."""
    below: float = request.param
    monkeypatch.setattr(sharing, "BOLD_BELOW", below)
    return below


class Deeds:
    """A grouped handler that does what each job's payload says, after it wrote."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.calls: Counter[str] = Counter()
        self.reached = asyncio.Event()
        self.released = asyncio.Event()
        self.tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
        once = Retry(attempts=1)
        self.jobs.register("deed", self.do, retry=once, transaction="grouped")
        self.jobs.register("quick", self.do, retry=once, timeout=0.5, transaction="grouped")
        self.jobs.register("own", self.do, retry=once)
        again = Retry(attempts=3, wait=wait_fixed(2))
        self.jobs.register("again", self.do, retry=again, transaction="grouped")

    async def do(self, request: Request[str]) -> object:
        deed = request.payload
        self.calls[request.entity] += 1
        connection = await request.connection()
        await connection.put(request.entity, self.calls[request.entity])
        return await getattr(self, deed)(request, connection)

    async def returns(self, request: Request[str], _: Any) -> str:  # noqa: ANN401
        return request.entity

    async def raises(self, *_: object) -> None:
        raise RuntimeError("its own")

    async def rejects(self, *_: object) -> None:
        raise Reject("never")

    async def stumbles(self, request: Request[str], _: Any) -> None:  # noqa: ANN401
        if request.attempt < 3:
            raise RuntimeError("not yet")

    async def cancels_itself(self, *_: object) -> None:
        raise asyncio.CancelledError

    async def cancels_its_task(self, *_: object) -> None:
        running = asyncio.current_task()
        assert running is not None
        if not running.cancelling() and self.calls.total() < 20:
            running.cancel()
            await asyncio.sleep(0)

    async def rolls_back(self, _: object, connection: Any) -> None:  # noqa: ANN401
        await connection.rollback()

    async def no_json(self, *_: object) -> object:
        return object()

    async def sleeps(self, request: Request[str], _: Any) -> None:  # noqa: ANN401
        self.reached.set()
        await loop_of_the_test().clock.sleep(5)

    async def waits(self, *_: object) -> None:
        self.reached.set()
        await self.released.wait()

    async def hangs_once(self, request: Request[str], _: Any) -> None:  # noqa: ANN401
        if self.calls[request.entity] > 1:
            return
        self.reached.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await self.released.wait()

    async def hangs(self, *_: object) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await self.released.wait()

    async def submits(self, request: Request[str], _: Any) -> None:  # noqa: ANN401
        request.submit(Submission("deed", "returns", entity=f"child of {request.entity}"))

    async def signs(self, request: Request[str], _: Any) -> str:  # noqa: ANN401
        before = self.tenant.get()
        self.tenant.set(request.entity)
        await asyncio.sleep(0)
        return before


class World:
    """Jobs that wait together before the worker starts, each of an entity of its own name."""

    def __init__(self) -> None:
        self.deeds = Deeds()
        self.cluster = OperatedCluster(self.deeds.jobs)
        self.ids: dict[str, JobId] = {}

    def submit(self, *deeds: str, type_: str = "deed") -> None:
        for deed in deeds:
            name = f"{deed} {len(self.ids)}"
            self.ids[name] = self.cluster.submit(type_, name, f'"{deed}"'.encode())

    def start(self) -> Member:
        return self.cluster.start()

    def endings(self) -> dict[str, Ending]:
        rows = self.cluster.database.ledger
        return {name: rows[job, 1].ending for name, job in self.ids.items() if (job, 1) in rows}

    def check(self, worker: Member, *failed: str) -> None:
        """Those have failed, all others are complete, and exactly those left an effect."""
        ends = self.endings()
        assert ends.keys() == self.ids.keys()
        wrong = {name for name, end in ends.items() if end is not Ending.COMPLETE}
        assert {name.rsplit(" ", 1)[0] for name in wrong} == set(failed)
        assert {name for name in self.ids if name in self.cluster.database.values} == (
            self.ids.keys() - wrong
        )
        assert not self.cluster.database.locks
        assert worker.calls.count(BEGIN) > 0

    def reason(self, deed: str) -> Reason:
        name = next(name for name in self.ids if name.startswith(deed))
        end = self.cluster.outcome(self.ids[name]).end
        assert isinstance(end, Failed)
        return end.error.reason


def returning(number: int) -> list[str]:
    return ["returns"] * number


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("raises", Reason.HANDLER_FAILED),
        ("rejects", Reason.REJECTED),
        ("rolls_back", Reason.TRANSACTION_MISUSED),
        ("no_json", Reason.RESULT_INVALID),
        ("cancels_itself", Reason.HANDLER_FAILED),
    ],
)
@pytest.mark.parametrize("place", [0, 3, 6])
@in_virtual_time
async def test_a_job_that_fails_harms_no_other(deed: str, reason: Reason, place: int) -> None:
    world = World()
    world.submit(*returning(place), deed, *returning(6 - place))
    worker = world.start()
    await world.cluster.settled()
    world.check(worker, deed)
    assert world.reason(deed) is reason
    await worker.stopped()


@in_virtual_time
async def test_what_does_not_parse_is_no_reason_to_run_another_again() -> None:
    world = World()
    world.submit(*returning(3))
    world.ids["payload 3"] = world.cluster.submit("deed", "payload 3", b"5")
    world.submit(*returning(3))
    worker = world.start()
    await world.cluster.settled()
    world.check(worker, "payload")
    assert world.reason("payload") is Reason.PARSE_ERROR
    assert set(world.deeds.calls.values()) == {1}
    await worker.stopped()


@in_virtual_time
async def test_behind_savepoints_nobody_runs_again_and_without_only_in_one_group_more(
    boldness: float,
) -> None:
    world = World()
    world.submit(*returning(3), "raises", *returning(3))
    worker = world.start()
    await world.cluster.settled()
    world.check(worker, "raises")
    began = worker.calls.count(BEGIN), worker.calls.count("transactions.begin")
    assert began == ((2, 1) if boldness else (1, 0))
    assert max(world.deeds.calls.values()) == (2 if boldness else 1)
    await worker.stopped()


@in_virtual_time
async def test_a_failed_job_is_retried_by_itself_while_others_share() -> None:
    world = World()
    world.submit("stumbles", *returning(3), type_="again")
    worker = world.start()
    await world.cluster.settled()
    world.check(worker)
    outcome = world.cluster.outcome(world.ids["stumbles 0"])
    assert [getattr(event, "attempt", 0) for event in outcome.events] == [1, 1, 2, 2, 3, 0]
    await worker.stopped()


@in_virtual_time
async def test_a_job_past_its_time_out_fails_and_harms_no_other() -> None:
    world = World()
    world.submit(*returning(2), "sleeps", *returning(2), type_="quick")
    worker = world.start()
    await world.cluster.settled()
    world.check(worker, "sleeps")
    assert world.reason("sleeps") is Reason.ATTEMPT_TIMEOUT
    await worker.stopped()


@in_virtual_time
async def test_a_slow_job_leaves_its_group_and_runs_in_its_own_time() -> None:
    world = World()
    world.submit(*returning(2), "sleeps", *returning(2))
    worker = world.start()
    await world.cluster.until(lambda: len(world.endings()) == 4)
    assert "sleeps 2" not in world.endings()
    world.submit(*returning(3))  # its type runs alone for a while
    await world.cluster.settled()
    world.check(worker)
    assert world.deeds.calls["sleeps 2"] == 2
    assert worker.calls.count(BEGIN) <= 2
    await worker.stopped()


@in_virtual_time
async def test_others_go_on_without_one_that_does_not_let_itself_be_broken_off() -> None:
    world = World()
    world.submit(*returning(2), "hangs_once", *returning(2))
    worker = world.start()
    await world.cluster.settled()
    world.check(worker)
    assert world.deeds.calls["hangs_once 2"] == 2
    world.submit(*returning(2))  # it hangs on, and holds nothing
    await world.cluster.settled()
    world.check(worker)
    world.deeds.released.set()
    await worker.stopped()
    assert world.cluster.database.values["hangs_once 2"] == 2


@pytest.mark.parametrize("beside", [0, 3], ids=["alone", "in a group"])
@in_virtual_time
async def test_a_handler_that_is_left_behind_keeps_neither_slot_nor_connection(beside: int) -> None:
    world = World()
    world.submit("hangs", *returning(beside), type_="quick")
    worker = world.start()
    await world.cluster.settled()
    assert world.reason("hangs") is Reason.ATTEMPT_TIMEOUT
    dispatcher, few = worker.runtime.dispatcher, worker.runtime.dispatcher.gathering
    for released in (False, True):
        if released:
            world.deeds.released.set()
            await asyncio.sleep(1)
        assert dispatcher._held == [0, 0, 0, 0]  # noqa: SLF001 - nobody else is told
        assert few._forming._running == [0, 0, 0, 0]  # noqa: SLF001
        assert [*dispatcher.running, *few.groups, *few.turns] == []
    await worker.stopped()


@in_virtual_time
async def test_a_job_that_is_cancelled_in_its_turn_harms_no_other() -> None:
    world = World()
    world.submit(*returning(2), "waits", *returning(2))
    worker = world.start()
    await world.deeds.reached.wait()
    await world.cluster.project()
    await world.cluster.operator.cancel(world.ids["waits 2"], "ann", "a test")
    await world.cluster.settled()
    world.check(worker, "waits")
    assert world.endings()["waits 2"] is Ending.CANCELLED
    assert worker.calls.count("transactions.begin") <= 1
    await worker.stopped()


@pytest.mark.parametrize("whom", ["returns 0", "returns 4"], ids=["kept", "waiting"])
@in_virtual_time
async def test_a_job_that_is_cancelled_out_of_its_turn_harms_no_other(whom: str) -> None:
    world = World()
    world.submit(*returning(2), "waits", *returning(2))
    worker = world.start()
    await world.deeds.reached.wait()
    await world.cluster.project()
    await world.cluster.operator.cancel(world.ids[whom], "ann", "a test")
    world.deeds.released.set()
    await world.cluster.settled()
    world.check(worker, "returns")
    cancelled = [name for name, end in world.endings().items() if end is Ending.CANCELLED]
    assert cancelled == [whom]
    await worker.stopped()


@in_virtual_time
async def test_a_stop_in_the_middle_of_a_group_lets_the_turn_end_and_the_rest_go() -> None:
    world = World()
    world.submit(*returning(2), "waits", *returning(2))
    worker = world.start()
    await world.deeds.reached.wait()
    worker.stop.set()
    await asyncio.sleep(0.1)
    world.deeds.released.set()
    await worker.ended()
    assert world.endings() == dict.fromkeys(("returns 0", "returns 1", "waits 2"), Ending.COMPLETE)
    heir = world.start()
    await world.cluster.settled()
    world.check(worker)
    assert max(world.deeds.calls.values()) == 1
    await heir.stopped()


@in_virtual_time
async def test_a_partition_that_is_lost_in_the_middle_of_a_group_takes_only_its_own_jobs() -> None:
    world = World()
    world.submit(*returning(9), "waits", *returning(9))
    worker = world.start()
    await world.deeds.reached.wait()
    (group,) = worker.runtime.dispatcher.gathering.groups.values()
    assert group.transaction is not None
    partitions = {one.partition for one in group.deliveries}
    assert len(partitions) == 2
    waiting = next(one for one in group.deliveries if one.record.entity.startswith("waits"))
    (other,) = partitions - {waiting.partition}
    worker.runtime.keeper.doubt(other, "the test says so")
    world.deeds.released.set()
    await world.cluster.settled()
    world.check(worker)
    await worker.stopped()


@in_virtual_time
async def test_everything_that_a_group_did_is_undone_where_the_worker_gives_up() -> None:
    world = World()
    world.submit(*returning(2), "waits", *returning(2))
    worker = world.start()
    await world.deeds.reached.wait()
    worker.runtime.dispatcher.cancel()
    await worker.runtime.dispatcher.idle(10)
    assert world.endings() == {}
    assert not world.cluster.database.locks
    worker.kill()
    heir = world.start()
    world.deeds.released.set()
    await world.cluster.settled()
    world.check(worker)
    await heir.stopped()


@in_virtual_time
async def test_after_a_conflict_everyone_runs_alone_and_so_does_the_type_for_a_while() -> None:
    world = World()
    conflicts = 0

    async def hook(name: str) -> BaseException | None:
        nonlocal conflicts
        await asyncio.sleep(0)
        if name == "transaction.put" and not conflicts:
            conflicts += 1
            raise Conflict("somebody holds the row")
        return None

    world.submit(*returning(5))
    worker = world.cluster.start(hook)
    await world.cluster.until(lambda: len(world.endings()) == 5)
    world.submit(*returning(3))
    await world.cluster.until(lambda: len(world.endings()) == 8)
    assert worker.calls.count(BEGIN) == 1
    await world.cluster.clock.sleep(sharing.ALONE_FOR)
    world.submit(*returning(3))
    await world.cluster.settled()
    assert worker.calls.count(BEGIN) == 2
    world.check(worker)
    await worker.stopped()


@in_virtual_time
async def test_a_commit_that_is_refused_has_each_run_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refused(self: MemorySharedTransaction, *_: object) -> None:
        self.end()
        raise RuntimeError("a deferred constraint")

    monkeypatch.setattr(MemorySharedTransaction, "complete", refused)
    world = World()
    world.submit(*returning(2), "raises", *returning(2))
    worker = world.start()
    await world.cluster.settled()
    world.check(worker, "raises")
    assert world.deeds.calls["raises 2"] == 2
    await worker.stopped()


@in_virtual_time
async def test_a_handler_that_cancels_its_groups_task_harms_no_other() -> None:
    world = World()
    world.submit(*returning(2), "cancels_its_task", *returning(2))
    worker = world.start()
    await world.cluster.until(lambda: len(world.endings()) >= 4)
    ends = world.endings()
    assert {name for name in world.ids if name.startswith("returns")} <= ends.keys()
    worker.kill()


@in_virtual_time
async def test_follow_ups_of_each_are_sent_once_it_is_committed() -> None:
    world = World()
    world.submit("submits", "returns", "submits")
    worker = world.start()
    await world.cluster.settled()
    world.check(worker)
    children = {key for key in world.cluster.database.values if str(key).startswith("child")}
    assert children == {"child of submits 0", "child of submits 2"}
    await worker.stopped()


@in_virtual_time
async def test_what_a_handler_sets_in_its_context_is_not_the_next_ones() -> None:
    world = World()
    world.submit(*["signs"] * 5)
    worker = world.start()
    await world.cluster.settled()
    for job in world.ids.values():
        end = world.cluster.outcome(job).end
        assert isinstance(end, Completed)
        assert end.result == b'"nobody"'
    await worker.stopped()


@in_virtual_time
async def test_the_outcomes_of_a_group_are_published_in_one_go() -> None:
    world = World()
    world.submit(*returning(9))
    world.deeds.released.set()
    worker = world.start()
    await world.cluster.settled()
    assert worker.calls.count(BEGIN) == 1
    assert worker.calls.count("log.append") == 1
    await worker.stopped()


@in_virtual_time
async def test_jobs_with_a_transaction_of_their_own_go_on_beside_groups() -> None:
    world = World()
    for _ in range(6):
        world.submit("returns", type_="own")
        world.submit("returns")
    worker = world.start()
    await world.cluster.settled()
    world.check(worker)
    assert worker.calls.count("transactions.begin") == 6
    await worker.stopped()


@in_virtual_time
async def test_a_batch_handler_gets_all_that_wait_and_one_session() -> None:
    jobs = Jobs()
    sizes: list[int] = []

    @jobs.batch_handler("batch", retry=Retry(attempts=1))
    async def batch(requests: list[Request[int]], session: Any) -> list[int]:  # noqa: ANN401
        sizes.append(len(requests))
        for request in requests:
            assert await request.session() is session
            await (await request.connection()).put(request.entity, request.payload)
            if request.payload == 13:
                raise RuntimeError("unlucky")
        return [request.payload for request in requests]

    cluster = MemoryCluster(jobs)
    ids = {number: cluster.submit("batch", f"N{number}", b"%d" % number) for number in range(20)}
    broken = cluster.submit("batch", "broken", b'"x"')
    worker = cluster.start()
    await cluster.settled()
    rows = cluster.database.ledger
    failed = {number for number, job in ids.items() if rows[job, 1].ending is Ending.FAILED}
    assert failed == {13}
    assert rows[broken, 1].ending is Ending.FAILED
    assert cluster.database.values == {f"N{n}": n for n in range(20) if n != 13}
    for number in (0, 12, 14, 19):
        end = cluster.outcome(ids[number]).end
        assert isinstance(end, Completed)
        assert end.result == b"%d" % number
    assert max(sizes) > 10
    assert not cluster.database.locks
    await worker.stopped()


@pytest.mark.parametrize("returned", [[1], "ab", {1: 2, 2: 3}, 5])
@in_virtual_time
async def test_a_batch_handler_that_returns_no_result_for_each_fails_each(returned: object) -> None:
    jobs = Jobs()

    @jobs.batch_handler("batch", retry=Retry(attempts=1))
    async def batch(requests: list[Request[int]], session: Any) -> Any:  # noqa: ANN401
        return returned if len(requests) > 1 else [*requests, "too many"]

    cluster = MemoryCluster(jobs)
    ids = [cluster.submit("batch", f"N{number}", b"%d" % number) for number in range(2)]
    worker = cluster.start()
    await cluster.settled()
    for job in ids:
        end = cluster.outcome(job).end
        assert isinstance(end, Failed)
        assert end.error.reason is Reason.RESULT_INVALID
    await worker.stopped()
