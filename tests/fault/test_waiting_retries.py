"""Does a job that failed come back in its turn, with all that is known of it?"""

from __future__ import annotations

import math
from typing import Any

import pytest
from tenacity import RetryCallState, wait_fixed

from processor.adapters.memory.holds import MemoryHolds
from processor.domain.errors import Reject, TryAgain
from processor.domain.events import Completed, Failed, Reason, Retrying, Started
from processor.domain.ids import JobId
from processor.domain.priority import LANES, Priority
from processor.domain.retry import Retry
from processor.ports.holds import HoldKind
from processor.ports.ledger import Ending
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from processor.runtime.submission import Submission
from processor.testing.cluster import MemoryCluster
from processor.testing.member import Gate
from processor.testing.virtual_time import in_virtual_time, loop_of_the_test
from tests.blocking import blocking_calls_fail
from tests.waiting import check_waiting, ended_at, is_over, states, waiting_jobs

__all__ = ["blocking_calls_fail"]


def kinds(cluster: MemoryCluster, job: JobId) -> list[type]:
    return [type(event) for event in cluster.outcome(job).events]


@in_virtual_time
@pytest.mark.parametrize("lane", LANES)
async def test_a_retrying_job_is_not_overtaken_in_any_lane(lane: Priority) -> None:
    cluster = MemoryCluster(waiting_jobs())
    worker = cluster.start()
    flaky = cluster.submit("flaky", "N1", b"2", lane)
    await cluster.until(lambda: cluster.database.waiting)
    others = [cluster.submit("effect", "N1", b"null", other) for other in reversed(LANES)]
    await cluster.until(lambda: is_over(cluster))
    order = [ended_at(cluster.outcome(job)) for job in (flaky, *reversed(others))]
    assert order == sorted(order)
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_jobs_that_were_in_memory_already_wait_behind_the_one_that_failed() -> None:
    cluster = MemoryCluster(waiting_jobs())
    flaky = cluster.submit("flaky", "N1", b"1")
    for lane in reversed(LANES):
        cluster.submit("effect", "N1", b"null", lane)
        cluster.submit("nothing", "N1", b"null", lane)
    critical = cluster.submit("flaky", "N1", b"1", Priority.CRITICAL)
    worker = cluster.start()
    await cluster.until(lambda: is_over(cluster))
    assert kinds(cluster, critical) == kinds(cluster, flaky)
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_an_outcome_tells_every_attempt_its_error_and_when_the_next_is_due() -> None:
    cluster = MemoryCluster(waiting_jobs())
    worker = cluster.start()
    job = cluster.submit("flaky", "N1", b"3")
    await cluster.until(lambda: is_over(cluster))
    events = cluster.outcome(job).events
    assert kinds(cluster, job) == [Started, Retrying] * 3 + [Started, Completed]
    retrying = [event for event in events if isinstance(event, Retrying)]
    assert [event.error.message for event in retrying] == [f"attempt {n}" for n in (1, 2, 3)]
    assert [event.due_at - event.at for event in retrying] == [2_000_000] * 3
    started = [event for event in events if isinstance(event, Started)]
    assert [(event.attempt, event.run) for event in started] == [(n, n) for n in (1, 2, 3, 4)]
    assert len(set(cluster.bodies(job))) == 4
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_try_again_runs_a_job_again_without_counting_an_attempt() -> None:
    cluster = MemoryCluster(waiting_jobs())
    worker = cluster.start()
    job = cluster.submit("patient", "N1", b"4")
    await cluster.until(lambda: is_over(cluster))
    started = [event for event in cluster.outcome(job).events if isinstance(event, Started)]
    assert [(event.attempt, event.run) for event in started] == [(1, n) for n in (1, 2, 3, 4, 5)]
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_try_again_ends_within_a_day() -> None:
    jobs = waiting_jobs()

    @jobs.handler("never")
    async def never(request: Request[Any]) -> None:
        raise TryAgain(2)

    cluster = MemoryCluster(jobs)
    worker = cluster.start()
    job = cluster.submit("never", "N1")
    behind = cluster.submit("effect", "N1")
    await cluster.until(lambda: len(cluster.bodies(job)) == 2)
    cluster.clock.jump(23 * 3600)
    await cluster.until(lambda: len(cluster.bodies(job)) > 3)
    cluster.clock.jump(3600)
    await cluster.until(lambda: is_over(cluster))
    failed = cluster.outcome(job).events[-1]
    assert isinstance(failed, Failed)
    assert failed.reason is Reason.TRY_AGAIN
    assert cluster.database.ledger[behind, 1].ending is Ending.COMPLETE
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_rejected_job_is_not_run_again_also_after_a_retry() -> None:
    jobs = waiting_jobs()

    @jobs.handler("wavers", retry=Retry(attempts=5, wait=wait_fixed(1)))
    async def wavers(request: Request[Any]) -> None:
        if request.attempt == 1:
            raise RuntimeError("once more")
        raise Reject("never")

    cluster = MemoryCluster(jobs)
    worker = cluster.start()
    job, at_once = cluster.submit("wavers", "N1"), cluster.submit("rejects", "N1")
    await cluster.until(lambda: is_over(cluster))
    assert kinds(cluster, job) == [Started, Retrying, Started, Failed]
    assert kinds(cluster, at_once) == [Started, Failed]
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_submissions_own_attempts_take_the_place_of_the_policys() -> None:
    cluster = MemoryCluster(waiting_jobs())
    worker = cluster.start()
    fewer = cluster.submit("flaky", "N1", b"9", attempts=2)
    more = cluster.submit("flaky", "N2", b"6", attempts=7)
    await cluster.until(lambda: is_over(cluster))
    assert kinds(cluster, fewer) == [Started, Retrying, Started, Failed]
    assert kinds(cluster, more) == [Started, Retrying] * 6 + [Started, Completed]
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_a_policy_that_waits_without_end_keeps_its_job_waiting() -> None:
    jobs = waiting_jobs()

    def for_ever(_: RetryCallState) -> float:
        return math.inf

    @jobs.handler("endless", retry=Retry(wait=for_ever))
    async def endless(request: Request[Any]) -> None:
        raise RuntimeError("and never again")

    cluster = MemoryCluster(jobs)
    cluster.start()
    job = cluster.submit("endless", "N1")
    await cluster.until(lambda: cluster.database.waiting)
    assert [key[0] for key in cluster.database.waiting] == [job]


@in_virtual_time
@pytest.mark.parametrize("how", ["wait", "on", "nan", "try again"])
async def test_a_policy_that_breaks_fails_its_job_and_lets_the_entity_go_on(how: str) -> None:
    jobs = waiting_jobs()

    def breaks(_: RetryCallState) -> bool:
        raise ZeroDivisionError("the policy's own")

    def no_number(_: RetryCallState) -> float:
        return math.nan

    policies: dict[str, Retry] = {
        "wait": Retry(wait=breaks),
        "on": Retry(on=breaks),
        "nan": Retry(wait=no_number),
        "try again": Retry(),
    }

    @jobs.handler("odd", retry=policies[how])
    async def odd(request: Request[Any]) -> None:
        if how == "try again":
            raise TryAgain("soon")  # type: ignore[arg-type]
        raise RuntimeError("the handler's own")

    cluster = MemoryCluster(jobs)
    worker = cluster.start()
    job, behind = cluster.submit("odd", "N1"), cluster.submit("effect", "N1")
    await cluster.until(lambda: is_over(cluster))
    assert cluster.database.ledger[job, 1].ending is Ending.FAILED
    assert cluster.database.ledger[behind, 1].ending is Ending.COMPLETE
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_follow_ups_exist_only_once_their_parent_is_complete() -> None:
    jobs = waiting_jobs()

    @jobs.handler("parent", retry=Retry(attempts=3, wait=wait_fixed(2)))
    async def parent(request: Request[int]) -> None:
        request.submit(Submission("nothing", request.attempt, entity="child"))
        if request.attempt <= request.payload:
            raise RuntimeError("not yet")

    cluster = MemoryCluster(jobs)
    worker = cluster.start()
    completes, fails = cluster.submit("parent", "N1", b"1"), cluster.submit("parent", "N2", b"9")
    await cluster.until(lambda: is_over(cluster))
    await cluster.clock.sleep(2)
    ended = {row.job for row in cluster.database.ledger.values()}
    (child,) = ended - {completes, fails}
    assert cluster.outcome(child).entity == "child"
    assert cluster.database.ledger[fails, 1].ending is Ending.FAILED
    await worker.stopped()
    check_waiting(cluster, more=1)


@in_virtual_time
@pytest.mark.parametrize("away", ["log.append", "waiting_room.remove"])
async def test_the_end_of_a_job_that_waited_is_published_twice_at_most_however_long_that_takes(
    away: str,
) -> None:
    cluster = MemoryCluster(waiting_jobs())
    gate = Gate()
    worker = cluster.start(gate)
    job = cluster.submit("flaky", "N1", b"1")
    await cluster.until(lambda: len(cluster.bodies(job)) == 1)
    gate.names = (away,)
    await gate.reached.wait()
    assert (job, 1) in cluster.database.ledger
    await cluster.clock.sleep(60)
    gate.open.set()
    await cluster.until(lambda: is_over(cluster))
    assert len(cluster.bodies(job)) <= 3, "its retry, its end, and that once more at the most"
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_what_is_known_of_a_job_survives_a_hold_between_its_attempts() -> None:
    cluster = MemoryCluster(waiting_jobs())
    worker = cluster.start()
    job = cluster.submit("flaky", "N1", b"2")
    await cluster.until(lambda: len(cluster.bodies(job)) == 1)
    holds = MemoryHolds(cluster.database)
    await holds.hold(HoldKind.TYPE, "flaky", "ann", "look")
    await cluster.clock.sleep(10)
    await holds.release((HoldKind.TYPE, "flaky"), "ann", "looked")
    await cluster.until(lambda: is_over(cluster))
    assert kinds(cluster, job) == [Started, Retrying] * 2 + [Started, Completed]
    await worker.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_what_is_known_of_a_job_survives_that_its_handler_is_missing_for_a_while() -> None:
    jobs, without = waiting_jobs(), Jobs()
    cluster = MemoryCluster(jobs, grace=60)
    first = cluster.start()
    job = cluster.submit("flaky", "N1", b"1")
    await cluster.until(lambda: len(cluster.bodies(job)) == 1)
    first.kill()
    second = cluster.member(jobs=without)
    second.start()
    await cluster.until(lambda: states(cluster) == ["h"])
    flaky = jobs.find("flaky")
    assert flaky is not None
    without.register("flaky", flaky.function, retry=flaky.retry)
    await cluster.until(lambda: is_over(cluster))
    assert kinds(cluster, job) == [Started, Retrying, Started, Completed]
    await second.stopped()
    check_waiting(cluster)


@in_virtual_time
async def test_what_is_known_of_a_job_survives_a_long_run_and_a_death_in_it() -> None:
    jobs, clock = waiting_jobs(), loop_of_the_test().clock

    @jobs.handler("slow", retry=Retry(attempts=3, wait=wait_fixed(1)))
    async def slow(request: Request[Any]) -> None:
        if request.attempt == 1:
            raise RuntimeError("once more")
        await clock.sleep(45)

    cluster = MemoryCluster(jobs)
    first = cluster.start()
    job = cluster.submit("slow", "N1")
    await cluster.clock.sleep(40)
    assert first.runtime.dispatcher.running
    first.kill()
    second = cluster.start()
    await cluster.until(lambda: is_over(cluster))
    assert kinds(cluster, job) == [Started, Retrying, Started, Completed]
    await second.stopped()
    check_waiting(cluster)
