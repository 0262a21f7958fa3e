"""How does a job end whose handler does what no handler may, and what becomes of its neighbours?"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs
from tenacity import wait_fixed

from processor.domain.errors import Reject, TransactionMisused
from processor.domain.events import Failed, Reason, Started
from processor.domain.retry import Retry
from processor.ports.ledger import Ending, Fault
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from processor.runtime.submission import Submission
from processor.testing.cluster import MemoryCluster
from processor.testing.virtual_time import in_virtual_time, play
from tests.blocking import blocking_calls_fail

__all__ = ["blocking_calls_fail"]

ONCE = Retry(attempts=1)


async def innocent(request: Request[Any]) -> None:
    connection = await request.connection()
    await connection.put(request.job_id, "innocent")


class Beside:
    """One bad job, a job behind it in its entity, and one of another entity."""

    def __init__(self, jobs: Jobs, slots: int = 8) -> None:
        jobs.register("innocent", innocent, retry=ONCE)
        self.cluster = MemoryCluster(jobs, 1, slots=slots)
        self.bad = self.cluster.submit("bad", "N1")
        self.behind = self.cluster.submit("innocent", "N1")
        self.other = self.cluster.submit("innocent", "N2")
        self.worker = self.cluster.start()

    async def failure(self) -> Failed:
        """How the bad job failed, once all have ended: the others completed."""
        await self.cluster.settled()
        for job in (self.behind, self.other):
            assert self.cluster.database.ledger[job, 1].ending is Ending.COMPLETE
        assert self.bad not in self.cluster.database.values
        assert not self.cluster.database.locks
        end = self.cluster.outcome(self.bad).end
        assert isinstance(end, Failed), end
        return end


async def cancels_itself(request: Request[Any]) -> None:
    this = asyncio.current_task()
    assert this is not None
    this.cancel()
    await asyncio.sleep(1)


async def cancels_itself_and_returns(request: Request[Any]) -> None:
    connection = await request.connection()
    await connection.put(request.job_id, "bad")
    this = asyncio.current_task()
    assert this is not None
    this.cancel()


@pytest.mark.parametrize("does", [cancels_itself, cancels_itself_and_returns])
@in_virtual_time
async def test_an_attempt_that_its_handler_cancels_runs_again_once_and_then_is_an_attempt(
    does: Any,  # noqa: ANN401 - a handler
) -> None:
    jobs = Jobs()
    runs: list[int] = []

    @jobs.handler("bad", retry=Retry(attempts=2, wait=wait_fixed(1)))
    async def bad(request: Request[Any]) -> None:
        runs.append(request.attempt)
        await does(request)

    beside = Beside(jobs)
    failed = await beside.failure()
    assert (failed.reason, failed.error.type) == (Reason.HANDLER_FAILED, "CancelledError")
    assert runs == [1, 1, 2], "the first time it may be the end of its process"
    starts = beside.cluster.outcome(beside.bad).events
    assert sum(isinstance(event, Started) for event in starts) == 2


@in_virtual_time
async def test_a_stop_is_no_attempt_also_of_a_job_that_met_a_fault_before() -> None:
    jobs = Jobs()
    runs: list[int] = []

    @jobs.handler("bad", retry=ONCE)
    async def bad(request: Request[Any]) -> None:
        runs.append(request.attempt)
        if len(runs) == 1:
            raise Fault("the connection broke")
        if len(runs) == 2:
            await asyncio.Event().wait()

    beside = Beside(jobs)
    await beside.cluster.until(lambda: len(runs) == 2)
    await beside.worker.stopped()
    assert (beside.bad, 1) not in beside.cluster.database.ledger
    beside.cluster.start()
    await beside.cluster.settled()
    assert beside.cluster.database.ledger[beside.bad, 1].ending is Ending.COMPLETE


@in_virtual_time
async def test_who_cancels_itself_and_never_waits_takes_no_other_job_with_it() -> None:
    jobs = Jobs()

    @jobs.handler("bad", retry=ONCE)
    async def bad(request: Request[Any]) -> None:
        this = asyncio.current_task()
        assert this is not None
        this.cancel()

    beside = Beside(jobs)
    runs: list[int] = []
    jobs.register("innocent", counted(runs), retry=ONCE)
    for number in range(40):
        beside.cluster.submit("bad" if number % 3 else "innocent", f"M{number}")
    await beside.cluster.settled()
    assert {row.ending for row in beside.cluster.database.ledger.values()} == {Ending.COMPLETE}
    assert runs == [1] * 16


def counted(runs: list[int]) -> Callable[[Request[Any]], Awaitable[None]]:
    async def counts(request: Request[Any]) -> None:
        runs.append(request.cluster.run)
        await innocent(request)

    return counts


@in_virtual_time
async def test_a_handler_that_has_swallowed_a_cancellation_of_its_own_still_times_out() -> None:
    jobs = Jobs()

    @jobs.handler("bad", retry=ONCE, timeout=5)
    async def bad(request: Request[Any]) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await cancels_itself(request)
        await asyncio.sleep(1000)

    assert (await Beside(jobs).failure()).reason is Reason.ATTEMPT_TIMEOUT


class Stubborn:
    """A handler that swallows every cancellation until it is told that it is enough."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.enough = asyncio.Event()
        self.refused: list[BaseException] = []
        self.runs = 0
        self.gone = 0

    async def __call__(self, request: Request[Any]) -> str:
        self.runs += 1
        connection = await request.connection()
        await connection.put(request.job_id, "bad")
        while not self.enough.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.enough.wait()
        try:
            await connection.put(request.job_id, "late")
        except TransactionMisused as error:
            self.refused.append(error)
        request.submit(Submission("innocent", entity="late"))
        self.gone += 1
        return "as if nothing had been"


@in_virtual_time
async def test_a_handler_that_swallows_its_time_out_for_ever_is_left_behind_and_keeps_nothing() -> (
    None
):
    stubborn = Stubborn()

    async def bad(request: Request[Any]) -> str:
        return await stubborn(request)

    policy = Retry(attempts=2, wait=wait_fixed(1))
    stubborn.jobs.register("bad", bad, retry=policy, timeout=5)
    with capture_logs() as lines:
        beside = Beside(stubborn.jobs, slots=4)
        failed = await beside.failure()
    assert failed.reason is Reason.ATTEMPT_TIMEOUT
    assert failed.error.place.startswith("test_runtime_misbehaving:__call__:"), "where it stands"
    assert stubborn.runs == 2
    told = [line for line in lines if "is left behind" in line["event"]]
    assert [(line["type"], line["place"]) for line in told] == [("bad", failed.error.place)] * 2
    # None of the four slots is lost, and both handlers still run.
    assert beside.worker.runtime.dispatcher.running == {}
    await end_of_many(beside)
    before = dict(beside.cluster.database.ledger)
    stubborn.enough.set()
    await beside.cluster.until(lambda: stubborn.gone == 2)
    assert len(stubborn.refused) == 2, "nothing can be written past the end of its job"
    await beside.worker.stopped()
    assert beside.cluster.database.ledger == before
    assert "late" not in beside.cluster.database.values.values()
    assert beside.cluster.database.owners[0].released


async def end_of_many(beside: Beside) -> None:
    """Jobs of the least urgent lane, as many as there are slots, run beside what was left."""
    for number in range(8):
        beside.cluster.submit("innocent", f"M{number}")
    await beside.cluster.settled()


@in_virtual_time
async def test_a_worker_stops_although_a_handler_swallows_that_it_is_stopped() -> None:
    stubborn = Stubborn()

    async def bad(request: Request[Any]) -> str:
        return await stubborn(request)

    stubborn.jobs.register("bad", bad, retry=ONCE, timeout=20)
    beside = Beside(stubborn.jobs)
    await beside.cluster.until(lambda: stubborn.runs)
    await beside.worker.stopped()
    assert (beside.bad, 1) not in beside.cluster.database.ledger, "a stop never counts"
    stubborn.enough.set()
    beside.cluster.start()
    await beside.cluster.settled()
    assert beside.cluster.database.ledger[beside.bad, 1].ending is Ending.COMPLETE
    assert beside.cluster.database.values[beside.bad] == "late"


def test_a_loop_ends_although_handlers_go_on_for_ever() -> None:
    stubborn: list[Stubborn] = []

    async def bad(request: Request[Any]) -> str:
        stubborn.append(Stubborn())
        return await stubborn[-1](request)

    async def scenario() -> None:
        jobs = Jobs()
        jobs.register("bad", bad, timeout=5, retry=ONCE)
        beside = Beside(jobs)
        await beside.failure()
        beside.cluster.submit("bad")
        await beside.cluster.until(lambda: len(stubborn) == 2)
        await beside.worker.stopped()

    play(scenario())
    assert [one.gone for one in stubborn] == [0, 0], "one was left behind, one was stopped"


@in_virtual_time
async def test_a_cancelled_job_whose_handler_goes_on_is_cancelled_and_frees_its_entity() -> None:
    stubborn = Stubborn()

    async def bad(request: Request[Any]) -> str:
        return await stubborn(request)

    stubborn.jobs.register("bad", bad, retry=ONCE, timeout=60)
    beside = Beside(stubborn.jobs)
    await beside.cluster.until(lambda: stubborn.runs)
    (delivery,) = beside.worker.runtime.dispatcher.running.values()
    entry = delivery.entry(b"cancelled")
    beside.cluster.database.insert(entry, Ending.CANCELLED)
    assert beside.worker.runtime.dispatcher.stop_one(delivery)
    await beside.cluster.settled(within=300)
    assert beside.cluster.database.ledger[beside.bad, 1].ending is Ending.CANCELLED
    assert beside.cluster.database.ledger[beside.behind, 1].ending is Ending.COMPLETE
    stubborn.enough.set()
    await beside.cluster.until(lambda: stubborn.gone)


@in_virtual_time
async def test_jobs_without_a_handler_are_a_line_for_each_type_and_now_and_then_one() -> None:
    cluster = MemoryCluster(Jobs(), 1, grace=3600.0)
    with capture_logs() as lines:
        first = cluster.submit("one", "first")
        for number in range(99):
            cluster.submit("one", f"N{number}")
            cluster.submit("another", f"M{number}")
        cluster.start()
        await cluster.until(lambda: len(cluster.database.waiting) == 199)
        await cluster.clock.sleep(301)
        cluster.submit("one", "later")
        await cluster.until(lambda: len(cluster.database.waiting) == 200)
    told = [line for line in lines if "for a handler of" in line["event"]]
    assert [line["type"] for line in told] == ["one", "another", "one"]
    assert told[0]["job"] == str(first)
    assert told[2]["times_put_aside"] >= 101


@in_virtual_time
async def test_a_handler_that_swallows_that_its_follow_ups_are_too_many_is_not_complete() -> None:
    jobs = Jobs()

    @jobs.handler("bad")
    async def bad(request: Request[Any]) -> None:
        for number in range(5_000):
            with contextlib.suppress(Reject):
                request.submit(Submission("innocent", number))

    beside = Beside(jobs)
    failed = await beside.failure()
    assert (failed.reason, failed.attempt) == (Reason.REJECTED, 1)
    assert failed.error.message.startswith("more than 1,000 follow-ups")
    assert len(beside.cluster.database.ledger) == 3, "none of them was sent"


@in_virtual_time
async def test_a_handler_may_go_on_after_a_follow_up_that_does_not_fit() -> None:
    jobs = Jobs()

    @jobs.handler("bad")
    async def bad(request: Request[Any]) -> None:
        with contextlib.suppress(Reject):
            request.submit(Submission("x" * 300))
        request.submit(Submission("innocent"))

    cluster = Beside(jobs).cluster
    await cluster.settled()
    assert {row.ending for row in cluster.database.ledger.values()} == {Ending.COMPLETE}
    assert len(cluster.database.ledger) == 4
