"""Does every group of subscribers hear of every failure, exactly once by its id?"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from tenacity import wait_none

from processor import (
    Caller,
    Client,
    ConfigurationError,
    JobFailed,
    JobId,
    Jobs,
    Reject,
    Request,
    Retry,
    Submission,
    Trace,
)
from processor.domain.events import Reason
from processor.domain.ids import dead_letter_id
from processor.local.stack import Stack
from tests.commands import Commands, commands
from tests.together import Together, events, together

pytestmark = pytest.mark.timeout(240)

FAILURES = 30
SECONDS = 90.0
APPLICATION = """
from processor import Jobs, Reject, Request

jobs = Jobs()


@jobs.handler("refused", breaker=None)
async def refused(request: Request[int]) -> None:
    raise Reject(f"number {request.payload}")
"""
# As the port's words say it is done: the effect is keyed by the event's id.
SUBSCRIBER = """
import asyncio, os, sys
import asyncpg
from processor import Client, JobFailed

GROUP, HANGS_AT = sys.argv[1], int(sys.argv[2])


async def main():
    database = await asyncpg.connect(os.environ["JOBS_DATABASE"])
    async with Client.connect() as client:
        taken = 0
        async for event in client.events.subscribe(JobFailed, group=GROUP):
            await database.execute(
                "INSERT INTO heard VALUES ($1, $2, $3) ON CONFLICT (grp, event)"
                " DO UPDATE SET times = heard.times + 1",
                GROUP, event.event_id, event.job,
            )
            taken += 1
            if taken == HANGS_AT:
                await asyncio.get_running_loop().create_future()


asyncio.run(main())
"""


@pytest.fixture(scope="module")
def run(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    name = f"test-{secrets.token_hex(5)}"
    with commands(stack, name, tmp_path_factory.mktemp("failed")) as run:
        (run.folder / "application.py").write_text(APPLICATION)
        (run.folder / "subscriber.py").write_text(SUBSCRIBER)
        migrated = run("migrate")
        assert migrated.code == 0, migrated
        yield run


class Subscribers:
    """Subscribers' processes, and what they wrote down."""

    def __init__(self, run: Commands, database: asyncpg.Connection[Any]) -> None:
        self._run = run
        self._database = database
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, group: str, hangs_at: int = 0) -> subprocess.Popen[bytes]:
        with (self._run.folder / f"{group}.log").open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "subscriber.py", group, str(hangs_at)],
                cwd=self._run.folder,
                env=self._run.environment({"PYTHONPATH": os.pathsep.join(sys.path)}),
                stdout=log,
                stderr=log,
            )
        self.started.append(started)
        return started

    async def heard(self, group: str) -> dict[UUID, tuple[UUID, int]]:
        """Job and number of times, by the event's id."""
        rows = await self._database.fetch("SELECT * FROM heard WHERE grp = $1", group)
        return {
            UUID(int=row["event"].int): (UUID(int=row["job"].int), row["times"]) for row in rows
        }

    async def until(self, reached: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(SECONDS):
            while not await reached():
                assert all(one.poll() in (None, -signal.SIGKILL) for one in self.started)
                await asyncio.sleep(0.05)


@asynccontextmanager
async def subscribers(run: Commands) -> AsyncIterator[Subscribers]:
    database = await asyncpg.connect(run.settings.need_database())
    await database.execute(
        "CREATE TABLE IF NOT EXISTS heard"
        " (grp text, event uuid, job uuid, times int DEFAULT 1, PRIMARY KEY (grp, event))"
    )
    made = Subscribers(run, database)
    try:
        yield made
    finally:
        for one in made.started:
            one.kill()
            await asyncio.to_thread(one.wait)
        await database.close()


async def failures(run: Commands, numbers: range) -> list[JobId]:
    async with Client.connect(run.settings) as client:
        return await client.submit(
            [Submission("refused", number, entity=f"e{number % 7}") for number in numbers]
        )


async def test_job_failed_reaches_each_of_two_groups_once_by_id_also_after_a_subscribers_kill_9(
    run: Commands,
) -> None:
    async with subscribers(run) as hearing:
        serving = run.serving("worker", "application:jobs")
        await asyncio.to_thread(serving.__enter__)
        try:
            hearing.start("alarms")
            dying = hearing.start("billing", hangs_at=7)
            jobs = await failures(run, range(FAILURES))

            async def seven() -> bool:
                return len(await hearing.heard("billing")) == 7

            await hearing.until(seven)
            dying.kill()
            await asyncio.to_thread(dying.wait)
            jobs += await failures(run, range(FAILURES, 2 * FAILURES))  # while it is away
            hearing.start("billing")

            async def everything() -> bool:
                both = [await hearing.heard(group) for group in ("alarms", "billing")]
                return all(set(jobs) <= {job for job, _ in one.values()} for one in both)

            await hearing.until(everything)
        finally:
            await asyncio.to_thread(serving.__exit__, None, None, None)
        # Other tests may have failed jobs of their own.
        alarms, billing = [
            {event: told for event, told in (await hearing.heard(group)).items() if told[0] in jobs}
            for group in ("alarms", "billing")
        ]
    assert sorted(job for job, _ in alarms.values()) == sorted(jobs)
    assert alarms.keys() == billing.keys()
    assert {times for _, times in alarms.values()} == {1}
    again = [times for _, times in billing.values() if times > 1]
    assert again, "what was in its hands when it died came again, and was recognised"


@asynccontextmanager
async def failing(run: Commands) -> AsyncIterator[Together]:
    """A worker whose handlers fail, one of them twice in each generation."""
    jobs = Jobs()

    @jobs.handler("refused")
    async def refused(request: Request[int]) -> None:
        raise Reject(f"number {request.payload}")

    @jobs.handler("breaks", retry=Retry(attempts=2, wait=wait_none()))
    async def breaks(request: Request[int]) -> None:
        raise KeyError(request.payload)

    async with together(replace(run.settings, handler_grace=0.2), jobs) as of:
        yield of


async def heard(of: Together, *jobs: JobId) -> list[JobFailed]:
    """What a group that did not exist before hears of them, until it has heard of each."""
    found: dict[JobId, JobFailed] = {}
    group = f"reader-{secrets.token_hex(3)}"
    async with asyncio.timeout(SECONDS):
        async for event in of.client.events.subscribe(JobFailed, group=group):
            found[event.job] = event
            if found.keys() >= set(jobs):
                return [found[job] for job in jobs]
    pytest.fail("the subscription ended")


async def test_an_event_says_what_failed_for_whom_why_and_where_its_dead_letter_is(
    run: Commands,
) -> None:
    batch, caller = UUID(int=7), Caller(user="ann", request_id="r4711")
    trace = Trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    asked = [
        Submission(type_, 4711, entity="N123", tenant="acme", caller=caller, trace=trace)
        for type_ in ("refused", "breaks", "nobody's")
    ]
    async with failing(run) as of:
        jobs = await of.client.submit(asked, batch=batch)
        told = await heard(of, *jobs)
        ends = [events(await of.ended(job))[-1] for job in jobs]
        letters = [(await of.letter(job)).died for job in jobs]
    for one, submission, end, letter in zip(told, asked, ends, letters, strict=True):
        assert (one.type, one.tenant, one.entity) == (submission.type, "acme", "N123")
        assert (one.generation, one.batch, one.request_id) == (1, batch, "r4711")
        assert (one.trace, one.at) == (trace, end.at)
        assert (one.dead_letter, one.reason) == (letter.id, letter.reason)
        assert one.error == letter.errors[-1].error == end.error
    assert [one.attempts for one in told] == [1, 2, 0]
    assert [one.reason for one in told] == [
        Reason.REJECTED,
        Reason.HANDLER_FAILED,
        Reason.HANDLER_MISSING,
    ]
    assert [one.error.message for one in told[:2]] == ["number 4711", "4711"]
    assert told[1].error.place.startswith("test_job_failed:breaks:")


async def test_a_replay_that_fails_again_is_another_event(
    run: Commands,
) -> None:
    async with failing(run) as of:
        job = await of.client.submit(Submission("breaks", 1))
        (first,) = await heard(of, job)
        await of.letter(job)
        await of.client.replay(first.dead_letter)
        await of.ended(job, 2)
        told = {first.event_id: first}
        async with asyncio.timeout(SECONDS):
            group = f"reader-{secrets.token_hex(3)}"
            async for event in of.client.events.subscribe(JobFailed, group=group):
                if event.job == job:
                    told[event.event_id] = event
                if len(told) == 2:
                    break
    assert sorted(one.generation for one in told.values()) == [1, 2]
    assert {one.dead_letter for one in told.values()} == {
        dead_letter_id(job, 1),
        dead_letter_id(job, 2),
    }


async def test_subscriptions_end_with_their_client(run: Commands) -> None:
    async with Client.connect(run.settings) as client:
        heard = client.events.subscribe(JobFailed, group="short")
        waiting = asyncio.ensure_future(anext(heard))
        await asyncio.sleep(0)
    (ended,) = await asyncio.gather(waiting, return_exceptions=True)
    assert isinstance(ended, StopAsyncIteration | JobFailed)
    with pytest.raises(StopAsyncIteration):
        await anext(heard)


async def test_a_group_that_cannot_be_named_is_refused_at_once(run: Commands) -> None:
    async with Client.connect(run.settings) as client:
        with pytest.raises(ConfigurationError, match="cannot name a group"):
            client.events.subscribe(JobFailed, group="a group")
