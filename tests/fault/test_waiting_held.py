"""Does what is held wait for the right thing, and cost nothing meanwhile?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from processor.adapters.memory.holds import MemoryHolds
from processor.adapters.memory.step import onward
from processor.domain.events import Reason
from processor.domain.ids import JobId
from processor.ports.holds import HoldKind
from processor.ports.ledger import Ending, Fault
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from processor.testing.cluster import MemoryCluster
from processor.testing.virtual_time import in_virtual_time
from tests.blocking import blocking_calls_fail
from tests.waiting import check_waiting, ended_at, is_over, states, waiting_jobs

__all__ = ["blocking_calls_fail"]

SECOND = 1_000_000


def reason_of(cluster: MemoryCluster, job: JobId) -> Reason | None:
    return getattr(cluster.outcome(job).end, "reason", None)


@in_virtual_time
async def test_the_time_of_a_hold_is_no_part_of_the_grace_for_a_missing_handler() -> None:
    cluster = MemoryCluster(waiting_jobs(), grace=60)
    holds = MemoryHolds(cluster.database)
    await holds.hold(HoldKind.TYPE, "missing", "ann", "not yet")
    worker = cluster.start()
    job = cluster.submit("missing", "N1")
    await cluster.until(lambda: states(cluster) == ["h"])
    await cluster.clock.sleep(100)
    released = cluster.clock.now()
    await holds.release((HoldKind.TYPE, "missing"), "ann", "now")
    await cluster.until(lambda: is_over(cluster))
    assert reason_of(cluster, job) is Reason.HANDLER_MISSING
    assert ended_at(cluster.outcome(job)) >= released + 60 * SECOND
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_hold_that_goes_unheard_is_no_part_of_the_grace_either() -> None:
    cluster = MemoryCluster(waiting_jobs(), grace=60)
    holds = MemoryHolds(cluster.database)
    await holds.hold(HoldKind.TYPE, "missing", "ann", "not yet")
    first = cluster.start()
    job = cluster.submit("missing", "N1")
    await cluster.until(lambda: states(cluster) == ["h"])
    await cluster.clock.sleep(100)
    await first.stopped()
    released = cluster.clock.now()
    await holds.release((HoldKind.TYPE, "missing"), "ann", "now")
    second = cluster.start()
    await cluster.until(lambda: is_over(cluster))
    assert ended_at(cluster.outcome(job)) >= released + 60 * SECOND
    await second.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_the_time_behind_a_head_is_no_part_of_the_grace_for_a_missing_handler() -> None:
    cluster = MemoryCluster(waiting_jobs(), grace=5)
    worker = cluster.start()
    head = cluster.submit("flaky", "N1", b"3")
    await cluster.until(lambda: states(cluster) == ["r"])
    job = cluster.submit("missing", "N1")
    await cluster.until(lambda: is_over(cluster))
    assert reason_of(cluster, job) is Reason.HANDLER_MISSING
    assert ended_at(cluster.outcome(job)) >= ended_at(cluster.outcome(head)) + 5 * SECOND
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_new_owner_leaves_the_rows_of_an_open_hold_as_they_are() -> None:
    cluster = MemoryCluster(waiting_jobs())
    holds = MemoryHolds(cluster.database)
    await holds.hold(HoldKind.TYPE, "effect", "ann", "look")
    first = cluster.start()
    for number in range(3):
        cluster.submit("effect", f"N{number}")
    await cluster.until(lambda: states(cluster) == ["h"] * 3)
    before = dict(cluster.database.waiting)
    first.kill()
    second = cluster.start()
    await cluster.until(lambda: second.owned() == {0, 1})
    await cluster.clock.sleep(60)
    assert cluster.database.waiting == before
    await holds.release((HoldKind.TYPE, "effect"), "ann", "looked")
    await cluster.until(lambda: is_over(cluster), within=5)
    await second.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_new_owner_of_another_release_runs_what_a_hold_by_release_kept() -> None:
    cluster = MemoryCluster(waiting_jobs())
    hold = await MemoryHolds(cluster.database).hold(HoldKind.TYPE, "effect", "breaker", "it fails")
    cluster.database.holds[hold.id] = replace(hold, release="bad")
    first = cluster.member(release="bad")
    first.start()
    job = cluster.submit("effect", "N1")
    await cluster.until(lambda: states(cluster) == ["h"])
    first.kill()
    second = cluster.member(release="good")
    second.start()
    await cluster.until(lambda: is_over(cluster), within=15)
    assert cluster.database.ledger[job, 1].ending is Ending.COMPLETE
    await second.stopped()
    check_waiting(cluster)


@in_virtual_time
@pytest.mark.parametrize("fault", [False, True])
async def test_a_new_owner_that_has_the_handler_runs_what_waited_for_one(fault: bool) -> None:  # noqa: FBT001
    faults = [Fault("the connection was reset")] if fault else []

    async def hook(name: str) -> BaseException | None:
        if name == "waiting_room.wake" and faults:
            raise faults.pop()
        return await onward(name)

    jobs = waiting_jobs()
    cluster = MemoryCluster(jobs, grace=3600)
    first = cluster.member(jobs=Jobs())
    first.start()
    job = cluster.submit("late", "N1")
    await cluster.until(lambda: states(cluster) == ["h"])
    first.kill()

    @jobs.handler("late")
    async def late(_: Request[Any]) -> None: ...

    second = cluster.start(hook)
    await cluster.until(lambda: is_over(cluster), within=15)
    assert cluster.database.ledger[job, 1].ending is Ending.COMPLETE
    await second.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_handler_registered_while_its_job_is_being_written_down_runs_it_soon() -> None:
    jobs = waiting_jobs()
    cluster = MemoryCluster(jobs, grace=3600)

    async def late(_: Request[Any]) -> None: ...

    async def hook(name: str) -> BaseException | None:
        if name == "waiting_room.record" and jobs.find("late") is None:
            jobs.register("late", late)
            await cluster.clock.sleep(5)  # the worker sees that there is a handler
        return await onward(name)

    worker = cluster.start(hook)
    job = cluster.submit("late", "N1")
    await cluster.until(lambda: is_over(cluster), within=30)
    assert cluster.database.ledger[job, 1].ending is Ending.COMPLETE
    await worker.stopped()
    check_waiting(cluster)
