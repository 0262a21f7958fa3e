"""Can anything be submitted, whoever has a handler for it and whenever he gets one?"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from pydantic import BaseModel

from processor import (
    Client,
    JobId,
    Jobs,
    JobStatus,
    Request,
    State,
    Submission,
    SubmissionTooLarge,
)
from processor.bootstrap.projecting import projecting
from processor.domain.events import Started
from processor.domain.limits import JSON_DEPTH, NAME_BYTES
from tests.commands import Commands
from tests.inside import told, working
from tests.together import Together, life, together

pytestmark = pytest.mark.timeout(240)

ONE_LIFE = [(1, "Queued"), (1, "Started"), (1, "Completed")]
OLD = """
from processor import Jobs, Request

jobs = Jobs()


@jobs.handler("known")
async def known(request: Request[int]) -> int:
    return request.payload
"""
NEW = (
    OLD
    + """

@jobs.handler("new")
async def new(request: Request[int]) -> int:
    await request.connection()
    return request.payload
"""
)


class Flight(BaseModel):
    tail: str
    minutes: int | None = None


@dataclass
class Leg:
    flight: Flight
    at: tuple[float, float]


def nested(depth: int) -> list[Any]:
    value = list[Any]()
    for _ in range(depth - 1):
        value = [value]
    return value


NAMES = [
    "a",
    "flight.landed",
    " with spaces, \"quotes\", 'others', \\ and / ",
    "Größe/飛行機/✈️",
    "a\ttab, a\nline and \x1b[31m",
    "%s {} $1 ; DROP TABLE jobs.history; --",
    "__proto__",
    "null",
    "x" * NAME_BYTES,
    "é" * (NAME_BYTES // 2),
]
JSON: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**63,
    10**400,
    0.1,
    -1.5e300,
    "",
    "text, Größe, ✈️, \\ and \0",
    [],
    {},
    [None, [], {"": [{}]}],
    {"": "", "a b": 1, "ü": {"list": [1, "2", None]}},
    nested(JSON_DEPTH),
]
PAYLOADS: list[tuple[Any, Any]] = [
    *((value, value) for value in JSON),
    (Flight(tail="N1"), {"tail": "N1", "minutes": None}),
    (
        Leg(Flight(tail="N1", minutes=3), (1.5, 2)),
        {"flight": {"tail": "N1", "minutes": 3}, "at": [1.5, 2]},
    ),
    ((1, 2), [1, 2]),
]
"""What is handed in, and what it is as JSON."""


async def echo(request: Request[Any]) -> Any:  # noqa: ANN401 - whatever was handed in
    return request.payload


async def test_any_type_and_payload_can_be_submitted(ready: Commands) -> None:
    jobs = Jobs()
    for name in NAMES:
        jobs.register(name, echo)
    handed_in = [(name, None, None) for name in NAMES]
    handed_in += [("a", payload, as_json) for payload, as_json in PAYLOADS]
    async with working(ready.settings, jobs) as client:
        ids = await client.submit([Submission(name, payload) for name, payload, _ in handed_in])
        for job, (name, _, as_json) in zip(ids, handed_in, strict=True):
            assert await client.result(job, timeout=60) == as_json
            assert life(status := await client.status(job)) == ONE_LIFE
            assert (status.type, status.attempts) == (name, 1)
        with pytest.raises(SubmissionTooLarge, match=r"its type has 256 bytes, the limit is 255$"):
            await client.submit(Submission("é" * 128))
        with pytest.raises(SubmissionTooLarge, match=r"is nested deeper than 64 levels$"):
            await client.submit(Submission("a", nested(JSON_DEPTH + 1)))
        text = json.dumps({"type": NAMES[3], "payload": [NAMES[4]]}).encode()
        ended = await asyncio.to_thread(ready, "submit", "-", text=text)
        (shown,) = await told(ready, "status", *ended.ids)
        assert shown["type"] == NAMES[3]
        text = json.dumps({"type": "x" * 256}).encode()
        refusal = (await asyncio.to_thread(ready, "submit", "-", text=text)).refusal
        assert refusal.startswith("line 1 is broken: its type has 256 bytes, the limit is 255")


async def test_a_handler_may_be_registered_before_after_and_while_jobs_of_its_type_wait(
    ready: Commands,
) -> None:
    jobs, ran = Jobs(), list[tuple[str, int]]()

    async def noted(request: Request[int]) -> None:
        ran.append((request.type, request.payload))

    jobs.register("before", noted)
    async with together(ready.settings, jobs) as all_:
        client = all_.client
        before = await client.submit(Submission("before", 0))
        await client.result(before, timeout=60)
        jobs.register("after", noted)
        after = await client.submit(Submission("after", 0))
        await client.result(after, timeout=60)
        waiting = await client.submit(
            [
                *(Submission("while", number, entity=f"e{number}") for number in range(20)),
                *(Submission("while", 20 + number, entity="e0") for number in range(3)),
                Submission("before", 23, entity="e0"),
            ]
        )
        await all_.waiting(len(waiting))
        assert {(await client.status(job)).state for job in waiting} == {State.QUEUED}
        jobs.register("while", noted)
        for job in waiting:
            await client.result(job, timeout=60)
        statuses = [await client.status(job) for job in (before, after, *waiting)]
    assert [life(status) for status in statuses] == [ONE_LIFE] * len(statuses)
    assert sorted(number for _, number in ran[2:]) == list(range(24))
    of_one_entity = [number for _, number in ran[2:] if number in (0, 20, 21, 22, 23)]
    assert of_one_entity == [0, 20, 21, 22, 23]


EACH = 24


def some() -> list[Submission]:
    """Jobs of the type that all know, then as many of the new one, in every partition."""
    return [
        Submission(kind, number, entity=f"{kind}-{number}")
        for kind in ("known", "new")
        for number in range(EACH)
    ]


async def test_a_rolling_deploy_with_a_new_type_loses_and_fails_nothing(ready: Commands) -> None:
    (ready.folder / "old.py").write_text(OLD)
    (ready.folder / "new.py").write_text(NEW)
    database = await asyncpg.connect(ready.settings.need_database())
    with worker_of(ready, "old") as old, worker_of(ready, "new") as new:
        async with projecting(ready.settings), Client.connect(ready.settings) as client:
            seen = Together(ready.settings, client, database)
            first = old()
            jobs = await client.submit(some())
            await seen.waiting(EACH)
            second = new()
            jobs += await client.submit(some())
            await until_one_was_run_by("new", client, jobs)
            jobs += await client.submit(some())
            await stopped(first)
            jobs += await client.submit(some())
            for job in jobs:
                await client.result(job, timeout=60)
            statuses = [await client.status(job) for job in jobs]
            await stopped(second)
    assert [life(status) for status in statuses] == [ONE_LIFE] * len(jobs)
    assert {(status.attempts, status.state) for status in statuses} == {(1, State.COMPLETE)}
    by = Counter((status.type, release_of(status)) for status in statuses)
    assert by["new", "new"] == len(jobs) // 2
    assert min(by["known", "old"], by["known", "new"]) >= EACH
    assert "a job waits for a handler of its type" in (ready.folder / "old.log").read_text()
    assert await database.fetchval("SELECT count(*) FROM jobs.waiting") == 0
    assert await database.fetchval("SELECT count(*) FROM jobs.dead_letter") == 0
    await database.close()


def release_of(status: JobStatus) -> str:
    """The release of the worker that ran it."""
    (started,) = [one.event for one in status.history if isinstance(one.event, Started)]
    return started.release


async def until_one_was_run_by(release: str, client: Client, jobs: list[JobId]) -> None:
    async with asyncio.timeout(60):
        while True:
            for job in jobs:
                status = await client.status(job)
                if status.state is State.COMPLETE and release_of(status) == release:
                    return
            await asyncio.sleep(0.05)


async def stopped(worker: subprocess.Popen[bytes]) -> None:
    """As a deploy stops it."""
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait) == 0


@contextmanager
def worker_of(run: Commands, name: str) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """What starts a worker of a release; it is gone after the block."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        log = run.folder / f"{name}.log"
        started.append(run.spawn(log, "worker", f"{name}:jobs", JOBS_RELEASE=name))
        return started[-1]

    try:
        yield start
    finally:
        for worker in started:
            with worker:
                worker.kill()
