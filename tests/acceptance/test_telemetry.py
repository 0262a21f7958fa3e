"""Does a process that has an OpenTelemetry SDK see its jobs, without telling us anything of it?

Every metric of the list, driven and not; and the spans of a job, which find each other over
retries, replays, follow-ups and the death of a worker.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind
from pydantic import BaseModel
from tenacity import wait_fixed

from processor import (
    Client,
    JobId,
    Jobs,
    JobStatus,
    Priority,
    Reject,
    Request,
    Retry,
    Settings,
    State,
    Submission,
    TryAgain,
    Worker,
)
from processor.bootstrap.operating import holding
from processor.bootstrap.projecting import projecting
from processor.domain.events import Queued, Started
from processor.domain.ids import dead_letter_id
from processor.local.stack import Stack
from processor.ports.holds import HoldKind
from processor.runtime import backlog, dead_letter_count
from tests.commands import Commands, commands
from tests.inside import when, working
from tests.telemetry import Collected, attributes_of, collecting, ids, linked

pytestmark = pytest.mark.timeout(240)

SECRET = "VH-SECRET-4711"
HELD = 8
"""Jobs of a held lane, over all partitions."""
DEAD = ("skips", "blocks", "rejects", "lands")
"""One type of each way to fail for good."""
COUNTED = (
    "job.wait_seconds",
    "job.processing_seconds",
    "job.completed_total",
    "job.failures_total",
    "job.retries_total",
    "job.cancellations_total",
)
OWNERS = "SELECT count(DISTINCT worker) FROM jobs.ownership WHERE NOT released"
SECOND = (2, State.PROCESSING)
ROOT = Path(__file__).parents[2]
PROCESS = """
import asyncio, contextlib, json, os
from opentelemetry import metrics, trace
from processor import Client, JobNotComplete, Jobs, Reject, Settings, Submission, TryAgain, Worker
from processor.bootstrap.projecting import projecting
from tests.telemetry import Collected, ids, linked

collected = Collected()
metrics.set_meter_provider(collected.meters)
trace.set_tracer_provider(collected.tracers)
jobs = Jobs()


@jobs.handler("good")
async def good(request):
    await request.connection()


@jobs.handler("again")
async def again(request):
    if request.cluster.run == 1:
        raise TryAgain(0.01)


@jobs.handler("bad")
async def bad(request):
    raise Reject("no")


async def main():
    settings = Settings.from_env(os.environ)
    async with projecting(settings), Client.connect(settings) as client:
        async with Worker(jobs, settings):
            kinds = ("good", "again", "bad")
            ids_ = await client.submit([Submission(kind, entity="e") for kind in kinds])
            await client.result(ids_[0], timeout=60)
            await client.result(ids_[1], timeout=60)
            with contextlib.suppress(JobNotComplete):
                await client.result(ids_[2], timeout=60)
            status = await client.status(ids_[1])
        print(json.dumps({
            "totals": {
                name: collected.total(f"job.{name}")
                for name in ("completed_total", "failures_total", "retries_total",
                             "wait_seconds", "processing_seconds")
            },
            "sent": [ids(span) for span in collected.named("send " + settings.topics.lanes[2])],
            "again": [[ids(span), sorted(linked(span))] for span in
                      collected.named("process again")],
            "status": ids(status.trace),
            "group": collected.named("process good")[0].attributes[
                "messaging.consumer.group.name"],
        }))


asyncio.run(main())
"""


@pytest.fixture(scope="module")
def run(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    name = f"test-{secrets.token_hex(5)}"
    with commands(stack, name, tmp_path_factory.mktemp("seen")) as run:
        migrated = run("migrate")
        assert migrated.code == 0, migrated
        yield run


async def test_a_worker_a_projector_and_a_client_are_seen_by_their_processs_sdk(
    run: Commands,
) -> None:
    path = os.pathsep.join([str(ROOT), *sys.path])
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", PROCESS],
        env=run.environment({"PYTHONPATH": path}),
        cwd=run.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    assert told["totals"] == {
        "completed_total": 2,
        "failures_total": 1,
        "retries_total": 1,
        "wait_seconds": 3,
        "processing_seconds": 4,
    }
    (first, before), (second, after) = told["again"]
    assert len(told["sent"]) == 3
    (submitted,) = before
    assert submitted in told["sent"]
    assert sorted([submitted, first]) == after
    assert told["status"] == second
    assert told["group"] == f"worker.{run.settings.namespace}"


class Flight(BaseModel):
    air_time: int


class Driven:
    """Handlers that drive what is measured; what failed succeeds once it is mended."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self.mended = False
        self.may_end = asyncio.Event()
        once = Retry(attempts=1)
        self.jobs.register("works", self.works)
        self.jobs.register("again", self.again, retry=once)
        self.jobs.register("skips", self.fails, retry=Retry(attempts=2, wait=wait_fixed(0.01)))
        self.jobs.register("blocks", self.fails, retry=Retry(attempts=1, on_exhausted="block"))
        self.jobs.register("rejects", self.rejects)
        self.jobs.register("lands", self.lands)
        self.jobs.register("stays", self.stays)

    async def works(self, request: Request[Any]) -> None:
        await request.connection()

    async def again(self, request: Request[Any]) -> None:
        if request.cluster.run == 1:
            raise TryAgain(0.01)

    async def fails(self, _: Request[Any]) -> None:
        if not self.mended:
            raise RuntimeError(SECRET)

    async def rejects(self, _: Request[Any]) -> None:
        raise Reject(SECRET)

    async def lands(self, _: Request[Flight]) -> None: ...

    async def stays(self, _: Request[Any]) -> None:
        await self.may_end.wait()


def at(type_: str, lane: str, reason: str | None = None) -> frozenset[tuple[str, str]]:
    """The attributes of a metric's point."""
    of = {("job.type", type_), ("job.lane", lane)}
    return frozenset(of if reason is None else of | {("job.reason", reason)})


async def until(reached: Callable[[], object]) -> None:
    """Collect again and again until it is so."""
    while not reached():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.05)


async def test_every_metric_of_the_list_moves_when_driven_and_is_0_or_gone_when_the_cause_is(
    ready: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    for looking in (backlog, dead_letter_count):
        monkeypatch.setattr(looking, "LOOK_SECONDS", 0.1)
    driven = Driven()
    async with holding(ready.settings) as holds:
        hold = await holds.hold(HoldKind.LANE, "low", "ada", "why")
        with collecting() as collected:
            async with projecting(ready.settings), Client.connect(ready.settings) as client:
                async with Worker(driven.jobs, ready.settings):
                    await until(lambda: _gauges(collected) == (0, 0, 0))
                    await _drive_ends(client, collected)
                    await _drive_the_backlog(client, collected, driven)
                    await _drive_dead_letters(client, collected, driven)
                    jobs = await client.submit(
                        [Submission("works", SECRET) for _ in range(HELD)], priority=Priority.LOW
                    )
                    await until(lambda: collected.total("job.queue_depth", lane="low") == HELD)
                    await until(lambda: collected.total("job.oldest_seconds", lane="low") > 0)
                    await _share(ready, driven, collected)
                    await holds.release(hold.id, "ada", "why")
                    for job in jobs:
                        await client.result(job, timeout=60)
                    await until(lambda: _gauges(collected) == (0, 0, 0))
                for gauge in ("job.queue_depth", "job.oldest_seconds"):
                    assert collected.points(gauge) == {}, "they went with the worker"
                assert collected.points("job.dlq_size") == {frozenset(): 0}
            assert collected.points("job.dlq_size") == {}, "it went with the projector"
            async with projecting(ready.settings):  # and comes with the next, in one process too
                await until(lambda: collected.points("job.dlq_size") == {frozenset(): 0})
    assert SECRET not in collected.everything()


def _gauges(collected: Collected) -> tuple[float, ...]:
    """What all lanes say together: depth, age and dead letters; nothing until all are told."""
    names = ("job.queue_depth", "job.oldest_seconds", "job.dlq_size")
    told = [collected.points(name) for name in names]
    return tuple(sum(one.values()) for one in told) if all(told) else ()


async def _drive_ends(client: Client, collected: Collected) -> None:
    """One job of each way to end: nothing was counted before, and each is counted once."""
    for name in COUNTED:
        assert collected.points(name) == {}
    works = Submission("works", SECRET, priority=Priority.HIGH)
    dead = [Submission(type_, SECRET, entity=type_) for type_ in DEAD]
    *good, _, _, _, _ = jobs = await client.submit([works, Submission("again", SECRET), *dead])
    for job in good:
        await client.result(job, timeout=60)
    for job in jobs[2:]:
        await when(client, job, lambda status: status.state is State.FAILED)
    await until(lambda: collected.total("job.dlq_size") == len(DEAD))
    complete = {at("works", "high"): 1, at("again", "normal"): 1}
    assert collected.points("job.completed_total") == complete
    assert collected.points("job.failures_total") == {
        at("skips", "normal", "HandlerFailed"): 1,
        at("blocks", "normal", "HandlerFailed"): 1,
        at("rejects", "normal", "Reject"): 1,
        at("lands", "normal", "ParseError"): 1,
    }
    assert collected.points("job.retries_total") == {
        at("again", "normal", "TryAgain"): 1,
        at("skips", "normal", "HandlerFailed"): 1,
    }
    each = complete | {at(type_, "normal"): 1 for type_ in DEAD}
    assert collected.points("job.wait_seconds") == each, "only first runs have waited"
    runs = {at("again", "normal"): 2, at("skips", "normal"): 2}
    assert collected.points("job.processing_seconds") == each | runs
    assert collected.points("job.cancellations_total") == {}


async def _drive_the_backlog(client: Client, collected: Collected, driven: Driven) -> None:
    """A running job and four behind it; one of these is cancelled, then what runs, then none is."""
    kinds = ("stays", "works", "works", "works", "stays")
    submissions = [Submission(type_, SECRET, entity="N1") for type_ in kinds]
    first, second, *_, last = await client.submit(submissions, priority=Priority.CRITICAL)
    await until(lambda: collected.total("job.queue_depth", lane="critical") == len(kinds))
    await until(lambda: collected.total("job.oldest_seconds", lane="critical") > 0)
    assert collected.total("job.queue_depth") == len(kinds)
    for _ in range(2):
        await client.cancel(second)
    await until(lambda: collected.total("job.queue_depth") == len(kinds) - 1)
    assert collected.points("job.cancellations_total") == {at("works", "critical"): 1}
    await client.cancel(first)
    await until(lambda: collected.total("job.queue_depth") == 1)
    each = {at("works", "critical"): 1, at("stays", "critical"): 1}
    assert collected.points("job.cancellations_total") == each
    driven.may_end.set()
    await client.result(last, timeout=60)
    await client.cancel(last)
    assert collected.points("job.cancellations_total") == each, "it was complete"
    await until(lambda: _gauges(collected) == (0, 0, len(DEAD)))
    assert collected.total("job.completed_total", lane="critical") == 3
    assert collected.total("job.processing_seconds", lane="critical") == 4, "the stopped one too"


async def _drive_dead_letters(client: Client, collected: Collected, driven: Driven) -> None:
    """Replayed with success, in a lane and in place; replayed in vain; discarded."""
    letters = {one.died.type: one.died async for one in client.dead_letters.open()}
    driven.mended = True
    left = len(DEAD)
    for type_ in ("skips", "blocks"):
        left -= 1
        job = await client.replay(letters[type_].id)
        await client.result(job, timeout=60)
        await until(lambda: collected.total("job.dlq_size") == left)  # noqa: B023
        await until(lambda: collected.total("job.completed_total", type=type_) == 1)  # noqa: B023
    job = await client.replay(letters["lands"].id)
    await when(client, job, lambda status: (status.generation, status.state) == (2, State.FAILED))
    await until(lambda: collected.total("job.dlq_size") == left)
    assert collected.total("job.failures_total", type="lands", reason="ParseError") == 2
    for letter in (letters["rejects"].id, dead_letter_id(job, 2)):
        await client.discard(letter)
    await until(lambda: _gauges(collected) == (0, 0, 0))


async def _share(ready: Commands, driven: Driven, collected: Collected) -> None:
    """A second worker comes and goes; what is in the backlog is never said by both of them."""
    told: list[float] = []
    database = await asyncpg.connect(ready.settings.need_database())

    async def all_is_told(owners: int) -> None:
        while True:
            depth = collected.total("job.queue_depth")
            told.append(depth)
            if depth == HELD and await database.fetchval(OWNERS) == owners:
                return
            await asyncio.sleep(0.02)

    try:
        async with Worker(driven.jobs, ready.settings):
            await all_is_told(2)
        await all_is_told(1)
    finally:
        await database.close()
    assert max(told) == HELD


class Spans:
    """A job's spans, by the attributes that they carry."""

    def __init__(self, collected: Collected) -> None:
        self._collected = collected

    def of(self, job: JobId, kind: SpanKind) -> list[ReadableSpan]:
        return [
            span
            for span in self._collected.ended()
            if span.kind is kind and attributes_of(span)["messaging.message.id"] == str(job)
        ]

    def sent(self, job: JobId) -> list[ReadableSpan]:
        return self.of(job, SpanKind.PRODUCER)

    def attempts(self, job: JobId) -> list[ReadableSpan]:
        return self.of(job, SpanKind.CONSUMER)

    def tells_of_them(self, status: JobStatus) -> None:
        """The status names each of them by trace and span id, the last one as its own."""
        events = [one.event for one in status.history]
        queued = [ids(one.trace) for one in events if isinstance(one, Queued) and one.trace]
        started = [ids(one.trace) for one in events if isinstance(one, Started)]
        attempts = [ids(span) for span in self.attempts(status.job_id)]
        assert started == attempts
        assert ids(status.trace) == attempts[-1]
        sent = [ids(span) for span in self.sent(status.job_id)]
        assert queued[: len(sent)] == sent


async def test_the_attempts_span_links_to_the_submissions_by_trace_and_span_id_over_retries_replays_and_follow_ups(  # noqa: E501
    ready: Commands,
) -> None:
    jobs = Jobs()

    async def fails_twice(request: Request[Any]) -> None:
        if request.attempt + request.cluster.generation <= 3:
            raise RuntimeError(SECRET)

    async def parent(request: Request[Any]) -> str:
        return str(request.submit(Submission("retries", SECRET, entity="N2")))

    again = Retry(attempts=3, wait=wait_fixed(0.01))
    jobs.register("retries", fails_twice, retry=again)
    jobs.register("skips", fails_twice, retry=Retry(attempts=1))
    jobs.register("blocks", fails_twice, retry=Retry(attempts=1, on_exhausted="block"))
    jobs.register("parent", parent)
    with collecting() as collected:
        spans = Spans(collected)
        async with working(ready.settings, jobs) as client:
            await _over_retries(client, spans)
            for type_ in ("skips", "blocks"):
                await _over_replays(client, spans, type_)
            await _over_follow_ups(client, spans)
    told = [attributes_of(span) for span in collected.ended()]
    assert {one["messaging.system"] for one in told} == {"kafka"}
    assert SECRET not in collected.everything()


async def _over_retries(client: Client, spans: Spans) -> None:
    job = await client.submit(Submission("retries", SECRET, entity="N1"))
    await client.result(job, timeout=60)
    (sent,), (first, second, third) = spans.sent(job), spans.attempts(job)
    assert linked(first) == {ids(sent)}
    assert linked(second) == {ids(sent), ids(first)}
    assert linked(third) == {ids(sent), ids(second)}
    assert len({ids(span)[0] for span in (sent, first, second, third)}) == 4, "a trace each"
    spans.tells_of_them(await client.status(job))


async def _over_replays(client: Client, spans: Spans, type_: str) -> None:
    job = await client.submit(Submission(type_, SECRET, entity="N1"))
    for generation in (1, 2):
        await when(
            client,
            job,
            lambda one: (one.generation, one.state) == (generation, State.FAILED),  # noqa: B023
        )
        await client.replay(dead_letter_id(job, generation))
    await client.result(job, timeout=60)
    sent, again, and_again = spans.sent(job)
    first, second, third = spans.attempts(job)
    assert linked(first) == {ids(sent)}
    assert linked(again) == {ids(first), ids(sent)}
    assert linked(second) == {ids(again), ids(first), ids(sent)}
    assert linked(and_again) == {ids(second), ids(sent)}
    assert linked(third) == {ids(and_again), ids(second), ids(sent)}
    topic = "critical" if type_ == "blocks" else "normal"
    assert again.name == and_again.name
    assert again.name.endswith(f".{topic}")
    spans.tells_of_them(await client.status(job))


async def _over_follow_ups(client: Client, spans: Spans) -> None:
    job = await client.submit(Submission("parent", SECRET, entity="N1"))
    child = JobId(UUID(await client.result(job, timeout=60)))
    await client.result(child, timeout=60)
    (parent,), (first, second, third) = spans.attempts(job), spans.attempts(child)
    assert spans.sent(child) == []
    assert linked(first) == {ids(parent)}
    assert linked(second) == {ids(parent), ids(first)}
    assert linked(third) == {ids(parent), ids(second)}
    spans.tells_of_them(await client.status(child))


async def test_an_attempt_of_another_worker_after_kill_9_links_to_the_submission_and_the_attempt_before(  # noqa: E501
    ready: Commands,
) -> None:
    ready.variables["JOBS_SESSION_TIMEOUT"] = "2"
    settings = Settings.from_env(ready.variables)
    shutil.copy(ROOT / "tests" / "traced.py", ready.folder)
    jobs = Jobs()

    async def ends(_: Request[Any]) -> None: ...

    jobs.register("stays", ends, retry=Retry(attempts=3))
    with collecting() as collected:
        spans = Spans(collected)
        async with projecting(settings), Client.connect(settings) as client:
            job = await client.submit(Submission("stays", SECRET, entity="N1"))
            dies = ready.spawn(ready.folder / "worker.log", "worker", "traced:jobs")
            with dies:
                try:
                    await when(client, job, lambda one: (one.attempts, one.state) == SECOND)
                finally:
                    dies.kill()
            async with Worker(jobs, settings):
                await client.result(job, timeout=60)
            status = await client.status(job)
    (sent,), (attempt,) = spans.sent(job), spans.attempts(job)
    before, again = [one.event for one in status.history if isinstance(one.event, Started)]
    assert before.worker != again.worker
    assert ids(again.trace) == ids(status.trace) == ids(attempt)
    assert linked(attempt) == {ids(sent), ids(before.trace)}
