"""Does the status tell the whole life of a job, in Python and on the command line alike?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from tenacity import wait_fixed

from processor import (
    Client,
    JobId,
    JobNotFound,
    Jobs,
    JobStatus,
    Priority,
    Request,
    Retry,
    State,
    Submission,
    Worker,
)
from processor.bootstrap.projecting import projecting
from processor.domain.events import Started
from processor.domain.ids import dead_letter_id
from tests.commands import Commands
from tests.inside import command, told, when, working

pytestmark = pytest.mark.timeout(240)

SECOND = 1_000_000
PAUSE = 2.0
"""Seconds between two attempts; the next one is another worker's."""
STATES = {
    "counts": State.COMPLETE,
    "returns nothing": State.COMPLETE,
    "is due later": State.COMPLETE,
    "fails once": State.COMPLETE,
    "fails for good": State.COMPLETE,
    "does not fit": State.FAILED,
    "runs long": State.CANCELLED,
}
LIVES = {
    "counts": ["queued", "started", "complete"],
    "returns nothing": ["queued", "started", "complete"],
    "is due later": ["queued", "started", "complete"],
    "fails once": ["queued", "started", "retrying", "started", "complete"],
    "fails for good": [
        *("queued", "started", "retrying", "started", "failed"),
        *("queued", "started", "complete"),
    ],
    "does not fit": ["queued", "started", "failed"],
    "runs long": ["queued", "started", "cancelled"],
}


class Application:
    """Handlers for every way through a job's life; two workers of two releases run them."""

    def __init__(self) -> None:
        self.mended = False
        self.jobs = Jobs()
        self.jobs.register("counts", self.counts)
        self.jobs.register("returns nothing", self.returns_nothing)
        policy = Retry(attempts=2, wait=wait_fixed(PAUSE))
        self.jobs.register("fails once", self.fails_once, retry=policy)
        self.jobs.register("fails for good", self.fails_for_good, retry=policy)
        self.jobs.register("runs long", self.runs_long)

    async def counts(self, request: Request[int]) -> dict[str, int]:
        return {"next": request.payload + 1}

    async def returns_nothing(self, _: Request[None]) -> None:
        pass

    async def fails_once(self, request: Request[None]) -> str:
        if request.attempt == 1:
            raise RuntimeError("not yet")
        return "at last"

    async def fails_for_good(self, request: Request[None]) -> str:
        if not self.mended:
            raise RuntimeError(f"attempt {request.attempt}")
        return "mended"

    async def runs_long(self, request: Request[None]) -> None:
        await request.progress(40, "half of it")
        await asyncio.Event().wait()


async def submitted(client: Client) -> dict[str, JobId]:
    due = datetime.now(UTC) + timedelta(seconds=PAUSE)
    submissions = {
        "counts": Submission("counts", 41, tenant="T", entity="E", priority=Priority.HIGH),
        "returns nothing": Submission("returns nothing"),
        "is due later": Submission("counts", 1, not_before=due),
        "fails once": Submission("fails once"),
        "fails for good": Submission("fails for good"),
        "does not fit": Submission("counts", "many"),
        "runs long": Submission("runs long"),
    }
    jobs = await client.submit(list(submissions.values()))
    return dict(zip(submissions, jobs, strict=True))


async def test_status_shows_every_transition_with_time_attempt_worker_error_and_the_result(
    ready: Commands,
) -> None:
    application, settings = Application(), ready.settings
    first, second = (replace(settings, release=release) for release in ("first", "second"))
    async with projecting(settings), Client.connect(settings) as client:
        jobs = await submitted(client)
        for name, job in jobs.items():
            status = await client.status(job)
            expected = State.SCHEDULED if name == "is due later" else State.QUEUED
            assert (status.state, status.attempts, status.result) == (expected, 0, None)
            assert words_of(status) == ["queued"]
        async with Worker(application.jobs, first):
            running = await when(client, jobs["runs long"], lambda one: one.current.progress)
            assert (running.state, running.attempts) == (State.PROCESSING, 1)
            started = running.history[1].event
            assert isinstance(started, Started)
            assert running.current.worker == started.worker
            assert words_of(running) == ["queued", "started", "progressed"]
            (shown,) = await told(ready, "status", str(jobs["runs long"]))
            assert shown["state"] == "processing"
            assert (shown["progress"]["percent"], shown["progress"]["note"]) == (40, "half of it")
            done = await client.cancel(jobs["runs long"], by="ada", because="too long")
            assert (done.was, done.now) == (State.PROCESSING, State.CANCELLED)
            for name in ("fails once", "fails for good"):
                await when(client, jobs[name], lambda one: one.state is not State.QUEUED)
        retrying = await client.status(jobs["fails once"])
        assert (retrying.state, retrying.attempts) == (State.RETRYING, 1)
        assert retrying.current.error is not None
        assert retrying.current.error.message == "not yet"
        async with Worker(application.jobs, second):
            failed = await when(client, jobs["fails for good"], is_in(State.FAILED))
            assert (failed.attempts, failed.result) == (2, None)
            application.mended = True
            letter = dead_letter_id(jobs["fails for good"], 1)
            await client.replay(letter, by="ada", because="mended")
            for name, job in jobs.items():
                await when(client, job, is_in(STATES[name]))
            seen = {name: await client.status(job) for name, job in jobs.items()}
            lines = [told(ready, "status", str(job)) for job in jobs.values()]
            shown = dict(zip(jobs, [one for (one,) in await asyncio.gather(*lines)], strict=True))
    for name, status in seen.items():
        assert words_of(status) == [line["event"] for line in shown[name]["history"]] == LIVES[name]
        assert status.state == shown[name]["state"]
        assert_lives_in_time(shown[name])
    assert_results(shown)
    assert_errors(shown)
    assert_replay(shown["fails for good"], str(letter))
    cancelled = shown["runs long"]["history"][-1]
    assert (cancelled["actor"], cancelled["because"]) == ("ada", "too long")


def is_in(state: State) -> Callable[[JobStatus], bool]:
    return lambda status: status.state is state


def words_of(status: JobStatus) -> list[str]:
    names = [type(one.event).__name__.lower() for one in status.history]
    return ["complete" if name == "completed" else name for name in names]


def assert_lives_in_time(shown: dict[str, Any]) -> None:
    """Every transition has its time, in order; every start its attempt, worker and release."""
    times = [datetime.fromisoformat(line["at"]) for line in shown["history"]]
    assert times[1:] == sorted(times[1:])
    attempt = 0
    for line in shown["history"]:
        # The submission is named by its place, every other transition by its id.
        assert (line["id"] is None) == (line["event"] == "queued")
        if line["event"] == "queued":
            attempt = 0
        elif line["event"] == "started":
            attempt += 1
            assert (line["attempt"], line["run"]) == (attempt, attempt)
            assert line["worker"]
            assert line["release"] in {"first", "second"}
        else:
            assert line.get("attempt", attempt) == attempt
    assert shown["attempts"] == attempt
    assert shown["worker"] == [one for one in shown["history"] if "worker" in one][-1]["worker"]


def assert_results(shown: dict[str, dict[str, Any]]) -> None:
    """A result of None is a result; what has not returned has none."""
    results = {name: one["result"] for name, one in shown.items() if "result" in one}
    assert results == {
        "counts": {"next": 42},
        "returns nothing": None,
        "is due later": {"next": 2},
        "fails once": "at last",
        "fails for good": "mended",
    }
    for name, result in results.items():
        assert shown[name]["history"][-1]["result"] == result


def assert_errors(shown: dict[str, dict[str, Any]]) -> None:
    """Each failed attempt has its error and when the next one was due; workers differ."""
    _, started, retrying, again, _ = shown["fails once"]["history"]
    assert retrying["error"]["reason"] == "HandlerFailed"
    assert (retrying["error"]["type"], retrying["error"]["message"]) == ("RuntimeError", "not yet")
    assert "fails_once" in retrying["error"]["place"]
    due = datetime.fromisoformat(retrying["due_at"])
    assert due == datetime.fromisoformat(retrying["at"]) + timedelta(seconds=PAUSE)
    assert datetime.fromisoformat(again["at"]) >= due
    assert (started["release"], again["release"]) == ("first", "second")
    assert started["worker"] != again["worker"]
    unfit = shown["does not fit"]["history"][-1]
    assert (unfit["attempt"], unfit["reason"]) == (1, "ParseError")
    assert "many" not in str(shown["does not fit"])
    scheduled, began, _ = shown["is due later"]["history"]
    assert began["at"] >= scheduled["not_before"]


def assert_replay(shown: dict[str, Any], letter: str) -> None:
    """The first generation stays as it was, the second tells who started it and why."""
    *_, failed, queued, _, _ = shown["history"]
    assert (failed["attempt"], failed["reason"]) == (2, "HandlerFailed")
    assert failed["error"]["message"] == "attempt 2"
    assert [line["generation"] for line in shown["history"]] == [1] * 5 + [2] * 3
    assert shown["generation"] == 2
    replayed = queued["replay"]
    assert (replayed["actor"], replayed["because"]) == ("ada", "mended")
    assert replayed["dead_letter"] == letter


async def test_an_unknown_id_is_an_error_and_never_a_state(ready: Commands) -> None:
    unknown = JobId(uuid4())
    async with projecting(ready.settings), Client.connect(ready.settings) as client:
        for asked in (client.status, client.result, client.cancel):
            with pytest.raises(JobNotFound, match=f"there is no job {unknown}"):
                await asked(unknown)
        for words in (["status", "--json"], ["cancel", "--because", "why"]):
            ended = await command(ready, words[0], str(unknown), *words[1:])
            assert ended.refusal == f"there is no job {unknown}"
            assert ended.out == ""


async def test_a_job_is_found_by_its_type_key_and_tenant_as_given(ready: Commands) -> None:
    jobs = Jobs()

    @jobs.handler("noted")
    async def noted(request: Request[int]) -> int:
        return request.payload

    async with working(ready.settings, jobs) as client:
        plain = Submission("noted", 1, dedupe_key="k")
        whole = Submission("noted", 2, entity="E", tenant="acme", dedupe_key="k")
        for job in await client.submit([plain, whole]):
            await client.result(job, timeout=60)
        assert (await client.find("noted", "k")).job_id == plain.id
        found = await client.find("noted", "k", entity="E", tenant="acme")
        assert (found.job_id, found.result) == (whole.id, b"2")
        named = ("--type", "noted", "--key", "k")
        (shown,) = await told(ready, "status", *named, "--tenant", "acme", "--entity", "E")
        assert (shown["id"], shown["state"]) == (str(whole.id), "complete")
        (shown,) = await told(ready, "status", *named)
        assert shown["id"] == str(plain.id)
        with pytest.raises(JobNotFound):
            await client.find("noted", "another")
        for words, refusal in (
            (named[:2], "which job is meant is not said: name its id, or its --type and --key"),
            ((), "which job is meant is not said"),
            ((*named, str(plain.id)), "name a job by its id or by --type and --key, not by both"),
        ):
            assert (await command(ready, "status", *words)).refusal.startswith(refusal)
