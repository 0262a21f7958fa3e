"""Does `processor.testing.Harness` show what becomes of jobs, as the real thing would, at once?"""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest
from tenacity import wait_fixed

from processor import (
    Caller,
    ConfigurationError,
    JobFailed,
    JobNotComplete,
    JobNotFound,
    Jobs,
    Priority,
    Reject,
    Request,
    Retry,
    State,
    Submission,
    TryAgain,
)
from processor.domain.events import Queued, Retrying, Started
from processor.domain.ids import JobId
from processor.domain.submission import Trace
from processor.runtime.submission import new_id
from processor.testing import Harness, StandstillError, in_virtual_time


def jobs_that_record(ran: list[object]) -> Jobs:
    jobs = Jobs()

    @jobs.handler("double")
    async def double(request: Request[int]) -> int:
        ran.append(request.payload)
        return 2 * request.payload

    @jobs.handler("stumbles", retry=Retry(attempts=3, wait=wait_fixed(3600)))
    async def stumbles(request: Request[int]) -> int:
        ran.append(request.attempt)
        if request.attempt <= request.payload:
            raise OSError("not yet")
        return request.attempt

    @jobs.handler("rejects")
    async def rejects(request: Request[str]) -> None:
        raise Reject(request.payload)

    @jobs.handler("blocks", retry=Retry(attempts=1, on_exhausted="block"))
    async def blocks(request: Request[int]) -> int:
        if request.cluster.generation <= request.payload:
            raise OSError("not yet")
        return request.cluster.generation

    return jobs


@in_virtual_time
async def test_what_was_submitted_has_ended_once_all_is_settled() -> None:
    ran: list[object] = []
    async with Harness(jobs_that_record(ran)) as harness:
        one = await harness.submit(Submission("double", 21))
        many = await harness.submit([Submission("double", number) for number in range(20)])
        await harness.settled()
        assert await harness.result(one) == 42
        assert [await harness.result(job) for job in many] == [2 * number for number in range(20)]
    assert len(ran) == 21


@in_virtual_time
async def test_a_retry_waits_until_its_time_and_the_history_tells_of_it() -> None:
    ran: list[object] = []
    async with Harness(jobs_that_record(ran)) as harness:
        job = await harness.submit(Submission("stumbles", 1))
        await harness.settled()
        assert (await harness.status(job)).state is State.RETRYING
        await harness.advance(minutes=59)
        assert ran == [1]
        await harness.advance(minutes=1)
        assert ran == [1, 2]
        status = await harness.status(job)
        assert status.state is State.COMPLETE
        first, _, retrying, again, *_ = [one.event for one in status.history]
        assert isinstance(first, Queued)
        assert isinstance(retrying, Retrying)
        assert retrying.due_at - retrying.at == 3_600_000_000
        assert isinstance(again, Started)
        assert again.attempt == 2


@in_virtual_time
async def test_a_job_of_the_future_runs_when_its_time_has_come_and_holds_nobody() -> None:
    ran: list[object] = []
    async with Harness(jobs_that_record(ran)) as harness:
        tomorrow = harness.now + timedelta(days=1)
        later = await harness.submit(Submission("double", 1, entity="e", not_before=tomorrow))
        await harness.submit(Submission("double", 2, entity="e"))
        await harness.settled()
        assert (await harness.status(later)).state is State.SCHEDULED
        assert ran == [2]
        await harness.advance(days=1)
        assert ran == [2, 1]
        assert harness.now - tomorrow < timedelta(seconds=5)


@in_virtual_time
async def test_a_dead_job_leaves_a_dead_letter_and_replays_under_its_id() -> None:
    async with Harness(jobs_that_record([])) as harness:
        job = await harness.submit(Submission("blocks", 1, entity="e"))
        await harness.settled()
        (letter,) = harness.dead_letters
        assert (letter.died.job, letter.died.type) == (job, "blocks")
        with pytest.raises(JobNotComplete, match="failed"):
            await harness.result(job)
        behind = await harness.submit(Submission("double", 1, entity="e"))
        await harness.settled()
        assert (await harness.status(behind)).state is State.QUEUED
        assert await harness.replay(letter.died.id, by="ann", because="mended") == job
        await harness.settled()
        assert harness.dead_letters == []
        assert await harness.result(job) == 2
        assert (await harness.status(job)).generation == 2
        assert await harness.result(behind) == 2


@in_virtual_time
async def test_dead_letters_are_in_the_order_of_death_and_a_discard_closes_one() -> None:
    async with Harness(jobs_that_record([])) as harness:
        for reason in ("first", "second"):
            await harness.submit(Submission("rejects", reason))
            await harness.settled()
        assert [one.died.errors[-1].error.message for one in harness.dead_letters] == [
            "first",
            "second",
        ]
        await harness.client.discard(harness.dead_letters[0].died.id)
        await harness.settled()
        assert len(harness.dead_letters) == 1


@in_virtual_time
async def test_a_cancelled_job_runs_no_more() -> None:
    ran: list[object] = []
    async with Harness(jobs_that_record(ran)) as harness:
        job = await harness.submit(Submission("stumbles", 1))
        await harness.settled()
        answer = await harness.cancel(job, by="ann")
        assert (answer.was, answer.now) == (State.RETRYING, State.CANCELLED)
        await harness.advance(days=1)
        assert ran == [1]
        assert (await harness.status(job)).state is State.CANCELLED


@in_virtual_time
async def test_a_running_handler_is_seen_running_and_can_be_cancelled() -> None:
    jobs, begun, stopped = Jobs(), asyncio.Event(), asyncio.Event()

    @jobs.handler("waits")
    async def waits(_: Request[None]) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with Harness(jobs) as harness:
        job = await harness.submit(Submission("waits"))
        await begun.wait()
        await asyncio.sleep(1)
        assert (await harness.status(job)).state is State.PROCESSING
        await harness.cancel(job)
        await harness.settled()
        assert stopped.is_set()
        assert (await harness.status(job)).state is State.CANCELLED


@in_virtual_time
async def test_a_handlers_own_sleep_and_time_out_take_no_time() -> None:
    jobs = Jobs()

    @jobs.handler("sleeps", timeout=3600, retry=Retry(attempts=1))
    async def sleeps(request: Request[float]) -> float:
        await asyncio.sleep(request.payload)
        return request.payload

    async with Harness(jobs) as harness:
        short, long = await harness.submit([Submission("sleeps", 1800), Submission("sleeps", 7200)])
        await harness.settled()
        assert await harness.result(short) == 1800
        (letter,) = harness.dead_letters
        assert (letter.died.job, letter.died.reason) == (long, "AttemptTimeout")


@in_virtual_time
async def test_a_type_without_a_handler_waits_for_one_and_fails_after_the_grace() -> None:
    jobs = jobs_that_record([])
    async with Harness(jobs) as harness:
        for_ever = await harness.submit(Submission("missing"))
        soon = await harness.submit(Submission("soon", 3))
        await harness.settled()
        assert (await harness.status(for_ever)).waits_for == "a handler of its type"
        jobs.register("soon", _triples)
        await harness.advance(hours=23)
        assert await harness.result(soon) == 9
        assert (await harness.status(for_ever)).state is State.QUEUED
        await harness.advance(hours=1)
        assert (await harness.status(for_ever)).state is State.FAILED
        assert harness.dead_letters[0].died.reason == "HandlerMissing"


async def _triples(request: Request[int]) -> int:
    return 3 * request.payload


@pytest.mark.parametrize(
    ("kind", "value"), [("type", "double"), ("entity", "e"), ("tenant", "acme"), ("lane", "low")]
)
@in_virtual_time
async def test_what_is_held_waits_until_it_is_released(kind: str, value: str) -> None:
    ran: list[object] = []
    async with Harness(jobs_that_record(ran)) as harness:
        await harness.hold(kind, value, because="a test")
        held = Submission("double", 1, entity="e", tenant="acme", priority=Priority.LOW)
        job = await harness.submit(held)
        await harness.advance(days=1)
        assert ran == []
        assert f"the release of {kind} {value}" in str((await harness.status(job)).waits_for)
        assert await harness.release(kind, value)
        await harness.settled()
        assert ran == [1]
        assert not await harness.release(kind, value)


@in_virtual_time
async def test_try_again_comes_back_and_follow_ups_run() -> None:
    jobs, seen = Jobs(), list[object]()

    @jobs.handler("parent")
    async def parent(request: Request[None]) -> None:
        request.submit(Submission("child", request.cluster.run, entity="c"))
        if request.cluster.run == 1:
            raise TryAgain(timedelta(hours=6), "the other side sleeps")

    @jobs.handler("child")
    async def child(request: Request[int]) -> None:
        seen.append((request.payload, request.tenant, request.caller))

    async with Harness(jobs) as harness:
        caller = Caller(user="ann")
        await harness.submit(Submission("parent", tenant="acme", caller=caller))
        await harness.settled()
        assert seen == []
        await harness.advance(hours=6)
        assert seen == [(2, "acme", caller)]


@in_virtual_time
async def test_a_def_handler_runs_in_a_thread_while_no_time_passes() -> None:
    jobs, ran = Jobs(), list[int]()

    @jobs.handler("blocks")
    def blocks(request: Request[int]) -> int:
        ran.append(threading.get_ident())
        return request.payload + 1

    async with Harness(jobs) as harness:
        job = await harness.submit(Submission("blocks", 1))
        await harness.settled()
        assert await harness.result(job) == 2
    assert ran != [threading.get_ident()]


@in_virtual_time
async def test_one_entitys_jobs_run_in_order_and_a_dedupe_key_runs_once() -> None:
    ran: list[object] = []
    async with Harness(jobs_that_record(ran)) as harness:
        await harness.submit([Submission("double", number, entity="e") for number in range(50)])
        twice = [Submission("double", 99, entity="e", dedupe_key="k") for _ in range(2)]
        first, second = await harness.submit(twice)
        await harness.settled()
        assert first == second
        assert ran == [*range(50), 99]


@in_virtual_time
async def test_subscribers_hear_of_failures() -> None:
    async with Harness(jobs_that_record([])) as harness:
        trace = Trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        job = await harness.submit(Submission("rejects", "never", trace=trace))
        async with harness.client.events.subscribe(JobFailed, group="billing") as failures:
            failed = await anext(failures)
        assert (failed.job, failed.reason, failed.trace) == (job, "Reject", trace)


@in_virtual_time
async def test_a_job_that_nobody_submitted_is_not_found() -> None:
    async with Harness(Jobs()) as harness:
        with pytest.raises(JobNotFound):
            await harness.status(JobId(new_id()))


@in_virtual_time
async def test_what_never_settles_is_named() -> None:
    jobs = Jobs()

    @jobs.handler("waits", timeout=100_000)
    async def waits(_: Request[None]) -> None:
        for _again in range(1_000):
            await asyncio.sleep(600)

    async with Harness(jobs) as harness:
        job = await harness.submit(Submission("waits"))
        with pytest.raises(StandstillError, match=f"job {job} of type 'waits' is running"):
            await harness.settled()


async def test_without_virtual_time_it_says_in_one_line_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match="in_virtual_time"):
        async with Harness(Jobs()):
            pass


@in_virtual_time
async def test_an_error_in_the_block_is_raised_as_itself() -> None:
    async with _raising(ZeroDivisionError), Harness(Jobs()):
        raise ZeroDivisionError


class _raising:  # noqa: N801 - reads as pytest's own
    def __init__(self, kind: type[Exception]) -> None:
        self._kind = kind

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, kind: object, error: object, traceback: object) -> bool:
        return kind is self._kind
