"""Does a job that is cancelled or held stop where it is, and its entity go on?"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, cast

import pytest

from processor.adapters.memory.cancelling import MemoryCancelling
from processor.adapters.memory.holds import MemoryHolds
from processor.adapters.memory.step import onward
from processor.domain.events import Cancelled
from processor.domain.ids import JobId, entity_key, partition_of
from processor.domain.outcome import Outcome
from processor.domain.priority import Priority
from processor.ports.holds import HoldKind
from processor.ports.ledger import Ending, Entry, Fault
from processor.runtime.request import Request
from processor.testing.cluster import MemoryCluster
from processor.testing.member import Gate
from processor.testing.naming import CODEC, TIMELINE
from processor.testing.virtual_time import in_virtual_time, loop_of_the_test
from tests.blocking import blocking_calls_fail
from tests.waiting import check_waiting, is_over, states, waiting_jobs

__all__ = ["blocking_calls_fail"]


async def cancel(cluster: MemoryCluster, job: JobId, type_: str, entity: str) -> None:
    """Cancel a job of generation 1, as a client would that knows where it was submitted."""
    number = partition_of(entity, cluster.partitions)
    lane = Priority.NORMAL
    events = (Cancelled(cluster.clock.now(), "ann"),)
    outcome = Outcome(job, 1, TIMELINE, type_, entity, None, lane, number, 0, events)
    entry = Entry(job, 1, number, lane, 0, CODEC.encode_outcome(outcome))
    await MemoryCancelling(cluster.database).cancel(entry)


@in_virtual_time
@pytest.mark.parametrize("type_", ["asleep", "writing", "stubborn"])
async def test_a_running_job_is_stopped_and_its_entity_goes_on(type_: str) -> None:
    jobs, clock = waiting_jobs(), loop_of_the_test().clock
    stopped: list[str] = []

    @jobs.handler("asleep")
    async def asleep(request: Request[Any]) -> None:
        try:
            await clock.sleep(60)
        finally:
            stopped.append(request.type)

    @jobs.handler("writing")
    async def writing(request: Request[Any]) -> None:
        connection = await request.connection()
        await connection.put("written", 1)
        await cast("Awaitable[None]", asleep(request))

    @jobs.handler("stubborn")
    async def stubborn(request: Request[Any]) -> None:
        try:
            await clock.sleep(60)
        finally:
            stopped.append(request.type)
            await clock.sleep(1)

    cluster = MemoryCluster(jobs)
    worker = cluster.start()
    job = cluster.submit(type_, "N1")
    await cluster.until(lambda: worker.runtime.dispatcher.running)
    behind = cluster.submit("effect", "N1")
    await clock.sleep(1)
    await cancel(cluster, job, type_, "N1")
    await cluster.until(lambda: is_over(cluster), within=5)
    assert stopped == [type_]
    assert cluster.database.ledger[job, 1].ending is Ending.CANCELLED
    assert cluster.database.ledger[behind, 1].ending is Ending.COMPLETE
    assert "written" not in cluster.database.values
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
@pytest.mark.parametrize("after", [0.0, 1.0, 2.0, 2.1, 35.0])
@pytest.mark.parametrize("type_", ["flaky", "long", "effect", "nothing"])
async def test_a_job_that_is_cancelled_at_any_moment_has_one_end(type_: str, after: float) -> None:
    cluster = MemoryCluster(waiting_jobs())
    worker = cluster.start()
    job = cluster.submit(type_, "N1", b"40" if type_ == "long" else b"3")
    behind = [cluster.submit(other, "N1") for other in ("effect", "nothing", "effect")]
    await cluster.clock.sleep(after)
    await cancel(cluster, job, type_, "N1")
    await cluster.until(lambda: is_over(cluster), within=20)
    assert {(one, 1) for one in behind} <= cluster.database.ledger.keys()
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
@pytest.mark.parametrize("yields", range(12))
async def test_a_job_may_be_cancelled_just_when_it_is_dispatched(yields: int) -> None:
    cluster = MemoryCluster(waiting_jobs())
    seen: list[JobId] = []
    job = cluster.submit("effect", "N1")
    behind = cluster.submit("effect", "N1")

    async def hook(name: str) -> BaseException | None:
        if name == "ledger.look_up" and not seen:
            seen.append(job)
            lost = await onward(name)
            for _ in range(yields):
                await onward(name)
            await cancel(cluster, job, "effect", "N1")
            return lost
        return await onward(name)

    worker = cluster.start(hook)
    await cluster.until(lambda: is_over(cluster), within=20)
    assert (behind, 1) in cluster.database.ledger
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_jobs_that_wait_in_rows_are_cancelled_there() -> None:
    cluster = MemoryCluster(waiting_jobs())
    worker = cluster.start()
    head = cluster.submit("flaky", "N1", b"3")
    await cluster.until(lambda: states(cluster) == ["r"])
    queued, behind = cluster.submit("effect", "N1"), cluster.submit("effect", "N1")
    later = cluster.submit("effect", "N2", not_before=cluster.clock.now() + 3600 * 1_000_000)
    await cluster.until(lambda: states(cluster) == ["q", "q", "r", "s"])
    for job, type_, entity in ((queued, "effect", "N1"), (later, "effect", "N2")):
        await cancel(cluster, job, type_, entity)
    await cancel(cluster, head, "flaky", "N1")
    await cluster.until(lambda: is_over(cluster), within=15)
    endings = {key[0]: row.ending for key, row in cluster.database.ledger.items()}
    assert endings == {
        head: Ending.CANCELLED,
        queued: Ending.CANCELLED,
        later: Ending.CANCELLED,
        behind: Ending.COMPLETE,
    }
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_job_that_was_cancelled_before_it_was_read_never_runs() -> None:
    cluster = MemoryCluster(waiting_jobs())
    job, behind = cluster.submit("effect", "N1"), cluster.submit("effect", "N1")
    await cancel(cluster, job, "effect", "N1")
    worker = cluster.start()
    await cluster.until(lambda: is_over(cluster), within=15)
    assert cluster.database.ledger[job, 1].ending is Ending.CANCELLED
    assert cluster.database.ledger[behind, 1].ending is Ending.COMPLETE
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_cancel_while_the_failure_is_being_parked_frees_the_entity() -> None:
    cluster = MemoryCluster(waiting_jobs())
    gate = Gate("waiting_room.record")
    job, behind = cluster.submit("flaky", "N1", b"3"), cluster.submit("effect", "N1")
    worker = cluster.start(gate)
    await gate.reached.wait()
    await cancel(cluster, job, "flaky", "N1")
    gate.open.set()
    await cluster.until(lambda: is_over(cluster), within=15)
    assert cluster.database.ledger[job, 1].ending is Ending.CANCELLED
    assert (behind, 1) in cluster.database.ledger
    await worker.stopped()
    check_waiting(cluster)


HELD = {
    HoldKind.TYPE: "effect",
    HoldKind.ENTITY: "N1",
    HoldKind.TENANT: "acme",
    HoldKind.LANE: "normal",
}


@in_virtual_time
@pytest.mark.parametrize("kind", HELD)
@pytest.mark.parametrize("taken_over", [False, True])
async def test_what_is_held_waits_until_it_is_released(kind: HoldKind, taken_over: bool) -> None:  # noqa: FBT001
    cluster = MemoryCluster(waiting_jobs())
    holds = MemoryHolds(cluster.database)
    worker = cluster.start()
    await holds.hold(kind, HELD[kind], "ann", "look")
    await cluster.clock.sleep(2)
    held = cluster.submit("effect", "N1", tenant="acme")
    behind = cluster.submit("nothing", "N1", tenant="acme")
    free = cluster.submit("nothing", "N2", lane=Priority.HIGH)
    await cluster.until(lambda: (free, 1) in cluster.database.ledger)
    await cluster.clock.sleep(5)
    assert not {(held, 1), (behind, 1)} & cluster.database.ledger.keys()
    if taken_over:
        worker.kill()
        worker = cluster.start()
        await cluster.clock.sleep(10)
        assert not {(held, 1), (behind, 1)} & cluster.database.ledger.keys()
    await holds.release((kind, HELD[kind]), "ann", "looked")
    await cluster.until(lambda: is_over(cluster), within=5)
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_nothing_that_is_held_runs_before_a_worker_has_read_the_holds() -> None:
    cluster = MemoryCluster(waiting_jobs())
    await MemoryHolds(cluster.database).hold(HoldKind.TYPE, "nothing", "ann", "look")
    gate = Gate("holds.open")
    held = cluster.submit("nothing", "N1")
    worker = cluster.start(gate)
    await gate.reached.wait()
    await cluster.clock.sleep(10)
    assert (held, 1) not in cluster.database.ledger
    gate.open.set()
    free = cluster.submit("effect", "N2")
    await cluster.until(lambda: (free, 1) in cluster.database.ledger)
    assert (held, 1) not in cluster.database.ledger
    await worker.stopped()


@in_virtual_time
@pytest.mark.parametrize("seconds", [1, 40])
async def test_a_held_job_whose_parking_takes_long_is_not_said_to_run(seconds: float) -> None:
    cluster = MemoryCluster(waiting_jobs())
    holds = MemoryHolds(cluster.database)
    await holds.hold(HoldKind.TYPE, "effect", "ann", "look")
    gate = Gate("waiting_room.record")
    worker = cluster.start(gate)
    job = cluster.submit("effect", "N1")
    await gate.reached.wait()
    await cluster.clock.sleep(seconds)
    gate.open.set()
    await cluster.until(lambda: states(cluster) == ["h"])
    assert cluster.lives(job) == []
    await holds.release((HoldKind.TYPE, "effect"), "ann", "looked")
    await cluster.until(lambda: is_over(cluster), within=5)
    assert worker.calls.count("ownership.take") == 2, "nothing was doubted"
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_job_that_is_parked_while_its_hold_is_released_comes_back() -> None:
    cluster = MemoryCluster(waiting_jobs())
    holds = MemoryHolds(cluster.database)
    await holds.hold(HoldKind.TYPE, "effect", "ann", "look")
    gate = Gate("waiting_room.record")
    worker = cluster.start(gate)
    await cluster.clock.sleep(2)
    job = cluster.submit("effect", "N1")
    await gate.reached.wait()
    await holds.release((HoldKind.TYPE, "effect"), "ann", "looked")
    await cluster.clock.sleep(3)
    gate.open.set()
    await cluster.until(lambda: is_over(cluster), within=60)
    assert (job, 1) in cluster.database.ledger
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
@pytest.mark.parametrize("pause", ["busy", "fault"])
async def test_a_job_that_is_cancelled_while_it_pauses_ends_at_once_and_never_starts_again(
    pause: str,
) -> None:
    jobs = waiting_jobs()
    runs: list[JobId] = []

    @jobs.handler("opens")
    async def opens(request: Request[Any]) -> None:
        runs.append(request.job_id)
        await request.connection()

    async def hook(name: str) -> BaseException | None:
        if name == "transactions.begin" and pause == "fault":
            raise Fault("the connection was reset")
        return await onward(name)

    cluster = MemoryCluster(jobs)
    if pause == "busy":
        cluster.database.locks[entity_key(None, "N1")] = "somebody"
    worker = cluster.start(hook)
    job = cluster.submit("opens", "N1")
    behind = cluster.submit("nothing", "N1")
    await cluster.until(lambda: len(runs) == 8)  # its pauses have grown to seconds
    await cluster.until(lambda: not worker.runtime.dispatcher.running)
    await cancel(cluster, job, "opens", "N1")
    await cluster.until(lambda: is_over(cluster), within=1)
    assert cluster.database.ledger[job, 1].ending is Ending.CANCELLED
    assert cluster.database.ledger[behind, 1].ending is Ending.COMPLETE
    cluster.database.locks.clear()
    await cluster.clock.sleep(10)
    assert len(runs) == 8
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_job_that_is_cancelled_while_a_fault_rolls_it_back_never_starts_again() -> None:
    jobs = waiting_jobs()
    runs: list[JobId] = []

    @jobs.handler("opens")
    async def opens(request: Request[Any]) -> None:
        runs.append(request.job_id)
        await (await request.connection()).put("written", 1)

    rolling_back = Gate("transaction.rollback")

    async def hook(name: str) -> BaseException | None:
        if name == "transaction.put":
            raise Fault("the connection was reset")
        return await rolling_back(name)

    cluster = MemoryCluster(jobs)
    worker = cluster.start(hook)
    job = cluster.submit("opens", "N1")
    await rolling_back.reached.wait()
    await cancel(cluster, job, "opens", "N1")
    (running,) = worker.runtime.dispatcher.running.values()
    await cluster.until(lambda: running.cancelled)
    rolling_back.open.set()
    await cluster.until(lambda: is_over(cluster), within=1)
    assert cluster.database.ledger[job, 1].ending is Ending.CANCELLED
    assert len(runs) == 1
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_partition_that_is_lost_while_a_fault_is_looked_into_is_taken_over_anew() -> None:
    jobs = waiting_jobs()
    mended: list[JobId] = []

    @jobs.handler("opens")
    async def opens(request: Request[Any]) -> None:
        await request.connection()

    looking = Gate("ledger.look_up")

    async def hook(name: str) -> BaseException | None:
        if name == "transactions.begin" and not mended:
            raise Fault("the connection was reset")
        return await (looking(name) if faults() == 20 else onward(name))

    def faults() -> int:
        return max((one.faults for one in worker.runtime.dispatcher.running.values()), default=0)

    cluster = MemoryCluster(jobs)
    worker = cluster.start(hook)
    job = cluster.submit("opens", "N1")
    await looking.reached.wait()
    number = partition_of("N1", cluster.partitions)
    worker.runtime.keeper.doubt(worker.runtime.keeper.owned[number], "the test says so")
    mended.append(job)
    await cluster.until(lambda: is_over(cluster), within=30)
    assert cluster.database.ledger[job, 1].ending is Ending.COMPLETE
    await worker.stopped()
    check_waiting(cluster)
