"""How does a job end, whatever its handler does?"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from processor.adapters.memory.step import onward
from processor.domain.errors import Reject, TryAgain
from processor.domain.events import Failed, Reason, Started
from processor.domain.ids import entity_key
from processor.domain.limits import ERROR_BYTES, RECORD_BYTES, RESULT_BYTES
from processor.domain.outcome import Outcome
from processor.domain.retry import Retry
from processor.ports.ledger import Ending, Fault
from processor.runtime.handlers import Jobs
from processor.runtime.request import Interrupted, Request
from processor.testing.cluster import MemoryCluster
from processor.testing.naming import CODEC
from processor.testing.virtual_time import in_virtual_time, loop_of_the_test
from tests.blocking import blocking_calls_fail

__all__ = ["blocking_calls_fail"]


class Flight(BaseModel):
    tail: str
    air_time: int


def nested(depth: int) -> object:
    return [nested(depth - 1)] if depth else 0


async def end_of(
    function: Callable[..., Any],
    payload: bytes = b"null",
    *,
    timeout: float = 300,
    record_bytes: int = RECORD_BYTES,
) -> tuple[MemoryCluster, Outcome]:
    """Run one job of that handler to its end."""
    jobs = Jobs()
    jobs.register("it", function, timeout=timeout, retry=Retry(attempts=1))
    cluster = MemoryCluster(jobs, record_bytes=record_bytes)
    job = cluster.submit("it", "N1", payload)
    later = cluster.submit("unknown", "N1")
    cluster.start()
    await cluster.settled(600)
    assert cluster.bodies(job)[-1] == cluster.body(job)
    assert len(cluster.bodies(job)) == max(1, cluster.outcome(job).runs)
    assert cluster.database.ledger[later, 1].ending is Ending.FAILED, "the entity goes on"
    assert not cluster.database.locks
    return cluster, cluster.outcome(job)


def failure_of(outcome: Outcome) -> Failed:
    end = outcome.end
    assert isinstance(end, Failed), outcome
    return end


def assert_nothing_was_written(cluster: MemoryCluster) -> None:
    assert cluster.database.values == {}


async def write(request: Request[Any]) -> None:
    connection = await request.connection()
    await connection.put("written", 1)


@in_virtual_time
async def test_an_exception_is_rolled_back_and_recorded_with_its_place_and_submission() -> None:
    async def breaks(request: Request[Any]) -> None:
        await write(request)
        raise ValueError("no such flight")

    cluster, outcome = await end_of(breaks)
    assert_nothing_was_written(cluster)
    failed = failure_of(outcome)
    assert (failed.attempt, failed.reason) == (1, Reason.HANDLER_FAILED)
    assert (failed.error.type, failed.error.message) == ("ValueError", "no such flight")
    assert failed.error.place.startswith("test_runtime_ends:breaks:")
    assert (
        "no such flight" in failed.error.traceback or "raise ValueError" in failed.error.traceback
    )
    assert isinstance(outcome.events[0], Started)
    submission = cluster.topics.partitions
    assert outcome.submission is not None
    assert any(
        record.value == outcome.submission
        for partition in submission.values()
        for record in partition.records
    )
    assert len(cluster.job_failed()) == 2


@in_virtual_time
async def test_an_exception_of_a_library_is_placed_where_the_handler_called_it() -> None:
    async def misreads(request: Request[Any]) -> None:
        int("x")

    async def calls(request: Request[Any]) -> None:
        json.loads("{")

    _, outcome = await end_of(misreads)
    assert failure_of(outcome).error.place.startswith("test_runtime_ends:misreads:")
    _, outcome = await end_of(calls)
    assert failure_of(outcome).error.place.startswith("test_runtime_ends:calls:")


@in_virtual_time
async def test_a_payload_that_does_not_fit_names_its_fields_and_none_of_its_values() -> None:
    called: list[object] = []

    async def landed(request: Request[Flight]) -> None:
        called.append(request)

    _, outcome = await end_of(landed, b'{"tail": 77123456, "air_time": "secret-value"}')
    failed = failure_of(outcome)
    assert failed.reason is Reason.PARSE_ERROR
    assert failed.error.fields == ("tail", "air_time")
    assert "secret-value" not in repr(failed)
    assert "77123456" not in repr(failed)
    assert failed.error.traceback == failed.error.place == ""
    assert called == []


@in_virtual_time
async def test_a_payload_that_is_no_json_is_a_parse_error_too() -> None:
    async def landed(request: Request[Flight]) -> None:
        raise AssertionError

    _, outcome = await end_of(landed, b'{"tail": secret')
    failed = failure_of(outcome)
    assert failed.reason is Reason.PARSE_ERROR
    assert "secret" not in repr(failed.error)


@in_virtual_time
async def test_a_time_out_names_the_place_where_the_handler_stood() -> None:
    clock = loop_of_the_test().clock

    async def deeper() -> None:
        await clock.sleep(60)

    async def waits(request: Request[Any]) -> None:
        await write(request)
        await deeper()

    cluster, outcome = await end_of(waits, timeout=5)
    assert_nothing_was_written(cluster)
    failed = failure_of(outcome)
    assert failed.reason is Reason.ATTEMPT_TIMEOUT
    assert failed.error.message == "the attempt took longer than 5 s"
    assert failed.error.place.startswith("test_runtime_ends:deeper:")


@in_virtual_time
async def test_a_handlers_own_time_out_is_no_time_out_of_the_attempt() -> None:
    async def gives_up(request: Request[Any]) -> None:
        async with asyncio.timeout(1):
            await asyncio.sleep(2)

    _, outcome = await end_of(gives_up, timeout=5)
    assert failure_of(outcome).reason is Reason.HANDLER_FAILED
    assert failure_of(outcome).error.type == "TimeoutError"


@in_virtual_time
async def test_a_handler_that_swallows_its_time_out_has_timed_out() -> None:
    async def stubborn(request: Request[Any]) -> str:
        await write(request)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return "done"

    cluster, outcome = await end_of(stubborn, timeout=5)
    assert_nothing_was_written(cluster)
    assert failure_of(outcome).reason is Reason.ATTEMPT_TIMEOUT


@in_virtual_time
async def test_a_thread_past_its_time_out_fails_when_it_ends() -> None:
    loop = loop_of_the_test()

    def slow(request: Request[Any]) -> str:
        loop.call_soon_threadsafe(loop.clock.advance, 10)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(20)
        return "too late"

    _, outcome = await end_of(slow, timeout=5)
    assert failure_of(outcome).reason is Reason.ATTEMPT_TIMEOUT


@in_virtual_time
async def test_a_reject_is_recorded_as_the_handlers_word() -> None:
    async def refuses(request: Request[Any]) -> None:
        raise Reject("the aircraft was scrapped")

    _, outcome = await end_of(refuses)
    failed = failure_of(outcome)
    assert (failed.reason, failed.error.message) == (Reason.REJECTED, "the aircraft was scrapped")


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (object(), "not JSON"),
        (float("nan"), "NaN"),
        ("x" * RESULT_BYTES, "at most"),
        (nested(65), "nested"),
        ("\ud800", "not JSON"),
    ],
    ids=["object", "nan", "large", "deep", "surrogate"],
)
@in_virtual_time
async def test_a_result_that_cannot_be_stored_undoes_what_was_written(
    result: object, words: str
) -> None:
    async def returns(request: Request[Any]) -> object:
        await write(request)
        return result

    cluster, outcome = await end_of(returns)
    assert_nothing_was_written(cluster)
    failed = failure_of(outcome)
    assert failed.reason is Reason.RESULT_INVALID
    assert words in failed.error.message


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError("by hand"),
        SystemExit(3),
        GeneratorExit(),
        BaseException("bare"),
        BaseExceptionGroup("two", [ValueError("a"), SystemExit(1)]),
    ],
    ids=lambda error: type(error).__name__,
)
@in_virtual_time
async def test_what_is_no_exception_fails_the_attempt_and_not_the_worker(
    error: BaseException,
) -> None:
    async def raises(request: Request[Any]) -> None:
        await write(request)
        raise error

    def in_a_thread(request: Request[Any]) -> None:
        raise error

    cluster, outcome = await end_of(raises)
    assert_nothing_was_written(cluster)
    assert failure_of(outcome).error.type == type(error).__name__
    _, outcome = await end_of(in_a_thread)
    assert failure_of(outcome).error.type == type(error).__name__


@in_virtual_time
async def test_an_exception_that_cannot_be_written_down_is_one_all_the_same() -> None:
    class Mute(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError("no words")

    async def breaks(request: Request[Any]) -> None:
        raise Mute

    async def surrogates(request: Request[Any]) -> None:
        raise ValueError("\ud800" + "x" * ERROR_BYTES)

    _, outcome = await end_of(breaks)
    assert failure_of(outcome).error.type == "Mute"
    _, outcome = await end_of(surrogates)
    assert len(failure_of(outcome).error.message.encode()) <= ERROR_BYTES


@in_virtual_time
async def test_asking_for_a_transaction_in_a_def_handler_is_one_clear_error() -> None:
    def asks(request: Request[Any]) -> None:
        request.connection()

    _, outcome = await end_of(asks)
    failed = failure_of(outcome)
    assert failed.reason is Reason.TRANSACTION_MISUSED
    assert "async def" in failed.error.message


@in_virtual_time
async def test_a_session_that_was_rolled_back_fails_the_attempt() -> None:
    async def undoes(request: Request[Any]) -> str:
        session = await request.session()
        await session.rollback()
        return "as if nothing had been"

    cluster, outcome = await end_of(undoes)
    assert_nothing_was_written(cluster)
    assert failure_of(outcome).reason is Reason.TRANSACTION_MISUSED


@in_virtual_time
async def test_nothing_can_be_written_after_the_handler_has_returned() -> None:
    errors: list[BaseException] = []
    left: list[asyncio.Task[None]] = []

    async def later(request: Request[Any]) -> None:
        await asyncio.sleep(1)
        try:
            await write(request)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    async def leaves(request: Request[Any]) -> None:
        left.append(asyncio.get_running_loop().create_task(later(request)))

    async def leaves_with_a_connection(request: Request[Any]) -> None:
        await write(request)
        left.append(asyncio.get_running_loop().create_task(later(request)))

    cluster, _ = await end_of(leaves)
    await asyncio.wait(left)
    assert_nothing_was_written(cluster)
    cluster, _ = await end_of(leaves_with_a_connection)
    await asyncio.wait(left)
    assert [type(error).__name__ for error in errors] == ["TransactionMisused"] * 2


@in_virtual_time
async def test_a_verdict_stands_although_the_handler_swallows_it() -> None:
    jobs = Jobs()
    runs: list[int] = []

    @jobs.handler("it", retry=Retry(attempts=1))
    async def swallows(request: Request[Any]) -> str:
        runs.append(request.cluster.run)
        with contextlib.suppress(BaseException):
            await write(request)
        return "as if nothing had been"

    cluster = MemoryCluster(jobs)
    job = cluster.submit("it", "N1")
    key = entity_key(None, "N1")
    cluster.database.locks[key] = "somebody"
    cluster.start()
    await cluster.until(lambda: len(runs) >= 3)
    assert cluster.database.ledger == {}
    del cluster.database.locks[key]
    await cluster.settled()
    assert cluster.database.ledger[job, 1].ending is Ending.COMPLETE
    assert cluster.database.values == {"written": 1}


@in_virtual_time
async def test_a_verdict_stands_although_it_comes_when_the_handler_has_returned() -> None:
    jobs = Jobs()
    left: list[asyncio.Task[None]] = []

    @jobs.handler("it", retry=Retry(attempts=1))
    async def leaves(request: Request[Any]) -> str:
        left.append(asyncio.get_running_loop().create_task(write(request)))
        await asyncio.sleep(0)
        return "done"

    async def slow(name: str) -> BaseException | None:
        if name == "transactions.begin":
            await cluster.clock.sleep(1)
        return await onward(name)

    cluster = MemoryCluster(jobs)
    job = cluster.submit("it", "N1")
    key = entity_key(None, "N1")
    cluster.database.locks[key] = "somebody"
    cluster.start(slow)
    await cluster.until(lambda: len(left) >= 2)
    assert cluster.database.ledger == {}, "the lock was held: nothing may be complete"
    del cluster.database.locks[key]
    await cluster.settled()
    assert cluster.database.ledger[job, 1].ending is Ending.COMPLETE
    await asyncio.gather(*left, return_exceptions=True)


@in_virtual_time
async def test_a_fault_within_a_transaction_is_no_attempt_whatever_the_handler_makes_of_it() -> (
    None
):
    jobs = Jobs()
    failing = iter([Fault("the connection broke"), Fault("again")])

    @jobs.handler("it", retry=Retry(attempts=1))
    async def wraps(request: Request[Any]) -> None:
        try:
            await write(request)
        except Fault as fault:
            raise ValueError("could not write") from fault

    async def hook(name: str) -> BaseException | None:
        await onward(name)
        if name == "transaction.put" and (fault := next(failing, None)):
            raise fault
        return None

    cluster = MemoryCluster(jobs)
    job = cluster.submit("it", "N1")
    cluster.start(hook)
    await cluster.settled()
    assert cluster.database.ledger[job, 1].ending is Ending.COMPLETE
    assert cluster.database.values == {"written": 1}


@in_virtual_time
async def test_an_outcome_over_its_limit_is_a_reject_and_what_it_wrote_is_undone() -> None:
    async def returns(request: Request[Any]) -> str:
        await write(request)
        return "x" * 100_000

    cluster, outcome = await end_of(returns, record_bytes=128 * 1024)
    assert_nothing_was_written(cluster)
    assert failure_of(outcome).reason is Reason.REJECTED


@in_virtual_time
async def test_a_job_runs_again_only_while_its_history_fits_a_record() -> None:
    async def never(request: Request[Any]) -> None:
        raise TryAgain(0)

    cluster, outcome = await end_of(never, record_bytes=92 * 1024)
    assert failure_of(outcome).reason is Reason.TRY_AGAIN
    assert outcome.submission == CODEC.encode_submission(cluster.acked[0].record), "it is whole"
    assert 20 < outcome.runs < 200


@in_virtual_time
async def test_a_handler_that_raises_our_own_interruption_fails_like_any_other() -> None:
    async def interrupts(request: Request[Any]) -> None:
        raise Interrupted

    _, outcome = await end_of(interrupts)
    assert failure_of(outcome).reason is Reason.HANDLER_FAILED


@in_virtual_time
async def test_a_job_without_a_handler_is_a_dead_letter_at_once() -> None:
    cluster = MemoryCluster(Jobs())
    job = cluster.submit("nobody", "N1")
    cluster.start()
    await cluster.settled()
    failed = failure_of(cluster.outcome(job))
    assert (failed.attempt, failed.reason) == (0, Reason.HANDLER_MISSING)
    assert len(cluster.outcome(job).events) == 1


@in_virtual_time
async def test_a_handler_registered_while_the_worker_runs_is_found() -> None:
    jobs = Jobs()
    cluster = MemoryCluster(jobs)
    cluster.start()
    await cluster.until(lambda: cluster.members[0].owned() == {0, 1})

    async def late(request: Request[Any]) -> None:
        await write(request)

    jobs.register("late", late)
    job = cluster.submit("late")
    await cluster.settled()
    assert cluster.database.ledger[job, 1].ending is Ending.COMPLETE


@in_virtual_time
async def test_a_huge_foreign_record_fits_its_outcome_and_the_lane_goes_on() -> None:
    cluster = MemoryCluster(Jobs())
    foreign = b"\x00" * (RECORD_BYTES - 100)
    entity = "N1"
    job = cluster.submit("nobody", entity)
    partition = cluster.acked[0].partition
    cluster.append(cluster.acked[0].lane, partition, foreign)
    large = cluster.submit("nobody", entity, b'"' + b"x" * (RECORD_BYTES - 300) + b'"')
    cluster.start()
    await cluster.settled()
    assert {row.ending for row in cluster.database.ledger.values()} == {Ending.FAILED}
    assert len(cluster.database.ledger) == 3
    assert cluster.bodies(job)
    assert cluster.bodies(large)
