"""Does every metric move when it is driven, and do a job's spans find each other?"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, SpanKind, StatusCode
from pydantic import BaseModel

from processor.adapters.memory.log import MemoryLog
from processor.adapters.memory.projection import MemoryProjections
from processor.domain.events import Reason, Started
from processor.domain.ids import JobId, dead_letter_id
from processor.domain.priority import LANES, Priority
from processor.domain.retry import Retry
from processor.domain.submission import SubmissionRecord, Trace
from processor.ports.ledger import Fault
from processor.ports.log import LogFailure, Place
from processor.ports.projection import Batch, Closing, LetterRow
from processor.runtime import watching
from processor.runtime.acknowledged import Acknowledged
from processor.runtime.client import Client
from processor.runtime.dead_letter_count import counting
from processor.runtime.handlers import Jobs
from processor.runtime.request import Request
from processor.runtime.submission import Submission
from processor.runtime.submitting import Submitter
from processor.runtime.telemetry import OTHER_TYPES, TYPES_TOLD_APART, MetricsService
from processor.runtime.trace_context import (
    first_of,
    letter_of,
    replayed,
    span_context_of,
    trace_of,
)
from processor.runtime.tracing import Tracing
from processor.testing.cluster import MemoryCluster
from processor.testing.naming import CODEC, TOPICS
from processor.testing.operated import OperatedCluster
from processor.testing.virtual_time import in_virtual_time, loop_of_the_test
from tests.blocking import blocking_calls_fail
from tests.invariants import partition_of_entity
from tests.telemetry import Collected, attributes_of, context_of, ids, linked

__all__ = ["blocking_calls_fail"]

SECRET = "VH-SECRET-4711"
GIVEN = Trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
LETTER = Trace("00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01")
FIRST = Trace("00-2af7651916cd43dd8448eb211c80319c-d7ad6b7169203331-01")
ONE_ATTEMPT = Retry(attempts=1)


class Flight(BaseModel):
    air_time: int


@pytest.fixture
def collected() -> Collected:
    return Collected()


def cluster_of(jobs: Jobs, collected: Collected | None) -> OperatedCluster:
    cluster = OperatedCluster(jobs)
    if collected is not None:
        cluster.metrics = collected.metrics
        cluster.tracing = collected.tracing()
    return cluster


def client_of(cluster: MemoryCluster, collected: Collected | None) -> Client:
    tracing = collected.tracing() if collected is not None else None
    log = MemoryLog(cluster.topics)
    return Client(
        Submitter(log, CODEC, cluster.clock, TOPICS, cluster.partitions, Acknowledged(), tracing)
    )


def starts(cluster: MemoryCluster, job: JobId) -> list[Started]:
    return [event for event in cluster.outcome(job).events if isinstance(event, Started)]


@in_virtual_time
async def test_what_completes_is_counted_and_measured(collected: Collected) -> None:
    jobs = Jobs()

    @jobs.handler("slow")
    async def slow(request: Request[Any]) -> None:
        await asyncio.sleep(2)

    @jobs.handler("writes")
    async def writes(request: Request[Any]) -> None:
        await request.connection()

    cluster = cluster_of(jobs, collected)
    for _ in range(2):
        cluster.submit("slow", "N1", lane=Priority.HIGH)
    cluster.submit("writes")
    await cluster.clock.sleep(3)
    cluster.start()
    await cluster.settled()
    high = {"type": "slow", "lane": "high"}
    assert collected.total("job.completed_total", **high) == 2
    assert collected.total("job.completed_total", type="writes", lane="normal") == 1
    assert collected.total("job.wait_seconds", **high) == 2
    assert collected.total("job.processing_seconds", **high) == 2
    of_high = frozenset({("job.type", "slow"), ("job.lane", "high")})
    assert collected.sums("job.processing_seconds")[of_high] == pytest.approx(4, abs=0.1)
    assert collected.sums("job.wait_seconds")[of_high] >= 3 + 3 + 2
    for never in ("job.failures_total", "job.retries_total", "job.cancellations_total"):
        assert collected.points(never) == {}


@in_virtual_time
async def test_failures_and_retries_are_counted_by_reason(collected: Collected) -> None:
    jobs = Jobs()

    @jobs.handler("breaks", retry=Retry(attempts=3))
    async def breaks(request: Request[Any]) -> None:
        raise ValueError(SECRET)

    @jobs.handler("blocks", retry=Retry(attempts=1, on_exhausted="block"))
    async def blocks(request: Request[Any]) -> None:
        raise ValueError

    @jobs.handler("landed")
    async def landed(request: Request[Flight]) -> None: ...

    cluster = cluster_of(jobs, collected)
    broken = cluster.submit("breaks", "N1")
    cluster.submit("blocks", "N2")
    cluster.submit("landed", "N3", b'{"air_time": "%s"}' % SECRET.encode())
    cluster.start()
    await cluster.until(lambda: (broken, 1) in cluster.database.ledger, 600)
    await cluster.until(lambda: collected.total("job.failures_total") >= 3)
    assert collected.total("job.retries_total", type="breaks", reason="HandlerFailed") == 2
    assert collected.total("job.failures_total", type="breaks", reason="HandlerFailed") == 1
    assert collected.total("job.failures_total", type="blocks", reason="HandlerFailed") == 1
    assert collected.total("job.failures_total", type="landed", reason="ParseError") == 1
    assert collected.total("job.retries_total") == 2
    assert collected.points("job.completed_total") == {}
    assert collected.total("job.processing_seconds", type="breaks") == 3
    assert collected.total("job.wait_seconds", type="breaks") == 1, "only the first run waited"
    assert SECRET not in collected.everything()


@in_virtual_time
async def test_the_backlog_is_seen_while_it_is_there_and_gone_with_its_worker(
    collected: Collected,
) -> None:
    jobs = Jobs()
    let_go = asyncio.Event()

    @jobs.handler("waits")
    async def waits(request: Request[Any]) -> None:
        await let_go.wait()

    cluster = cluster_of(jobs, collected)
    worker = cluster.start()
    await cluster.until(worker.owned)
    assert collected.points("job.queue_depth") == {}, "nobody has counted yet"
    await cluster.clock.sleep(6)
    depth, oldest = "job.queue_depth", "job.oldest_seconds"
    assert set(collected.points(depth).values()) == {0}
    for _ in range(5):
        cluster.submit("waits", "N1", lane=Priority.LOW)
    await cluster.clock.sleep(20)  # not so long that a waiting row carries the first
    assert collected.total(depth, lane="low") == 5
    assert collected.total(depth) == 5
    assert 14 <= collected.total(oldest, lane="low") <= 20
    let_go.set()
    await cluster.settled()
    await cluster.clock.sleep(6)
    assert set(collected.points(depth).values()) == {0}
    assert set(collected.points(oldest).values()) == {0}
    await worker.stopped()
    assert collected.points(depth) == {}
    assert collected.points(oldest) == {}


@in_virtual_time
async def test_what_nobody_has_read_waits_at_least_since_it_was_seen(collected: Collected) -> None:
    cluster = cluster_of(Jobs(), collected)
    worker = cluster.member()

    worker.hook = no_fetch
    worker.start()
    await cluster.until(worker.owned)
    cluster.submit("anything", "N1", lane=Priority.CRITICAL)
    collected.points("job.queue_depth")
    await cluster.clock.sleep(60)
    assert collected.total("job.queue_depth", lane="critical") == 1
    assert 40 <= collected.total("job.oldest_seconds", lane="critical") <= 65
    worker.kill()


@in_virtual_time
async def test_without_anybody_who_collects_only_watchdogs_ask_for_the_lanes_ends() -> None:
    cluster = cluster_of(Jobs(), None)
    worker = cluster.start()
    await cluster.until(lambda: len(worker.owned()) == cluster.partitions)
    before = worker.calls.count("log.bounds")
    await cluster.clock.sleep(60)
    asked = worker.calls.count("log.bounds") - before
    assert asked <= len(LANES) * (60 / watching.LOOK_SECONDS + 1)


def letter(number: int) -> LetterRow:
    job = UUID(int=number)
    return LetterRow(job.bytes, 1, job, 1, None, "acme", "flight.landed", "here", b"body")


@in_virtual_time
async def test_open_dead_letters_are_counted_until_they_are_closed(collected: Collected) -> None:
    clock, rows = loop_of_the_test().clock, MemoryProjections()
    async with counting(rows, collected.metrics("projector"), clock):
        assert collected.points("job.dlq_size") == {}, "nobody has counted yet"
        await clock.sleep(16)
        assert [*collected.points("job.dlq_size").values()] == [0]
        await rows.write("letters", [], Batch(letters=[letter(1), letter(2)]))
        await clock.sleep(16)
        assert collected.total("job.dlq_size") == 2
        closed = [letter(number)._replace(closed=Closing.DISCARDED, body=None) for number in (1, 2)]
        await rows.write("letters", [], Batch(letters=closed))
        await clock.sleep(16)
        assert [*collected.points("job.dlq_size").values()] == [0]
    assert collected.points("job.dlq_size") == {}


@in_virtual_time
async def test_a_cancel_is_counted_once_by_whoever_won(collected: Collected) -> None:
    jobs = Jobs()

    @jobs.handler("works")
    async def works(request: Request[Any]) -> None: ...

    cluster = cluster_of(jobs, collected)
    job = cluster.submit("flight.landed", "N2", lane=Priority.LOW)
    done = cluster.submit("works", "N1")
    await cluster.project()
    operators = {who: cluster.an_operator() for who in ("ada", "bob", "eve")}
    found = await asyncio.gather(*(one.cancel(job, who, "") for who, one in operators.items()))
    assert sorted(one.ours for one in found) == [False, False, True]
    assert collected.total("job.cancellations_total", type="flight.landed", lane="low") == 1
    cluster.start()
    await cluster.settled()
    assert not (await operators["ada"].cancel(done, "ada", "why")).ours
    assert collected.total("job.cancellations_total") == 1


async def no_fetch(name: str) -> BaseException | None:
    if name == "log.fetch":
        await loop_of_the_test().clock.sleep(10_000)
    return None


@in_virtual_time
async def test_a_partition_that_is_let_go_is_not_counted_by_two_workers(
    collected: Collected,
) -> None:
    cluster = cluster_of(Jobs(), collected)
    first = cluster.start(no_fetch)
    await cluster.until(lambda: len(first.owned()) == 2)
    for number in range(2):
        for _ in range(3):
            cluster.submit("anything", partition_of_entity(cluster, number))
    await cluster.until(lambda: collected.total("job.queue_depth") == 6)
    second = cluster.start(no_fetch)
    told: list[float] = []
    while not second.owned() or told[-1] < 6:
        told.append(collected.total("job.queue_depth"))
        await cluster.clock.sleep(0.05)
    assert set(told) == {6, 3}, "between the two of them nobody counts it"
    first.kill()
    second.kill()


def test_types_beyond_the_first_thousand_are_counted_together(collected: Collected) -> None:
    metrics = collected.metrics()
    for number in range(TYPES_TOLD_APART + 20):
        metrics.failed(f"type-{number}", Priority.LOW, Reason.HANDLER_MISSING)
    assert collected.total("job.failures_total", type="type-0") == 1
    assert collected.total("job.failures_total", type=OTHER_TYPES) == 20


def test_two_workers_of_one_process_each_report_their_gauges(collected: Collected) -> None:
    for who in ("a", "b"):
        collected.metrics(who).watch_lanes(lambda: [1] * 4, lambda: [0.0] * 4)
    data = collected.reader.get_metrics_data()
    assert data is not None
    told = str(data.to_json())
    assert told.count('"job.queue_depth"') == 2


@in_virtual_time
async def test_an_attempts_span_links_to_the_submissions_and_to_the_attempt_before(
    collected: Collected,
) -> None:
    jobs = Jobs()

    @jobs.handler("breaks", retry=Retry(attempts=3))
    async def breaks(request: Request[Any]) -> None:
        if request.attempt < 3:
            raise ValueError(SECRET)

    cluster = cluster_of(jobs, collected)
    job = await client_of(cluster, collected).submit(
        Submission("breaks", SECRET, entity="N1", priority=Priority.HIGH)
    )
    cluster.start()
    await cluster.until(lambda: (job, 1) in cluster.database.ledger, 600)
    await cluster.settled()
    (sent,) = collected.named("send jobs.high")
    attempts = collected.named("process breaks")
    assert (sent.kind, sent.parent) == (SpanKind.PRODUCER, None)
    assert [span.kind for span in attempts] == [SpanKind.CONSUMER] * 3
    assert len({context_of(span).trace_id for span in (sent, *attempts)}) == 4, "each its own"
    assert linked(attempts[0]) == {ids(sent)}
    assert linked(attempts[1]) == {ids(sent), ids(attempts[0])}
    assert linked(attempts[2]) == {ids(sent), ids(attempts[1])}
    assert [ids(one.trace) for one in starts(cluster, job)] == [ids(span) for span in attempts]
    assert [span.status.status_code for span in attempts] == [
        StatusCode.ERROR,
        StatusCode.ERROR,
        StatusCode.UNSET,
    ]
    assert SECRET not in collected.everything()


@in_virtual_time
async def test_spans_say_where_the_record_stands(collected: Collected) -> None:
    jobs = Jobs()

    @jobs.handler("it")
    async def it(request: Request[Any]) -> None: ...

    cluster = cluster_of(jobs, collected)
    job = await client_of(cluster, collected).submit(Submission("it", entity="N1"))
    cluster.start()
    await cluster.settled()
    (sent,), (attempt,) = collected.named("send jobs.normal"), collected.named("process it")
    both = {
        "messaging.system": "kafka",
        "messaging.destination.name": "jobs.normal",
        "messaging.message.id": str(job),
        "messaging.kafka.message.key": "N1",
        "messaging.kafka.offset": 0,
        "job.type": "it",
        "job.lane": "normal",
        "job.generation": 1,
    }
    assert both.items() <= attributes_of(sent).items()
    assert both.items() <= attributes_of(attempt).items()
    assert attributes_of(sent)["messaging.operation.name"] == "send"
    also = {"messaging.operation.name": "process", "job.attempt": 1, "job.run": 1}
    also["messaging.consumer.group.name"] = "worker.jobs"
    assert also.items() <= attributes_of(attempt).items()
    assert "error.type" not in attributes_of(attempt)


@in_virtual_time
async def test_the_records_headers_name_the_submissions_span(collected: Collected) -> None:
    cluster = cluster_of(Jobs(), collected)
    await client_of(cluster, collected).submit([Submission("it", entity="N1") for _ in range(3)])
    records = [record for one in cluster.topics.partitions.values() for record in one.records]
    spans = {ids(span) for span in collected.named("send jobs.normal")}
    assert len(spans) == 3
    named = {ids(Trace(dict(record.headers)["traceparent"].decode())) for record in records}
    assert named == spans
    assert {ids(CODEC.decode_submission(record.value or b"").trace) for record in records} == spans


@in_virtual_time
async def test_a_submissions_span_is_a_child_of_the_given_trace_or_of_the_active_span(
    collected: Collected,
) -> None:
    cluster = cluster_of(Jobs(), collected)
    client = client_of(cluster, collected)
    await client.submit(Submission("it", trace=GIVEN, priority=Priority.LOW))
    with collected.tracers.get_tracer("test").start_as_current_span("page"):
        await client.submit(Submission("it", priority=Priority.HIGH))
    (given,), (active,) = collected.named("send jobs.low"), collected.named("send jobs.high")
    (page,) = collected.named("page")
    assert given.parent is not None
    assert (given.parent.trace_id, given.parent.span_id) == ids(GIVEN)
    assert active.parent is not None
    assert (active.parent.trace_id, active.parent.span_id) == ids(page)


@in_virtual_time
async def test_a_submission_that_is_not_appended_leaves_a_span_that_says_so(
    collected: Collected,
) -> None:
    tracing = collected.tracing()
    record = SubmissionRecord(JobId(UUID(int=1)), "it", b"{}", "e", Priority.LOW, 0)
    span, _ = tracing.send(record, Place("jobs.low", 0), remote=False)
    assert span is not None
    tracing.sent(span, LogFailure(SECRET))
    (sent,) = collected.named("send jobs.low")
    assert sent.status.status_code is StatusCode.ERROR
    assert attributes_of(sent)["error.type"] == "LogFailure"


@in_virtual_time
@pytest.mark.parametrize("type_", ["skips", "blocks"])
async def test_after_a_replay_the_attempt_links_also_to_the_dead_letter_and_the_first_submission(
    collected: Collected, type_: str
) -> None:
    jobs = Jobs()

    async def it(request: Request[Any]) -> None:
        if request.cluster.generation < 3:
            raise ValueError

    jobs.register("skips", it, retry=ONE_ATTEMPT)
    jobs.register("blocks", it, retry=Retry(attempts=1, on_exhausted="block"))
    cluster = cluster_of(jobs, collected)
    job = await client_of(cluster, collected).submit(Submission(type_, entity="N1"))
    cluster.start()
    for generation in (1, 2):
        await cluster.until(partial(cluster.settled_in_the_ledger, job, generation))
        await cluster.until(lambda: len(collected.named(f"process {type_}")) == generation)  # noqa: B023
        await cluster.project()
        letter = dead_letter_id(job, generation)
        await cluster.an_operator().replay(letter, "ada", "why")
    await cluster.until(partial(cluster.settled_in_the_ledger, job, 3))
    await cluster.until(lambda: len(collected.named(f"process {type_}")) == 3)
    first, second, third = collected.named(f"process {type_}")
    topic = {"skips": "normal", "blocks": "critical"}[type_]
    sent, *replays = sorted(
        collected.named("send jobs.normal") + collected.named("send jobs.critical"),
        key=lambda span: span.start_time or 0,
    )
    assert [span.name for span in replays] == [f"send jobs.{topic}"] * 2
    assert linked(first) == {ids(sent)}
    assert linked(replays[0]) == {ids(first), ids(sent)}
    assert linked(second) == {ids(sent), ids(replays[0]), ids(first)}
    assert linked(replays[1]) == {ids(second), ids(sent)}
    assert linked(third) == {ids(sent), ids(replays[1]), ids(second)}
    status = await cluster.status(job)
    assert ids(status.trace) == ids(third)
    assert {attributes_of(span)["job.generation"] for span in replays} == {2, 3}


@in_virtual_time
async def test_a_replay_by_somebody_who_does_not_trace_is_linked_to_nonetheless(
    collected: Collected,
) -> None:
    jobs = Jobs()

    @jobs.handler("it", retry=ONE_ATTEMPT)
    async def it(request: Request[Any]) -> None:
        if request.cluster.generation < 3:
            raise ValueError

    cluster = cluster_of(jobs, collected)
    job = await client_of(cluster, collected).submit(Submission("it", entity="N1"))
    cluster.start()
    for generation in (1, 2):
        await cluster.until(partial(cluster.settled_in_the_ledger, job, generation))
        await cluster.project()
        await cluster.operator.replay(dead_letter_id(job, generation), "ada", "why")
    await cluster.until(partial(cluster.settled_in_the_ledger, job, 3))
    await cluster.until(lambda: len(collected.named("process it")) == 3)
    (sent,) = collected.named("send jobs.normal")
    first, second, third = collected.named("process it")
    assert linked(second) == {ids(sent), ids(first)}
    assert linked(third) == {ids(sent), ids(second)}


def record_of(trace: Trace | None, generation: int) -> SubmissionRecord:
    return SubmissionRecord(
        JobId(UUID(int=1)), "it", b"{}", "e", Priority.LOW, 0, generation, trace=trace
    )


def test_a_replays_trace_names_its_own_span_the_letters_and_the_first_submissions() -> None:
    crowded = ",".join(f"key{number}=1" for number in range(32))
    for state in ("", "other=1", "jobs=older,other=1", crowded):
        trace = replayed(Trace(GIVEN.traceparent, state), LETTER, FIRST)
        record = record_of(trace, 2)
        assert ids(trace) == ids(GIVEN)
        assert (ids(letter_of(record)), ids(first_of(record))) == (ids(LETTER), ids(FIRST))
        assert trace is not None
        assert ("other=1" in trace.tracestate) is ("other=1" in state)
    assert replayed(None, LETTER, FIRST) == LETTER
    assert replayed(GIVEN, None, None) == GIVEN
    alone = record_of(replayed(GIVEN, LETTER, Trace("no trace")), 2)
    assert (ids(letter_of(alone)), first_of(alone)) == (ids(LETTER), None)
    for trace in (GIVEN, None):
        assert letter_of(record_of(trace, 2)) is first_of(record_of(trace, 2)) is None


def test_what_a_first_generation_names_is_another_jobs() -> None:
    taken_over = record_of(replayed(GIVEN, LETTER, FIRST), 1)
    assert letter_of(taken_over) is None
    assert first_of(taken_over) == taken_over.trace


def test_a_trace_that_w3c_does_not_know_is_linked_to_by_nobody(collected: Collected) -> None:
    assert span_context_of(Trace("00-1-2-01")) is None
    assert trace_of(INVALID_SPAN) is None


@in_virtual_time
async def test_a_follow_up_links_to_the_attempt_that_submitted_it(collected: Collected) -> None:
    jobs = Jobs()

    @jobs.handler("parent")
    async def parent(request: Request[Any]) -> None:
        request.submit(Submission("child", entity="N2"))

    @jobs.handler("child")
    async def child(request: Request[Any]) -> None: ...

    cluster = cluster_of(jobs, collected)
    cluster.submit("parent", "N1")
    cluster.start()
    await cluster.until(lambda: collected.named("process child"))
    (first,), (second,) = collected.named("process parent"), collected.named("process child")
    assert linked(second) == {ids(first)}


@in_virtual_time
async def test_the_handlers_own_spans_are_children_of_its_attempt(collected: Collected) -> None:
    jobs = Jobs()
    tracer = collected.tracers.get_tracer("test")

    @jobs.handler("in the loop")
    async def in_the_loop(request: Request[Any]) -> None:
        with tracer.start_as_current_span("inner loop"):
            await asyncio.sleep(0)

    @jobs.handler("in a thread")
    def in_a_thread(request: Request[Any]) -> None:
        with tracer.start_as_current_span("inner thread"):
            pass

    cluster = cluster_of(jobs, collected)
    cluster.submit("in the loop", "N1")
    cluster.submit("in a thread", "N1")
    cluster.start()
    await cluster.settled()
    for inner, outer in (("inner loop", "in the loop"), ("inner thread", "in a thread")):
        (within,), (attempt,) = collected.named(inner), collected.named(f"process {outer}")
        assert within.parent is not None
        assert (within.parent.trace_id, within.parent.span_id) == ids(attempt)


@in_virtual_time
async def test_a_run_that_the_infrastructure_ended_leaves_a_span_and_no_failure(
    collected: Collected,
) -> None:
    jobs = Jobs()

    @jobs.handler("writes")
    async def writes(request: Request[Any]) -> None:
        await request.connection()

    faults = iter([Fault("away")])

    async def hook(name: str) -> BaseException | None:
        if name == "transaction.complete" and (fault := next(faults, None)) is not None:
            raise fault
        return None

    cluster = cluster_of(jobs, collected)
    cluster.submit("writes", "N1")
    cluster.start(hook)
    await cluster.settled()
    broken, whole = collected.named("process writes")
    assert attributes_of(broken)["error.type"] == "Abandoned"
    assert "error.type" not in attributes_of(whole)
    assert collected.total("job.completed_total") == 1
    assert collected.total("job.wait_seconds") == 1
    assert collected.total("job.failures_total") + collected.total("job.retries_total") == 0


@in_virtual_time
async def test_a_job_that_never_came_to_a_handler_leaves_no_span_and_no_measure(
    collected: Collected,
) -> None:
    cluster = cluster_of(Jobs(), collected)
    cluster.submit("unknown", "N1")
    cluster.start()
    await cluster.settled()
    assert collected.total("job.failures_total", reason="HandlerMissing") == 1
    assert collected.named("process unknown") == []
    assert collected.points("job.wait_seconds") == {}


@in_virtual_time
async def test_without_an_sdk_an_attempt_belongs_to_the_submissions_trace() -> None:
    jobs = Jobs()
    seen: list[object] = []

    @jobs.handler("it")
    async def it(request: Request[Any]) -> None:
        seen.append(trace.get_current_span())

    cluster = cluster_of(jobs, None)
    job = await client_of(cluster, None).submit(Submission("it", trace=GIVEN))
    cluster.start()
    await cluster.settled()
    assert [one.trace for one in starts(cluster, job)] == [GIVEN]
    assert seen == [INVALID_SPAN]
    assert not Tracing().on


def test_an_sdk_that_the_environment_names_is_used() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "from processor.runtime.tracing import Tracing; print(Tracing().on)",
        ],
        env={**os.environ, "OTEL_PYTHON_TRACER_PROVIDER": "sdk_tracer_provider"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "True\n"


def test_instruments_without_an_sdk_take_whatever_they_are_told() -> None:
    metrics = MetricsService("alone")
    metrics.started("it", Priority.LOW, -1.0)
    metrics.ran("it", Priority.LOW, 1.0)
    metrics.completed("it", Priority.LOW)
    metrics.retried("it", Priority.LOW, Reason.TRY_AGAIN)
    metrics.close()
