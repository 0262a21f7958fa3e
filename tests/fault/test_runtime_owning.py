"""Whose is a partition while workers come, go, freeze, and are cut off?"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import replace
from typing import Any

import pytest
from tenacity import wait_fixed

from processor.adapters.memory.database import MemoryDatabase
from processor.adapters.memory.step import onward
from processor.domain.priority import Priority
from processor.domain.retry import Retry
from processor.ports.ledger import Answer, Ending, Fault
from processor.ports.log import LogCut, Place
from processor.runtime.handlers import Jobs
from processor.runtime.keeping import Times
from processor.runtime.request import Request
from processor.testing.cluster import MemoryCluster
from processor.testing.member import Gate, Member
from processor.testing.naming import TOPICS
from processor.testing.virtual_time import in_virtual_time, loop_of_the_test
from tests.blocking import blocking_calls_fail
from tests.invariants import check, effects, partition_of_entity, recording, submit_a_mixture

__all__ = ["blocking_calls_fail"]


class Slow:
    """Handlers that wait until they are let go on, with the runs that were begun and ended."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.go = asyncio.Event()
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.jobs.register("slow", self.slow)
        self.jobs.register("writes", self.writes)
        self.jobs.register("quick", self.quick)

    async def slow(self, request: Request[Any]) -> None:
        self.begun.append(request.entity)
        await self.go.wait()
        self.ended.append(request.entity)

    async def writes(self, request: Request[Any]) -> None:
        connection = await request.connection()
        await connection.put(request.job_id, 1)
        await self.slow(request)

    async def quick(self, request: Request[Any]) -> None:
        self.begun.append(request.entity)


async def taken(cluster: MemoryCluster, member: Member, *partitions: int) -> None:
    await cluster.until(lambda: member.owned() == set(partitions))


@in_virtual_time
async def test_a_worker_that_stops_lets_its_handlers_end_publishes_and_lets_go() -> None:
    slow = Slow()
    cluster = MemoryCluster(slow.jobs)
    jobs = [cluster.submit("slow", "a"), cluster.submit("writes", "b")]
    waiting = cluster.submit("slow", "a")
    worker = cluster.start()
    await cluster.until(lambda: len(slow.begun) == 2)
    worker.stop.set()
    await cluster.clock.sleep(1)
    assert cluster.database.workers[worker.id].leaving
    slow.go.set()
    await worker.ended()
    assert all(owner.released for owner in cluster.database.owners.values())
    assert all(cluster.bodies(job) == [cluster.body(job)] for job in jobs)
    assert waiting not in {job for job, _ in cluster.database.ledger}
    assert not cluster.at_the_end()
    assert worker.id not in cluster.database.workers
    assert worker.tasks == {}
    cluster.start()
    await cluster.settled(within=2)
    assert len(slow.begun) == 3


@in_virtual_time
async def test_what_runs_past_the_drain_time_is_cancelled_and_run_by_the_next_worker() -> None:
    slow = Slow()
    cluster = MemoryCluster(slow.jobs)
    cluster.submit("slow", "a")
    job = cluster.submit("writes", "b")
    worker = cluster.start()
    await cluster.until(lambda: len(slow.begun) == 2)
    await worker.stopped()
    assert cluster.database.ledger == {}
    assert cluster.database.values == {}
    assert all(owner.released for owner in cluster.database.owners.values())
    slow.go.set()
    cluster.start()
    await cluster.settled()
    assert cluster.database.values == {job: 1}
    assert sorted(slow.ended) == ["a", "b"]


@in_virtual_time
async def test_a_slow_rollback_does_not_keep_a_worker_from_stopping() -> None:
    slow = Slow()
    cluster = MemoryCluster(slow.jobs)
    cluster.submit("writes", "a")

    async def hook(name: str) -> BaseException | None:
        if name == "transaction.rollback":
            await cluster.clock.sleep(1)
        return await onward(name)

    worker = cluster.start(hook)
    await cluster.until(lambda: slow.begun)
    await worker.stopped()
    assert all(owner.released for owner in cluster.database.owners.values())
    assert cluster.database.locks == {}


@in_virtual_time
async def test_a_slow_rollback_after_a_fault_does_not_keep_a_worker_from_stopping() -> None:
    cluster = MemoryCluster(recording())
    cluster.submit("effect", "a")
    rolling = asyncio.Event()

    async def hook(name: str) -> BaseException | None:
        await onward(name)
        if name == "transaction.put":
            raise Fault("the connection broke")
        if name == "transaction.rollback":
            rolling.set()
            await cluster.clock.sleep(20)
        return None

    worker = cluster.start(hook)
    await rolling.wait()
    await worker.stopped()
    assert cluster.database.ledger == {}


@in_virtual_time
async def test_an_attempt_that_is_dropped_as_soon_as_it_waits_leaves_nothing_behind() -> None:
    slow = Slow()
    cluster = MemoryCluster(slow.jobs, partitions=1)
    worker = cluster.start()
    await taken(cluster, worker, 0)
    loop, keeper = loop_of_the_test(), worker.runtime.keeper
    struck: list[int] = []

    def strike() -> None:
        if worker.runtime.dispatcher.running:
            struck.append(1)
            loop.call_later(1, slow.go.set)
            keeper.doubt(keeper.owned[0], "the test says so")
        else:
            loop.call_soon(strike)

    strike()
    cluster.submit("slow", "a")
    await cluster.settled()
    assert struck == [1]
    assert slow.ended == ["a"]


@in_virtual_time
async def test_a_thread_of_a_lost_partition_ends_before_its_job_is_started_again() -> None:
    loop = loop_of_the_test()
    jobs = Jobs()
    beside: list[int] = []
    running: list[int] = []

    @jobs.handler("thread")
    def thread(request: Request[Any]) -> None:
        beside.append(len(running))
        running.append(1)
        if len(beside) == 1:
            for _ in range(200):  # time passes while the thread works
                loop.call_soon_threadsafe(loop.clock.advance, 0.1)
                asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(20)
        running.pop()

    cluster = MemoryCluster(jobs, partitions=1)
    job = cluster.submit("thread", "a")
    worker = cluster.start()
    await cluster.until(lambda: beside)
    keeper = worker.runtime.keeper
    keeper.doubt(keeper.owned[0], "the test says so")
    await cluster.settled()
    assert beside == [0, 0]
    assert cluster.database.ledger[job, 1].ending is Ending.COMPLETE


@in_virtual_time
async def test_a_thread_that_does_not_end_holds_a_stop_no_longer_than_the_drain_time() -> None:
    loop = loop_of_the_test()
    jobs = Jobs()
    begun = asyncio.Event()
    gone = threading.Event()

    @jobs.handler("thread")
    def thread(request: Request[Any]) -> None:
        loop.call_soon_threadsafe(begun.set)
        while not gone.is_set():  # time passes while the thread works
            loop.call_soon_threadsafe(loop.clock.advance, 0.1)
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(20)

    cluster = MemoryCluster(jobs, partitions=1)
    cluster.submit("thread", "a")
    worker = cluster.start()
    await begun.wait()
    try:
        await worker.stopped()
    finally:
        gone.set()
    assert not cluster.database.owners[0].released, "somebody of it still runs"
    assert cluster.database.ledger == {}


@in_virtual_time
async def test_a_worker_that_hears_nothing_of_its_group_starts_nothing() -> None:
    slow = Slow()
    cluster = MemoryCluster(slow.jobs)
    worker = cluster.start()
    await taken(cluster, worker, 0, 1)
    worker.membership.cut()
    await cluster.clock.sleep(cluster.manner.times.session / 2 + 0.1)
    cluster.submit("quick", "a")
    await cluster.clock.sleep(30)
    assert slow.begun == []
    worker.membership.heal()
    await cluster.settled()
    assert slow.begun == ["a"]


@in_virtual_time
async def test_a_worker_that_hears_nothing_of_its_group_takes_nothing_over() -> None:
    cluster = MemoryCluster(recording())
    worker = cluster.member()
    worker.membership.cut(age=100)
    worker.start()
    cluster.submit("nothing", "a")
    await cluster.clock.sleep(30)
    assert worker.owned() == set()
    worker.membership.heal()
    await cluster.settled()


@in_virtual_time
async def test_a_partition_whose_token_was_taken_is_dropped_and_taken_over_anew() -> None:
    cluster = MemoryCluster(recording())
    worker = cluster.start()
    await taken(cluster, worker, 0, 1)
    before = dict(worker.runtime.keeper.owned)
    stolen = cluster.database.owners[0]
    cluster.database.owners[0] = replace(stolen, token=cluster.an_id(), worker=None)
    submit_a_mixture(cluster)
    await cluster.settled()
    assert worker.runtime.keeper.owned[0] is not before[0]
    assert worker.runtime.keeper.owned[1] is before[1]
    await worker.stopped()
    check(cluster)


@in_virtual_time
@pytest.mark.parametrize(("refusals", "spells"), [(3, 1), (30, 2)])
async def test_a_line_whose_jobs_may_not_begin_is_loaded_anew_and_doubted_only_if_that_never_ends(
    refusals: int, spells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = Jobs()

    @jobs.handler("first", retry=Retry(attempts=2, wait=wait_fixed(1)))
    async def first(request: Request[Any]) -> None:
        if request.attempt == 1:
            raise RuntimeError

    @jobs.handler("writes")
    async def writes(request: Request[Any]) -> None:
        await (await request.connection()).put(request.job_id, 1)

    left = refusals
    begin = MemoryDatabase.begin

    def refuses(database: MemoryDatabase, claim: Any, *rest: Any) -> Answer:  # noqa: ANN401
        nonlocal left
        if left:
            left -= 1
            return Answer.STALE
        return begin(database, claim, *rest)

    cluster = MemoryCluster(jobs, partitions=1)
    ids = [cluster.submit(type_, "N1") for type_ in ("first", "writes", "writes", "writes")]
    monkeypatch.setattr(MemoryDatabase, "begin", refuses)
    worker = cluster.start()
    await cluster.settled()
    assert all(cluster.database.ledger[job, 1].ending is Ending.COMPLETE for job in ids)
    assert (left, cluster.database.owners[0].epoch) == (0, spells)
    await worker.stopped()


@in_virtual_time
async def test_nothing_of_an_old_spell_runs_when_the_partition_is_taken_over_anew() -> None:
    slow = Slow()
    jobs = slow.jobs
    beside: list[int] = []
    inside: list[int] = []

    @jobs.handler("stubborn")
    async def stubborn(request: Request[Any]) -> None:
        beside.append(len(inside))
        inside.append(1)
        deadline = cluster.clock.monotonic() + 10
        while cluster.clock.monotonic() < deadline:
            with contextlib.suppress(asyncio.CancelledError):
                await cluster.clock.sleep(0.5)
        inside.pop()

    cluster = MemoryCluster(jobs, partitions=1)
    job = cluster.submit("stubborn", "a")
    worker = cluster.start()
    await cluster.until(lambda: beside)
    cluster.database.owners[0] = replace(
        cluster.database.owners[0], token=cluster.an_id(), worker=None
    )
    keeper = worker.runtime.keeper
    keeper.doubt(keeper.owned[0], "the test says so")
    await cluster.settled()
    assert beside == [0, 0]
    assert cluster.database.ledger[job, 1].ending is Ending.COMPLETE
    assert cluster.bodies(job) == [cluster.body(job)]


@in_virtual_time
async def test_a_partition_that_comes_back_while_it_is_let_go_is_taken_over_anew() -> None:
    slow = Slow()
    cluster = MemoryCluster(slow.jobs, partitions=1)
    cluster.submit("slow", "a")
    worker = cluster.start()
    await cluster.until(lambda: slow.begun)
    spell = worker.runtime.keeper.owned[0]
    worker.membership.note(frozenset())
    await cluster.clock.sleep(1)
    worker.membership.note(frozenset({0}))
    cluster.submit("quick", "b")
    await cluster.clock.sleep(1)
    assert slow.begun == ["a"], "what is let go starts nothing"
    slow.go.set()
    await cluster.settled()
    assert worker.runtime.keeper.owned[0] is not spell
    assert slow.begun == ["a", "b"]
    assert cluster.database.owners[0].epoch == 2


@pytest.mark.parametrize("name", ["ledger.flush", "ledger.fail"])
@in_virtual_time
async def test_a_partition_is_released_only_when_nothing_is_unflushed_or_unrecorded(
    name: str,
) -> None:
    cluster = MemoryCluster(recording(), partitions=1)
    gate = Gate(name)
    cluster.submit("nothing" if name == "ledger.flush" else "rejects", "a")
    worker = cluster.start(gate)
    await gate.reached.wait()
    worker.stop.set()
    await cluster.clock.sleep(2)
    assert not all(owner.released for owner in cluster.database.owners.values())
    gate.open.set()
    await worker.ended()
    assert all(owner.released for owner in cluster.database.owners.values())
    assert cluster.at_the_end()
    check(cluster)


@in_virtual_time
async def test_a_flush_of_a_partition_that_has_another_owner_writes_and_publishes_nothing() -> None:
    cluster = MemoryCluster(recording())
    mine, others = partition_of_entity(cluster, 0), partition_of_entity(cluster, 1)
    gate = Gate("ledger.flush")
    lost, kept = cluster.submit("nothing", mine), cluster.submit("nothing", others)
    worker = cluster.start(gate)
    await gate.reached.wait()
    await cluster.clock.sleep(1)
    token, other = cluster.an_id(), cluster.an_id()
    cluster.database.owners[0] = replace(cluster.database.owners[0], token=token, worker=other)
    worker.membership.note(frozenset({1}))
    gate.open.set()
    await cluster.until(lambda: worker.owned() == {1})
    await cluster.until(lambda: cluster.bodies(kept))
    await cluster.clock.sleep(5)
    assert (lost, 1) not in cluster.database.ledger
    assert cluster.bodies(lost) == []
    assert cluster.database.owners[0].token == token


@in_virtual_time
async def test_positions_pass_only_what_the_journal_has_acknowledged() -> None:
    cluster = MemoryCluster(recording(), partitions=1)
    gate = Gate("log.append")
    job = cluster.submit("effect", "a")
    cluster.start(gate)
    await gate.reached.wait()
    await cluster.clock.sleep(10)
    assert cluster.database.ledger[job, 1].ending is Ending.COMPLETE
    assert cluster.database.owners[0].positions == (0, 0, 0, 0)
    gate.open.set()
    await cluster.settled()
    assert cluster.database.owners[0].positions == (0, 0, 1, 0)


@in_virtual_time
async def test_a_pause_of_the_database_in_a_rebalance_kills_nobody() -> None:
    slow = Slow()
    cluster = MemoryCluster(slow.jobs, times=replace(Times(), session=6.0, drain=60.0))
    entity = partition_of_entity(cluster, 1)
    cluster.submit("slow", entity)
    first = cluster.start()
    await cluster.until(lambda: slow.begun)
    paused = Gate("workers.beat", "ownership.owners", "ownership.advance", "ownership.take")
    first.hook = paused
    second = cluster.start(paused)
    await cluster.clock.sleep(20)
    second.hook = onward
    paused.open.set()
    await cluster.clock.sleep(20)
    assert cluster.database.owners[1].worker == first.id
    slow.go.set()
    await cluster.until(lambda: second.owned() == {1})
    await cluster.settled()
    assert slow.begun == [entity]


@in_virtual_time
async def test_an_owner_that_joined_since_the_last_look_is_not_taken_for_dead() -> None:
    slow = Slow()
    cluster = MemoryCluster(slow.jobs, times=replace(Times(), session=6.0, drain=60.0))
    entity = partition_of_entity(cluster, 1)
    before = cluster.start()
    await taken(cluster, before, 0, 1)
    looks = before.calls.count("workers.beat")
    await cluster.until(lambda: before.calls.count("workers.beat") > looks)
    joined = cluster.start()
    await taken(cluster, joined, 1)
    cluster.submit("slow", entity)
    await cluster.until(lambda: slow.begun)
    assert before.calls.count("workers.beat") == looks + 1
    cluster.group.expel(joined.membership)
    await cluster.clock.sleep(10)
    assert cluster.database.owners[1].worker == joined.id
    slow.go.set()
    await taken(cluster, before, 0, 1)
    await cluster.settled()
    assert slow.begun == [entity]
    assert cluster.database.owners[1].unclean == 0


@in_virtual_time
async def test_a_worker_that_died_is_followed_when_it_has_not_beaten_for_a_while() -> None:
    cluster = MemoryCluster(recording())
    submit_a_mixture(cluster)
    first, second = cluster.start(), cluster.start()
    await cluster.clock.sleep(2)
    first.kill()
    submit_a_mixture(cluster)
    await cluster.until(lambda: second.owned() == {0, 1})
    assert cluster.database.owners[0].unclean == 1
    await cluster.settled()
    check(cluster)


@in_virtual_time
async def test_a_worker_that_was_cut_off_and_followed_does_no_harm_when_it_comes_back() -> None:
    cluster = MemoryCluster(recording())
    first, second = cluster.start(), cluster.start()
    await taken(cluster, first, 0)
    frozen = Gate(*[name for name in first.calls if not name.startswith("log.")])
    submit_a_mixture(cluster)
    await cluster.clock.sleep(0.001)
    names = ["ledger.look_up", "ledger.flush", "ledger.fail", "transactions.begin"]
    frozen.names = (*frozen.names, *names, "transaction.complete", "ownership.advance")
    first.hook = frozen
    cluster.group.expel(first.membership)
    await taken(cluster, second, 0, 1)
    submit_a_mixture(cluster)
    first.membership.heal()
    frozen.open.set()
    await cluster.settled()
    await cluster.clock.sleep(10)
    for member in (first, second):
        await member.stopped()
    check(cluster)


@in_virtual_time
async def test_a_partition_that_others_had_meanwhile_is_not_kept_by_who_was_not_heard() -> None:
    jobs = Jobs()

    @jobs.handler("again", retry=Retry(attempts=2, wait=wait_fixed(30)))
    async def again(request: Request[Any]) -> None:
        if request.attempt == 1:
            raise RuntimeError("not yet")

    cluster = MemoryCluster(jobs, 1)
    unheard = cluster.start()
    await taken(cluster, unheard, 0)
    unheard.membership.cut()
    await cluster.clock.sleep(4)
    job = cluster.submit("again", "a")  # which it reads, and may not start
    cluster.group.expel(unheard.membership)
    other = cluster.start()
    await cluster.until(lambda: (job, 1) in cluster.database.waiting)
    await other.stopped()
    await cluster.clock.sleep(40)  # so that it finds the row due, and its own job behind it
    unheard.membership.heal()
    await cluster.settled()
    assert cluster.database.ledger[job, 1].ending is Ending.COMPLETE


@in_virtual_time
async def test_another_database_makes_a_worker_take_everything_over_anew() -> None:
    cluster = MemoryCluster(recording())
    worker = cluster.start()
    await taken(cluster, worker, 0, 1)
    submit_a_mixture(cluster)
    before = set(worker.runtime.keeper.owned.values())
    for tell in worker.replaced:
        tell()
    await cluster.until(lambda: not before & set(worker.runtime.keeper.owned.values()))
    await cluster.settled()
    check(cluster)


@in_virtual_time
async def test_a_copy_of_the_database_that_is_restored_is_known_by_the_beats_it_forgot() -> None:
    cluster = MemoryCluster(recording())
    cut: list[str] = []

    async def hook(name: str) -> BaseException | None:
        if name in cut:
            raise Fault("the connection was reset")
        return await onward(name)

    worker = cluster.start(hook)
    first = cluster.submit("effect", "N1")
    await cluster.settled()
    database = cluster.database
    tables: list[dict[Any, Any]] = [
        database.ledger,
        database.owners,
        database.workers,
        database.values,
    ]
    copies = [dict(table) for table in tables]
    await cluster.clock.sleep(5)
    cut.append("ownership.advance")
    forgotten = cluster.submit("effect", "N1")
    await cluster.until(lambda: (forgotten, 1) in database.ledger)
    await cluster.until(lambda: len(cluster.bodies(forgotten)) == 1)
    for table, copy in zip(tables, copies, strict=True):
        table.clear()
        table.update(copy)
    beats = worker.calls.count("workers.beat")
    await cluster.until(lambda: worker.calls.count("workers.beat") > beats)
    cut.clear()
    await cluster.until(lambda: (forgotten, 1) in database.ledger)
    await cluster.settled()
    assert [effect.job for effect in effects(cluster)] == [first, forgotten]
    assert worker.calls.count("ownership.take") == 4
    await worker.stopped()


@in_virtual_time
async def test_a_log_that_was_cut_ends_the_worker_and_nothing_starts_any_more() -> None:
    slow = Slow()
    cluster = MemoryCluster(slow.jobs, slots=1)
    for entity in ("a", "b", "c"):
        cluster.submit("slow", entity)
    worker = cluster.start()
    await cluster.until(lambda: slow.begun)
    place = Place(TOPICS.lane(Priority.HIGH), 0)
    cluster.topics.partitions[place].start = 5  # cut by somebody else, above where it is read
    with pytest.raises(BaseExceptionGroup) as raised:
        await worker.ended()
    assert raised.group_contains(LogCut)
    slow.go.set()
    await cluster.clock.sleep(10)
    assert len(slow.begun) == 1
    assert worker.tasks == {}


@in_virtual_time
async def test_a_position_below_the_start_of_the_log_is_one_clear_error() -> None:
    cluster = MemoryCluster(recording())
    cluster.submit("nothing", partition_of_entity(cluster, 0))
    cluster.topics.cut(Place(TOPICS.lane(Priority.NORMAL), 0), 1)
    worker = cluster.start()
    with pytest.raises(BaseExceptionGroup) as raised:
        await worker.ended()
    assert raised.group_contains(LogCut, match=r"jobs\.normal\[0\] holds offsets 1 to 1, not 0")


@in_virtual_time
async def test_a_stop_cancels_no_fetch_under_way() -> None:
    cluster = MemoryCluster(recording())
    cancelled: list[str] = []

    async def hook(name: str) -> BaseException | None:
        if name != "log.fetch":
            return await onward(name)
        try:
            await cluster.clock.sleep(0.4)
        except asyncio.CancelledError:
            cancelled.append(name)
            raise
        return None

    worker = cluster.start(hook)
    submit_a_mixture(cluster)
    await cluster.settled()
    await worker.stopped()
    assert cancelled == []
